"""Domain names inside options: the labels of RFC 1035 §3.1, compressed by its §4.1.4 where RFC 3397 wants it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pixelboot.malformed import Malformed

LONGEST_NAME = 253
"""Octets of a name in its written form."""

_MOST_POINTERS = 127
"""What a name can need: it has at most so many labels."""
_POINTER = 0xC000
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def check(name: str) -> str:
    """A written domain name without the dot that may end it; `Malformed` says what is wrong with any other text."""
    bare = name.removesuffix(".")
    if not bare.isascii():
        raise Malformed("a name in another script is written as xn--…")
    if len(bare) > LONGEST_NAME:
        raise Malformed(f"{len(bare)} characters are more than {LONGEST_NAME}")
    label = ""
    for label in bare.split("."):
        if not _LABEL.fullmatch(label):
            raise Malformed("between dots stand 1 to 63 letters, digits, underscores, or dashes inside")
    if label.isdigit():
        raise Malformed("the last part of a name is no number")
    return bare


def encode(names: Iterable[str], compressed: bool = True) -> bytes:
    """The names one after the other, the end of a name by a pointer where it stands already; `Malformed` as `check`."""
    field = bytearray()
    places: dict[tuple[str, ...], int] = {}
    for name in names:
        labels = tuple(check(name).split("."))
        while labels and labels not in places:
            if compressed and len(field) < 1 << 14:  # further in, no pointer reaches
                places[labels] = len(field)
            field.append(len(labels[0]))
            field += labels[0].encode("ascii")
            labels = labels[1:]
        field += (_POINTER | places[labels]).to_bytes(2) if labels else b"\0"
    return bytes(field)


def decode(octets: bytes) -> tuple[str, ...]:
    r"""The names in an option whose pieces are joined, as pointers count from its start (RFC 3397 §2).

    What is no letter, digit, dash or underscore in a label is escaped as in a zone file (``\046`` is a dot).  The root
    is a dot alone.

    :raises Malformed: a label or pointer runs past the end, a name is too long, or a pointer does not lead backwards:
        then it might go round for ever.
    """
    names = []
    at = 0
    while at < len(octets):
        name, at = _name(octets, at)
        names.append(name)
    return tuple(names)


def _name(octets: bytes, start: int) -> tuple[str, int]:
    """The name at `start`, and where it ends."""
    labels: list[str] = []
    size = pointers = 0
    after = None
    at = lowest = start
    while True:
        length = octets[at] if at < len(octets) else 1  # then what follows is past the end, too
        end = at + 1 + (1 if length & 0xC0 else length)
        if end > len(octets):
            raise Malformed("a domain name runs past the end")
        if length >= 0xC0:
            target = int.from_bytes(octets[at:end]) & ~_POINTER
            pointers += 1
            if target >= lowest or pointers > _MOST_POINTERS:
                raise Malformed("a domain name goes round in a circle")
            after = after or end
            at = lowest = target
            continue
        if length > 63:
            raise Malformed(f"{length} begins no label of a domain name")
        if length == 0:
            return ".".join(labels) or ".", after or end
        size += 1 + length
        if size > LONGEST_NAME + 1:
            raise Malformed("a domain name is too long")
        labels.append("".join(map(_character, octets[at + 1 : end])))
        at = end


def _character(octet: int) -> str:
    character = chr(octet)
    return character if octet < 128 and (character.isalnum() or character in "-_") else f"\\{octet:03}"
