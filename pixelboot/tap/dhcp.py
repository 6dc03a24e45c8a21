"""DHCP put together: the networks of the site, the interfaces they are on, the leases, and what machines boot."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.boot.memory import Memory
from pixelboot.boot.policy import BootPolicy
from pixelboot.config import ConfigError
from pixelboot.dhcp.listening import Listening
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.network.network import Network
from pixelboot.dhcp.service import DhcpService
from pixelboot.dhcp.settings.dhcp import DhcpSettings
from pixelboot.leases.crowd import Ceilings
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome
from pixelboot.site import Site
from pixelboot.state.leases.sqlite import SqliteLeases
from pixelboot.tap.examine import apart, listening, serving, why
from pixelboot.udp.interfaces import Interface

_log = Logger(namespace="pixelboot.dhcp")


def dhcp_service(
    site: Site,
    failed: Callable[[Failure], None],
    policy: Callable[[Network], BootPolicy],
    memory: Memory,
    report: Callable[[Outcome], None],
    reactor: Any,
    opened: Callable[[], None],
) -> DhcpService:
    """DHCP on its interfaces, with every port bound that can be.

    `opened` is called when the leases are read, before the garbage collector looks at them, `failed` when they cannot
    be.  Raises `Malformed`, mostly `ConfigError`; nothing is left open then.
    """
    settings = site.dhcp
    network = Network(settings, site.host)
    ceilings = Ceilings(settings.offers_per_port, settings.offers_per_relay)

    async def open_leases() -> SqliteLeases:
        path = os.path.join(site.state, "leases.sqlite")
        # Leases make no cycles; to look for some among 100,000 takes 50 ms, again and again while they are read.
        collecting = gc.isenabled()
        gc.disable()
        try:
            leases = await SqliteLeases.open(reactor, path, report, ceilings, time.monotonic)
            opened()
        finally:
            if collecting:
                gc.enable()
        return leases

    decides = policy(network)
    interfaces = Listening(
        reactor,
        listening(site),
        (settings.port, settings.proxy_port),
        report,
        time.time,
        probes=settings.probe_time > 0 and "server" in settings.modes,
    )
    try:
        interfaces.open()
    except OSError as problem:
        raise _not_bound(settings, problem) from None
    for name in apart(site, interfaces.interfaces):
        _log.warn("on {name} relays alone are answered: it has no address in a subnet of the settings", name=name)
    return DhcpService(
        settings,
        network,
        interfaces,
        decides,
        memory,
        open_leases,
        failed,
        report,
        reactor,
        time.time,
        site.boot.pxe,
    )


def _not_bound(settings: DhcpSettings, problem: OSError) -> Malformed:
    """What the operator has to know of a port that cannot be had; see `Listening.open`."""
    where, _, number = str(problem.filename).partition(" udp ")
    for key, port in (("dhcp.port", settings.port), ("dhcp.proxy_port", settings.proxy_port)):
        if number == str(port):
            return ConfigError(key, port, f"cannot be bound on {where}: {why(problem)}")
    return Malformed(f"the interfaces of this machine cannot be read: {problem}")


def name_servers(network: Network) -> bool:
    """Whether machines are told name servers, as far as we tell them: a proxy's have another server's."""
    given = [subnet for link in network.links if link.mode == "server" for subnet in link.subnets]
    return all(Option.DOMAIN_NAME_SERVER in subnet.parameters((), None).options for subnet in given)


def check_reachable(site: Site, http_host: str | None) -> None:
    """Machines are sent to HTTP and TFTP at the address that they reach: these must not listen elsewhere alone.

    `http_host` is where HTTP listens, None where it does not.  Raises `ConfigError`.
    """
    found = serving(site)
    told = _told(site, found)
    names = site.dhcp.interface or tuple(found)
    if len(names) > 1:
        reach = f"must be at every address: machines on {', '.join(names)} are each told the one of their interface"
        told = set()
    else:
        reach = f"must be at every address, or at the one of {names[0]} that machines are told"
        if len(told) != 1:
            lacks = "there are several" if told else "it has none yet"
            reach += f"; {lacks}, so dhcp.address has to name it"
            told = set()
    everywhere = {"0.0.0.0", "::"}
    if http_host is not None and http_host not in everywhere | told:
        plain = next((each.text for each in site.http.listen if not each.is_secure and each.port is not None), "")
        raise ConfigError("http.listen", plain, reach)
    tftp = site.tftp
    if tftp.enabled and site.boot.tftp_server is None and str(tftp.address) not in everywhere | told:
        raise ConfigError("tftp.address", str(tftp.address), reach)


def _told(site: Site, found: Mapping[str, Interface]) -> set[str]:
    """The addresses that machines on these interfaces are sent to, as far as they are known."""
    if site.dhcp.address is not None:
        return {str(site.dhcp.address)}
    networks = [subnet.network for subnet in site.dhcp.subnet if site.dhcp.mode_of(subnet) != "off"]
    addresses = [address for each in found.values() for address in each.addresses]
    near = [each for each in addresses if any(each in network for network in networks)]
    return set(map(str, near or addresses))
