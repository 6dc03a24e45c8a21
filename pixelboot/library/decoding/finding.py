"""What is known about one picture, as a value and as a line of JSON: so a decoder says it, and the cache keeps it.

A decoder that only examines says one finding: ``decoding`` when the description is sound, or what is wrong with it.
One that verifies says up to three: the same, then with the digest of the file, and at the end what the picture is.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pixelboot.malformed import Malformed

State = Literal["decoding", "ready", "damaged", "unbootable", "untrusted"]
"""``decoding``: the description is read, the pixels are not.  ``ready``: every digest was compared.  ``damaged``: it
holds something else than it says.  ``unbootable``: sound, but without a kernel.  ``untrusted``: not signed by a key
that this site trusts; no decoder says so, for the keys are the library's."""

LINE_LIMIT = 1 << 18
"""Octets of one line; a decoder that says more is broken."""

ROLES = ("kernel", "initrd", "dtb", "disk", "rootfs")
"""The names that parts have here."""

_STATES = frozenset(get_args(State))
_SIZE_LIMIT = 1 << 62
_HEX = re.compile("(?:[0-9a-f]{64})?")


@dataclass(frozen=True, slots=True)
class FoundPart:
    """A part that a boot has a use for."""

    name: str
    """What it is used as, and its name in the cache: ``kernel``, ``initrd``, ``dtb``, ``disk``, ``rootfs``."""

    size: int
    """Its length in octets."""

    sha256: str
    """SHA-256 of its octets in lower-case hex; empty until it is verified."""

    label: str = ""
    """Its name as the description spells it: untrusted text."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known about one picture.  All texts but digests and keys are untrusted, and empty where there is none."""

    state: State = "decoding"
    """What it is, as far as is known."""

    sha256: str = ""
    """SHA-256 of the picture file in lower-case hex; empty until it is known."""

    reason: str = ""
    """Why it is damaged or unbootable."""

    name: str = ""
    """Its name, for people."""

    description: str = ""
    """A sentence, for people."""

    distro: str = ""
    """The distribution."""

    architecture: str = ""
    """The processor, as the maker spells it, or else as the kernel says."""

    kernel_version: str = ""
    """The release of the kernel."""

    cmdline: str = ""
    """The kernel command line."""

    parts: tuple[FoundPart, ...] = ()
    """What a boot has a use for; of a damaged picture nothing."""

    format: str = ""
    """The format and its version, ``PixelRTS-2.0``."""

    type: str = ""
    """The kind of content, as the maker calls it."""

    key: str = ""
    """Its name in the cache, 64 hex digits: the SHA-256 of the picture, or one made from that of the picture and that
    of its sidecar where the description stands there.  Empty until it is known."""

    signer: str = ""
    """The Ed25519 public key, 64 hex digits, whose signature covers payload and description, and is right."""

    payload_signer: str = ""
    """The one whose signature covers the payload alone, and is right."""

    def part(self, name: str) -> FoundPart | None:
        """The part of this name, if there is one."""
        for part in self.parts:
            if part.name == name:
                return part
        return None

    def write(self) -> bytes:
        """The line, with its end: a list of the fields in their order, shorter and sooner read than a table."""
        fields = [getattr(self, name) for name in _FIELDS]
        fields[_PARTS] = [(part.name, part.size, part.sha256, part.label) for part in self.parts]
        return _ENCODER.encode(fields).encode("ascii") + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Finding:
        """Read what `write` wrote; `Malformed` for anything else."""
        if len(line) > LINE_LIMIT:
            raise Malformed(f"a line of {len(line)} octets")
        fields = _loaded(line)
        if type(fields) is not list or len(fields) != len(_FIELDS) or type(fields[_PARTS]) is not list:
            raise Malformed("a line that is no finding")
        fields[_PARTS] = tuple(_part(entry) for entry in fields[_PARTS])
        if frozenset(map(type, fields)) != _TYPES or fields[0] not in _STATES:
            raise Malformed("a finding with a field of the wrong type")
        finding = cls(*fields)
        if not all(map(_HEX.fullmatch, (finding.sha256, finding.key, finding.signer, finding.payload_signer))):
            raise Malformed("a finding with a digest that is none")
        return finding


_FIELDS = tuple(Finding.__slots__)
_PARTS = _FIELDS.index("parts")
_ENCODER = json.JSONEncoder(separators=(",", ":"))  # made once: making one takes longer than using it
_TYPES = frozenset((str, tuple))  # and JSON knows no tuples


def _loaded(line: bytes) -> Any:
    """The value of a line of JSON, in which no text has half a surrogate pair: those cannot be sent on to anybody."""
    try:
        value = json.loads(str(line, "ascii"))
        if b"\\ud" in line or b"\\uD" in line:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise Malformed("a line that is not JSON") from None
    return value


def _part(entry: Any) -> FoundPart:
    if type(entry) is list and len(entry) == 4:
        name, size, sha256, label = entry
        texts = type(name) is type(sha256) is type(label) is str and type(size) is int
        if texts and name in ROLES and 0 <= size < _SIZE_LIMIT and _HEX.fullmatch(sha256):
            return FoundPart(name, size, sha256, label)
    raise Malformed("a finding with a part that is none")
