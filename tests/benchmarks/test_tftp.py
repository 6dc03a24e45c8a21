"""How the measurement of TFTP servers is judged and told."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.tftp import flood, load, report, run
from benchmarks.tftp.report import Results, Runs
from benchmarks.tftp.scenarios import SCENARIOS
from benchmarks.tftp.servers import PYTHON, SERVERS
from lab.process import LabError


def runs(*rates: float, **others: float) -> list[dict[str, float]]:
    """Runs with these rates."""
    usual = {"downloads": 1.0, "blocks": 1.0, "first_p50": 1.0, "first_p99": 2.0, "whole_p50": 10.0, "whole_p99": 20.0}
    usual |= {"cpu": 5.0, "memory": 60e6, "failed": 0.0, "wrong": 0.0, "beside": 0.0}
    return [{**usual, **others, "rate": rate} for rate in rates]


def good() -> dict[str, dict[str, Runs]]:
    """A measurement in which pixelboot is as it is wanted, in everything."""
    python = {server: runs(50.0) for server in PYTHON}
    flooded = {f"{key}_{when}": 1.0 for key in ("first_p50", "first_p99") for when in ("before", "at_once", "later")}
    flooded |= {"memory_before": 60e6, "memory_at_once": 70e6, "memory_later": 65e6, "failed": 0.0, "wrong": 0.0}
    return {
        "one": {"pixelboot": runs(90.0), "dnsmasq": runs(100.0)},
        "many": {"pixelboot": runs(200.0), "dnsmasq": runs(210.0), **python},
        "small": {"pixelboot": runs(60.0), "dnsmasq": runs(100.0)},
        "storm": {"pixelboot": runs(110.0), "dnsmasq": runs(100.0, first_p99=2000.0)},
        "window": {"pixelboot": runs(300.0), "atftpd": runs(100.0)},
        "window-one": {"pixelboot": runs(200.0), "atftpd": runs(100.0)},
        "loss": {
            "pixelboot": runs(5.0),
            "tftpd-hpa": runs(1.0, whole_p50=2000.0),
            "py3tftp": runs(2.0, whole_p50=30.0),
        },
        "transfers": {"pixelboot": [{"slope": 1500.0, "held": 1e4, "memory": 90e6, "failed": 0.0, "wrong": 0.0}]},
        "flood": {"pixelboot": [flooded]},
    }


class Judgement(SynchronousTestCase):
    """`benchmarks.tftp.report.bars`."""

    def missed(self, found: Results) -> list[str]:
        """What is not as wanted, up to the scenario."""
        return [bar.what.partition(":")[0] for bar in report.bars(found) if not bar.is_met]

    def test_bars(self) -> None:
        """Each is judged by what it is about, and by nothing else."""
        self.assertEqual(self.missed(good()), [])
        worse: dict[str, tuple[str, dict[str, Runs]]] = {
            "MB/s, of dnsmasq's": ("one", {"pixelboot": runs(84.0)}),
            "MB/s, of tftpy's": ("many", {"tftpy": runs(58.0)}),
            "MB/s, of atftpd's": ("window", {"pixelboot": runs(240.0)}),
            "99th percentile to the first DATA, of dnsmasq's": ("storm", {"pixelboot": runs(110.0, first_p99=201.0)}),
            "median download, of py3tftp's, the best of the others": ("loss", {"pixelboot": runs(5.0, whole_p50=11.0)}),
            "processor a block, of dnsmasq's": ("many", {"pixelboot": runs(200.0, cpu=6.1)}),
            "octets of memory a running transfer": ("transfers", {"pixelboot": runs(0.0, slope=2001.0)}),
            "downloads that failed": ("storm", {"pixelboot": runs(110.0, failed=1.0)}),
            "downloads with octets that are not the file's": ("loss", {"pixelboot": runs(5.0, wrong=1.0)}),
        }
        for what, (scenario, servers) in worse.items():
            found = good()
            found[scenario] = {**found[scenario], **servers}
            self.assertEqual(self.missed(found), [what])

    def test_flood(self) -> None:
        """What a flood leaves behind is compared with what was before it."""
        for key, value, what in (
            ("first_p50_at_once", 2.1, "median to the first DATA after a flood, of before"),
            ("first_p99_at_once", 3.1, "99th percentile to the first DATA after a flood, of before"),
            ("memory_later", 73e6, "memory after a flood, of before"),
        ):
            found = good()
            found["flood"] = {"pixelboot": [{**found["flood"]["pixelboot"][0], key: value}]}
            self.assertEqual(self.missed(found), [what])

    def test_ratios_are_of_the_same_turn(self) -> None:
        """A machine that is twice as fast for a while is so for both: the medians would say 0.5 here."""
        found = {"one": {"pixelboot": runs(90.0, 45.0, 180.0), "dnsmasq": runs(100.0, 50.0, 200.0)}}
        self.assertEqual(report.ratio(found, "one", "dnsmasq", "rate"), 0.9)
        found["one"]["dnsmasq"] = runs(100.0, 180.0, 200.0)
        self.assertEqual(report.ratio(found, "one", "dnsmasq", "rate"), 0.9)
        self.assertIsNone(report.ratio(found, "one", "atftpd", "rate"))

    def test_told(self) -> None:
        """Every bar has a line, which says whether it is met, and whether the goal beyond it is reached."""
        told = report.told(report.bars(good())).splitlines()
        self.assertIn(
            "met     MB/s, of dnsmasq's: 1 client, 64 MiB: 0.90, at least 0.85 wanted, 0.95 hoped for: not reached",
            told,
        )
        self.assertIn(
            "met     MB/s, of atftpd's: 1 client, 64 MiB, windowsize 16: 2.00, at least 1.2 wanted",
            told,
        )
        found = good()
        found["small"] = {"pixelboot": runs(40.0), "dnsmasq": runs(100.0)}
        self.assertRegex(report.told(report.bars(found)), r"(?m)^MISSED .* 4 KiB: 0\.40, at least 0\.5 wanted")

    def test_tables(self) -> None:
        """A table a scenario, a row a server; only what was measured."""
        told = report.tables({"many": {"pixelboot": runs(200.0, 100.0, 300.0), "dnsmasq": runs(200.0, 200.0, 200.0)}})
        self.assertEqual(told.splitlines()[0], "64 clients at once, 4 MiB each:")
        row = r"(?m)^pixelboot  200\.0 \(100\.0 – 300\.0\) +1\.00 +1\.0 +1\.00 +2\.00 +10\.0 +20\.0 +5\.00 +60 +0$"
        self.assertRegex(told, row)
        self.assertNotIn("Flood", told)
        self.assertNotIn("dnsmasq   ", report.tables({"many": {"pixelboot": runs(200.0), "dnsmasq": []}}))
        whole = report.tables(good())
        self.assertIn("10,000 transfers at once: 90 MB, 1,500 octets a transfer.", whole)
        self.assertRegex(whole, r"(?m)^later +1\.00 +1\.00 +65\.0$")


class Loads(SynchronousTestCase):
    """What the load is told, and what it says."""

    def test_found(self) -> None:
        """Its numbers; a server of which nobody gets a file is no server to measure."""
        said = '{"good": 3, "failed": 1, "seconds": 0.5, "octets": 3000000, "blocks": 2100, "error": "ERROR 3: full"}'
        self.assertEqual(load.found(said)["failed"], 1.0)
        with self.assertRaisesRegex(LabError, "ERROR 3: full"):
            load.found(said.replace('"good": 3', '"good": 0'))

    def test_judged(self) -> None:
        """Rates are of the downloads that were good."""
        said = {"good": 3.0, "seconds": 0.5, "octets": 3e6, "blocks": 2100.0, "failed": 1.0, "wrong": 0.0}
        said |= dict.fromkeys(("first_p50", "first_p99", "whole_p50", "whole_p99"), 1.0)
        said |= dict.fromkeys(("acks_repeated", "requests_repeated"), 0.0)
        found = run.judged(said)
        self.assertEqual((found["rate"], found["downloads"], found["blocks"]), (6.0, 6.0, 4200.0))

    def test_words(self) -> None:
        """Slow servers give smaller files out, and only those with windows are asked for them."""
        self.patch(load, "compiled", lambda: "load")
        files = Path("files")
        many, window = SCENARIOS["many"], SCENARIOS["window"]
        self.assertEqual(many.words(SERVERS["dnsmasq"], files, 1)[-4:], ["127.0.77.6", "69", "files", "4m"])
        self.assertEqual(many.words(SERVERS["tftpy"], files, 1)[-1], "1m")
        self.assertIn("-A", many.words(SERVERS["tftpy"], files, 1))
        admitted = {name for name, server in SERVERS.items() if window.admits(server)}
        self.assertEqual(admitted, {"pixelboot", "atftpd", "py3tftp"})
        self.assertFalse(SCENARIOS["storm"].admits(SERVERS["fbtftp"]))


class Flood(SynchronousTestCase):
    """`benchmarks.tftp.flood`."""

    def test_datagrams(self) -> None:
        """As many requests and as much garbage as was said, among each other, the same every time."""
        sent = flood.datagrams(50, 10)
        requests = {flood.request(number) for number in range(60)}
        garbage = [number for number, octets in enumerate(sent) if octets not in requests]
        self.assertEqual((len(sent), garbage), (60, list(range(5, 60, 6))))
        self.assertEqual(flood.datagrams(50, 10), sent)

    def test_sources(self) -> None:
        """Every datagram has an address of its own, on this machine."""
        addresses = {IPv4Address(flood.source(number)[4:8]) for number in range(60_000)}
        self.assertEqual(len(addresses), 60_000)
        self.assertTrue(all(address.is_loopback for address in addresses))

    def test_it_is_for_this_machine_alone(self) -> None:
        """No other is ever flooded."""
        with self.assertRaisesRegex(ValueError, "192.0.2.1"):
            flood.main("192.0.2.1", 1, 0, 1)
