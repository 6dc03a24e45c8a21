"""UDP sockets: how they are opened, and what is said to the kernel with each datagram."""

from __future__ import annotations

import errno
import socket
import struct
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

from pixelboot.udp.interfaces import Interface

BUFFER = 4 << 20
"""Octets of the socket's buffers that we ask for: a thousand machines may ask in the same moment."""

ANYWHERE = IPv4Address(0)

Control = list[tuple[int, int, bytes]]
"""Ancillary data of a datagram: level, kind, octets."""

# Not named by the socket module of Python 3.11 (ip(7), udp(7)).
_IP_MTU_DISCOVER = 10
_IP_PMTUDISC_DONT = 0
IP_PKTINFO = 8
PKTINFO = struct.Struct("=I4s4s")
"""What the kernel tells and is told of addresses of ours: interface, local address, destination in the header."""
_UDP_SEGMENT = 103
_SEGMENT = struct.Struct("=H")
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33

NOT_SEGMENTED = frozenset({errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT})
"""The kernel does not `cut` datagrams that are too long for the link, nor where the interface does not compute
checksums, nor when it is too old (udp(7))."""


def open_socket(interface: Interface | None, port: int, address: IPv4Address | IPv6Address = ANYWHERE) -> socket.socket:
    """A socket that receives what arrives at UDP `port` of `address`, by `interface` or by any; port 0 is any free one.

    It may not broadcast, so that nobody who forges his address makes us do so; `UdpPort` sees to it where we have to.

    :raises OSError: when the port is taken, the address is none of ours, or the interface is gone.
    """
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    opened = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if interface is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.name.encode())
        for wish, order in ((socket.SO_RCVBUF, _SO_RCVBUFFORCE), (socket.SO_SNDBUF, _SO_SNDBUFFORCE)):
            opened.setsockopt(socket.SOL_SOCKET, wish, BUFFER)
            with suppress(PermissionError):  # Beyond the system's limit (net.core.rmem_max) root alone may go.
                opened.setsockopt(socket.SOL_SOCKET, order, BUFFER)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            scope = address.scope_id if isinstance(address, IPv6Address) else None  # The interface of a link-local one.
            opened.bind((str(address), port, 0, socket.if_nametoindex(scope) if scope else 0))
            return opened
        # A router on the way may cut a datagram that is too long for the next link; it tells us too late or never.
        opened.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)
        opened.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        opened.bind((str(address), port))
    except OSError:
        opened.close()
        raise
    return opened


def pinned(source: IPv4Address, index: int) -> Control:
    """Send from `source`, by the interface with the number `index`, or by any when it is 0."""
    return [(socket.IPPROTO_IP, IP_PKTINFO, PKTINFO.pack(index, source.packed, bytes(4)))]


def cut(size: int) -> tuple[int, int, bytes]:
    """Cut what is sent into datagrams of `size` octets, but for the last, which may be shorter (udp(7))."""
    return (socket.IPPROTO_UDP, _UDP_SEGMENT, _SEGMENT.pack(size))
