"""Many machines that are switched on at the same moment, as after a power cut.

    python -m lab.clients.crowd INTERFACE COUNT LIMIT [KNOWN]

One socket speaks for all of them; what is not answered is asked again after a second, and then after twice as long each
time.  In KNOWN, a file, stands what address each got the last time: every other machine asks for its address again as
an operating system does (INIT-REBOOT), the rest discover as firmware does.  Standard output is one JSON object: by MAC
address what a machine got, `Got`.  It ends when all have an address, or after LIMIT seconds.
"""

from __future__ import annotations

import json
import random
import select
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address
from pathlib import Path

from lab.clients import message
from lab.clients.load import EVERYBODY, opened
from lab.clients.message import ACK, DISCOVER, NAK, OFFER, REQUEST, REQUESTED, SERVER
from lab.network.namespace import Namespace
from lab.process import LabError


@dataclass(frozen=True, slots=True)
class Got:
    """What became of one machine."""

    address: str
    """The address that it holds."""

    seconds: float
    """From its power-on until it had the address."""

    tries: int
    """How often it had to ask for something again."""

    refusals: int
    """How often it was told that it must not have what it asked for."""


def switch_on(
    namespace: Namespace, folder: Path, count: int, limit: float, known: Mapping[str, Got] | None = None
) -> dict[str, Got]:
    """Switch `count` machines on, on ``eth0`` of a namespace; what those got that have an address within `limit` s.

    What a crowd of theirs is `known` to have got goes through a file in `folder`.

    :raises lab.process.LabError: if the crowd's program fails.
    """
    for interface in ("all", "eth0"):
        namespace.write_setting(f"net/ipv4/conf/{interface}/rp_filter", "0")
    words = [sys.executable, "-m", "lab.clients.crowd", "eth0", str(count), str(limit)]
    if known is not None:
        file = folder / "known"
        file.write_text(json.dumps({machine: got.address for machine, got in known.items()}))
        words.append(str(file))
    with namespace.start("crowd", *words) as process:
        if process.wait(limit + 30.0) != 0:
            raise LabError(f"the crowd failed:\n{process.tail()}")
        return {machine: Got(**got) for machine, got in json.loads(process.lines[-1].text).items()}


class _Machine:
    """One simulated machine."""

    def __init__(self, hwaddr: bytes, address: str, now: float) -> None:
        self.hwaddr = hwaddr
        self.got: Got | None = None
        self._started_at = now
        self._tries = -1
        self._refusals = 0
        self._ask(ACK if address else OFFER, address)
        self.due_at = now

    def _ask(self, waits_for: int, address: str, server: bytes = b"") -> None:
        self._waits_for = waits_for
        self.xid = random.getrandbits(32)
        options = {}
        if waits_for == ACK:
            options[REQUESTED] = IPv4Address(address).packed
        if server:
            options[SERVER] = server
        kind = DISCOVER if waits_for == OFFER else REQUEST
        self._datagram = message.request(kind, self.xid, self.hwaddr, options)
        self._wait = 1.0

    def due(self, now: float) -> bytes:
        """Its time has come: what it sends."""
        self._tries += 1
        self.due_at = now + self._wait * random.uniform(0.8, 1.2)
        self._wait *= 2
        return self._datagram

    def received(self, answer: message.Message, now: float) -> bool:
        """Whether it has something to say at once."""
        if self._waits_for == OFFER and answer.kind == OFFER:
            self._ask(ACK, str(answer.yiaddr), answer.server)
        elif self._waits_for == ACK and answer.kind == NAK:
            self._refusals += 1
            self._ask(OFFER, "")
        elif self._waits_for == ACK and answer.kind == ACK:
            self.got = Got(str(answer.yiaddr), now - self._started_at, max(self._tries, 0), self._refusals)
            return False
        else:
            return False
        # What follows an answer is not asked again.
        self._tries -= 1
        return True


def generate(interface: str, count: int, limit: float, known: Mapping[str, str]) -> dict[str, Got]:
    """Let `count` machines ask until all have an address, or `limit` seconds are over."""
    now = time.monotonic()
    machines = {}
    for number in range(count):
        hwaddr = b"\x02\xcc" + number.to_bytes(4)
        address = known.get(hwaddr.hex(":"), "") if number % 2 else ""
        machines[hwaddr] = _Machine(hwaddr, address, now)
    waiting = dict(machines)
    end = now + limit
    with opened(interface) as lan:
        while waiting and (now := time.monotonic()) < end:
            for machine in waiting.values():
                if machine.due_at <= now:
                    lan.sendto(machine.due(now), EVERYBODY)
            wait = min(machine.due_at for machine in waiting.values()) - time.monotonic()
            while waiting and select.select([lan], [], [], max(wait, 0))[0]:
                wait = 0
                answer = message.decode(lan.recv(1500))
                one = waiting.get(answer.hwaddr)
                if one is None or one.xid != answer.xid:
                    continue
                now = time.monotonic()
                if one.received(answer, now):
                    lan.sendto(one.due(now), EVERYBODY)
                elif one.got is not None:
                    del waiting[answer.hwaddr]
    return {hwaddr.hex(":"): machine.got for hwaddr, machine in machines.items() if machine.got is not None}


def main() -> None:
    """Be a crowd; see the module."""
    interface, count, limit, *file = sys.argv[1:]
    known = json.loads(Path(file[0]).read_text()) if file else {}
    got = generate(interface, int(count), float(limit), known)
    print(json.dumps({machine: asdict(each) for machine, each in got.items()}), flush=True)


if __name__ == "__main__":
    main()
