"""What must fit together among subnets, classes and hosts; what does not is refused before anything is served."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from pixelboot.config import ConfigError, Invalid
from pixelboot.dhcp.settings.client_class import KNOWN, UNKNOWN
from pixelboot.dhcp.settings.subnet import SubnetSettings, overlap

if TYPE_CHECKING:
    from pixelboot.dhcp.settings.dhcp import DhcpSettings
    from pixelboot.dhcp.settings.host import HostSettings


def classes(settings: DhcpSettings) -> None:
    """Raise `Invalid` unless class names are distinct, and those in ``allow`` and ``deny`` exist."""
    names = [each.name for each in settings.classes]
    for number, name in enumerate(names, 1):
        if name in names[: number - 1]:
            raise Invalid(f"class[{number}].name", name, f"is class[{names.index(name) + 1}]'s name already")
    known = {*names, KNOWN, UNKNOWN}
    lists = [("", settings.allow, settings.deny)]
    lists += [(f"subnet[{number}].", each.allow, each.deny) for number, each in enumerate(settings.subnet, 1)]
    for prefix, allow, deny in lists:
        for key, said in ((f"{prefix}allow", allow), (f"{prefix}deny", deny)):
            for name in said:
                if name not in known:
                    raise Invalid(key, name, "must be one of " + ", ".join(f'"{each}"' for each in sorted(known)))
        for name in allow:
            if name in deny:
                raise Invalid(f"{prefix}allow", name, "is in deny too")


def subnets(settings: DhcpSettings) -> None:
    """Raise `Invalid` unless every subnet suits its mode, and no two claim the same addresses, relays or wire."""
    for key, subnet in _named(settings):
        mode = settings.mode_of(subnet)
        if mode == "server" and not subnet.pool:
            raise Invalid(f"{key}.pool", [], "must name at least one range of addresses, as its mode is server")
        if mode == "proxy" and subnet.pool:
            allowed = 'needs mode = "server", here or in [dhcp]: a proxy gives out no addresses'
            raise Invalid(f"{key}.pool", list(subnet.pool), allowed)
    _check_networks(settings)
    _check_links(settings)
    relays: dict[IPv4Address, str] = {}
    for key, subnet in _named(settings):
        for relay in subnet.relays:
            if relay in relays:
                raise Invalid(f"{key}.relays", str(relay), f"is a relay of dhcp.{relays[relay]} already")
            relays[relay] = key


def hosts(settings: DhcpSettings, hosts: Sequence[HostSettings]) -> None:
    """Raise `ConfigError` unless hosts are distinct, and the addresses that are kept for them can be theirs."""
    told: tuple[tuple[str, Callable[[HostSettings], object]], ...] = (
        ("name", lambda host: host.name.lower()),
        ("mac", lambda host: host.mac and str(host.mac)),
        ("client_id", lambda host: host.client_id and host.client_id.hex(":")),
        # One way round the UUID of one host may be the other's the other way round.
        ("uuid", lambda host: host.uuid and str(min(host.uuid.bytes, host.uuid.bytes_le).hex())),
        ("circuit", lambda host: host.circuit and host.circuit.hex()),
        ("address", lambda host: host.address and str(host.address)),
    )
    seen: dict[tuple[str, object], int] = {}
    networks = _Networks(settings)
    for number, host in enumerate(hosts, 1):
        for key, of in told:
            value = of(host)
            if value and (key, value) in seen:
                first = seen[key, value]
                raise ConfigError(f"host[{number}].{key}", str(getattr(host, key)), f"is host[{first}]'s {key} already")
            seen[key, value] = number
        if host.address is not None and (allowed := networks.objection(host.address)):
            raise ConfigError(f"host[{number}].address", str(host.address), allowed)


def _named(settings: DhcpSettings) -> Iterator[tuple[str, SubnetSettings]]:
    """Every subnet with its name in messages."""
    return ((f"subnet[{number}]", subnet) for number, subnet in enumerate(settings.subnet, 1))


def _check_networks(settings: DhcpSettings) -> None:
    """Networks are the same or have nothing in common; pools of the same network have nothing in common."""
    # Networks that overlap are nested, hence neighbours in this order.
    ordered = sorted(_named(settings), key=lambda each: each[1].network)
    for (first, one), (second, other) in pairwise(ordered):
        if one.network != other.network and one.network.overlaps(other.network):
            raise Invalid(f"{second}.network", str(other.network), f"must not overlap {one.network}, dhcp.{first}")
    same: dict[object, list[tuple[str, SubnetSettings]]] = {}
    for key, subnet in _named(settings):
        same.setdefault(subnet.network, []).append((key, subnet))
    for group in same.values():
        for (first, one), (second, other) in combinations(group, 2):
            if one.shared != other.shared:
                allowed = f'must be "{one.shared}", as in dhcp.{first}, which is the same network'
                raise Invalid(f"{second}.shared", other.shared, allowed)
            if (address := overlap(one.ranges, other.ranges)) is not None:
                allowed = f"must not overlap the pool of dhcp.{first} (at {address})"
                raise Invalid(f"{second}.pool", list(other.pool), allowed)


def _check_links(settings: DhcpSettings) -> None:
    """Subnets that share a wire are served alike: a request on it does not say which of them it means."""
    firsts: dict[object, tuple[str, SubnetSettings]] = {}
    for key, subnet in _named(settings):
        first, one = firsts.setdefault(subnet.shared or subnet.network, (key, subnet))
        shares = f"as dhcp.{first} is on the same wire"
        if settings.mode_of(one) != settings.mode_of(subnet):
            raise Invalid(f"{key}.mode", settings.mode_of(subnet), f'must be "{settings.mode_of(one)}", {shares}')
        if one.identity != subnet.identity:
            raise Invalid(f"{key}.identity", subnet.identity, f'must be "{one.identity}", {shares}')


class _Networks:
    """What addresses of hosts are held against."""

    def __init__(self, settings: DhcpSettings) -> None:
        self._subnets = sorted(settings.subnet, key=lambda subnet: subnet.network)
        self._own = settings.address
        self._routers = {subnet.router for subnet in settings.subnet if subnet.router is not None}

    def objection(self, address: IPv4Address) -> str:
        """Why a host cannot have this address; empty when it can."""
        found = next((each for each in self._subnets if address in each.network), None)
        if found is None:
            return "must be inside the network of a [[dhcp.subnet]]"
        if not found.may_hold(address):
            return f"must not be the first or last address of {found.network}"
        if address in self._routers:
            return "must not be the address of a router"
        if address == self._own:
            return "must not be the address of this server"
        return ""
