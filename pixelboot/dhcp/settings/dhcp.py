"""The settings of the DHCP service, ``[dhcp]`` and ``[[dhcp.subnet]]``."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from pixelboot.config import Invalid, address, choice, listing, network, optional, seconds, setting, tables, text, whole
from pixelboot.leases.lease import Pool, parse_range
from pixelboot.malformed import Malformed

_DOMAIN = re.compile(r"(?:(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(?:\.|$)){1,32}")


def _domain(name: str) -> None:
    if name and (len(name) > 253 or not _DOMAIN.fullmatch(name)):
        raise Malformed("letters, digits and dashes between dots")


def _interface(name: str) -> None:
    if len(name.encode()) > 15 or "/" in name or any(c.isspace() for c in name):
        raise Malformed("no spaces, no slashes")


def _range(words: str) -> None:
    parse_range(words)


@dataclass(frozen=True, slots=True)
class SubnetSettings:
    """One ``[[dhcp.subnet]]``: a network and what its machines are given."""

    network: IPv4Network = setting(network(), help="The subnet; its mask is option 1.")
    pool: tuple[str, ...] = setting(
        listing(text('a range like "10.77.0.100-10.77.0.199"', _range)),
        help="The addresses to give out. The server's own addresses and the router are never given out.",
    )
    router: IPv4Address | None = setting(
        optional(address()), None, help="The default gateway of the machines, option 3."
    )
    dns: tuple[IPv4Address, ...] = setting(listing(address()), (), help="Name servers, option 6; at most 8.")
    domain: str = setting(text("a domain name", _domain), "", help="Domain name of the machines, option 15.")
    lease_time: float = setting(
        seconds(60, 31536000), 3600.0, help="How long a lease lasts; a machine that asks for less gets less."
    )

    def __post_init__(self) -> None:
        if self.network.prefixlen > 30:
            raise Invalid("network", str(self.network), "must have room for machines: a prefix of 30 at most")
        if not self.pool:
            raise Invalid("pool", [], "must name at least one range of addresses")
        ranges = sorted(parse_range(words) for words in self.pool)
        for first, last in ranges:
            if first not in self.network or last not in self.network:
                raise Invalid("pool", f"{first}-{last}", f"must lie inside {self.network}")
            if first == self.network.network_address or last == self.network.broadcast_address:
                raise Invalid("pool", f"{first}-{last}", "must leave out the network's first and last address")
        for (_, last), (first, _) in itertools.pairwise(ranges):
            if first <= last:
                raise Invalid("pool", list(self.pool), f"ranges must not overlap (at {first})")
        ends = (self.network.network_address, self.network.broadcast_address)
        if self.router is not None and (self.router not in self.network or self.router in ends):
            raise Invalid("router", str(self.router), f"must be the address of a machine inside {self.network}")
        if not self.addresses(frozenset()).size:
            raise Invalid("pool", list(self.pool), "must hold more than the router's address")
        if len(self.dns) > 8:
            raise Invalid("dns", [str(server) for server in self.dns], "must be 8 name servers at most")

    def addresses(self, reserved: frozenset[IPv4Address]) -> Pool:
        """The pool of this subnet, without the `reserved` addresses and the router's."""
        kept = reserved | {self.router} if self.router else reserved
        return Pool(self.network, tuple(parse_range(words) for words in self.pool), frozenset(kept))


@dataclass(frozen=True, slots=True)
class DhcpSettings:
    """How machines get their addresses and are told what to boot."""

    mode: str = setting(
        choice("proxy", "server", "off"),
        "proxy",
        help="proxy says what to boot, beside another server that gives the addresses; server gives out addresses "
        "too; off leaves DHCP to others.",
    )
    interface: str = setting(
        text("the name of a network interface, at most 15 characters", _interface),
        "",
        help="The interface to serve; empty means the one that has an address in the subnet, for a proxy the one of "
        "the default route.",
    )
    address: IPv4Address | None = setting(
        optional(address()),
        None,
        help="The address of this server that machines are told, one of the interface's; empty means the one that "
        "they reach.",
    )
    port: int = setting(whole(1, 65535), 67, help="The UDP port to listen on. Machines ask port 67, always.")
    proxy_port: int = setting(
        whole(1, 65535), 4011, help="The UDP port at which PXE firmware asks again for its boot file: 4011, always."
    )
    offer_time: float = setting(
        seconds(30, 3600), 60.0, help="How long an offered address is kept for the machine it was offered to."
    )
    decline_time: float = setting(
        seconds(60, 604800),
        3600.0,
        help="How long an address rests after a machine found it in use by somebody else (DHCPDECLINE).",
    )
    subnet: tuple[SubnetSettings, ...] = setting(
        tables(SubnetSettings), (), help="The subnet that the interface is on."
    )

    def __post_init__(self) -> None:
        if self.mode == "server" and not self.subnet:
            raise Invalid("mode", self.mode, "a server needs a [[dhcp.subnet]] with network and pool")
        if self.mode != "server" and self.subnet:
            raise Invalid("mode", self.mode, 'must be "server" where a [[dhcp.subnet]] is given')
        if len(self.subnet) > 1:
            raise Invalid("subnet", [str(s.network) for s in self.subnet], "must be one [[dhcp.subnet]] at most")
        if self.proxy_port == self.port:
            raise Invalid("proxy_port", self.proxy_port, "must not be dhcp.port")
        for subnet in self.subnet:
            if self.address is not None and self.address not in subnet.network:
                raise Invalid("address", str(self.address), f"must be inside {subnet.network}")
