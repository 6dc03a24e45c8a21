"""A container read: the description without inflating a pixel, then the payload, checked to the last octet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import numpy as np

from pixelboot.container import hilbert, manifest, png
from pixelboot.container.hilbert import PIXEL, SIDE_LIMIT
from pixelboot.container.manifest import Damaged, Manifest

PIECE = 1 << 20
"""The octets of a payload are handed out in pieces of at most this size."""


class Sink(Protocol):
    """Where octets go: a file open for writing, a digest's ``update`` by another name."""

    def write(self, octets: memoryview, /) -> object:
        """Take all the octets; they are overwritten once this returns."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A container whose description has been read."""

    layout: png.Layout
    """Its PNG side: where the pixels are."""

    manifest: Manifest
    """Its description."""


def examine(file: BinaryIO, side_limit: int = SIDE_LIMIT) -> Picture:
    """Read the description of the container in `file`, which must allow seeking; `Damaged` when there is none."""
    layout = png.layout(file, manifest.KEYWORD, side_limit)
    if layout.text is None:
        raise Damaged("the picture has no description (no text PixelRTS)")
    return Picture(layout, manifest.parse(layout.text, layout.side))


def octets(file: BinaryIO, picture: Picture) -> Iterator[memoryview]:
    """The payload in order, in pieces of at most `PIECE` octets, *not* compared with any SHA-256.

    A piece is overwritten when the next one is asked for.  Memory: the pixels, and a few times `PIECE`.
    """
    side = picture.layout.side
    grid = png.load(file, picture.layout)
    stretch = np.empty(max(PIECE // PIXEL, hilbert.run(side)), np.uint32)[: side * side]
    left = picture.manifest.size
    for first in range(0, side * side, len(stretch)):
        wanted = -(-left // (PIXEL * hilbert.run(side))) * hilbert.run(side)
        hilbert.gather(grid, first, stretch[:wanted])
        yield stretch.data.cast("B")[: min(left, stretch.nbytes)].toreadonly()
        left -= min(left, stretch.nbytes)
        if not left:
            return


def unpack(file: BinaryIO, picture: Picture, parts: Mapping[str, Sink], payload: Sink | None = None) -> dict[str, str]:
    """Write the parts that are asked for by name, and the whole payload where a sink is given.

    *Every* SHA-256 of the description is compared, asked for or not; `Damaged` tells the first that differs, and then
    nothing that was written may be used.  Returns the SHA-256 of each part by name, as computed.
    """
    whole = hashlib.sha256()
    digests = {part.name: hashlib.sha256() for part in picture.manifest.parts}
    reached = 0
    for piece in octets(file, picture):
        whole.update(piece)
        if payload is not None:
            payload.write(piece)
        for part in picture.manifest.parts:
            stretch = piece[max(part.offset - reached, 0) : max(part.end - reached, 0)]
            digests[part.name].update(stretch)
            if stretch and part.name in parts:
                parts[part.name].write(stretch)
        reached += len(piece)
    found = {name: digest.hexdigest() for name, digest in digests.items()}
    for part in picture.manifest.parts:
        _compare(f"part {part.name!r}", part.sha256, found[part.name])
    _compare("the payload", picture.manifest.sha256, whole.hexdigest())
    return found


def _compare(what: str, wanted: str | None, found: str) -> None:
    if wanted is not None and wanted != found:
        raise Damaged(f"{what} does not have the SHA-256 that the description says ({wanted}, not {found})")
