"""The description of a container: the JSON text in its picture or beside it, as a value, and back.

Everything in the text is untrusted.  What is read is bounded, every number is checked against the payload before it is
believed, and whatever does not fit is `Damaged` with a reason.  What is not known here (other versions, encodings,
mappings, signatures) is refused by name, never misread.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from pixelboot.container import packed, signature, table
from pixelboot.container.hilbert import PIXEL
from pixelboot.container.signature import Signature
from pixelboot.container.table import (
    KEYWORD,
    LABEL_LIMIT,
    PAYLOAD,
    SIDE_LIMIT,
    Damaged,
    Part,
    Role,
    Table,
    number,
    shown,
)

BLUEPRINT = "PixelRTS-Blueprint"
"""Keyword of the tEXt chunk that holds the maker's plan of the picture: handed on as it is."""

FORMAT = "PixelRTS-2.0"
ENCODING = "RGBA-dense"
CODE = "RGBA-code"
"""The mode in which the pixels only colour what the description holds."""

CMDLINE_LIMIT = 4096
"""Characters of a command line, more than kernels read (``COMMAND_LINE_SIZE``).  A longer one is refused: what is cut
off it would be missed."""

_MODES = {"RGBA-dense": ENCODING, "standard": ENCODING, "dense": ENCODING, "RGBA-code": CODE, "code": CODE}
_MAPPING = "Hilbert space-filling curve"
_UNNAMED = "unnamed"


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

    type: str = ""
    """What kind of thing it is, as its maker says."""

    content_version: str = ""
    """The version of what is in it, as its maker counts."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The description of one container, checked against itself and against the grid."""

    side: int
    """Side of the picture in pixels."""

    size: int | None
    """Length of the payload in octets, before compression; 0 of a snapshot.  None where only inflating tells: when a
    compressed payload has neither ``data_size`` nor the size of a part."""

    sha256: str | None
    """SHA-256 of the payload in lower-case hex; None where the description has none."""

    parts: tuple[Part, ...]
    """The parts by offset; they do not overlap and lie within the payload.  A payload without a table of parts is one
    part with the name ``payload``."""

    labels: Labels = Labels()
    """What it says of itself."""

    format: str = FORMAT
    """The format, as the description spells it."""

    compression: str = ""
    """What the payload is said to be compressed with, which is often not so; empty when it is not compressed."""

    encoded_size: int | None = None
    """Octets that the pixels hold of a compressed payload; None where the description does not say."""

    mode: str = ENCODING
    """``RGBA-dense``: the pixels are the payload; ``RGBA-code``: the description holds it."""

    snapshot: bool = False
    """Whether it is the picture of a virtual machine's snapshot that has no payload.  The payload of one that has
    is the part ``disk``."""

    signature: Signature | None = None
    """Its signature, not checked yet."""

    def part(self, role: Role) -> Part | None:
        """The part with this role, if there is one."""
        return next((part for part in self.parts if part.role == role), None)


def parse(text: bytes, side: int, size_limit: int = SIDE_LIMIT * SIDE_LIMIT * PIXEL) -> Manifest:
    """Read the text of the description of a picture of this side; `Damaged` says what is wrong with it.

    The text is JSON with the letters ``PixelRTS`` before it, or (in early files) without them.  A compressed payload
    may have `size_limit` octets; another fits into the picture, or is in the text.
    """
    found = table.read(text)
    _refuse_unknown(found)
    if (grid := found.get("grid_size")) is not None and number(grid, "grid_size") != side:
        raise Damaged(f"the description is of a picture of side {grid}, this one has side {side}")
    mode = _mode(found)
    if mode == ENCODING and _is_snapshot(found):
        return Manifest(side, 0, None, (), _labels(found), _format(found), snapshot=True)
    capacity = side * side * PIXEL
    size, held, compression = _extent(found, mode, capacity)
    room = size if size is not None or compression else capacity
    parts = table.parts(found, room)
    if size is None and (room is not None or any(part.size for part in parts)):
        size = max((part.end for part in parts), default=room or 0)
    if size == 0 or (size is None and len(parts) > 1):
        raise Damaged("no payload: the description is of 0 octets")
    if mode == ENCODING and not compression and size is not None and size > capacity:
        raise Damaged(f"a payload of {size} octets does not fit into a picture of side {side}")
    if size is not None and size > size_limit:
        raise Damaged(f"a payload of {size} octets is above the limit of {size_limit}")
    sha256 = table.digest(found.get("data_hash"), "data_hash")
    return Manifest(
        side=side,
        size=size,
        sha256=sha256,
        parts=parts or (_whole(found, size or 0, sha256),),
        labels=_labels(found),
        format=_format(found),
        compression=compression,
        encoded_size=held,
        mode=mode,
        signature=signature.parse(found.get("signature")),
    )


