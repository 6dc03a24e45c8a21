"""Pictures made quickly, by hand: many small ones, and ones that take a decoder long.

pixelboot's own writer takes as long as Pillow does, which looks for the best filter of every line.  These have one
filter and next to no compression.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AFTER_HEADER = len(SIGNATURE) + 25
"""Where the chunk behind IHDR begins."""

_PIECE = 1 << 20

HEAVY_SIDE = 8192
"""Pixels of the side of a heavy picture, which holds 256 MiB."""

_BLOCK_LINES = 16
_PAETH = 4
_LETTERS = b"\x00\x11\x55\xee"
"""Few different octets: they are compressed to two bits each, so every octet costs the decoder a look into a table."""


def light(parts: Mapping[str, bytes], name: str = "") -> bytes:
    """A container with these parts, at least one of them not empty, as the octets of its file."""
    import numpy as np

    from pixelboot.container import hilbert

    payload = b"".join(parts.values())
    side = hilbert.side_for(len(payload))
    grid = np.zeros((side, side), np.uint32)
    filled = payload + bytes(-len(payload) % (4 * hilbert.run(side)))
    hilbert.scatter(np.frombuffer(filled, np.uint32), grid, 0)
    lines = np.zeros((side, 1 + 4 * side), np.uint8)
    lines[:, 1:] = grid.view(np.uint8).reshape(side, 4 * side)
    return b"".join(
        (
            *(
                SIGNATURE,
                _header(side),
                _description({key: len(part) for key, part in parts.items()}, side, name, payload),
            ),
            *(_chunk(b"IDAT", zlib.compress(lines.tobytes(), 0)), _chunk(b"IEND", b"")),
        )
    )


def heavy(path: Path, name: str = "", side: int = HEAVY_SIDE) -> None:
    """Write a container with a kernel of 256 MiB, which nothing could boot, in a second; decoding takes several.

    Its lines repeat, and so do the chunks that hold them: both are made once.  `side` is at least 16.
    """
    line = 4 * side
    letters = random.Random(name).choices(_LETTERS, k=_BLOCK_LINES * line)
    block = b"".join(bytes([_PAETH]) + bytes(letters[at : at + line]) for at in range(0, len(letters), line))
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
    pixels = _chunk(b"IDAT", deflate.compress(block) + deflate.flush(zlib.Z_FULL_FLUSH))
    checksum = 1
    with path.open("wb") as file:
        file.write(SIGNATURE + _header(side) + _description({"kernel": line * side}, side, name))
        file.write(_chunk(b"IDAT", b"\x78\x01"))
        for _ in range(side // _BLOCK_LINES):
            file.write(pixels)
            checksum = zlib.adler32(block, checksum)
        file.write(_chunk(b"IDAT", b"\x03\x00" + checksum.to_bytes(4)) + _chunk(b"IEND", b""))


def variant(source: Path, target: Path, word: str) -> None:
    """Write the picture in `source` to `target` with `word` as a comment: the same pixels, in a file nobody knows."""
    with source.open("rb") as old, target.open("wb") as new:
        new.write(old.read(_AFTER_HEADER) + _chunk(b"tEXt", b"Comment\0" + word.encode("ascii")))
        shutil.copyfileobj(old, new, _PIECE)


def _header(side: int) -> bytes:
    """Eight-bit RGBA, not interlaced."""
    return _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0))


def _description(sizes: Mapping[str, int], side: int, name: str, payload: bytes | None = None) -> bytes:
    """The text chunk; with digests where the payload is known."""
    table: dict[str, object] = {"format": "PixelRTS-2.0", "format_version": 2, "grid_size": side, "name": name}
    offsets, hashes, offset = {}, {}, 0
    for key, size in sizes.items():
        offsets[key] = {"start": offset, "end": offset + size, "size": size}
        if payload is not None:
            hashes[key] = hashlib.sha256(payload[offset : offset + size]).hexdigest()
        offset += size
    table |= {"data_size": offset, "offsets": offsets, "hashes": hashes}
    if payload is not None:
        table["data_hash"] = hashlib.sha256(payload).hexdigest()
    return _chunk(b"tEXt", b"PixelRTS\0PixelRTS" + json.dumps(table).encode("ascii"))


def _chunk(kind: bytes, octets: bytes) -> bytes:
    return struct.pack(">I", len(octets)) + kind + octets + struct.pack(">I", zlib.crc32(octets, zlib.crc32(kind)))
