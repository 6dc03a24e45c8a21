"""The library: the containers of some folders, and their octets.

A thread looks into the folders every `POLL` seconds.  A picture that is new or changed is decoded as soon as it has not
changed for `SETTLE` seconds, by a process of its own, once; what the cache remembers is not decoded again.  A machine
that asks for a part meanwhile waits, however many ask.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from typing import Any

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from pixelboot.library import outcomes
from pixelboot.library.catalog import Container, identify
from pixelboot.library.decoding.cache import Cache
from pixelboot.library.decoding.finding import Finding
from pixelboot.library.decoding.pool import Decoders, Job
from pixelboot.library.file import FilePayload
from pixelboot.library.folder.look import Seen, Stamp, Survey, Unreadable, open_picture, survey
from pixelboot.outcome import Outcome

POLL = 2.0
"""Seconds from the end of one look into the folders to the next."""

SETTLE = 1.0
"""Seconds that a file must not have changed before it is offered: until then somebody may still be copying it."""

RETRY = 10.0
"""Seconds until a picture is tried again whose decoder failed; each time twice as many, up to `RETRY_LIMIT`."""

RETRY_LIMIT = 600.0

_log = Logger(namespace="pixelboot.library")


class Unavailable(Exception):
    """What was asked for cannot be served; the text says why, for a person to read."""


class Library(Service):
    """The containers of all folders, while the service runs."""

    name = "library"

    def __init__(
        self,
        roots: Sequence[str],
        cache: str,
        reactor: Any,
        report: Callable[[Outcome], None],
        *,
        clock: IReactorTime | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`roots` and `cache` are folders; the cache is made when the service starts.

        Of two files of one name, that in the first of the `roots` counts.
        `clock` schedules the looks (the reactor, unless it is given); `wall` is the clock that files are stamped by.
        """
        self._roots = tuple(dict.fromkeys(roots))
        self._cache = Cache(cache)
        self._reactor = reactor
        self._report = report
        self._clock: IReactorTime = clock or reactor
        self._wall = wall
        self._decoders = Decoders(reactor, cache)
        self._entries: dict[str, _Entry] = {}
        self._by_id: dict[str, _Entry] = {}
        self._sorted: tuple[Container, ...] | None = None
        self._unsettled: dict[str, tuple[Stamp, float]] = {}
        self._call: IDelayedCall | None = None
        self._looking: Deferred[None] | None = None
        self._prepared = False
        self._looked = False
        self._settled = False
        self._look_waiters: list[Deferred[None]] = []
        self._sweep_due = True
        self._complaints: Set[Outcome] = frozenset()

    @property
    def containers(self) -> Sequence[Container]:
        """All there is, in the order of the files' names."""
        if self._sorted is None:
            self._sorted = tuple(self._entries[name].container for name in sorted(self._entries))
        return self._sorted

    async def settled(self, patience: float) -> Sequence[Container]:
        """All there is, as `containers`.

        Right after the start it waits until everything in the folder is known well enough for a menu, but no longer
        than `patience` seconds: a machine that asks in that moment shall not find its container missing.
        """
        if not self._settled:
            with suppress(defer.TimeoutError):
                await Deferred.fromCoroutine(self._settle()).addTimeout(patience, self._clock)
            self._settled = True
        return self.containers

    async def _settle(self) -> None:
        while self.running and (self._unsettled or not self._looked):
            waiting: Deferred[None] = Deferred(self._look_waiters.remove)
            self._look_waiters.append(waiting)
            await waiting
        for entry in list(self._entries.values()):
            with suppress(Unavailable):
                await self._until(entry, lambda entry: bool(entry.finding.parts) or entry.decided)

    def find(self, id: str) -> Container | None:  # noqa: A002
        """The container with this id."""
        entry = self._by_id.get(id)
        return None if entry is None else entry.container

    async def part(self, id: str, name: str) -> FilePayload:  # noqa: A002
        """The kernel or the initrd of a container, verified; waits while it is being decoded.

        :raises Unavailable: if there is none, the container is damaged, or it cannot be had now.
        """
        for _ in range(2):
            entry = self._by_id.get(id)
            if entry is None:
                raise Unavailable("there is no such container")
            await self._until(entry, lambda entry: entry.decided)
            finding = entry.finding
            if finding.state == "decoding":
                raise Unavailable(f"the container cannot be decoded now: {finding.reason}")
            if finding.state == "damaged":
                raise Unavailable(f"the container is damaged: {finding.reason}")
            part = finding.part(name)
            if part is None:
                raise Unavailable(f"the container has no {name}")
            try:
                descriptor = self._cache.open_part(finding, name)
            except OSError as error:
                raise Unavailable(f"the {name} cannot be opened now: {error.strerror}") from None
            if descriptor is not None:
                return FilePayload(descriptor, "application/octet-stream", entry.container.modified_at, part.sha256)
            await self._until(entry, lambda entry: entry.job is None)
            if entry.finding is finding:  # nobody else has begun to mend it
                self._decode(entry)
        raise Unavailable("the cache does not keep what is put into it")

    async def picture(self, file_name: str) -> FilePayload:
        """A picture as it is, whatever it holds; waits until its digest is known.

        :raises Unavailable: if there is none, or it cannot be read.
        """
        entry = self._entries.get(file_name)
        if entry is None:
            raise Unavailable("there is no such picture")
        await self._until(entry, lambda entry: bool(entry.finding.sha256) or entry.job is None)
        if not entry.finding.sha256:
            raise Unavailable(entry.finding.reason)
        try:
            descriptor = open_picture(entry.seen.folder, file_name)
        except Unreadable as error:
            raise Unavailable(str(error)) from None
        stamp = entry.seen.stamp
        if Stamp.of(os.fstat(descriptor)) != stamp:
            os.close(descriptor)
            raise Unavailable("the picture is being replaced")
        return FilePayload(descriptor, "image/png", entry.container.modified_at, entry.finding.sha256, stamp)

    def startService(self) -> None:
        """Begin to look."""
        super().startService()
        self._call = self._clock.callLater(0.0, self._look)

    def stopService(self) -> Deferred[None]:
        """End the decoders, tell everybody who waits, and wait for the look that is under way."""
        super().stopService()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        waiting = [self._decoders.stop()]
        if self._looking is not None:
            waiting.append(self._looking)
        entries, self._entries, self._by_id, self._sorted = self._entries, {}, {}, None
        self._looked = self._settled = False
        for entry in entries.values():
            entry.tell()
        self._tell_look_waiters()
        return DeferredList(waiting).addCallback(lambda _: None)

    def _look(self) -> None:
        """Look into the folders now, and again later."""
        self._call = None
        looking = self._looking = Deferred.fromCoroutine(self._look_once())
        looking.addErrback(lambda failure: _log.failure("looking into the folders failed", failure))
        looking.addCallback(self._rest)

    async def _look_once(self) -> None:
        known = {name: entry.seen for name, entry in self._entries.items()}
        kept = None
        if self._sweep_due and self._looked and self._decoders.idle:
            self._sweep_due = False
            stamps = {entry.seen.stamp for entry in self._entries.values() if entry.seen.stamp}
            kept = stamps, {entry.finding.sha256 for entry in self._entries.values()}
        pool = self._reactor.getThreadPool()
        try:
            found, recalled = await deferToThreadPool(self._reactor, pool, self._survey, known, kept)
        except OSError as error:  # of the cache
            self._complain(
                {outcomes.FolderUnreadable(str(error.filename or self._cache.folder), error.strerror or str(error))}
            )
        else:
            self._looked = self._looked or found.complete
            self._complain(found.complaints)
            if self.running:
                self._compare(found.seen, recalled)

    def _survey(self, known: Mapping[str, Seen], kept: _Kept | None) -> tuple[Survey, _Recalled]:
        """In a thread: what is in the folders, and what the cache remembers of that which is not `known`, by name."""
        if not self._prepared:
            self._cache.prepare()
            self._prepared = True
        self._cache.make()  # somebody may have deleted it since
        if kept is not None:
            self._cache.sweep(*kept)
        found = survey(self._roots, known.values())
        new = [seen for name, seen in found.seen.items() if seen != known.get(name)]
        recalled = {seen.file_name: self._cache.recall(seen.stamp) for seen in new if seen.stamp is not None}
        return found, recalled

    def _compare(self, found: Mapping[str, Seen], recalled: _Recalled) -> None:
        """Take in what a look showed."""
        now = self._clock.seconds()
        unsettled: dict[str, tuple[Stamp, float]] = {}
        for name, seen in found.items():
            entry, finding = self._entries.get(name), recalled.get(name)
            if entry is not None and entry.seen == seen:
                if entry.retry_at is not None and entry.retry_at <= now:
                    self._decode(entry)
            elif finding is not None or seen.stamp is None or self._at_rest(name, seen.stamp, now, unsettled):
                self._take(seen, finding)
        for name in self._entries.keys() - found.keys():
            self._drop(name)
        self._unsettled = unsettled

    def _complain(self, complaints: Set[Outcome]) -> None:
        """Say what is wrong with the folders; what was wrong at the last look already was said then."""
        if self.running:
            said, self._complaints = self._complaints, complaints
            for each in sorted(complaints - said, key=lambda each: each.summary()):
                self._report(each)

    def _tell_look_waiters(self) -> None:
        waiters, self._look_waiters = self._look_waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def _at_rest(self, name: str, stamp: Stamp, now: float, unsettled: dict[str, tuple[Stamp, float]]) -> bool:
        """Whether nobody is writing to this file; one that somebody may be writing to is noted in `unsettled`."""
        if self._wall() - stamp.changed_at >= SETTLE:
            return True
        # A time to come, by another computer's clock, says nothing: then it is our own looks that count.
        before, since = self._unsettled.get(name, (stamp, now))
        since = since if before == stamp else now
        if now - since >= SETTLE:
            return True
        unsettled[name] = stamp, since
        return False

    def _rest(self, _: object) -> None:
        """Until the next look."""
        self._looking = None
        self._tell_look_waiters()
        if self.running:
            self._call = self._clock.callLater(SETTLE if self._unsettled else POLL, self._look)

    def _take(self, seen: Seen, finding: Finding | None) -> None:
        """There is a new picture, or another one under a known name."""
        entry = self._entries.get(seen.file_name)
        if entry is None:
            entry = self._entries[seen.file_name] = _Entry(seen)
            self._by_id[entry.id] = entry
        elif entry.job is not None:
            self._decoders.drop(entry.job)
        entry.seen, entry.job, entry.retry_at, entry.failures, entry.reported = seen, None, None, 0, None
        self._sweep_due = True
        if seen.stamp is None:
            finding = Finding("damaged", reason=seen.problem)
        if finding is None:
            self._decode(entry)
        else:
            self._found(entry, finding)

    def _drop(self, name: str) -> None:
        """There is no such picture any more."""
        entry = self._entries.pop(name)
        del self._by_id[entry.id]
        self._sorted = None
        self._sweep_due = True
        if entry.job is not None:
            self._decoders.drop(entry.job)
        self._report(outcomes.ContainerGone(name))
        entry.tell()

    def _decode(self, entry: _Entry) -> None:
        if entry.job is None and entry.seen.stamp is not None:
            entry.job = Job(
                entry.seen.stamp,
                lambda: open_picture(entry.seen.folder, entry.seen.file_name),
                lambda finding: self._found(entry, finding),
                lambda problem: self._ended(entry, problem),
            )
            entry.retry_at = None
            with suppress(OSError):  # which the decoder will tell
                self._cache.make()
            self._found(entry, Finding())
            self._decoders.add(entry.job)

    def _found(self, entry: _Entry, finding: Finding) -> None:
        """More is known about a picture."""
        entry.finding = finding
        entry.container = Container.of(entry.seen, finding)
        self._sorted = None
        outcome: Outcome | None = None
        if finding.state == "ready":
            outcome = outcomes.ContainerReady(entry.seen.file_name, entry.id, entry.container.parts)
        elif finding.state == "damaged":
            outcome = outcomes.ContainerDamaged(entry.seen.file_name, finding.reason)
        elif entry.retry_at is not None:
            outcome = outcomes.ContainerPostponed(entry.seen.file_name, finding.reason)
        if outcome is not None and outcome != entry.reported:
            entry.reported = outcome
            self._report(outcome)
        entry.tell()

    def _ended(self, entry: _Entry, problem: str | None) -> None:
        """A decoder is done; if it failed, so that nothing is known for certain, it is tried again later."""
        entry.job = None
        if problem is not None and entry.finding.state == "decoding":
            entry.retry_at = self._clock.seconds() + min(RETRY * 2**entry.failures, RETRY_LIMIT)
            entry.failures = min(entry.failures + 1, 10)
            self._found(entry, replace(entry.finding, reason=problem))
        entry.tell()

    async def _until(self, entry: _Entry, condition: Callable[[_Entry], bool]) -> None:
        """Wait until something is known about an entry."""
        while not condition(entry):
            if not self.running:
                raise Unavailable("the server is stopping")
            if self._entries.get(entry.seen.file_name) is not entry:
                raise Unavailable("the container was removed")
            if entry.job is not None:
                self._decoders.prefer(entry.job)
            await entry.change()


class _Entry:
    """What the library knows of one file."""

    def __init__(self, seen: Seen) -> None:
        self.id = identify(seen.file_name)
        self.seen = seen
        self.finding = Finding()
        self.container = Container.of(seen, self.finding)
        self.job: Job | None = None
        self.retry_at: float | None = None
        self.failures = 0
        self.reported: Outcome | None = None
        self._waiting: list[Deferred[None]] = []

    @property
    def decided(self) -> bool:
        """Whether there is nothing to wait for: it is ready, damaged, or postponed."""
        return self.finding.state != "decoding" or self.retry_at is not None

    def change(self) -> Deferred[None]:
        """Fires when something about it changes; may be cancelled."""
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def tell(self) -> None:
        """Something changed."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)


_Kept = tuple[set[Stamp], set[str]]
"""Which states of files and which pictures the cache shall keep."""

_Recalled = Mapping[str, Finding | None]
"""By the names of files that are new, what the cache remembers of them."""
