"""Whether this machine can serve the settings: folders, interfaces and endpoints exist."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any

from pixelboot.config import ConfigError
from pixelboot.library import trust
from pixelboot.library.names.packaged import PACKAGED
from pixelboot.malformed import Malformed
from pixelboot.site import Site
from pixelboot.tap import places
from pixelboot.tftp.write import folder
from pixelboot.udp.interfaces import Interface, default_interface, interfaces

LONGEST_SOCKET_PATH = 107
"""Octets in the path of a Unix socket (unix(7))."""

USUAL_TFTP_ROOT = "/tftpboot"
"""Where TFTP servers have always had their files: what is there is meant to be served."""


_IPV6_ADDRESSES = "/proc/net/if_inet6"
"""In each line an address of this machine in hex digits first, its interface at last (proc(5))."""

EVERYTHING = frozenset({"dhcp", "tftp", "http"})
"""The parts that ``twistd pixelboot`` is made of."""


def wanted(site: Site, parts: frozenset[str] = EVERYTHING) -> frozenset[str]:
    """Those of the `parts` that the settings do not turn off."""
    on = {"dhcp": bool(site.dhcp.modes), "tftp": site.tftp.enabled, "http": bool(site.http.listen)}
    return frozenset(part for part in parts if on[part])


def examine(site: Site, parts: frozenset[str], reactor: Any) -> None:
    """Look at everything that the settings of the `parts` name; raises `pixelboot.malformed.Malformed`.

    `reactor` is the one that endpoints are read for.
    """
    if len(os.fsencode(site.control)) > LONGEST_SOCKET_PATH:
        raise ConfigError("state", site.state, f"is too long for the socket in it ({LONGEST_SOCKET_PATH} octets)")
    parts_on = wanted(site, parts)
    # The DHCP part tells machines what there is to load, and HTTP serves the same tree.
    if site.tftp.root and not os.path.isdir(site.tftp.root):
        raise ConfigError("tftp.root", site.tftp.root, "must be a folder that exists")
    if "tftp" in parts_on:
        folder.examine(tftp_root(site), site.tftp.write, _not_to_be_written(site))
        if not site.tftp.address.is_unspecified:
            _own(site)
        if site.tftp.address6 and not IPv6Address(site.tftp.address6).is_unspecified:
            _own6(site.tftp.address6)
    if "http" in parts_on:
        for root in site.http.root:
            if not os.path.isdir(root):
                raise ConfigError("http.root", root, "must be a folder that exists")
        trust.load(site.containers.trusted_keys)
    if parts_on & {"http", "dhcp"}:  # DHCP sends machines there.
        places.examine(site.http.listen, reactor, is_served="http" in parts_on)
    if "dhcp" in parts_on:
        serving(site)


def tftp_root(site: Site) -> str:
    """The folder of the files for TFTP; empty where there is none, and the packaged loaders are all there is."""
    return site.tftp.root or (USUAL_TFTP_ROOT if os.path.isdir(USUAL_TFTP_ROOT) else "")


def known() -> dict[str, Interface]:
    """The interfaces of this machine, by name; raises `Malformed` if the system does not tell."""
    try:
        return interfaces()
    except OSError as problem:
        raise Malformed(f"the interfaces of this machine cannot be read: {problem}") from None


def listening(site: Site) -> Callable[[Mapping[str, Interface]], Collection[str]]:
    """A new rule by which DHCP's interfaces are found, of all that there are at a moment: their names.

    Those that are named, whether they are there or not; else each with an address in a subnet, or for a proxy without
    subnets that of the default route.
    """
    if names := site.dhcp.interface:
        return lambda there: names
    networks = _networks(site)
    if not networks:
        # As it was at the start: a tunnel that takes the route later does not take the proxy with it.
        route = default_interface()
        return lambda there: (route,) if route else ()
    return _Within(networks)


def _networks(site: Site) -> list[IPv4Network]:
    """The subnets that are served."""
    return [subnet.network for subnet in site.dhcp.subnet if site.dhcp.mode_of(subnet) != "off"]


class _Within:
    """The interfaces with an address in some networks.

    One that loses all its addresses is still meant, for a while without any is how it gets another; its ports, which
    may take a privilege to bind, stay open.
    """

    def __init__(self, networks: Sequence[IPv4Network]) -> None:
        self._networks = networks
        self._meant: frozenset[str] = frozenset()

    def __call__(self, there: Mapping[str, Interface]) -> Collection[str]:
        """Their names, of all that there are."""
        found = [name for name, each in there.items() if self._means(name, each.addresses)]
        self._meant = frozenset(found)
        return found

    def _means(self, name: str, addresses: Sequence[IPv4Address]) -> bool:
        if not addresses:
            return name in self._meant
        return any(address in network for address in addresses for network in self._networks)


def serving(site: Site) -> dict[str, Interface]:
    """The interfaces that DHCP is served on at this moment, by name: those that are to be served and are there.

    Raises `ConfigError` where the settings name none and imply none, or where ``dhcp.address`` is of none of them.
    """
    there = known()
    names = listening(site)(there)
    if not names:
        others = ", ".join(sorted(there))
        if networks := list(map(str, _networks(site))):
            allowed = f"must be named: none has an address in {' or '.join(networks)}; there are {others}"
        else:
            allowed = f"must be named, as there is no default route: there are {others}"
        raise ConfigError("dhcp.interface", "", allowed)
    found = {name: there[name] for name in names if name in there}
    address, has = site.dhcp.address, [each for one in found.values() for each in one.addresses]
    # Of an interface that is waited for nobody knows which address it will have.
    is_whole = len(found) == len(names) and all(each.addresses for each in found.values())
    if address is not None and is_whole and address not in has:
        told = ", ".join(map(str, has))
        raise ConfigError("dhcp.address", str(address), f"must be an address of {', '.join(found)}, which has {told}")
    return found


def apart(site: Site, found: Mapping[str, Interface]) -> list[str]:
    """Those of DHCP's interfaces that have addresses, but none in a subnet: only relays are answered there."""
    if site.dhcp.mode == "proxy":  # which serves the networks that no subnet is about, too
        return []
    networks = _networks(site)
    return [
        name
        for name, each in found.items()
        if each.addresses and not any(address in network for address in each.addresses for network in networks)
    ]


