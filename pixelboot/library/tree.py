"""The tree of files that TFTP and HTTP serve by name: a folder of the operator's, and behind it the system's iPXE."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.library.file import FilePayload
from pixelboot.library.folder.look import Stamp
from pixelboot.library.names.below import READ, Absent, Forbidden, Outside, components, open_below, refusal, regular
from pixelboot.library.names.packaged import PACKAGED, remedy

__all__ = ["Absent", "Forbidden", "Tree", "media_type"]

K = TypeVar("K")
T = TypeVar("T")

HOLDS_TIME = 5.0
"""Seconds for which it is remembered whether there is a file."""

REMEMBERED = 1024
"""How many names, and how many digests, are remembered."""

READ_AHEAD = 64 << 20
"""Octets of a file that the kernel is asked to have in memory when its sending begins."""

LARGEST_HASHED = 256 << 20
"""Octets of a file above which its entity tag is made of its `Stamp`: a machine that asks for a disk image waits a few
seconds for the head of the answer, which is not enough for its SHA-256."""

SETTLED = 1.0
"""Seconds that a file must have lain still for its digest to be remembered: its times are only so exact."""

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


class Tree:
    """What TFTP and HTTP serve by name.

    Files are looked for, opened and hashed in the reactor's threads.  They are read in the reactor's own, block by
    block: the kernel is asked to have the beginning in memory by then, and to read far ahead of the rest.  A file
    system that does not answer, as a network's that is gone, thus holds up everything at the first block that is not
    there; let `root` be a local folder.
    """

    def __init__(
        self,
        root: str,
        reactor: Any,
        *,
        clock: IReactorTime | None = None,
        wall: Callable[[], float] = time.time,
        packaged: Mapping[str, Sequence[str]] = PACKAGED,
    ) -> None:
        """`root` is the operator's folder, or empty for none; `packaged` is what stands behind it.

        `clock` ages what is remembered (the reactor, unless it is given); `wall` is the clock that files are stamped
        by.
        """
        self._root = root
        self._reactor = reactor
        self._wall = wall
        self._packaged = packaged
        self._held: _Once[str, bool] = _Once(reactor, clock or reactor, HOLDS_TIME)
        self._troubled = False  # Whether the last look of `holds` failed.
        self._digests: _Once[Stamp, str] = _Once(reactor, clock or reactor, float("inf"))

    async def open(self, name: str) -> FilePayload:
        """The file that a client means by `name`, which may be any text.

        :raises Absent: if there is none.
        :raises Forbidden: if it is not served.
        :raises OSError: if it cannot be opened now, and perhaps can be later.
        """
        parts = components(name)
        pool = self._reactor.getThreadPool()
        claimed: Deferred[FilePayload] = Deferred()

        def opened(result: FilePayload | Failure) -> None:
            if not claimed.called:
                claimed.callback(result)  # a Failure makes it fail
            elif isinstance(result, FilePayload):
                result.close()  # whoever asked has gone meanwhile

        deferToThreadPool(self._reactor, pool, self._open, parts).addBoth(opened)
        return await claimed

    async def holds(self, name: str) -> bool:
        """Whether `open` would find a file; that is looked up at most once in `HOLDS_TIME` seconds.

        When it cannot be found out now, it is as it was the last time; and no, if there was none.
        """
        try:
            parts = components(name)
        except Forbidden:
            return False
        key = "/".join(parts)
        try:
            held = await self._held.get(key, lambda: partial(self._holds, parts))
        except OSError as error:
            if not self._troubled:
                self._troubled = True
                _log.error("files cannot be looked for now: {problem}", problem=error.strerror or str(error))
            return self._held.last(key, False)
        self._troubled = False
        return held

    def _find(self, parts: Sequence[str]) -> int:
        """In a thread: a descriptor of the file."""
        name = "/".join(parts)
        paths = self._packaged.get(name, ())
        if self._root:
            try:
                return open_below(self._root, parts)
            except Absent:
                pass
            except Outside:
                meant = self._meant(parts)
                if not meant:
                    raise
                paths = (meant,)
        problem: Forbidden | None = None
        for path in paths:
            try:
                return regular(os.open(path, READ))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                refused = refusal(error, f"{path} cannot be opened")
                if not isinstance(refused, Forbidden):
                    raise  # The next best must not take its place because of what is wrong at this moment.
                problem = problem or refused
        if problem is not None:
            raise problem
        hint = remedy(name)
        raise Absent(f"there is no such file; {hint}" if hint else "there is no such file")

    def _meant(self, parts: Sequence[str]) -> str:
        """In a thread: the packaged loader that a link in the folder leads to; empty for one that leads elsewhere."""
        target = os.path.realpath(os.path.join(self._root, *parts))
        candidates = (path for paths in self._packaged.values() for path in paths)
        return next((path for path in candidates if os.path.realpath(path) == target and os.path.exists(path)), "")

    def _open(self, parts: Sequence[str]) -> FilePayload:
        """In a thread: the file as a payload, on its way into memory."""
        descriptor = self._find(parts)
        try:
            with suppress(OSError):  # which a file system that knows no such advice raises
                os.posix_fadvise(descriptor, 0, READ_AHEAD, os.POSIX_FADV_WILLNEED)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
            stamp = Stamp.of(os.fstat(descriptor))
            return FilePayload(descriptor, media_type(parts[-1]), stamp.mtime_ns / 1e9, self._digest, stamp)
        except BaseException:  # whatever it is, it goes on; the descriptor must not stay open
            os.close(descriptor)
            raise

    def _holds(self, parts: Sequence[str]) -> bool:
        """In a thread."""
        try:
            os.close(self._find(parts))
        except (Absent, Forbidden):
            return False
        return True

    async def _digest(self, descriptor: int, stamp: Stamp) -> str:
        """What an open file's entity tag is made of; the file may be closed meanwhile."""
        settled = self._wall() - stamp.changed_at >= SETTLED
        return await self._digests.get(stamp, lambda: partial(_digest, os.dup(descriptor), stamp), settled)


