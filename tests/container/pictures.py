"""Pictures made by hand, octet by octet, with nothing of the code under test: what the format says, spelled out."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def d2xy(side: int, index: int) -> tuple[int, int]:
    """Column and row of the pixel at `index` of the Hilbert curve, by the classical algorithm."""
    x = y = 0
    size = 1
    while size < side:
        right = (index >> 1) & 1
        lower = (index ^ right) & 1
        if not lower:
            if right:
                x, y = size - 1 - x, size - 1 - y
            x, y = y, x
        x += size * right
        y += size * lower
        index >>= 2
        size *= 2
    return x, y


def chunk(kind: bytes, octets: bytes) -> bytes:
    """A PNG chunk with its length and CRC."""
    return struct.pack(">I", len(octets)) + kind + octets + struct.pack(">I", zlib.crc32(kind + octets))


def header(width: int, height: int | None = None, depth: int = 8, colour: int = 6, interlace: int = 0) -> bytes:
    """An IHDR chunk."""
    fields = struct.pack(">IIBBBBB", width, width if height is None else height, depth, colour, 0, 0, interlace)
    return chunk(b"IHDR", fields)


def text(octets: bytes, keyword: bytes = b"PixelRTS") -> bytes:
    """A tEXt chunk."""
    return chunk(b"tEXt", keyword + b"\0" + octets)


def rows(payload: bytes, side: int) -> bytes:
    """The scanlines of a picture that holds this payload; the filters alternate between none, sub and up."""
    pixels = [[bytes(4)] * side for _ in range(side)]
    for index in range(-(-len(payload) // 4)):
        x, y = d2xy(side, index)
        pixels[y][x] = payload[4 * index : 4 * index + 4].ljust(4, b"\0")
    lines = [bytes(4 * side)] + [b"".join(row) for row in pixels]
    return b"".join(_filtered(lines[y], lines[y + 1], y % 3) for y in range(side))


def _filtered(above: bytes, line: bytes, kind: int) -> bytes:
    subtracted = (bytes(len(line)), bytes(4) + line[:-4], above)[kind]
    return bytes([kind]) + bytes((a - b) & 255 for a, b in zip(line, subtracted, strict=True))


def picture(chunks: Iterable[bytes], lines: bytes, cut: int = 0) -> bytes:
    """A whole picture: these chunks, the scanlines in IDAT chunks of `cut` octets (or four of them), and IEND."""
    stream = zlib.compress(lines)
    cut = cut or len(stream) // 4 + 1
    pixels = b"".join(chunk(b"IDAT", stream[i : i + cut]) for i in range(0, len(stream), cut))
    return SIGNATURE + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def container(parts: Mapping[str, bytes], side: int = 8, **fields: Any) -> bytes:
    """A container in today's spelling; further fields replace or add to those of the description, None removes."""
    payload = b"".join(parts.values())
    return picture([header(side), text(description(parts, side, **fields))], rows(payload, side))


def description(parts: Mapping[str, bytes], side: int = 8, **fields: Any) -> bytes:
    """The text of the description, for these parts one after the other."""
    payload = b"".join(parts.values())
    table: dict[str, object] = {
        "format": "PixelRTS-2.0",
        "format_version": 2,
        "grid_size": side,
        "encoding": {"type": "RGBA-dense", "bytes_per_pixel": 4, "mapping": "Hilbert space-filling curve"},
        "encoding_mode": "RGBA-dense",
        "data_size": len(payload),
        "data_hash": hashlib.sha256(payload).hexdigest(),
        "offsets": {},
        "hashes": {name: hashlib.sha256(octets).hexdigest() for name, octets in parts.items()},
    }
    offset = 0
    offsets: dict[str, object] = {}
    for name, octets in parts.items():
        offsets[name] = {"start": offset, "end": offset + len(octets), "size": len(octets)}
        offset += len(octets)
    table |= {"offsets": offsets} | fields
    return b"PixelRTS" + json.dumps({key: value for key, value in table.items() if value is not None}).encode("ascii")
