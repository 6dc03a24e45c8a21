"""Work that is done once for all who ask for the same meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

REMEMBERED = 1024
"""How many results are remembered."""


class Joined(Generic[K, T]):
    """Work under way, by what it is about."""

    def __init__(self, after: Callable[[T], object] | None = None) -> None:
        """`after` is called with what came of it when all who waited have been given that, and there may be none."""
        self._after = after
        self._waiting: dict[K, list[Deferred[T]]] = {}

    def under_way(self, key: K) -> bool:
        """Whether it was begun, and is not over."""
        return key in self._waiting

    async def get(self, key: K, begin: Callable[[], Deferred[T]]) -> T:
        """What comes of the work that is under way, or that `begin` begins; to wait no more disturbs nobody else."""
        begun: Deferred[T] | None = None
        if key not in self._waiting:
            begun = begin()
            self._waiting[key] = []
        waiting = self._waiting[key]
        waiter: Deferred[T] = Deferred(waiting.remove)
        waiting.append(waiter)
        if begun is not None:
            begun.addBoth(self._done, key)
        return await waiter

    def _done(self, result: T | Failure, key: K) -> None:
        for waiter in self._waiting.pop(key):
            waiter.callback(result)  # a Failure makes it fail
        if self._after is not None and not isinstance(result, Failure):
            self._after(result)


class Once(Generic[K, T]):
    """Work done in a thread, and what came of it remembered."""

    def __init__(self, reactor: Any, clock: IReactorTime, keep: float) -> None:
        """What comes of it is remembered for `keep` seconds by `clock`; of failures, nothing is."""
        self._reactor = reactor
        self._clock = clock
        self._keep = keep
        self._known: dict[K, tuple[float, T]] = {}
        self._joined: Joined[K, T] = Joined()

    async def get(self, key: K, begin: Callable[[], Callable[[], T]], remember: bool = True) -> T:
        """What came of the work that `begin` gives; it is not called when somebody else's work will do."""
        if key in self._known and self._clock.seconds() < self._known[key][0]:
            return self._known[key][1]

        def work() -> Deferred[T]:
            working = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), begin())
            return working.addCallback(self._keep_it, key) if remember else working

        return await self._joined.get(key, work)

    def last(self, key: K, default: T) -> T:
        """What came of it the last time, however long ago, if it is still remembered."""
        return self._known[key][1] if key in self._known else default

    def _keep_it(self, result: T, key: K) -> T:
        self._known.pop(key, None)
        if len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[key] = self._clock.seconds() + self._keep, result
        return result
