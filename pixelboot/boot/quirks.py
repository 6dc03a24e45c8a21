"""What each kind of firmware needs in a reply beside what the RFCs ask, as a table of data.

A profile is one kind of firmware and a trait is one thing in which kinds differ.  `recognise` finds the profile of a
sender by what it says of itself; a host in the settings can be given another by its name (``firmware``), which is
looked up with `named`.

What all of them share is no trait: the boot file stands in option 67 *and* in ``file`` of the header with siaddr beside
it (shim, GRUB and U-Boot read nothing else), option 67 is never the last option, and PAD stands behind END alone.

Versions of EDK2 cannot be told apart by what they send.  Before April 2017 (commit 8cdd559be6) it did not see a proxy's
offer that has discovery control in option 43, so ``uefi``, the profile of all UEFI PXE firmware, is the form that both
take; ``edk2-2016`` and ``edk2-2017`` are for a host of which the operator knows it.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pixelboot.boot.machine import Firmware, Machine
from pixelboot.malformed import Malformed


class ProxyOffer(enum.StrEnum):
    """How much a proxy's OFFER says."""

    COMPLETE = "complete"
    """The boot file and its server: the client may take them from there."""

    BY_4011 = "by 4011"
    """Only that there is something to boot: the client asks for it at port 4011."""


class ServerName(enum.StrEnum):
    """How option 66 names the TFTP server."""

    NONE = "none"
    """Not at all: siaddr is read, or a URL."""

    QUAD = "quad"
    """As a dotted quad, without anything behind it."""

    QUAD_NUL = "quad with NUL"
    """As a dotted quad with a NUL behind it, for firmware that ends the text in place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """What one kind of firmware needs: a field a trait."""

    proxy_offer: ProxyOffer = ProxyOffer.COMPLETE
    """What a proxy's OFFER says; port 4011 is answered in either case."""

    vendor_class: str = "PXEClient"
    """Option 60 of the replies that have one; the proxy's always have."""

    vendor_class_from_server: bool = False
    """Whether the address server's replies have options 60 and 43 too.  UEFI HTTP boot sees no other, and the Pi wants
    its menu; to other PXE firmware option 60 says that there is more to ask at port 4011."""

    discovery_control: int | None = None
    """PXE discovery control (43.6): 1 no broadcast, 2 no multicast, 4 the listed servers alone, 8 load the file without
    a prompt; None leaves option 43 out, as EDK2 before April 2017 wants."""

    menu_prompt: str = ""
    """PXE menu prompt (43.10), shown for no time; empty for none."""

    boot_menu: str = ""
    """The one item, of type 0, of the PXE boot menu (43.9) without which it does not take an offer; empty for none."""

    pxe_menu: bool = False
    """Whether it is given the boot menu of the settings (``[boot.pxe]``), where there is one."""

    tftp_server_name: ServerName = ServerName.NONE
    """How option 66 names the TFTP server, to clients that ask for it."""

    boot_file_nul: bool = True
    """Whether a NUL ends option 67.  EDK2 writes one behind the option otherwise, over what stands there."""

    no_proxy_wait: bool = False
    """Whether the address server says that there is no proxy to wait for (175.176)."""

    overload: bool = False
    """Whether options may stand in ``file`` and ``sname`` (option 52); firmware reads these fields as they are."""

    arp: bool = True
    """Whether it answers ARP once it has an address; where it does not, replies go to its link address."""

    delay: float = 0.0
    """Seconds to wait before a reply, for firmware that is not ready to hear one at once."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of firmware."""

    name: str
    """What settings call it."""

    title: str
    """What it is, for a person."""

    told: str
    """How it is recognised, for a person."""

    quirks: Quirks
    """What it needs."""

    firmware: Firmware | None = None
    """What asks, even where option 60 is missing; None where that is all that tells."""


_UEFI = Quirks(tftp_server_name=ServerName.QUAD_NUL)
_HEADER = Quirks(tftp_server_name=ServerName.QUAD)
_PI = Quirks(
    vendor_class_from_server=True,
    discovery_control=3,
    menu_prompt="PXE",
    boot_menu="Raspberry Pi Boot",
    tftp_server_name=ServerName.QUAD,
    boot_file_nul=False,
)

_ALL = (
    Profile("plain", "an operating system or anything else", "by nothing else", Quirks(overload=True)),
    Profile(
        "bios",
        "a BIOS with a PXE ROM",
        'option 60 begins with "PXEClient" and the architecture is 0 or missing',
        Quirks(discovery_control=8, menu_prompt="PXE", pxe_menu=True, tftp_server_name=ServerName.QUAD_NUL),
        Firmware.PXE,
    ),
    Profile(
        "uefi",
        "UEFI PXE, of whatever age",
        'option 60 begins with "PXEClient" and the architecture is any other',
        _UEFI,
        Firmware.PXE,
    ),
    Profile(
        "edk2-2016",
        "UEFI PXE of EDK2 before April 2017",
        "by the settings alone",
        dataclasses.replace(_UEFI, proxy_offer=ProxyOffer.BY_4011),
        Firmware.PXE,
    ),
    Profile(
        "edk2-2017",
        "UEFI PXE of EDK2 since April 2017",
        "by the settings alone",
        dataclasses.replace(_UEFI, pxe_menu=True),
        Firmware.PXE,
    ),
    Profile(
        "http",
        "UEFI HTTP boot",
        'option 60 begins with "HTTPClient"',
        Quirks(vendor_class="HTTPClient", vendor_class_from_server=True),
        Firmware.HTTP,
    ),
    Profile(
        "ipxe",
        "iPXE, in ROM or loaded",
        'option 77 is "iPXE", or there is an option 175',
        Quirks(no_proxy_wait=True),
        Firmware.IPXE,
    ),
    Profile(
        "raspberry-pi-3",
        "the boot ROM of a Raspberry Pi 3",
        "transaction 0x26f30339, or a link address of 1 to 3 (b8:27:eb) with architecture 0",
        # The ROM compares the text to its end, spaces and all, misses what comes at once, and does not answer ARP.
        dataclasses.replace(_PI, boot_menu="Raspberry Pi Boot   ", arp=False, delay=1.0),
        Firmware.PXE,
    ),
    Profile(
        "raspberry-pi-4",
        "the bootloader of a Raspberry Pi 4 or 5",
        'option 97 begins with "RPi4" or "RPi5", or a link address of theirs with architecture 0 or 0x29',
        _PI,
        Firmware.PXE,
    ),
    Profile(
        "u-boot",
        "U-Boot's own DHCP",
        'option 60 begins with "U-Boot", or the architecture is one of 0x15 to 0x18',
        _HEADER,
    ),
    Profile(
        "grub",
        "GRUB and shim, which read the reply that their firmware was given",
        "by the settings alone: what their firmware gets has all that they read",
        _HEADER,
    ),
)

