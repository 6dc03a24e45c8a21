"""When something changes in the folders of containers: the kernel tells, or it may have changed every second.

A folder is watched by inotify(7) where its file system is this machine's alone.  Every second it is also made sure, by
a thread, that the path still leads to the folder that is watched: somebody may have renamed a folder above it, mounted
another over it, or turned a link.  Where there is nothing to watch, everything may have changed at any time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.library.folder.look import SIDECARS, SUFFIX
from pixelboot.library.folder.mounts import LOCAL, file_system
from pixelboot.outcome import printable

if TYPE_CHECKING:
    from pixelboot.library.folder.events import Events

POLL = 1.0
"""Seconds from one look at a folder that is not watched to the next, and between making sure of those that are."""

SAFETY = 60.0
"""Seconds after which everything may have changed unnoticed: by a hard link, by memory that is mapped."""

COALESCE = 0.05
"""Seconds in which further changes are awaited, and told together."""

MANY = 1000
"""Names at once from which on it is simpler to look at everything."""

_log = Logger(namespace="pixelboot.library")

_Identity = tuple[int, int]
"""Device and inode of a folder."""

_Found = tuple["_Identity | None", "Events | None", str]
"""Which folder a path leads to, None if it cannot be watched; its events, if it is another one than before; why not."""


class FolderWatch:
    """Tells what may have changed in the folders, from `start` to `stop`."""

    def __init__(
        self,
        roots: Sequence[str],
        reactor: Any,
        changed: Callable[[frozenset[str] | None], None],
        poll: bool = False,
        clock: IReactorTime | None = None,
    ) -> None:
        """`changed` is called with the names that may have become, or ceased to be, something else.

        Most are of pictures; those of sidecars are told as their pictures', and others may be what links lead to.
        None stands for all: so it begins as soon as the folders are watched, and so it goes on every `POLL` seconds
        while one of them is not, or always, if `poll` is set.  `clock` keeps the times (the reactor, unless given).
        """
        self._roots = tuple(dict.fromkeys(roots))
        self._reactor = reactor
        self._changed = changed
        self._poll = poll
        self._clock: IReactorTime = clock or reactor
        self._folders: list[_Folder] = []
        self._names: set[str] = set()
        self._all = False
        self._all_at = 0.0
        self._telling: IDelayedCall | None = None
        self._checking: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._all_at = self._clock.seconds()
        self._folders = [_Folder(root, self._reactor, self._note, self._poll) for root in self._roots]
        self._check()

    def stop(self) -> Deferred[None]:
        """Tell no more, and give everything back; fires when the threads have, too."""
        for call in (self._telling, self._checking):
            if call is not None:
                call.cancel()
        self._telling = self._checking = None
        folders, self._folders, self._names, self._all = self._folders, [], set(), False
        return DeferredList([folder.stop() for folder in folders]).addCallback(lambda _: None)

    def _check(self) -> None:
        self._checking = self._clock.callLater(POLL, self._check)
        for folder in self._folders:
            folder.check()
        if self._clock.seconds() - self._all_at >= SAFETY:
            self._note(None)

    def _note(self, names: Iterable[str] | None) -> None:
        """These names may have changed, or all; none at all means that the kernel has something to tell."""
        self._all = self._all or names is None
        self._names.update(*map(_told_as, names or ()))
        if self._telling is None:
            self._telling = self._clock.callLater(COALESCE, self._tell)

    def _tell(self) -> None:
        for folder in self._folders:
            folder.take()
        self._telling = None
        names = None if self._all or len(self._names) > MANY else frozenset(self._names)
        self._names, self._all = set(), False
        if names is None:
            self._all_at = self._clock.seconds()
        if names is None or names:
            self._changed(names)


class _Folder:
    """One folder, watched or not."""

    def __init__(self, root: str, reactor: Any, note: Callable[[Iterable[str] | None], None], poll: bool) -> None:
        self._root = root
        self._reactor = reactor
        self._note = note
        self._poll = poll
        self._identity: _Identity | None = None
        self._events: Events | None = None
        self._examining: Deferred[None] | None = None
        self._stopped = False
        self._said = ""
        self._written: set[str] = set()  # What was written to and told so since the last check; more has to wait.
        self._waiting: set[str] = set()

    def check(self) -> None:
        """Every second: make sure that the right folder is watched; one that is not watched may have changed."""
        self._written.clear()
        if self._waiting:
            self._note(self._waiting)
            self._waiting = set()
        if self._poll:
            self._note(None)
        elif self._examining is None:
            pool = self._reactor.getThreadPool()
            examining = deferToThreadPool(
                self._reactor, pool, _examine, self._root, self._identity, self._reactor, self._ready
            )
            self._examining = examining.addCallback(self._examined).addErrback(self._failed)

    def take(self) -> None:
        """Note what the kernel has to tell."""
        if self._events is None:
            return
        told = self._events.take()
        if told.everything:
            self._note(None)
        self._note(told.names)
        # Who copies a large file writes many times: that is told at once, and then every second.
        self._note(told.written - self._written)
        self._waiting |= told.written & self._written
        self._written |= told.written
        if told.gone:
            self._lose()
            self.check()
        else:
            self._events.resume()

    def stop(self) -> Deferred[None]:
        """Give back what the kernel gave; fires when the thread has, too."""
        self._stopped = True
        self._lose()
        done: Deferred[None] = Deferred()
        if self._examining is None:
            done.callback(None)
        else:
            self._examining.addBoth(done.callback)
        return done

    def _ready(self) -> None:
        self._note(())

    def _examined(self, found: _Found) -> None:
        self._examining = None
        identity, events, why = found
        if self._stopped:
            if events is not None:
                events.close()
            return
        if identity is not None and events is None:
            return  # as before
        self._lose()
        self._identity, self._events = identity, events
        if events is not None:
            events.resume()
        if why and why != self._said:
            _log.warn("{folder} is looked through every second: {why}", folder=printable(self._root), why=why)
        self._said = why
        self._note(None)

    def _failed(self, failure: Failure) -> None:
        self._examining = None
        _log.failure("looking at the folder {folder} failed", failure, folder=printable(self._root))

    def _lose(self) -> None:
        if self._events is not None:
            self._events.close()
        self._events = self._identity = None


def _told_as(name: str) -> tuple[str, ...]:
    """The names to tell when something happened to this one: for a sidecar its picture's, too."""
    if name.startswith("."):
        return ()
    return (name, *(name.removesuffix(ending) + SUFFIX for ending in SIDECARS if name.endswith(ending)))


def _examine(root: str, identity: _Identity | None, reactor: Any, ready: Callable[[], None]) -> _Found:
    """In a thread: where the path leads to now, and if that is not the folder `identity`, the events of that."""
    try:
        if identity is not None:
            status = os.stat(root)
            if (status.st_dev, status.st_ino) == identity:
                return identity, None, ""
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None, None, ""  # whoever looks into it will see why
    try:
        kind, opened = file_system(folder), _events()
        if kind not in LOCAL:
            return None, None, f"nobody tells of changes on a file system of type {kind or 'unknown'}"
        if opened is None:
            return None, None, "Twisted finds no C library to call inotify by"
        status = os.fstat(folder)
        return (status.st_dev, status.st_ino), opened(reactor, folder, ready), ""
    except OSError as error:
        return None, None, str(error)
    finally:
        os.close(folder)


@cache
def _events() -> type[Events] | None:
    """What reads inotify; None where Twisted cannot call it.  Finding out takes a thread's while."""
    try:
        from pixelboot.library.folder.events import Events
    except ImportError:
        return None
    return Events
