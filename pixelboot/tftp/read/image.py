"""A file cut into DATA packets, once for all clients that are sent the same (RFC 1350 §2).

What a thousand machines of one kind are sent in the same minute is the same packet a thousand times.  So the packets
are made when the first client comes to them, a piece of the file at a time, and are kept in a `Pool` for the others.
Every packet can be made again from the file: a transfer holds none itself, whatever its window.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Hashable
from weakref import WeakValueDictionary

from pixelboot.payload import Payload
from pixelboot.tftp.read.pool import Packets, Pool
from pixelboot.tftp.wire import ACK

PIECE = 65536
"""Octets of a file that are read at once, at the most, where a block has not more."""

MOST_BLOCKS = 7
"""Binary logarithm of the blocks of one piece, at the most: small blocks take more memory than they have octets."""

UNKNOWN = 1 << 62
"""Blocks of a file whose length is not known yet."""

_HEAD = struct.Struct("!HH")


class Image:
    """The DATA packets of one payload, for one block size."""

    def __init__(self, payload: Payload, blksize: int, pool: Pool, period: int = 65536) -> None:
        """Packets of a payload that is open whenever they are asked for.

        `period` is after how many blocks their numbers come again: 65536, or 65535 where 1 follows 65535.
        """
        self.blksize = blksize
        """Octets of every block but the last, which has fewer, and none where the payload ends with a full one."""
        self.shift = min(max(PIECE // blksize, 1).bit_length() - 1, MOST_BLOCKS)
        """Binary logarithm of the blocks of one piece."""
        self.ready: dict[int, tuple[bytes, bytes]] = {}
        """Packets that are at hand, and the ACK of each, by how many blocks there are before; `packets` has all others,
        and the first of each piece but the first, so that it is seen that a piece is still wanted."""
        self._pieces: dict[int, Packets] = {}
        self.blocks = payload.size // blksize + 1
        """How many blocks there are; `UNKNOWN` as long as that is."""
        self._payload = payload
        self._pool = pool
        self._period = period

    def octets(self, blocks: int) -> int:
        """How many octets the first `blocks` blocks have, as sent."""
        return min(blocks * self.blksize, self._payload.size)

    def packets(self, done: int, count: int) -> Packets:
        """The packets of the `count` blocks that follow the first `done`, or fewer at the end.

        :raises OSError: if the payload cannot be read, or is not what it was.
        """
        shift, pieces = self.shift, self._pieces
        if count == 1 and done and (ready := self.ready.get(done)) is not None:
            return [ready[0]]
        packets: Packets = []
        while count > 0 and done < self.blocks:
            number = done >> shift
            piece = pieces.get(number)
            if piece is None:
                piece = pieces[number] = self._make(number)
                first = number << shift
                for at in range(1 if number else 0, len(piece)):
                    packet = piece[at]
                    self.ready[first + at] = packet, ACK + packet[2:4]
                self._pool.keep(self, number, piece)
            elif done == number << shift:
                self._pool.touch(self, number)
            first = done - (number << shift)
            taken = piece[first : first + count]
            if not taken:
                break
            packets += taken
            done += len(taken)
            count -= len(taken)
        return packets

    def touch(self) -> None:
        """One more client is sent the first of what is `ready`."""
        self._pool.touch(self, 0)

    def forget(self, number: int) -> None:
        """See `pixelboot.tftp.read.pool.Owner`."""
        first = number << self.shift
        for at in range(1 if number else 0, len(self._pieces.pop(number))):
            del self.ready[first + at]

    def _make(self, number: int) -> Packets:
        """Read a piece and cut it."""
        wanted = self.blksize << self.shift
        offset = number * wanted
        return self._cut(number, self._read(offset, min(wanted, self._payload.size - offset)))

    def _cut(self, number: int, octets: bytes) -> Packets:
        """Blocks with their numbers in front; the last has fewer octets than the others if there are fewer."""
        blksize, period = self.blksize, self._period
        first = number << self.shift
        last = min((number + 1) << self.shift, self.blocks)
        packets: Packets = []
        at = 0
        for done in range(first, last):
            # Blocks are counted from 1; after 65535 comes 0, or 1 where that is never used again.
            block = (done + 1) % period if period == 65536 else done % period + 1
            packets.append(_HEAD.pack(3, block) + octets[at : at + blksize])
            at += blksize
        return packets

    def _read(self, offset: int, size: int) -> bytes:
        if size <= 0:
            return b""
        octets = self._payload.read(offset, size)
        if len(octets) < size:
            raise OSError(f"it ended after {offset + len(octets)} of {self._payload.size} octets")
        return octets


class NetasciiImage(Image):
    """The same as text (RFC 764): LF becomes CR LF, CR becomes CR NUL.

    Where a block begins in the payload is known when the one before it was made; that is remembered of every piece.
    """

    def __init__(self, payload: Payload, blksize: int, pool: Pool, period: int = 65536) -> None:
        super().__init__(payload, blksize, pool, period)
        self.blocks = UNKNOWN
        self._size = 0
        # Where each piece begins: an offset in the payload, and the half of a pair whose other half is in the last.
        self._begins: list[tuple[int, bytes]] = [(0, b"")]

    def octets(self, blocks: int) -> int:
        """See `Image.octets`."""
        return self._size if blocks == self.blocks else blocks * self.blksize

    def _make(self, number: int) -> Packets:
        while len(self._begins) <= number and self.blocks == UNKNOWN:
            self._text(len(self._begins) - 1)
        return self._cut(number, self._text(number))

    def _text(self, number: int) -> bytes:
        """The octets of a piece as sent."""
        wanted = self.blksize << self.shift
        offset, octets = self._begins[number]
        while len(octets) < wanted and offset < self._payload.size:
            read = self._read(offset, min(wanted - len(octets), self._payload.size - offset))
            room = wanted - len(octets)
            fits = _fitting(read, room)
            octets += netascii(read[:fits])
            offset += fits
            if fits < len(read) and len(octets) < wanted:  # There is room for half of a pair.
                pair = netascii(read[fits : fits + 1])
                octets += pair[:1]
                offset += 1
                self._begin(number + 1, offset, pair[1:])
                return octets
        if len(octets) == wanted:
            self._begin(number + 1, offset, b"")
        else:
            self.blocks = (number << self.shift) + len(octets) // self.blksize + 1
            self._size = number * wanted + len(octets)
        return octets

    def _begin(self, number: int, offset: int, rest: bytes) -> None:
        if len(self._begins) == number:
            self._begins.append((offset, rest))


class Images:
    """The images that are at hand: those in use, and those of which the pool still holds a piece."""

    def __init__(self, pool: Pool, period: int = 65536) -> None:
        """See `Image`."""
        self._pool = pool
        self._period = period
        self._images: WeakValueDictionary[Hashable, Image] = WeakValueDictionary()

    def of(self, payload: Payload, blksize: int, *, netascii: bool) -> Image:
        """The packets of a payload; those of another with the same `origin`, if there are any."""
        origin = payload.origin
        key = id(origin), blksize, netascii  # An image keeps its origin, so that nothing else has the same number.
        image = self._images.get(key)
        if image is None:
            make: Callable[[Payload, int, Pool, int], Image] = NetasciiImage if netascii else Image
            image = self._images[key] = make(origin, blksize, self._pool, self._period)
        return image


def netascii(octets: bytes) -> bytes:
    """Text as RFC 764 has it on the wire: LF becomes CR LF, CR becomes CR NUL; any piece of a text by itself."""
    return octets.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")


def _doubled(octets: bytes) -> int:
    """How many of these octets are two on the wire."""
    return octets.count(b"\r") + octets.count(b"\n")


def _fitting(octets: bytes, room: int) -> int:
    """How many of these octets have room in `room` octets on the wire."""
    if len(octets) + _doubled(octets) <= room:
        return len(octets)
    return bisect_right(range(len(octets) + 1), room, key=lambda end: end + _doubled(octets[:end])) - 1
