"""Two computers and a cable: a server on one, with a processor of its own, and a relay agent with its machines.

The server has 192.0.2.1 and a way to 10.0.0.0/15 by the other's 192.0.2.2.  The other is the relay agent as well, at
10.1.255.254, from where all its machines ask.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.dhcp import load
from benchmarks.dhcp.servers import HELD_GROUP, NETWORK, Server
from lab.needs import program
from lab.network.namespace import Network, join
from lab.process import LabError, Process, wait_until
from lab.servers.pixelboot import is_running

SERVER, NEAR, RELAY = "192.0.2.1", "192.0.2.2", "10.1.255.254"
"""The server's address, the relay agent's on the server's side, and on the machines' side."""

PATIENCE = 120.0
"""Seconds that a server may take to start with any number of leases."""

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_KNOCKING = 255
"""The MAC addresses' second octet of who waits for a server to start."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    process: Process
    """Its first process."""

    seconds: float
    """From its start to its first OFFER."""

    def _processes(self) -> Iterator[list[str]]:
        """The fields of proc(5)'s ``stat``, from the third on, of its processes."""
        pids = [self.process.pid]
        while pids:
            pid = pids.pop()
            try:
                stat = Path(f"/proc/{pid}/stat").read_text()
                children = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
            except OSError:
                continue
            pids += [int(word) for text in children for word in text.split()]
            yield stat.rpartition(")")[2].split()

    def cpu(self) -> float:
        """Seconds of processor that its processes have taken."""
        return sum(int(fields[11]) + int(fields[12]) for fields in self._processes()) / _TICK

    def memory(self) -> int:
        """Octets of memory that its processes have, each by itself."""
        return sum(int(fields[21]) for fields in self._processes()) * _PAGE


class Stand:
    """Where servers are started and asked."""

    def __init__(self, network: Network) -> None:
        """Make both computers in a network, of which nothing else is used."""
        self._folder = network.folder
        self._server, self._load = network.namespace("dhcp"), network.namespace("load")
        processors = sorted(os.sched_getaffinity(0))
        self._first, self._other = processors[0], processors[-1]
        join(self._server, "eth0", self._load, "eth0")
        self._server.ip("address", "add", f"{SERVER}/24", "dev", "eth0")
        self._server.ip("route", "add", NETWORK, "via", NEAR)
        self._load.ip("address", "add", f"{NEAR}/24", "dev", "eth0")
        self._load.ip("address", "add", f"{RELAY}/32", "dev", "eth0")

    def prepare(self, server: Server, held: int) -> None:
        """Make a folder in which the server holds so many leases, to start it from again and again.

        :raises lab.process.LabError: if a server that is to fill itself does not.
        """
        folder = self._saved(server, held)
        folder.mkdir()
        if held and server.hold:
            server.hold(folder, held)
        elif held:
            with self._started(server, folder):
                said = self.ask(load.words(SERVER, RELAY, HELD_GROUP, 64, seconds=600.0, most=held), 700.0)
                if load.found(said)["exchanges"] < held:
                    raise LabError(f"{server.name} could not be made to hold {held} leases: {said}")

    def _saved(self, server: Server, held: int) -> Path:
        return self._folder / f"{server.name.replace(' ', '-')}-{held}"

    @contextmanager
    def running(self, server: Server, held: int) -> Iterator[Running]:
        """Start a server that holds so many leases, and stop it at the end of the block.

        :raises lab.process.LabError: if it does not start.
        """
        folder = self._folder / "running"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._saved(server, held), folder)
        os.sync()  # what was written for the measurement shall not be part of it
        with self._started(server, folder) as running:
            yield running

    @contextmanager
    def _started(self, server: Server, folder: Path) -> Iterator[Running]:
        knock = load.words(SERVER, RELAY, _KNOCKING, 0, seconds=PATIENCE)
        argv = server.command(folder)
        log = folder / "output"
        to_file = ("sh", "-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", str(log))
        with self._load.start("knock", program("taskset"), "-c", str(self._other), *knock) as knocking:
            start = self._server.start
            taskset = (program("taskset"), "-c", str(self._first))
            with start(server.name, *taskset, *to_file, *argv, env=server.environ()) as process:
                wait_until(lambda: knocking.has_ended or not is_running(process.pid), PATIENCE + 10.0, server.name)
                if not knocking.has_ended or knocking.wait(1.0) != 0:
                    told = log.read_text(errors="replace")[-2000:] if log.exists() else ""
                    raise LabError(f"{server.name} does not answer; its last words:\n{told}")
                answered = load.found(knocking.lines[-1].text)["answered_at"]
                yield Running(process, answered - process.started_at)

    def ask(self, words: Sequence[str], timeout: float, env: Mapping[str, str] | None = None) -> str:
        """Run a program beside the machines to its end, on their processor; what it printed.

        :raises lab.process.LabError: if it fails or takes too long.
        """
        return self._load.run(program("taskset"), "-c", str(self._other), *words, timeout=timeout, env=env)
