"""The table of clauses in the manual is what the tests say."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.clauses import documented, rows


class Coverage(SynchronousTestCase):
    """``docs/reference/rfc-coverage.rst``."""

    def setUp(self) -> None:
        self.rows = rows("rfc-coverage.rst")
        self.tests = documented(Path(__file__).parent)

    def test_every_clause_has_a_row(self) -> None:
        """D01 to D51 in their order, each with a test."""
        found = [row for row in self.rows if row[0].startswith("D")]
        self.assertEqual([row[0] for row in found], [f"D{number:02}" for number in range(1, 52)])
        for row in found:
            self.assertIn("test_", row[3], row[0])

    def test_every_clause_of_the_proxy_has_a_row(self) -> None:
        """P01 to P19 in their order."""
        found = [row[0] for row in self.rows if row[0].startswith("P")]
        self.assertEqual(found, [f"P{number:02}" for number in range(1, 20)])

    def test_named_tests_exist(self) -> None:
        """What is said to be tested is; what is not there yet is said to be so."""
        for clause, _, what, names in self.rows:
            for name in re.findall(r"``(.*?)``", names):
                self.assertIn(name, self.tests, clause)
            self.assertTrue("test_" in names or what == "Not yet.", clause)

    def test_clauses_named_by_tests_are_in_the_table(self) -> None:
        """A clause that a test names has a row, and one that says how it is tested."""
        table = {clause: names for clause, _, _, names in self.rows if names}
        for name, words in self.tests.items():
            for clause in re.findall(r"\b([DROP]\d\d)\b", words.replace("_", " ")):
                self.assertIn(clause, table, f"{name} names {clause}")
