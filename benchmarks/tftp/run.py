"""How fast files are over TFTP: pixelboot, dnsmasq, tftpd-hpa, atftpd, py3tftp, tftpy, fbtftp.

    python -m benchmarks.tftp [--servers pixelboot,dnsmasq] [--scenarios one,many] [--runs 5] [--json FILE] [--check]

Each server runs as it is shipped, with its log in a file, on a processor of its own; the clients are on the other, and
compare every octet with the file's.  In every turn of a scenario each server is started anew, gives the file out once,
and is measured; who goes first changes.  Last come what pixelboot has to stand without the others: ``transfers``, and
``flood``.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.tftp import endure, report
from benchmarks.tftp.scenarios import SCENARIOS, Scenario
from benchmarks.tftp.servers import PIXELBOOT, SERVERS, Server
from benchmarks.tftp.stand import Stand
from lab import needs
from lab.network.namespace import Network
from lab.process import LabError

_DISTURBED = 0.25
"""Share of the two processors that others may take; a run with more is made again, three times at most, and the least
disturbed counts."""

_ENDURED = 3
"""Turns of what pixelboot has to stand, at the most: each takes a minute, and little changes from one to the next."""

Found = dict[str, dict[str, list[dict[str, float]]]]
"""`benchmarks.tftp.report.Results`, as they are filled."""


def main(arguments: list[str] | None = None) -> int:
    """Print the tables.  With ``--check`` the exit status is 1 when a bar is missed.

    2 is for a command line that cannot be understood and for programs that are missing, 3 for a server that failed.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tftp", description=__doc__.partition("\n")[0])
    parser.add_argument("--servers", default=",".join(SERVERS), help="of %(default)s, which is the default")
    every = ",".join((*SCENARIOS, *endure.FOUND))
    parser.add_argument("--scenarios", default=every, help="of %(default)s, which is the default")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: %(default)s)")
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
    programs = ("ip", "taskset", "cc", "apt-get", "dpkg-deb", "dnsmasq")
    if missing := needs.missing(programs, root=True):
        print("Missing here:", *missing, sep="\n  * ", file=sys.stderr)
        return 2
    results: Found = {}
    status = 0
    try:
        measure([SERVERS[name] for name in names], keys, args.runs, results)
    except LabError as error:
        # What was measured until then has taken its time, and is told all the same.
        print(f"FAILED: {error}", file=sys.stderr)
        status = 3
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    print(report.tables(results))
    wanted = report.bars(results)
    print(f"\n{report.told(wanted)}")
    return status or int(args.check and not all(bar.is_met for bar in wanted))


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other such measurement runs on this machine, and let none begin before the end of the block."""
    with (Path(tempfile.gettempdir()) / "bench.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another measurement is running: waiting for its turn to end", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def measure(servers: Sequence[Server], keys: Sequence[str], runs: int, results: Found) -> None:
    """Fill `results` with every scenario and every server that it admits, in turns.

    :raises lab.process.LabError: if a server fails.
    """
    with Network() as network:
        stand = Stand(network)
        for key in keys:
            for number in range(runs):
                with alone():
                    if scenario := SCENARIOS.get(key):
                        _turn(stand, scenario, servers, number, results)
                    elif PIXELBOOT in servers and number < _ENDURED:
                        _note(results, key, PIXELBOOT, number, endure.FOUND[key](stand))


def _turn(stand: Stand, scenario: Scenario, servers: Sequence[Server], number: int, results: Found) -> None:
    admitted = [server for server in servers if scenario.admits(server)]
    for server in admitted:
        # In the order of the tables, which is not that of the turns.
        results.setdefault(scenario.key, {}).setdefault(server.name, [])
    # Everyone goes first in turn: what goes on beside the measurement has its own rhythm.
    first = number % max(1, len(admitted))
    for server in (*admitted[first:], *admitted[:first]):
        _note(results, scenario.key, server, number, _quietest(stand, scenario, server, number))


def _note(results: Found, key: str, server: Server, number: int, found: dict[str, float]) -> None:
    results.setdefault(key, {}).setdefault(server.name, []).append(found)
    told = ", ".join(f"{word} {value:,.2f}" for word, value in found.items() if value)
    print(f"{key}, run {number + 1}: {server.name}: {told}", file=sys.stderr)


def _quietest(stand: Stand, scenario: Scenario, server: Server, number: int) -> dict[str, float]:
    runs: list[dict[str, float]] = []
    most = 1 if scenario.is_idle else 3
    while len(runs) < most and not (runs and runs[-1]["beside"] <= _DISTURBED):
        runs.append(_run(stand, scenario, server, number))
    return min(runs, key=lambda run: run["beside"])


def _run(stand: Stand, scenario: Scenario, server: Server, number: int) -> dict[str, float]:
    with stand.running(server) as running:
        stand.run(scenario.warm(server, stand.files))
        asked = stand.ask(running, scenario.words(server, stand.files, number + 1))
    return judged(asked.said) | {
        "cpu": asked.cpu * 1e6 / asked.said["blocks"],
        "memory": float(asked.memory),
        "beside": asked.beside,
    }


def judged(said: Mapping[str, float]) -> dict[str, float]:
    """What a load said, in the words of `benchmarks.tftp.report.Runs`."""
    kept = ("failed", "wrong", "first_p50", "first_p99", "whole_p50", "whole_p99", "acks_repeated", "requests_repeated")
    return {
        "rate": said["octets"] / said["seconds"] / 1e6,
        "downloads": said["good"] / said["seconds"],
        "blocks": said["blocks"] / said["seconds"],
        **{key: said[key] for key in kept},
    }
