"""What a machine shall boot: the one engine that every protocol asks."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol

from pixelboot.boot.machine import Firmware, Machine


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one machine is given to boot next."""

    boot_file: str | None = None
    """A URL, or None when there is nothing for it to boot here."""


class Policy(Protocol):
    """The seam behind which assignments are decided; awaitable, so that a database can stand there."""

    async def assign(self, machine: Machine, server: IPv4Address) -> Assignment:
        """What `machine` shall boot, in terms of the address `server` at which it reaches us."""


class ScriptPolicy:
    """Every iPXE gets the script of our HTTP service; everybody else gets an address and nothing to boot."""

    def __init__(self, http_port: int | None) -> None:
        """`http_port` is where the HTTP service listens; None when there is no such service to point to."""
        self._http_port = http_port

    async def assign(self, machine: Machine, server: IPv4Address) -> Assignment:
        """See `Policy.assign`."""
        if machine.firmware is not Firmware.IPXE or self._http_port is None:
            return Assignment()
        return Assignment(script_url(server, self._http_port, machine))


def script_url(server: IPv4Address, port: int, machine: Machine) -> str:
    """Where `machine` finds its first script.

    The address is a literal, so that no name server is needed, and the machine's identity travels in the query:
    whoever fetches the script is answered for that machine without any memory of the DHCP exchange.
    """
    # Dashes: in a relative URL, iPXE takes a colon for the end of a scheme, and this query is handed on in one.
    query = f"?mac={machine.hwaddr}".replace(":", "-") if machine.hwaddr else ""
    at = f"{server}" if port == 80 else f"{server}:{port}"
    return f"http://{at}/boot.ipxe{query}"
