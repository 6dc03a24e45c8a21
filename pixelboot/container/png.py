"""The PNG layer of a container: chunks with bounds of our own, the text by keyword, the pixels by Pillow.

Pillow inflates and unfilters, nothing else: it is handed the contents of the IDAT chunks and the memory to fill.  So
its limits, its other chunk readers and its global switches play no part.  The length of a chunk is believed when the
file is long enough for it, its contents when the CRC is right (PNG, third edition, §5.3, §11).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile

from pixelboot.container.hilbert import PIXEL, Pixels
from pixelboot.container.table import SIDE_LIMIT, Damaged

SIGNATURE = b"\x89PNG\r\n\x1a\n"

CHUNK_LIMIT = 16 << 20
"""Octets that a chunk other than IDAT may have."""

BEFORE_LIMIT = 32 << 20
"""Octets that may stand before the pixels."""

_CHUNKS_LIMIT = 1024
"""Chunks other than IDAT that a picture may have."""

_PIECE = 1 << 16
_TELL = 1 << 20
_INFLATION = 1040
"""No deflate stream becomes more than 1,032 times as long; with a margin for the zlib wrapper."""

_MARK = 0x9E3779B9
"""What the last row is filled with beforehand, alternating with its complement.  Pillow reports no error when a
complete deflate stream holds too few rows; but then this row has not been written."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What stands in a picture before its pixels."""

    side: int
    """Side in pixels."""

    texts: Mapping[str, tuple[bytes, ...]]
    """By keyword, the texts of the chunks that were asked for, in their order."""

    pixels_at: int
    """Where in the file the first IDAT chunk begins."""


def layout(file: BinaryIO, keywords: Collection[str], side_limit: int = SIDE_LIMIT) -> Layout:
    """Read all that stands before the pixels, and find the tEXt chunks with these keywords.

    Nothing is inflated.  `Damaged` when the picture is not 8-bit RGBA, square, of a side that is a power of two up to
    `side_limit`, not interlaced, or when the chunks are not as PNG wants them.
    """
    length = file.seek(0, 2)
    file.seek(0)
    if file.read(len(SIGNATURE)) != SIGNATURE:
        raise Damaged("no payload: this is not a PNG picture")
    if (chunk := _header(file, length)) != (b"IHDR", 13):
        raise Damaged("the picture does not begin with its header (IHDR)")
    side = _side(_contents(file, *chunk), side_limit)
    texts: dict[str, tuple[bytes, ...]] = {}
    for _ in range(_CHUNKS_LIMIT):
        at = file.tell()
        if at > BEFORE_LIMIT:
            raise Damaged(f"the picture has more than {BEFORE_LIMIT} octets before its pixels")
        kind, size = _header(file, length)
        if kind == b"IDAT":
            if (length - at) * _INFLATION < side * (side * PIXEL + 1):
                raise Damaged(f"the file is too short for {side}×{side} pixels")
            return Layout(side, texts, at)
        if kind in (b"IHDR", b"IEND"):
            raise Damaged("the picture ends before its pixels" if kind == b"IEND" else "the picture has two headers")
        octets = _contents(file, kind, size)
        if kind == b"tEXt":
            name, _, text = octets.partition(b"\0")
            if (keyword := name.decode("latin-1")) in keywords and len(name) < len(octets):
                texts[keyword] = (*texts.get(keyword, ()), text)
    raise Damaged(f"the picture has more than {_CHUNKS_LIMIT} chunks before its pixels")


def load(file: BinaryIO, picture: Layout, progress: Callable[[float], None] | None = None) -> Pixels:
    """Inflate the pixels, and check all that stands behind them; `Damaged` says what is wrong with them.

    Takes as much memory as the pixels, and some hundred kilobytes.  `progress` is told how much of the file has been
    read, from 0 to 1, after every `_TELL` octets.
    """
    side = picture.side
    grid: Pixels = np.zeros((side, side), np.uint32)
    grid[-1, 0::2] = _MARK
    grid[-1, 1::2] = ~np.uint32(_MARK)
    unwritten = grid[-1].copy()
    stream = _Stream(file, picture, progress)
    try:
        _Pixels(stream, grid).load()
    except Damaged:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's error, not the picture's
        if "out of memory" in str(error):
            raise MemoryError(str(error)) from None
        raise Damaged(f"the pixels cannot be read: {error}") from None
    if np.array_equal(grid[-1], unwritten):
        raise Damaged("the picture has fewer rows than its header says")
    stream.finish()
    return grid


