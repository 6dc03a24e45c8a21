"""Whether somebody uses an address already, asked before it is first offered (RFC 2131 §4.3.1, RFC 5227 §2.1).

A server that lost its leases, or a machine with an address of its own making, would otherwise be found out by a
client, in the middle of its boot.  An offer waits for the answer for a short while only, and only where it can be had:
on a link that the request came from directly.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from typing import Protocol

from pixelboot.dhcp.exchange import Exchange
from pixelboot.dhcp.server.outcomes import Disbelieved
from pixelboot.hwaddr import HardwareAddress
from pixelboot.outcome import Outcome

REST = 300.0
"""Seconds for which an address rests at most that somebody answered at: it is asked for again before it is offered."""

MOST_ADDRESSES = 3
"""Addresses that one link address is believed to have, of those asked for in `REST` seconds.  Who has more answers for
whatever is asked for, as a router with proxy ARP does, and would empty the pool."""

_REMEMBERED = 4096
"""Link addresses of which it is remembered where they answered: those heard last."""

MOST_AT_ONCE = 256
"""Addresses that are asked for at one time.  In a greater crowd offers are made unasked: the question goes to every
machine of the link."""


class Prober(Protocol):
    """Who asks a link: `pixelboot.udp.arp.Prober`."""

    def in_use(
        self, interface: str, address: IPv4Address, within: float, but: HardwareAddress | None = None
    ) -> Awaitable[HardwareAddress | None]:
        """Who on the interface, other than `but`, says within so many seconds that it has the address, if any does."""


class Probe:
    """Asks for addresses, one at a time for each machine."""

    def __init__(self, prober: Prober | None, within: float, report: Callable[[Outcome], None]) -> None:
        """`within` is how long an answer is waited for, in seconds; 0, or no `prober`, asks for nothing."""
        self._report = report
        self._answered: OrderedDict[HardwareAddress, dict[IPv4Address, float]] = OrderedDict()
        self._prober = prober if within > 0 else None
        self._within = within
        self._asking: set[str] = set()

    def can(self, exchange: Exchange) -> bool:
        """Whether there is a way to ask where this request came from, and time."""
        return self._prober is not None and not int(exchange.request.giaddr) and len(self._asking) < MOST_AT_ONCE

    def waits(self, identity: str) -> bool:
        """Whether an address is being asked for on behalf of this machine: it will be answered."""
        return identity in self._asking

    async def in_use(self, exchange: Exchange, address: IPv4Address) -> HardwareAddress | None:
        """Who else than its sender has `address` where this request came from, if anybody who is believed does."""
        if self._prober is None:
            return None
        identity = exchange.scope.identity
        self._asking.add(identity)
        try:
            interface, hwaddr = exchange.arrival.interface, exchange.machine.hwaddr
            user = await self._prober.in_use(interface, address, self._within, hwaddr)
        finally:
            self._asking.discard(identity)
        if user is None or self._is_believed(user, address, exchange.arrival.now):
            return user
        self._report(Disbelieved(exchange.machine, address, user, MOST_ADDRESSES))
        return None

    def _is_believed(self, user: HardwareAddress, address: IPv4Address, now: float) -> bool:
        """Whether one who has answered at `address` can have it, beside the others that it answered at lately."""
        before = self._answered.pop(user, {})
        lately = {each: at for each, at in before.items() if 0 <= now - at < REST and each != address}
        self._answered[user] = {**dict(list(lately.items())[-MOST_ADDRESSES:]), address: now}
        if len(self._answered) > _REMEMBERED:
            self._answered.popitem(last=False)
        return len(lately) < MOST_ADDRESSES
