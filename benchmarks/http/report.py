"""The tables of the measurement, in reStructuredText, and what is wanted."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmarks.dhcp.report import simple
from benchmarks.http import scenarios
from benchmarks.http.scenarios import FULL, Scenario
from benchmarks.tftp.report import OURS, Bar, Results, Runs, median, ratio, told

__all__ = ["NGINX", "OURS", "Results", "Runs", "bars", "table", "tables", "told"]
"""A run is here: ``rate`` (MB/s), ``requests`` (a second), ``first_p50``, ``first_p99`` and ``first_last`` (ms from a
request to the first octet of its answer), ``whole_p50`` and ``whole_p99`` (ms to its last), ``early`` and ``late``
(requests a second, of the first and the last tenth), ``cpu_gb`` (s a GB), ``cpu_request`` (µs), ``peak`` (octets of
memory at the most), ``per_connection`` (octets of that, beyond what was there before), ``failed`` and ``wrong``
(requests), ``load`` (the share of its processor that the load took), ``beside`` (the share that others took of all).
`benchmarks.http.endure` says what there is of its own."""

NGINX = "nginx"
AIOHTTP = "aiohttp"
STATIC = "static"

OFFER = 10.0
"""Milliseconds that the 99th percentile of OFFERs may take while much is downloaded."""

_Form = Callable[[float], str]

COLUMNS: Mapping[str, tuple[str, str, _Form]] = {
    "requests": ("requests", "/s", "{:,.0f}".format),
    "first_p50": ("first", "p50 ms", "{:,.2f}".format),
    "first_last": ("first", "last ms", "{:,.1f}".format),
    "whole_p50": ("whole", "p50 ms", "{:,.2f}".format),
    "whole_p99": ("whole", "p99 ms", "{:,.2f}".format),
    "early": ("first 10th", "/s", "{:,.0f}".format),
    "late": ("last 10th", "/s", "{:,.0f}".format),
    "cpu_gb": ("CPU s", "/GB", "{:,.3f}".format),
    "cpu_request": ("CPU µs", "/request", "{:,.1f}".format),
    "peak": ("Memory", "MB", lambda octets: f"{octets / 1e6:,.0f}"),
    "per_connection": ("Memory kB", "/connection", lambda octets: f"{octets / 1e3:,.1f}"),
}
"""What a table can show: both lines of the head, and how a median is written."""


def bars(results: Results) -> list[Bar]:
    """All that is wanted and was measured."""
    return [*_rates(results), *_steadiness(results), *_certainties(results)]


def _of(
    found: float | None, what: str, limit: float, goal: float | None = None, *, is_most: bool = False
) -> Iterator[Bar]:
    if found is not None:
        yield Bar(what, found, limit, goal, is_most)


def _rates(results: Results) -> Iterator[Bar]:
    for scenario, peer, limit, goal in (
        ("one", NGINX, 0.9, 0.97),
        ("eight", NGINX, 0.9, 0.97),
        ("ranges", NGINX, 0.5, 0.8),
        ("ranges", STATIC, 3.5, None),
        ("ranges", AIOHTTP, 6.0, None),
        ("small", NGINX, 0.4, 0.8),
        ("small", STATIC, 3.5, None),
    ):
        yield from _of(ratio(results, scenario, peer, "rate"), f"{scenario}: MB/s, of {peer}'s", limit, goal)
    for scenario in ("one", "eight"):
        found = ratio(results, scenario, NGINX, "cpu_gb")
        yield from _of(found, f"{scenario}: processor a GB, of {NGINX}'s", 1.15, is_most=True)
    for scenario in ("parallel", "container"):
        found = ratio(results, scenario, NGINX, "first_last")
        yield from _of(found, f"{scenario}: ms to the first octet of the last, of {NGINX}'s", 2.0, is_most=True)
        kept = median(results.get(scenario, {}).get(OURS, ()), "per_connection")
        yield from _of(None if kept is None else kept / 1000, f"{scenario}: kB a connection", 100.0, is_most=True)


def _steadiness(results: Results) -> Iterator[Bar]:
    if runs := results.get("sanboot", {}).get(OURS, ()):
        found = statistics.median(run["late"] / run["early"] for run in runs)
        yield from _of(found, "sanboot: requests a second of the last tenth, of the first tenth's", 0.9)
    p99 = median(results.get("offers", {}).get(OURS, ()), "p99")
    yield from _of(p99, "offers: 99th percentile of OFFERs, ms", OFFER, is_most=True)


def _certainties(results: Results) -> Iterator[Bar]:
    """Of every run, not of the median."""
    for key, what in (("failed", "requests that failed"), ("wrong", "answers that are not what was asked for")):
        runs = [run for servers in results.values() for run in servers.get(OURS, ())]
        yield from _of(sum(run[key] for run in runs) if runs else None, what, 0.0, is_most=True)


def tables(results: Results, described: Mapping[str, Scenario] | None = None) -> str:
    """A table for each scenario of downloads, medians (least – greatest), and one for the other."""
    known = described or scenarios.described(FULL)
    found = [(scenario, results[key]) for key, scenario in known.items() if key in results]
    parts = [f"{scenario.title}:\n\n{table(scenario, servers)}" for scenario, servers in found]
    return "\n\n".join([*parts, *_offers(results)])


def table(scenario: Scenario, servers: Mapping[str, Runs]) -> str:
    """The table of a scenario."""
    shown = [COLUMNS[key] for key in scenario.columns]
    rows: list[Sequence[str]] = [
        ("Server", "MB/s", f"× {NGINX}", *(head for head, _, _ in shown), "failed", "wrong"),
        ("", "", "", *(under for _, under, _ in shown), "", ""),
    ]
    for server, runs in servers.items():
        if not runs:
            continue
        rates = [run["rate"] for run in runs]
        ratios = [run["rate"] / other["rate"] for run, other in zip(runs, servers.get(NGINX, ()), strict=False)]
        rows.append(
            (
                server,
                f"{statistics.median(rates):,.1f} ({min(rates):,.1f} – {max(rates):,.1f})",
                f"{statistics.median(ratios):.2f}" if ratios else "",
                *(COLUMNS[key][2](median(runs, key) or 0.0) for key in scenario.columns),
                *(f"{sum(run[key] for run in runs):,.0f}" for key in ("failed", "wrong")),
            )
        )
    return simple(rows, 2)


def _offers(results: Results) -> Iterator[str]:
    """What stands in no table of downloads."""
    runs = results.get("offers", {}).get(OURS, ())
    if not runs:
        return
    rows: list[Sequence[str]] = [("OFFERs, ms", "p50", "p99", "the longest")]
    for name, prefix in (("idle", "idle_"), ("downloads", "")):
        values = [[run[f"{prefix}{key}"] for run in runs] for key in ("p50", "p99", "greatest")]
        rows.append((name, *(f"{statistics.median(of):.2f} ({min(of):.2f} – {max(of):.2f})" for of in values)))
    yield simple(rows, 1)
    lost, sent = (sum(run[key] for run in runs) for key in ("lost", "sent"))
    ranges, cold = (median(runs, key) or 0.0 for key in ("ranges", "cold"))
    yield (
        f"Meanwhile {ranges:,.0f} ranges a second, and {cold:,.1f} MB/s of the large file; "
        f"{lost:,.0f} of {sent:,.0f} DISCOVERs had no answer."
    )
