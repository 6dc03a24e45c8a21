"""The digests of open files, each made once.

Who asks for that of a small file waits for it: a thread makes it.  That of a large one takes longer than a machine
waits for the head of an answer: it is made in the background, one after the other, and until then the file has none.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Coroutine
from contextlib import closing
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from pixelboot.library.file import FilePayload
from pixelboot.library.folder.look import Stamp
from pixelboot.library.names.folded import SETTLED
from pixelboot.library.sharing.hashing import Hashing
from pixelboot.library.sharing.once import Once
from pixelboot.library.sharing.remembered import Remembered, write

AWAITED = 256 << 20
"""Octets of the largest file whose digest is waited for: less than a second."""

WORTH_KEEPING = 16 << 20
"""Octets of the smallest file whose digest is kept over a restart; of others it is sooner made than looked for."""

QUEUE = 8
"""Large files that are hashed or wait for that, each with a descriptor; of more, who asks again is told some day."""

_log = Logger(namespace="pixelboot.library")


class Digests:
    """What entity tags are made of, by the states of files: a `pixelboot.library.file.Hasher`."""

    def __init__(self, reactor: Any, clock: IReactorTime, wall: Callable[[], float], memory: str | None = None) -> None:
        """`wall` is the clock that files are stamped by; `memory` is the path of a file in which digests are kept."""
        self._reactor = reactor
        self._wall = wall
        self._memory = memory
        self._once: Once[Stamp, str] = Once(reactor, clock, float("inf"))
        self._kept = Remembered(memory)
        self._large: set[Stamp] = set()  # what is hashed in the background
        self._given_up: set[Stamp] = set()  # what could not be
        self._hashing: Hashing | None = None
        self._turn, self._writing = DeferredLock(), DeferredLock()
        self._working: set[Deferred[None]] = set()
        self._running = False

    def start(self) -> None:
        """From now on large files are hashed."""
        self._running = True

    async def stop(self) -> None:
        """Leave off, and wait until nothing is under way."""
        self._running = False
        if self._hashing is not None:
            self._hashing.kill()
        while self._working:
            await DeferredList(list(self._working))

    def known(self, stamp: Stamp) -> str | None:
        """That of files in this state, if it was found out, and they cannot have changed since without a trace."""
        if stamp.size >= WORTH_KEEPING:
            return self._kept.get(stamp)
        return self._once.last(stamp, "") or None

    async def of(self, descriptor: int, stamp: Stamp) -> str | None:
        """That of an open file in this state, in hex; the file may be closed meanwhile.

        None of a large one whose digest is not known yet; if it has lain still for long enough, it will be.
        """
        found = self.known(stamp)
        if found is not None:
            return found
        settled = self._wall() - stamp.changed_at >= SETTLED
        if stamp.size > AWAITED:
            if settled:
                self._begin(descriptor, stamp)
            return None
        found = await self._once.get(stamp, lambda: partial(digest, os.dup(descriptor), stamp), settled)
        if settled and stamp.size >= WORTH_KEEPING:
            self._keep(stamp, found)
        return found

    def _begin(self, descriptor: int, stamp: Stamp) -> None:
        """Have a large file hashed when its turn comes, unless it is under way."""
        if not self._running or stamp in self._large or stamp in self._given_up or len(self._large) >= QUEUE:
            return
        try:
            # Opened anew, so that the process has a position of its own, and the kernel reads ahead for each.
            again = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return  # Descriptors may be short; who asks again may have more luck.
        self._large.add(stamp)
        self._work(self._hash(FilePayload(again, "", 0.0, "", stamp), again, stamp))

    async def _hash(self, file: FilePayload, descriptor: int, stamp: Stamp) -> None:
        try:
            async with self._turn:
                if not self._running:
                    return
                file.verify()
                self._hashing = Hashing(self._reactor, descriptor)
                found = await self._hashing.done
                file.verify()
                self._keep(stamp, found)
        except OSError as error:
            if self._running and error.errno == errno.EIO:
                self._given_up.add(stamp)  # until the next start: each time would take as long
                _log.warn(
                    "a file of {size} octets cannot be hashed: {problem}", size=stamp.size, problem=error.strerror
                )
        finally:
            self._hashing = None
            self._large.remove(stamp)
            file.close()

    def _keep(self, stamp: Stamp, found: str) -> None:
        """It is known from now on, and after a restart."""
        if self._kept.get(stamp) != found:
            self._kept.add(stamp, found)
            if self._memory is not None:
                self._work(self._write(self._memory))

    async def _write(self, path: str) -> None:
        async with self._writing:
            work = partial(write, path, self._kept.rows)
            await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it while others go on; `stop` waits for its end."""
        working = Deferred.fromCoroutine(work)
        self._working.add(working)
        working.addErrback(lambda failure: _log.failure("a digest was not made, or not kept", failure))
        working.addCallback(lambda _: self._working.remove(working))


def digest(descriptor: int, stamp: Stamp) -> str:
    """In a thread: the SHA-256 of a file; OSError if it is changed meanwhile."""
    with closing(FilePayload(descriptor, "", 0.0, "", stamp)) as file:
        found, offset = hashlib.sha256(), 0
        while offset < file.size:
            block = file.read(offset, 1 << 20)
            if not block:
                raise OSError(errno.ESTALE, "the file became shorter while it was read")
            found.update(block)
            offset += len(block)
        return found.hexdigest()