def described(manifest: Manifest) -> Table:
    """The description as a JSON object; `Damaged` when it would not be readable again.

    Each part is spelled with both ``offset`` and ``start``/``end``, under ``segments`` and under ``offsets``: readers
    of the format look for one or the other.  A payload that is one part of the name ``payload`` has no such table.
    """
    if (manifest.format, manifest.mode, manifest.compression, manifest.encoded_size) != (FORMAT, ENCODING, "", None):
        raise Damaged("only the payload as it is can be written, not compressed and not in code mode")
    parts = {part.name: _entry(part) for part in manifest.parts}
    if len(parts) < len(manifest.parts):
        raise Damaged("two parts have the same name")
    if manifest.parts == (Part(PAYLOAD, 0, manifest.size or 0, manifest.sha256),):
        parts = {}
    labels = manifest.labels
    for key in Labels.__slots__:
        if key != "cmdline" and len(value := getattr(labels, key)) > LABEL_LIMIT:
            raise Damaged(f"{key} has {len(value)} characters; at most {LABEL_LIMIT} are kept")
    return {
        "format": FORMAT,
        "format_version": 2,
        "grid_size": manifest.side,
        "encoding": {"type": ENCODING, "bytes_per_pixel": PIXEL, "mapping": _MAPPING},
        "encoding_mode": ENCODING,
        "data_size": manifest.size,
        "data_hash": manifest.sha256,
        "segments": parts,
        "offsets": parts,
        "hashes": {part.name: part.sha256 for part in manifest.parts if parts and part.sha256 is not None},
        **{key: value for key in Labels.__slots__ if (value := getattr(labels, key))},
        **({"signature": signature.write(manifest.signature)} if manifest.signature else {}),
    }


def write(manifest: Manifest) -> str:
    """The description as ASCII text, for the tEXt chunk; `Damaged` when it would not be readable again."""
    text = KEYWORD + json.dumps(described(manifest), ensure_ascii=True, separators=(",", ":"))
    if parse(text.encode("ascii"), manifest.side) != manifest:
        raise Damaged("the description does not read back as it was written")
    return text


def _entry(part: Part) -> dict[str, int | str]:
    entry: dict[str, int | str] = {"offset": part.offset, "start": part.offset, "end": part.end, "size": part.size}
    return entry if part.sha256 is None else entry | {"sha256": part.sha256}


def _refuse_unknown(found: Table) -> None:
    """Refuse what would be misread here: other formats, other versions of this one, pixels in another order."""
    name = found.get("format")
    if name is not None and not (isinstance(name, str) and (name == KEYWORD or name.startswith("PixelRTS-2"))):
        raise Damaged(f"the format {shown(name)} is not supported, only {FORMAT}")
    if (version := found.get("format_version")) not in (None, 2, "2", "2.0"):
        raise Damaged(f"format_version {shown(version)} is not supported, only 2")
    # ``version`` may be the content's own; only a whole number is the format's.
    if type(version := found.get("version")) is int and version != 2:
        raise Damaged(f"version {version} of the format is not supported, only 2")
    encoding = found.get("encoding")
    if isinstance(encoding, dict):
        if (width := encoding.get("bytes_per_pixel")) not in (None, PIXEL):
            raise Damaged(f"{shown(width)} octets in a pixel are not supported, only {PIXEL}")
        mapping = encoding.get("mapping")
        if mapping is not None and not (isinstance(mapping, str) and "hilbert" in mapping.lower()):
            raise Damaged(f"the order of pixels {shown(mapping)} is not supported, only a {_MAPPING}")


