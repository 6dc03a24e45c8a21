"""Routes inside options: those of option 121, which have a width, and the older ones of options 21 and 33."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from pixelboot.dhcp.message.values import ADDRESS, Kind, list_of, netmask_width, read_address, several, unfit
from pixelboot.malformed import Malformed

_ROUTE = re.compile(r"(\S+)\s+via\s+(\S+)")
_DEFAULT = IPv4Network("0.0.0.0/0")


def encode(routes: Iterable[tuple[IPv4Network, IPv4Address]]) -> bytes:
    """Option 121 of (destination, router): the width, as many octets of the destination as it needs, and the router."""
    return b"".join(
        bytes((network.prefixlen,)) + network.network_address.packed[: (network.prefixlen + 7) // 8] + router.packed
        for network, router in routes
    )


def decode(value: bytes) -> list[tuple[IPv4Network, IPv4Address]]:
    """Destinations and routers of an option 121 (RFC 3442); `Malformed` if a width is above 32 or something is cut."""
    routes = []
    at = 0
    while at < len(value):
        width = value[at]
        middle = at + 1 + (width + 7) // 8
        if width > 32 or middle + 4 > len(value):
            raise Malformed(f"the route at octet {at} is cut, or wider than 32 bits")
        destination = IPv4Address(value[at + 1 : middle].ljust(4, b"\0"))
        routes.append((IPv4Network((destination, width), strict=False), IPv4Address(value[middle : middle + 4])))
        at = middle + 4
    return routes


def with_default_route(value: bytes, router: IPv4Address) -> bytes:
    """Option 121 with a default route, its own or by `router`: whoever reads it ignores option 3 (RFC 3442).

    :raises Malformed: as `decode`.
    """
    if any(network == _DEFAULT for network, _ in decode(value)):
        return value
    return encode([(_DEFAULT, router)]) + value


def _read_route(value: object) -> tuple[IPv4Network, IPv4Address]:
    """A destination and a router; the router may be 0.0.0.0, which says that the destination is on the link."""
    words = _ROUTE.fullmatch(value.strip()) if isinstance(value, str) else None
    if words is None:
        raise unfit(value)
    router = read_address(words[2])
    if words[1] == "default":
        return _DEFAULT, router
    try:
        return IPv4Network(words[1]), router
    except ValueError as error:  # it says which: a width above 32, or bits behind the width
        raise unfit(value, str(error)) from None


def _encode_routes(value: object) -> bytes:
    routes = [_read_route(route) for route in several(value)]
    if len({network for network, _ in routes}) < len(routes):
        raise unfit(value, "a destination stands there twice")
    return encode(routes)


def _show_routes(value: bytes) -> str:
    return ", ".join(f"{network} via {router}" for network, router in decode(value))


def _encode_host_route(value: object) -> bytes:
    network, router = _read_route(value)
    if network.prefixlen != 32 or int(network.network_address) == 0:
        raise unfit(value, "it leads to one address; others are for classless-static-route")
    return network.network_address.packed + router.packed


def _show_host_route(value: bytes) -> str:
    return f"{ADDRESS.show(value[:4])} via {ADDRESS.show(value[4:])}"


def _encode_filter(value: object) -> bytes:
    try:
        network = IPv4Network(value) if isinstance(value, str) else None
    except ValueError as error:
        raise unfit(value, str(error)) from None
    if network is None:
        raise unfit(value)
    return network.network_address.packed + network.netmask.packed


def _show_filter(value: bytes) -> str:
    width = netmask_width(value[4:])
    if width is None:
        raise Malformed("no netmask")
    return f"{ADDRESS.show(value[:4])}/{width}"


ROUTES = Kind("a route like 10.17.0.0/16 via 10.0.0.1 or a list of them", _encode_routes, _show_routes)
HOST_ROUTES = list_of(Kind("a route like 10.17.0.5 via 10.0.0.1", _encode_host_route, _show_host_route), 8, "them")
FILTERS = list_of(Kind("a network like 10.17.0.0/16", _encode_filter, _show_filter), 8, "them")
