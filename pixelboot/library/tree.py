"""The tree of files that TFTP and HTTP serve by name: a folder of the operator's, and behind it the system's iPXE.

A name goes through `pixelboot.library.names.meant` first, which says where to look.  What was found there is remembered
with the way to it, and while a look at every step of that way finds it as it was, nobody looks for it again.  A file
that several askers have is open once (`pixelboot.library.sharing.shelf`).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from pixelboot.library.file import FilePayload
from pixelboot.library.folder.look import Stamp
from pixelboot.library.names.asker import NOBODY, Asker
from pixelboot.library.names.components import Absent, Forbidden
from pixelboot.library.names.finder import Finder
from pixelboot.library.names.folded import SETTLED, Listing, Listings
from pixelboot.library.names.meant import Names, Parts
from pixelboot.library.names.packaged import PACKAGED
from pixelboot.library.names.trail import Step, Trail, stands
from pixelboot.library.sharing.digests import Digests
from pixelboot.library.sharing.lending import opening
from pixelboot.library.sharing.once import Joined, Once
from pixelboot.library.sharing.shelf import Opened, Shelf
from pixelboot.payload import Payload

__all__ = ["NOBODY", "Absent", "Asker", "Forbidden", "Tree", "media_type"]

T = TypeVar("T")

HOLDS_TIME = 5.0
"""Seconds for which it is remembered whether there is a file."""

REMEMBERED = 4096
"""How many names, and how many ways, are remembered."""

TRIES = 3
"""How often a file is looked for that is exchanged every time somebody is told of it."""

READ_AHEAD = 64 << 20
"""Octets of a file that the kernel is asked to have in memory when its sending begins."""

_log = Logger(namespace="pixelboot.library")

_MEDIA_TYPES = {
    # The firmware of a UEFI machine decides by these what to do with what it was given.
    "efi": "application/efi",
    "iso": "application/vnd.efi-iso",
    "img": "application/vnd.efi-img",
    **dict.fromkeys(("txt", "ipxe", "cfg", "conf", "ks", "seed", "preseed"), "text/plain"),
}


def media_type(name: str) -> str:
    """The media type of a file of this name, without parameters: firmware compares the whole field."""
    return _MEDIA_TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")


class Made(Protocol):
    """What is served by name and is no file."""

    def knows(self, parts: Parts) -> bool:
        """Whether there may be something of that name."""

    async def open(self, parts: Parts, asker: Asker) -> Payload:
        """What has that name; raises `Absent`, or OSError when it cannot be had now."""


class _Meant(NamedTuple):
    """What a name means."""

    parts: Parts
    candidates: tuple[Parts, ...]
    """Where to look, where nothing of the root or the asker matters."""


class _Way:
    """What was found in one place, and how."""

    __slots__ = ("looked_at", "opened", "reason", "steps")

    def __init__(self, steps: tuple[Step, ...] | None, opened: Opened | None, reason: str) -> None:
        self.steps = steps
        self.opened = opened
        self.reason = reason
        self.looked_at = -math.inf
        """When it was last seen that it is still so."""


class Tree(Service):
    """What TFTP and HTTP serve by name.  While the service runs, files stay open for some seconds after their use.

    Files are looked for, opened and hashed in the reactor's threads; a process hashes large ones.  They are read in the
    reactor's own, block by block: the kernel is asked to have the beginning in memory by then, and to read far ahead of
    the rest.  A file system that does not answer, as a network's that is gone, thus holds up everything at the first
    block that is not there, and at the first look at a file; let `root` be a local folder.
    """

    name = "tree"

    def __init__(
        self,
        root: str,
        reactor: Any,
        *,
        names: Names | None = None,
        clock: IReactorTime | None = None,
        wall: Callable[[], float] = time.time,
        packaged: Mapping[str, Sequence[str]] = PACKAGED,
        memory: str | None = None,
    ) -> None:
        """`root` is the operator's folder, or empty for none; `packaged` is what stands behind it.

        `names` tells how names are meant.  `clock` ages what is remembered (the reactor, unless it is given); `wall` is
        the clock that files are stamped by.  `memory` is the path of a file in which the digests of large files are
        kept over a restart.
        """
        self._root = root
        self._reactor = reactor
        self._names = names or Names()
        self._clock: IReactorTime = clock or reactor
        self._wall = wall
        self._made: Made | None = None
        self._listings = Listings(wall)
        self._finder = Finder(root, packaged, self._listings, ignore_case=self._names.ignore_case)
        self._tops: Joined[str, Listing | None] = Joined()
        self._meanings: dict[object, _Meant] = {}
        self._ways: dict[tuple[Parts, ...], _Way] = {}
        self._looks: Joined[tuple[Parts, ...], _Way] = Joined(self._looked)
        self._shelf = Shelf(self._clock)
        self._held: Once[tuple[Parts, ...], bool] = Once(reactor, self._clock, HOLDS_TIME)
        self._troubled = False  # Whether the last look of `holds` failed.
        self._digests = Digests(reactor, self._clock, wall, memory)

    def serve_also(self, made: Made) -> None:
        """From now on, where there is no file, what is made for a name is served."""
        self._made = made

    def startService(self) -> None:
        """Let files stay open for a while, and hash large ones."""
        super().startService()
        self._shelf.start()
        self._digests.start()

    def stopService(self) -> Deferred[None]:
        """Close what nobody uses, and from now on at once; fires when no file is being hashed in the background."""
        super().stopService()
        self._shelf.stop()
        return Deferred.fromCoroutine(self._digests.stop())

    def at_hand(self, name: str, asker: Asker = NOBODY, asked_at: float = math.inf) -> Payload | None:
        """What `open` would give, where that can be told without waiting: a file that is open, and is still the one.

        None is no answer, neither that there is a file nor that there is none.  Of many who ask in the same moment the
        first has it looked at for all: what was, after `asked_at`, is not looked at again.

        :raises Absent: if it can be told that there is none.
        :raises Forbidden: if it is not served, whatever is there.
        """
        meant = self._meaning(name, asker)
        candidates = meant.candidates
        if self._names.wants_top(meant.parts, asker):
            top = self._top()
            if top is None:
                return None
            candidates = self._names.candidates(meant.parts, asker, top)
        way = self._remembered(candidates, asked_at)
        if way is None:
            return None
        if way.opened is not None:
            return self._shelf.lend(way.opened)
        if self._made is not None and self._made.knows(meant.parts):
            return None
        absent = Absent(way.reason)
        absent.looked_for = _spelled(candidates)
        raise absent

    async def open(self, name: str, asker: Asker = NOBODY) -> Payload:
        """The file that a client means by `name`, which may be any text, or what is made for that name.

        :raises Absent: if there is none.
        :raises Forbidden: if it is not served.
        :raises OSError: if it cannot be opened now, and perhaps can be later.
        """
        meant = self._meaning(name, asker)
        candidates = meant.candidates
        if self._names.wants_top(meant.parts, asker):
            top = self._top()
            if top is None:
                if self._tops.under_way(self._root):  # That may miss what was put there since it was begun.
                    await self._tops.get(self._root, partial(self._in_thread, self._finder.top))
                listing = await self._tops.get(self._root, partial(self._in_thread, self._finder.top))
                top = None if listing is None else listing.names
            candidates = self._names.candidates(meant.parts, asker, top)
        try:
            way = await self._way(candidates)
            if way.opened is not None:
                return self._shelf.lend(way.opened)
            if self._made is not None and self._made.knows(meant.parts):
                return await self._made.open(meant.parts, asker)
            raise Absent(way.reason)
        except (Absent, Forbidden) as problem:
            problem.looked_for = _spelled(candidates)
            raise

    async def holds(self, name: str) -> bool:
        """Whether `open` would find a file for anybody; that is looked up at most once in `HOLDS_TIME` seconds.

        When it cannot be found out now, it is as it was the last time; and no, if there was none.
        """
        try:
            key = self._names.candidates(self._names.parts(name, NOBODY), NOBODY, None)
        except Forbidden:
            return False
        try:
            held = await self._held.get(key, lambda: partial(self._holds, key))
        except OSError as error:
            if not self._troubled:
                self._troubled = True
                _log.error("files cannot be looked for now: {problem}", problem=error.strerror or str(error))
            return self._held.last(key, False)
        self._troubled = False
        return held

    def _meaning(self, name: str, asker: Asker) -> _Meant:
        """What `name` means, whatever is there; remembered, for that cannot change."""
        key = (name, asker.address) if self._names.by_address else name
        meant = self._meanings.get(key)
        if meant is None:
            parts = self._names.parts(name, asker)
            meant = _Meant(parts, self._names.candidates(parts, NOBODY, None))
            _remember(self._meanings, key, meant)
        return meant

    def _top(self) -> Mapping[str, str] | None:
        """The names in the root by their folded spelling; None where they have to be read."""
        if not self._root:
            return {}
        listing = self._listings.at_hand(self._root)
        return None if listing is None else listing.names

    def _remembered(self, candidates: tuple[Parts, ...], asked_at: float = math.inf) -> _Way | None:
        """What was found there, if it would be found again, or was seen after `asked_at` to be still there."""
        way = self._ways.get(candidates)
        if way is None:
            return None
        if self._is_good(way, asked_at):
            return way
        del self._ways[candidates]
        if way.opened is not None:
            self._shelf.drop(way.opened)
        return None

    def _is_good(self, way: _Way, asked_at: float = math.inf) -> bool:
        opened = way.opened
        if way.steps is None or (opened is not None and not opened.is_sure(self._clock)):
            return False
        if way.looked_at > asked_at:
            return True
        now = self._clock.seconds()  # before the look, which takes its time
        if not stands(way.steps):
            return False
        way.looked_at = now
        return True

    async def _way(self, candidates: tuple[Parts, ...]) -> _Way:
        """What is there: remembered, or looked for."""
        left = TRIES
        while (way := self._remembered(candidates)) is None:
            left -= 1
            joining = self._looks.under_way(candidates)
            way = await self._looks.get(candidates, partial(self._look, candidates))
            # A look that somebody began earlier may have missed what was put there since.
            if not (joining and left and way.steps is not None) or self._is_good(way):
                break
        return way

    def _look(self, candidates: tuple[Parts, ...]) -> Deferred[_Way]:
        """Look in a thread."""
        looking = opening(self._reactor, self._shelf, partial(self._found, candidates))
        return looking.addCallback(self._arrived, candidates)

    def _arrived(self, found: _Found, candidates: tuple[Parts, ...]) -> _Way:
        """Back from the thread."""
        way = _Way(found.steps, None, found.reason)
        if found.payload is not None:
            payload, stamp = found.payload, found.stamp
            assert stamp is not None
            sure_until = None if self._is_settled(stamp) else self._clock.seconds() + SETTLED
            way.opened = self._shelf.put((stamp, payload.media_type), payload, sure_until)
        if way.steps is not None:
            _remember(self._ways, candidates, way)
        return way

    def _looked(self, way: _Way) -> None:
        """All who waited have theirs."""
        if way.opened is not None:
            self._shelf.release(way.opened)

    def _is_settled(self, stamp: Stamp) -> bool:
        """Whether a file in that state has the same octets, whenever that is looked at."""
        return self._wall() - stamp.changed_at >= SETTLED

    def _in_thread(self, work: Callable[[], T]) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)

    def _found(self, candidates: tuple[Parts, ...]) -> _Found:
        """In a thread: the file as a payload, on its way into memory, or why there is none."""
        trail = Trail()
        try:
            descriptor = self._finder.find(candidates, trail)
        except Absent as absent:
            return _Found(None, None, trail.steps, str(absent))
        try:
            with suppress(OSError):  # which a file system that knows no such advice raises
                os.posix_fadvise(descriptor, 0, READ_AHEAD, os.POSIX_FADV_WILLNEED)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
            stamp = Stamp.of(os.fstat(descriptor))
            kind = media_type(candidates[-1][-1])
            payload = FilePayload(descriptor, kind, stamp.mtime_ns / 1e9, self._digests, stamp)
        except BaseException:  # whatever it is, it goes on; the descriptor must not stay open
            os.close(descriptor)
            raise
        return _Found(payload, stamp, trail.steps, "")

    def _holds(self, candidates: Sequence[Parts]) -> bool:
        """In a thread."""
        try:
            os.close(self._finder.find(candidates, Trail()))
        except (Absent, Forbidden):
            return False
        return True


def _spelled(candidates: Sequence[Parts]) -> tuple[str, ...]:
    return tuple(map("/".join, candidates))


class _Found(NamedTuple):
    """What a thread brings."""

    payload: FilePayload | None
    stamp: Stamp | None
    steps: tuple[Step, ...] | None
    reason: str


def _remember(known: dict[Any, T], key: object, value: T) -> None:
    """Keep the `REMEMBERED` that were learnt last."""
    if len(known) >= REMEMBERED and key not in known:
        del known[next(iter(known))]
    known[key] = value
