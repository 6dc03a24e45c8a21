"""The table in a description, and the parts it names: JSON from a stranger, bounded and then checked value by value.

Whatever the octets are, they become a value or `Damaged`.  The text is bounded (`TEXT_LIMIT`), so is the number of
values in it (`VALUES_LIMIT`), since a value takes thirty times the memory of its text, and so is every number.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pixelboot.malformed import Malformed

KEYWORD = "PixelRTS"
"""Keyword of the tEXt chunk that holds the description; the text itself begins with the same letters."""

TEXT_LIMIT = 4 << 20
"""Octets of description that are read or written.  In code mode the payload is among them."""

SIDE_LIMIT = 16384
"""The largest side of a picture that is read or written unless the caller says otherwise: 1 GiB of payload."""

VALUES_LIMIT = 100_000
"""Values that a description may have, reckoned by its commas and brackets."""

PARTS_LIMIT = 64
"""Parts that one container may have."""

LABEL_LIMIT = 1024
"""Characters of a descriptive text that are kept; what is longer is cut."""

PAYLOAD = "payload"
"""The name of the one part of a payload that has no table of parts."""

Role = Literal["kernel", "initrd", "dtb", "disk", "rootfs"]
"""What a part is for.  A boot uses kernel, initrd and dtb (the device tree); disk and rootfs are told, not booted."""

Table = dict[str, Any]
"""A JSON object as it was read: nothing in it is checked yet."""

_ROLES: dict[str, Role] = {
    "kernel": "kernel",
    "vmlinuz": "kernel",
    "vmlinux": "kernel",
    "bzimage": "kernel",
    "initrd": "initrd",
    "initramfs": "initrd",
    "initrd.img": "initrd",
    "dtb": "dtb",
    "disk": "disk",
    "rootfs": "rootfs",
}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NUMBER_LIMIT = 1 << 62

_Spelling = tuple[int | None, int | None, str | None, str | None]
"""What a table says of a part: offset, size, SHA-256, type."""


class Damaged(Malformed):
    """A container that cannot be used; the text is the reason, for a person to read."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the payload."""

    name: str
    """As the description spells it: untrusted text of any characters and length, never a path."""

    offset: int
    """Where it begins in the payload, in octets."""

    size: int
    """Its length in octets."""

    sha256: str | None = None
    """SHA-256 of its octets in lower-case hex; None where the description has none."""

    role: Role | None = None
    """What it is for; None where nobody says."""

    @property
    def end(self) -> int:
        """The offset behind its last octet."""
        return self.offset + self.size


def read(text: bytes) -> Table:
    """The JSON object in the text of a description, with the letters ``PixelRTS`` before it or (early files) without.

    `Damaged` when it is not JSON, or more than is read.
    """
    if len(text) > TEXT_LIMIT:
        raise Damaged(f"the description has {len(text)} octets; at most {TEXT_LIMIT} are read")
    if sum(text.count(mark) for mark in (b",", b"[", b"{")) > VALUES_LIMIT:
        raise Damaged(f"the description has more than {VALUES_LIMIT} values")
    try:
        plain = text.decode("utf-8-sig")
    except UnicodeDecodeError:
        plain = text.decode("latin-1")  # what PNG says of tEXt
    try:
        found = json.loads(
            plain.removeprefix(KEYWORD),
            parse_int=_parse_int,
            parse_constant=_parse_constant,
            object_pairs_hook=_parse_pairs,
        )
    except Damaged:
        raise
    except RecursionError:
        raise Damaged("the description is nested too deeply") from None
    except ValueError as error:
        raise Damaged(f"the description is not JSON: {error}") from None
    return an_object(found, "the description")


