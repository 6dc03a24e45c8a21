"""The settings of one subnet, ``[[dhcp.subnet]]``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise

from pixelboot.boot.settings import of_a_machine
from pixelboot.config import (
    Invalid,
    address,
    choice,
    fraction,
    listing,
    network,
    optional,
    seconds,
    setting,
    switch,
    text,
    whole,
)
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.settings.client_class import class_name
from pixelboot.dhcp.settings.option import Options, octets, options
from pixelboot.leases.lease import parse_range
from pixelboot.malformed import Malformed

Range = tuple[IPv4Address, IPv4Address]
"""First and last address; both belong to it."""

_DOMAIN = re.compile(r"(?:(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(?:\.|$)){1,32}")


def domain(name: str) -> None:
    """Raise `Malformed` unless `name` is a domain name or empty."""
    if name and (len(name) > 253 or not _DOMAIN.fullmatch(name)):
        raise Malformed("letters, digits and dashes between dots")


def _range(words: str) -> None:
    parse_range(words)


_RANGES = listing(text('a range like "10.77.0.100-10.77.0.199"', _range))
_LEASE = seconds(10, 31536000)


@dataclass(frozen=True, slots=True)
class SubnetSettings:
    """One ``[[dhcp.subnet]]``: a network and what its machines are given."""

    network: IPv4Network = setting(network(), help="The subnet; its mask is option 1.")
    mode: str | None = setting(
        optional(choice("proxy", "server", "off")), None, help="How it is served, if otherwise than dhcp.mode says."
    )
    shared: str = setting(
        text(),
        "",
        help="A name for the wire it is on.  Subnets with the same name share one: their "
        "machines get addresses of any of them.",
    )
    pool: tuple[str, ...] = setting(
        _RANGES,
        (),
        help="The addresses to give out.  The server's own addresses, the router and those kept for hosts are never "
        "given out.  A subnet that is served as a proxy has none.",
    )
    exclude: tuple[str, ...] = setting(_RANGES, (), help="Addresses of the pool that are not given out after all.")
    router: IPv4Address | None = setting(
        optional(address()), None, help="The default gateway of the machines, option 3."
    )
    dns: tuple[IPv4Address, ...] = setting(listing(address()), (), help="Name servers, option 6; at most 8.")
    domain: str = setting(text("a domain name", domain), "", help="Domain name of the machines, option 15.")
    lease_time: float = setting(
        _LEASE, 3600.0, help="How long a lease lasts for a machine that does not ask for another time."
    )
    min_lease_time: float = setting(_LEASE, 60.0, help="What a machine gets that asks for less.")
    max_lease_time: float | None = setting(
        optional(_LEASE), None, help="What a machine gets that asks for more; empty means lease_time."
    )
    renewal: float = setting(
        fraction(0.01, 0.99), 0.5, help="The part of its lease after which a machine renews it, option 58."
    )
    rebinding: float = setting(
        fraction(0.01, 0.99), 0.875, help="The part of its lease after which it asks any server, option 59."
    )
    infinite: bool = setting(
        switch(), False, help="Whether a machine that asks for a lease without end is given one; else the longest."
    )
    relays: tuple[IPv4Address, ...] = setting(
        listing(address()),
        (),
        help="Addresses of relays that forward this subnet's requests, where they are not of the subnet themselves.",
    )
    identity: str = setting(
        choice("chaddr", "client-id", "uuid"),
        "chaddr",
        help="By what a machine is known again: chaddr, its hardware address, gives it one address from firmware to "
        "operating system; client-id is what RFC 2131 demands, option 61 where it is sent; uuid is its board's.",
    )
    ipv6_mostly: int | None = setting(
        optional(whole(0, 2**32 - 1)),
        None,
        help="Seconds for which machines that ask (option 108) do without IPv4 (RFC 8925).",
    )
    options: Options = setting(options(), (), help="Options of its machines, before those of dhcp.options.")
    allow: tuple[str, ...] = setting(
        listing(class_name()), (), help="Classes, known or unknown: others are not answered.  Empty allows everybody."
    )
    deny: tuple[str, ...] = setting(listing(class_name()), (), help="Classes, known or unknown, that are not answered.")

    def __post_init__(self) -> None:
        self._check_addresses()
        if len(self.dns) > 8:
            raise Invalid("dns", [str(server) for server in self.dns], "must be 8 name servers at most")
        longest = self.longest_lease
        if self.min_lease_time > longest:
            raise Invalid("min_lease_time", self.min_lease_time, f"must not be above the longest, {longest:.10g}")
        if not self.min_lease_time <= self.lease_time <= longest:
            allowed = f"from min_lease_time, {self.min_lease_time:.10g}, to max_lease_time, {longest:.10g}"
            raise Invalid("lease_time", self.lease_time, f"must be {allowed}")
        if self.renewal >= self.rebinding:
            raise Invalid("renewal", self.renewal, f"must be less than rebinding, {self.rebinding:.10g}")
        self._check_options()

    def _check_addresses(self) -> None:
        network = self.network
        if network.prefixlen > 30:
            raise Invalid("network", str(network), "must have room for machines: a prefix of 30 at most")
        for key, words in (("pool", self.pool), ("exclude", self.exclude)):
            ranges = sorted(parse_range(each) for each in words)
            for first, last in ranges:
                if first not in network or last not in network:
                    raise Invalid(key, f"{first}-{last}", f"must lie inside {network}")
                if first == network.network_address or last == network.broadcast_address:
                    raise Invalid(key, f"{first}-{last}", "must leave out the network's first and last address")
            for (_, last), (first, _) in pairwise(ranges):
                if first <= last:
                    raise Invalid(key, list(words), f"ranges must not overlap (at {first})")
        pool = [parse_range(each) for each in self.pool]
        for first, last in map(parse_range, self.exclude):
            if sum(_common(first, last, *each) for each in pool) != int(last) - int(first) + 1:
                raise Invalid("exclude", f"{first}-{last}", "must lie inside the pool")
        if self.router is not None and not self.may_hold(self.router):
            raise Invalid("router", str(self.router), f"must be the address of a machine inside {network}")
        if self.pool:
            left = self.ranges
            if not left:
                raise Invalid("exclude", list(self.exclude), "must leave something of the pool")
            if self.router is not None and left == ((self.router, self.router),):
                raise Invalid("pool", list(self.pool), "must hold more than the router's address")
        for relay in self.relays:
            if not of_a_machine(relay):
                raise Invalid("relays", str(relay), "must be the address of a relay")

    def _check_options(self) -> None:
        configured = octets(self.options)
        for key, code, given in (
            ("router", Option.ROUTER, self.router is not None),
            ("dns", Option.DOMAIN_NAME_SERVER, bool(self.dns)),
            ("domain", Option.DOMAIN_NAME, bool(self.domain)),
            ("ipv6_mostly", Option.IPV6_ONLY_PREFERRED, self.ipv6_mostly is not None),
        ):
            if given and code in configured:
                raise Invalid(key, str(getattr(self, key)), f"is option {code}, which stands in options too")

    @property
    def longest_lease(self) -> float:
        """The longest lease in seconds."""
        return self.lease_time if self.max_lease_time is None else self.max_lease_time

    @property
    def ranges(self) -> tuple[Range, ...]:
        """The pool without what is excluded, in ascending order."""
        left = sorted(parse_range(each) for each in self.pool)
        for hole in map(parse_range, self.exclude):
            left = [part for each in left for part in _without(each, hole)]
        return tuple(left)

    def may_hold(self, address: IPv4Address) -> bool:
        """Whether a machine of this subnet can have `address`."""
        ends = (self.network.network_address, self.network.broadcast_address)
        return address in self.network and address not in ends


def overlap(some: Sequence[Range], others: Sequence[Range]) -> IPv4Address | None:
    """The first address that is in a range of both; None when there is none."""
    found = [max(a, c) for a, b in some for c, d in others if a <= d and c <= b]
    return min(found, default=None)


def _common(first: IPv4Address, last: IPv4Address, other_first: IPv4Address, other_last: IPv4Address) -> int:
    """How many addresses two ranges have in common."""
    return max(0, min(int(last), int(other_last)) - max(int(first), int(other_first)) + 1)


def _without(whole: Range, hole: Range) -> Iterator[Range]:
    """What is left of a range."""
    (first, last), (start, end) = whole, hole
    if end < first or last < start:
        yield whole
        return
    if first < start:
        yield first, start - 1
    if end < last:
        yield end + 1, last
