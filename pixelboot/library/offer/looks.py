"""Looks into the folders: what became of the pictures, one look after the other.

What may have changed, the `FolderWatch` says: first everything, then names.  A thread looks at that, and what it finds
is taken in here in slices, so that no folder is too large.  A picture that is new or changed is taken when it is at
rest: it has not changed for `SETTLE` seconds, and nobody has it open for writing.  Until then a known one stays what it
was.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from twisted.internet import task
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from pixelboot.library.decoding.finding import Finding
from pixelboot.library.folder.look import Seen, Survey, Unreadable, is_being_written, open_picture, survey
from pixelboot.library.folder.watch import FolderWatch
from pixelboot.library.offer.entry import Entries, Entry
from pixelboot.library.outcomes import CacheUnusable, ContainerBusy, ContainerShadowed
from pixelboot.outcome import Outcome

SETTLE = 1.0
"""Seconds that a file must not have changed before it is offered: until then somebody may still be copying it."""

TICK = 0.02
"""Seconds by which the kernel's stamps may be late."""

BUSY = 10.0
"""Seconds of writing after which the log tells that a file is not offered because of it."""

AGAIN = 10.0
"""Seconds after which everything is looked at when it could not be, because of the cache."""

RECENT = 60.0
"""Seconds without a change after which nobody is asked whether a file is being written: that takes time, and what goes
on being written after all is found changed."""

BATCH = 250
"""Changed files that are looked into before they are taken in: the first are being read while others are looked at."""

SLICE = 0.002
"""Seconds for which the results of a look are taken in before the reactor has its turn."""

T = TypeVar("T")

_Found = tuple[Seen, Finding | None, bool]
"""A picture that is new or changed, what is recalled of it, and whether somebody writes to it, or did just now."""

_NEVER = float("inf")

_log = Logger(namespace="pixelboot.library")


class Taker(Protocol):
    """Who wants to know what the looks find."""

    async def prepare(self, entries: Sequence[Entry] | None) -> None:
        """Called before a look, with all entries when it is at everything; OSError when there can be none now."""

    def recall(self, seen: Seen) -> Finding | None:
        """In a thread: what was found out about a picture in this state already."""

    def take(self, seen: Seen, finding: Finding | None) -> None:
        """There is a new picture, or another one under a known name; with what was recalled of it."""

    def drop(self, entry: Entry) -> None:
        """There is no such picture any more."""

    def looked(self) -> None:
        """Everything was looked at for the first time."""


