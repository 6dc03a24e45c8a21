"""Decoders as seen from the server: a queue, a process each, and what came of it."""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.library.decoding.cache import Cache
from pixelboot.library.decoding.finding import LINE_LIMIT, Finding
from pixelboot.library.folder.look import Stamp, Unreadable
from pixelboot.malformed import Malformed

PATIENCE = 120.0
"""Seconds that a decoder may take, besides one for every megabyte of the picture."""

SIZE_PATIENCE = 1800.0
"""Seconds that the size of a picture may add at most."""

AT_ONCE = max(1, min(2, (os.cpu_count() or 1) - 1))
"""Decoders that run side by side: one processor is left for the machines that boot."""

_STDERR_LIMIT = 4096

_log = Logger(namespace="pixelboot.library")


class Job:
    """One picture to be decoded: `found` is called with every finding, then `ended` once, with why it failed if so."""

    def __init__(
        self,
        stamp: Stamp,
        open_it: Callable[[], int],
        found: Callable[[Finding], None],
        ended: Callable[[str | None], None],
    ) -> None:
        """`open_it` gives the descriptor, or raises `Unreadable`; `stamp` is the state of the file that is meant."""
        self.stamp = stamp
        self.open = open_it
        self.found = found
        self.ended = ended


class Decoders:
    """Runs the jobs, a few at a time, in the order they came."""

    def __init__(self, reactor: Any, cache: str, at_once: int = AT_ONCE) -> None:
        """The reactor makes processes and timers; `cache` is the folder that the decoders write into."""
        self._reactor = reactor
        self._cache = Cache(cache)
        self._at_once = at_once
        self._queue: deque[Job] = deque()
        self._running: dict[Job, _Decoder] = {}
        self._stopped: list[Deferred[None]] | None = None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to decode."""
        return not self._queue and not self._running

    def add(self, job: Job) -> None:
        """Take a job; it is begun when its turn comes."""
        self._queue.append(job)
        self._begin()

    def prefer(self, job: Job) -> None:
        """Do this job next, because somebody waits for it."""
        if job in self._queue and self._queue[0] is not job:
            self._queue.remove(job)
            self._queue.appendleft(job)

    def drop(self, job: Job) -> None:
        """End a job whose picture is no longer there; nothing is called any more."""
        job.found = job.ended = _ignore
        if job in self._running:
            self._running[job].kill()
        else:
            self._queue.remove(job)

    def stop(self) -> Deferred[None]:
        """End all jobs, and wait until no process is left."""
        done: Deferred[None] = Deferred()
        self._queue.clear()
        self._stopped = [*(self._stopped or []), done]
        for job in list(self._running):
            self.drop(job)
        self._tell_stopped()
        return done

    def _begin(self) -> None:
        while self._queue and len(self._running) < self._at_once and self._stopped is None:
            job = self._queue.popleft()
            try:
                descriptor = job.open()
            except Unreadable as error:
                job.ended(str(error))
                continue
            try:
                if Stamp.of(os.fstat(descriptor)) != job.stamp:
                    job.ended("the file was replaced before it could be read")
                    continue
                self._running[job] = _Decoder(self._reactor, job, self._cache.folder, descriptor, self._clear)
            except OSError as error:
                job.ended(f"no decoder can be started: {error}")
            finally:
                os.close(descriptor)

    def _clear(self, job: Job, pid: int, problem: str | None) -> None:
        """A process has ended; one that failed may have left something in the cache."""
        if problem is None:
            self._end(job, None)
            return
        cleared = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._cache.clear, pid)
        cleared.addErrback(lambda failure: _log.failure("what a decoder left cannot be removed", failure))
        cleared.addCallback(lambda _: self._end(job, problem))

    def _end(self, job: Job, problem: str | None) -> None:
        del self._running[job]
        job.ended(problem)
        self._begin()
        self._tell_stopped()

    def _tell_stopped(self) -> None:
        if self._stopped is not None and not self._running:
            waiting, self._stopped = self._stopped, None
            for done in waiting:
                done.callback(None)


def _ignore(_: object) -> None:
    """Nobody wants to know any more."""


class _Decoder(ProcessProtocol):
    """One process: its lines, its time and its end."""

    def __init__(
        self, reactor: Any, job: Job, cache: str, descriptor: int, ended: Callable[[Job, int, str | None], None]
    ) -> None:
        self._job = job
        self._ended = ended
        self._line = b""
        self._errors = b""
        self._last: Finding | None = None
        self._problem: str | None = None
        # The decoder sees the modules that this process sees, and nothing of the folder it is started in (-P).
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(folder for folder in sys.path if folder),
            "OPENBLAS_NUM_THREADS": "1",
        }
        self._process = reactor.spawnProcess(
            self,
            sys.executable,
            [sys.executable, "-P", "-m", "pixelboot.library.decoding.work", cache],
            env=environment,
            childFDs={0: descriptor, 1: "r", 2: "r"},
        )
        patience = PATIENCE + min(job.stamp.size / 1e6, SIZE_PATIENCE)
        self._timer: IDelayedCall = reactor.callLater(patience, self._give_up, f"it took longer than {patience:.0f} s")

    def connectionMade(self) -> None:
        """Note the process id: by the time that `spawnProcess` returns, the process may have ended and have none."""
        assert self.transport is not None
        self._pid: int = self.transport.pid

    def kill(self) -> None:
        """End the process; its end is told as always."""
        with suppress(ProcessExitedAlready):
            self._process.signalProcess("KILL")

    def childDataReceived(self, child_fd: int, data: bytes) -> None:
        """Take what the process says."""
        if child_fd == 2:
            self._errors = (self._errors + data)[-_STDERR_LIMIT:]
            return
        *lines, self._line = (self._line + data).split(b"\n")
        try:
            if len(self._line) > LINE_LIMIT:
                raise Malformed("a line without end")
            for line in lines:
                if self._problem is None:
                    self._last = Finding.read(line)
                    self._job.found(self._last)
        except Malformed as error:
            self._give_up(f"it says nonsense: {error}")

    def processEnded(self, reason: Failure) -> None:
        """Judge how it ended."""
        if self._timer.active():
            self._timer.cancel()
        assert isinstance(reason.value, ProcessDone | ProcessTerminated)
        code, number = reason.value.exitCode, reason.value.signal
        problem = self._problem
        if problem is None and number is not None:
            problem = f"it was killed by {signal.Signals(number).name}"
        elif problem is None and code != 0:
            said = self._errors.decode("utf-8", "replace").strip().splitlines()
            problem = said[-1] if code == 1 and said else f"it ended with status {code}"
        elif problem is None and (self._last is None or self._last.state == "decoding" or self._line):
            problem = "it ended without a result"
        self._ended(self._job, self._pid, None if problem is None else f"the decoder failed: {problem}")

    def _give_up(self, problem: str) -> None:
        self._problem = self._problem or problem
        self.kill()
