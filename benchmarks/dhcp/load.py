"""What asks the servers: `load.c`, compiled when it is wanted, and Kea's perfdhcp as a second opinion."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from benchmarks.dhcp import peers
from lab.machine.kernel import cache_folder
from lab.needs import program
from lab.process import LabError, run

SOURCE = Path(__file__).with_suffix(".c")


@cache
def compiled() -> str:
    """The path of the load's program.

    :raises lab.process.LabError: if there is no compiler.
    """
    source = SOURCE.read_bytes()
    path = cache_folder() / f"dhcp-load-{hashlib.sha256(source).hexdigest()[:16]}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".new")
        run(program("cc"), "-O2", "-std=gnu11", "-o", str(aside), str(SOURCE), timeout=60.0)
        aside.rename(path)
    return str(path)


def words(
    server: str, own: str, group: int, clients: int, rate: float = 0.0, seconds: float = 10.0, most: int = 1 << 30
) -> list[str]:
    """The command line of a load; what these are stands in ``load.c``."""
    return [compiled(), server, own, *(str(word) for word in (group, clients, rate, seconds, most))]


def found(line: str) -> dict[str, float]:
    """What a load found out.

    :raises lab.process.LabError: if a server gave an address that it must not give.
    """
    said: dict[str, float] = json.loads(line)
    wrong = {word: int(said[word]) for word in ("twice", "changed", "foreign") if said.get(word)}
    if wrong:
        raise LabError(f"addresses were given twice, changed, or from elsewhere: {wrong}")
    return said


def perfdhcp(server: str, own: str, rate: int, seconds: float) -> list[str]:
    """The command line of perfdhcp: new machines at a rate, through a relay agent."""
    count = int(rate * seconds)
    return [
        *(str(peers.root() / "usr/sbin/perfdhcp"), "-4", "-l", own, "-r", str(rate), "-n", str(count)),
        *("-R", str(count + 1), "-b", f"mac=00:0c:02:{rate % 256:02x}:00:00", "-W", "500000", server),
    ]


def perfdhcp_found(output: str) -> Mapping[str, float]:
    """The share of exchanges that were ``lost`` in either half, and the mean delays ``offer`` and ``ack`` in ms.

    :raises lab.process.LabError: if it cannot be read.
    """
    halves = {}
    for half in ("DISCOVER-OFFER", "REQUEST-ACK"):
        text = output.partition(f"***Statistics for: {half}***")[2]
        numbers = {
            what: float(match[1])
            for what in ("sent packets", "received packets", "avg delay")
            if (match := re.search(rf"^{what}: ([\d.]+)", text, re.MULTILINE))
        }
        if numbers.get("received packets") == 0.0:
            return {"lost": 1.0, "offer": 0.0, "ack": 0.0}
        if len(numbers) != 3:
            raise LabError(f"perfdhcp said:\n{output[-800:]}")
        halves[half] = numbers
    lost = max(1 - half["received packets"] / half["sent packets"] for half in halves.values())
    offer, ack = (half["avg delay"] for half in halves.values())
    return {"lost": lost, "offer": offer, "ack": ack}
