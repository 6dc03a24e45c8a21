"""One file on its way to a server: the request, DATA, and the clock (RFC 1350, 1123 §4.2.3, 2347, 7440).

    WRQ ──▶ ACK 0, or OACK ──▶ window sent ──ACK of its last block──▶ next window … ──ACK of the last block──▶ over
                                   │ ▲
                                   └─┴─ ACK inside the window, or none in time: again from the block after the ACK

A repeated ACK is never answered in lock-step: that would double every packet from there on (the Sorcerer's Apprentice,
RFC 1123 §4.2.3.1).  In a window it is how a server says that the window's first block was lost, so it is answered, once
a window; but not if that ACK is of the last block that was sent twice, for then both copies brought one.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from pixelboot.tftp import wire
from pixelboot.tftp.client.conversation import PATIENCE, Conversation, Datagram
from pixelboot.tftp.client.ending import Peer, Result
from pixelboot.tftp.client.terms import Violation, Wishes
from pixelboot.tftp.patience import Patience
from pixelboot.tftp.read.image import netascii
from pixelboot.tftp.wire import ErrorCode, Opcode

READ_AHEAD = 65536
"""Octets read at once where a window is smaller, so that small blocks do not cost a read each."""


class Source(Protocol):
    """What is uploaded: an open file, or `io.BytesIO`."""

    def read(self, size: int, /) -> bytes:
        """The next `size` octets, or fewer, and none at the end only.

        :raises OSError: if they cannot be read.
        """


class Upload(Conversation):
    """Sends one file."""

    OPCODE = Opcode.WRQ
    FIRST = wire.ack(0)

    def __init__(
        self,
        server: Peer,
        name: str,
        source: Source,
        wishes: Wishes | None = None,
        patience: Patience = PATIENCE,
        *,
        size: int | None = None,
        rollover: int = 0,
        insist: bool = False,
        any_address: bool = False,
    ) -> None:
        """`source` stays the caller's to close, and has `size` octets, if that is known.

        `rollover` (0 or 1) is the block number that follows 65535; for the rest see `Conversation`.

        :raises ValueError: if the name or what is wished for cannot be asked.
        """
        wishes = wishes or Wishes()
        # What a text has on the wire nobody knows before it is there.
        told = None if wishes.netascii else size
        super().__init__(server, name, wishes, patience, size=told, insist=insist, any_address=any_address)
        self._source = source
        self._source_size = size
        self._read = 0  # Octets read from the source.
        self._rest = bytearray()  # What was read, as sent, and is in no block yet.
        self._drained = False  # Whether the source has ended.
        self._ended = False  # Whether the last block is in the window, or was acknowledged.
        self._period = 65535 if rollover else 65536
        self._base = 0  # The last block that was acknowledged; 0 is the request.
        self._window: deque[bytes] = deque()  # The packets of the blocks from there on, as they were sent.
        self._is_repeat_heard = True  # Whether a repeated ACK is not, or not once more, answered in this window.
        self._doubled = -1  # The last block that was sent again.

    def _agreed(self, now: float) -> list[Datagram]:
        if self.size is not None and self.size != self._source_size:
            raise Violation(f"it grants tsize {self.size}, {self._source_size} was told", ErrorCode.OPTION_REFUSED)
        return self._advance(now)

    def _agreed_again(self, now: float) -> list[Datagram]:
        """The OACK is repeated as an ACK 0 would be: our DATA 1 is what answers it."""
        return self._repeated(now)

    def _heard(self, packet: wire.Packet, now: float) -> list[Datagram]:
        if not isinstance(packet, wire.Ack):
            raise Violation(f"it sent {type(packet).__name__}, which no server sends in an upload")
        if not self._window:  # ACK 0, which stands for the request.
            if packet.block:
                raise Violation(f"it acknowledged block {packet.block}, and none was sent")
            self._answered(now)
            return self._advance(now)
        steps = (packet.block - self._base) % self._period
        if steps > len(self._window) or self._number(self._base + steps) != packet.block:
            self._duplicates += 1
            return []
        if not steps:
            self._duplicates += 1
            return self._repeated(now)
        return self._acknowledged(steps, now)

    def _acknowledged(self, steps: int, now: float) -> list[Datagram]:
        if self._first_at is None:
            self._first_at = now
        self._begun = True
        self._answered(now)
        self._base += steps
        for _ in range(steps):
            self.octets += len(self._window.popleft()) - 4
        if not self._window and self._ended:
            self._end(Result.COMPLETE, now)
            return []
        return self._advance(now)

    def _repeated(self, now: float) -> list[Datagram]:
        """The last ACK again: nothing, or the window if its first block may have been lost."""
        if self._is_repeat_heard or self._base == self._doubled:
            return []
        self._is_repeat_heard = True
        self._fresh = False
        packets = self._again()
        self._retransmissions += len(packets)
        return self._send(packets, now)

    def _again(self) -> list[bytes]:
        """The whole window, once; then only its first block, as long as nothing shows that the server hears it."""
        self._doubled = self._base + len(self._window)
        return list(self._window) if self._tries <= 1 else [self._window[0]]

    def _advance(self, now: float) -> list[Datagram]:
        """Fill the window up and send it: whole, so that what an ACK inside it left open goes first, again."""
        left = len(self._window)
        last = self._base + left
        try:
            fresh = self._packets(last, self.terms.windowsize - left)
        except OSError as problem:
            return self.abort(f"the file cannot be read: {problem.strerror or problem}", now)
        self._window.extend(fresh)
        packets = fresh
        if left and self._base != self._doubled:
            packets = list(self._window)
            self._doubled = last
            self._retransmissions += left
        self._fresh = not left
        self._is_repeat_heard = left > 0 or self.terms.windowsize == 1
        return self._send(packets, now)

    def _packets(self, last: int, count: int) -> list[bytes]:
        """The next `count` blocks, those after the block `last`, or fewer at the end."""
        packets: list[bytes] = []
        blksize = self.terms.blksize
        while len(packets) < count and not self._ended:
            while len(self._rest) < blksize and not self._drained:
                self._fetch()
            block = bytes(self._rest[:blksize])
            del self._rest[:blksize]
            packets.append(wire.data(self._number(last + 1 + len(packets)), block))
            self._ended = len(block) < blksize
        return packets

    def _fetch(self) -> None:
        octets = self._source.read(READ_AHEAD)
        self._read += len(octets)
        self._drained = not octets
        size = self._source_size
        if size is not None and (self._read != size if self._drained else self._read > size):
            raise OSError(f"it has {self._read} octets{'' if self._drained else ' or more'}, {size} were announced")
        self._rest += netascii(octets) if self.terms.netascii else octets

    def _number(self, block: int) -> int:
        """The number on the wire of a block counted from 1; of 0, which is the request, 0."""
        if self._period == 65536:
            return block & 65535
        return (block - 1) % 65535 + 1 if block else 0
