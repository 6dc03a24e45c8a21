"""A container read: the description without inflating a pixel, then the payload, checked to the last octet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np

from pixelboot.container import hilbert, manifest, packed, png, signature, sniff, table
from pixelboot.container.hilbert import PIXEL
from pixelboot.container.manifest import Manifest
from pixelboot.container.table import KEYWORD, SIDE_LIMIT, Damaged, Part

if TYPE_CHECKING:
    from hashlib import _Hash

PIECE = 1 << 18
"""The octets of a payload are handed out in pieces of about this size, which stay in the cache of one core."""

_LOADING = 0.4
"""How much of the time of unpacking goes into inflating the pixels."""


class Sink(Protocol):
    """Where octets go: a file open for writing, a digest's ``update`` by another name."""

    def write(self, octets: memoryview, /) -> object:
        """Take all the octets; they are overwritten once this returns."""


Progress = Callable[[float], None]
"""Told how much is done, from 0 to 1: after every piece of a payload, and every megabyte of a picture."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A container whose description has been read."""

    layout: png.Layout
    """Its PNG side: where the pixels are."""

    manifest: Manifest
    """Its description."""

    text: bytes
    """The text that the description was read from."""

    from_sidecar: bool = False
    """Whether that text is the sidecar's."""

    blueprint: bytes | None = None
    """The text of its plan (keyword ``PixelRTS-Blueprint``), as it is; None when there is none."""

    size_limit: int = SIDE_LIMIT * SIDE_LIMIT * PIXEL
    """Octets that the payload may have, however well it is compressed."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What came out of a container; every digest and signature of the description has been compared."""

    parts: tuple[Part, ...]
    """The parts by offset, each with its SHA-256 as computed, and with its role if that can be told at all."""

    size: int
    """Length of the payload in octets."""

    sha256: str
    """SHA-256 of the payload, as computed."""

    signer: str = ""
    """The public key, as 64 hex digits, that signed payload *and* description; empty when nobody did."""

    payload_signer: str = ""
    """The public key, as 64 hex digits, that signed the payload; empty when nobody did.  Without `signer` it says
    nothing about the command line and the table of parts."""

    kernel: sniff.Kernel | None = None
    """What the kernel says of itself; None when there is no kernel."""


def examine(file: BinaryIO, side_limit: int = SIDE_LIMIT, sidecar: bytes | None = None) -> Picture:
    """Read the description of the container in `file`, which must allow seeking; `Damaged` when there is none.

    `sidecar` is the text of the file beside it, if there is one; it counts only when the picture has no description.
    """
    layout = png.layout(file, (KEYWORD, manifest.BLUEPRINT), side_limit)
    texts = layout.texts.get(KEYWORD, ())
    if len(texts) > 1:
        raise Damaged(f"the picture has more than one text {KEYWORD}")
    text = texts[0] if texts else sidecar
    if text is None:
        raise Damaged(f"no payload: the picture has no description (no text {KEYWORD})")
    size_limit = side_limit * side_limit * PIXEL
    described = manifest.parse(text, layout.side, size_limit)
    blueprint = next(iter(layout.texts.get(manifest.BLUEPRINT, ())), None)
    return Picture(layout, described, text, not texts, blueprint, size_limit)


def octets(file: BinaryIO, picture: Picture, progress: Progress | None = None) -> Iterator[memoryview]:
    """The payload in order, in pieces of about `PIECE` octets, *not* compared with any SHA-256.

    A piece is overwritten when the next one is asked for.  Memory: the pixels, and a few times `PIECE`; of a compressed
    payload also what its decoder remembers, at most `packed.WINDOW_LIMIT`.
    """
    described = picture.manifest
    grid = png.load(file, picture.layout, progress)
    if described.snapshot:
        return
    if described.mode == manifest.CODE:
        # The pixels have been looked at because a picture that is not sound is not to be trusted in its text either.
        held = _sliced(packed.written_out(table.read(picture.text).get("original_data_b64")))
    else:
        size = described.encoded_size or (grid.nbytes if described.compression else described.size or 0)
        held = _gathered(grid, size)
        if described.compression and described.encoded_size == described.size == size and described.sha256:
            digest = hashlib.sha256()
            for piece in held:
                digest.update(piece)
            held = _gathered(grid, size)
            if digest.hexdigest() == described.sha256:
                # Only the label claims a compression.  The first octets do not tell: initrds begin like streams.
                yield from held
                return
    if described.compression:
        yield from _inflated(held, picture)
    else:
        yield from held


