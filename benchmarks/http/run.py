"""How fast files are over HTTP: pixelboot, nginx, aiohttp, twisted.web's static files.

    python -m benchmarks.http [--servers pixelboot,nginx] [--scenarios one,small] [--runs 5] [--quick] [--json FILE]
                              [--check]

Each server runs as it is shipped, with its log in a file, on a processor of its own; the clients are on the other.  In
every turn of a scenario each server is started anew, is asked once while every octet is compared with the file's, and
is measured; who goes first changes.  Last comes what pixelboot has to stand without the others: ``offers``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.http import endure, report, scenarios
from benchmarks.http.scenarios import FULL, QUICK, Scenario, Sizes
from benchmarks.http.servers import PIXELBOOT, SERVERS, Server
from benchmarks.http.stand import Asked, Stand
from benchmarks.tftp.run import alone
from lab import needs
from lab.network.namespace import Network
from lab.process import LabError

_DISTURBED = 0.25
"""Share of the two processors that others may take; a run with more is made again, three times at most, and the least
disturbed counts."""

Found = dict[str, dict[str, list[dict[str, float]]]]
"""`benchmarks.http.report.Results`, as they are filled."""


def main(arguments: list[str] | None = None) -> int:
    """Print the tables.  With ``--check`` the exit status is 1 when a bar is missed.

    2 is for a command line that cannot be understood and for programs that are missing, 3 for a server that failed.
    """
    every = ",".join((*scenarios.described(FULL), *endure.FOUND))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http", description=__doc__.partition("\n")[0])
    parser.add_argument("--servers", default=",".join(SERVERS), help="of %(default)s, which is the default")
    parser.add_argument("--scenarios", default=every, help="of %(default)s, which is the default")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="small files and short loops, to try whether all works")
    parser.add_argument("--check", action="store_true", help="fail when a bar is missed")
    parser.add_argument("--json", type=Path, help="also write all runs to this file")
    args = parser.parse_args(arguments)
    names, keys = args.servers.split(","), args.scenarios.split(",")
    if unknown := [word for word in names if word not in SERVERS]:
        parser.error(f"--servers: {', '.join(unknown)}: choose from {', '.join(SERVERS)}")
    if unknown := [word for word in keys if word not in every.split(",")]:
        parser.error(f"--scenarios: {', '.join(unknown)}: choose from {every}")
    if args.runs < 1:
        parser.error("--runs: at least 1")
    if missing := needs.missing((*needs.NETWORK, "taskset", "cc", "apt-get", "dpkg-deb"), root=True):
        print("Missing here:", *missing, sep="\n  * ", file=sys.stderr)
        return 2
    results: Found = {}
    sizes = QUICK if args.quick else FULL
    status = 0
    try:
        measure([SERVERS[name] for name in names], keys, args.runs, sizes, results)
    except LabError as error:
        # What was measured until then has taken its time, and is told all the same.
        print(f"FAILED: {error}", file=sys.stderr)
        status = 3
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    print(report.tables(results, scenarios.described(sizes)))
    wanted = report.bars(results)
    print(f"\n{report.told(wanted)}")
    return status or int(args.check and not all(bar.is_met for bar in wanted))


def measure(servers: Sequence[Server], keys: Sequence[str], runs: int, sizes: Sizes, results: Found) -> None:
    """Fill `results` with every scenario and every server, in turns.

    :raises lab.process.LabError: if a server fails.
    """
    known = scenarios.described(sizes)
    with Network() as network:
        stand = Stand(network, sizes)
        for key in keys:
            for number in range(runs):
                with alone():
                    if scenario := known.get(key):
                        _turn(stand, scenario, servers, number, results)
                    elif PIXELBOOT in servers:
                        _note(results, key, PIXELBOOT, number, _quietest(partial(endure.FOUND[key], stand)))


def _turn(stand: Stand, scenario: Scenario, servers: Sequence[Server], number: int, results: Found) -> None:
    for server in servers:
        # In the order of the tables, which is not that of the turns.
        results.setdefault(scenario.key, {}).setdefault(server.name, [])
    # Everyone goes first in turn: what goes on beside the measurement has its own rhythm.
    first = number % len(servers)
    for server in (*servers[first:], *servers[:first]):
        found = _quietest(partial(_run, stand, scenario, server, number))
        _note(results, scenario.key, server, number, found)


def _note(results: Found, key: str, server: Server, number: int, found: dict[str, float]) -> None:
    results.setdefault(key, {}).setdefault(server.name, []).append(found)
    told = ", ".join(f"{word} {value:,.2f}" for word, value in found.items() if value)
    print(f"{key}, run {number + 1}: {server.name}: {told}", file=sys.stderr)


def _quietest(measured: Callable[[], dict[str, float]]) -> dict[str, float]:
    runs: list[dict[str, float]] = []
    while len(runs) < 3 and not (runs and runs[-1]["beside"] <= _DISTURBED):
        runs.append(measured())
    quietest = min(runs, key=lambda run: run["beside"])
    # What fails counts in every run, not in the one whose figures are kept.
    return quietest | {key: sum(run[key] for run in runs) for key in ("failed", "wrong")}


def _run(stand: Stand, scenario: Scenario, server: Server, number: int) -> dict[str, float]:
    with stand.running(server) as running:
        warmed = stand.ask(running, scenario.warming())
        asked = stand.ask(running, scenario.words(number + 1))
    return judged(asked, warmed.said, scenario.connections)


def judged(asked: Asked, warmed: Mapping[str, float], connections: int) -> dict[str, float]:
    """What a load said, and what the one before it said of failures, in the words of `benchmarks.http.report.Runs`."""
    said = asked.said
    kept = ("first_p50", "first_p99", "first_last", "whole_p50", "whole_p99", "early", "late")
    return {
        "rate": said["octets"] / said["seconds"] / 1e6,
        "requests": said["good"] / said["seconds"],
        **{key: said[key] for key in kept},
        "cpu_gb": asked.cpu * 1e9 / said["octets"],
        "cpu_request": asked.cpu * 1e6 / said["good"],
        "peak": float(asked.peak),
        "per_connection": asked.grown / connections,
        "load": said["cpu"] / said["seconds"],
        "beside": asked.beside,
        **{key: said[key] + warmed[key] for key in ("failed", "wrong")},
    }
