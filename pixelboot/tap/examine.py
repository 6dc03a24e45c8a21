"""Whether this machine can serve the settings: folders, interfaces and endpoints exist."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint

from pixelboot.config import ConfigError
from pixelboot.library import trust
from pixelboot.site import Site
from pixelboot.udp.interfaces import Interface, default_interface, interfaces

LONGEST_SOCKET_PATH = 107
"""Octets in the path of a Unix socket (unix(7))."""

USUAL_TFTP_ROOT = "/tftpboot"
"""Where TFTP servers have always had their files: what is there is meant to be served."""


EVERYTHING = frozenset({"dhcp", "tftp", "http"})
"""The parts that ``twistd pixelboot`` is made of."""


def wanted(site: Site, parts: frozenset[str] = EVERYTHING) -> frozenset[str]:
    """Those of the `parts` that the settings do not turn off."""
    on = {"dhcp": site.dhcp.mode != "off", "tftp": site.tftp.enabled, "http": bool(site.http.listen)}
    return frozenset(part for part in parts if on[part])


def examine(site: Site, parts: frozenset[str], reactor: Any) -> None:
    """Look at everything that the settings of the `parts` name; raises `pixelboot.malformed.Malformed`.

    `reactor` is the one that endpoints are read for.
    """
    if len(os.fsencode(site.control)) > LONGEST_SOCKET_PATH:
        raise ConfigError("state", site.state, f"is too long for the socket in it ({LONGEST_SOCKET_PATH} octets)")
    serving = wanted(site, parts)
    # The DHCP part tells machines what there is to load, and HTTP serves the same tree.
    if site.tftp.root and not os.path.isdir(site.tftp.root):
        raise ConfigError("tftp.root", site.tftp.root, "must be a folder that exists")
    if "tftp" in serving and not site.tftp.address.is_unspecified:
        _own(site)
    if "http" in serving:
        for root in site.http.root:
            if not os.path.isdir(root):
                raise ConfigError("http.root", root, "must be a folder that exists")
        trust.load(site.containers.trusted_keys)
    if site.http.listen and serving & {"http", "dhcp"}:  # DHCP sends machines there.
        endpoint(site, reactor)
    if "dhcp" in serving:
        interface(site)


def tftp_root(site: Site) -> str:
    """The folder of the files for TFTP; empty where there is none, and the packaged loaders are all there is."""
    return site.tftp.root or (USUAL_TFTP_ROOT if os.path.isdir(USUAL_TFTP_ROOT) else "")


def interface(site: Site) -> Interface:
    """The interface that DHCP is served on: the one that is named, else the one that the settings and routes imply.

    For an address server that is the interface with an address in the subnet, for a proxy the one of the default
    route.  Raises `ConfigError`.
    """
    known = interfaces()
    name = site.dhcp.interface
    if name and name not in known:
        raise ConfigError("dhcp.interface", name, "must be one of " + ", ".join(sorted(known)))
    found = _serving(site, known) if site.dhcp.mode == "server" else _routed(name, known)
    address = site.dhcp.address
    if address is not None and address not in found.addresses:
        has = ", ".join(map(str, found.addresses))
        raise ConfigError("dhcp.address", str(address), f"must be an address of {found.name}, which has {has}")
    return found


def endpoint(site: Site, reactor: Any) -> IStreamServerEndpoint:
    """The endpoint of ``http.listen``; raises `ConfigError`."""
    try:
        found: IStreamServerEndpoint = serverFromString(reactor, site.http.listen)
    except Exception as problem:  # noqa: BLE001 - endpoints are read by plugins, and each raises what it likes
        raise ConfigError("http.listen", site.http.listen, f"must be a Twisted endpoint: {problem}") from None
    return found


def _serving(site: Site, known: dict[str, Interface]) -> Interface:
    """The interface of an address server."""
    network, name = site.dhcp.subnet[0].network, site.dhcp.interface
    serving = [each for each in known.values() if any(address in network for address in each.addresses)]
    if name and known[name] not in serving:
        raise ConfigError("dhcp.interface", name, f"must have an address in the subnet {network}")
    if name:
        return known[name]
    if len(serving) != 1:
        found = " and ".join(each.name for each in serving) or "no interface"
        raise ConfigError("dhcp.interface", name, f"must be named: {found} has an address in the subnet {network}")
    return serving[0]


def _routed(name: str, known: dict[str, Interface]) -> Interface:
    """The interface of a proxy."""
    if not name:
        name = default_interface()
        if name not in known:
            there = ", ".join(sorted(known))
            raise ConfigError("dhcp.interface", "", f"must be named, as there is no default route: one of {there}")
    if not known[name].addresses:
        raise ConfigError("dhcp.interface", name, "must have an IPv4 address")
    return known[name]


def _own(site: Site) -> None:
    """The address of the TFTP service must be one of this machine's; those of 127.0.0.0/8 always are."""
    address = site.tftp.address
    known = {each for found in interfaces().values() for each in found.addresses}
    if address not in known and not address.is_loopback:
        there = ", ".join(map(str, sorted(known)))
        raise ConfigError("tftp.address", str(address), f"must be an address of this machine: {there}")
