"""What the manual's tables of clauses say, and what the tests say of themselves."""

from __future__ import annotations

import re
from pathlib import Path

from tests.test_house import ROOT

MANUAL = ROOT / "docs" / "reference"


def rows(page: str) -> list[list[str]]:
    """The rows of a page's tables: clause, what is asked, what pixelboot does, the names of tests."""
    text = (MANUAL / page).read_text(encoding="utf-8")
    return [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.count("|") == 3]


def documented(folder: Path) -> dict[str, str]:
    """Every test below a folder, by the name that the manual gives it, and the clauses it names."""
    found = {}
    for path in folder.rglob("test_*.py"):
        module = ".".join((*path.relative_to(folder).parent.parts, path.stem.removeprefix("test_")))
        for name, docstring in re.findall(r'def (test_\w+)\(.*?"""(.*?)"""', path.read_text("utf-8"), re.DOTALL):
            found[f"{module}.{name}"] = name.upper() + docstring
    return found
