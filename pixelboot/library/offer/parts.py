"""The decoded parts of all pictures: what is decoded next, what stays on disk, and what makes room.

A new picture is examined at once, which takes no time to speak of.  Then all of it is read in the background, a few
pictures at a time: decoded while the cache has room, else verified only, so that what is called ready always was
verified.  What machines wait for comes first, and is decoded in any case: for that, parts make room that were used the
longest ago and that nobody is being sent.  Whoever waits for the same picture waits for the same decoder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Set
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from pixelboot.library.decoding.cache import Cache
from pixelboot.library.decoding.finding import Finding
from pixelboot.library.decoding.order import FULL, Task
from pixelboot.library.decoding.pool import Decoders, Job
from pixelboot.library.file import FilePayload
from pixelboot.library.offer.entry import Entry
from pixelboot.library.offer.room import Room
from pixelboot.library.sharing.lending import Lending
from pixelboot.outcome import Outcome
from pixelboot.payload import Payload

RETRY = 10.0
"""Seconds until a picture is tried again whose decoder failed; each time twice as many, up to `RETRY_LIMIT`."""

RETRY_LIMIT = 600.0

BACKGROUND = 2
"""Pictures that are verified in the background at a time: while one is under way, the next is made ready."""

AT_ONCE = 100
"""Entries that are begun with in one turn of the reactor, when none of them has anything to wait for."""

T = TypeVar("T")

_log = Logger(namespace="pixelboot.library")


class Parts:
    """Has pictures decoded, keeps their parts within bounds, and opens them."""

    def __init__(
        self,
        reactor: Any,
        cache: Cache,
        decoders: Decoders,
        lending: Lending,
        limit: int,
        *,
        found: Callable[[Entry, Finding, str], None],
        examined: Callable[[], None],
        report: Callable[[Outcome], None],
        clock: IReactorTime,
        wall: Callable[[], float],
    ) -> None:
        """At most `limit` octets are kept in `cache`; what is open of them is known to `lending`.

        `found` is told what is known about an entry, and why no more can be found out now if so; `examined` is called
        whenever a description was read.  `clock` counts the
        time until something is tried again, `wall` says when parts were used.
        """
        self._reactor = reactor
        self._cache = cache
        self._decoders = decoders
        self._lending = lending
        self.room = Room(reactor, cache, limit, removed=lending.drop, report=report, clock=clock, wall=wall)
        self._found = found
        self._tell_examined = examined
        self._clock = clock
        self._queue: deque[Entry] = deque()
        self._examining = 0
        self._working: dict[Entry, Deferred[None]] = {}
        self._failed: dict[Entry, float] = {}  # with the time when each is tried again
        self._retry: IDelayedCall | None = None
        self._next: IDelayedCall | None = None
        self._beginning = False
        self._sweeping = False
        self._running = False

    @property
    def idle(self) -> bool:
        """Whether nothing is to be read."""
        return not (self._queue or self._working or self._examining)

    @property
    def described(self) -> bool:
        """Whether no description is left to be read."""
        return not self._examining

    def start(self) -> None:
        """Begin to take entries."""
        self._running = True

    def stop(self) -> Deferred[None]:
        """Let everything be, and wait until no process is left."""
        self._running = False
        for call in (self._retry, self._next):
            if call is not None:
                call.cancel()
        self._retry = self._next = None
        stopped = self._decoders.stop()
        self._queue.clear()
        self._failed.clear()
        self._examining = 0
        for work in list(self._working.values()):
            work.cancel()
        return stopped

    async def sweep(self, swept: Callable[[], Set[str]]) -> None:
        """Have the cache swept: in a thread `swept` removes the pictures that are gone, and gives the keys of the rest.

        Nothing is decoded meanwhile, for that would be swept with them.
        """
        self._sweeping = True
        try:
            self.room.forget(await self._thread(swept))
        finally:
            self._sweeping = False
            self.room.tell()

    def examine(self, entry: Entry) -> None:
        """Find out about a new picture: first what it says of itself, then whether that is true."""
        self._examining += 1
        entry.job = Job(entry.seen, "examine", partial(self._learned, entry), partial(self._examined, entry))
        self._decoders.add(entry.job)

    def keep(self, entry: Entry) -> None:
        """Verify a picture when its turn comes, and have its parts at hand if there is room."""
        self._queue.append(entry)
        self._begin()

    def demand(self, entry: Entry, part: bool) -> None:
        """Somebody waits for this picture to be read, be it for a `part` of it or only to be known.

        There is something to wait for as long as the entry is `Entry.busy` then.
        """
        sooner = not entry.urgent
        entry.urgent = True
        entry.wanted = entry.wanted or part
        if entry.job is not None:
            if sooner:
                self._decoders.prefer(entry.job)
        elif not entry.busy and self._clock.seconds() >= entry.retry_at:
            self._start(entry)

    def drop(self, entry: Entry) -> None:
        """The file is no longer there, or no longer in this state."""
        entry.gone = True
        self._failed.pop(entry, None)
        if entry in self._working:
            self._working[entry].cancel()
        elif entry.job is not None:
            self._decoders.drop(entry.job)
            self._examined(entry, None)

    def at_hand(self, entry: Entry, name: str) -> Payload | None:
        """What `open` would give, if it is open already."""
        return self._lending.at_hand(entry.finding.key, (name, entry.container.modified_at))

    async def open(self, entry: Entry, name: str) -> Payload | None:
        """A part of a picture that is ready; None when it is not in the cache.

        :raises OSError: if it cannot be opened now, although it may be there.
        """
        finding, part = entry.finding, entry.finding.part(name)
        key, modified_at = finding.key, entry.container.modified_at
        if part is None or key not in self.room:
            return None

        def open_part() -> FilePayload | None:
            opened = self._cache.open_part(finding, name)
            if opened is None:
                return None
            self._cache.touch(key)
            descriptor, stamp = opened
            kind = "application/octet-stream"
            # Nobody writes into what is in the cache: a decoder writes aside, and renames.
            return FilePayload(descriptor, kind, modified_at, part.sha256, stamp, is_final=True)

        # Pictures of the same octets have their parts in common, but not the time that HTTP tells.
        payload = await self._lending.get(key, (name, modified_at), open_part, partial(self.room.hold, key))
        if payload is None:
            self.room.lost(key)
        return payload

    def _learned(self, entry: Entry, finding: Finding) -> None:
        """A decoder said something."""
        if finding.state != "decoding" or not entry.known:
            self._found(entry, finding, "")

    def _examined(self, entry: Entry, problem: str | None) -> None:
        """The description was read, or the entry is gone."""
        self._examining -= 1
        entry.job = None
        if problem is not None:
            self._fail(entry, problem)
        elif entry.urgent and not entry.gone:
            self._start(entry)
        elif not entry.gone:
            self._queue.append(entry)
        entry.tell()
        self._tell_examined()
        self._begin()

    def _begin(self) -> None:
        """Begin with those whose turn it is, when every description was read: those are what menus need first."""
        if self._beginning or self._next is not None:
            return  # what was begun with has ended at once: the loop goes on
        self._beginning, left = True, AT_ONCE
        while self._queue and len(self._working) < BACKGROUND and self._running and not self._examining:
            if not left:
                self._next = self._clock.callLater(0, self._go_on)
                break
            left -= 1
            entry = self._queue.popleft()
            kept = entry.known and (entry.container.state != "ready" or entry.finding.key in self.room)
            if not (entry.gone or entry.busy or kept):
                self._start(entry)
        self._beginning = False

    def _go_on(self) -> None:
        self._next = None
        self._begin()

    def _start(self, entry: Entry) -> None:
        entry.working = True
        work = Deferred.fromCoroutine(self._work(entry))
        if not work.called:
            self._working[entry] = work
        work.addErrback(lambda failure: failure.trap(CancelledError))

    async def _work(self, entry: Entry) -> None:
        """Verify or decode one picture, and tell what came of it."""
        with ExitStack() as holds:
            holds.callback(self._begin)
            holds.callback(self.room.tell)
            try:
                while self._sweeping:
                    await self.room.change()
                await self._read(entry, holds)
            except CancelledError:
                raise
            except OSError as error:
                self._fail(entry, f"the cache cannot be used: {error.strerror or error}")
            except Exception:  # noqa: BLE001  (whatever it is, this entry must not wait for ever)
                _log.failure("a picture could not be decoded")
                self._fail(entry, "the server failed to have it decoded")
            finally:
                self._working.pop(entry, None)
                self.room.unreserve(entry)
                entry.working = entry.urgent = entry.wanted = False
                entry.tell()

    async def _read(self, entry: Entry, holds: ExitStack) -> None:
        lack = await self.room.make(entry)
        if lack and entry.known:
            if entry.wanted:
                self._found(entry, entry.finding, lack)
            return
        task: Task = "verify" if lack else "decode"
        problem = await self._done(entry, task)
        if problem == FULL and not entry.known:  # at least it shall be known
            task, problem = "verify", await self._done(entry, "verify")
        if problem is not None:
            self._fail(entry, problem)
            return
        entry.failures, entry.retry_at = 0, 0.0
        if task == "decode" and entry.finding.state == "ready":
            # It must not make room for others before those who waited for it could open it.
            holds.callback(self.room.hold(entry.finding.key))
            await self.room.take(entry)

    async def _done(self, entry: Entry, task: Task) -> str | None:
        """Have a decoder do it; why it failed if so."""
        done: Deferred[str | None] = Deferred(lambda _: self._decoders.drop(job))
        job = entry.job = Job(entry.seen, task, partial(self._learned, entry), done.callback)
        self._decoders.add(job)
        if entry.urgent:
            self._decoders.prefer(job)
        try:
            return await done
        finally:
            entry.job = None

    def _fail(self, entry: Entry, problem: str) -> None:
        """Something went wrong that may go well later: for a machine that asks then, sooner than in the background."""
        now = self._clock.seconds()
        entry.retry_at = now + RETRY
        due = now + min(RETRY * 2**entry.failures, RETRY_LIMIT)
        entry.failures = min(entry.failures + 1, 10)
        entry.urgent = entry.wanted = False
        if not entry.known:
            self._failed[entry] = due
            if self._retry is None:
                self._retry = self._clock.callLater(RETRY, self._try_again)
        self._found(entry, entry.finding, problem)

    def _try_again(self) -> None:
        self._retry = None
        now = self._clock.seconds()
        for entry in [entry for entry, due in self._failed.items() if due <= now]:
            del self._failed[entry]
            self.keep(entry)
        if self._failed:
            self._retry = self._clock.callLater(RETRY, self._try_again)

    def _thread(self, work: Callable[[], T]) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)
