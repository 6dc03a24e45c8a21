"""The octets of a payload, cut into blocks (RFC 1350 §2), as they are or as netascii."""

from __future__ import annotations

from collections import deque

from pixelboot.payload import Payload

READ_AHEAD = 16384
"""Octets read at once where a window is smaller, so that small blocks do not cost a read each."""


class Blocks:
    """Cuts a payload, from its beginning to its end, once; holds no more than a window and what was read ahead.

    Every block has `blksize` octets but the last, which has fewer, and none where the payload ends with a full one:
    that is how the client knows the end.
    """

    __slots__ = ("_blksize", "_drained", "_netascii", "_offset", "_payload", "_ready", "_rest", "ended")

    def __init__(self, payload: Payload, blksize: int, *, netascii: bool = False) -> None:
        """Blocks of `blksize` octets of a payload that stays open as long as they are taken."""
        self.ended = False
        """Whether the last block was taken."""
        self._payload = payload
        self._blksize = blksize
        self._netascii = netascii
        self._offset = 0  # Octets of the payload that were read.
        self._ready: deque[bytes] = deque()
        self._rest = b""  # What was read and is not a whole block yet.
        self._drained = False  # Whether the last block is ready.

    def take(self, count: int) -> list[bytes]:
        """The next `count` blocks, or fewer at the end.

        :raises OSError: if the payload cannot be read, or is shorter than it was.
        """
        ready = self._ready
        while len(ready) < count and not self._drained:
            self._read((count - len(ready)) * self._blksize)
        blocks = [ready.popleft() for _ in range(min(count, len(ready)))]
        self.ended = self._drained and not ready
        return blocks

    def _read(self, wanted: int) -> None:
        """Read `wanted` octets, or more to be ahead, or all that are left, and cut them."""
        octets = b""
        if left := self._payload.size - self._offset:
            size = min(max(wanted, READ_AHEAD), left)
            octets = self._payload.read(self._offset, size)
            if len(octets) < size:
                raise OSError(f"it ended after {self._offset + len(octets)} of {self._payload.size} octets")
            self._offset += size
        octets = self._rest + (netascii(octets) if self._netascii else octets)
        end = len(octets) - len(octets) % self._blksize
        self._ready.extend(octets[at : at + self._blksize] for at in range(0, end, self._blksize))
        self._rest = octets[end:]
        if self._offset == self._payload.size:
            self._ready.append(self._rest)
            self._drained = True


def netascii(octets: bytes) -> bytes:
    """Text as RFC 764 has it on the wire: LF becomes CR LF, CR becomes CR NUL; any piece of a text by itself."""
    return octets.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")
