"""One timer for many exchanges, each of which has a deadline that moves with nearly every datagram.

A timer of the reactor's costs more than the datagram.  So the heap holds an exchange once, at its deadline or at an
earlier time; a deadline that has moved on costs nothing until the earlier time comes, and is then looked at again.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable
from itertools import count
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

T = TypeVar("T", bound=Hashable)

MOST_IN_A_TURN = 256
"""Exchanges looked at before everything else gets its turn."""

TICK = 0.001
"""Seconds: what is due within the next tick is due now."""

_NEVER = float("inf")


class Deadlines(Generic[T]):
    """Says when it is time to look at something."""

    def __init__(self, clock: IReactorTime, look: Callable[[T, float], None]) -> None:
        """`look` is called once with each thing whose time has come, and the time it is (up to a `TICK` ahead).

        It must not raise; it may set and drop.
        """
        self._clock = clock
        self._look = look
        self._due: dict[T, float] = {}
        self._heap: list[tuple[float, int, T]] = []
        self._entries = count()
        self._timer: IDelayedCall | None = None
        self._timer_at = _NEVER

    def set(self, thing: T, at: float) -> None:
        """Look at it at this time, on the clock, or at the earlier time that was set before."""
        if at < self._due.get(thing, _NEVER):
            self._due[thing] = at  # What stands in the heap of it already, at a later time, is void by this.
            heapq.heappush(self._heap, (at, next(self._entries), thing))
            if at < self._timer_at:
                self._arm()

    def drop(self, thing: T) -> None:
        """Look at it no more; without anything to look at there is no timer."""
        self._due.pop(thing, None)
        if not self._due:
            self._heap.clear()
            self._arm()

    def _arm(self) -> None:
        """Set the timer to the first time in the heap."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer, self._timer_at = None, _NEVER
        if self._heap:
            self._timer_at = self._heap[0][0]
            self._timer = self._clock.callLater(max(0.0, self._timer_at - self._clock.seconds()), self._expired)

    def _expired(self) -> None:
        self._timer_at = -_NEVER  # Armed below, once.
        now = self._clock.seconds() + TICK
        for _ in range(MOST_IN_A_TURN):
            if not self._heap or self._heap[0][0] > now:
                break
            at, _entry, thing = heapq.heappop(self._heap)
            if self._due.get(thing) == at:
                del self._due[thing]
                self._look(thing, now)
        self._arm()
