"""Somebody begins tens of thousands of downloads by addresses that are not his; everybody else is served as ever."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from lab.clients import tftp_flood
from lab.network import tftp_client
from lab.network.namespace import SERVER_ADDRESS
from lab.network.tftp_client import Download
from lab.process import Process
from tests.firmware.test_storm import memory
from tests.firmware.test_tftp import TftpCase

REQUESTS = 25_000
"""In each of two waves: downloads that are begun and never go on."""

GARBAGE = 5_000
"""In each wave: datagrams that are nothing."""

SIZE = 256 * 1024
CLIENTS = 4
ROUNDS = 6

SOON = 8.0
"""Seconds that a download may take in a flood that takes all the time that the server has: no firmware has given up."""

LIMIT = 60.0
"""Seconds after which nobody waits any more."""

COSTS = 24 << 20
"""Octets that the first wave may cost: what stays of it is bounded, whatever is asked."""

LEAKS = 8 << 20
"""Octets that the second may cost on top."""


class FloodTests(TftpCase):
    """Half-open downloads from addresses that nobody has, with garbage in between."""

    def setUp(self) -> None:
        """Start a server with a file, somebody who downloads it, and somebody who floods."""
        super().setUp()
        self.content = self.file("loader", SIZE)
        self.log = self.start()
        self.plug()
        self.flooder = self.network.client()
        tftp_flood.become_router(self.flooder)

    def test_flood(self) -> None:
        """Downloads arrive whole all the while; afterwards memory and latency are what they were."""
        before = self.latency()
        memory_before, missed_before = memory(self.log), missed(self.log)
        self.flood()
        memory_between = memory(self.log)
        self.flood()
        memory_after = memory(self.log)
        after = self.latency()
        self.assertEqual(missed(self.log), missed_before, "not all of it came in")
        self.assertLess(memory_between - memory_before, COSTS, "octets that a flood costs")
        self.assertLess(memory_after - memory_between, LEAKS, "octets that another flood costs")
        self.assertLess(after, 2 * before + 0.1, f"seconds for a download; before it were {before:.3f}")

    def flood(self) -> None:
        """A wave, in which everybody else is served."""
        flooding = self.running(
            tftp_flood.start(self.flooder, SERVER_ADDRESS, "loader", REQUESTS, GARBAGE, self.log.pid)
        )
        rounds = 0
        while not flooding.has_ended or not rounds:
            self.round("in the flood")
            rounds += 1
        self.assertEqual(flooding.wait(LIMIT), 0, flooding.tail())

    def latency(self) -> float:
        """Seconds that a download takes when nothing else is going on: of the round that was disturbed least."""
        return min(median(each.seconds for each in self.round("all quiet")) for _ in range(ROUNDS))

    def round(self, what: str) -> list[Download]:
        """Some downloads at once, which arrive whole."""
        downloads = tftp_client.download(
            self.client, SERVER_ADDRESS, "loader", self.content, clients=CLIENTS, blksize=1468, limit=LIMIT
        )
        self.assert_whole(downloads, SIZE, f"{what}\n{self.log.tail()}\n")
        self.assertLess(max(each.seconds for each in downloads), SOON, f"{what}: {downloads}\n{self.log.tail()}")
        return downloads


def missed(process: Process) -> int:
    """How many UDP datagrams no program in the namespace of a process has taken (proc(5), net/snmp)."""
    names, values = (
        line.split() for line in Path(f"/proc/{process.pid}/net/snmp").read_text().splitlines() if line[:4] == "Udp:"
    )
    counts = dict(zip(names, values, strict=True))
    return int(counts["InErrors"]) + int(counts["NoPorts"])
