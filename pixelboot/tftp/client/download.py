"""One file on its way from a server: the request, the ACKs, and the clock (RFC 1350, 1123 §4.2.3, 2347, 7440).

    RRQ ──▶ OACK ──▶ ACK 0 ──▶ window received ──▶ ACK of its last block ──▶ next window … ──▶ last ACK ──▶ dally
      └───▶ DATA 1, where no option is granted            │
                                                a gap, or nothing in time: ACK of the last block that came in order

Only the next block is kept (go-back-N): what comes behind a gap is thrown away, and the gap is told the server once.

What has come before is no news, and to answer every copy of it would make a careless server double every packet from
there on (the Sorcerer's Apprentice, RFC 1123 §4.2.3.1).  But it may also say that our ACK was lost.  A server sends
again only after a while; so a copy is answered if we have been silent for half of our own wait, and else not.

Which number follows 65535 is not agreed by any option: 0 or 1.  In lock-step the server simply shows it.  In a window
it may be that 1 comes because 0 was lost; so 1 is taken for the next block only if a number comes that the server could
not have reached otherwise, or if 0 never comes however often it is asked for.
"""

from __future__ import annotations

from pixelboot.tftp import wire
from pixelboot.tftp.client.conversation import PATIENCE, Conversation, Datagram
from pixelboot.tftp.client.ending import Peer, Result
from pixelboot.tftp.client.terms import Violation, Wishes
from pixelboot.tftp.patience import Patience
from pixelboot.tftp.wire import ErrorCode, Opcode
from pixelboot.tftp.write.netascii import NetasciiDecoder

LARGEST = 1 << 32
"""Octets of a file, as sent, that are taken where nothing else is said."""

DALLY = 0.25
"""Seconds for which a last block that comes again is answered again, where nothing else is said."""

_LAST_NUMBER = 65535
_HALF = 32768
_ROLLOVER_TRIES = 5
"""How often the block after 65535 begins with 1 before it is believed that it is not the one after 0."""


