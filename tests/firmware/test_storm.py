"""Crowds: a thousand machines after a power cut, and somebody who floods the network with DISCOVERs."""

from __future__ import annotations

from pathlib import Path

from lab.clients import crowd, flood
from lab.clients.crowd import Got
from lab.network.namespace import Segment
from lab.process import Process
from tests.firmware.case import LabCase

MACHINES = 1000

SITE = """\
state = "{folder}/state"

[dhcp]
mode = "server"
interface = "hall"

[[dhcp.subnet]]
network = "10.80.0.0/16"
pool = ["{pool}"]
"""

ROOM = "10.80.64.0-10.80.95.255"
"""Addresses enough for a hall of machines."""

FEW = "10.80.64.0-10.80.67.255"
"""1,024: a flood takes them all."""


class CrowdCase(LabCase):
    """A large hall, on a segment of its own."""

    def setUp(self) -> None:
        """Make the segment, and plug the machines in."""
        super().setUp()
        self.hall = Segment(self.network.server, "hall", "10.80.0.1/16", self.network)
        self.machines = self.hall.client()

    def serve_hall(self, pool: str) -> None:
        """Start a server with this pool."""
        self.server = self.serve(config=SITE.format(folder=self.network.folder, pool=pool))
        self.process = self.running(self.server.start())

    def switch_on(self, count: int, limit: float, known: dict[str, Got] | None = None) -> dict[str, Got]:
        """Switch machines on: all get an address, no two the same, and those known the one they had."""
        got = crowd.switch_on(self.machines, self.network.folder, count, limit, known)
        self.assertEqual(len(got), count, f"{count - len(got)} have no address after {limit} s\n{self.process.tail()}")
        self.assertEqual(len({each.address for each in got.values()}), count, "an address was given twice")
        for machine, each in (known or {}).items():
            self.assertEqual(got[machine].address, each.address, machine)
            self.assertEqual(got[machine].refusals, 0, machine)
        return got


class PowerTests(CrowdCase):
    """The power fails for the whole hall, server and all."""

    def test_power_cut(self) -> None:
        """A thousand machines have their addresses again as soon as the server is there, each its own."""
        self.serve_hall(ROOM)
        known = self.switch_on(MACHINES, 20.0)
        self.process.kill()
        # The server comes up while they ask already.
        self.process = self.running(self.server.begin())
        got = self.switch_on(MACHINES, 20.0, known)
        slowest = max(got.values(), key=lambda each: each.seconds)
        self.assertLess(slowest.seconds, 10.0, f"{slowest}")


class FloodTests(CrowdCase):
    """A broken or hostile machine asks a thousand times a second, by MAC addresses that nobody has."""

    def test_flood(self) -> None:
        """Machines that are known have their addresses in a moment all the while; the server grows by little."""
        self.serve_hall(FEW)
        known = self.switch_on(200, 10.0)
        before = memory(self.process)
        flooding = self.running(flood.start(self.hall.client(), 1000.0, 12.0))
        rounds = 0
        while not flooding.has_ended:
            got = self.switch_on(200, 8.0, known)
            slow = sorted(each.seconds for each in got.values())[-10]
            self.assertLess(slow, 3.0, "known machines wait")
            rounds += 1
        self.assertGreaterEqual(rounds, 2)
        self.assertGreater(int(flooding.lines[-1].text), 10_000)
        self.assertLess(memory(self.process) - before, 64 << 20, "octets that a flood costs")
        self.process.wait_for(r"pixelboot\.dhcp#(warn|error)\] .*no address", 5.0)
        self.assertGreater(self.server.status()["counts"]["dhcp.Exhausted"], 100)


def memory(process: Process) -> int:
    """Octets of memory that a process has."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS"))