def canonical(table: Table) -> bytes:
    """The table without its ``signature`` in the one spelling that is signed: keys sorted, no spaces, ASCII."""
    unsigned = {key: value for key, value in table.items() if key != "signature"}
    try:
        return json.dumps(unsigned, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode("ascii")
    except RecursionError:
        raise Damaged("the description is nested too deeply") from None


def role_of(name: str) -> Role | None:
    """What a part of this name is for, in upper or lower case."""
    return _ROLES.get(name.lower())


def parts(table: Table, room: int | None) -> tuple[Part, ...]:
    """The parts by offset, out of ``segments``, ``offsets`` and ``hashes``; where two of them speak they must agree.

    `room` is the length of the payload in octets; None when it is not known before the payload is inflated, and then an
    only part that does not say its size has size 0.
    """
    hashes = an_object({} if table.get("hashes") is None else table["hashes"], "hashes")
    found: dict[str, _Spelling] = {}
    for key in ("offsets", "segments"):
        entries = an_object({} if table.get(key) is None else table[key], key)
        if len(entries) > PARTS_LIMIT:
            raise Damaged(f"the description has {len(entries)} parts; at most {PARTS_LIMIT} are read")
        for spelled, entry in entries.items():
            name = text(spelled, "a name")
            what = f"part {shown(name)}"
            if not name:
                raise Damaged("a part has no name")
            known = found.get(name) or (None, None, digest(hashes.get(spelled), f"the hash of {what}"), None)
            offset, size, sha256, kind = _spelling(entry, what)
            found[name] = (
                _agreed(known[0], offset, what),
                _agreed(known[1], size, what),
                _agreed(known[2], sha256, what),
                kind or known[3],
            )
    if len(found) > PARTS_LIMIT:
        raise Damaged(f"the description has {len(found)} parts; at most {PARTS_LIMIT} are read")
    placed = [_placed(name, spelling, len(found) == 1, room, f"part {shown(name)}") for name, spelling in found.items()]
    placed.sort(key=lambda part: (part.offset, part.end))
    _check(placed, room)
    types = {name: role_of(kind) if kind else None for name, (_, _, _, kind) in found.items()}
    return with_roles(placed, types)


def with_roles(found: Iterable[Part], hints: Mapping[str, Role | None]) -> tuple[Part, ...]:
    """The parts, each that has no role with the one hinted at for its name.

    A hint counts when no part has that role already and no other is hinted at for it: nothing is guessed.
    """
    found = tuple(found)
    taken = {part.role for part in found}
    hinted = Counter(hints.get(part.name) for part in found if part.role is None)
    return tuple(
        replace(part, role=hint)
        if part.role is None and (hint := hints.get(part.name)) and hint not in taken and hinted[hint] == 1
        else part
        for part in found
    )


def _placed(name: str, spelling: _Spelling, alone: bool, room: int | None, what: str) -> Part:
    offset, size, sha256, _ = spelling
    if offset is None and not alone:
        raise Damaged(f"{what} has no position")
    offset = offset or 0
    if room is None and (size == 0 if alone else size is None):
        raise Damaged(f"{what} has no size")
    if size is None:
        size = 0 if room is None else room - offset
    return Part(name, offset, size, sha256, role_of(name))


def _check(found: list[Part], room: int | None) -> None:
    """`Damaged` unless the parts, sorted by offset, lie side by side in `room` octets, at most one to a role."""
    reached = 0
    for part in found:
        if (room is not None and part.end > room) or part.size < 0:
            raise Damaged(f"part {shown(part.name)} runs past the end of the payload")
        if part.offset < reached:
            raise Damaged(f"part {shown(part.name)} overlaps another part")
        reached = part.end
    for role in dict.fromkeys(part.role for part in found if part.role):
        if len(named := [shown(part.name) for part in found if part.role == role]) > 1:
            raise Damaged(f"more than one part is the {role}: {', '.join(named)}")


def _spelling(value: object, what: str) -> _Spelling:
    """One entry of a table of parts, whichever way it is spelled."""
    entry = an_object(value, what)
    offset, start, end, size = (
        None if entry.get(key) is None else number(entry[key], f"{key} of {what}")
        for key in ("offset", "start", "end", "size")
    )
    offset = _agreed(offset, start, what)
    if end is not None:
        if offset is None or end < offset:
            raise Damaged(f"{what} ends before it starts")
        size = _agreed(size, end - offset, what)
    kind = entry.get("type")
    return offset, size, digest(entry.get("sha256"), f"sha256 of {what}"), kind if isinstance(kind, str) else None


def _agreed(first: Any, second: Any, what: str) -> Any:
    """The one of two statements that was made; both, when they say the same."""
    if first is not None and second is not None and first != second:
        raise Damaged(f"the description contradicts itself about {what}")
    return second if first is None else first


def _parse_int(digits: str) -> int:
    # The cost of int() grows with the square of the length, and a float would lose digits unnoticed.
    if len(digits) > 20:
        raise Damaged(f"the description has a number of {len(digits)} digits")
    return int(digits)


def _parse_pairs(pairs: list[tuple[str, Any]]) -> Table:
    # Readers differ in which of two they believe, and who signs a description may have seen the other one.
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise Damaged(f"the description says {shown(twice)} twice")
    return found


def _parse_constant(name: str) -> float:
    raise Damaged(f"the description is not JSON: {name} is not a number")


def text(value: object, what: str) -> str:
    """A text, or a number as one; empty when there is none."""
    if value is None:
        return ""
    if isinstance(value, str):
        # JSON can spell lone surrogates, which no encoding can carry on.
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise Damaged(f"{what} is not a text")


def number(value: object, what: str) -> int:
    """A whole number, not negative, that an octet count can be."""
    if type(value) is not int:
        raise Damaged(f"{what} is not a whole number")
    if not 0 <= value < _NUMBER_LIMIT:
        raise Damaged(f"{what} is {value}, which cannot be")
    return value


def digest(value: object, what: str) -> str | None:
    """A SHA-256 in lower-case hex, if there is one."""
    if value is None:
        return None
    if not isinstance(value, str) or not _SHA256.fullmatch(value.lower()):
        raise Damaged(f"{what} is not a SHA-256 in hex")
    return value.lower()


def an_object(value: object, what: str) -> Table:
    """A JSON object."""
    if not isinstance(value, dict):
        raise Damaged(f"{what} is not a JSON object")
    return value


def shown(value: object) -> str:
    """An untrusted value for a message: short, and of texts only what is printable."""
    if not isinstance(value, (str, int)):
        return "nothing" if value is None else f"a {type(value).__name__}"
    return repr(value if isinstance(value, int) else value[:60])
