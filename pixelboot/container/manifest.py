"""The description of a container: the JSON text in its picture, as a value, and back.

Everything in the text is untrusted.  What is read is bounded (`TEXT_LIMIT`, `PARTS_LIMIT`), every number is checked
against the payload before it is believed, and whatever does not fit is `Damaged` with a reason.  What the format knows
and this reader does not (compressed payloads, code mode) is refused by name, never misread.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from pixelboot.container.hilbert import PIXEL
from pixelboot.malformed import Malformed

KEYWORD = "PixelRTS"
"""Keyword of the tEXt chunk that holds the description; the text itself begins with the same letters."""

FORMAT = "PixelRTS-2.0"
ENCODING = "RGBA-dense"

TEXT_LIMIT = 1 << 20
"""Octets of description that are read or written."""

PARTS_LIMIT = 64
"""Parts that one container may have."""

LABEL_LIMIT = 1024
"""Characters of a descriptive text that are kept; what is longer is cut."""

CMDLINE_LIMIT = 4096
"""Characters of a command line, more than kernels read (``COMMAND_LINE_SIZE``).  A longer one is refused: what is cut
off it would be missed."""

Role = Literal["kernel", "initrd"]

_ROLES: dict[str, Role] = {
    "kernel": "kernel",
    "vmlinuz": "kernel",
    "vmlinux": "kernel",
    "bzimage": "kernel",
    "initrd": "initrd",
    "initramfs": "initrd",
    "initrd.img": "initrd",
}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NUMBER_LIMIT = 1 << 62

_Spelling = tuple[int | None, int | None, str | None]
"""What a table says of a part: offset, size, SHA-256."""


class Damaged(Malformed):
    """A container that cannot be used; the text is the reason, for a person to read."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the payload."""

    name: str
    """As the description spells it: untrusted text, never a path."""

    offset: int
    """Where it begins in the payload, in octets."""

    size: int
    """Its length in octets."""

    sha256: str | None = None
    """SHA-256 of its octets in lower-case hex; None where the description has none."""

    @property
    def end(self) -> int:
        """The offset behind its last octet."""
        return self.offset + self.size

    @property
    def role(self) -> Role | None:
        """What a boot uses it for, by its name; None of a part that a boot does not use."""
        return _ROLES.get(self.name.lower())


@dataclass(frozen=True, slots=True)
class Labels:
    """What a container says of itself to people, and to the kernel.  Untrusted text, empty where absent."""

    name: str = ""
    """A short name."""

    description: str = ""
    """A sentence."""

    distro: str = ""
    """The distribution it was made from."""

    architecture: str = ""
    """The processor it is for, as its maker spells it (``x86_64``)."""

    kernel_version: str = ""
    """The release of its kernel (``uname -r``)."""

    cmdline: str = ""
    """The kernel command line."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The description of one container, checked against itself and against the grid."""

    side: int
    """Side of the picture in pixels."""

    size: int
    """Length of the payload in octets."""

    sha256: str | None
    """SHA-256 of the payload in lower-case hex; None where the description has none."""

    parts: tuple[Part, ...]
    """The parts by offset; they do not overlap and lie within the payload."""

    labels: Labels = Labels()
    """What it says of itself."""

    def part(self, role: Role) -> Part | None:
        """The part with this role, if there is one."""
        return next((part for part in self.parts if part.role == role), None)


def parse(text: bytes, side: int) -> Manifest:
    """Read the text of the description in a picture of this side; `Damaged` says what is wrong with it.

    The text is JSON with the letters ``PixelRTS`` before it, or (in early files) without them.
    """
    table = _table_of(_decoded(text), "the description")
    _refuse_unknown(table)
    capacity = side * side * PIXEL
    if (grid := table.get("grid_size")) is not None and _number(grid, "grid_size") != side:
        raise Damaged(f"the description is of a picture of side {grid}, this one has side {side}")
    stated = None if table.get("data_size") is None else _number(table["data_size"], "data_size")
    parts = _parts(table, capacity if stated is None else stated)
    size = stated if stated is not None else max((part.end for part in parts), default=capacity)
    if size == 0:
        raise Damaged("there is no payload")
    if size > capacity:
        raise Damaged(f"a payload of {size} octets does not fit into a picture of side {side}")
    return Manifest(side, size, _digest(table.get("data_hash"), "data_hash"), parts, _labels(table))


