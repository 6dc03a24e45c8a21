"""A container written: parts and labels in, a picture out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pixelboot.container import hilbert, manifest
from pixelboot.container.hilbert import PIXEL, SIDE_LIMIT
from pixelboot.container.manifest import Damaged, Labels, Manifest, Part

COMPRESS_LEVEL = 1
"""Kernels and initrds are compressed already: level 6, Pillow's own choice, takes several times as long for two
per cent at best, and what a machine downloads is the part, not the picture."""


@dataclass(frozen=True, slots=True)
class Source:
    """A part to be packed."""

    name: str
    """The name it gets: ``kernel``, ``initrd``."""

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
) -> Manifest:
    """Write a container with these parts, in their order, to `out`, and return its description.

    `Damaged` when it would not be readable: too large, nothing in it, a label too long, a name twice, a source that is
    not as long as it said.  Memory: the pixels, and a megabyte or two.
    """
    total = sum(source.size for source in sources)
    if total == 0:
        raise Damaged("there is nothing to pack: all parts are empty")
    if total > side_limit * side_limit * PIXEL:
        raise Damaged(f"{total} octets do not fit into a picture of side {side_limit}")
    side = hilbert.side_for(total)
    # What cannot be described is refused before it is read.
    ends = list(accumulate(source.size for source in sources))
    draft = tuple(Part(source.name, end - source.size, source.size) for source, end in zip(sources, ends, strict=True))
    manifest.write(Manifest(side, total, None, draft, labels))
    grid, parts, sha256 = _filled(side, draft, sources)
    text = manifest.write(description := Manifest(side, total, sha256, parts, labels))
    info = PngInfo()
    info.add_text(manifest.KEYWORD, text)
    picture = Image.frombuffer("RGBA", (side, side), grid.view(np.uint8), "raw", "RGBA", 0, 1)
    picture.save(out, "PNG", pnginfo=info, compress_level=compress_level)
    return description


def _filled(
    side: int, draft: Sequence[Part], sources: Sequence[Source]
) -> tuple[hilbert.Pixels, tuple[Part, ...], str]:
    """The grid with all octets in it, the parts with their digests, and the digest of the whole."""
    grid: hilbert.Pixels = np.zeros((side, side), np.uint32)
    stretch = np.zeros(min(side * side, 64 * hilbert.run(side)), np.uint32)
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
        if source.file.read(1):
            raise Damaged(f"{source.name} is longer than it was")
        parts.append(replace(part, sha256=digest.hexdigest()))
    if used:
        buffer[used:] = bytes(len(buffer) - used)
        hilbert.scatter(stretch, grid, first)
    return grid, tuple(parts), whole.hexdigest()
