"""Whom a request is counted to: its client, and the network around that one.  Addresses are 4 or 16 octets here."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

_MAPPED = bytes(10) + b"\xff\xff"
"""What IPv4 addresses begin with that an IPv6 socket shows (RFC 4291 §2.5.5.2)."""


class Source(NamedTuple):
    """Where a request comes from, as far as limits go."""

    client: bytes
    """The IPv4 address or the IPv6 /64, for one machine may have a whole one to itself.  Of the addresses of a link
    (fe80::/10) each is a client: all machines there have their /64 in common."""

    network: bytes
    """The IPv4 /24 or the IPv6 /48: who can use, or forge, one address of it can use many."""


def plain(address: bytes) -> bytes:
    """The address, or the IPv4 address that it stands for."""
    return address[12:] if len(address) == 16 and address.startswith(_MAPPED) else address


@lru_cache(maxsize=4096)
def source(address: bytes) -> Source:
    """The source that an address belongs to."""
    if len(address) == 4:
        return Source(address, address[:3])
    if address.startswith(_MAPPED):
        return source(address[12:])
    is_of_the_link = address[0] == 0xFE and address[1] & 0xC0 == 0x80
    return Source(address if is_of_the_link else address[:8], address[:6])


def shown(source: Source) -> str:
    """The client as text."""
    client = source.client
    if len(client) == 8:
        return f"{IPv6Address(client + bytes(8))}/64"
    return str(ip_address(client))
