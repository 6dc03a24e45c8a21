"""Two computers and a cable: a server on one, with a processor of its own, the load on the other.

The server has 192.0.2.1 and a way to 198.51.100.0/24 by the other's 192.0.2.2; all of that network is the other's own.
Packets of the cable are those of Ethernet, 1500 octets; as with most network cards, both ends may hand over more at a
time, which is cut into such packets on the way.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from benchmarks.http import load, scenarios
from benchmarks.http.scenarios import Sizes
from benchmarks.http.servers import Server
from benchmarks.usage import Others, Processes
from lab.needs import program
from lab.network.namespace import Network, join
from lab.process import LabError, Process, run, wait_until
from lab.servers.pixelboot import is_running

PATIENCE = 30.0
"""Seconds that a server may take to start."""

LONGEST = 180.0
"""Seconds that a load may take: longer than it gives itself."""

INTERFACE = "eth0"
"""The cable's name at both ends."""

_MTU = "1500"


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of a load."""

    said: dict[str, float]
    """By the load itself (`benchmarks.http.load.found`)."""

    cpu: float
    """Seconds of processor that the server took for it."""

    peak: int
    """Octets of memory that the server's processes had, each at the most, together."""

    grown: int
    """Octets of that, beyond what each had before."""

    beside: float
    """The share of both processors that others took meanwhile."""


class Stand:
    """Where servers are started and asked."""

    def __init__(self, network: Network, sizes: Sizes) -> None:
        """Make the load, the files, and both computers in a network of which nothing else is used.

        :raises lab.process.LabError: if there is no compiler, or the kernel does not allow it.
        """
        load.compiled()
        self.sizes = sizes
        self.files = network.folder / "files"
        sizes.make(self.files)
        self._folder = network.folder / "running"
        self._server, self._load = network.namespace("http"), network.namespace("load")
        join(self._server, INTERFACE, self._load, INTERFACE)
        for namespace, address in ((self._server, load.SERVER), (self._load, load.OWN)):
            namespace.ip("link", "set", INTERFACE, "mtu", _MTU)
            namespace.ip("address", "add", f"{address}/24", "broadcast", "+", "dev", INTERFACE)
        self._server.ip("route", "add", load.CLIENTS, "via", load.OWN)
        self._load.ip("route", "add", "local", load.CLIENTS, "dev", "lo")
        processors = sorted(os.sched_getaffinity(0))
        self._first, self._other = processors[0], processors[-1]

    @contextmanager
    def running(self, server: Server) -> Iterator[Processes]:
        """Start a server, and stop it at the end of the block.

        :raises lab.process.LabError: if it does not start.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        log = self._folder / "output"
        to_file = ("sh", "-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", str(log))
        argv = (program("taskset"), "-c", str(self._first), *to_file, *server.command(self._folder, self.files))
        os.sync()  # what was written for the measurement shall not be part of it
        try:
            with self._server.start(server.name, *argv, env=server.environ) as process:
                wait_until(lambda: self._answers() or not is_running(process.pid), PATIENCE, server.name)
                if not is_running(process.pid):
                    told = log.read_text(errors="replace")[-2000:] if log.exists() else ""
                    raise LabError(f"{server.name} has ended; its last words:\n{told}")
                self.run(scenarios.settle(self.sizes))
                yield Processes(process.pid)
        finally:
            wait_until(self._is_empty, PATIENCE, f"the end of {server.name}")

    def _is_empty(self) -> bool:
        """Whether nothing runs here any more; what is found is killed, such as children that keep the server's port."""
        pids = run(program("ip"), "netns", "pids", self._server.name).split()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        return not pids

    def _answers(self) -> bool:
        with suppress(LabError):
            load.found(self.run(scenarios.knock()))
            return True
        return False

    def run(self, words: Sequence[str]) -> str:
        """Run a program on the load's processor to its end; what it printed.

        :raises lab.process.LabError: if it fails or takes too long.
        """
        return self._load.run(*self._pinned(words), timeout=LONGEST)

    def start(self, words: Sequence[str]) -> Process:
        """Start a program on the load's processor."""
        return self._load.start("load", *self._pinned(words))

    def _pinned(self, words: Sequence[str]) -> list[str]:
        return [program("taskset"), "-c", str(self._other), *words]

    def ask(self, running: Processes, words: Sequence[str]) -> Asked:
        """Run a load to its end, and look what the server takes for it.

        :raises lab.process.LabError: if it fails or takes too long, or if nobody gets an answer.
        """
        running.reset_peaks()
        before, cpu, others = running.peaks(), running.cpu(), Others(running)
        said = load.found(self.run(words))
        used, peaks = running.cpu() - cpu, running.peaks()
        grown = sum(peak - before.get(pid, 0) for pid, peak in peaks.items())
        return Asked(said, used, sum(peaks.values()), grown, others.share())
