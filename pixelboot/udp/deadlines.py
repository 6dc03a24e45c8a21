"""One timer for many exchanges, each of which has a deadline that moves with nearly every datagram.

A timer of the reactor's costs more than the datagram.  So the heap holds an exchange once, at its deadline or at an
earlier time; a deadline that has moved on costs nothing until the earlier time comes, and is then looked at again.
What is dropped leaves its entry in the heap behind, but is itself forgotten at once, and the heap is built anew before
such entries outnumber the others by much.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable
from itertools import count
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

T = TypeVar("T", bound=Hashable)

MOST_IN_A_TURN = 256
"""Exchanges looked at before everything else gets its turn."""

TICK = 0.001
"""Seconds: what is due within the next tick is due now."""

MOST_VOID = 64
"""Entries of the heap that may be void before it is built anew, beyond as many as are not."""

_NEVER = float("inf")

_log = Logger(namespace="pixelboot.udp")


class Deadlines(Generic[T]):
    """Says when it is time to look at something."""

    def __init__(self, clock: IReactorTime, look: Callable[[T, float], None]) -> None:
        """`look` is called once with each thing whose time has come, and the time it is (up to a `TICK` ahead).

        It may set and drop.  What it raises is logged, and the next thing is looked at.
        """
        self._clock = clock
        self._look = look
        self._due: dict[T, tuple[float, int]] = {}  # The one entry of each that counts.
        self._things: dict[int, T] = {}  # By the number of that entry.
        self._heap: list[tuple[float, int]] = []
        self._numbers = count()
        self._timer: IDelayedCall | None = None
        self._timer_at = _NEVER

    def set(self, thing: T, at: float) -> None:
        """Look at it at this time, on the clock, or at the earlier time that was set before."""
        before, void = self._due.get(thing, (_NEVER, -1))
        if at < before:
            self._things.pop(void, None)
            number = next(self._numbers)
            self._things[number] = thing
            self._due[thing] = entry = at, number
            heapq.heappush(self._heap, entry)
            self._tidy()
            if at < self._timer_at:
                self._arm()

    def drop(self, thing: T) -> None:
        """Look at it no more; without anything to look at there is no timer."""
        entry = self._due.pop(thing, None)
        if entry is not None:
            del self._things[entry[1]]
            self._tidy()
        if not self._due:
            self._heap.clear()
            self._arm()

    def _tidy(self) -> None:
        """Keep the heap in proportion to what is waited for, however much was dropped."""
        if len(self._heap) > 2 * len(self._due) + MOST_VOID:
            self._heap = list(self._due.values())
            heapq.heapify(self._heap)

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
            number = heapq.heappop(self._heap)[1]
            if number in self._things:
                thing = self._things.pop(number)
                del self._due[thing]
                try:
                    self._look(thing, now)
                except Exception:  # noqa: BLE001 - whatever is wrong with one, the others have their time too
                    _log.failure("what was due could not be seen to")
        if not self._due:
            self._heap.clear()
        self._arm()
