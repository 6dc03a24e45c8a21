"""One file on its way from one client: the ACKs for it, the clock, and a disk that may be slow (RFC 1350, 2347, 7440).

    start ──▶ ACK 0 or OACK ──DATA 1 …──▶ ACK of every window ──short DATA──▶ all is here ──kept──▶ last ACK, linger
                                 │  ▲                              │
               nothing in time,  └──┴─ ACK of the last block        └─failed: ERROR
               or a gap: ─────────────   that came in order

The client sends and sends again; what is left to do here is never to let that grow.  A block that is not the next one
is answered at most once a round trip, and a gap once in its window: a block that comes sooner after our ACK was on its
way before that could be there, and says nothing.  So not even a client that answers every copy of an ACK with a copy of
a block (the Sorcerer's Apprentice, RFC 1123 §4.2.3.1) makes more packets of them.

Octets are handed on (`take`) and come to the disk elsewhere.  The client is slowed down to what the disk can do by
withholding the ACK of a window while too much is not written yet (`stored`), and the last ACK is not sent before the
file is complete under its name (`kept`): whoever has that ACK may forget what he sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pixelboot.library.settings import worded
from pixelboot.malformed import Malformed
from pixelboot.tftp import wire
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.patience import LONGEST_SILENCE, Patience, RoundTrip
from pixelboot.tftp.wire import ErrorCode
from pixelboot.tftp.write.netascii import NetasciiDecoder

MOST_HELD = 256 * 1024
"""Octets of one transfer that are not written yet; a window that is on its way counts as well."""

STORING_TIME = 60.0
"""Seconds in which the disk must take what it was given.  No client waits longer."""

LINGER_TIME = 20.0
"""Seconds for which the last ACK is repeated when the last block is (RFC 1350 §6): curl waits for 15 before it repeats
that.  Twice the interval of a client that asked for a longer one."""

_DATA = b"\0\3"
_PLACES = 65536


class Result(StrEnum):
    """What came of a transfer."""

    KEPT = "kept"
    TIMED_OUT = "timed out"
    ABORTED = "aborted"
    REFUSED = "refused"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a transfer."""

    result: Result
    """Kept: the file is here, whole, under its name.  Of any other there is nothing here.  Timed out: the client is
    silent.  Aborted: the client sent an ERROR.  Refused: it was sent one, for what it did.  Broken: the file could not
    be stored."""

    octets: int
    """What has come, in octets as sent (netascii has more than the file)."""

    seconds: float
    """From the request to the end; the time of lingering is not in it."""

    retransmissions: int
    """How many ACKs were sent again."""

    code: int = 0
    """The error code that was sent, by whichever side; 0 also where none was."""

    reason: str = ""
    """The client's words, untrusted, or why there is no file; empty where neither is the case."""


def too_large(most: int) -> str:
    """What a client is told, and the log, of a file of more octets."""
    return f"no more than {worded(most)} are taken here (tftp.write.largest)"


