"""The library: the containers of some folders, and their octets.

Looks into the folders (`pixelboot.library.offer.looks`) find what is there.  What an earlier run found out about it,
the cache tells; the rest is read by other processes (`pixelboot.library.offer.parts`).  Nobody who asks is told that
something is not known yet: a machine that asks for a part waits until it is decoded, however many ask.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from typing import Any, TypeVar

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThreadPool

from pixelboot.library import outcomes
from pixelboot.library.catalog import Container
from pixelboot.library.decoding.cache import Cache
from pixelboot.library.decoding.finding import Finding
from pixelboot.library.decoding.order import STALE
from pixelboot.library.decoding.pool import Decoders
from pixelboot.library.file import FilePayload
from pixelboot.library.folder.look import Seen, Stamp, Unreadable, holds_pictures, open_picture
from pixelboot.library.offer.entry import Entries, Entry
from pixelboot.library.offer.looks import Looks
from pixelboot.library.offer.parts import Parts
from pixelboot.library.settings import ContainersSettings
from pixelboot.library.sharing.lending import Lending
from pixelboot.outcome import Outcome
from pixelboot.payload import Payload

TRIES = 4
"""How often a part is looked for in the cache: in between it is decoded, and may have made room for others again."""

DEFAULTS = ContainersSettings()
"""The settings of a site that has none."""

T = TypeVar("T")


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
        settings: ContainersSettings = DEFAULTS,
        trusted: Set[str] = frozenset(),
        described: Callable[[], object] | None = None,
        clock: IReactorTime | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`roots` and `cache` are folders; the cache is made when the service starts.

        Of two files of one name, that in the first of the `roots` counts.  Given `trusted` public keys (64 hex digits
        each), only what one of them signed is offered to machines; `pixelboot.library.trust` reads them out of the
        settings.  `described` is called once, when all that was there at the start is known by its description.
        `clock` schedules (the reactor, unless it is given); `wall` is the clock that files are stamped by.
        """
        self._roots = tuple(dict.fromkeys(roots))
        self._cache = Cache(cache, settings.side_limit)
        self._reactor = reactor
        self._report = report
        self._trusted = frozenset(trusted)
        self._described = described
        self._clock: IReactorTime = clock or reactor
        self._entries = Entries()
        self._decoders = Decoders(reactor, cache, side_limit=settings.side_limit)
        self._lending = Lending(reactor, self._clock)
        self._parts = Parts(
            reactor,
            self._cache,
            self._decoders,
            self._lending,
            settings.cache_size,
            found=self._found,
            examined=self._examined,
            report=report,
            clock=self._clock,
            wall=wall,
        )
        self._looks = Looks(
            self._roots,
            reactor,
            self._entries,
            self,
            report=report,
            poll=settings.poll,
            clock=self._clock,
            wall=wall,
        )
        self._prepared = False
        self._sweep_due = True
        self._opened = False
        self._settled = False

    @property
    def containers(self) -> tuple[Container, ...]:
        """All there is, in the order of the files' names; the same object until something changes."""
        return self._entries.containers

    async def settled(self, patience: float) -> tuple[Container, ...]:
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
        await self._looks.settled()
        for entry in list(self._entries):
            while self.running and not (entry.container.parts or entry.decided or entry.gone):
                await entry.change()

    def find(self, id: str) -> Container | None:  # noqa: A002
        """The container with this id."""
        entry = self._entries.identified(id)
        return None if entry is None else entry.container

    def part_at_hand(self, id: str, name: str) -> Payload | None:  # noqa: A002
        """What `part` would give, where that can be told without waiting: it is open already.  None is no answer."""
        entry = self._entries.identified(id)
        if entry is None or entry.container.state != "ready":
            return None
        return self._parts.at_hand(entry, name)

    def part_digests(self, id: str) -> Mapping[str, str]:  # noqa: A002
        """By name, the SHA-256 in lower-case hex of the parts of a container that is ready, as it was verified."""
        entry = self._entries.identified(id)
        if entry is None or entry.container.state != "ready":
            return {}
        return {part.name: part.sha256 for part in entry.finding.parts}

    async def part(self, id: str, name: str) -> Payload:  # noqa: A002
        """A part of a container, ``kernel`` or ``initrd``, verified; waits while it is being decoded.

        :raises Unavailable: if there is none, the container is not offered, or it cannot be had now.
        """
        entry = self._entries.identified(id)
        if entry is None:
            raise Unavailable("there is no such container")
        for _ in range(TRIES):
            while entry.container.state == "decoding":
                entry = await self._read(entry, part=True)
            if entry.container.state != "ready":
                raise Unavailable(f"the container is {entry.container.state}: {entry.container.reason}")
            if entry.finding.part(name) is None:
                raise Unavailable(f"the container has no {name}")
            try:
                payload = await self._parts.open(entry, name)
            except OSError as error:
                raise Unavailable(f"the {name} cannot be opened now: {error.strerror}") from None
            if payload is not None:
                return payload
            entry = await self._read(entry, part=True)
        raise Unavailable("the cache does not keep what is put into it")

    def picture_at_hand(self, file_name: str) -> Payload | None:
        """What `picture` would give, where that can be told without waiting: it is open already, and still the one.

        None is no answer.
        """
        entry = self._entries.named(file_name)
        if entry is None:
            return None
        lent = self._lending.at_hand(file_name, entry.seen.stamp)
        if lent is None or entry.seen.is_there():
            return lent
        lent.close()
        self._lending.drop(file_name)
        return None

    def picture_digest(self, file_name: str) -> str | None:
        """The SHA-256 of a picture, whatever it holds, in lower-case hex; None while it is not known."""
        entry = self._entries.named(file_name)
        return None if entry is None else entry.finding.sha256 or None

    async def picture(self, file_name: str) -> Payload:
        """A picture as it is, whatever it holds; waits until its digest is known.

        :raises Unavailable: if there is none, or it cannot be read.
        """
        entry = self._entries.named(file_name)
        if entry is None:
            raise Unavailable("there is no such picture")
        while not entry.finding.sha256:
            if entry.seen.stamp is None:
                raise Unavailable(entry.seen.problem)
            entry = await self._read(entry, part=False)
        payload = self.picture_at_hand(file_name)
        if payload is not None:
            return payload
        seen, sha256, modified_at = entry.seen, entry.finding.sha256, entry.container.modified_at

        def open_it() -> FilePayload:
            descriptor = open_picture(seen.folder, file_name)
            if Stamp.of(os.fstat(descriptor)) != seen.stamp:
                os.close(descriptor)
                raise Unreadable("the picture is being replaced")
            return FilePayload(descriptor, "image/png", modified_at, sha256, seen.stamp)

        try:
            payload = await self._lending.get(file_name, seen.stamp, open_it)
        except Unreadable as error:
            self._looks.doubt(file_name)
            raise Unavailable(str(error)) from None
        assert payload is not None
        return payload

    async def _read(self, entry: Entry, part: bool) -> Entry:
        """Wait until the picture is read, as far as it can be; what the file is then.

        :raises Unavailable: if it cannot be read now.
        """
        if self.running and not entry.gone:
            self._parts.demand(entry, part)
        while self.running and entry.busy and not entry.gone and (part or not entry.finding.sha256):
            await entry.change()
        if not self.running:
            raise Unavailable("the server is stopping")
        found = self._entries.named(entry.seen.file_name)
        if found is None:
            raise Unavailable("the container was removed")
        if found is entry and entry.problem:
            raise Unavailable(f"the container cannot be decoded now: {entry.problem}")
        return found

    def startService(self) -> None:
        """Begin to watch the folders."""
        super().startService()
        self._lending.start()
        self._parts.start()
        self._looks.start()

    def stopService(self) -> Deferred[None]:
        """End the decoders, tell everybody who waits, and wait for the look that is under way."""
        super().stopService()
        self._lending.stop()
        waiting = [self._looks.stop(), self._parts.stop()]
        self._opened = self._settled = False
        for entry in self._entries.clear():
            entry.tell()
        return DeferredList(waiting).addCallback(lambda _: None)

    async def prepare(self, entries: Sequence[Entry] | None) -> None:
        """The cache before a look: made, counted, and rid of what belongs to none of the `entries`.

        :raises OSError: if it cannot be used.
        """
        if not self._prepared:
            await self._thread(self._cache.prepare)
            if await self._thread(self._has_much_to_read) and self.running:
                self._decoders.warm_up()
            await self._parts.room.recount()
            self._prepared = True
        if entries is not None and self._sweep_due and self._looks.complete and self._parts.idle:
            self._sweep_due = False
            await self._parts.sweep(lambda: self._swept(entries))

    def _has_much_to_read(self) -> bool:
        """In a thread: whether there are pictures, and none was ever read."""
        return self._cache.is_new and any(map(holds_pictures, self._roots))

    def _swept(self, entries: Sequence[Entry]) -> Set[str]:
        """In a thread: remove from the cache what belongs to none of these; which pictures do."""
        self._cache.make()  # somebody may have deleted it since
        keys = {entry.finding.key for entry in entries}
        self._cache.sweep({entry.seen.key for entry in entries}, keys)
        return keys

    def recall(self, seen: Seen) -> Finding | None:
        """In a thread: what the cache knows of a picture."""
        return self._cache.recall(seen.key)

    def take(self, seen: Seen, finding: Finding | None) -> None:
        """There is a new picture, or another one under a known name; with what the cache knows of it."""
        entry, old = Entry(seen, self._trusted), self._entries.named(seen.file_name)
        self._entries.put(entry)
        self._sweep_due = True
        if old is None and self._opened:
            self._report(outcomes.ContainerFound(seen.file_name))
        elif old is not None and is_rewritten(old.seen, seen):
            self._report(outcomes.ContainerReplaced(seen.file_name))
        elif old is not None:
            entry.reported = old.reported
        if seen.stamp is None:
            self._found(entry, Finding("damaged", reason=seen.problem), "")
        elif finding is None:
            self._parts.examine(entry)
        else:
            self._found(entry, finding, "", recalled=True)
            self._parts.keep(entry)
        if old is not None:  # who waited for it finds the new one
            self._parts.drop(old)
            self._lending.drop(seen.file_name)
            old.tell()

    def drop(self, entry: Entry) -> None:
        """There is no such picture any more."""
        self._entries.remove(entry)
        self._sweep_due = True
        self._report(outcomes.ContainerGone(entry.seen.file_name))
        self._parts.drop(entry)
        self._lending.drop(entry.seen.file_name)
        entry.tell()

    def looked(self) -> None:
        """Everything was looked at for the first time: tell what there is."""
        self._opened = True
        states = Counter(container.state for container in self.containers)
        self._report(outcomes.LibraryOpened(tuple(states.items())))
        self._examined()

    def _examined(self) -> None:
        """Perhaps no description is left to be read."""
        if self._opened and self._parts.described and self._described is not None:
            described, self._described = self._described, None
            described()

    def _found(self, entry: Entry, finding: Finding, problem: str, recalled: bool = False) -> None:
        """More is known about a picture, or why it is not."""
        if problem == STALE:
            self._looks.doubt(entry.seen.file_name)
        if entry.learn(finding, problem):
            self._entries.show(entry)
        outcome = entry.outcome
        if outcome is not None and outcome != entry.reported:
            entry.reported = outcome
            if recalled:
                outcome = outcomes.ContainerRecalled(entry.seen.file_name, entry.container.state)
            self._report(outcome)
        entry.tell()

    def _thread(self, work: Callable[[], T]) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)


def is_rewritten(old: Seen, new: Seen) -> bool:
    """Whether a file may hold other octets than before: not when it is the same, with other permissions, say."""
    return (_written(old.stamp), _written(old.sidecar)) != (_written(new.stamp), _written(new.sidecar))


def _written(stamp: Stamp | None) -> tuple[int, int, int, int] | None:
    return None if stamp is None else (stamp.device, stamp.inode, stamp.size, stamp.mtime_ns)