def write(manifest: Manifest) -> str:
    """The description as ASCII text, for the tEXt chunk; `Damaged` when it would not be readable again.

    Each part is spelled with both ``offset`` and ``start``/``end``, under ``segments`` and under ``offsets``: readers
    of the format look for one or the other.
    """
    parts = {part.name: _entry(part) for part in manifest.parts}
    if len(parts) < len(manifest.parts):
        raise Damaged("two parts have the same name")
    labels = manifest.labels
    for key in Labels.__slots__:
        if key != "cmdline" and len(value := getattr(labels, key)) > LABEL_LIMIT:
            raise Damaged(f"{key} has {len(value)} characters; at most {LABEL_LIMIT} are kept")
    table = {
        "format": FORMAT,
        "format_version": 2,
        "grid_size": manifest.side,
        "encoding": {"type": ENCODING, "bytes_per_pixel": PIXEL, "mapping": "Hilbert space-filling curve"},
        "encoding_mode": ENCODING,
        "data_size": manifest.size,
        "data_hash": manifest.sha256,
        "segments": parts,
        "offsets": parts,
        "hashes": {part.name: part.sha256 for part in manifest.parts if part.sha256 is not None},
        **{key: value for key in Labels.__slots__ if (value := getattr(labels, key))},
    }
    text = KEYWORD + json.dumps(table, ensure_ascii=True, separators=(",", ":"))
    if parse(text.encode("ascii"), manifest.side) != manifest:
        raise Damaged("the description does not read back as it was written")
    return text


def _entry(part: Part) -> dict[str, int | str]:
    entry: dict[str, int | str] = {"offset": part.offset, "start": part.offset, "end": part.end, "size": part.size}
    return entry if part.sha256 is None else entry | {"sha256": part.sha256}


def _decoded(text: bytes) -> Any:
    if len(text) > TEXT_LIMIT:
        raise Damaged(f"the description has {len(text)} octets; at most {TEXT_LIMIT} are read")
    try:
        plain = text.decode("utf-8")
    except UnicodeDecodeError:
        plain = text.decode("latin-1")  # what PNG says of tEXt
    try:
        return json.loads(plain.removeprefix(KEYWORD), parse_int=_parse_int, parse_constant=_parse_constant)
    except Damaged:
        raise
    except RecursionError:
        raise Damaged("the description is nested too deeply") from None
    except ValueError as error:
        raise Damaged(f"the description is not JSON: {error}") from None


def _parse_int(digits: str) -> int:
    # The cost of int() grows with the square of the length, and a float would lose digits unnoticed.
    if len(digits) > 20:
        raise Damaged(f"the description has a number of {len(digits)} digits")
    return int(digits)


def _parse_constant(name: str) -> float:
    raise Damaged(f"the description is not JSON: {name} is not a number")


def _refuse_unknown(table: dict[str, Any]) -> None:
    """Refuse what this reader would misread: other formats, other encodings, compressed payloads."""
    if (name := table.get("format")) is not None and not (isinstance(name, str) and name.startswith("PixelRTS-2")):
        raise Damaged(f"the format {_shown(name)} is not supported, only {FORMAT}")
    for key in ("format_version", "version"):
        # ``version`` may be a text of the content's own; only a bare number is the format's.
        if type(version := table.get(key)) is int and version != 2:
            raise Damaged(f"{key} {version} of the format is not supported, only 2")
    encoding = table.get("encoding")
    for name in (encoding.get("type") if isinstance(encoding, dict) else encoding, table.get("encoding_mode")):
        if name is not None and name not in (ENCODING, "standard"):
            raise Damaged(f"the encoding {_shown(name)} is not supported yet, only {ENCODING}")
    if table.get("original_data_b64") is not None:
        raise Damaged("a payload in code mode is not supported yet")
    compression = table.get("compression")
    kind = compression.get("type", "unnamed") if isinstance(compression, dict) and compression else compression
    if kind not in (None, "none", False, {}):
        raise Damaged(f"a compressed payload ({_shown(kind)}) is not supported yet")
    held = table.get("encoded_size")
    if held is not None and table.get("data_size") not in (None, _number(held, "encoded_size")):
        raise Damaged("a payload that is not held as it is (encoded_size) is not supported yet")


