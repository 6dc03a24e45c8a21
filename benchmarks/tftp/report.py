"""The tables of the measurement, in reStructuredText, and what is wanted."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.dhcp.report import simple
from benchmarks.tftp.scenarios import SCENARIOS, Scenario
from benchmarks.tftp.servers import PYTHON

Runs = Sequence[Mapping[str, float]]
"""What was found in every run of a server in a scenario: ``rate`` (MB/s), ``downloads`` and ``blocks`` (a second),
``first_p50`` and ``first_p99`` (ms from a request to the first DATA), ``whole_p50`` and ``whole_p99`` (ms of a
download), ``cpu`` (µs a block), ``memory`` (octets at the most), ``failed`` and ``wrong`` (downloads), ``beside`` (the
share of both processors that others took).  `benchmarks.tftp.endure` says what there is of its own."""

Results = Mapping[str, Mapping[str, Runs]]
"""By scenario and server.  Runs of one number are of the same turn."""

OURS, DNSMASQ, ATFTPD = "pixelboot", "dnsmasq", "atftpd"


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that is wanted, and what is hoped for beyond it."""

    what: str
    """What it is of, and its unit."""

    value: float
    """What was found."""

    limit: float
    """What is wanted."""

    goal: float | None
    """What is hoped for, if that is more."""

    is_most: bool
    """Whether these are the most that it may be, not the least."""

    @property
    def is_met(self) -> bool:
        """Whether it is as wanted."""
        return self._reaches(self.limit)

    @property
    def is_reached(self) -> bool:
        """Whether it is as hoped for."""
        return self._reaches(self.limit if self.goal is None else self.goal)

    def _reaches(self, value: float) -> bool:
        return self.value <= value if self.is_most else self.value >= value


def median(runs: Runs, key: str) -> float | None:
    """The median of all runs; None where there are none."""
    return statistics.median(run[key] for run in runs) if runs else None


def ratio(results: Results, scenario: str, other: str, key: str) -> float | None:
    """The median of the ratios to another server's in the same turn; None where there is nothing to compare with."""
    ours, theirs = (results.get(scenario, {}).get(server, ()) for server in (OURS, other))
    pairs = [(one[key], another[key]) for one, another in zip(ours, theirs, strict=False) if another[key]]
    return statistics.median(one / another for one, another in pairs) if pairs else None


def bars(results: Results) -> list[Bar]:
    """All that is wanted and was measured."""
    return [*_rates(results), *_waits(results), *_costs(results), *_certainties(results)]


def _of(
    found: float | None, what: str, limit: float, goal: float | None = None, *, is_most: bool = False
) -> Iterator[Bar]:
    if found is not None:
        yield Bar(what, found, limit, goal, is_most)


def _rates(results: Results) -> Iterator[Bar]:
    for scenario, other, limit, goal in (
        ("one", DNSMASQ, 0.85, 0.95),
        ("many", DNSMASQ, 0.9, 1.0),
        ("small", DNSMASQ, 0.5, 0.7),
        ("storm", DNSMASQ, 1.0, 1.2),
        ("window", ATFTPD, 2.5, 3.2),
        ("window-one", ATFTPD, 1.2, None),
        *(("many", server, 3.5, None) for server in PYTHON),
    ):
        found = ratio(results, scenario, other, "rate")
        yield from _of(found, f"MB/s, of {other}'s: {SCENARIOS[scenario].title}", limit, goal)


def _waits(results: Results) -> Iterator[Bar]:
    found = ratio(results, "storm", DNSMASQ, "first_p99")
    what = f"99th percentile to the first DATA, of {DNSMASQ}'s: {SCENARIOS['storm'].title}"
    yield from _of(found, what, 0.1, is_most=True)
    lossy = results.get("loss", {})
    others = {server: median(runs, "whole_p50") for server, runs in lossy.items() if server != OURS}
    if best := min((server for server in others if others[server]), key=lambda server: others[server] or 0, default=""):
        what = f"median download, of {best}'s, the best of the others: {SCENARIOS['loss'].title}"
        yield from _of(ratio(results, "loss", best, "whole_p50"), what, 0.35, 0.25, is_most=True)
    flooded = results.get("flood", {}).get(OURS, ())
    # Before and after are seconds apart, on a machine whose speed may change by as much meanwhile.
    for key, limit in (("first_p50", 2.0), ("first_p99", 3.0)):
        what = f"{'median' if key == 'first_p50' else '99th percentile'} to the first DATA after a flood, of before"
        yield from _of(_change(flooded, key, "at_once"), what, limit, is_most=True)