class _Stream:
    """The contents of the IDAT chunks, one after the other; the CRC of each is compared when its end is reached."""

    def __init__(self, file: BinaryIO, picture: Layout, progress: Callable[[float], None] | None) -> None:
        self._file = file
        self._length = file.seek(0, 2)
        self._progress = progress
        self._read = self._told = 0
        file.seek(picture.pixels_at)
        self._octets = self._walk(4096 + picture.side * picture.side * PIXEL // 1024)

    def read(self, _size: int) -> bytes:
        """The next octets, at most 64 KiB; none at the end."""
        octets = next(self._octets, b"")
        self._read += len(octets)
        if self._progress is not None and self._read - self._told >= _TELL:
            self._told = self._read
            self._progress(self._read / self._length)
        return octets

    def finish(self) -> None:
        """Read on to the end of the picture (IEND): every chunk must be there, whole."""
        for _ in self._octets:
            pass

    def _walk(self, chunks_limit: int) -> Iterator[bytes]:
        for _ in range(chunks_limit):
            kind, size = _header(self._file, self._length)
            if kind == b"IDAT":
                yield from _pieces(self._file, kind, size)
            else:
                _contents(self._file, kind, size)
                if kind == b"IEND":
                    return
        raise Damaged("the picture is cut into too many chunks")


class _Pixels(ImageFile.ImageFile):
    """A picture for Pillow whose file is the bare deflate stream and whose memory is ours."""

    format = "PNG"

    def __init__(self, stream: _Stream, grid: Pixels) -> None:
        self._stream = stream
        self._grid = grid
        super().__init__(stream)  # type: ignore[arg-type]  # nothing but `load_read` ever reads from it

    def _open(self) -> None:
        self._size = self._grid.shape[1], self._grid.shape[0]
        self._mode = "RGBA"
        self.tile = [ImageFile._Tile("zip", (0, 0, *self._size), 0, ("RGBA", False))]

    def load_prepare(self) -> None:
        """Decode into the grid instead of memory of Pillow's own, which would have to be copied."""
        self.im = Image.frombuffer("RGBA", self._size, self._grid.view(np.uint8), "raw", "RGBA", 0, 1).im

    def load_read(self, size: int) -> bytes:
        """The next octets of the deflate stream."""
        return self._stream.read(size)

    def load_seek(self, offset: int) -> None:
        """The stream is read once, from its beginning."""


def _side(header: bytes, side_limit: int) -> int:
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", header)
    if (depth, colour) != (8, 6):
        raise Damaged(f"no payload: the pixels are not 8-bit RGBA (colour type {colour}, {depth} bits)")
    if width != height or width == 0 or width & (width - 1):
        raise Damaged(f"no payload: {width}×{height} pixels are not a square whose side is a power of two")
    if width > side_limit:
        raise Damaged(f"the side of {width} pixels is above the limit of {side_limit}")
    if (compression, filtering, interlace) != (0, 0, 0):
        raise Damaged("the picture is interlaced, or compressed in an unknown way")
    return int(width)


def _header(file: BinaryIO, length: int) -> tuple[bytes, int]:
    """Kind and size of the chunk that begins here; it is known to be there in full, in a file of `length` octets."""
    octets = file.read(8)
    if len(octets) < 8:
        raise Damaged("the file ends too early")
    size = int.from_bytes(octets[:4], "big")
    kind = octets[4:]
    if not kind.isalpha():
        raise Damaged("a chunk has no valid name")
    name = kind.decode("ascii")
    if kind not in (b"IHDR", b"PLTE", b"IDAT", b"IEND") and kind[:1].isupper():
        raise Damaged(f"the chunk {name} is unknown, and necessary")
    if kind == b"acTL":
        raise Damaged("the picture is animated")
    if kind != b"IDAT" and size > CHUNK_LIMIT:
        raise Damaged(f"the chunk {name} claims {size} octets; at most {CHUNK_LIMIT} are read")
    if file.tell() + size + 4 > length:
        raise Damaged(f"the file ends within a chunk {name}")
    return kind, size


def _contents(file: BinaryIO, kind: bytes, size: int) -> bytes:
    return b"".join(_pieces(file, kind, size))


def _pieces(file: BinaryIO, kind: bytes, size: int) -> Iterator[bytes]:
    """The octets of a chunk whose header was just read, in pieces; at its end the CRC is compared."""
    crc = zlib.crc32(kind)
    while size:
        piece = file.read(min(size, _PIECE))
        if not piece:
            raise Damaged("the file became shorter while it was read")
        size -= len(piece)
        crc = zlib.crc32(piece, crc)
        yield piece
    if len(found := file.read(4)) < 4:
        raise Damaged("the file became shorter while it was read")
    if found != crc.to_bytes(4, "big"):
        raise Damaged(f"the CRC of a chunk {kind.decode('ascii')} is wrong")
