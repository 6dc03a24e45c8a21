"""Room for decoded parts: the account of it, the cache on disk, and whoever waits until others let go of some."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThreadPool

from pixelboot.library.budget import Budget
from pixelboot.library.decoding.cache import Cache
from pixelboot.library.offer.entry import Entry
from pixelboot.library.outcomes import PartsEvicted
from pixelboot.library.settings import spelled
from pixelboot.outcome import Outcome, quantity

ROOM_PATIENCE = 60.0
"""Seconds for which a picture that a machine waits for waits in its turn for room that others have in use."""

T = TypeVar("T")


class Room:
    """What may be kept in the cache, and makes room there."""

    def __init__(
        self,
        reactor: Any,
        cache: Cache,
        limit: int,
        *,
        removed: Callable[[str], object],
        report: Callable[[Outcome], None],
        clock: IReactorTime,
        wall: Callable[[], float],
    ) -> None:
        """At most `limit` octets are kept; `clock` measures patience, `wall` says when parts were used.

        `removed` is told of parts, by their key, that are about to be evicted, or were found not to be there.
        """
        self._reactor = reactor
        self._cache = cache
        self._budget = Budget(limit)
        self._removed = removed
        self._report = report
        self._clock = clock
        self._wall = wall
        self._crowded: dict[Entry, None] = {}  # who waits for room, the longest first
        self._freed: list[Deferred[None]] = []

    def __contains__(self, key: str) -> bool:
        """Whether the parts of the picture with this key are kept."""
        return key in self._budget

    async def recount(self) -> None:
        """Count what the cache holds, and have no more there than may be.

        :raises OSError: if the cache cannot be read or cleared.
        """
        for key, (size, used_at) in (await self._thread(self._cache.usage)).items():
            self._budget.added(key, size, used_at)
        await self._evict(self._budget.room_for(0))

    def forget(self, kept: Set[str]) -> None:
        """The cache was swept of all but the pictures with these keys."""
        for key in self._budget.keys() - kept:
            self.lost(key)

    def lost(self, key: str) -> None:
        """These parts are not in the cache, as was found out, or will not be for long."""
        self._budget.removed(key)
        self._removed(key)  # What is still open of them would take room on the disk all the same.

    def hold(self, key: str) -> Callable[[], None]:
        """Somebody begins to use these parts; what is given is to be called, once, when that is over."""
        self._budget.hold(key)
        self._budget.used(key, self._wall())
        return partial(self._let_go, key)

    def _let_go(self, key: str) -> None:
        self._budget.used(key, self._wall())
        self._budget.let_go(key)
        self.tell()

    async def take(self, entry: Entry) -> None:
        """The parts of this picture are in the cache now, where its room was reserved."""
        key = entry.finding.key
        self.unreserve(entry)
        self._budget.added(key, entry.size, self._wall())
        await self._evict([key] if entry.container.state == "untrusted" else self._budget.room_for(0))

    def unreserve(self, entry: Entry) -> None:
        """It needs no room any more, if some was reserved for it."""
        self._budget.unreserve(entry)

    async def make(self, entry: Entry) -> str:
        """Reserve room for the parts, which others make when a machine waits; why there is none if so."""
        size = entry.size
        victims = await self._reserved(entry, size)
        if victims is None:
            limit = f"containers.cache_size, which is {spelled(self._budget.limit)}"
            return f"there is no room for its {quantity(size)} of parts beside those in use, within {limit}"
        while not await self._evict(victims, size):
            # The account says yes, but the file system is full: whoever waits gets the room of the oldest, one by one.
            victims = self._budget.room_for(self._budget.limit - self._budget.total + 1) if entry.wanted else None
            if not victims:
                self._budget.unreserve(entry)
                return "there is not enough room on the disk of the cache"
        return ""

    async def _reserved(self, entry: Entry, size: int) -> list[str] | None:
        """Reserve room, in its turn if machines wait for several; what is to be evicted for it, None if there is none.

        Who is being sent something lets go of it some day, so a picture that a machine waits for has patience.
        """
        until = self._clock.seconds() + ROOM_PATIENCE
        self._crowded[entry] = None
        try:
            while True:
                first = next(iter(self._crowded)) is entry
                victims = self._budget.room_for(size) if first else None
                if victims is not None and (entry.wanted or not victims):
                    self._budget.reserve(entry, size)
                    return victims
                patience = until - self._clock.seconds()
                if not entry.wanted or size > self._budget.limit or patience <= 0:
                    return None
                with suppress(defer.TimeoutError):
                    await self.change().addTimeout(patience, self._clock)
                entry.wanted = entry.awaited  # who asked may be gone
        finally:
            del self._crowded[entry]
            self.tell()

    def change(self) -> Deferred[None]:
        """Fires when there may be room, or it may be another's turn."""
        freed: Deferred[None] = Deferred()
        self._freed.append(freed)
        return freed

    def tell(self) -> None:
        """There may be room, or it may be another's turn."""
        freed, self._freed = self._freed, []
        for each in freed:
            each.callback(None)

    async def _evict(self, keys: Sequence[str] | None, size: int = 0) -> bool:
        """Remove these parts from the cache; whether `size` octets have room on its disk then."""
        victims, before = keys or (), self._budget.total
        for key in victims:
            self.lost(key)
        freed = before - self._budget.total

        def remove() -> bool:
            self._cache.make()  # somebody may have deleted it since
            for key in victims:
                self._cache.evict(key)
            return self._cache.has_room(size)

        try:
            room = await self._thread(remove)
        except OSError:
            # What is left of them takes room all the same.
            for key, (octets, used_at) in (await self._thread(self._cache.usage)).items():
                if key in victims:
                    self._budget.added(key, octets, used_at)
            raise
        if victims:
            self._report(PartsEvicted(len(victims), freed))
        return room

    def _thread(self, work: Callable[[], T]) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)
