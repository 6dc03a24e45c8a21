"""A payload that the pixels do not hold as it is: compressed, or (in code mode) written out in the description.

A compressed payload is told by its octets, not by its label: ``zstd-h5`` often hides zlib.  It is inflated as a stream,
and never further than asked for, so that a bomb costs what it claims to be and no more.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from typing import Any

import zstandard

from pixelboot.container.table import Damaged

PIECE = 1 << 20
"""Inflated octets are handed out in pieces of at most this size (zlib), or a few times this (zstd)."""

WINDOW_LIMIT = 128 << 20
"""Octets of history that a zstd frame may refer to: as many as ``zstd --ultra -22`` makes it and ``zstd -d`` reads."""

_SPACES = b" \t\r\n"
_ZLIB_STEP = 1 << 16
_ZSTD_STEP = 1 << 10
"""Octets that are inflated at once.  No block of zstd takes less than 4 octets or becomes more than 128 KiB, so a step
becomes 32 MiB at most; its decoder has no bound of its own."""


def inflated(held: Iterator[memoryview], limit: int, padded: bool) -> Iterator[memoryview]:
    """Inflate the stream in `held`, whatever it was compressed with, to at most `limit` octets.

    Behind its end nothing may follow, or only zeros where the held octets are `padded`.  `Damaged` when it is neither
    zlib nor zstd, when it is broken, incomplete or longer; what was handed out until then is worth nothing.
    """
    stream: _Stream | None = None
    reached = 0
    for piece in held:
        if stream is None:
            kind = stream_kind(bytes(piece[:4]))
            if kind is None:
                raise Damaged("the payload is said to be compressed, but is neither zlib nor zstd")
            stream = _Zlib() if kind == "zlib" else _Zstd()
        for start in range(0, len(piece), stream.step):
            step = piece[start : start + stream.step]
            if stream.ended:
                _assert_padding(step, padded)
                continue
            for octets in stream.inflate(step):
                reached += len(octets)
                if reached > limit:
                    raise Damaged(f"the compressed payload becomes longer than {limit} octets")
                yield memoryview(octets)
            _assert_padding(memoryview(stream.rest), padded)
    if stream is None or not stream.ended:
        raise Damaged("the compressed payload is cut short")


def stream_kind(head: bytes) -> str | None:
    """What a stream that begins so is compressed with: ``zlib`` (RFC 1950, §2.2), ``zstd`` (RFC 8878, §3.1.1)."""
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return "zstd"
    zlib_header = len(head) > 1 and head[0] & 0x0F == 8 and head[0] >> 4 < 8
    return "zlib" if zlib_header and int.from_bytes(head[:2], "big") % 31 == 0 else None


def written_out(value: object) -> bytes:
    """The payload in ``original_data_b64``."""
    if not isinstance(value, str):
        raise Damaged("original_data_b64 is not a text")
    try:
        return base64.b64decode(value.encode("ascii").translate(None, _SPACES), validate=True)
    except ValueError:
        raise Damaged("original_data_b64 is not base64") from None


def _assert_padding(octets: memoryview, padded: bool) -> None:
    if len(octets) and not (padded and bytes(octets).count(0) == len(octets)):
        raise Damaged("there is more behind the end of the compressed payload")


def _reason(error: Exception) -> Exception:
    """What an error of a decompressor means: too little memory is not the picture's fault (zlib calls it error -4)."""
    text = str(error)
    if "not enough memory" in text or text.startswith("Error -4"):
        return MemoryError(text)
    return Damaged(f"the compressed payload cannot be read: {text}")


class _Stream:
    """A stream that is being inflated; zlib and zstandard have the same names for how far that is."""

    def __init__(self, stream: Any, step: int) -> None:
        """Of the held octets `step` are inflated at once."""
        self._stream = stream
        self.step = step

    @property
    def ended(self) -> bool:
        """Whether it is complete."""
        return bool(self._stream.eof)

    @property
    def rest(self) -> bytes:
        """What stood behind its end in the last step."""
        return bytes(self._stream.unused_data)

    def inflate(self, step: memoryview) -> Iterator[bytes]:
        """What these octets become."""
        try:
            yield from self._pieces(step)
        except (zlib.error, zstandard.ZstdError) as error:
            raise _reason(error) from None

    def _pieces(self, step: memoryview) -> Iterator[bytes]:
        if octets := self._stream.decompress(step):
            yield octets


class _Zstd(_Stream):
    """One zstd frame."""

    def __init__(self) -> None:
        stream = zstandard.ZstdDecompressor(max_window_size=WINDOW_LIMIT).decompressobj(write_size=PIECE)
        super().__init__(stream, _ZSTD_STEP)


class _Zlib(_Stream):
    """A zlib stream, which gives no more than it is asked for."""

    def __init__(self) -> None:
        super().__init__(zlib.decompressobj(), _ZLIB_STEP)

    def _pieces(self, step: memoryview) -> Iterator[bytes]:
        left: memoryview | bytes = step
        while not self._stream.eof:
            octets = self._stream.decompress(left, PIECE)
            left = self._stream.unconsumed_tail
            if octets:
                yield octets
            if not left and len(octets) < PIECE:
                return
