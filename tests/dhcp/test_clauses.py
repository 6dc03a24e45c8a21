"""The table of clauses in the manual is what the tests say."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

HERE = Path(__file__).resolve().parent
MANUAL = HERE.parent.parent / "docs" / "reference" / "rfc-coverage.rst"


class Coverage(SynchronousTestCase):
    """``docs/reference/rfc-coverage.rst``."""

    def setUp(self) -> None:
        text = MANUAL.read_text(encoding="utf-8")
        self.rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.count("|") == 3]

    def tests(self) -> dict[str, str]:
        """Every test of this folder, by the name that the manual gives it, and the clauses it names."""
        found = {}
        for path in HERE.glob("test_*.py"):
            for name, docstring in re.findall(r'def (test_\w+)\(.*?"""(.*?)"""', path.read_text("utf-8"), re.DOTALL):
                found[f"{path.stem.removeprefix('test_')}.{name}"] = name.upper() + docstring
        return found

    def test_every_clause_has_a_row(self) -> None:
        """D01 to D51 in their order, each with a test."""
        rows = [row for row in self.rows if row[0].startswith("D")]
        self.assertEqual([row[0] for row in rows], [f"D{number:02}" for number in range(1, 52)])
        for row in rows:
            self.assertIn("test_", row[3], row[0])

    def test_named_tests_exist(self) -> None:
        """What is said to be tested is; what is not there yet is said to be so."""
        existing = self.tests()
        for clause, _, what, names in self.rows:
            for name in re.findall(r"``(.*?)``", names):
                self.assertIn(name, existing, clause)
            self.assertTrue("test_" in names or what == "Not yet.", clause)

    def test_clauses_named_by_tests_are_in_the_table(self) -> None:
        """A clause that a test names has a row, and one that says how it is tested."""
        table = {clause: names for clause, _, _, names in self.rows if names}
        for name, words in self.tests().items():
            for clause in re.findall(r"\b([DROP]\d\d)\b", words.replace("_", " ")):
                self.assertIn(clause, table, f"{name} names {clause}")
