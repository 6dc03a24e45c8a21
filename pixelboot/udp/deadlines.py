"""One timer for many exchanges, each of which has a deadline that moves with nearly every datagram.

A timer of the reactor's costs more than the datagram.  So time is cut into ticks, and what is due in one tick lies
together, as in the slots of a wheel; only for the first tick in which there is anything a timer runs.  A deadline that
has moved on costs nothing until the earlier time comes, and is then looked at again.  What is dropped is forgotten at
once.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

T = TypeVar("T", bound=Hashable)

MOST_IN_A_TURN = 256
"""Exchanges looked at before everything else gets its turn."""

TICK = 0.001
"""Seconds: what is due within the same tick is due at its beginning."""

MOST_VOID = 64
"""Ticks that may be known in which nothing is due any more, beyond as many as there are others."""

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
        self._due: dict[T, int] = {}  # The tick of each.
        self._slots: dict[int, dict[T, None]] = {}  # What is due in a tick; none of them is empty.
        self._ticks: list[int] = []  # A heap of those, and of some in which nothing is due any more.
        self._timer: IDelayedCall | None = None
        self._timer_at = _NEVER

    def set(self, thing: T, at: float) -> None:
        """Look at it at this time, on the clock, or at the earlier time that was set before."""
        tick = int(at / TICK)
        before = self._due.get(thing)
        if before is not None:
            if before <= tick:
                return
            self._take_out(before, thing)
        self._due[thing] = tick
        slot = self._slots.get(tick)
        if slot is not None:
            slot[thing] = None
            return
        self._slots[tick] = {thing: None}
        heapq.heappush(self._ticks, tick)
        if len(self._ticks) > 2 * len(self._slots) + MOST_VOID:
            self._ticks = sorted(self._slots)
        if tick * TICK < self._timer_at:
            self._arm()

    def drop(self, thing: T) -> None:
        """Look at it no more; without anything to look at there is no timer."""
        tick = self._due.pop(thing, None)
        if tick is not None:
            self._take_out(tick, thing)
            if not self._due:
                self._arm()

    def _take_out(self, tick: int, thing: T) -> None:
        slot = self._slots[tick]
        del slot[thing]
        if not slot:
            del self._slots[tick]

    def _arm(self) -> None:
        """Set the timer to the first tick in which anything is due."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer, self._timer_at = None, _NEVER
        while self._ticks and self._ticks[0] not in self._slots:
            heapq.heappop(self._ticks)
        if self._ticks:
            self._timer_at = self._ticks[0] * TICK
            self._timer = self._clock.callLater(max(0.0, self._timer_at - self._clock.seconds()), self._expired)

    def _expired(self) -> None:
        self._timer_at = -_NEVER  # Armed below, once.
        now = self._clock.seconds() + TICK
        # A look may set something anew that is due at once: that waits for the next turn.
        left = min(MOST_IN_A_TURN, len(self._due))
        while left and self._ticks and self._ticks[0] * TICK < now:
            slot = self._slots.get(self._ticks[0])
            if slot is None:
                heapq.heappop(self._ticks)
                continue
            thing = next(iter(slot))
            self._due.pop(thing)
            self._take_out(self._ticks[0], thing)
            left -= 1
            try:
                self._look(thing, now)
            except Exception:  # noqa: BLE001 - whatever is wrong with one, the others have their time too
                _log.failure("what was due could not be seen to")
        self._arm()
