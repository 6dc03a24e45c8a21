"""Answers router solicitations with an empty router advertisement (RFC 4861 §4.2).

    python -m lab.network.router_advertisement INTERFACE

iPXE tries IPv6 beside DHCP, and on a network without any IPv6 router waits 13 s for one after its DHCP exchange is
over.  An advertisement that offers nothing (no router, no prefix, no DHCPv6) ends that wait at once.  Every server that
the lab starts gets the same help, so their times can be compared.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.network.namespace import Namespace

_SOLICITATION = 133
_ADVERTISEMENT = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 0, 0, 0)
"""Type, code, checksum (the kernel's work), hop limit, flags, router lifetime, reachable time, retransmission time."""

_ALL_NODES = "ff02::1"
_ALL_ROUTERS = "ff02::2"
_ICMP6_FILTER = 1
"""The socket option of RFC 3542 §3.2, for which the socket module has no name; a set bit blocks a message type."""


@contextmanager
def answering(namespace: Namespace, interface: str) -> Iterator[bool]:
    """Answer on an interface of a namespace while the block lasts; False where the kernel has no IPv6 to answer by.

    :raises lab.process.LabError: if the answering process does not start.
    """
    if not Path("/proc/sys/net/ipv6").exists():
        yield False
        return
    namespace.write_setting(f"net/ipv6/conf/{interface}/disable_ipv6", "0")
    namespace.ip("address", "add", "fe80::1/64", "dev", interface, "scope", "link", "nodad")
    with namespace.start("router", sys.executable, "-m", "lab.network.router_advertisement", interface) as process:
        process.wait_for("listening", 10.0)
        yield True


def answer(interface: str) -> None:
    """Answer every router solicitation that arrives by `interface`, for ever.

    :raises OSError: if the socket cannot be made, or the interface is removed.
    """
    index = socket.if_nametoindex(interface)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as icmp:
        blocked = [0xFFFFFFFF] * 8
        blocked[_SOLICITATION // 32] &= ~(1 << _SOLICITATION % 32)
        icmp.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *blocked))
        icmp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        membership = socket.inet_pton(socket.AF_INET6, _ALL_ROUTERS) + struct.pack("=I", index)
        icmp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
        icmp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        print("listening", flush=True)
        while True:
            icmp.recv(1500)
            icmp.sendto(_ADVERTISEMENT, (_ALL_NODES, 0, 0, index))


if __name__ == "__main__":
    answer(sys.argv[1])
