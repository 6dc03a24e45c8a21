"""The machine's network interfaces and their IPv4 addresses."""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

ROUTES = "/proc/net/route"
"""Where the kernel tells its IPv4 routes (proc(5))."""

_SIOCGIFCONF = 0x8912
_RTF_UP = 1
_REQUEST_SIZE = 40
"""Octets of one ``struct ifreq`` on 64-bit Linux (netdevice(7))."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface that is up."""

    name: str
    """Its name: ``eno1``."""

    index: int
    """Its number in the kernel."""

    addresses: tuple[IPv4Address, ...]
    """Its IPv4 addresses, the primary one first."""


def interfaces() -> dict[str, Interface]:
    """Every interface by name, those without an IPv4 address too."""
    found: dict[str, list[IPv4Address]] = {name: [] for _, name in socket.if_nameindex()}
    for label, address in _addresses():
        # An address with a label of its own (eth0:1) belongs to the interface in front of the colon.
        found.setdefault(label.split(":")[0], []).append(address)
    numbers = {name: index for index, name in socket.if_nameindex()}
    return {name: Interface(name, numbers[name], tuple(found[name])) for name in found if name in numbers}


def _addresses() -> list[tuple[str, IPv4Address]]:
    """Label and address of every IPv4 address."""
    room = 64 * _REQUEST_SIZE
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        while True:
            buffer = array.array("B", bytes(room))
            answer = fcntl.ioctl(asked, _SIOCGIFCONF, struct.pack("iL", room, buffer.buffer_info()[0]))
            used: int = struct.unpack("iL", answer)[0]
            if used < room:
                break
            room *= 2  # The kernel fills what there is and does not say that there was more.
    octets = buffer.tobytes()
    return [
        (octets[at : at + 16].split(b"\0", 1)[0].decode(), IPv4Address(octets[at + 20 : at + 24]))
        for at in range(0, used, _REQUEST_SIZE)
    ]


def default_interface() -> str:
    """The name of the interface that the default route leaves by, the one of the lowest metric; empty if none does."""
    try:
        with open(ROUTES, encoding="ascii") as table:
            rows = [line.split() for line in table][1:]
    except OSError:
        return ""
    # Name, destination, gateway, flags, reference count, use, metric, mask …
    routes = [(int(row[6]), row[0]) for row in rows if row[1] == row[7] == "00000000" and int(row[3], 16) & _RTF_UP]
    return min(routes)[1] if routes else ""