def _parts(table: dict[str, Any], room: int) -> tuple[Part, ...]:
    """The parts by offset, out of ``segments``, ``offsets`` and ``hashes``; where two of them speak they must agree."""
    spellings: list[tuple[str, _Spelling]] = []
    for key in ("offsets", "segments"):
        entries = _table_of({} if table.get(key) is None else table[key], key)
        if len(entries) > PARTS_LIMIT:
            raise Damaged(f"the description has {len(entries)} parts; at most {PARTS_LIMIT} are read")
        spellings += [(name, _spelling(entry, f"part {_shown(name)}")) for name, entry in entries.items()]
    hashes = _table_of({} if table.get("hashes") is None else table["hashes"], "hashes")
    found: dict[str, _Spelling] = {}
    for name, spelling in spellings:
        if not name or not name.isprintable():
            raise Damaged(f"a part has the name {_shown(name)}")
        known = found.get(name, (None, None, _digest(hashes.get(name), f"the hash of part {_shown(name)}")))
        found[name] = tuple(_agreed(*pair, f"part {_shown(name)}") for pair in zip(known, spelling, strict=True))
    parts = []
    for name, (offset, size, sha256) in found.items():
        if offset is None and len(found) > 1:
            raise Damaged(f"part {_shown(name)} has no position")
        offset = offset or 0
        parts.append(Part(name, offset, room - offset if size is None else size, sha256))
    parts.sort(key=lambda part: (part.offset, part.end))
    _check(parts, room)
    return tuple(parts)


def _check(parts: list[Part], room: int) -> None:
    """`Damaged` unless the parts, sorted by offset, lie side by side in `room` octets, at most one to a role."""
    reached = 0
    for part in parts:
        if part.end > room or part.size < 0:
            raise Damaged(f"part {_shown(part.name)} runs past the end of the payload")
        if part.offset < reached:
            raise Damaged(f"part {_shown(part.name)} overlaps another part")
        reached = part.end
    for role in ("kernel", "initrd"):
        if len(named := [_shown(part.name) for part in parts if part.role == role]) > 1:
            raise Damaged(f"more than one part is the {role}: {', '.join(named)}")


def _spelling(value: object, what: str) -> _Spelling:
    """One entry of a table of parts, whichever way it is spelled."""
    entry = _table_of(value, what)
    offset, start, end, size = (
        None if entry.get(key) is None else _number(entry[key], f"{key} of {what}")
        for key in ("offset", "start", "end", "size")
    )
    offset = _agreed(offset, start, what)
    if end is not None:
        if offset is None or end < offset:
            raise Damaged(f"{what} ends before it starts")
        size = _agreed(size, end - offset, what)
    return offset, size, _digest(entry.get("sha256"), f"sha256 of {what}")


def _agreed(first: Any, second: Any, what: str) -> Any:
    """The one of two statements that was made; both, when they say the same."""
    if first is not None and second is not None and first != second:
        raise Damaged(f"the description contradicts itself about {what}")
    return second if first is None else first


def _labels(table: dict[str, Any]) -> Labels:
    texts = {key: _text(table.get(key), key)[:LABEL_LIMIT] for key in Labels.__slots__ if key != "cmdline"}
    early = table.get("original_rts")
    spellings = [table.get("cmdline"), table.get("kernel_cmdline")]
    spellings += [early.get("kernel_cmdline")] if isinstance(early, dict) else []
    cmdline = next((found for value in spellings if (found := _text(value, "the command line").strip())), "")
    if len(cmdline) > CMDLINE_LIMIT:
        raise Damaged(f"the command line has {len(cmdline)} characters; at most {CMDLINE_LIMIT} are allowed")
    if not cmdline.isprintable():
        raise Damaged("the command line has control characters")
    return Labels(**texts, cmdline=cmdline)


def _text(value: object, what: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # JSON can spell lone surrogates, which no encoding can carry on.
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise Damaged(f"{what} is not a text")


def _number(value: object, what: str) -> int:
    if type(value) is not int:
        raise Damaged(f"{what} is not a whole number")
    if not 0 <= value < _NUMBER_LIMIT:
        raise Damaged(f"{what} is {value}, which cannot be")
    return value


def _digest(value: object, what: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _SHA256.fullmatch(value.lower()):
        raise Damaged(f"{what} is not a SHA-256 in hex")
    return value.lower()


def _table_of(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Damaged(f"{what} is not a JSON object")
    return value


def _shown(value: object) -> str:
    """An untrusted value for a message: short, and of texts only what is printable."""
    if not isinstance(value, (str, int)):
        return f"a {type(value).__name__}"
    return repr(value if isinstance(value, int) else value[:60])
