"""What the decoder found out about one picture, as a value and as the line of JSON in which its process says it.

The decoder speaks up to three times about a picture: when it has read the description (``decoding``, with labels and
parts but no digests), when it knows the digest of the file, and at the end (``ready`` or ``damaged``).
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from pixelboot.malformed import Malformed

State = Literal["decoding", "ready", "damaged"]

LINE_LIMIT = 1 << 17
"""Octets of one line; a decoder that says more is broken."""

_TEXTS = ("sha256", "reason", "name", "description", "distro", "architecture", "kernel_version", "cmdline")
_SHA256 = re.compile("[0-9a-f]{64}|")


@dataclass(frozen=True, slots=True)
class FoundPart:
    """A part that a machine can boot."""

    name: str
    """``kernel`` or ``initrd``, however the description spells it."""

    size: int
    """Its length in octets."""

    sha256: str
    """SHA-256 of its octets in lower-case hex; empty until it is decoded."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known about one picture.  All texts but the digest are untrusted, and empty where there is none."""

    state: State = "decoding"
    """``ready`` when every digest was compared and the parts are in the cache."""

    sha256: str = ""
    """SHA-256 of the picture file in lower-case hex; empty until it is known."""

    reason: str = ""
    """Why it is damaged."""

    name: str = ""
    """Its name, for people."""

    description: str = ""
    """A sentence, for people."""

    distro: str = ""
    """The distribution."""

    architecture: str = ""
    """The processor, as the maker spells it."""

    kernel_version: str = ""
    """The release of the kernel."""

    cmdline: str = ""
    """The kernel command line."""

    parts: tuple[FoundPart, ...] = ()
    """What can be booted of it."""

    def part(self, name: str) -> FoundPart | None:
        """The part of this name, if there is one."""
        return next((part for part in self.parts if part.name == name), None)

    def write(self) -> bytes:
        """The line, with its end."""
        return json.dumps(asdict(self), ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Finding:
        """Read what `write` wrote; `Malformed` for anything else."""
        if len(line) > LINE_LIMIT:
            raise Malformed(f"a line of {len(line)} octets")
        try:
            table = json.loads(line)
        except (ValueError, RecursionError):
            raise Malformed("a line that is not JSON") from None
        if not isinstance(table, dict) or set(table) != {"state", "parts", *_TEXTS}:
            raise Malformed("a line without the fields of a finding")
        if not all(isinstance(table[key], str) for key in _TEXTS) or table["state"] not in get_args(State):
            raise Malformed("a finding with a field of the wrong type")
        if not _SHA256.fullmatch(table["sha256"]) or not isinstance(table["parts"], list):
            raise Malformed("a finding without a digest or parts")
        return cls(**table | {"parts": tuple(_part(entry) for entry in table["parts"])})


def _part(entry: Any) -> FoundPart:
    match entry:
        case {"name": "kernel" | "initrd" as name, "size": int(size), "sha256": str(sha256), **rest} if not rest:
            if size >= 0 and _SHA256.fullmatch(sha256):
                return FoundPart(name, size, sha256)
    raise Malformed("a finding with a part that is none")
