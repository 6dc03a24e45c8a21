"""Commands with octets on standard input, and octets or text on standard output."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout

from pixelboot.cli import main


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def standard(octets: bytes, *words: object, terminal: bool = False) -> tuple[int, bytes, str]:
    """Run ``pixelboot WORDS`` in this process with these octets on standard input: exit status, output, errors.

    With `terminal`, standard input and output say that they are one.
    """
    kind = _Terminal if terminal else io.TextIOWrapper
    raw = io.BytesIO()
    out, error = kind(raw, encoding="utf-8"), io.StringIO()
    before = sys.stdin
    sys.stdin = kind(io.BytesIO(octets))
    try:
        with redirect_stdout(out), redirect_stderr(error):
            status = main([str(word) for word in words])
            out.flush()
    except SystemExit as ended:
        status = int(str(ended.code))
    finally:
        sys.stdin = before
    return status, raw.getvalue(), error.getvalue()
