"""Which kernel command lines iPXE passes on as they are; how it reads a line stands in `pixelboot.boot.ipxe.script`."""

from __future__ import annotations

import re

COMMAND_LINE_LIMIT = 2047
"""Octets of command line that a kernel for x86 or arm64 takes (``COMMAND_LINE_SIZE`` less its NUL)."""

TERMINATORS = frozenset({"||", "&&", ";"})
"""Words that end a command."""

_WHITE = " \t\n\r\f\v"
_QUOTED = re.compile(r'"[^"]*(?:"|$)')


def unpassable(line: str, before: int = 0) -> str | None:
    """What it has that iPXE would change, as the end of a sentence about it; None when it arrives as it is.

    White space outside double quotes separates parameters for the kernel as it does for iPXE, however much of it there
    is, so it may change; everything else may not.  `before` octets stand in front of it.
    """
    line = line.strip(_WHITE)
    if not (line.isascii() and line.isprintable()) and not all(" " <= c <= "~" or c in _WHITE for c in line):
        return "has characters that are not ASCII text"
    if "${" in line:
        return "has ${, which iPXE would replace"
    words = line.split()
    for word in words:
        if word in TERMINATORS or word.startswith("#"):
            return f"has the word {word[:16]}, where iPXE would end it"
    if '"' in line and any(re.search(r"\s\s|[^\S ]", quoted) for quoted in _QUOTED.findall(line)):
        return "has white space between quotes that iPXE would change"
    if line.endswith("\\"):
        return "ends with a backslash, where iPXE would join the next line"
    if before + len(" ".join(words)) > COMMAND_LINE_LIMIT:
        return f"is longer than {COMMAND_LINE_LIMIT} octets"
    return None