def unpack(
    file: BinaryIO,
    picture: Picture,
    sinks: Mapping[str, Sink],
    payload: Sink | None = None,
    progress: Progress | None = None,
) -> Unpacked:
    """Write the parts that there are sinks for, by name, and the whole payload where a sink is given.

    *Every* SHA-256 of the description is compared, asked for or not, and so is the signature; `Damaged` tells what is
    wrong, and then nothing that was written may be used.
    """
    described = picture.manifest if picture.manifest.size is not None else _measured(file, picture)
    size = described.size or 0
    parts = described.parts
    digests = {part.name: hashlib.sha256() for part in parts}
    heads = {part.name: b"" for part in parts}
    # The first part's digest is the payload's, as far as it reaches: it is not hashed twice.
    first = next((part for part in reversed(parts) if part.offset == 0), None)
    whole = hashlib.sha256()
    reached = 0
    tell_load, tell = (None, None) if progress is None else _shared(progress)
    for piece in octets(file, picture, tell_load):
        if payload is not None:
            payload.write(piece)
        for part in parts:
            stretch = piece[max(part.offset - reached, 0) : max(part.end - reached, 0)]
            if not stretch:
                continue
            if part.name in sinks:
                sinks[part.name].write(stretch)
            if len(heads[part.name]) < sniff.HEAD:
                heads[part.name] += bytes(stretch[: sniff.HEAD - len(heads[part.name])])
            if part is not first:
                digests[part.name].update(stretch)
        cut = len(piece) if first is None else min(max(first.end - reached, 0), len(piece))
        whole.update(piece[:cut])
        if first is not None and reached + cut == first.end and cut:
            digests[first.name] = whole.copy()
        whole.update(piece[cut:])
        reached += len(piece)
        if tell is not None:
            tell(reached / size)
    parts = _compared(parts, digests)
    sha256 = whole.hexdigest()
    _compare("the payload", described.sha256, sha256)
    if not any(part.role for part in parts):
        parts = table.with_roles(parts, {name: sniff.role(head) for name, head in heads.items()})
    kernel = next((sniff.kernel(heads[part.name]) for part in parts if part.role == "kernel"), None)
    signer = payload_signer = ""
    if described.signature is not None:
        description = table.canonical(table.read(picture.text))
        covered = signature.verify(described.signature, whole.digest(), description)
        payload_signer = described.signature.public_key
        signer = payload_signer if covered else ""
    return Unpacked(parts, size, sha256, signer, payload_signer, kernel)


def _gathered(grid: hilbert.Pixels, size: int) -> Iterator[memoryview]:
    """The first `size` octets along the curve."""
    side = len(grid)
    run = hilbert.run(side)
    stretch = np.empty(max(PIECE // PIXEL, run), np.uint32)[: side * side]
    for first in range(0, -(-size // PIXEL), len(stretch)):
        left = size - first * PIXEL
        wanted = -(-left // (PIXEL * run)) * run
        hilbert.gather(grid, first, stretch[:wanted])
        yield stretch.data.cast("B")[: min(left, stretch.nbytes)].toreadonly()


def _sliced(octets: bytes) -> Iterator[memoryview]:
    view = memoryview(octets)
    for start in range(0, len(view), PIECE):
        yield view[start : start + PIECE]


def _inflated(held: Iterator[memoryview], picture: Picture) -> Iterator[memoryview]:
    """What the compressed payload becomes: as much as the description says, if it says that."""
    described = picture.manifest
    limit = picture.size_limit if described.size is None else described.size
    padded = described.mode == manifest.ENCODING and described.encoded_size is None
    reached = 0
    for piece in packed.inflated(held, limit, padded):
        reached += len(piece)
        yield piece
    if described.size is not None and reached != described.size:
        raise Damaged(f"the compressed payload becomes {reached} octets long, not {described.size}")


def _measured(file: BinaryIO, picture: Picture) -> Manifest:
    """The description with the sizes that only inflating tells."""
    size = sum(len(piece) for piece in octets(file, picture))
    (only,) = picture.manifest.parts
    if size <= only.offset:
        raise Damaged("no payload: it has 0 octets" if size == 0 else "a part runs past the end of the payload")
    return replace(picture.manifest, size=size, parts=(replace(only, size=size - only.offset),))


def _compared(parts: tuple[Part, ...], digests: Mapping[str, _Hash]) -> tuple[Part, ...]:
    """The parts with their digests as computed, which are those that the description says."""
    found = tuple(replace(part, sha256=digests[part.name].hexdigest()) for part in parts)
    for part, computed in zip(parts, found, strict=True):
        _compare(f"part {table.shown(part.name)}", part.sha256, computed.sha256)
    return found


def _compare(what: str, wanted: str | None, found: str | None) -> None:
    if wanted is not None and wanted != found:
        raise Damaged(f"{what} does not have the SHA-256 that the description says ({wanted}, not {found})")


def _shared(progress: Progress) -> tuple[Progress, Progress]:
    """The progress of inflating the pixels, and of what comes after it, which takes longer, as parts of one."""
    return lambda done: progress(_LOADING * done), lambda done: progress(_LOADING + (1 - _LOADING) * done)
