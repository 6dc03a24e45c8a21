"""Decoders as seen from the server: two lanes of jobs, the processes that do them, and what came of it.

Descriptions are read in a lane of their own, so that none ever waits for pixels.  A process does one job at a time and
is kept for the next.  Whatever becomes of it, it is the job at hand that failed: the next one gets a new process.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.library.decoding.cache import Cache
from pixelboot.library.decoding.finding import LINE_LIMIT, Finding
from pixelboot.library.decoding.order import READY, Ended, Order, Task
from pixelboot.library.folder.look import Seen
from pixelboot.malformed import Malformed

PATIENCE = 120.0
"""Seconds that a decoder may be silent, besides one for every megabyte of the picture."""

SIZE_PATIENCE = 1800.0
"""Seconds that the size of a picture may add at most."""

AT_ONCE = max(1, min(2, (os.cpu_count() or 1) - 1))
"""Pictures that are decoded side by side: one processor is left for the machines that boot."""

AHEAD = 64
"""Descriptions that are asked for before the first is answered, so that their decoder never waits for the server."""

IDLE = 30.0
"""Seconds that a process without work is kept."""

RESIDENT_LIMIT = 128 << 20
"""Octets of memory that a decoder may hold on to when a job is done; one that holds more is replaced."""

PAUSE = 1.0
"""Seconds until a process is started again that ended before it could begin; each time twice as many."""

PAUSE_LIMIT = 60.0

FINDINGS_LIMIT = 8
"""Findings about one picture; a decoder that says more is broken."""

_STDERR_LIMIT = 4096

_log = Logger(namespace="pixelboot.library")


class Job:
    """One picture to be read: `found` is called with every finding, then `ended` once, with why it failed if so."""

    def __init__(
        self, seen: Seen, task: Task, found: Callable[[Finding], None], ended: Callable[[str | None], None]
    ) -> None:
        """`seen` has the stamp of the file that is meant; for the `task` see `pixelboot.library.decoding.order`."""
        self.seen = seen
        self.task = task
        self.found = found
        self.ended = ended
        self.lane: _Lane | None = None


class Decoders:
    """Runs the jobs, a few at a time, in the order they came."""

    def __init__(self, reactor: Any, cache: str, *, side_limit: int, at_once: int = AT_ONCE) -> None:
        """The reactor makes processes, threads and timers; `cache` is the folder that the decoders write into.

        `side_limit` is the largest side of a picture in pixels, `at_once` counts the pictures decoded side by side.
        """
        arguments = [cache, "--side-limit", str(side_limit)]
        self._examine = _Lane(reactor, arguments, 1, AHEAD, self._tell_stopped)
        self._decode = _Lane(reactor, arguments, at_once, 1, self._tell_stopped)
        self._stopped: list[Deferred[None]] = []

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return self._examine.idle and self._decode.idle

    def warm_up(self) -> None:
        """Start the process that examines before there is work for it: that takes longer than the work."""
        self._examine.warm_up()

    def add(self, job: Job) -> None:
        """Take a job; it is begun when its turn comes."""
        job.lane = self._examine if job.task == "examine" else self._decode
        job.lane.add(job)

    def prefer(self, job: Job) -> None:
        """Do this job soon, because somebody waits for it, after those that were preferred sooner.

        One that is begun, or done, is left alone.
        """
        if job.lane is not None:
            job.lane.prefer(job)

    def drop(self, job: Job) -> None:
        """End a job whose picture is no longer there; nothing is called any more."""
        job.found = job.ended = _ignore
        if job.lane is not None:
            job.lane.drop(job)

    def stop(self) -> Deferred[None]:
        """End all jobs, telling nobody, and wait until no process is left."""
        done: Deferred[None] = Deferred()
        self._stopped.append(done)
        for lane in (self._examine, self._decode):
            lane.stop()
        self._tell_stopped()
        return done

    def _tell_stopped(self) -> None:
        if not self._examine.processes and not self._decode.processes:
            waiting, self._stopped = self._stopped, []
            for done in waiting:
                done.callback(None)


def _ignore(_: object) -> None:
    """Nobody wants to know any more."""


class _Lane:
    """Jobs of one kind: those that wait, and the processes with those that are under way."""

    def __init__(
        self, reactor: Any, arguments: Sequence[str], width: int, ahead: int, ended: Callable[[], None]
    ) -> None:
        """At most `width` processes have up to `ahead` jobs each; `ended` is called when one of them is gone."""
        self.reactor = reactor
        self.processes: list[_Decoder] = []
        self._arguments = arguments
        self._cache = Cache(arguments[0])
        self._width = width
        self._ahead = ahead
        self._ended = ended
        self._urgent: OrderedDict[Job, None] = OrderedDict()
        self._queue: OrderedDict[Job, None] = OrderedDict()
        self._suspects = 0
        self._failures = 0
        self._pause: IDelayedCall | None = None

    @property
    def idle(self) -> bool:
        return not self._waiting and not any(process.jobs for process in self.processes)

    @property
    def _waiting(self) -> OrderedDict[Job, None]:
        """Those of which the first is the next."""
        return self._urgent or self._queue

    def warm_up(self) -> None:
        if not self.processes:
            with suppress(OSError):  # which the first job will tell
                self.processes.append(_Decoder(self, self._arguments))

    def add(self, job: Job) -> None:
        self._queue[job] = None
        self.go_on()

    def prefer(self, job: Job) -> None:
        if job in self._queue:
            del self._queue[job]
            self._urgent[job] = None  # behind those that somebody has waited for longer

    def drop(self, job: Job) -> None:
        for queue in (self._urgent, self._queue):
            if job in queue:
                del queue[job]
                return
        for process in self.processes:
            if job in process.jobs and self._ahead == 1:  # else it is over before the process could be ended
                process.kill()

    def stop(self) -> None:
        self._urgent.clear()
        self._queue.clear()
        self._suspects = self._failures = 0
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        for process in self.processes:
            for job in process.jobs:
                job.found = job.ended = _ignore
            process.kill()

    def go_on(self) -> None:
        """Give the next jobs to whoever can take them."""
        for process in self.processes:
            if len(process.jobs) <= self._ahead // 2:  # many at once: one write, not one for each
                self._fill(process)
        while self._waiting and len(self.processes) < self._width and self._pause is None:
            try:
                process = _Decoder(self, self._arguments)
            except OSError as error:
                job, _ = self._waiting.popitem(last=False)
                self._rest()
                job.ended(f"no decoder can be started: {error}")
            else:
                self.processes.append(process)
                self._fill(process)

    def _fill(self, process: _Decoder) -> None:
        while self._waiting and process.willing and len(process.jobs) < (1 if self._suspects else self._ahead):
            process.take(self._waiting.popitem(last=False)[0])
            self._suspects = max(self._suspects - 1, 0)

    def began(self) -> None:
        """A process could be started."""
        self._failures = 0

    def ended(self, process: _Decoder, problem: str) -> None:
        """A process is gone; if it was at work, it failed, and may have left something in the cache."""
        if not process.jobs:
            self._gone(process, problem)
            return
        cleared = deferToThreadPool(self.reactor, self.reactor.getThreadPool(), self._cache.clear, process.pid)
        cleared.addErrback(lambda failure: _log.failure("what a decoder left cannot be removed", failure))
        cleared.addCallback(lambda _: self._gone(process, problem))

    def _gone(self, process: _Decoder, problem: str) -> None:
        self.processes.remove(process)
        # Of several, any may be to blame, for answers are sent together.  The next process gets them one by one.
        alone = len(process.jobs) == 1 or not process.began
        jobs = [job for job in process.jobs if job.ended is not _ignore]
        process.jobs.clear()
        failed, again = (jobs[:1], jobs[1:]) if alone else ([], jobs)
        for job in reversed(again):
            self._urgent[job] = None
            self._urgent.move_to_end(job, last=False)
        if not alone:
            self._suspects += len(again)
        elif not process.began:
            self._rest()
        for job in failed:
            job.ended(f"the decoder failed: {problem}")
        self.go_on()
        self._ended()

    def _rest(self) -> None:
        """Start no process for a while: none can be."""
        if self._pause is None and self._waiting:
            self._pause = self.reactor.callLater(min(PAUSE * 2**self._failures, PAUSE_LIMIT), self._resume)
            self._failures = min(self._failures + 1, 10)

    def _resume(self) -> None:
        self._pause = None
        self.go_on()


class _Decoder(ProcessProtocol):
    """One process: its jobs, its lines, its time and its end."""

    transport: IProcessTransport
    pid: int

    def __init__(self, lane: _Lane, arguments: Sequence[str]) -> None:
        """Start it; OSError when that cannot be."""
        self.jobs: deque[Job] = deque()
        self.began = False
        self.willing = True
        self._lane = lane
        self._line = b""
        self._errors = b""
        self._last: Finding | None = None
        self._said = 0
        self._problem: str | None = None
        self._timer: IDelayedCall | None = None
        # The decoder sees the modules that this process sees, and nothing of the folder it is started in (-P).
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(folder for folder in sys.path if folder),
            "OPENBLAS_NUM_THREADS": "1",
        }
        command = [sys.executable, "-P", "-m", "pixelboot.library.decoding.work", *arguments]
        lane.reactor.spawnProcess(self, sys.executable, command, env=environment, childFDs={0: "w", 1: "r", 2: "r"})

    def connectionMade(self) -> None:
        """Note the process id: by the time that `spawnProcess` returns, the process may have ended and have none."""
        self.pid = self.transport.pid

    def take(self, job: Job) -> None:
        """Begin a job, when those before it are done."""
        self.jobs.append(job)
        self.transport.write(Order(job.task, job.seen).write())
        if len(self.jobs) == 1:
            self._watch()

    def kill(self) -> None:
        """End the process; its end is told as always."""
        self.willing = False
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")

    def _retire(self) -> None:
        """Let the process end: it does when nobody can ask for anything any more."""
        self.willing = False
        self.transport.closeStdin()
        self._watch()

    def _watch(self) -> None:
        """Wait for the next word, or the next job."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self.jobs or not self.willing:
            stamp = self.jobs[0].seen.stamp if self.jobs else None
            patience = PATIENCE + min((stamp.size if stamp else 0) / 1e6, SIZE_PATIENCE)
            problem = f"it was silent for {patience:.0f} s"
            self._timer = self._lane.reactor.callLater(patience, self._give_up, problem)
        else:
            self._timer = self._lane.reactor.callLater(IDLE, self._retire)

    def childDataReceived(self, child_fd: int, data: bytes) -> None:
        """Take what the process says."""
        if child_fd == 2:
            self._errors = (self._errors + data)[-_STDERR_LIMIT:]
            return
        *lines, self._line = (self._line + data).split(b"\n")
        try:
            for line in lines:
                if self._problem is None:
                    self._heard(line)
            if len(self._line) > LINE_LIMIT:
                raise Malformed("a line without end")
        except Malformed as error:
            self._give_up(f"it says nonsense: {error}")
        self._watch()
        if lines:
            self._lane.go_on()

    def _heard(self, line: bytes) -> None:
        if not self.began:
            if line != READY:
                raise Malformed("a line before it began")
            self.began = True
            self._lane.began()
        elif not self.jobs:
            raise Malformed("a line that nobody asked for")
        elif line.startswith(b"["):
            self._said += 1
            if self._said > FINDINGS_LIMIT:
                raise Malformed("findings without end")
            self._last = Finding.read(line)
            self.jobs[0].found(self._last)
        else:
            end, last, self._last, self._said = Ended.read(line), self._last, None, 0
            final = last is not None and (last.state != "decoding" or self.jobs[0].task == "examine")
            if end.problem is None and not final:
                raise Malformed("an end without a result")
            if end.resident > RESIDENT_LIMIT:
                self._retire()
            self.jobs.popleft().ended(end.problem)

    def childConnectionLost(self, child_fd: int) -> None:
        """It closed one of its ends; without standard input it can be asked for nothing."""
        if child_fd == 0:
            self.willing = False

    def processEnded(self, reason: Failure) -> None:
        """Judge how it ended."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        assert isinstance(reason.value, ProcessDone | ProcessTerminated)
        code, number = reason.value.exitCode, reason.value.signal
        problem = self._problem
        if problem is None and number is not None:
            problem = f"it was killed by {signal.Signals(number).name}"
        elif problem is None and code != 0:
            said = self._errors.decode("utf-8", "replace").strip().splitlines()
            problem = said[-1] if code == 1 and said else f"it ended with status {code}"
        self.willing = False
        self._lane.ended(self, problem or "it ended without a result")

    def _give_up(self, problem: str) -> None:
        self._problem = self._problem or problem
        self.kill()
