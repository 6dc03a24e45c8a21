"""How long the other side of a transfer is waited for: both directions wait alike (RFC 1123 §4.2.3.2, RFC 6298)."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_SILENCE = 240.0
"""Seconds in which a client must be heard that asked for an interval of retransmission of its own.  Of long intervals
there are fewer, and none is longer than half of this, for a packet that is lost must be sent again once.  Without this
bound one request could hold a transfer for as long as 38 minutes."""

FIRST_SILENCE = 60.0
"""The same until the client was heard once: anybody can send a request, and in another's name."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer is waited for, and how often."""

    first: float = 1.0
    """Seconds of the first wait, when no round trip was measured yet."""

    floor: float = 0.1
    """Seconds of the shortest wait that follows from measured round trips."""

    ceiling: float = 8.0
    """Seconds of the longest."""

    retries: int = 8
    """How often in succession the same is sent again; with the waits above, and no interval that the client asked for,
    28 seconds or more."""

    unheard: int = 3
    """How often the first packet is sent again to a client that was not heard since its request: anybody can send one,
    and in another's name."""


class RoundTrip:
    """The time from a packet to its answer, and the wait that follows from it."""

    __slots__ = ("_interval", "_patience", "_smoothed", "_variation", "least", "retries", "wait")

    def __init__(self, patience: Patience, interval: float | None = None) -> None:
        """`interval` is the one that the client asked for, in seconds; None when the wait is left to us."""
        self._patience = patience
        self._interval = interval
        self._smoothed: float | None = None
        self._variation = 0.0
        self.least = 0.0
        """Seconds of the shortest round trip that was measured; 0 before there is one."""
        self.wait = patience.first
        """Seconds to wait now."""
        self.retries = patience.retries
        """How often the same may be sent again."""
        if interval is not None:
            self.bound(FIRST_SILENCE)

    def measured(self, trip: float) -> None:
        """Learn from a round trip of `trip` seconds how long to wait (Jacobson and Karels, as in RFC 6298 §2).

        The floor is lower than the second of §2.4.  That one spares the networks between any two hosts; here both ends
        are in one network, and every lost packet halts the whole transfer for as long as is waited.  To have waited too
        short costs a packet, or a window, and then no more: by Karn's rule, which is the caller's to keep, only what
        was sent once is measured, and until then the wait stays long.
        """
        if self._smoothed is None:
            self._smoothed, self._variation, self.least = trip, trip / 2, trip
        else:
            off = trip - self._smoothed
            self._variation += (abs(off) - self._variation) / 4
            self._smoothed += off / 8
            self.least = min(self.least, trip)
        if self._interval is None:
            wait = self._smoothed + 4 * self._variation
            self.wait = min(max(wait, self._patience.floor), self._patience.ceiling)

    def lengthen(self) -> None:
        """Nothing came in time: wait twice as long, unless the client asked for an interval."""
        if self._interval is None:
            self.wait = max(self.wait, min(2 * self.wait, self._patience.ceiling))

    def bound(self, silence: float) -> None:
        """Where the client asked for an interval: wait so long, but so that it is over after `silence` seconds."""
        if self._interval is not None:
            self.wait = min(self._interval, silence / 2)
            self.retries = min(self._patience.retries, int(silence / self.wait) - 1)
