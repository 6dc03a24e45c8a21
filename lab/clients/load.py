"""Many simulated machines, each of which boots, renews, leaves and comes again, and what became of each.

    python -m lab.clients.load INTERFACE CLIENTS [FIRST]

One socket speaks for all of them: the interface has no address, so the machines ask for broadcast answers.  A machine
discovers or, when it holds a lease, does by chance one of these: it asks for its address again as after a restart
(INIT-REBOOT of RFC 2131 §4.3.2), prolongs its lease (REBINDING), or gives it back.  It rests a moment, and begins anew.
It repeats what is not answered.  Standard output has one JSON object a line, an `Event`; it goes on until the process
is ended.  Machines are numbered from FIRST on.
"""

from __future__ import annotations

import json
import random
import select
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Address
from typing import Any

from lab.clients import message
from lab.clients.message import ACK, DISCOVER, NAK, NOWHERE, OFFER, RELEASE, REQUEST, REQUESTED, SERVER, Message
from lab.network.namespace import Namespace, Segment
from lab.process import Process, Sink

NAME = "load"
"""The source of the lines of a load generator."""

_RECEIVE_BUFFER_FORCE = 33
"""SO_RCVBUFFORCE (Linux, asm-generic/socket.h), for which the socket module has no name."""

_REPEAT = 0.4
"""Seconds a machine waits for an answer."""

_TRIES = 8
"""How often a request is repeated before the machine discovers anew."""

_REST = (0.02, 0.2)
"""Seconds between two boots of a machine, at least and at most."""

_WAYS = ("discover", "reboot", "renew", "release")
_CHANCES = (4, 3, 2, 1)
"""How often a machine that holds a lease does each of these."""

_WANTED = {message.WANTED: bytes((1, 3, 51, 54))}


@dataclass(frozen=True, slots=True)
class Event:
    """What became of one boot."""

    at: float
    """When, in seconds of the monotonic clock."""

    machine: str
    """The machine's MAC address."""

    what: str
    """``bound`` by an ACK, ``refused`` by a NAK, or ``released``: it gave its lease back."""

    way: str
    """How it asked: ``discover`` for a new lease, ``reboot`` for the address it has, or ``renew``."""

    address: str
    """The address it asked for."""

    lease_time: int
    """Of a lease, in seconds; 0 when it was refused or released."""

    waited: float
    """Seconds since it asked for the first time."""


def start(segment: Segment, clients: int, first: int = 0, sink: Sink | None = None) -> Process:
    """Start a load of so many machines on a segment."""
    words = (sys.executable, "-m", "lab.clients.load", "eth0", str(clients), str(first))
    return plugged(segment).start(NAME, *words, sink=sink)


def plugged(segment: Segment) -> Namespace:
    """A namespace whose ``eth0`` takes what is sent to everybody, and to the machines of the segment's network.

    These have its upper three quarters.  Nobody there answers ARP, so that a server which looks finds no address in
    use; the segment's home knows without where they are.
    """
    namespace = segment.client()
    for interface in ("all", "eth0"):
        namespace.write_setting(f"net/ipv4/conf/{interface}/rp_filter", "0")
        namespace.write_setting(f"net/ipv4/conf/{interface}/arp_ignore", "8")
    quarters = list(segment.network.subnets(prefixlen_diff=2))[1:]
    for quarter in quarters:
        namespace.ip("route", "add", "local", str(quarter), "dev", "lo")
    hwaddr = namespace.run("cat", "/sys/class/net/eth0/address").strip()
    known = (f"neighbour replace {host} lladdr {hwaddr} dev {segment.bridge}\n" for each in quarters for host in each)
    batch = segment.folder / "neighbours"
    batch.write_text("".join(known))
    segment.home.ip("-batch", str(batch))
    return namespace


def opened(interface: str) -> socket.socket:
    """A socket by which simulated machines speak and hear on an interface."""
    lan = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    lan.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    lan.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCE, 4 << 20)
    lan.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    lan.bind(("0.0.0.0", 68))
    return lan


EVERYBODY = ("255.255.255.255", 67)
"""Where machines ask."""


def events(process: Process) -> list[Event]:
    """What became of all boots so far."""
    return [Event(**json.loads(line.text)) for line in process.lines if line.text.startswith("{")]


def broken_promises(history: Sequence[Event]) -> list[str]:
    """What a server did that it must not, as sentences; empty when it kept its word.

    A machine that holds a lease gets the same address again and is never refused it, and no address has two holders.
    What was given back is nobody's.
    """
    broken = []
    lease_of: dict[str, Event] = {}
    holder_of: dict[str, Event] = {}
    for event in history:
        mine = lease_of.get(event.machine)
        holds = mine is not None and event.at < mine.at + mine.lease_time
        if event.what == "refused":
            if holds and event.way != "discover":
                broken.append(f"{event.machine} was refused {event.address}, which it holds")
            continue
        if mine is not None and holds and mine.address != event.address:
            broken.append(f"{event.machine} held {mine.address} and was given {event.address}")
        other = holder_of.get(event.address)
        if other is not None and other.machine != event.machine and event.at < other.at + other.lease_time:
            broken.append(f"{event.address} was given to {event.machine} while {other.machine} held it")
        lease_of[event.machine] = holder_of[event.address] = event
    return broken


