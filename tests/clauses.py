"""What the manual's tables of clauses say, and what the tests say of themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.test_house import ROOT

MANUAL = ROOT / "docs" / "reference"


def rows(page: str) -> Iterator[tuple[str, str, list[str]]]:
    """Of each row of a page's tables: clause, what pixelboot does, the names of tests; O04–O06 are three rows."""
    for line in (MANUAL / page).read_text(encoding="utf-8").splitlines():
        if line.count("|") != 3:
            continue
        clauses, _, what, tests = (cell.strip() for cell in line.split("|"))
        first, _, last = clauses.partition("–")
        for number in range(int(first[1:]), int((last or first)[1:]) + 1):
            yield f"{first[0]}{number:02}", what, re.findall(r"``(.*?)``", tests)


def documented(folder: Path) -> dict[str, set[str]]:
    """Every test below a folder, by the name that the manual gives it, and the clauses in its name and docstring.

    A suite that several implementations pass is in a module of another name than ``test_…``.
    """
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*.py"):
        module = ".".join((*path.relative_to(folder).parent.parts, path.stem.removeprefix("test_")))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                words = f"{node.name.upper().replace('_', ' ')} {ast.get_docstring(node)}"
                found.setdefault(f"{module}.{node.name}", set()).update(re.findall(r"\b[A-Z]\d\d\b", words))
    return found


class Coverage(SynchronousTestCase):
    """A page and the tests in a folder agree; derive from it and say which."""

    page: str
    """The name of the page in the manual's reference."""

    folder: Path
    """Where the tests are."""

    others: Sequence[Path] = ()
    """Further folders with such tests; the page calls these by the folder's name, too: ``firmware.frames.test_…``."""

    last: Mapping[str, int]
    """The letters of the clauses, in the order of the page, and the last number of each."""

    def setUp(self) -> None:
        """Read both."""
        self.rows = list(rows(self.page))
        self.tests = documented(self.folder)
        for other in self.others:
            self.tests |= {f"{other.name}.{name}": clauses for name, clauses in documented(other).items()}

    def test_every_clause_has_a_row(self) -> None:
        """All in their order, none twice."""
        expected = [f"{letter}{number:02}" for letter, last in self.last.items() for number in range(1, last + 1)]
        self.assertEqual([clause for clause, _, _ in self.rows], expected)

    def test_cited_tests_name_their_clause(self) -> None:
        """What is said to be tested is, by a test that says so; what is not there yet is said to be so."""
        silent = []
        for clause, what, names in self.rows:
            self.assertTrue(names or what.startswith("Not yet"), f"{clause} cites no test")
            for name in names:
                self.assertIn(name, self.tests, f"{clause} cites a test that does not exist")
                silent += [f"{name} of {clause}"] if clause not in self.tests[name] else []
        self.assertEqual(silent, [])

    def test_clauses_named_by_tests_are_in_the_table(self) -> None:
        """A clause that a test names has a row, and one that says how it is tested."""
        table = {clause for clause, _, names in self.rows if names}
        for name, clauses in self.tests.items():
            self.assertLessEqual({clause for clause in clauses if clause[0] in self.last}, table, name)
