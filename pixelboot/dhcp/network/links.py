"""The links of a site, made of its subnets, and how an address leads to its link."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network

from pixelboot.dhcp.network.scope import Link, Subnet
from pixelboot.dhcp.settings.dhcp import DhcpSettings
from pixelboot.dhcp.settings.option import octets
from pixelboot.leases.lease import Pool

_LOWEST = 1 << 24
"""The first address behind 0.0.0.0/8 ("this network", RFC 1122 §3.2.1.3), as a number."""
_GROUPS = 224 << 24
"""The first multicast address, behind which only what is reserved and the broadcast address follow."""


def subnets(settings: DhcpSettings) -> tuple[tuple[Subnet, ...], ...]:
    """Every subnet of the settings, those together that share a link."""
    common = octets(settings.options)
    groups: dict[object, list[Subnet]] = {}
    for each in settings.subnet:
        subnet = Subnet(each, common, settings.classes)
        groups.setdefault(each.shared or each.network, []).append(subnet)
    return tuple(map(tuple, groups.values()))


def link(group: tuple[Subnet, ...], mode: str, reserved: frozenset[IPv4Address]) -> Link:
    """The link of these subnets; no `reserved` address, and none of a router, is in its pool."""
    first = group[0].settings
    networks = tuple(dict.fromkeys(each.network for each in group))
    ranges = tuple(span for each in group for span in each.settings.ranges) if mode == "server" else ()
    routers = frozenset(each.settings.router for each in group if each.settings.router is not None)
    taken = reserved | routers
    kept = frozenset(each for each in taken if any(first <= each <= last for first, last in ranges))
    return Link(first.shared or str(first.network), group, mode, Pool(networks, ranges, kept), first.identity)


def nowhere() -> Link:
    """The link of machines whose network a proxy was not told of."""
    return Link("", (), "proxy", Pool((IPv4Network("0.0.0.0/0"),), ()))


class Links:
    """All links that are served, found by address."""

    def __init__(self, links: Iterable[Link], unserved: Iterable[Subnet]) -> None:
        """`unserved` subnets are those of mode off: nobody else may answer for them."""
        self.all = tuple(links)
        """In the order of the settings."""
        found: dict[tuple[int, int], Link | str] = {}
        self._relays: dict[int, Link | str] = {}
        places: list[tuple[Subnet, Link | str]] = [(subnet, link) for link in self.all for subnet in link.subnets]
        places += [(subnet, f"{subnet.network} is not served") for subnet in unserved]
        for subnet, place in places:
            network = subnet.network
            found[int(network.network_address), int(network.broadcast_address)] = place
            self._relays.update((int(relay), place) for relay in subnet.settings.relays)
        spans = sorted(found)
        self._starts: Sequence[int] = [start for start, _ in spans]
        self._ends: Sequence[int] = [end for _, end in spans]
        self._places: Sequence[Link | str] = [found[span] for span in spans]
        self._borders = frozenset((*self._starts, *self._ends))

    def of(self, address: IPv4Address) -> Link | str | None:
        """The link that `address` is of; a text that says why, where it is not served; None for a foreign one."""
        number = int(address)
        at = bisect_right(self._starts, number) - 1
        return self._places[at] if at >= 0 and number <= self._ends[at] else None

    def is_of_a_machine(self, address: IPv4Address) -> bool:
        """Whether one machine can have `address`: it is neither a group's nor everybody's, here or on any subnet."""
        number = int(address)
        return _LOWEST <= number < _GROUPS and number not in self._borders

    def behind(self, relay: IPv4Address) -> Link | str | None:
        """The link whose requests a relay forwards that calls itself `relay` (giaddr)."""
        return self._relays.get(int(relay)) or self.of(relay)

    def at(self, addresses: Iterable[IPv4Address]) -> Link | str | None:
        """The link of an interface that has these addresses: of the first that leads to one."""
        for address in addresses:
            place = self.of(address)
            if place is not None:
                return place
        return None