PROFILES: Mapping[str, Profile] = {profile.name: profile for profile in _ALL}
"""Every profile by its name."""

_OLD_ROM = 0x26F30339
"""The one transaction number that the ROM of a Pi 3 knows."""

_PI_LINKS: Mapping[bytes, Profile] = {bytes.fromhex("b827eb"): PROFILES["raspberry-pi-3"]} | dict.fromkeys(
    map(bytes.fromhex, ("28cdc1", "2ccf67", "88a29e", "d83add", "dca632", "e45f01")), PROFILES["raspberry-pi-4"]
)
"""The first three octets of the link addresses of Raspberry Pis."""

_PI_ARCHITECTURES = frozenset((0, 0x29))
_U_BOOT_ARCHITECTURES = frozenset((0x15, 0x16, 0x17, 0x18))
_BY_FIRMWARE: Mapping[Firmware, Profile] = {
    Firmware.IPXE: PROFILES["ipxe"],
    Firmware.HTTP: PROFILES["http"],
    Firmware.PXE: PROFILES["uefi"],
    Firmware.OTHER: PROFILES["plain"],
}


class Facts(NamedTuple):
    """What is known of a sender."""

    firmware: Firmware
    """What asks, as options 60, 77 and 175 tell."""

    vendor_class: bytes = b""
    """Option 60; empty when it is missing."""

    codes: tuple[int, ...] = ()
    """The architectures that it says it has (option 93, or what option 60 tells), in its order."""

    uuid: bytes = b""
    """Option 97 as sent, with the octet of its type; empty when it is missing."""

    link: bytes = b""
    """Its link address; empty when it has none."""

    xid: int = 0
    """The transaction of the request."""


def recognise(facts: Facts) -> Profile:
    """The profile of a sender; the first row that fits: Raspberry Pi, U-Boot, then by what asks.

    A Raspberry Pi whose operating system or iPXE asks is none of its own kind: what it runs is all that matters, so
    its link address counts only beside the architecture that its ROM says it has.  A REQUEST of that has no option 60.
    """
    firmware, vendor_class, codes, uuid, link, xid = facts
    if firmware is Firmware.PXE or (firmware is Firmware.OTHER and codes):
        if uuid[1:5] in (b"RPi4", b"RPi5"):
            return PROFILES["raspberry-pi-4"]
        if codes and codes[0] in _PI_ARCHITECTURES:
            if xid == _OLD_ROM:
                return PROFILES["raspberry-pi-3"]
            if (pi := _PI_LINKS.get(link[:3])) is not None:
                return pi
        if codes and codes[0] in _U_BOOT_ARCHITECTURES:
            return PROFILES["u-boot"]
        if firmware is Firmware.PXE and (not codes or codes[0] == 0):
            return PROFILES["bios"]
    if firmware is Firmware.OTHER and vendor_class.startswith(b"U-Boot"):
        return PROFILES["u-boot"]
    return _BY_FIRMWARE[firmware]


def overridden(found: Profile, machine: Machine, override: Profile) -> Profile:
    """The profile of a machine that the settings say is another than the one `found`.

    One machine asks by its firmware, then as iPXE, then as an operating system: an override is for the stage that it
    speaks of, and for no other.  Who says an architecture without saying what it is, is firmware.
    """
    asks = machine.firmware
    if asks is Firmware.OTHER and machine.code is not None:
        asks = Firmware.PXE
    if override.firmware is None:
        return override if asks in (Firmware.PXE, Firmware.OTHER) else found
    return override if asks is override.firmware else found


def named(name: str) -> Profile:
    """The profile that a host in the settings names; `Malformed` says which ones there are."""
    if name not in PROFILES:
        raise Malformed("one of " + ", ".join(f'"{known}"' for known in PROFILES))
    return PROFILES[name]


def describe(quirks: Quirks, *, every: bool = False) -> Iterator[tuple[str, str]]:
    """The traits that differ from what holds without a profile, or `every` one: name and value, for people."""
    for trait in dataclasses.fields(Quirks):
        value = getattr(quirks, trait.name)
        if every or value != trait.default:
            yield trait.name, _shown(value)


def _shown(value: object) -> str:
    match value:
        case enum.StrEnum():
            return str(value)
        case bool():
            return "yes" if value else "no"
        case str():
            return f'"{value}"'
        case float():
            return f"{value:g} s"
        case _:
            return str(value)
