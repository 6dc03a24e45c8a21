"""The table of clauses in the manual is what the tests say."""

from __future__ import annotations

from pathlib import Path

from tests import clauses


class Coverage(clauses.Coverage):
    """``docs/reference/rfc-coverage.rst``."""

    page = "rfc-coverage.rst"
    folder = Path(__file__).parent
    others = (folder.parent / "boot", folder.parent / "leases", folder.parent / "firmware")
    last = {"D": 51, "R": 12, "O": 19, "P": 19}
