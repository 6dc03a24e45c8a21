"""What is said of one machine, ``[[host]]``: how it is known, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from uuid import UUID

from pixelboot.boot.quirks import PROFILES
from pixelboot.boot.settings import LOADER
from pixelboot.config import (
    Invalid,
    address,
    choice,
    hardware_address,
    hexadecimal,
    octets,
    optional,
    setting,
    switch,
    text,
    uuid,
)
from pixelboot.dhcp.settings.option import Options, options
from pixelboot.dhcp.settings.subnet import domain
from pixelboot.hwaddr import HardwareAddress

KEYS = ("mac", "client_id", "uuid", "circuit")
"""The settings by one of which a host is known."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """One ``[[host]]``: a machine that any of its four keys tells, and what it is given."""

    name: str = setting(
        text("a host name", domain),
        "",
        help="What it is called here; machines that ask for their name (option 12) are told this one.",
    )
    mac: HardwareAddress | None = setting(optional(hardware_address()), None, help="Its hardware address.")
    client_id: bytes | None = setting(
        optional(hexadecimal(2, 255)), None, help="Its client identifier (option 61), the type in front included."
    )
    uuid: UUID | None = setting(
        optional(uuid()),
        None,
        help="The UUID of its board (option 97), whichever way round its firmware sends the first three parts.",
    )
    circuit: bytes | None = setting(
        optional(octets(255)),
        None,
        help="Where it is plugged in: the circuit that a relay tells (option 82, sub-option 1).  Whatever machine is "
        "there is this host.",
    )
    address: IPv4Address | None = setting(
        optional(address()),
        None,
        help="The address that is kept for it, in its subnet; elsewhere it is given one of the pool.",
    )
    boot: str = setting(
        text('a container\'s id, "menu", "local" or "shell"'),
        "",
        help="What it boots instead of the menu: the id of a container, local for its own disk, or shell for iPXE's "
        "command line; menu is the menu all the same.  For a host that goes by its mac or uuid.",
    )
    loader: str = setting(LOADER, "", help="What it loads first, instead of what ``[boot.loaders]`` has for its kind.")
    firmware: str = setting(
        choice("", *PROFILES), "", help="Which firmware's habits are heeded, where they are not found out."
    )
    options: Options = setting(options(), (), help="Options of this machine, before those of its classes and subnet.")
    ignore: bool = setting(switch(), False, help="Whether it is left unanswered.")

    def __post_init__(self) -> None:
        if all(getattr(self, key) is None for key in KEYS):
            raise Invalid("name", self.name, "must have a key that the machine is known by: " + ", ".join(KEYS))
