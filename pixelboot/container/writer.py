"""A container written: parts and labels in, a picture out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pixelboot.container import hilbert, manifest, signature, table
from pixelboot.container.manifest import Labels, Manifest
from pixelboot.container.signature import PrivateKey
from pixelboot.container.table import KEYWORD, PAYLOAD, SIDE_LIMIT, Damaged, Part, role_of

COMPRESS_LEVEL = 1
"""Kernels and initrds are compressed already: level 6, Pillow's own choice, takes several times as long for two
per cent at best, and what a machine downloads is the part, not the picture."""

_READING = 0.1
"""How much of the time of packing goes into reading and hashing the sources."""

_STEP = 1 / 512
"""How much must have been done for it to be told."""


@dataclass(frozen=True, slots=True)
class Source:
    """A part to be packed."""

    name: str
    """The name it gets: ``kernel``, ``initrd``, ``dtb``."""

    size: int
    """Its length in octets, which must be what the file yields."""

    file: BinaryIO
    """Where its octets are read from, from the present position on."""


def pack(
    out: BinaryIO,
    sources: Sequence[Source],
    labels: Labels,
    side_limit: int = SIDE_LIMIT,
    compress_level: int = COMPRESS_LEVEL,
    sign: PrivateKey | None = None,
    progress: Callable[[float], None] | None = None,
) -> Manifest:
    """Write a container with these parts, in their order, to `out`, and return its description.

    With a key to `sign` it gets a signature over payload and description.  `progress` is told how much is done, from 0
    to 1.  `Damaged` when it would not be readable: too large, nothing in it, a label too long, a name twice, a source
    that is not as long as it said.  Memory: the pixels, and a megabyte or two.
    """
    total = sum(source.size for source in sources)
    if total < 1:
        raise Damaged("there is nothing to pack: all parts are empty")
    if (side := hilbert.side_for(total)) > side_limit:
        raise Damaged(f"{total} octets do not fit into a picture of side {side_limit}")
    # What cannot be described is refused before it is read.
    ends = list(accumulate(source.size for source in sources))
    draft = tuple(
        Part(source.name, end - source.size, source.size, role=role_of(source.name))
        for source, end in zip(sources, ends, strict=True)
    )
    manifest.write(Manifest(side, total, None, draft, labels))
    told = _Told(total, progress)
    grid, parts, sha256 = _filled(side, draft, sources, told)
    description = Manifest(side, total, sha256, parts, labels)
    if sign is not None:
        signed = signature.sign(sign, bytes.fromhex(sha256), table.canonical(manifest.described(description)))
        description = replace(description, signature=signed)
    info = PngInfo()
    info.add_text(KEYWORD, manifest.write(description))
    picture = Image.frombuffer("RGBA", (side, side), grid.view(np.uint8), "raw", "RGBA", 0, 1)
    picture.save(told.counting(out, grid.nbytes), "PNG", pnginfo=info, compress_level=compress_level)
    told.at(1.0)
    return description


def pack_payload(
    out: BinaryIO,
    size: int,
    file: BinaryIO,
    labels: Labels,
    side_limit: int = SIDE_LIMIT,
    compress_level: int = COMPRESS_LEVEL,
    sign: PrivateKey | None = None,
    progress: Callable[[float], None] | None = None,
) -> Manifest:
    """Write a container whose payload is the `size` octets of `file`, without a table of parts; else like `pack`."""
    return pack(out, (Source(PAYLOAD, size, file),), labels, side_limit, compress_level, sign, progress)


class _Told:
    """Tells how much is done: of the sources by what was read, of the picture by what was written."""

    def __init__(self, total: int, progress: Callable[[float], None] | None) -> None:
        self._total = total
        self._progress = progress
        self._read = self._written = 0
        self._told = 0.0

    def at(self, done: float) -> None:
        """Tell that this much is done, from 0 to 1, unless that is hardly more than was told before."""
        if self._progress is not None and (done - self._told >= _STEP or done == 1.0):
            self._told = done
            self._progress(done)

    def read(self, size: int) -> None:
        """So many more octets of the sources have been read."""
        self._read += size
        self.at(_READING * self._read / self._total)

    def counting(self, out: BinaryIO, expected: int) -> BinaryIO:
        """`out`, or something before it that tells what is written, of `expected` octets at most."""
        return out if self._progress is None else _Counting(out, lambda size: self._wrote(size, expected))  # type: ignore[return-value]

    def _wrote(self, size: int, expected: int) -> None:
        self._written += size
        self.at(min(_READING + (1 - _READING) * self._written / expected, 1.0))


class _Counting:
    """A file to write to that tells how much was written."""

    def __init__(self, out: BinaryIO, wrote: Callable[[int], None]) -> None:
        self._out = out
        self._wrote = wrote

    def write(self, octets: bytes) -> int:
        """Write."""
        self._wrote(len(octets))
        return self._out.write(octets)

    def flush(self) -> None:
        """Flush."""
        self._out.flush()


def _filled(
    side: int, draft: Sequence[Part], sources: Sequence[Source], told: _Told
) -> tuple[hilbert.Pixels, tuple[Part, ...], str]:
    """The grid with all octets in it, the parts with their digests, and the digest of the whole."""
    grid: hilbert.Pixels = np.zeros((side, side), np.uint32)
    stretch = np.zeros(min(side * side, 16 * hilbert.run(side)), np.uint32)
    buffer = stretch.data.cast("B")
    whole = hashlib.sha256()
    parts: list[Part] = []
    first = used = 0
    for part, source in zip(draft, sources, strict=True):
        digest = hashlib.sha256()
        left = source.size
        while left:
            octets = source.file.read(min(left, len(buffer) - used))
            if not octets:
                raise Damaged(f"{source.name} is {left} octets shorter than it was")
            digest.update(octets)
            whole.update(octets)
            buffer[used : used + len(octets)] = octets
            left -= len(octets)
            used += len(octets)
            if used == len(buffer):
                hilbert.scatter(stretch, grid, first)
                first += len(stretch)
                used = 0
                told.read(len(buffer))
        if source.file.read(1):
            raise Damaged(f"{source.name} is longer than it was")
        parts.append(replace(part, sha256=digest.hexdigest()))
    if used:
        buffer[used:] = bytes(len(buffer) - used)
        hilbert.scatter(stretch, grid, first)
    return grid, tuple(parts), whole.hexdigest()
