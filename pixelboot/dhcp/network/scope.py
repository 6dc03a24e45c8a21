"""Where a request belongs: the wire it came from, who sent it, and what machines are given there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.settings.client_class import ClassSettings
from pixelboot.dhcp.settings.host import HostSettings
from pixelboot.dhcp.settings.option import octets
from pixelboot.dhcp.settings.subnet import SubnetSettings
from pixelboot.leases.lease import Pool

_REMEMBERED = 4096
"""How many combinations of classes and host a subnet keeps the parameters of."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a machine is given besides its address."""

    options: Mapping[int, bytes]
    """All that is configured for it, by code: what it gets of them if it asks.  Options 1, 3, 6, 12 and 15 among
    them; those that a reply is made of, and option 108, not."""

    lease_time: float
    """How long its lease lasts if it asks for no time, in seconds."""

    min_lease_time: float
    """What it gets at least, in seconds."""

    max_lease_time: float
    """What it gets at most, in seconds."""

    renewal: float
    """The part of its lease after which it renews it (T1)."""

    rebinding: float
    """The part of its lease after which it asks any server (T2)."""

    infinite: bool
    """Whether it is given a lease without end if it asks for one."""

    ipv6_mostly: bytes | None
    """The value of option 108; None where IPv4 is not to be done without."""


class Subnet:
    """One subnet as it is served: its settings, and what its machines are given."""

    __slots__ = ("_base", "_classes", "_known", "network", "settings")

    def __init__(
        self,
        settings: SubnetSettings,
        options: Mapping[int, bytes] | None = None,
        classes: Sequence[ClassSettings] = (),
    ) -> None:
        """`options` are those of every machine of the site, `classes` all that there are."""
        self.settings = settings
        self.network: IPv4Network = settings.network
        self._classes = {each.name: each for each in classes}
        self._base = {**(options or {}), **_own_options(settings)}
        self._known: dict[tuple[tuple[str, ...], int], Parameters] = {}

    def __repr__(self) -> str:
        return f"<Subnet {self.network}>"

    def parameters(self, classes: tuple[str, ...], host: HostSettings | None) -> Parameters:
        """What a machine of these classes is given here: the site's, the subnet's, its classes', its own."""
        key = (classes, id(host) if host is not None and (host.options or host.name) else 0)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[key] = self._merged([self._classes[name] for name in classes], host)
        return known

    def _merged(self, classes: Sequence[ClassSettings], host: HostSettings | None) -> Parameters:
        settings, options = self.settings, dict(self._base)
        lease_time, longest = settings.lease_time, settings.longest_lease
        for each in classes:
            options.update(octets(each.options))
            if each.lease_time is not None:
                lease_time = each.lease_time
                longest = lease_time if settings.max_lease_time is None else max(longest, lease_time)
        if host is not None:
            if host.name:
                options[Option.HOST_NAME] = host.name.encode("ascii")
            options.update(octets(host.options))
        ipv6_mostly = options.pop(Option.IPV6_ONLY_PREFERRED, None)
        return Parameters(
            options=options,
            lease_time=lease_time,
            min_lease_time=min(settings.min_lease_time, lease_time),
            max_lease_time=longest,
            renewal=settings.renewal,
            rebinding=settings.rebinding,
            infinite=settings.infinite,
            ipv6_mostly=ipv6_mostly,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """One wire: the subnets whose machines hear each other's broadcasts."""

    name: str
    """What people call it: the name that its subnets share, or its network."""

    subnets: tuple[Subnet, ...]
    """Its subnets, in the order of the settings; none of a proxy that was told of no network."""

    mode: str
    """How it is served: ``server`` or ``proxy``."""

    pool: Pool
    """The addresses of all its subnets that may be given out."""

    identity: str = "chaddr"
    """By what its machines are known again: ``chaddr``, ``client-id`` or ``uuid``."""

    _starts: Sequence[int] = field(init=False, repr=False)
    _ends: Sequence[int] = field(init=False, repr=False)
    _owners: Sequence[Subnet] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        starts, ends, owners = _spans(self.subnets)
        object.__setattr__(self, "_starts", starts)
        object.__setattr__(self, "_ends", ends)
        object.__setattr__(self, "_owners", owners)

    def subnet_of(self, address: IPv4Address) -> Subnet | None:
        """The subnet that `address` is of; None when it is of another link.

        Of subnets with one and the same network it is the one whose pool the address is in, else the first.
        """
        number = int(address)
        at = bisect_right(self._starts, number) - 1
        return self._owners[at] if at >= 0 and number <= self._ends[at] else None


class Scope(NamedTuple):
    """What is known of a request before it is decided."""

    link: Link
    """The wire of its sender, with those of its subnets alone that the sender is allowed in (all, if it is allowed
    in none)."""

    host: HostSettings | None
    """What the settings say of the sender; None when they do not name it."""

    classes: tuple[str, ...]
    """The classes it belongs to, in the order of the settings."""

    identity: str
    """The key of its lease."""

    fixed: IPv4Address | None
    """The address that is kept for it on this link; None when none is."""

    refusal: str
    """Why it gets nothing, as the rest of a sentence; empty when it may have what it asks for."""

    def parameters(self, subnet: Subnet) -> Parameters:
        """What the sender is given in one of the link's subnets."""
        return subnet.parameters(self.classes, self.host)


def _own_options(settings: SubnetSettings) -> dict[int, bytes]:
    """The options that a subnet's settings come to."""
    own: dict[int, bytes] = {Option.SUBNET_MASK: settings.network.netmask.packed}
    if settings.router is not None:
        own[Option.ROUTER] = settings.router.packed
    if settings.dns:
        own[Option.DOMAIN_NAME_SERVER] = b"".join(each.packed for each in settings.dns)
    if settings.domain:
        own[Option.DOMAIN_NAME] = settings.domain.encode("ascii")
    if settings.ipv6_mostly is not None:
        own[Option.IPV6_ONLY_PREFERRED] = settings.ipv6_mostly.to_bytes(4)
    return {**own, **octets(settings.options)}


def _spans(subnets: Sequence[Subnet]) -> tuple[list[int], list[int], list[Subnet]]:
    """First and last address of spans that have nothing in common, in ascending order, and the subnet of each."""
    firsts: dict[IPv4Network, Subnet] = {}
    pools: dict[IPv4Network, list[tuple[int, int, Subnet]]] = {}
    for subnet in subnets:
        firsts.setdefault(subnet.network, subnet)
        spans = [(int(first), int(last), subnet) for first, last in subnet.settings.ranges]
        pools.setdefault(subnet.network, []).extend(spans)
    found: list[tuple[int, int, Subnet]] = []
    for network, first in firsts.items():
        at, end = int(network.network_address), int(network.broadcast_address)
        for start, last, owner in sorted(pools[network], key=lambda span: span[0]):
            found += [(at, start - 1, first), (start, last, owner)]
            at = last + 1
        found.append((at, end, first))
    kept = sorted((span for span in found if span[0] <= span[1]), key=lambda span: span[0])
    return [start for start, _, _ in kept], [end for _, end, _ in kept], [owner for _, _, owner in kept]
