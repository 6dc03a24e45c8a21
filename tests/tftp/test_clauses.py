"""The table of clauses in the manual is what the tests say."""

from __future__ import annotations

from pathlib import Path

from tests import clauses


class Coverage(clauses.Coverage):
    """``docs/reference/tftp.rst``."""

    page = "tftp.rst"
    folder = Path(__file__).parent
    last = {"T": 37}
