"""The turns of connections: all of them together hold the reactor for a moment only, then others have theirs.

In each of its turns the reactor serves everything that is ready.  With a hundred clients that is ten milliseconds, and
a machine that asks for an address waits for as long.  So, when connections have worked for `BUDGET` seconds, the
others are passed over.  What they are ready for stays, and the reactor comes again; then they are the first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

BUDGET = 0.0025
"""Seconds in one turn of the reactor.  With 0.001 a hundred clients get a tenth less: to be passed over costs, too."""

K = TypeVar("K", bound=Hashable)


class Turns(Generic[K]):
    """Who may work in this turn of the reactor."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._now = clock.seconds
        self._spent = 0.0  # since the last turn that is known to have begun
        self._owed: dict[K, None] = {}  # who were passed over, and are the only ones to work now
        self._passed: dict[K, None] = {}
        self._next: IDelayedCall | None = None

    def take(self, who: K, work: Callable[[], object]) -> object:
        """Do the work that somebody is ready for, and give what it gives; or None, and it is to be asked again."""
        if self._spent >= BUDGET or (self._owed and who not in self._owed):
            self._passed[who] = None
            return None
        self._owed.pop(who, None)
        began = self._now()
        try:
            return work()
        finally:
            self._spent += self._now() - began
            if self._next is None and self._spent >= BUDGET / 2:
                # Only then, for it costs something to be told of a turn.
                self._next = self._clock.callLater(0, self._begin)

    def _begin(self) -> None:
        """A turn begins."""
        self._next = None
        if self._spent < BUDGET:
            self._owed.clear()  # they had their chance
        self._spent = 0.0
        if not self._owed:
            self._owed, self._passed = self._passed, {}
        if self._owed:
            self._next = self._clock.callLater(0, self._begin)

    def forget(self, who: K) -> None:
        """Somebody is gone."""
        self._owed.pop(who, None)
        self._passed.pop(who, None)

    def stop(self) -> None:
        """Nobody is left."""
        self._owed.clear()
        self._passed.clear()
        self._spent = 0.0
        if self._next is not None:
            self._next.cancel()
            self._next = None
