"""The hardware address of a network card, as a value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from pixelboot.malformed import Malformed

_TEXT = re.compile(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){0,15}")


@dataclass(frozen=True, slots=True, order=True)
class HardwareAddress:
    """A link-layer address of 1 to 16 octets (RFC 2131 §2, ``chaddr`` cut to ``hlen``); 6 for Ethernet."""

    octets: bytes
    """In the order of transmission."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.octets) <= 16:
            raise Malformed(f"a hardware address has 1 to 16 octets, not {len(self.octets)}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``02:aa:00:00:00:01`` (or with dashes, in either case); anything else is `Malformed`."""
        if not _TEXT.fullmatch(text):
            raise Malformed(f"{text[:60]!r} is not a hardware address like 02:aa:00:00:00:01")
        return cls(bytes.fromhex(text.replace("-", ":").replace(":", "")))

    def __str__(self) -> str:
        return self.octets.hex(":")
