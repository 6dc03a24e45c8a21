"""How soon many containers are listed, what they cost in memory, and for how long they keep the reactor busy.

    python -m benchmarks.catalogue [--runs 5] [--check]

Two folders: 1,000 containers, for the time from the start of the library until all are listed with name and parts; and
10,000, for memory and time.  Every run is a process of its own with a cache that knows nothing, and the table shows
medians.  The pictures are small, and the library takes them to be an hour old, as most pictures in a folder are.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Coroutine, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab import picture

FEW, MANY = 1_000, 10_000

ROWS: dict[str, tuple[str, str, float | None]] = {
    "few_listed": (f"{FEW:,} containers listed with their metadata after", "s", 1.0),
    "listed": (f"{MANY:,} containers listed after", "s", None),
    "start_stall": ("longest stretch of the reactor until then", "ms", None),
    "memory": (f"memory that {MANY:,} containers cost then", "MB", 100.0),
    "verified": (f"{MANY:,} containers decoded and kept after (one run)", "s", None),
    "verify_stall": ("longest stretch of the reactor until then", "ms", None),
    "whole_memory": (f"memory that {MANY:,} containers cost then", "MB", 100.0),
    "first_menu": ("first menu: longest stretch on the reactor's thread", "ms", 5.0),
    "first_menu_whole": ("first menu: all of it, in many stretches", "ms", None),
    "menu": ("menu when nothing has changed", "ms", 5.0),
    "changed_menu": ("menu when one container has changed", "ms", 5.0),
    "chosen_menu": ("menu when the operator has changed one container", "ms", 5.0),
    "first_listing": ("first /containers: longest stretch", "ms", 5.0),
    "first_listing_whole": ("first /containers: all of it, in many stretches", "ms", None),
    "listing": ("/containers when nothing has changed", "ms", 5.0),
    "changed_listing": ("/containers when one container has changed", "ms", 5.0),
}
"""What is measured: how it is called, its unit, and the most that is wanted."""

_PROBE = 0.001
"""Seconds between two looks at the clock by which stretches of the reactor are found."""

_PATIENCE = 600.0


def main(arguments: list[str] | None = None) -> int:
    """Print the table.  With ``--check`` the exit status is 1 when a bar is missed; 2 is for a wrong command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalogue", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="runs (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="fail when a bar is missed")
    parser.add_argument("--case", choices=("few", "many", "whole"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.case:
        print(json.dumps(_measured(args.case, args.folder)))
        return 0
    found: dict[str, list[float]] = {row: [] for row in ROWS}
    with tempfile.TemporaryDirectory(prefix="pixelboot-benchmark-") as name:
        folder = Path(name)
        for case, count in (("few", FEW), ("many", MANY)):
            fill(folder / case, count)
        for run in range(args.runs):
            print(f"run {run + 1} of {args.runs} …", file=sys.stderr)
            for case in ("few", "many" if run else "whole"):
                for row, value in _in_a_process(case, folder).items():
                    found[row].append(value)
    print(table(found))
    failed = missed(found)
    print("\nMissed:" if failed else "\nEvery bar is met.", *failed, sep="\n  * ")
    return 1 if failed and args.check else 0


def fill(folder: Path, count: int) -> None:
    """Make so many containers, each another one."""
    folder.mkdir()
    for number in range(count):
        parts = {"kernel": f"kernel {number} ".encode() * 20, "initrd": f"initrd {number} ".encode() * 5}
        octets = picture.light(parts, name=f"Distribution {number}")
        (folder / f"distribution-{number}.rts.png").write_bytes(octets)


def missed(found: Mapping[str, Sequence[float]]) -> list[str]:
    """What is more than wanted, as sentences."""
    return [
        f"{told}: {statistics.median(found[row]):.2f} {unit}, at most {limit:g} wanted"
        for row, (told, unit, limit) in ROWS.items()
        if limit is not None and statistics.median(found[row]) > limit
    ]


def table(found: Mapping[str, Sequence[float]]) -> str:
    """The medians, with the least and the greatest."""
    lines = [f"Medians of {len(found['menu'])} runs (least – greatest)", ""]
    for row, (told, unit, limit) in ROWS.items():
        values = found[row]
        spread = f"({min(values):.2f} – {max(values):.2f})"
        wanted = "" if limit is None else f"at most {limit:g} {unit}"
        lines.append(f"{told:58} {statistics.median(values):8.2f} {unit:2} {spread:22} {wanted}".rstrip())
    return "\n".join(lines)


def _in_a_process(case: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.catalogue", "--case", case, "--folder", str(folder)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def _measured(case: str, folder: Path) -> dict[str, float]:
    """One run in this process: values by row."""
    from twisted.internet import reactor as global_reactor
    from twisted.internet.defer import Deferred

    reactor: Any = global_reactor
    found: dict[str, float] = {}
    problems: list[object] = []

    def begin() -> None:
        with_cache = tempfile.TemporaryDirectory(dir=folder)
        measuring = Deferred.fromCoroutine(_run(case, folder, with_cache.name, reactor, found))
        measuring.addTimeout(_PATIENCE, reactor).addErrback(problems.append)
        measuring.addBoth(lambda _: with_cache.cleanup()).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    if problems:
        raise RuntimeError(str(problems[0]))
    return found


async def _run(case: str, folder: Path, cache: str, reactor: Any, found: dict[str, float]) -> None:
    from twisted.internet.task import deferLater

    from pixelboot.boot.seam import Choices, ContainerSettings
    from pixelboot.http.shown import Shown
    from pixelboot.library.library import Library

    def wall() -> float:
        return time.time() + 3600

    stalls, whole = _Stalls(reactor), case == "whole"
    names, count = ("few", FEW) if case == "few" else ("many", MANY)
    before = _resident()
    library = Library([str(folder / names)], cache, reactor, lambda outcome: None, described=gc.freeze, wall=wall)
    started_at = time.monotonic()
    stalls.watch()
    library.startService()
    while not (len(library.containers) == count and all(each.name and each.parts for each in library.containers)):
        await deferLater(reactor, 0.01)
    listed = time.monotonic() - started_at
    if case == "few":
        found["few_listed"] = listed
    else:
        found |= {"listed": listed, "start_stall": stalls.longest() * 1e3}
        containers = library.containers
        at = count // 3
        changed = (*containers[:at], replace(containers[at], description="another"), *containers[at + 1 :])
        shown, choices = Shown("local", 10.0, _turn), Choices()
        for name, write in (("menu", shown.menu), ("listing", shown.listing)):
            found[f"first_{name}"], found[f"first_{name}_whole"] = _timed(write(containers, choices))
            found[name] = _timed(write(containers, choices))[1]
            found[f"changed_{name}"] = _timed(write(changed, choices))[1]
            if name == "menu":
                chosen = choices.having(containers[at].id, ContainerSettings(name="another"))
                found["chosen_menu"] = _timed(write(changed, chosen))[1]
        del containers, changed
        gc.collect()
        found["memory"] = (_resident() - before) / 1e6
        await deferLater(reactor, 0.1)
        stalls.longest()  # that was our own work
        if whole:
            while any(each.state == "decoding" for each in library.containers):
                await deferLater(reactor, 1.0)
            found |= {"verified": time.monotonic() - started_at, "verify_stall": stalls.longest() * 1e3}
            gc.collect()
            found["whole_memory"] = (_resident() - before) / 1e6
    stalls.stop()
    await library.stopService()


@types.coroutine
def _turn() -> Generator[None]:
    """Where the reactor would have its turn."""
    yield


def _timed(work: Coroutine[Any, Any, object]) -> tuple[float, float]:
    """The longest stretch of the work, and all of it, in milliseconds."""
    stretches = []
    while True:
        began_at = time.perf_counter()
        try:
            work.send(None)
        except StopIteration:
            stretches.append(time.perf_counter() - began_at)
            return max(stretches) * 1e3, sum(stretches) * 1e3
        stretches.append(time.perf_counter() - began_at)


class _Stalls:
    """Finds out for how long the reactor does nothing else."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._longest = 0.0
        self._call: Any = None

    def watch(self) -> None:
        """Look at the clock now and again."""
        due_at = time.monotonic() + _PROBE

        def look() -> None:
            self._longest = max(self._longest, time.monotonic() - due_at)
            self.watch()

        self._call = self._reactor.callLater(_PROBE, look)

    def longest(self) -> float:
        """The longest delay of a look since the last question, in seconds."""
        longest, self._longest = self._longest, 0.0
        return longest

    def stop(self) -> None:
        """Look no more."""
        self._call.cancel()


def _resident() -> int:
    """The memory of this process, in octets: proc(5), VmRSS."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS"))


if __name__ == "__main__":
    sys.exit(main())
