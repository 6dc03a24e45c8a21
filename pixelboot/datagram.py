"""Where a datagram came from and where one shall go: what a UDP core knows of the network."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import NamedTuple

from pixelboot.hwaddr import HardwareAddress


class Arrival(NamedTuple):
    """The circumstances of one received datagram."""

    interface: str
    """Name of the interface it came in by."""

    local: IPv4Address
    """Our address on that interface: where the datagram was sent to or, of a broadcast, the interface's own."""

    port: int
    """Our UDP port at which it came in."""

    source: IPv4Address
    """The sender's address; 0.0.0.0 of a client that has none yet."""

    source_port: int
    """The sender's UDP port."""

    now: float
    """When it was received, in seconds of the wall clock since 1970."""

    to_everybody: bool = False
    """Whether it was sent to a broadcast or multicast address, not to ours alone."""

    addresses: tuple[IPv4Address, ...] = ()
    """All addresses of ours on that interface, the primary one first; none where the port belongs to no interface."""


class Destination(NamedTuple):
    """The way one datagram shall take."""

    address: IPv4Address
    """IP destination; 255.255.255.255 for the limited broadcast."""

    port: int
    """UDP destination port."""

    source: IPv4Address
    """The source address to send from: the one the client was told (option 54)."""

    interface: str
    """Name of the interface to leave by."""

    hwaddr: HardwareAddress | None = None
    """Set when the client at `address` cannot answer ARP yet (RFC 2131 §4.1): send to this link address,
    or broadcast where the port cannot."""
