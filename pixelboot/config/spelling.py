"""How values are spelled in TOML, for messages and for what ``--check`` prints."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

from pixelboot.outcome import printable

_BARE = re.compile(r"[A-Za-z0-9_-]+")
"""A key that needs no quotes."""


def toml(value: object, levels: int = 8) -> str:
    """A value in TOML's spelling; what is nested deeper than `levels` (no setting is) is left out."""
    if not levels:
        return "…"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(item, levels - 1) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 64 else hex(value)  # Python spells no huge number in decimal.
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key(name)} = {toml(item, levels - 1)}" for name, item in value.items()) + "}"
    # JSON's escapes are TOML's too, but for the surrogate pairs and DEL, hence the characters as they are.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    """A key of a table, in quotes where it needs them."""
    return name if _BARE.fullmatch(name) else toml(name)


def shown(value: object) -> str:
    """A value as it stood in the file, cut to a readable length."""
    return printable(toml(value), 120)


def encodable(document: str, encoding: str) -> str:
    """A document with TOML's escapes for the characters that `encoding` lacks: they all stand in strings."""

    def escaped(character: str) -> str:
        try:
            character.encode(encoding)
        except UnicodeEncodeError:
            return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"
        return character

    return "".join(map(escaped, document))
