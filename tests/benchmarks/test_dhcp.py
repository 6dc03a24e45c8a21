"""How the measurement of DHCP servers is judged and told."""

from __future__ import annotations

from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.dhcp import load, report
from benchmarks.dhcp.report import Results
from benchmarks.dhcp.servers import FIRST, LAST, machines
from lab.process import LabError

PERFDHCP = """\
***Statistics for: DISCOVER-OFFER***
sent packets: 3000
received packets: 2997
drops: 3

min delay: 0.212 ms
avg delay: 0.431 ms
max delay: 9.9 ms

***Statistics for: REQUEST-ACK***
sent packets: 2997
received packets: 2967
drops: 30

min delay: 0.5 ms
avg delay: 1.25 ms
max delay: 12.1 ms
"""


def runs(*rates: float, **others: float) -> list[dict[str, float]]:
    """Runs with these rates."""
    usual = {"p50": 0.5, "p99": 1.5, "cpu": 0.13, "memory": 50e6, "start": 0.9, "beside": 0.0}
    return [{**usual, **others, "rate": rate} for rate in rates]


def results(empty: float = 7000.0, held: float = 6500.0, memory: float = 130e6, start: float = 1.8) -> Results:
    """What a measurement found of pixelboot, with none and with 100,000 leases, and of the others."""
    return {
        ("pixelboot", 0): runs(empty - 1, empty, 9 * empty),
        ("Kea", 0): runs(8000.0),
        ("dnsmasq", 0): runs(450.0),
        ("pixelboot", 100_000): runs(held, memory=memory, start=start),
        ("dnsmasq", 10_000): runs(39.0),
    }


class Judgement(SynchronousTestCase):
    """`benchmarks.dhcp.report.bars`."""

    def missed(self, found: Results) -> list[str]:
        """What is not as wanted."""
        return [bar.what for bar in report.bars(found) if not bar.is_met]

    def test_bars(self) -> None:
        """Each is judged by the medians, and by nothing that was not measured."""
        self.assertEqual(self.missed(results()), [])
        cases = {
            "exchanges/s, of Kea's": results(empty=5500.0, held=5500.0),
            "exchanges/s with 100,000 leases, of its own with none": results(held=6200.0),
            "octets of memory a lease, of 100,000": results(memory=151e6),
            "seconds to start with 100,000 leases": results(start=2.1),
            "99th percentile of OFFERs at 500/s, ms": {("pixelboot", 0): runs(7000.0, p99=5.1)},
            "exchanges/s, of dnsmasq's": {("pixelboot", 0): runs(5000.0), ("dnsmasq", 0): runs(450.0)},
            "exchanges/s with 10,000 leases, of dnsmasq's": {
                ("pixelboot", 10_000): runs(7000.0),
                ("dnsmasq", 10_000): runs(39.0),
            },
        }
        for what, found in cases.items():
            self.assertEqual(self.missed(found), [what])

    def test_told(self) -> None:
        """Every bar has a line, which says whether it is met."""
        told = report.told(report.bars(results(start=2.5)))
        self.assertIn("MISSED  seconds to start with 100,000 leases: 2.50, at most 2 wanted", told)
        self.assertRegex(told, r"(?m)^met     exchanges/s, of Kea's: 0\.88, at least 0\.7 wanted$")

    def test_table(self) -> None:
        """A row a case, in the order of leases held; what cannot be compared is left empty."""
        lines = report.table(results()).splitlines()
        self.assertEqual(lines[4].split()[:2], ["0", "pixelboot"])
        self.assertEqual([line.split()[0] for line in lines[4:-1]], ["0", "0", "0", "10,000", "100,000"])
        self.assertIn("7,000 (6,999 – 63,000)", lines[4])
        self.assertRegex(lines[8], r"6,500 \(6,500 – 6,500\) +0\.93 +0\.50 +1\.50 +0\.130 +800 +1\.80$")
        self.assertEqual({lines[0], lines[3], lines[-1]}, {lines[0]})


class Reading(SynchronousTestCase):
    """What the loads say."""

    def test_load(self) -> None:
        """Its numbers; a server that gives an address twice, or another than it offered, is no server to measure."""
        self.assertEqual(load.found('{"exchanges": 7, "twice": 0, "changed": 0, "foreign": 0}')["exchanges"], 7)
        for word in ("twice", "changed", "foreign"):
            with self.assertRaisesRegex(LabError, word):
                load.found(f'{{"exchanges": 7, "{word}": 1}}')

    def test_perfdhcp(self) -> None:
        """The worse half counts; what is not understood is said."""
        said = load.perfdhcp_found(PERFDHCP)
        self.assertAlmostEqual(said["lost"], 30 / 2997)
        self.assertEqual((said["offer"], said["ack"]), (0.431, 1.25))
        silent = PERFDHCP.replace("received packets: 2967", "received packets: 0")
        self.assertEqual(load.perfdhcp_found(silent)["lost"], 1.0)
        with self.assertRaisesRegex(LabError, "no such option"):
            load.perfdhcp_found("no such option")

    def test_machines(self) -> None:
        """Those that hold leases have addresses of the pool, each its own."""
        held = list(machines(100_000))
        addresses = {IPv4Address(address) for address, _ in held}
        self.assertEqual((len(addresses), len({hwaddr for _, hwaddr in held})), (100_000, 100_000))
        self.assertGreaterEqual(min(addresses), IPv4Address(FIRST))
        self.assertLessEqual(max(addresses), IPv4Address(LAST))