@dataclass(slots=True)
class _Machine:
    """One simulated machine."""

    hwaddr: bytes
    address: IPv4Address | None = None
    """The address of its lease."""

    server: bytes = b""
    """Who gave it."""

    waits_for: int = 0
    """The message it waits for, `OFFER` or `ACK`; 0 while it rests."""

    way: str = "discover"
    datagram: bytes = b""
    """What it sent last."""

    xid: int = 0
    asked: IPv4Address = NOWHERE
    asked_at: float = 0.0
    due_at: float = field(default_factory=time.monotonic)
    """When it repeats or, at rest, begins anew."""

    tries: int = 0

    @property
    def name(self) -> str:
        return self.hwaddr.hex(":")

    def due(self, now: float) -> tuple[bytes, Event | None]:
        """Its time has come: what it sends, and what became of its lease by that."""
        if self.waits_for and self.tries < _TRIES:
            self.tries += 1
            self.due_at = now + _REPEAT
            return self.datagram, None
        self.xid, self.asked_at = random.getrandbits(32), now
        holds = self.address is not None and not self.waits_for
        self.way = random.choices(_WAYS, _CHANCES)[0] if holds else "discover"
        if self.address is None or self.way == "discover":
            return self._ask(now, OFFER, message.request(DISCOVER, self.xid, self.hwaddr, _WANTED)), None
        self.asked = self.address
        if self.way == "release":
            self.address, self.due_at = None, now + random.uniform(*_REST)
            octets = message.request(RELEASE, self.xid, self.hwaddr, {SERVER: self.server}, self.asked)
            return octets, self._event(now, "released", 0)
        if self.way == "reboot":
            options = {REQUESTED: self.asked.packed, **_WANTED}
            return self._ask(now, ACK, message.request(REQUEST, self.xid, self.hwaddr, options)), None
        return self._ask(now, ACK, message.request(REQUEST, self.xid, self.hwaddr, _WANTED, self.asked)), None

    def received(self, answer: Message, now: float) -> bytes | Event | None:
        """An answer with its transaction id: what it sends on it, or what became of the boot."""
        if answer.kind == OFFER and self.waits_for == OFFER and answer.server:
            self.asked, self.server = answer.yiaddr, answer.server
            options = {REQUESTED: self.asked.packed, SERVER: self.server, **_WANTED}
            return self._ask(now, ACK, message.request(REQUEST, self.xid, self.hwaddr, options))
        if self.waits_for != ACK or answer.kind not in (ACK, NAK):
            return None
        self.waits_for = 0
        self.due_at = now + random.uniform(*_REST)
        if answer.kind == NAK:
            self.address = None
            return self._event(now, "refused", 0)
        self.address = self.asked = answer.yiaddr
        return self._event(now, "bound", answer.lease_time)

    def _event(self, now: float, what: str, lease_time: int) -> Event:
        return Event(now, self.name, what, self.way, str(self.asked), lease_time, now - self.asked_at)

    def _ask(self, now: float, answer: int, datagram: bytes) -> bytes:
        self.datagram = datagram
        self.waits_for, self.tries, self.due_at = answer, 0, now + _REPEAT
        return datagram


def generate(interface: str, count: int, first: int) -> None:
    """Let `count` machines boot again and again, for ever."""
    hwaddrs = (b"\x02\xbb" + number.to_bytes(4) for number in range(first, first + count))
    machines = {hwaddr: _Machine(hwaddr) for hwaddr in hwaddrs}
    with opened(interface) as lan:
        while True:
            now = time.monotonic()
            for machine in machines.values():
                if machine.due_at <= now:
                    octets, event = machine.due(now)
                    # Said before it is done: whoever gives back is not asked whether the server has heard of it.
                    _say(event)
                    lan.sendto(octets, EVERYBODY)
            wait = min(machine.due_at for machine in machines.values()) - time.monotonic()
            while select.select([lan], [], [], max(wait, 0))[0]:
                _answered(lan, machines)
                wait = 0


def _answered(lan: socket.socket, machines: dict[bytes, _Machine]) -> None:
    answer = message.decode(lan.recv(1500))
    machine = machines.get(answer.hwaddr)
    if machine is None or machine.xid != answer.xid:
        return
    result: Any = machine.received(answer, time.monotonic())
    if isinstance(result, Event):
        _say(result)
    elif result is not None:
        lan.sendto(result, EVERYBODY)


def _say(event: Event | None) -> None:
    if event is not None:
        print(json.dumps(asdict(event)), flush=True)


if __name__ == "__main__":
    generate(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if sys.argv[3:] else 0)
