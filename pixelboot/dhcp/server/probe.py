"""Whether somebody uses an address already, asked before it is first offered (RFC 2131 §4.3.1, RFC 5227 §2.1).

A server that lost its leases, or a machine with an address of its own making, would otherwise be found out by a
client, in the middle of its boot.  An offer waits for the answer for a short while only, and only where it can be had:
on a link that the request came from directly.
"""

from __future__ import annotations

from collections.abc import Awaitable
from ipaddress import IPv4Address
from typing import Protocol

from pixelboot.dhcp.exchange import Exchange
from pixelboot.hwaddr import HardwareAddress

MOST_AT_ONCE = 256
"""Addresses that are asked for at one time.  In a greater crowd offers are made unasked: the question goes to every
machine of the link."""


class Prober(Protocol):
    """Who asks a link: `pixelboot.udp.arp.Prober`."""

    def in_use(
        self, interface: str, address: IPv4Address, within: float, but: HardwareAddress | None = None
    ) -> Awaitable[bool]:
        """Whether a machine on the interface, other than `but`, says within so many seconds that it has the address."""


class Probe:
    """Asks for addresses, one at a time for each machine."""

    def __init__(self, prober: Prober | None, within: float) -> None:
        """`within` is how long an answer is waited for, in seconds; 0, or no `prober`, asks for nothing."""
        self._prober = prober if within > 0 else None
        self._within = within
        self._asking: set[str] = set()

    def can(self, exchange: Exchange) -> bool:
        """Whether there is a way to ask where this request came from, and time."""
        return self._prober is not None and not int(exchange.request.giaddr) and len(self._asking) < MOST_AT_ONCE

    def waits(self, identity: str) -> bool:
        """Whether an address is being asked for on behalf of this machine: it will be answered."""
        return identity in self._asking

    async def in_use(self, exchange: Exchange, address: IPv4Address) -> bool:
        """Whether somebody else than its sender has `address` where this request came from."""
        if self._prober is None:
            return False
        identity = exchange.scope.identity
        self._asking.add(identity)
        try:
            interface, hwaddr = exchange.arrival.interface, exchange.machine.hwaddr
            return await self._prober.in_use(interface, address, self._within, hwaddr)
        finally:
            self._asking.discard(identity)
