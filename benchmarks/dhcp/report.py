"""The tables of the measurement, in reStructuredText, and what is wanted."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RATE = 500
"""Exchanges a second at which the wait for an OFFER is measured."""

Runs = Sequence[Mapping[str, float]]
"""What was found in every run of a case: ``rate`` (exchanges/s in a closed loop), ``p50`` and ``p99`` (ms from DISCOVER
to OFFER at `RATE`), ``cpu`` (ms an exchange), ``memory`` (octets at the start), ``start`` (s), ``beside`` (the share of
both processors that others took)."""

Results = Mapping[tuple[str, int], Runs]
"""By server and leases held at the start.  Servers without runs are those that are not there."""

OURS, KEA, DNSMASQ = "pixelboot", "Kea", "dnsmasq"


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that is wanted."""

    what: str
    """What it is of, and its unit."""

    value: float
    """What was found."""

    limit: float
    """What is wanted."""

    is_most: bool
    """Whether that is the most that it may be, not the least."""

    @property
    def is_met(self) -> bool:
        """Whether it is as wanted."""
        return self.value <= self.limit if self.is_most else self.value >= self.limit


def median(results: Results, server: str, held: int, key: str) -> float | None:
    """The median of all runs of a case; None where there are none."""
    runs = results.get((server, held), ())
    return statistics.median(run[key] for run in runs) if runs else None


def bars(results: Results) -> list[Bar]:
    """All that is wanted and was measured."""
    found: list[Bar] = []

    def ratio(what: str, limit: float, server: str, held: int, other: str, beside: int) -> None:
        ours, theirs = median(results, server, held, "rate"), median(results, other, beside, "rate")
        if ours is not None and theirs:
            found.append(Bar(what, ours / theirs, limit, False))

    def most(what: str, limit: float, value: float | None) -> None:
        if value is not None:
            found.append(Bar(what, value, limit, True))

    ratio("exchanges/s, of Kea's", 0.7, OURS, 0, KEA, 0)
    ratio("exchanges/s, of dnsmasq's", 12.0, OURS, 0, DNSMASQ, 0)
    ratio("exchanges/s with 10,000 leases, of dnsmasq's", 200.0, OURS, 10_000, DNSMASQ, 10_000)
    for held in sorted({held for server, held in results if server == OURS and held}):
        ratio(f"exchanges/s with {held:,} leases, of its own with none", 0.9, OURS, held, OURS, 0)
        most(f"octets of memory a lease, of {held:,}", 1000.0, per_lease(results, OURS, held))
        most(f"seconds to start with {held:,} leases", 2.0, median(results, OURS, held, "start"))
    most(f"99th percentile of OFFERs at {RATE}/s, ms", 5.0, median(results, OURS, 0, "p99"))
    return found


def per_lease(results: Results, server: str, held: int) -> float | None:
    """Octets of memory that a lease costs: what a server has more than one without leases."""
    whole, empty = (median(results, server, number, "memory") for number in (held, 0))
    return (whole - empty) / held if held and whole is not None and empty is not None else None


def table(results: Results) -> str:
    """All cases, medians (least – greatest)."""
    rows: list[Sequence[str]] = [
        ("Leases", "Server", "Exchanges/s", "× Kea", "× dns-", "× its", "OFFER", "OFFER", "CPU ms/", "Memory", "Start"),
        ("held", "", "", "", "masq", "empty", "p50 ms", "p99 ms", "exchange", "B/lease", "s"),
    ]
    for server, held in sorted(results, key=lambda case: (case[1], list(results).index(case))):
        rates = [run["rate"] for run in results[server, held]]
        rate = statistics.median(rates)

        def beside(other: str, number: int, rate: float = rate) -> str:
            theirs = median(results, other, number, "rate")
            return f"{rate / theirs:.2f}" if theirs else ""

        def middle(key: str, form: str, case: tuple[str, int] = (server, held)) -> str:
            return format(median(results, *case, key) or 0.0, form)

        memory = per_lease(results, server, held)
        rows.append(
            (
                f"{held:,}",
                server,
                f"{rate:,.0f} ({min(rates):,.0f} – {max(rates):,.0f})",
                *(beside(KEA, held), beside(DNSMASQ, held), beside(server, 0)),
                *(middle("p50", ".2f"), middle("p99", ".2f"), middle("cpu", ".3f")),
                f"{memory:,.0f}" if memory is not None else f"{float(middle('memory', '.0f')) / 1e6:.0f} MB",
                middle("start", ".2f"),
            )
        )
    return simple(rows, 2)


def simple(rows: Sequence[Sequence[str]], heads: int) -> str:
    """A simple table; the first `heads` rows are its head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = "  ".join("=" * width for width in widths)

    def line(row: Sequence[str]) -> str:
        # An empty first cell would make the row a part of the one above it.
        cells = [row[0] or "\\", *row[1:]]
        return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()

    lines = [line(row) for row in rows]
    return "\n".join([rule, *lines[:heads], rule, *lines[heads:], rule])


def told(wanted: Sequence[Bar]) -> str:
    """Every bar, whether it is met."""
    lines = []
    for bar in wanted:
        word = "met" if bar.is_met else "MISSED"
        sign = "at most" if bar.is_most else "at least"
        lines.append(f"{word:<7} {bar.what}: {bar.value:,.2f}, {sign} {bar.limit:g} wanted")
    return "\n".join(lines)