def _digest(descriptor: int, stamp: Stamp) -> str:
    """In a thread: the SHA-256 of a file, or of a large one's stamp; OSError if it is changed meanwhile."""
    with closing(FilePayload(descriptor, "", 0.0, "", stamp)) as file:
        if file.size > LARGEST_HASHED:
            return hashlib.sha256(str(stamp).encode()).hexdigest()
        digest, offset = hashlib.sha256(), 0
        while offset < file.size:
            block = file.read(offset, 1 << 20)
            if not block:
                raise OSError(errno.ESTALE, "the file became shorter while it was read")
            digest.update(block)
            offset += len(block)
        return digest.hexdigest()


class _Once(Generic[K, T]):
    """Work done in a thread, once for all who ask for the same meanwhile, and remembered."""

    def __init__(self, reactor: Any, clock: IReactorTime, keep: float) -> None:
        """What comes of it is remembered for `keep` seconds by `clock`; of failures, nothing is."""
        self._reactor = reactor
        self._clock = clock
        self._keep = keep
        self._known: dict[K, tuple[float, T]] = {}
        self._waiting: dict[K, list[Deferred[T]]] = {}

    async def get(self, key: K, begin: Callable[[], Callable[[], T]], remember: bool = True) -> T:
        """What came of the work that `begin` gives; it is not called when somebody else's work will do."""
        if key in self._known and self._clock.seconds() < self._known[key][0]:
            return self._known[key][1]
        if key not in self._waiting:
            pool = self._reactor.getThreadPool()
            working = deferToThreadPool(self._reactor, pool, begin())
            self._waiting[key] = []
            working.addBoth(self._done, key, remember)
        waiting = self._waiting[key]
        waiter: Deferred[T] = Deferred(waiting.remove)
        waiting.append(waiter)
        return await waiter

    def last(self, key: K, default: T) -> T:
        """What came of it the last time, however long ago, if it is still remembered."""
        return self._known[key][1] if key in self._known else default

    def _done(self, result: T | Failure, key: K, remember: bool) -> None:
        if remember and not isinstance(result, Failure):
            self._known.pop(key, None)
            if len(self._known) >= REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[key] = self._clock.seconds() + self._keep, result
        for waiter in self._waiting.pop(key):
            waiter.callback(result)  # a Failure makes it fail