def doubts(site: Site, parts: frozenset[str]) -> list[str]:
    """What is no mistake, but may be one: a line each."""
    parts_on = wanted(site, parts)
    lines = places.doubts(site.http.listen) if "http" in parts_on else []
    return lines + _doubts_of_interfaces(site) if "dhcp" in parts_on else lines


def _doubts_of_interfaces(site: Site) -> list[str]:
    """Those about DHCP's interfaces as they are at this moment."""
    there = known()
    lines = []
    for name in listening(site)(there):
        if name not in there:
            others = ", ".join(sorted(there))
            lines.append(f"dhcp.interface: there is no {name} now, it would be waited for; there are {others}")
        elif not there[name].addresses:
            lines.append(f"dhcp.interface: {name} has no IPv4 address now, it would be waited for")
    for name in apart(site, serving(site)):
        addresses = ", ".join(map(str, there[name].addresses))
        lines.append(f"dhcp.interface: {name} ({addresses}) has no address in a subnet, only relays are answered there")
    return lines


def why(problem: OSError) -> str:
    """The system's words, and what they mean of a port."""
    hints = {
        errno.EACCES: " (ports below 1024 need root or CAP_NET_BIND_SERVICE)",
        errno.EPERM: " (to bind a port on one interface needs root or CAP_NET_RAW)",
        errno.EADDRINUSE: " (another server runs on this machine)",
    }
    return (problem.strerror or str(problem)) + hints.get(problem.errno or 0, "")


def _not_to_be_written(site: Site) -> Iterator[tuple[str, str]]:
    """The folders of which no client may write anything by a ``path`` of ``[[tftp.write]]``, and what each is."""
    if root := tftp_root(site):
        yield "tftp.root", root
    yield "state", site.state
    for root in site.roots:
        yield "http.root", root
    for loaders in sorted({os.path.dirname(file) for files in PACKAGED.values() for file in files}):
        yield "the installed boot loaders", loaders


def _own(site: Site) -> None:
    """The address of the TFTP service must be one of this machine's; those of 127.0.0.0/8 always are."""
    address = site.tftp.address
    own = {each for found in known().values() for each in found.addresses}
    if address not in own and not address.is_loopback:
        there = ", ".join(map(str, sorted(own)))
        raise ConfigError("tftp.address", str(address), f"must be an address of this machine: {there}")


def _own6(address: str) -> None:
    """The same of its IPv6 address, and of the interface behind a link-local one."""
    own = _ipv6_addresses()
    if not any(IPv6Address(address) == each for each in own):
        there = ", ".join(map(str, own)) or "none"
        raise ConfigError("tftp.address6", address, f"must be an address of this machine: {there}")


def _ipv6_addresses() -> list[IPv6Address]:
    """The IPv6 addresses of this machine; those that are link-local with their interface."""
    try:
        with open(_IPV6_ADDRESSES, encoding="ascii") as table:
            rows = [line.split() for line in table]
    except FileNotFoundError:  # The system knows no IPv6.
        return []
    found = [(IPv6Address(int(digits, 16)), name) for digits, *_, name in rows]
    return sorted(IPv6Address(f"{each}%{name}") if each.is_link_local else each for each, name in found)