class Download(Conversation):
    """Receives one file.  What has come is handed out in order by `take`."""

    OPCODE = Opcode.RRQ
    FIRST = wire.data(1, b"")

    def __init__(
        self,
        server: Peer,
        name: str,
        wishes: Wishes | None = None,
        patience: Patience = PATIENCE,
        *,
        largest: int = LARGEST,
        dally: float = DALLY,
        insist: bool = False,
        any_address: bool = False,
    ) -> None:
        """A file that has more than `largest` octets, as sent, is broken off; for the rest see `Conversation`.

        :raises ValueError: if the name or what is wished for cannot be asked.
        """
        wishes = wishes or Wishes()
        super().__init__(server, name, wishes, patience, size=0, insist=insist, any_address=any_address)
        self._largest = largest
        self._dally = dally
        self._ready: list[bytes] = []  # What was not taken yet.
        self._decoder = NetasciiDecoder() if wishes.netascii else None
        self._last = 0  # The last block that came in order, counted from 1 without end.
        self._acknowledged = 0  # The last block that we sent an ACK of.
        self._complained = False  # Whether the gap was told the server.
        self._rollover: int | None = None  # The number after 65535, when it is known.
        self._ones = 0  # How often it seemed to be 1.

    def take(self) -> bytes:
        """What has come since the last call, decoded if it is netascii."""
        octets = b"".join(self._ready)
        self._ready.clear()
        return octets

    def _agreed(self, now: float) -> list[Datagram]:
        if self.size is not None and self.size > self._largest:
            return self._too_large(now)
        return self._ack(now)

    def _agreed_again(self, now: float) -> list[Datagram]:
        return self._repeat(now)

    def _again(self) -> list[bytes]:
        self._acknowledged = self._last
        return [wire.ack(self._number(self._last))]

    def _heard(self, packet: wire.Packet, now: float) -> list[Datagram]:
        if not isinstance(packet, wire.Data):
            raise Violation(f"it sent {type(packet).__name__}, which no server sends in a download")
        if len(packet.octets) > self.terms.blksize:
            raise Violation(f"it sent a block of {len(packet.octets)} octets, {self.terms.blksize} were agreed")
        if self.ending is not None:
            self._duplicates += 1
            return self._dallied(packet.block, now)
        ahead = self._ahead(packet.block)
        if not ahead:
            return self._next(packet.octets, now)
        if ahead < _HALF:
            return self._gap(now)
        self._duplicates += 1
        return self._repeat(now)

    def _ahead(self, number: int) -> int:
        """How many blocks a block is ahead of the next one; of one that has come, 32768 or more."""
        if self._last == _LAST_NUMBER and self._rollover is None:
            self._learn_rollover(number)
        period = _LAST_NUMBER if self._rollover == 1 and self._last >= _LAST_NUMBER else _LAST_NUMBER + 1
        return (number - self._number(self._last + 1)) % period

    def _learn_rollover(self, number: int) -> None:
        """What follows 65535, seen by the number of a block that came when all up to there had come."""
        furthest = self._acknowledged + self.terms.windowsize - (_LAST_NUMBER + 1)  # Where 0 follows.
        if not number:
            self._rollover = 0
        elif number < _HALF:
            self._ones += number == 1
            if number > furthest or self._ones > _ROLLOVER_TRIES:
                self._rollover = 1
                self._complained = False

    def _next(self, octets: bytes, now: float) -> list[Datagram]:
        if self._first_at is None:
            self._first_at = now
        self._begun = True
        self._last += 1
        self.octets += len(octets)
        self._complained = False
        self._answered(now)
        is_last = len(octets) < self.terms.blksize
        if self.size is not None and not self.terms.netascii:  # Of a text nobody has said which size is meant.
            self._check(self.size, is_last=is_last)
        if self.octets > self._largest:
            return self._too_large(now)
        self._ready.append(octets if self._decoder is None else self._decoder.decode(octets, last=is_last))
        if is_last:
            return self._complete(now)
        if self._last - self._acknowledged >= self.terms.windowsize:
            return self._ack(now)
        return []

    def _check(self, size: int, *, is_last: bool) -> None:
        if self.octets > size or (is_last and self.octets < size):
            raise Violation(f"the file has {self.octets} octets{'' if is_last else ' or more'}, tsize was {size}")

    def _gap(self, now: float) -> list[Datagram]:
        """A block is missing: one ACK says so, and one more only when it was in vain for a while."""
        self._discarded += 1
        if self._complained and not self._is_quiet(now):
            return []
        self._complained = True
        self._retransmissions += self._acknowledged == self._last
        return self._ack(now, fresh=self._acknowledged != self._last)

    def _repeat(self, now: float) -> list[Datagram]:
        """What came has come before: the ACK may have been lost, if the server had time to send again."""
        if not self._is_quiet(now):
            return []
        self._retransmissions += 1
        return self._ack(now, fresh=False)

    def _is_quiet(self, now: float) -> bool:
        return now - self._sent_at >= self._trip.wait / 2

    def _ack(self, now: float, *, fresh: bool = True) -> list[Datagram]:
        """The last block that came in order; the deadline of an ACK that says nothing new stays where it is."""
        deadline = self.deadline
        self._fresh = fresh
        self._acknowledged = self._last
        packets = self._send([wire.ack(self._number(self._last))], now)
        if not fresh:
            self.deadline = deadline
        return packets

    def _complete(self, now: float) -> list[Datagram]:
        packets = self._ack(now)
        self._end(Result.COMPLETE, now)
        self.deadline = now + self._dally if self._dally else None
        return packets

    def _dallied(self, number: int, now: float) -> list[Datagram]:
        """The end is near, and the deadline stays: the last block again has its ACK again."""
        if number != self._number(self._last) or not self._is_quiet(now):
            return []
        return self._ack(now, fresh=False)

    def _too_large(self, now: float) -> list[Datagram]:
        told = f"it has {self.size} octets" if self.size is not None else "it does not end there"
        reason = f"{self._largest} octets are taken at the most, and {told}"
        return self._fail(Result.TOO_LARGE, reason, ErrorCode.DISK_FULL, now)

    def _number(self, block: int) -> int:
        """The number on the wire of a block counted from 1; of 0, which is the OACK, 0."""
        if self._rollover == 1:
            return (block - 1) % _LAST_NUMBER + 1 if block else 0
        return block & _LAST_NUMBER
