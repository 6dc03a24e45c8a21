"""What a machine shall boot: the one engine that every protocol asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol

from pixelboot.boot.architecture import describe
from pixelboot.boot.hosts import NOBODY, Hosts, keys_of
from pixelboot.boot.machine import Firmware, Machine
from pixelboot.boot.settings import BootSettings, literal, quoted, split_url


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one machine is given to boot next."""

    boot_file: str | None = None
    """A URL, or to PXE the name of a file; None when there is nothing for it to boot here."""

    next_server: IPv4Address | None = None
    """Where PXE fetches the file by TFTP; None for the server that answers."""

    obstacle: str = ""
    """Why there is nothing, for a person; empty to a machine that did not ask for anything to boot."""


_NOTHING = Assignment()
"""What is said to machines that want an address and no more."""


class Policy(Protocol):
    """The seam behind which assignments are decided; awaitable, so that a database can stand there."""

    async def assign(self, machine: Machine, server: IPv4Address) -> Assignment:
        """What `machine` shall boot, in terms of the address `server` at which it reaches us."""


HostsNow = Callable[[], Awaitable[Hosts]]
"""Tells what is said of single machines: `pixelboot.boot.hosts.HostStore.hosts`."""


async def nobody() -> Hosts:
    """Nothing is said of any machine."""
    return NOBODY


class BootPolicy:
    """By what asks: iPXE gets a script by URL, PXE a loader by TFTP, UEFI HTTP boot a loader by URL, others nothing.

    iPXE never gets a loader, which might be iPXE again and without end.

    What one machine boots is decided when iPXE runs on it and asks for its script: a ROM that is told nothing waits for
    half a minute or more before it goes on to the disk, if it does, so one whose machine boots its disk gets the
    loader as well.
    """

    def __init__(
        self,
        settings: BootSettings,
        http_port: int | None,
        tftp: bool,
        holds: Callable[[str], Awaitable[bool]],
        remedy: Callable[[str], str] | None = None,
        name_servers: bool = True,
        hosts: HostsNow = nobody,
    ) -> None:
        """`http_port` is where HTTP is served (None: nowhere), `tftp` whether TFTP is.

        `holds` tells whether there is a loader of a name, `remedy` how a person gets one that is not there.  Without
        `name_servers` machines are told none, and a URL in the settings that names its host is no use to them.
        `hosts` tells of machines that load something else than their kind does.
        """
        self._settings = settings
        self._http_port = http_port
        self._tftp = tftp
        self._holds = holds
        self._remedy = remedy
        self._name_servers = name_servers
        self._hosts = hosts

    async def assign(self, machine: Machine, server: IPv4Address) -> Assignment:
        """See `Policy.assign`."""
        if machine.firmware is Firmware.IPXE:
            return self._script(machine, server)
        if machine.firmware is Firmware.PXE:
            return await self._by_tftp(machine, await self._own_loader(machine))
        if machine.firmware is Firmware.HTTP:
            return await self._by_http(machine, await self._own_loader(machine), server)
        return _NOTHING

    async def _own_loader(self, machine: Machine) -> str:
        """What is to be loaded by this machine alone; empty for what its kind loads."""
        hosts = await self._hosts()
        return hosts.loader(keys_of(machine, hosts.by_uuid)) if hosts else ""

    def _script(self, machine: Machine, server: IPv4Address) -> Assignment:
        if url := self._settings.loaders.ipxe:
            return self._elsewhere(url)
        if self._http_port is None:
            return Assignment(obstacle="there is no HTTP service to boot from")
        return Assignment(script_url(server, self._http_port, machine))

    async def _by_tftp(self, machine: Machine, own: str) -> Assignment:
        name, elsewhere = own, self._settings.tftp_server
        if not name:
            if machine.architecture is None:
                return _not_known(machine)
            name = self._settings.loaders.pxe(machine.architecture)
        if url := split_url(name):
            if url.scheme != "tftp":
                return Assignment(obstacle=f"its own loader is {name}, which PXE cannot fetch")
            return Assignment(url.path.removeprefix("/"), literal(url))
        if name and elsewhere:
            return Assignment(name, elsewhere)
        if not self._tftp:
            return Assignment(obstacle="TFTP is off")
        obstacle = await self._missing(machine, name)
        return Assignment(obstacle=obstacle) if obstacle else Assignment(name)

    async def _by_http(self, machine: Machine, own: str, server: IPv4Address) -> Assignment:
        name = own
        if not name:
            if machine.architecture is None:
                return _not_known(machine)
            name = self._settings.loaders.http(machine.architecture)
        if url := split_url(name):
            if url.scheme == "tftp":
                return Assignment(obstacle=f"its own loader is {name}, which UEFI HTTP boot cannot fetch")
            return self._elsewhere(name)
        if self._http_port is None:
            return Assignment(obstacle="HTTP is off")
        obstacle = await self._missing(machine, name)
        return Assignment(obstacle=obstacle) if obstacle else Assignment(_url(server, self._http_port, name))

    async def _missing(self, machine: Machine, name: str) -> str:
        """Why there is no loader `name` here; empty if there is."""
        if not name:
            return f"no loader for {machine.architecture}: the settings name none"
        if not await self._holds(name):
            remedy = self._remedy(name) if self._remedy else ""
            kind = machine.architecture or "this machine"
            return f"no loader for {kind}: there is no file {name}{remedy and '; ' + remedy}"
        return ""

    def _elsewhere(self, url: str) -> Assignment:
        """A URL of the settings."""
        parts = split_url(url)
        if parts is not None and literal(parts) is None and not self._name_servers:
            return Assignment(obstacle=f"{url} has the name of a host, and machines are told no name server (dns)")
        return Assignment(url)


def _not_known(machine: Machine) -> Assignment:
    if machine.code is None:
        return Assignment(obstacle="it does not say what kind of machine it is")
    return Assignment(obstacle=f"no loader is known for its architecture {describe(machine.code)}")


def script_url(server: IPv4Address, port: int, machine: Machine) -> str:
    """Where `machine` finds its first script.

    The address is a literal, so that no name server is needed, and the machine's identity travels in the query:
    whoever fetches the script is answered for that machine without any memory of the DHCP exchange.
    """
    # Dashes: in a relative URL, iPXE takes a colon for the end of a scheme, and this query is handed on in one.
    query = f"?mac={machine.hwaddr}".replace(":", "-") if machine.hwaddr else ""
    return f"http://{_at(server, port)}/boot.ipxe{query}"


def _url(server: IPv4Address, port: int, name: str) -> str:
    path = quoted(name)
    return f"http://{_at(server, port)}/loaders/{path}"


def _at(server: IPv4Address, port: int) -> str:
    return f"{server}" if port == 80 else f"{server}:{port}"
