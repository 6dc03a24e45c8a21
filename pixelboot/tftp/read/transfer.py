"""One file on its way to one client: DATA, the ACKs for it, and the clock (RFC 1350, 1123 §4.2.3, 2347, 7440).

    start ──▶ OACK sent ──ACK 0──▶ window sent ──ACK of its last block──▶ next window … ──ACK of the last block──▶ over
                  │                    │ ▲
                  └─ERROR: a probe     └─┴─ ACK inside the window, or none in time: again from the block after the ACK

Without options there is no OACK, and without windowsize a window is one block.  Blocks are counted from 1 without end;
only on the wire has their number 16 bits.

What is sent again, and why: the timer sends the whole window again, an ACK inside the window what it leaves open
(RFC 7440 §4).  But a window is sent whole twice at the most, and then only its first block, until one is acknowledged:
till then nothing shows that anybody is there, and nobody in whose name another asks shall have it nine times.

A repeated ACK is never answered in lock-step: that would double every packet from there on (the Sorcerer's Apprentice,
RFC 1123 §4.2.3.1).  In a window it is how a client says that the window's first block was lost, so it is answered, once
a window.

The apprentice has a way into windows too.  For every block that is not the next one, so for every copy of one that it
has, EDK2 says its last ACK again.  A window sent again without need thus brings an ACK of the last block that was sent
twice, which looks like the loss of the block after it; to send that again as well would go on to the end of the file.
So an ACK of exactly that block is no complaint.  Where it was meant as one, the timer helps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

from pixelboot.malformed import Malformed
from pixelboot.tftp import wire
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.patience import LONGEST_SILENCE, Patience, RoundTrip
from pixelboot.tftp.read.ending import Ending, Result
from pixelboot.tftp.read.image import Image
from pixelboot.tftp.wire import ACK, ErrorCode, ack, ack_block

_ACK_0 = ack(0)


class Running(Protocol):
    """What a transfer belongs to, as far as `in_step` goes."""

    @property
    def reading(self) -> ReadTransfer | None:
        """The transfer; None while there is none, or of one in the other direction."""

    @property
    def path(self) -> object:
        """How its client is reached, which is passed on."""

    @property
    def looked_at(self) -> float:
        """When its deadline is looked at, at the latest."""


class ReadTransfer:
    """Sends one payload to one client.

    Every call returns the packets to send, in order; then `deadline` says when to call `expired`, and `ending` whether
    all is over.  Only what comes from the client's own address and port may be passed in.
    """

    __slots__ = (
        "_answered",
        "_awaited",
        "_base",
        "_doubled",
        "_fresh",
        "_heard_at",
        "_image",
        "_oack",
        "_period",
        "_ready",
        "_resent",
        "_retries",
        "_runs",
        "_sent",
        "_sent_at",
        "_started_at",
        "_tries",
        "_trip",
        "ending",
        "first_at",
        "name",
        "terms",
    )

    def __init__(self, name: str, image: Image, terms: Terms, patience: Patience, *, rollover: int = 0) -> None:
        """`image` has blocks of `terms.blksize` octets; `rollover` (0 or 1) is the block number after 65535."""
        self.name = name
        """The file's name as the client wrote it; untrusted."""
        self.terms = terms
        """What was negotiated."""
        self.ending: Ending | None = None
        """What came of it; None while it runs."""
        self.first_at: float | None = None
        """When the first block was sent; None before."""
        self._image = image
        self._ready = image.ready
        self._period = 65535 if rollover else 65536
        self._base = 0  # The last block that was acknowledged; 0 is none.
        self._sent = 0  # The last block that was sent, and is in flight while it is not acknowledged.
        self._oack = terms.oack  # While its ACK is waited for.
        # The ACK that comes next in lock-step, if nothing was sent twice.  While there is one, but for the OACK's,
        # `in_step` may have gone on without a word to `_base` and `_heard_at`: the client has all but the last block,
        # and was heard when that one left.
        self._awaited: bytes | None = None
        self._heard_at: float | None = None
        self._runs = False
        self._answered = True  # Whether a repeated ACK is not, or not once more, answered in this window.
        self._doubled = -1  # The last block that was sent again; 0 is the OACK.
        self._fresh = False  # Whether everything in flight was sent once only, so that an ACK measures a round trip.
        self._started_at = self._sent_at = 0.0
        self._trip = RoundTrip(patience, terms.timeout)
        self._retries = min(self._trip.retries, patience.unheard)
        self._tries = 0  # How often in succession the timer has sent the same again.
        self._resent = 0  # Packets sent again, in all.

    @property
    def deadline(self) -> float | None:
        """When to call `expired`, on the clock of `now`; None before the start and after the end."""
        return self._sent_at + self._trip.wait if self._runs else None

    @property
    def heard_at(self) -> float | None:
        """When the client was last heard; None before it was."""
        return self._sent_at if self._is_in_step else self._heard_at

    @property
    def acknowledged(self) -> int:
        """Octets that the client has, as sent; of an unconfirmed transfer, all of them."""
        return self._image.octets(self._sent - 1 if self._is_in_step else self._base)

    @property
    def first_size(self) -> int:
        """Octets of the first block."""
        return self._image.octets(1)

    @property
    def is_heard(self) -> bool:
        """Whether the client has acknowledged a block."""
        return (self._sent - 1 if self._is_in_step else self._base) > 0

    @property
    def next_step(self) -> tuple[bytes, bytes] | None:
        """The ACK that comes next, if all goes well, and the answer of `in_step`; None where it may have none."""
        ready = self._ready.get(self._sent)
        return None if self._awaited is None or ready is None else (self._awaited, ready[0])

    @property
    def _is_in_step(self) -> bool:
        """Whether everything goes well, in lock-step, and the last that was sent is a block."""
        return self._awaited is not None and not self._oack

    def start(self, now: float) -> list[bytes]:
        """Begin: the OACK, or the first window where there is none to send."""
        self._started_at = now
        self._runs = True
        if not self._oack:
            return self._advance(now)
        self._fresh = True
        self._awaited = _ACK_0 if self.terms.windowsize == 1 else None
        return self._send([self._oack], now)

    def received(self, octets: bytes, now: float) -> list[bytes]:
        """What the client's datagram asks to be sent; whatever it is, it is never an exception."""
        self._catch_up()
        self._heard_at = now
        if self.ending is not None:
            return []
        block = ack_block(octets)
        return self._heard(octets, now) if block is None else self._acknowledged(block, now)

    def expired(self, now: float) -> list[bytes]:
        """The deadline has passed: the same again, or the end.  Too early a call does nothing."""
        if self.deadline is None or now < self.deadline:
            return []
        self._catch_up()
        if self._tries >= self._retries:
            return self._give_up(now)
        self._tries += 1
        self._trip.lengthen()
        return self._send_again(now)

    def _catch_up(self) -> None:
        """Know what `in_step` has done."""
        if self._is_in_step:
            self._base, self._heard_at = self._sent - 1, self._sent_at

    def _acknowledged(self, block: int, now: float) -> list[bytes]:
        """An ACK: of the OACK, of blocks in flight, of the last one before them again, or of no account."""
        if self._oack:
            if block:
                return []
            self._oack_arrived()
        else:
            steps = (block - self._base) % self._period
            if steps > self._sent - self._base or self._number(self._base + steps) != block:
                return []
            if not steps:
                return self._repeated(now)
            if not self._base:
                self._block_arrived()
            self._base += steps
        return self._go_on(now)

    def _oack_arrived(self) -> None:
        """Somebody is there."""
        self._oack = b""
        self._retries = self._trip.retries

    def _block_arrived(self) -> None:
        """The first of them: the way is known."""
        self._trip.bound(LONGEST_SILENCE)
        self._retries = self._trip.retries

    def _go_on(self, now: float) -> list[bytes]:
        """Something was acknowledged."""
        if self._base == self._image.blocks:
            self._end(Result.DELIVERED, now)
            return []
        if self._fresh:
            # Else it may be the ACK of either copy: it measures nothing, and the wait stays long (Karn's rule).
            self._trip.measured(now - self._sent_at)
        return self._advance(now)

    def _repeated(self, now: float) -> list[bytes]:
        """The last ACK again: nothing, or the window if its first block may have been lost."""
        if self._answered or self._base == self._doubled:
            return []
        self._answered = True
        return self._send_again(now)

    def _heard(self, octets: bytes, now: float) -> list[bytes]:
        """Anything but an ACK: an ERROR ends the transfer, and nothing is ever answered."""
        try:
            packet = wire.decode(octets)
        except Malformed:
            return []
        if isinstance(packet, wire.Error):
            result = Result.PROBED if self._oack else Result.ABORTED
            self._end(result, now, packet.code, packet.message)
        return []

    def _advance(self, now: float) -> list[bytes]:
        """Fill the window up and send it: whole, so that what an ACK inside it left open goes first, again."""
        if not self._sent:
            self.first_at = now
        left = self._sent - self._base
        again = left > 0 and self._base != self._doubled
        first = self._base if again else self._sent
        packets = self._packets(first, self._base + self.terms.windowsize - first, now)
        if self.ending is not None:
            return packets
        if again:
            self._doubled = self._sent
            self._resent += left
        self._sent = first + len(packets)
        is_steady, self._tries = not self._tries, 0
        self._fresh = not left
        self._answered = left > 0 or self.terms.windowsize == 1
        # After a loss the wait is long, so the next ACK is not to be one of those that are not measured.
        lock_step = self.terms.windowsize == 1 and is_steady
        self._awaited = ACK + packets[0][2:4] if lock_step else None
        return self._send(packets, now)

    def _send_again(self, now: float) -> list[bytes]:
        """All that is in flight, once; then only its first, as long as nothing shows that the client hears it."""
        if self._oack:
            packets = [self._oack]
        else:
            packets = self._packets(self._base, self._sent - self._base if self._tries <= 1 else 1, now)
            if self.ending is not None:
                return packets
        self._doubled = self._sent
        self._resent += len(packets)
        self._fresh = False
        self._awaited = None
        return self._send(packets, now)

    def _packets(self, done: int, count: int, now: float) -> list[bytes]:
        """The blocks after the first `done`; an ERROR, and the end, if they cannot be read any more."""
        try:
            return self._image.packets(done, count)
        except OSError as problem:
            self._end(Result.BROKEN, now, reason=problem.strerror or str(problem))
            return [wire.error(ErrorCode.UNDEFINED, "the file cannot be read any more")]

    def _send(self, packets: list[bytes], now: float) -> list[bytes]:
        self._sent_at = now
        return packets

    def _give_up(self, now: float) -> list[bytes]:
        """The client is silent; if it only did not confirm the last of the file, that is no failure of ours."""
        # A client that acknowledged no block of several has perhaps received none: they may be too large for the way.
        if not self._oack and self._sent == self._image.blocks and (self._base or self._sent == 1):
            self._base = self._sent
            self._end(Result.UNCONFIRMED, now)
            return []
        self._end(Result.TIMED_OUT, now)
        return [wire.error(ErrorCode.UNDEFINED, "no acknowledgement came in time")]

    def _end(self, result: Result, now: float, code: int = 0, reason: str = "") -> None:
        self._awaited = None
        self._runs = False
        self.ending = Ending(result, self.acknowledged, now - self._started_at, self._resent, code, reason)

    def _number(self, block: int) -> int:
        """The number on the wire of a block counted from 1; of 0, which is what an OACK counts as, 0."""
        if self._period == 65536:
            return block & 65535
        return (block - 1) % 65535 + 1 if block else 0

    def _is_last(self, block: int) -> bool:
        """Whether the file ends with this block."""
        return block == self._image.blocks

    def _arrived(self, block: int, now: float) -> None:
        """`in_step` has heard that the last block arrived."""
        if block == 1:
            self._block_arrived()
        self._base, self._heard_at = block, now
        self._end(Result.DELIVERED, now)

    def _measured(self, base: int, now: float) -> None:
        """`in_step` has sent the block after these, and not measured the round trip before it yet."""
        self._trip.measured(now - self._sent_at)
        if base == 0:
            self._oack_arrived()
            self.first_at = now
            self._image.touch()
        elif base == 1:
            self._block_arrived()