def _format(found: Table) -> str:
    return table.text(found.get("format"), "format")[:LABEL_LIMIT] or FORMAT


def _mode(found: Table) -> str:
    """The mode that ``encoding`` and ``encoding_mode`` tell, or that the presence of a payload in the text does."""
    encoding = found.get("encoding")
    names = (encoding.get("type") if isinstance(encoding, dict) else encoding, found.get("encoding_mode"))
    modes = set()
    for name in names:
        if name is not None:
            if not isinstance(name, str) or name not in _MODES:
                raise Damaged(f"the encoding {shown(name)} is not supported, only {ENCODING} and {CODE}")
            modes.add(_MODES[name])
    if found.get("original_data_b64") is not None:
        modes.add(CODE)
    if len(modes) > 1:
        raise Damaged("the description contradicts itself about the encoding")
    return modes.pop() if modes else ENCODING


def _is_snapshot(found: Table) -> bool:
    """Whether there is a ``disk_size`` and nothing that tells how long the payload is."""
    if found.get("disk_size") is None or any(found.get(key) is not None for key in ("data_size", "encoded_size")):
        return False
    return not table.parts(found, None)


def _whole(found: Table, size: int, sha256: str | None) -> Part:
    """The one part of a payload without a table.

    Of a snapshot it is the disk, as far as ``disk_size`` reaches: what a machine had on its disk is not for booting,
    whatever its first octets look like.
    """
    if (disk := found.get("disk_size")) is None:
        return Part(PAYLOAD, 0, size, sha256)
    if type(disk) is not int or not 0 < disk < size:
        return Part("disk", 0, size, sha256, "disk")
    return Part("disk", 0, disk, None, "disk")


def _extent(found: Table, mode: str, capacity: int) -> tuple[int | None, int | None, str]:
    """The length of the payload if stated, the octets that the pixels hold of it if stated, and its compression.

    The compression is empty when there is none, and then the pixels hold the payload.
    """
    size, held = (None if found.get(key) is None else number(found[key], key) for key in ("data_size", "encoded_size"))
    label = _compression(found)
    if mode == CODE:
        written = len(packed.written_out(found.get("original_data_b64")))
        if size is None or size == written:
            return written, None, ""
        if not label:
            raise Damaged(f"the description holds {written} octets of payload, and says it has {size}")
        return size, None, label
    if held is not None and not 0 < held <= capacity:
        raise Damaged(f"encoded_size is {held}, which is not between 1 and {capacity}")
    if not label and held is not None:
        if size is None or size == held:
            return held, None, ""
        label = _UNNAMED
    return size, held, label


def _compression(found: Table) -> str:
    """The name of the compression; empty where there is none."""
    stated = found.get("compression")
    if isinstance(stated, dict):
        stated = stated.get("type", _UNNAMED) if stated else None
    if stated is None or stated is False:
        return ""
    if not isinstance(stated, str):
        raise Damaged(f"the compression {shown(stated)} is not a name")
    return "" if stated.lower() == "none" else stated[:LABEL_LIMIT] or _UNNAMED


def _labels(found: Table) -> Labels:
    texts = {key: table.text(found.get(key), key)[:LABEL_LIMIT] for key in Labels.__slots__ if key != "cmdline"}
    early = found.get("original_rts")
    spellings = [found.get("cmdline"), found.get("kernel_cmdline")]
    spellings += [early.get("kernel_cmdline")] if isinstance(early, dict) else []
    cmdline = next((line for value in spellings if (line := table.text(value, "the command line").strip())), "")
    if len(cmdline) > CMDLINE_LIMIT:
        raise Damaged(f"the command line has {len(cmdline)} characters; at most {CMDLINE_LIMIT} are allowed")
    if not cmdline.isprintable():
        raise Damaged("the command line has control characters")
    return Labels(**texts, cmdline=cmdline)
