"""What asks the servers: `load.c`, compiled when it is wanted."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from lab.machine.kernel import cache_folder
from lab.needs import program
from lab.process import LabError, run

SERVER, OWN = "192.0.2.1", "192.0.2.2"
"""The address where every server listens, in a network of its own, and that of the load's end of the cable."""

PORT = 8080
"""Where every server listens."""

CLIENTS = "198.51.100.0/24"
"""The network that connections come from: one computer with many addresses."""

SOURCE = Path(__file__).with_suffix(".c")

_MOST_ADDRESSES = 250
"""The connections have so many addresses between them."""


@cache
def compiled() -> str:
    """The path of the load's program.

    :raises lab.process.LabError: if there is no compiler.
    """
    source = SOURCE.read_bytes()
    path = cache_folder() / f"http-load-{hashlib.sha256(source).hexdigest()[:16]}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".new")
        run(program("cc"), "-O2", "-std=gnu11", "-o", str(aside), str(SOURCE), timeout=60.0)
        aside.rename(path)
    return str(path)


def words(path: str, size: int, connections: int, *options: str) -> list[str]:
    """The command line of a load of a file of so many octets; the options stand in ``load.c``.

    Every connection has an address of its own, as far as there are 250.
    """
    addresses = min(connections, _MOST_ADDRESSES)
    return [compiled(), "-c", str(connections), "-L", str(addresses), *options, SERVER, str(PORT), path, str(size)]


def said(line: str) -> dict[str, float]:
    """What a load found out; what it said of an error is not part of it."""
    return {key: float(value) for key, value in json.loads(line).items() if key != "error"}


def found(line: str) -> dict[str, float]:
    """What a load found out that must have got something.

    :raises lab.process.LabError: if it got no answer at all.
    """
    numbers = said(line)
    if not numbers["good"]:
        raise LabError(f"nobody got an answer: {json.loads(line)['error'] or line}")
    return numbers
