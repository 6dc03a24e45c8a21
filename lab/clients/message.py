"""DHCP messages as simulated machines write and read them (RFC 2131 §2, RFC 2132).

The product's own codec is not used: what both got wrong would be found by nobody.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)

SUBNET_MASK, ROUTER, REQUESTED, LEASE_TIME, KIND, SERVER, WANTED, RELAY = 1, 3, 50, 51, 53, 54, 55, 82
"""Options that simulated machines and their judges know."""

NOWHERE = IPv4Address(0)

_MAGIC = b"\x63\x82\x53\x63"
_HEAD = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")
_BROADCAST = 0x8000
_PAD, _END = 0, 255


@dataclass(frozen=True, slots=True)
class Message:
    """What was received."""

    op: int
    """1 from a machine, 2 from a server."""

    xid: int
    flags: int
    ciaddr: IPv4Address
    yiaddr: IPv4Address
    siaddr: IPv4Address
    giaddr: IPv4Address
    hwaddr: bytes
    """The first six octets of ``chaddr``."""

    options: Mapping[int, bytes]
    """By code; what comes in several parts is one (RFC 3396)."""

    @property
    def kind(self) -> int:
        """Option 53; 0 where there is none."""
        return int.from_bytes(self.options.get(KIND, b""))

    @property
    def server(self) -> bytes:
        """Option 54; empty where there is none."""
        return self.options.get(SERVER, b"")

    @property
    def requested(self) -> IPv4Address | None:
        """Option 50."""
        return IPv4Address(self.options[REQUESTED]) if len(self.options.get(REQUESTED, b"")) == 4 else None

    @property
    def lease_time(self) -> int:
        """Option 51 in seconds; 0 where there is none."""
        return int.from_bytes(self.options.get(LEASE_TIME, b""))


def request(
    kind: int, xid: int, hwaddr: bytes, options: Mapping[int, bytes] | None = None, ciaddr: IPv4Address = NOWHERE
) -> bytes:
    """A machine's message; who has no address yet asks for a broadcast answer."""
    flags = _BROADCAST if ciaddr == NOWHERE else 0
    none = bytes(4)
    head = _HEAD.pack(1, 1, 6, 0, xid, 0, flags, ciaddr.packed, none, none, none, hwaddr, b"", b"", _MAGIC)
    fields = {KIND: bytes([kind]), **(options or {})}
    tail = b"".join(bytes([code, len(value)]) + value for code, value in fields.items())
    return (head + tail + bytes([_END])).ljust(300, b"\0")


def decode(octets: bytes) -> Message:
    """What a datagram says.

    :raises ValueError: if it is no DHCP message.
    """
    if len(octets) < _HEAD.size:
        raise ValueError(f"{len(octets)} octets are too few")
    op, _, _, _, xid, _, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, _, _, magic = _HEAD.unpack_from(octets)
    if magic != _MAGIC:
        raise ValueError("the cookie is wrong")
    options: dict[int, bytes] = {}
    at = _HEAD.size
    while octets[at : at + 1] != bytes([_END]):
        if octets[at : at + 1] == bytes([_PAD]):
            at += 1
            continue
        if at + 2 > len(octets) or at + 2 + octets[at + 1] > len(octets):
            raise ValueError("the options do not end")
        value = octets[at + 2 : at + 2 + octets[at + 1]]
        options[octets[at]] = options.get(octets[at], b"") + value
        at += 2 + len(value)
    return Message(
        *(op, xid, flags),
        *(IPv4Address(ciaddr), IPv4Address(yiaddr), IPv4Address(siaddr), IPv4Address(giaddr)),
        *(chaddr[:6], options),
    )
