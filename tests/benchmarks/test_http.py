"""How the measurement of HTTP servers is judged and told, and what the load is told."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.http import files, load, report, run
from benchmarks.http.report import Results, Runs
from benchmarks.http.scenarios import FULL, QUICK, described
from benchmarks.http.servers import GIVING, PIXELBOOT
from benchmarks.http.stand import Asked
from lab.process import LabError


def runs(*rates: float, **others: float) -> list[dict[str, float]]:
    """Runs with these rates."""
    usual = {"requests": 1000.0, "first_p50": 1.0, "first_p99": 2.0, "first_last": 3.0}
    usual |= {"whole_p50": 10.0, "whole_p99": 20.0, "early": 1000.0, "late": 1000.0, "cpu_gb": 0.2, "cpu_request": 40.0}
    usual |= {"peak": 60e6, "per_connection": 9000.0, "failed": 0.0, "wrong": 0.0, "load": 0.5, "beside": 0.0}
    return [{**usual, **others, "rate": rate} for rate in rates]


def good() -> dict[str, dict[str, Runs]]:
    """A measurement in which pixelboot is as it is wanted, in everything."""
    waits = {f"{prefix}{key}": 1.0 for prefix in ("", "idle_") for key in ("p50", "p99", "greatest")}
    offers = {**waits, "lost": 0.0, "sent": 800.0, "ranges": 2000.0, "cold": 30.0, "failed": 0.0, "wrong": 0.0}
    shares = {"one": 0.91, "eight": 0.91, "ranges": 0.61, "small": 0.41, "parallel": 0.91, "container": 0.91}
    return {
        **{key: {"pixelboot": runs(share * 1000), "nginx": runs(1000.0)} for key, share in shares.items()},
        "sanboot": {"pixelboot": runs(5.0), "nginx": runs(9.0)},
        "offers": {"pixelboot": [offers]},
    }


class Judgement(SynchronousTestCase):
    """`benchmarks.http.report.bars`."""

    def missed(self, found: Results) -> list[str]:
        """What is not as wanted."""
        return [bar.what for bar in report.bars(found) if not bar.is_met]

    def test_bars(self) -> None:
        """Each is judged by what it is about, and by nothing else."""
        self.assertEqual(self.missed(good()), [])
        worse: dict[str, tuple[str, Runs]] = {
            "one: MB/s, of nginx's": ("one", runs(890.0)),
            "ranges: MB/s, of nginx's": ("ranges", runs(490.0)),
            "small: MB/s, of nginx's": ("small", runs(390.0)),
            "eight: processor a GB, of nginx's": ("eight", runs(950.0, cpu_gb=0.25)),
            "sanboot: requests a second of the last tenth, of the first tenth's": ("sanboot", runs(5.0, late=890.0)),
            "parallel: ms to the first octet of the last, of nginx's": ("parallel", runs(910.0, first_last=200.0)),
            "container: kB a connection": ("container", runs(910.0, per_connection=100_001.0)),
            "offers: 99th percentile of OFFERs, ms": ("offers", [{**good()["offers"]["pixelboot"][0], "p99": 10.1}]),
            "requests that failed": ("parallel", runs(910.0, failed=1.0)),
            "answers that are not what was asked for": ("container", runs(910.0, wrong=1.0)),
        }
        for what, (scenario, ours) in worse.items():
            found = good()
            found[scenario] = {**found[scenario], "pixelboot": ours}
            self.assertEqual(self.missed(found), [what])

    def test_without_the_other(self) -> None:
        """What was not measured is not judged."""
        found = report.bars({"one": {"pixelboot": runs(500.0)}})
        self.assertEqual([bar.limit for bar in found], [0.0, 0.0])

    def test_tables(self) -> None:
        """A table a scenario, a row a server, medians and the median of the ratios; and the waits for an address."""
        told = report.tables({"one": {"pixelboot": runs(200.0, 100.0, 300.0), "nginx": runs(200.0, 200.0, 200.0)}})
        self.assertEqual(told.splitlines()[0], "1 connection, 1 GiB 4 times:")
        row = r"(?m)^pixelboot  200\.0 \(100\.0 – 300\.0\) +1\.00 +1\.00 +10\.00 +20\.00 +0\.200 +60 +0 +0$"
        self.assertRegex(told, row)
        self.assertNotIn("OFFER", told)
        self.assertNotIn("nginx   ", report.tables({"one": {"pixelboot": runs(200.0), "nginx": []}}))
        whole = report.tables(good(), described(QUICK))
        self.assertIn("1 connection, 64 MiB 4 times:", whole)
        self.assertIn("Meanwhile 2,000 ranges a second, and 30.0 MB/s of the large file; 0 of 800 DISCOVERs", whole)


class Loads(SynchronousTestCase):
    """What the load is told, and what it says."""

    def test_found(self) -> None:
        """Its numbers; a server that nobody has an answer of is no server to measure."""
        line = '{"good": 3, "failed": 1, "seconds": 0.5, "error": "status 503"}'
        self.assertEqual(load.found(line), {"good": 3.0, "failed": 1.0, "seconds": 0.5})
        nobody = line.replace('"good": 3', '"good": 0')
        self.assertEqual(load.said(nobody)["failed"], 1.0)
        with self.assertRaisesRegex(LabError, "status 503"):
            load.found(nobody)

    def test_judged(self) -> None:
        """Rates are of the answers that were good; what failed while all was compared counts too."""
        said = {"good": 4.0, "seconds": 0.5, "octets": 2e9, "failed": 1.0, "wrong": 0.0, "cpu": 0.25}
        said |= dict.fromkeys(("first_p50", "first_p99", "first_last", "whole_p50", "whole_p99", "early", "late"), 1.0)
        found = run.judged(Asked(said, 0.4, 70_000_000, 800_000, 0.1), {"failed": 1.0, "wrong": 1.0}, 8)
        self.assertEqual((found["rate"], found["requests"], found["cpu_gb"]), (4000.0, 8.0, 0.2))
        self.assertEqual((found["cpu_request"], found["per_connection"], found["load"]), (100_000.0, 100_000.0, 0.5))
        self.assertEqual((found["failed"], found["wrong"]), (2.0, 1.0))

    def test_words(self) -> None:
        """Every scenario is preceded by one of which no octet is thrown away."""
        self.patch(load, "compiled", lambda: "load")
        scenarios = described(FULL)
        words = scenarios["sanboot"].words(7)
        self.assertEqual(words[:5], ["load", "-c", "1", "-L", "1"])
        self.assertEqual(words[-6:], ["-s", "7", "192.0.2.1", "8080", "/loaders/medium", str(64 << 20)])
        self.assertEqual([key for key, one in scenarios.items() if "-d" in one.words(1)], ["one", "eight"])
        self.assertFalse(any("-d" in one.warming() for one in scenarios.values()))
        self.assertEqual(scenarios["parallel"].words(1)[2:5], ["200", "-L", "200"])

    def test_every_column_is_known(self) -> None:
        """A table is made of what a run has."""
        columns = {column for scenario in described(FULL).values() for column in scenario.columns}
        self.assertLessEqual(columns, set(report.COLUMNS))
        self.assertLessEqual(columns, set(runs(1.0)[0]))


class Files(SynchronousTestCase):
    """What is downloaded."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_make(self) -> None:
        """Every word says where it belongs, and in which file, up to the last octet."""
        for size in (5, 4096, (3 << 20) + 13):
            path = self.folder / "loaders" / str(size)
            files.make(path, size)
            octets = path.read_bytes()
            self.assertEqual(len(octets), size)
            for number in {0, size // 16, size // 8}:
                word = ((number + size) * 0x9E3779B97F4A7C15 % (1 << 64)).to_bytes(8, "little")
                self.assertEqual(octets[number * 8 : number * 8 + 8], word[: size - number * 8])

    def test_settings(self) -> None:
        """pixelboot serves the very paths that the others have as files, and gives addresses where that is wanted."""
        for server, mode in ((PIXELBOOT, "off"), (GIVING, "server")):
            command = server.command(self.folder, self.folder / "files")
            settings = (self.folder / "pixelboot.toml").read_text()
            self.assertIn(str(self.folder / "pixelboot.toml"), command)
            self.assertIn(f'root = "{self.folder}/files/loaders"', settings)
            self.assertIn(f'mode = "{mode}"', settings)
