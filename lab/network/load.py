"""Many simulated DHCP clients, each of which boots again and again, and what became of each boot.

    python -m lab.network.load INTERFACE CLIENTS

One socket speaks for all of them: the interface has no address, so the clients ask for broadcast answers.  A client
discovers or, when it holds a lease, asks by chance for its address again as after a restart (INIT-REBOOT of RFC 2131
§4.3.2); it rests a moment, and begins anew.  It repeats what is not answered.  Standard output has one JSON object a
line, an `Event`; it goes on until the process is ended.
"""

from __future__ import annotations

import json
import random
import select
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Address
from typing import Any

from lab.network.namespace import Namespace
from lab.process import Process, Sink

NAME = "load"
"""The source of the lines of a load generator."""

DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6

_MAGIC = b"\x63\x82\x53\x63"
_HEAD = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s")
_REPEAT = 0.4
"""Seconds a client waits for an answer."""

_TRIES = 8
"""How often a request is repeated before the client discovers anew."""

_REST = (0.02, 0.2)
"""Seconds between two boots of a client, at least and at most."""


@dataclass(frozen=True, slots=True)
class Event:
    """What became of one boot."""

    at: float
    """When, in seconds of the monotonic clock."""

    machine: str
    """The client's MAC address."""

    what: str
    """``bound`` by an ACK, or ``refused`` by a NAK."""

    way: str
    """How it asked: ``discover`` for a new lease, or ``reboot`` for the address it has."""

    address: str
    """The address it asked for."""

    lease_time: int
    """Of a lease, in seconds; 0 when it was refused."""


def start(namespace: Namespace, clients: int, sink: Sink | None = None) -> Process:
    """Start a load of so many clients on ``eth0`` of a namespace."""
    namespace.write_setting("net/ipv4/conf/all/rp_filter", "0")
    namespace.write_setting("net/ipv4/conf/eth0/rp_filter", "0")
    return namespace.start(NAME, sys.executable, "-m", "lab.network.load", "eth0", str(clients), sink=sink)


def events(process: Process) -> list[Event]:
    """What became of all boots so far."""
    return [Event(**json.loads(line.text)) for line in process.lines if line.text.startswith("{")]


def broken_promises(history: list[Event]) -> list[str]:
    """What a server did that it must not, as sentences; empty when it kept its word.

    A machine that holds a lease gets the same address again and is never refused it, and no address has two holders.
    """
    broken = []
    lease_of: dict[str, Event] = {}
    holder_of: dict[str, Event] = {}
    for event in history:
        mine = lease_of.get(event.machine)
        holds = mine is not None and event.at < mine.at + mine.lease_time
        if event.what == "refused":
            if holds and event.way == "reboot":
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
class _Client:
    """One simulated machine."""

    hwaddr: bytes
    address: IPv4Address | None = None
    """The address of its lease."""

    waits_for: int = 0
    """The message it waits for, `OFFER` or `ACK`; 0 while it rests."""

    way: str = "discover"
    datagram: bytes = b""
    """What it sent last."""

    xid: int = 0
    asked: IPv4Address = field(default_factory=lambda: IPv4Address(0))
    due_at: float = 0.0
    """When it repeats or, at rest, begins anew."""

    tries: int = 0

    @property
    def name(self) -> str:
        return self.hwaddr.hex(":")

    def due(self, now: float) -> bytes:
        """Its time has come: what it sends."""
        if self.waits_for and self.tries < _TRIES:
            self.tries += 1
            self.due_at = now + _REPEAT
            return self.datagram
        self.xid = random.getrandbits(32)
        if self.address is not None and not self.waits_for and random.random() < 0.5:
            self.way, self.asked = "reboot", self.address
            return self._ask(now, ACK, REQUEST, _option(50, self.address.packed))
        self.way = "discover"
        return self._ask(now, OFFER, DISCOVER, b"")

    def received(self, kind: int, address: IPv4Address, options: dict[int, bytes], now: float) -> bytes | Event | None:
        """An answer with its transaction id: what it sends on it, or what became of the boot."""
        if kind == OFFER and self.waits_for == OFFER and 54 in options:
            self.asked = address
            return self._ask(now, ACK, REQUEST, _option(50, address.packed) + _option(54, options[54]))
        if self.waits_for != ACK or kind not in (ACK, NAK):
            return None
        self.waits_for = 0
        self.due_at = now + random.uniform(*_REST)
        if kind == NAK:
            self.address = None
            return Event(now, self.name, "refused", self.way, str(self.asked), 0)
        self.address = address
        lease_time = int.from_bytes(options.get(51, b""))
        return Event(now, self.name, "bound", self.way, str(address), lease_time)

    def _ask(self, now: float, answer: int, kind: int, options: bytes) -> bytes:
        nothing = bytes(4)
        head = _HEAD.pack(
            *(1, 1, 6, 0, self.xid, 0, 0x8000, nothing, nothing, nothing, nothing),
            *(self.hwaddr, b"", b""),
        )
        tail = _option(53, bytes([kind])) + options + _option(55, bytes([1, 3, 51, 54])) + b"\xff"
        self.datagram = (head + _MAGIC + tail).ljust(300, b"\0")
        self.waits_for, self.tries, self.due_at = answer, 0, now + _REPEAT
        return self.datagram


def _option(code: int, content: bytes) -> bytes:
    return bytes([code, len(content)]) + content


def _decode(datagram: bytes) -> tuple[bytes, int, IPv4Address, dict[int, bytes]]:
    """Client hardware address, transaction id, the client's address and the options of a server's answer."""
    fields = _HEAD.unpack_from(datagram)
    options: dict[int, bytes] = {}
    at = _HEAD.size + len(_MAGIC)
    while at + 1 < len(datagram) and datagram[at] != 255:
        if datagram[at] == 0:
            at += 1
            continue
        size = datagram[at + 1]
        options[datagram[at]] = datagram[at + 2 : at + 2 + size]
        at += 2 + size
    return fields[11][:6], fields[4], IPv4Address(fields[8]), options


def generate(interface: str, count: int) -> None:
    """Let `count` clients boot again and again, for ever."""
    clients = {mac: _Client(mac) for mac in (b"\x02\xbb" + number.to_bytes(4) for number in range(count))}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lan:
        lan.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        lan.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        lan.bind(("0.0.0.0", 68))
        while True:
            now = time.monotonic()
            for client in clients.values():
                if client.due_at <= now:
                    lan.sendto(client.due(now), ("255.255.255.255", 67))
            wait = min(client.due_at for client in clients.values()) - time.monotonic()
            while select.select([lan], [], [], max(wait, 0))[0]:
                _answered(lan, clients)
                wait = 0


def _answered(lan: socket.socket, clients: dict[bytes, _Client]) -> None:
    hwaddr, xid, address, options = _decode(lan.recv(1500))
    client = clients.get(hwaddr)
    if client is None or client.xid != xid:
        return
    result: Any = client.received(options.get(53, b"\0")[0], address, options, time.monotonic())
    if isinstance(result, Event):
        print(json.dumps(asdict(result)), flush=True)
    elif result is not None:
        lan.sendto(result, ("255.255.255.255", 67))


if __name__ == "__main__":
    generate(sys.argv[1], int(sys.argv[2]))
