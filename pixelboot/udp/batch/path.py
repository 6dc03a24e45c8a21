"""Peers as the kernel names them, and the way to each.

family  port  address (4), zeros (8)                          ip(7): 16 octets
family  port  flow (4), address (16), interface (4)         ipv6(7): 28 octets
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from pixelboot.udp.sockets import IP_PKTINFO, Control, pinned

Peer = bytes
"""A peer's address and UDP port: a ``sockaddr_in`` or ``sockaddr_in6``."""

Address = IPv4Address | IPv6Address

SIZES = {socket.AF_INET: 16, socket.AF_INET6: 28}
"""Octets of a peer, by the socket's family."""

LARGEST_SEND = 65_000
"""Octets of one send: what IPv4 can carry, and a little less."""

_IPV6_PKTINFO = socket.IPV6_PKTINFO
_V4 = struct.Struct("=HH4s8x")
_V6 = struct.Struct("=HHI16sI")
_TOLD4 = struct.Struct("=I4s4s")
_TOLD6 = struct.Struct("=16sI")
TOLD = {socket.AF_INET: _TOLD4.size, socket.AF_INET6: _TOLD6.size}
"""Octets that the kernel tells of where a datagram arrived (``in_pktinfo``, ``in6_pktinfo``), by the family."""


NOTHING: Control = []
"""What the kernel is told where the address of ours is left to it; one object, so that it is found to be the same."""


@dataclass(slots=True, eq=False)
class Path:
    """The way to one peer, made once for all datagrams that take it, and what is learned about it meanwhile."""

    peer: Peer
    """Where they go."""

    control: Control = field(default_factory=lambda: NOTHING, repr=False)
    """What the kernel is told with each: the address of ours that they come from (see `Place.control`)."""

    too_long: int = field(default=LARGEST_SEND // 2, repr=False)
    """Octets from which on datagrams are not cut out of one send on this way, as far as that is known."""


class Place(NamedTuple):
    """Where datagrams arrive that the kernel tells the same of."""

    interface: str
    """Name of the interface."""

    local: Address
    """Our address that was asked or, where everybody was, the interface's own."""

    to_everybody: bool
    """Whether it was sent to a broadcast or multicast address."""

    control: Control
    """Sends a reply from `local`."""


def packed(address: Address, port: int, interface: int = 0) -> Peer:
    """A peer; `interface` is the number of the one that a link-local address belongs to."""
    if isinstance(address, IPv4Address):
        return _V4.pack(socket.AF_INET, socket.htons(port), address.packed)
    return _V6.pack(socket.AF_INET6, socket.htons(port), 0, address.packed, interface)


def port(peer: Peer) -> int:
    """The peer's UDP port."""
    return int.from_bytes(peer[2:4])


def octets(peer: Peer) -> bytes:
    """The peer's address, 4 or 16 octets."""
    return peer[4:8] if len(peer) == 16 else peer[8:24]


@lru_cache(maxsize=4096)
def address_of(found: bytes) -> Address:
    """The address that these 4 or 16 octets are."""
    return IPv4Address(found) if len(found) == 4 else IPv6Address(found)


@lru_cache(maxsize=4096)
def text(found: bytes) -> str:
    """The same for a person to read."""
    return str(address_of(found))


def name(peer: Peer) -> tuple[str, int] | tuple[str, int, int, int]:
    """The peer as Python's sockets take it."""
    if len(peer) == 16:
        return socket.inet_ntoa(peer[4:8]), port(peer)
    _, _, flow, found, interface = _V6.unpack(peer)
    return socket.inet_ntop(socket.AF_INET6, found), port(peer), flow, interface


def named(found: tuple[str, int] | tuple[str, int, int, int]) -> Peer:
    """The peer that Python's sockets give as `found`."""
    if len(found) == 2:
        return _V4.pack(socket.AF_INET, socket.htons(found[1]), socket.inet_aton(found[0]))
    host = found[0].partition("%")[0]
    return _V6.pack(
        socket.AF_INET6, socket.htons(found[1]), found[2], socket.inet_pton(socket.AF_INET6, host), found[3]
    )


@lru_cache(maxsize=256)
def place(told: bytes) -> Place:
    """What the kernel means by ``in_pktinfo`` or ``in6_pktinfo``."""
    if len(told) == _TOLD4.size:
        # Of a broadcast our address is the interface's own (ipi_spec_dst), not the one in the header (ipi_addr).
        index, spec_dst, sent_to = _TOLD4.unpack(told)
        local = IPv4Address(spec_dst)
        return Place(_interface(index), local, spec_dst != sent_to, pinned(local, 0))
    found, index = _TOLD6.unpack(told)
    asked = IPv6Address(found)
    pinning = [(socket.IPPROTO_IPV6, _IPV6_PKTINFO, _TOLD6.pack(found, index if asked.is_link_local else 0))]
    return Place(_interface(index), asked, asked.is_multicast, [] if asked.is_multicast else pinning)


def tell(opened: socket.socket, wish: bool) -> None:
    """Have the kernel say, or not, with each datagram where it arrived."""
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, int(wish))
    else:
        opened.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, int(wish))


def _interface(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:  # It went while the datagram waited.
        return f"interface {index}"
