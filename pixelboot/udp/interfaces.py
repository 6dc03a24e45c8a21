"""The machine's network interfaces and their IPv4 addresses, as netdevice(7) tells them: no privilege is needed."""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from pixelboot.hwaddr import HardwareAddress

ROUTES = "/proc/net/route"
"""Where the kernel tells its IPv4 routes (proc(5))."""
NAMES = "/proc/net/dev"
"""Where the kernel tells its interfaces; those without an IPv4 address too."""

ETHERNET_MTU = 1500
"""Octets of IPv4 in a frame, unless an interface says otherwise."""
MTU_KEPT = 5.0
"""Seconds for which `Mtus` does not ask the kernel again."""
MOST_MTUS = 256
"""Interfaces that `Mtus` knows at a time; those of containers come and go, each with a name of its own."""

_SIOCGIFCONF = 0x8912
_SIOCGIFNETMASK = 0x891B
_SIOCGIFMTU = 0x8921
_SIOCGIFHWADDR = 0x8927
_SIOCGIFINDEX = 0x8933
_ARPHRD_ETHER = 1
_RTF_UP = 1
_REQUEST = struct.Struct("@16s24s")
"""``struct ifreq`` of 64-bit Linux: the interface's name, and what is asked or told."""
_ADDRESS = struct.Struct("@H2x4s")
"""``struct sockaddr_in`` without what follows the address: family, no port, address."""

Label = tuple[str, IPv4Address]
"""Label and address; an address with a label of its own (eth0:1) belongs to the interface before the colon."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface."""

    name: str
    """Its name: ``eno1``."""

    index: int
    """Its number in the kernel."""

    addresses: tuple[IPv4Address, ...]
    """Its IPv4 addresses, the primary one first."""

    networks: tuple[IPv4Network, ...] = ()
    """The networks that those addresses are in, in their order; one of a single address beyond a tunnel."""

    hwaddr: HardwareAddress | None = None
    """Its link address; None of what is no Ethernet."""

    mtu: int = ETHERNET_MTU
    """Octets of the longest IPv4 packet that it takes."""


def interfaces() -> dict[str, Interface]:
    """Every interface by name, those that are down or have no IPv4 address too.

    :raises OSError: if the kernel does not tell.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        labels: dict[str, list[Label]] = {}
        for label in _labels(asked):
            labels.setdefault(label[0].partition(":")[0], []).append(label)
        read = (_read(asked, name, labels.get(name, [])) for name in _names())
        return {each.name: each for each in read if each is not None}


class Mtus:
    """The MTUs of interfaces, asked for every `MTU_KEPT` seconds at the most."""

    def __init__(self, gone: Callable[[], object] = lambda: None) -> None:
        """`gone` is called when there is no interface of a name: it may have been given another one."""
        self._gone = gone
        self._known: dict[str, tuple[int, float]] = {}

    def of(self, name: str, now: float) -> int:
        """Octets of the longest packet that the interface takes, or Ethernet's where there is no interface of the name.

        `now` is any clock's that does not go back.
        """
        mtu, until = self._known.get(name, (0, now))
        if now < until:
            return mtu
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
                mtu = struct.unpack_from("@i", _ask(asked, _SIOCGIFMTU, name))[0]
        except OSError:
            mtu = ETHERNET_MTU
            self._gone()
        if len(self._known) >= MOST_MTUS:
            self._known.clear()
        self._known[name] = (mtu, now + MTU_KEPT)
        return mtu


def _names() -> Iterator[str]:
    with open(NAMES, encoding="utf-8", errors="surrogateescape") as table:
        for line in list(table)[2:]:
            yield line.partition(":")[0].strip()


def _read(asked: socket.socket, name: str, labels: list[Label]) -> Interface | None:
    """What there is to know of one interface; None if it has just gone."""
    try:
        index: int = struct.unpack_from("@i", _ask(asked, _SIOCGIFINDEX, name))[0]
        mtu: int = struct.unpack_from("@i", _ask(asked, _SIOCGIFMTU, name))[0]
        kind, octets = struct.unpack_from("@H6s", _ask(asked, _SIOCGIFHWADDR, name))
        networks = []
        for label, address in labels:
            told = _ask(asked, _SIOCGIFNETMASK, label, _ADDRESS.pack(socket.AF_INET, address.packed))
            mask = IPv4Address(_ADDRESS.unpack_from(told)[1])
            networks.append(IPv4Network((int(address) & int(mask), str(mask))))
    except OSError:
        return None
    hwaddr = HardwareAddress(octets) if kind == _ARPHRD_ETHER else None
    return Interface(name, index, tuple(address for _, address in labels), tuple(networks), hwaddr, mtu)


def _ask(asked: socket.socket, number: int, name: str, value: bytes = b"") -> bytes:
    """What the kernel answers to one question about an interface, or one of its addresses."""
    packed = _REQUEST.pack(name.encode("utf-8", "surrogateescape"), value)
    return fcntl.ioctl(asked, number, packed)[16:]


def _labels(asked: socket.socket) -> Iterator[Label]:
    """Label and address of every IPv4 address."""
    room = 64 * _REQUEST.size
    while True:
        buffer = array.array("B", bytes(room))
        answer = fcntl.ioctl(asked, _SIOCGIFCONF, struct.pack("iL", room, buffer.buffer_info()[0]))
        used: int = struct.unpack("iL", answer)[0]
        if used < room:
            break
        room *= 2  # The kernel fills what there is and does not say that there was more.
    for name, value in _REQUEST.iter_unpack(buffer.tobytes()[:used]):
        label = name.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
        yield label, IPv4Address(_ADDRESS.unpack_from(value)[1])


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
