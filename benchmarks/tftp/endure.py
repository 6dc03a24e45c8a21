"""What pixelboot alone has to stand: as many transfers as a machine room makes, and more than any would."""

from __future__ import annotations

import signal
import sys
import time

from benchmarks.tftp import load, scenarios
from benchmarks.tftp.scenarios import BLKSIZE, MANY
from benchmarks.tftp.servers import PIXELBOOT, ROOMY
from benchmarks.tftp.stand import LONGEST, Running, Stand
from lab.process import LabError

FEW, TRANSFERS = 1_000, 10_000
"""Transfers at once, of which the second has so much more memory than the first."""

OPEN_FILES = 1024
"""What pixelboot may have open meanwhile, which is what Linux admits when nobody says otherwise."""

REQUESTS, GARBAGE, RATE = 50_000, 10_000, 10_000
"""The flood: requests that nobody goes on with, datagrams that are none, and how many of both a second."""

GIVEN_UP = 40.0
"""Seconds after which pixelboot has given up on clients that do not answer (``tftp.timeout``, ``tftp.retries``)."""

_BLOCK = 2
"""The block that clients hold back the ACK of: both it and the one before have been sent."""


def transfers(stand: Stand) -> dict[str, float]:
    """``slope`` is the octets of memory that a running transfer costs, of as many as ``held`` says.

    It is nothing to go by where that is not what it should be; the others are among ``failed`` then.

    :raises lab.process.LabError: if the server or the load fails.
    """
    few, many = _held(stand, FEW), _held(stand, TRANSFERS)
    return {
        "slope": (many["memory"] - few["memory"]) / max(1.0, many["held"] - few["held"]),
        "held": many["held"],
        "memory": many["memory"],
        "seconds": many["seconds"],
        **{key: few[key] + many[key] for key in ("failed", "wrong")},
    }


def _held(stand: Stand, count: int) -> dict[str, float]:
    """What the server has while so many clients all have two blocks of a file and wait; then they finish."""
    options = ("-b", str(BLKSIZE), "-F", str(MANY), "-H", str(_BLOCK), "-x", "60")
    words = load.words(ROOMY.address, stand.files, "many", count, count, *options)
    with stand.running(ROOMY, OPEN_FILES) as running, stand.start(words) as process:
        held = process.wait_for(r"^held (\d+)$", LONGEST)
        memory = running.memory()
        process.send_signal(signal.SIGUSR1)
        if process.wait(LONGEST) != 0:
            raise LabError(f"the load has failed:\n{process.tail()}")
        said = load.found(process.lines[-1].text)
    return {**said, "memory": float(memory), "held": float(held[1])}


def flood(stand: Stand) -> dict[str, float]:
    """The wait for the first DATA and the memory, ``before`` a flood, ``at_once`` after it, and ``later``.

    Later is when nothing can be left of it.

    :raises lab.process.LabError: if the server or the load fails.
    """
    numbers = (str(number) for number in (REQUESTS, GARBAGE, RATE))
    words = [sys.executable, "-m", "benchmarks.tftp.flood", PIXELBOOT.address, *numbers]
    with stand.running(PIXELBOOT) as running:
        _usual(stand, running)
        before = _usual(stand, running)
        with stand.start(words) as process:
            process.wait_for("^flooded$", LONGEST)
            at_once = _usual(stand, running)
            time.sleep(GIVEN_UP)
            later = _usual(stand, running)
    looks = {"before": before, "at_once": at_once, "later": later}
    found = {f"{key}_{when}": look[key] for when, look in looks.items() for key in ("first_p50", "first_p99", "memory")}
    return found | {key: sum(look[key] for look in looks.values()) for key in ("failed", "wrong")}


def _usual(stand: Stand, running: Running) -> dict[str, float]:
    said = stand.ask(running, scenarios.usual(PIXELBOOT, stand.files)).said
    return {**said, "memory": float(running.memory())}


FOUND = {"transfers": transfers, "flood": flood}
"""By the key of the scenario, as it is named on the command line."""
