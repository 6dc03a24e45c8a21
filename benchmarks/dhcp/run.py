"""How many machines a second get an address, and how soon: pixelboot, Kea, dnsmasq, ISC dhcpd.

    python -m benchmarks.dhcp [--servers pixelboot,Kea,dnsmasq] [--held 0,10000,100000] [--runs 5] [--check]
    python -m benchmarks.dhcp --perfdhcp [--servers …] [--held …] [--runs …]

Each server runs as it is shipped, with its log in a file, on a processor of its own; machines that it has never seen
come through a relay agent on the other.  Every server starts from the same leases before every run, and they take
turns.  In a run there are 32 machines at a time, a closed loop, as many as the server can take; then, started anew, 500
machines a second, for the wait for an OFFER.  With ``--perfdhcp`` Kea's own load is used: the highest rate at which
less than one in a hundred is lost.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.dhcp import load, peers, report
from benchmarks.dhcp.servers import DNSMASQ, KEA, PIXELBOOT, SERVERS, Server
from benchmarks.dhcp.stand import RELAY, SERVER, Running, Stand
from lab import needs
from lab.network.namespace import Network
from lab.process import LabError

CLIENTS = 32
"""Machines at a time in the closed loop."""

SECONDS, STEADY = 4.0, 3.0
"""Of the closed loop, and at the steady rate."""

MOST = 20_000
"""Leases that a closed loop may add: the pool has room for them beside 100,000."""

_DISTURBED = 0.25
"""Share of the two processors that others may take; a run with more is made again, three times at most, and the least
disturbed counts."""

_STEADY_GROUP, _CLOSED_GROUP = 2, 3

Found = dict[tuple[str, int], list[dict[str, float]]]
"""`benchmarks.dhcp.report.Results`, as they are filled."""


def main(arguments: list[str] | None = None) -> int:
    """Print the tables.  With ``--check`` the exit status is 1 when a bar is missed.

    2 is for a command line that cannot be understood and for programs that are missing, 3 for a server that failed.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dhcp", description=__doc__.partition("\n")[0])
    usual = ",".join(server.name for server in (PIXELBOOT, KEA, DNSMASQ))
    parser.add_argument("--servers", default=usual, help=f"of {', '.join(SERVERS)} (default: %(default)s)")
    parser.add_argument("--held", default="0,10000,100000", help="leases held at the start (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each case (default: %(default)s)")
    parser.add_argument("--perfdhcp", action="store_true", help="use perfdhcp, and look for the highest rate")
    parser.add_argument("--check", action="store_true", help="fail when a bar is missed")
    parser.add_argument("--json", type=Path, help="also write all runs to this file")
    args = parser.parse_args(arguments)
    unknown = [name for name in args.servers.split(",") if name not in SERVERS]
    if unknown or not all(word.isdigit() and int(word) <= 100_000 for word in args.held.split(",")):
        parser.error(f"there is no server {unknown[0]}" if unknown else "--held takes numbers up to 100000")
    servers = [SERVERS[name] for name in args.servers.split(",")]
    helds = [int(word) for word in args.held.split(",")]
    missing = needs.missing((*needs.NETWORK, "cc", "taskset", "dnsmasq", "apt-get", "dpkg-deb"), root=True)
    if missing:
        print("Missing here:", *missing, sep="\n  * ", file=sys.stderr)
        return 2
    try:
        if args.perfdhcp:
            print(rates(servers, helds, args.runs))
            return 0
        results = measure(servers, helds, args.runs)
    except LabError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 3
    if args.json:
        args.json.write_text(json.dumps([[*case, runs] for case, runs in results.items()], indent=1) + "\n")
    print(report.table(results))
    wanted = report.bars(results)
    print(f"\n{report.told(wanted)}")
    return 1 if args.check and not all(bar.is_met for bar in wanted) else 0


