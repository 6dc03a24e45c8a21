"""A network that has a loopback and nothing else: a server with a processor of its own, the load on the other."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from benchmarks.tftp import load, scenarios
from benchmarks.tftp.servers import Server
from benchmarks.usage import Processes, busy
from lab.needs import program
from lab.network.namespace import Network
from lab.process import LabError, Process, run, wait_until
from lab.servers.pixelboot import is_running

PATIENCE = 30.0
"""Seconds that a server may take to start."""

LONGEST = 180.0
"""Seconds that a load may take: longer than it gives itself."""

_LOOK = 0.1
"""Seconds between two looks at a server's memory while it is asked."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of a load."""

    said: dict[str, float]
    """By the load itself (`benchmarks.tftp.load.found`)."""

    cpu: float
    """Seconds of processor that the server took for it."""

    memory: int
    """Octets that the server's processes had at the most, as far as a look every tenth of a second tells."""

    beside: float
    """The share of both processors that others took meanwhile."""


class Running:
    """A server that answers."""

    def __init__(self, process: Process, processor: int, hides_children: bool) -> None:
        """Describe the one whose first process this is, and the processor that it has."""
        self._processes = Processes(process.pid)
        self._processor = processor
        self._hides_children = hides_children

    def cpu(self) -> float:
        """Seconds of processor that its processes have taken, those that have ended included."""
        return busy(str(self._processor)) if self._hides_children else self._processes.cpu()

    def memory(self) -> int:
        """Octets of memory that its processes have, each by itself."""
        return self._processes.memory()


class Stand:
    """Where servers are started and asked."""

    def __init__(self, network: Network) -> None:
        """Make the load, the files, and the place in a network of which nothing else is used.

        :raises lab.process.LabError: if there is no compiler, or the kernel does not allow it.
        """
        load.compiled()
        self.files = network.folder / "files"
        scenarios.make_files(self.files)
        self._folder = network.folder / "running"
        self._space = network.namespace("tftp")
        # tftpd-hpa listens nowhere as long as 127.0.0.1 is all that there is of IPv4 (getaddrinfo's AI_ADDRCONFIG).
        self._space.ip("address", "add", "127.0.77.1/32", "dev", "lo")
        processors = sorted(os.sched_getaffinity(0))
        self._first, self._other = processors[0], processors[-1]

    @contextmanager
    def running(self, server: Server, open_files: int = 0) -> Iterator[Running]:
        """Start a server, and stop it at the end of the block; it may have so many files open, if that is said.

        :raises lab.process.LabError: if it does not start.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        log = self._folder / "output"
        most = (program("prlimit"), f"--nofile={open_files}:{open_files}") if open_files else ()
        to_file = ("sh", "-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", str(log))
        argv = server.command(self._folder, self.files, server.address)
        pinned = (program("taskset"), "-c", str(self._first), *most, *to_file, *argv)
        try:
            with self._space.start(server.name, *pinned, env=server.environ()) as process:
                wait_until(lambda: self._answers(server) or not is_running(process.pid), PATIENCE, server.name)
                if not is_running(process.pid):
                    raise LabError(
                        f"{server.name} has ended; its last words:\n{log.read_text(errors='replace')[-2000:]}"
                    )
                yield Running(process, self._first, server.hides_children)
        finally:
            wait_until(self._is_empty, PATIENCE, f"the end of {server.name}")

    def _is_empty(self) -> bool:
        """Whether nothing runs here any more; what is found is killed, such as children that keep the server's port."""
        pids = run(program("ip"), "netns", "pids", self._space.name).split()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        return not pids

    def _answers(self, server: Server) -> bool:
        with suppress(LabError):
            load.found(self.run(scenarios.knock(server, self.files)))
            return True
        return False

    def run(self, words: Sequence[str]) -> str:
        """Run a program on the load's processor to its end; what it printed.

        :raises lab.process.LabError: if it fails or takes too long.
        """
        return self._space.run(*self._pinned(words), timeout=LONGEST)

    def start(self, words: Sequence[str]) -> Process:
        """Start a program on the load's processor."""
        return self._space.start("load", *self._pinned(words))

    def _pinned(self, words: Sequence[str]) -> list[str]:
        return [program("taskset"), "-c", str(self._other), *words]

    def ask(self, running: Running, words: Sequence[str]) -> Asked:
        """Run a load to its end, and look what the server takes for it.

        :raises lab.process.LabError: if it fails or takes too long, or if nobody gets a file.
        """
        whole, cpu, own, at = busy(), running.cpu(), sum(os.times()[:4]), time.monotonic()
        memory = running.memory()
        with self.start(words) as process:

            def has_ended() -> bool:
                nonlocal memory
                memory = max(memory, running.memory())
                return process.has_ended

            wait_until(has_ended, LONGEST, "the load", _LOOK)
            if process.wait(1.0) != 0:
                raise LabError(f"the load has failed:\n{process.tail()}")
        said = load.found(process.lines[-1].text)
        used, wall = running.cpu() - cpu, time.monotonic() - at
        # This program's own part, and the load's, which has ended, are in the last.
        others = busy() - whole - used - (sum(os.times()[:4]) - own)
        return Asked(said, used, memory, max(0.0, others) / wall / 2)
