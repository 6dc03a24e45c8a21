"""One file on its way to one client: DATA, the ACKs for it, and the clock (RFC 1350, 1123 §4.2.3, 2347, 7440).

    start ──▶ OACK sent ──ACK 0──▶ window sent ──ACK of its last block──▶ next window … ──ACK of the last block──▶ over
                  │                    │ ▲
                  └─ERROR: a probe     └─┴─ ACK inside the window, or none in time: again from the block after the ACK

Without options there is no OACK, and without windowsize a window is one block.  Blocks are counted from 1 without end;
only on the wire has their number 16 bits.

What is sent again, and why: the timer sends the whole window again, an ACK inside the window what it leaves open
(RFC 7440 §4).  But of the first window only the first block is sent again until one was acknowledged: till then nothing
shows that anybody is there, and whoever asks in another's name shall not have a window sent to him nine times.

A repeated ACK is never answered in lock-step: that would double every packet from there on (the Sorcerer's Apprentice,
RFC 1123 §4.2.3.1).  In a window it is how a client says that the window's first block was lost, so it is answered, once
a window.

The apprentice has a way into windows too.  For every block that is not the next one, so for every copy of one that it
has, EDK2 says its last ACK again.  A window sent again without need thus brings an ACK of the last block that was sent
twice, which looks like the loss of the block after it; to send that again as well would go on to the end of the file.
So an ACK of exactly that block is no complaint.  Where it was meant as one, the timer helps.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from pixelboot.malformed import Malformed
from pixelboot.payload import Payload
from pixelboot.tftp import wire
from pixelboot.tftp.blocks import Blocks
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.wire import ErrorCode, ack_block

LONGEST_SILENCE = 240.0
"""Seconds in which a client must be heard that asked for an interval of retransmission of its own.  Of long intervals
there are fewer, and none is longer than half of this, for a packet that is lost must be sent again once.  Without this
bound one request could hold a transfer for as long as 38 minutes."""

FIRST_SILENCE = 60.0
"""The same until a block is acknowledged: anybody can send a request, and in another's name."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an ACK is waited for, and how often."""

    first: float = 1.0
    """Seconds of the first wait, when no round trip was measured yet."""

    floor: float = 0.1
    """Seconds of the shortest wait that follows from measured round trips."""

    ceiling: float = 8.0
    """Seconds of the longest."""

    retries: int = 8
    """How often in succession the same is sent again; with the waits above, and no interval that the client asked for,
    28 seconds or more."""


class Result(StrEnum):
    """What came of a transfer."""

    DELIVERED = "delivered"
    UNCONFIRMED = "unconfirmed"
    PROBED = "probed"
    TIMED_OUT = "timed out"
    ABORTED = "aborted"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a transfer."""

    result: Result
    """Delivered: the client has the whole file.  Unconfirmed: all was sent, but the last ACK never came.  Probed: the
    client took the OACK and wanted no more.  Timed out: the client is silent.  Aborted: the client sent an ERROR.
    Broken: the file could not be read."""

    octets: int
    """What the client has acknowledged, in octets as sent (netascii has more than the file); of an unconfirmed transfer
    all of them."""

    seconds: float
    """From the request to the end."""

    retransmissions: int
    """How many packets were sent again."""

    code: int = 0
    """The error code that the client sent; 0 also where it sent none."""

    reason: str = ""
    """The client's words, untrusted, or why the file could not be read; empty where neither is the case."""