Member = TypeVar("Member", bound=Running)


def in_step(
    datagrams: Iterable[tuple[bytes, bytes, bytes]], running: Mapping[bytes, Member], now: float
) -> tuple[list[bytes], list[Any], list[Member], list[tuple[bytes, bytes, bytes]]]:
    """Answer all ACKs that say that all goes well, in lock-step: nearly every datagram does.

    Each datagram is octets, who sent them, and anything else; `running` knows whose transfer is whose.  Returns the
    answers, one to a client; how each of these clients is reached; those who are heard for the first time, or the last,
    or whose deadline is now before it would be looked at; and the datagrams that are not answered yet.  This is
    `ReadTransfer.received` for many and for this case alone: all that need not be done for it is not done.
    """
    packets: list[bytes] = []
    ways: list[Any] = []
    noted: list[Member] = []
    others: list[tuple[bytes, bytes, bytes]] = []
    for said, peer, told in datagrams:
        member = running.get(peer)
        if member is None or (transfer := member.reading) is None or said != transfer._awaited:
            others.append((said, peer, told))
            continue
        base = transfer._sent
        ready = transfer._ready.get(base)
        if ready is None:
            if transfer._is_last(base):
                transfer._arrived(base, now)
                noted.append(member)
            else:  # It is to be read from the file.
                others.append((said, peer, told))
            continue
        packet, transfer._awaited = ready
        transfer._sent = base + 1
        if not base & 7 or base == 1:  # To measure each of them would take as long as all the rest.
            transfer._measured(base, now)
            if base == 1 or now + transfer._trip.wait < member.looked_at:
                noted.append(member)
        transfer._sent_at = now
        packets.append(packet)
        ways.append(member.path)
    return packets, ways, noted, others