class Looks:
    """The looks, from `start` to `stop`."""

    def __init__(
        self,
        roots: Sequence[str],
        reactor: Any,
        entries: Entries,
        taker: Taker,
        *,
        report: Callable[[Outcome], None],
        poll: bool,
        clock: IReactorTime,
        wall: Callable[[], float],
    ) -> None:
        """`entries` is what is known, which the `taker` keeps up to date.

        With `poll` nothing is expected of the kernel.  `clock` schedules; `wall` is the clock that files are stamped
        by.
        """
        self._roots = roots
        self._reactor = reactor
        self._entries = entries
        self._taker = taker
        self._report = report
        self._clock = clock
        self._wall = wall
        self._watch = FolderWatch(roots, reactor, self._changed, poll, clock)
        self._running = False
        self._due: set[str] = set()
        self._all_due = False
        self._all_at = _NEVER
        self._again: IDelayedCall | None = None
        self._looking: Deferred[None] | None = None
        self._looked = False
        self._waiting: list[Deferred[None]] = []
        self._restless: dict[str, _Restless] = {}
        self._complaints: Set[Outcome] = frozenset()
        self.complete = False
        """Whether every folder could be read when everything was looked at the last time."""

    def start(self) -> None:
        """Begin."""
        self._running = True
        self._watch.start()

    def stop(self) -> Deferred[None]:
        """Tell the taker no more; fires when the look that is under way is over."""
        self._running = self._looked = self._all_due = self.complete = False
        self._due, self._restless, self._all_at = set(), {}, _NEVER
        stopping = [self._watch.stop()]
        if self._looking is not None:
            stopping.append(self._looking)
        self._set_timer()
        self._tell_waiting()
        return DeferredList(stopping).addCallback(lambda _: None)

    def doubt(self, file_name: str) -> None:
        """Look at this file, which is not as it was seen, though nobody told: it may have another name elsewhere."""
        self._changed(frozenset((file_name,)))

    async def settled(self) -> None:
        """Wait until everything was looked at, and all of it was at rest; or it is stopped."""
        while self._running and (self._restless or not self._looked):
            waiting: Deferred[None] = Deferred(self._waiting.remove)
            self._waiting.append(waiting)
            await waiting

    def _changed(self, names: frozenset[str] | None) -> None:
        """These files may have become, or ceased to be, something else; None means all."""
        self._all_due = self._all_due or names is None
        self._due.update(names or ())
        self._look()

    def _look(self) -> None:
        """Look at what is due, unless a look is under way: then that is what comes next."""
        if self._running and self._looking is None and (self._due or self._all_due):
            self._looking = looking = Deferred.fromCoroutine(self._look_once())
            looking.addErrback(lambda failure: _log.failure("looking into the folders failed", failure))
            looking.addCallback(lambda _: self._rest())

    async def _look_once(self) -> None:
        names = None if self._all_due else frozenset(self._due)
        self._due, self._all_due = set(), False
        entries = list(self._entries if names is None else self._entries.among(names))
        try:
            await self._taker.prepare(entries if names is None else None)
        except OSError as error:
            self._complain({CacheUnusable(str(error.filename or "cache"), error.strerror or str(error))}, frozenset())
            self._all_at = self._clock.seconds() + AGAIN
            return
        found, changed, gone = await self._thread(lambda: self._survey(entries, names))
        self._complain(found.complaints, found.names)
        for name in self._restless.keys() - {seen.file_name for seen in changed}:
            if found.names is None or name in found.names:
                del self._restless[name]
        for start in range(0, len(changed), BATCH):
            looked_into = await self._thread(partial(self._look_into, changed[start : start + BATCH]))
            await self._take_in(self._take, looked_into)
        await self._take_in(self._drop, gone)
        if names is None and self._running:
            self.complete = found.complete
            if not self._looked:
                self._looked = True
                self._taker.looked()

    def _survey(self, entries: Iterable[Entry], names: Set[str] | None) -> tuple[Survey, list[Seen], list[str]]:
        """In a thread: what is there, only of `names` if given; what of that is new or changed; and what is gone."""
        known = {entry.seen.file_name: entry.seen for entry in entries}
        found = survey(self._roots, known.values(), names)
        changed = [seen for name, seen in found.seen.items() if seen != known.get(name)]
        meant = found.names
        gone = [name for name in known if name not in found.seen and (meant is None or name in meant)]
        return found, changed, gone

    def _look_into(self, changed: Iterable[Seen]) -> list[_Found]:
        """In a thread: what is recalled of these pictures, and whether somebody writes to them."""
        looked_into = []
        for seen in changed:
            finding, written = None, False
            if seen.stamp is not None and (finding := self._taker.recall(seen)) is None:
                written = not self._is_quiet(seen)
                if not written and self._wall() - seen.stamp.changed_at < RECENT:
                    written = _is_being_written(seen)
            looked_into.append((seen, finding, written))
        return looked_into

    def _complain(self, complaints: Set[Outcome], names: Set[str] | None) -> None:
        """Say what is wrong with the folders, or with these `names` in them; what was said before is not said again."""
        if not self._running:
            return
        said = self._complaints
        for each in sorted(complaints - said, key=lambda each: each.summary()):
            self._report(each)
        if names is not None:
            still = (each for each in said if not (isinstance(each, ContainerShadowed) and each.file_name in names))
            complaints = {*complaints, *still}
        self._complaints = complaints

    async def _take_in(self, take: Callable[[T], None], found: Iterable[T]) -> None:
        """Take in what a look showed; the reactor has its turn in between."""
        until = time.perf_counter() + SLICE
        for each in found:
            if time.perf_counter() > until:
                await task.deferLater(self._reactor, 0.0)
                until = time.perf_counter() + SLICE
            if self._running:
                take(each)

    def _take(self, found: _Found) -> None:
        seen, finding, written = found
        if finding is not None or seen.stamp is None or self._is_at_rest(seen, written):
            self._restless.pop(seen.file_name, None)
            self._taker.take(seen, finding)

    def _drop(self, name: str) -> None:
        entry = self._entries.named(name)
        if entry is not None:
            self._taker.drop(entry)

    def _is_quiet(self, seen: Seen) -> bool:
        """Whether this file has not changed for long enough."""
        if self._wall() - seen.changed_at >= SETTLE:
            return True
        # A time to come, by another computer's clock, says nothing: then it is our own looks that count.
        restless = self._restless.get(seen.file_name)
        return restless is not None and restless.seen == seen and self._clock.seconds() - restless.since >= SETTLE

    def _is_at_rest(self, seen: Seen, written: bool) -> bool:
        """Whether nobody is writing to this file; one that somebody may be writing to is looked at again."""
        now = self._clock.seconds()
        if not written:
            return True
        restless = self._restless.setdefault(seen.file_name, _Restless(seen, now, now))
        if restless.seen != seen:
            restless.seen, restless.since = seen, now
        left = SETTLE - (self._wall() - seen.changed_at)
        restless.look_at = now + (left + TICK if 0 < left < SETTLE else SETTLE)
        if now - restless.began >= BUSY and not restless.told:
            restless.told = True
            self._report(ContainerBusy(seen.file_name))
        return False

    def _rest(self) -> None:
        """Until something else is due."""
        self._looking = None
        self._set_timer()
        self._tell_waiting()
        self._look()

    def _set_timer(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        at = min((self._all_at, *(restless.look_at for restless in self._restless.values())))
        if at < _NEVER:
            self._again = self._clock.callLater(max(0.0, at - self._clock.seconds()), self._look_again)

    def _look_again(self) -> None:
        """The time has come to look at what was not at rest, or could not be looked at."""
        self._again = None
        now = self._clock.seconds()
        if self._all_at <= now:
            self._all_at, self._all_due = _NEVER, True
        self._due.update(name for name, restless in self._restless.items() if restless.look_at <= now)
        self._look()

    def _thread(self, work: Callable[[], T]) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)

    def _tell_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(None)


def _is_being_written(seen: Seen) -> bool:
    """In a thread: whether anybody is known to have the picture open for writing."""
    try:
        descriptor = open_picture(seen.folder, seen.file_name)
    except Unreadable:
        return False  # which the decoder will tell
    try:
        return bool(is_being_written(descriptor))
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class _Restless:
    """A file that somebody may be writing to; instants are the clock's."""

    seen: Seen
    """Its state at the last look."""
    since: float
    """When it was first seen in that state."""
    began: float
    """When it was first seen to be written."""
    look_at: float = 0.0
    """When to look at it again."""
    told: bool = False
    """Whether the log says so."""