class WriteTransfer:
    """Takes one file from one client.

    Every call returns the packets to send, in order; then `deadline` says when to call `expired`.  It is over when
    there is an `ending` and no deadline: a file that is kept has its ending at once, and lingers.  Only what comes from
    the client's own address and port may be passed in.
    """

    __slots__ = (
        "_complained",
        "_decoder",
        "_fresh",
        "_last",
        "_most",
        "_octets",
        "_owed",
        "_period",
        "_pieces",
        "_resent",
        "_sent_at",
        "_since",
        "_size",
        "_started_at",
        "_stored",
        "_tries",
        "_trip",
        "_unheard",
        "acknowledged",
        "broken_off",
        "deadline",
        "ending",
        "name",
        "terms",
        "untaken",
        "whole",
    )

    def __init__(
        self, name: str, terms: Terms, patience: Patience, *, most: int, size: int | None = None, rollover: int = 0
    ) -> None:
        """At most `most` octets are taken, and exactly `size` if that was announced.

        `rollover` (0 or 1) is the block number that follows 65535; in lock-step either is understood.
        """
        self.name = name
        """The file's name as the client wrote it; untrusted."""
        self.terms = terms
        """What was negotiated."""
        self.deadline: float | None = None
        """When to call `expired`, on the clock of `now`; None before the start and when it is over."""
        self.ending: Ending | None = None
        """What came of it; None while it runs."""
        self.acknowledged = 0
        """Octets that have come, as sent."""
        self.untaken = 0
        """Octets that `take` would give."""
        self.whole = False
        """Whether the last block has come."""
        self.broken_off: wire.Error | None = None
        """What the client sent after the last block, while it is being stored: it wants the file no more.  `kept`, or
        `refused`, says whether that came in time."""
        self._decoder = NetasciiDecoder() if terms.netascii else None
        self._most = most
        self._size = size
        self._period = _PLACES - rollover
        self._trip = RoundTrip(patience, terms.timeout)
        self._last = 0  # The last block that came in order, counted from 1 without end.
        self._since = 0  # Blocks since our last ACK.
        self._pieces: list[bytes] = []  # What has come and was not taken, decoded.
        self._octets = 0  # Octets of the file that have come, decoded.
        self._stored = 0  # How many of them are written.
        self._owed = False  # Whether an ACK is withheld until more is written.
        self._complained = False  # Whether a gap was answered, since the last block that came in order.
        self._fresh = False  # Whether our last ACK was sent once only, so that the next block measures a round trip.
        self._started_at = self._sent_at = 0.0
        self._unheard = patience.unheard
        self._tries = 0  # How often in succession the timer has sent an ACK.
        self._resent = 0  # ACKs sent again, in all.

    def start(self, now: float) -> list[bytes]:
        """Begin: the OACK, or ACK 0 where no option was granted."""
        self._started_at = now
        self._fresh = True
        return self._acknowledge(now)

    def received(self, octets: bytes, now: float) -> list[bytes]:
        """What the client's datagram asks to be sent; whatever it is, it is never an exception."""
        if self.deadline is None:
            return []
        if octets[:2] != _DATA or len(octets) < 4:
            return self._heard(octets, now)
        block = octets[2] << 8 | octets[3]
        if self._last == _PLACES - 1 and self.terms.windowsize == 1 and block <= 1 and not self.whole:
            self._period = _PLACES - block
        if block != self._number(self._last + 1):
            return self._repeated(block, now)
        if self.whole or self._since >= self.terms.windowsize:
            return []  # It does not wait for our ACK.
        return self._arrived(octets[4:], now)

    def expired(self, now: float) -> list[bytes]:
        """The deadline has passed: the same ACK again, or the end.  Too early a call does nothing."""
        if self.deadline is None or now < self.deadline:
            return []
        if self.ending is not None:
            self.deadline = None
            return []
        if self.whole or self._owed:
            return self.failed("the disk did not take it in time", now)
        if self._tries >= (self._trip.retries if self._last else min(self._trip.retries, self._unheard)):
            self._end(Result.TIMED_OUT, now)
            return [wire.error(ErrorCode.UNDEFINED, "no data came in time")]
        self._tries += 1
        self._trip.lengthen()
        return self._again(now)

    @property
    def is_heard(self) -> bool:
        """Whether a block has come."""
        return self._last > 0

    def bear(self, now: float) -> None:
        """The disk is slow, and what it does cannot be called off any more: wait for it."""
        self.deadline = now + STORING_TIME

    def take(self) -> bytes:
        """What has come since the last call, to be written."""
        octets = b"".join(self._pieces)
        self._pieces.clear()
        self.untaken = 0
        return octets

    def stored(self, upto: int, now: float) -> list[bytes]:
        """So many octets are written, from the beginning of the file."""
        self._stored = upto
        if self.ending is not None or not self._owed or self._too_much:
            return []
        self._owed = False
        self._fresh = True
        return self._acknowledge(now)

    def kept(self, now: float) -> list[bytes]:
        """The file is complete under its name."""
        if self.ending is not None:
            return []
        self._end(Result.KEPT, now)
        if self.broken_off is not None:
            return []  # Nobody waits for the ACK.
        self.deadline = now + max(LINGER_TIME, 2 * min(self.terms.timeout or 0, LONGEST_SILENCE / 2))
        self._sent_at = now
        return [wire.ack(self._number(self._last))]

    def refused(self, code: ErrorCode, words: str, now: float) -> list[bytes]:
        """It cannot be kept for a reason that the client is told."""
        if self.ending is not None:
            return []
        if self.broken_off is not None:
            self._end(Result.ABORTED, now, self.broken_off.code, self.broken_off.message)
            return []
        self._end(Result.REFUSED, now, code, words)
        return [wire.error(code, words)]

    def failed(self, reason: str, now: float) -> list[bytes]:
        """The file could not be stored; `reason` is for the log."""
        if self.ending is not None:
            return []
        self._end(Result.BROKEN, now, ErrorCode.UNDEFINED, reason)
        return [] if self.broken_off is not None else [wire.error(ErrorCode.UNDEFINED, "the file cannot be stored")]

    def _arrived(self, block: bytes, now: float) -> list[bytes]:
        """The next block, in order."""
        if len(block) > self.terms.blksize:
            return self.refused(ErrorCode.ILLEGAL_OPERATION, "a block is longer than was agreed", now)
        if not self._last:
            self._trip.bound(LONGEST_SILENCE)
        if self._fresh:
            # Else it may be the answer to either copy: it measures nothing, and the wait stays long (Karn's rule).
            self._trip.measured(now - self._sent_at)
            self._fresh = False
        self._last += 1
        self._since += 1
        self._tries = 0
        self._complained = False
        self.acknowledged += len(block)
        self.whole = len(block) < self.terms.blksize
        octets = block if self._decoder is None else self._decoder.decode(block, last=self.whole)
        self._octets += len(octets)
        if self._octets > self._most:
            return self.refused(ErrorCode.DISK_FULL, too_large(self._most), now)
        if self._size is not None and (self.whole or self._octets > self._size) and self._octets != self._size:
            words = f"{self._size} octets were announced, {self._octets} have come"
            return self.refused(ErrorCode.UNDEFINED, words, now)
        self._pieces.append(octets)
        self.untaken += len(octets)
        if not self.whole and self._since < self.terms.windowsize:
            self.deadline = now + self._trip.wait
            return []
        self._owed = not self.whole and self._too_much
        if self.whole or self._owed:
            self.deadline = now + STORING_TIME
            return []
        self._fresh = True
        return self._acknowledge(now)

    @property
    def _too_much(self) -> bool:
        """Whether another window has no room, beside what is not written."""
        held = self._octets - self._stored
        return held > 0 and held + self.terms.in_flight > MOST_HELD

    def _repeated(self, number: int, now: float) -> list[bytes]:
        """A block that is not the next one: a copy of one that came, or one behind a gap."""
        if now - self._sent_at < self._trip.least / 2:
            return []
        if self.ending is not None:  # The last ACK was lost.
            return self._again(now) if number == self._number(self._last) else []
        if self.whole or self._owed:
            return []
        windowsize, ahead = self.terms.windowsize, (number - self._last) % self._period
        if 1 < ahead <= windowsize:
            if self._complained:
                return []
            self._complained = True
            return self._again(now)
        # A copy of what came after our last ACK does not say that that was lost; nor does one of what it needed not.
        behind = (self._last - number) % self._period
        return self._again(now) if self._last and self._since <= behind < self._since + windowsize else []

    def _heard(self, octets: bytes, now: float) -> list[bytes]:
        """Anything but DATA: an ERROR ends the transfer, and nothing is ever answered."""
        try:
            packet = wire.decode(octets)
        except Malformed:
            return []
        if isinstance(packet, wire.Error):
            if self.whole and self.ending is None:
                self.broken_off = packet  # The file may have its name already: what became of it, the disk tells.
                return []
            if self.ending is None:
                self._end(Result.ABORTED, now, packet.code, packet.message)
            self.deadline = None
        return []

    def _again(self, now: float) -> list[bytes]:
        """The ACK of the last block that came in order, perhaps once more."""
        self._resent += 1
        self._fresh = False
        if self.ending is not None:
            self._sent_at = now
            return [wire.ack(self._number(self._last))]
        return self._acknowledge(now)

    def _acknowledge(self, now: float) -> list[bytes]:
        self._since = 0
        self._sent_at = now
        self.deadline = now + self._trip.wait
        if not self._last and self.terms.agreed:
            return [wire.option_ack(self.terms.agreed)]
        return [wire.ack(self._number(self._last))]

    def _end(self, result: Result, now: float, code: int = 0, reason: str = "") -> None:
        self.ending = Ending(result, self.acknowledged, now - self._started_at, self._resent, code, reason)
        self.deadline = None
        self.take()

    def _number(self, block: int) -> int:
        """The number on the wire of a block counted from 1; of 0, which is what a request counts as, 0."""
        if self._period == _PLACES:
            return block & (_PLACES - 1)
        return (block - 1) % self._period + 1 if block else 0
