"""The table of clauses in the manual is what the tests say."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.clauses import documented, rows


class Coverage(SynchronousTestCase):
    """``docs/reference/tftp.rst``."""

    def test_every_clause_has_a_row(self) -> None:
        """T01 to T37 in their order."""
        self.assertEqual([row[0] for row in rows("tftp.rst")], [f"T{number:02}" for number in range(1, 38)])

    def test_named_tests_exist(self) -> None:
        """What is said to be tested is; what is not there yet is said to be so."""
        existing = documented(Path(__file__).parent)
        for clause, _, what, names in rows("tftp.rst"):
            for name in re.findall(r"``(.*?)``", names):
                self.assertIn(name, existing, clause)
            self.assertTrue("test_" in names or what.startswith("Not yet"), clause)