class ReadTransfer:
    """Sends one payload to one client.

    Every call returns the packets to send, in order; then `deadline` says when to call `expired`, and `ending` whether
    all is over.  Only what comes from the client's own address and port may be passed in.
    """

    __slots__ = (
        "_answered",
        "_base",
        "_blocks",
        "_doubled",
        "_fresh",
        "_oack",
        "_patience",
        "_period",
        "_resent",
        "_retries",
        "_sent_at",
        "_srtt",
        "_started_at",
        "_tries",
        "_variation",
        "_wait",
        "_window",
        "acknowledged",
        "deadline",
        "ending",
        "name",
        "terms",
    )

    def __init__(self, name: str, payload: Payload, terms: Terms, patience: Patience, *, rollover: int = 0) -> None:
        """`payload` stays the caller's to close; `rollover` (0 or 1) is the block number that follows 65535."""
        self.name = name
        """The file's name as the client wrote it; untrusted."""
        self.terms = terms
        """What was negotiated."""
        self.deadline: float | None = None
        """When to call `expired`, on the clock of `now`; None before the start and after the end."""
        self.ending: Ending | None = None
        """What came of it; None while it runs."""
        self.acknowledged = 0
        """Octets that the client has, as sent."""
        self._blocks = Blocks(payload, terms.blksize, netascii=terms.netascii)
        self._patience = patience
        self._period = 65535 if rollover else 65536
        self._base = 0  # The last block that was acknowledged; 0 is none.
        self._window: deque[bytes] = deque()  # The packets of the blocks from there on, as they were sent.
        self._oack = wire.option_ack(terms.agreed) if terms.agreed else b""  # While its ACK is waited for.
        self._answered = True  # Whether a repeated ACK is not, or not once more, answered in this window.
        self._doubled = -1  # The last block that was sent again; 0 is the OACK.
        self._fresh = False  # Whether everything in flight was sent once only, so that an ACK measures a round trip.
        self._started_at = self._sent_at = 0.0
        self._srtt: float | None = None
        self._variation = 0.0
        self._wait = patience.first
        self._retries = patience.retries
        self._bound(FIRST_SILENCE)
        self._tries = 0  # How often in succession the timer has sent the same again.
        self._resent = 0  # Packets sent again, in all.

    def start(self, now: float) -> list[bytes]:
        """Begin: the OACK, or the first window where there is none to send."""
        self._started_at = now
        if not self._oack:
            return self._advance(now)
        self._fresh = True
        return self._send([self._oack], now)

    def received(self, octets: bytes, now: float) -> list[bytes]:
        """What the client's datagram asks to be sent; whatever it is, it is never an exception."""
        if self.ending is not None:
            return []
        block = ack_block(octets)
        return self._heard(octets, now) if block is None else self._acknowledged(block, now)

    def expired(self, now: float) -> list[bytes]:
        """The deadline has passed: the same again, or the end.  Too early a call does nothing."""
        if self.deadline is None or now < self.deadline:
            return []
        if self._tries >= self._retries:
            return self._give_up(now)
        self._tries += 1
        if self.terms.timeout is None:
            self._wait = max(self._wait, min(2 * self._wait, self._patience.ceiling))
        return self._send_again(now)

    def _acknowledged(self, block: int, now: float) -> list[bytes]:
        """An ACK: of the OACK, of blocks in flight, of the last one before them again, or of no account."""
        if self._oack:
            if block:
                return []
            self._oack = b""
        else:
            window = self._window
            steps = (block - self._base) % self._period
            if steps > len(window) or self._number(self._base + steps) != block:
                return []
            if not steps:
                return self._repeated(now)
            if not self._base:
                self._bound(LONGEST_SILENCE)
            self._base += steps
            for _ in range(steps):
                self.acknowledged += len(window.popleft()) - 4
            if not window and self._blocks.ended:
                self._end(Result.DELIVERED, now)
                return []
        if self._fresh:
            # Else it may be the ACK of either copy: it measures nothing, and the wait stays long (Karn's rule).
            self._measure(now - self._sent_at)
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
        window = self._window
        left = len(window)
        last = self._base + left
        try:
            blocks = self._blocks.take(self.terms.windowsize - left)
        except OSError as problem:
            self._end(Result.BROKEN, now, reason=problem.strerror or str(problem))
            return [wire.error(ErrorCode.UNDEFINED, "the file cannot be read any more")]
        packets = [wire.data(self._number(block), octets) for block, octets in enumerate(blocks, last + 1)]
        window.extend(packets)
        if left and self._base != self._doubled:
            packets = list(window)
            self._doubled = last
            self._resent += left
        self._tries = 0
        self._fresh = not left
        self._answered = left > 0 or self.terms.windowsize == 1
        return self._send(packets, now)

    def _send_again(self, now: float) -> list[bytes]:
        """All that is in flight, once; then only its first, as long as nothing shows that the client hears it."""
        packets = [self._oack] if self._oack else list(self._window) if self._tries <= 1 else [self._window[0]]
        self._doubled = self._base + len(self._window)
        self._resent += len(packets)
        self._fresh = False
        return self._send(packets, now)

    def _send(self, packets: list[bytes], now: float) -> list[bytes]:
        self._sent_at = now
        self.deadline = now + self._wait
        return packets

    def _give_up(self, now: float) -> list[bytes]:
        """The client is silent; if it only did not confirm the last of the file, that is no failure of ours."""
        # A client that acknowledged no block of several has perhaps received none: they may be too large for the way.
        if self._blocks.ended and (self._base or len(self._window) == 1):
            self.acknowledged += sum(len(packet) - 4 for packet in self._window)
            self._end(Result.UNCONFIRMED, now)
            return []
        self._end(Result.TIMED_OUT, now)
        return [wire.error(ErrorCode.UNDEFINED, "no acknowledgement came in time")]

    def _end(self, result: Result, now: float, code: int = 0, reason: str = "") -> None:
        self.ending = Ending(result, self.acknowledged, now - self._started_at, self._resent, code, reason)
        self.deadline = None
        self._window.clear()

    def _bound(self, silence: float) -> None:
        """Where the client asked for an interval: wait so long, but so that it is over after `silence` seconds."""
        if self.terms.timeout is not None:
            self._wait = min(self.terms.timeout, silence / 2)
            self._retries = min(self._patience.retries, int(silence / self._wait) - 1)

    def _measure(self, trip: float) -> None:
        """Learn from a round trip of `trip` seconds how long to wait (Jacobson and Karels, as in RFC 6298 §2).

        The floor is lower than the second of §2.4.  That one spares the networks between any two hosts; here both ends
        are in one network, and every lost packet halts the whole transfer for as long as is waited.  To have waited too
        short costs a packet, or a window, and then no more: by Karn's rule the wait stays doubled until something that
        was sent once is acknowledged.
        """
        if self._srtt is None:
            self._srtt, self._variation = trip, trip / 2
        else:
            off = trip - self._srtt
            self._variation += (abs(off) - self._variation) / 4
            self._srtt += off / 8
        if self.terms.timeout is None:
            wait = self._srtt + 4 * self._variation
            self._wait = min(max(wait, self._patience.floor), self._patience.ceiling)

    def _number(self, block: int) -> int:
        """The number on the wire of a block counted from 1; of 0, which is what an OACK counts as, 0."""
        if self._period == 65536:
            return block & 65535
        return (block - 1) % 65535 + 1 if block else 0