def measure(servers: Sequence[Server], helds: Sequence[int], runs: int) -> Found:
    """Every server with every number of leases, in turns.

    :raises lab.process.LabError: if a server fails.
    """
    results: Found = {}
    with Network() as network:
        stand = Stand(network)
        cases = [(held, server) for held in helds for server in servers if held <= server.most]
        for held, server in cases:
            stand.prepare(server, held)
        for number in range(runs):
            # Everyone goes first in turn: what goes on beside the measurement has its own rhythm.
            turn = number % len(cases)
            for held, server in (*cases[turn:], *cases[:turn]):
                found = _quietest(stand, server, held)
                results.setdefault((server.name, held), []).append(found)
                told = ", ".join(f"{key} {value:,.2f}" for key, value in found.items())
                print(f"run {number + 1} of {runs}: {server.name}, {held:,} held: {told}", file=sys.stderr)
    return results


def _quietest(stand: Stand, server: Server, held: int) -> dict[str, float]:
    runs: list[dict[str, float]] = []
    while len(runs) < 3 and not (runs and runs[-1]["beside"] <= _DISTURBED):
        runs.append(_run(stand, server, held))
    return min(runs, key=lambda run: run["beside"])


def _run(stand: Stand, server: Server, held: int) -> dict[str, float]:
    """Both loads, each from the same start: a server may be slower with every lease that it gives."""
    with stand.running(server, held) as running:
        found = {"start": running.seconds, "memory": float(running.memory())} | _closed(stand, running)
    with stand.running(server, held):
        words = load.words(SERVER, RELAY, _STEADY_GROUP, 4096, report.RATE, STEADY)
        said = load.found(stand.ask(words, STEADY + 60.0))
    return found | {"p50": said["offer_p50"], "p99": said["offer_p99"]}


def _closed(stand: Stand, running: Running) -> dict[str, float]:
    busy, cpu, at = _busy(), running.cpu(), time.monotonic()
    words = load.words(SERVER, RELAY, _CLOSED_GROUP, CLIENTS, seconds=SECONDS, most=MOST)
    said = load.found(stand.ask(words, SECONDS + 60.0))
    used, wall = running.cpu() - cpu, time.monotonic() - at
    if not said["exchanges"]:
        raise LabError(f"nobody got an address: {said}")
    return {
        "rate": said["exchanges"] / said["seconds"],
        "cpu": used * 1e3 / said["exchanges"],
        "beside": max(0.0, _busy() - busy - used - said["cpu"]) / wall / 2,
        "repeats": said["repeats"],
    }


def _busy() -> float:
    """Seconds that all processors have worked, or were taken away by a host, since the start (proc(5))."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / 100


def rates(servers: Sequence[Server], helds: Sequence[int], runs: int) -> str:
    """The table of the highest rates that perfdhcp finds.

    :raises lab.process.LabError: if a server fails.
    """
    rows = [("Leases held", "Server", "Exchanges/s", "OFFER ms", "ACK ms")]
    with Network() as network:
        stand = Stand(network)
        for held in helds:
            for server in [each for each in servers if held <= each.most]:
                stand.prepare(server, held)
                found = [_highest(stand, server, held) for _ in range(runs)]
                rate, offer, ack = (statistics.median(values) for values in zip(*found, strict=True))
                rows.append((f"{held:,}", server.name, f"{rate:,.0f}", f"{offer:.2f}", f"{ack:.2f}"))
                print(*rows[-1], file=sys.stderr)
    return report.simple(rows, 1)


def _highest(stand: Stand, server: Server, held: int) -> tuple[float, float, float]:
    """The highest rate, to a tenth, of which less than one in a hundred is lost, and the mean delays at it in ms."""
    low, high, best = 0.0, 0.0, (0.0, 0.0, 0.0)
    rate = 1000.0
    while (not low or not high or high / low > 1.1) and 10 <= rate <= 40_000:
        with stand.running(server, held):
            words = load.perfdhcp(SERVER, RELAY, int(rate), STEADY)
            # perfdhcp's exit status is 3 when something was lost.
            tolerant = ("sh", "-c", '"$@" || test $? -eq 3', "sh", *words)
            said = load.perfdhcp_found(stand.ask(tolerant, STEADY + 60.0, peers.libraries()))
        if said["lost"] < 0.01:
            low, best = rate, (rate, said["offer"], said["ack"])
        else:
            high = rate
        rate = (low * high) ** 0.5 if low and high else rate * 2 if low else rate / 2
    return best