def _costs(results: Results) -> Iterator[Bar]:
    found = ratio(results, "many", DNSMASQ, "cpu")
    yield from _of(found, f"processor a block, of {DNSMASQ}'s: {SCENARIOS['many'].title}", 1.2, is_most=True)
    slope = median(results.get("transfers", {}).get(OURS, ()), "slope")
    yield from _of(slope, "octets of memory a running transfer", 2000.0, is_most=True)
    flooded = results.get("flood", {}).get(OURS, ())
    yield from _of(_change(flooded, "memory", "later"), "memory after a flood, of before", 1.2, is_most=True)


def _change(runs: Runs, key: str, when: str) -> float | None:
    return statistics.median(run[f"{key}_{when}"] / run[f"{key}_before"] for run in runs) if runs else None


def _certainties(results: Results) -> Iterator[Bar]:
    """Of every run, not of the median."""
    for key, what in (("failed", "downloads that failed"), ("wrong", "downloads with octets that are not the file's")):
        runs = [run for servers in results.values() for run in servers.get(OURS, ())]
        yield from _of(sum(run[key] for run in runs) if runs else None, what, 0.0, is_most=True)


_HEADS = (
    ("Server", "MB/s", "× {}", "files/s", "first", "first", "file", "file", "CPU µs/", "Memory", "failed"),
    ("", "", "", "", "p50 ms", "p99 ms", "p50 ms", "p99 ms", "block", "MB", ""),
)


def tables(results: Results) -> str:
    """A table for each scenario of downloads, medians (least – greatest), and one for the others."""
    parts = [
        f"{scenario.title}:\n\n{table(scenario, results[key])}" for key, scenario in SCENARIOS.items() if key in results
    ]
    return "\n\n".join([*parts, *_endured(results)])


def table(scenario: Scenario, servers: Mapping[str, Runs]) -> str:
    """The table of a scenario."""
    rows: list[Sequence[str]] = [[cell.format(scenario.compared) for cell in head] for head in _HEADS]
    for server, runs in servers.items():
        if not runs:
            continue
        rates = [run["rate"] for run in runs]

        def middle(key: str, form: str, runs: Runs = runs) -> str:
            return format(median(runs, key) or 0.0, form)

        theirs = servers.get(scenario.compared, ())
        ratios = [run["rate"] / other["rate"] for run, other in zip(runs, theirs, strict=False)]
        rows.append(
            (
                server,
                f"{statistics.median(rates):,.1f} ({min(rates):,.1f} – {max(rates):,.1f})",
                f"{statistics.median(ratios):.2f}" if ratios else "",
                *(middle("downloads", ",.1f"), middle("first_p50", ",.2f"), middle("first_p99", ",.2f")),
                *(middle("whole_p50", ",.1f"), middle("whole_p99", ",.1f"), middle("cpu", ".2f")),
                f"{(median(runs, 'memory') or 0.0) / 1e6:,.0f}",
                f"{sum(run['failed'] for run in runs):,.0f}",
            )
        )
    return simple(rows, len(_HEADS))


def _endured(results: Results) -> Iterator[str]:
    """What stands in no table of downloads."""
    if runs := results.get("transfers", {}).get(OURS, ()):
        yield (
            f"{median(runs, 'held') or 0.0:,.0f} transfers at once: {(median(runs, 'memory') or 0.0) / 1e6:,.0f} MB,"
            f" {median(runs, 'slope') or 0.0:,.0f} octets a transfer."
        )
    if runs := results.get("flood", {}).get(OURS, ()):
        rows: list[Sequence[str]] = [("Flood", "first p50 ms", "first p99 ms", "Memory MB")]
        forms: tuple[tuple[str, Callable[[float], str]], ...] = (
            ("first_p50", "{:.2f}".format),
            ("first_p99", "{:.2f}".format),
            ("memory", lambda octets: f"{octets / 1e6:.1f}"),
        )
        rows += [
            (when.replace("_", " "), *(form(median(runs, f"{key}_{when}") or 0.0) for key, form in forms))
            for when in ("before", "at_once", "later")
        ]
        yield simple(rows, 1)


def told(wanted: Sequence[Bar]) -> str:
    """Every bar, whether it is met, and whether its goal is."""
    lines = []
    for bar in wanted:
        word = "met" if bar.is_met else "MISSED"
        sign = "at most" if bar.is_most else "at least"
        line = f"{word:<7} {bar.what}: {bar.value:,.2f}, {sign} {bar.limit:g} wanted"
        if bar.goal is not None:
            line += f", {bar.goal:g} hoped for: {'reached' if bar.is_reached else 'not reached'}"
        lines.append(line)
    return "\n".join(lines)
