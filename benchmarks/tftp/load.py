"""What asks the servers: `load.c`, compiled when it is wanted."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from lab.machine.kernel import cache_folder
from lab.needs import program
from lab.process import LabError, run

PORT = 69
"""Where every server listens, in a network of its own."""

SOURCE = Path(__file__).with_suffix(".c")

_MOST_ADDRESSES = 250
"""The load's clients have so many addresses between them."""


@cache
def compiled() -> str:
    """The path of the load's program.

    :raises lab.process.LabError: if there is no compiler.
    """
    source = SOURCE.read_bytes()
    path = cache_folder() / f"tftp-load-{hashlib.sha256(source).hexdigest()[:16]}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".new")
        run(program("cc"), "-O2", "-std=gnu11", "-o", str(aside), str(SOURCE), timeout=60.0)
        aside.rename(path)
    return str(path)


def words(server: str, files: Path, name: str, clients: int = 1, downloads: int = 1, *options: str) -> list[str]:
    """The command line of a load; what these are, and more options, stands in ``load.c``.

    Every client has an address of its own, as far as there are 250.
    """
    numbers = ("-c", clients, "-n", downloads, "-L", min(clients, _MOST_ADDRESSES))
    return [compiled(), *(str(word) for word in numbers), *options, server, str(PORT), str(files), name]


def found(line: str) -> dict[str, float]:
    """What a load found out; what it said of an error is not part of it.

    :raises lab.process.LabError: if nobody got a file.
    """
    said = json.loads(line)
    error = said.pop("error")
    if not said["good"]:
        raise LabError(f"nobody got a file: {error or said}")
    return {key: float(value) for key, value in said.items()}
