"""Who asks: from the options of a request to a `Machine`."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import lru_cache

from pixelboot.boot.architecture import Architecture, first_supported
from pixelboot.boot.machine import Firmware, Machine
from pixelboot.boot.quirks import Facts, Profile
from pixelboot.boot.quirks import recognise as profile_of
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.vendor import user_classes
from pixelboot.dhcp.message.wire import INFINIBAND, Message
from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed

_MEANINGLESS = (bytes(16), b"\xff" * 16)
"""UUIDs of boards whose maker never wrote one."""
_VENDOR_CLASS = re.compile(rb"(PXE|HTTP)Client(?::Arch:(\d{5}))?")
"""What option 60 of a boot client begins with (PXE 2.1 §2.2.1; UEFI 2.10 §24.7)."""

# As plain numbers, which are found faster than the members of an enumeration.
_HOST_NAME = int(Option.HOST_NAME)
_VENDOR = int(Option.VENDOR_CLASS)
_USER_CLASS = int(Option.USER_CLASS)
_ARCHITECTURE = int(Option.CLIENT_ARCHITECTURE)
_UUID = int(Option.CLIENT_UUID)
_CLIENT_IDENTIFIER = int(Option.CLIENT_IDENTIFIER)
_IPXE = int(Option.IPXE)


@dataclass(frozen=True, slots=True, eq=False)
class _Kind:
    """What a sender's options say of what it runs: the same value for every machine of one make."""

    firmware: Firmware
    architecture: Architecture | None
    code: int | None
    codes: tuple[int, ...]
    profile: Profile
    settled: bool
    """Whether its profile is that, whatever else the request says."""


def meet(request: Message) -> tuple[Machine, Profile]:
    """The machine behind a request, and what its firmware needs.

    `Malformed` when it has neither a link address nor a client identifier.
    """
    sent = request.options
    vendor = sent.get(_VENDOR, b"")
    kind = _kind(vendor, sent.get(_USER_CLASS, b""), sent.get(_ARCHITECTURE, b""), _IPXE in sent)
    link = _link(request)
    identifier = b"" if link else sent.get(_CLIENT_IDENTIFIER, b"")
    machine = _machine(kind, request.htype, link, identifier, sent.get(_UUID, b""))
    if kind.settled:
        return machine, kind.profile
    profile = profile_of(Facts(kind.firmware, vendor, kind.codes, sent.get(_UUID, b""), link, request.xid))
    if profile.firmware is None or profile.firmware is machine.firmware:
        return machine, profile
    architecture, code = _architecture(profile.firmware, kind.codes)
    return machine._replace(firmware=profile.firmware, architecture=architecture, code=code), profile


@lru_cache(maxsize=4096)
def _machine(kind: _Kind, htype: int, link: bytes, identifier: bytes, uuid: bytes) -> Machine:
    """A machine asks several times in one boot, and each time it is the same one."""
    hwaddr = HardwareAddress(link) if link else None
    key = _key(htype, link, identifier)
    return Machine(key, hwaddr, kind.firmware, _uuid(uuid), kind.architecture, kind.code)


def recognise(request: Message) -> Machine:
    """The machine behind a request; `Malformed` when it has neither a link address nor a client identifier."""
    return meet(request)[0]


def identity(request: Message) -> str:
    """The key under which the sender's lease is kept.

    It is the link address, not option 61: a ROM sends none, iPXE one and the operating system another, and one
    machine shall have one address through its whole boot (a departure from RFC 2131 §4.2, made for netboot).
    Option 61 counts where the link has no such address (RFC 4390).
    """
    link = _link(request)
    return _key(request.htype, link, b"" if link else request.options.get(_CLIENT_IDENTIFIER, b""))


def _link(request: Message) -> bytes:
    """The link address; empty where there is none that fits into its field (RFC 4390)."""
    return request.chaddr[: request.hlen] if 1 <= request.hlen <= 16 and request.htype != INFINIBAND else b""


def _key(htype: int, link: bytes, identifier: bytes) -> str:
    if link:
        return f"hw:{htype:02x}:{link.hex(':')}"
    if not 2 <= len(identifier) <= 255:
        raise Malformed("there is neither a link address nor a client identifier")
    return f"id:{identifier.hex()}"


@lru_cache(maxsize=1024)
def _kind(vendor: bytes, user_class: bytes, architecture: bytes, ipxe: bool) -> _Kind:
    """What options 60, 77 and 93 say, and whether there is an option 175."""
    what = _firmware(vendor, user_class, ipxe)
    codes = _architectures(vendor, architecture)
    # A Raspberry Pi and U-Boot show in the architecture that they say; what says none is what it seems.
    settled = what in (Firmware.IPXE, Firmware.HTTP) or (what is Firmware.OTHER and not codes)
    return _Kind(what, *_architecture(what, codes), codes, profile_of(Facts(what, vendor, codes)), settled)


def _architecture(what: Firmware, codes: tuple[int, ...]) -> tuple[Architecture | None, int | None]:
    architecture, code = first_supported(codes)
    if what is Firmware.PXE and code is None:
        # There were BIOS ROMs before there was a way to say so; whatever came later says what it is.
        architecture = Architecture.BIOS
    return architecture, code


def firmware(request: Message) -> Firmware:
    """What kind of program sent the request.

    iPXE is told first, as it also says PXEClient.  Its user class (option 77) is mostly the raw text, against
    RFC 3004, but correctly length-prefixed ones exist too; a build without a user class still sends option 175.
    """
    sent = request.options
    return _firmware(sent.get(_VENDOR, b""), sent.get(_USER_CLASS, b""), _IPXE in sent)


def _firmware(vendor: bytes, user_class: bytes, ipxe: bool) -> Firmware:
    if user_class == b"iPXE" or b"iPXE" in user_classes(user_class) or ipxe:
        return Firmware.IPXE
    vendor_class = _VENDOR_CLASS.match(vendor)
    if vendor_class is None:
        return Firmware.OTHER
    return Firmware.HTTP if vendor_class[1] == b"HTTP" else Firmware.PXE


def asks_for_boot(request: Message) -> bool:
    """Whether option 60 says that a proxy is spoken to (PXE 2.1 §2.2.1; UEFI 2.10 §24.7); iPXE says it, too."""
    return _VENDOR_CLASS.match(request.options.get(_VENDOR, b"")) is not None


def architectures(request: Message) -> tuple[int, ...]:
    """The codes of the architectures that the sender says it is, its first choice first.

    Option 93 holds 16-bit codes (RFC 4578 §2.1); where it is missing or of an odd or no length, the vendor class tells.
    """
    return _architectures(request.options.get(_VENDOR, b""), request.options.get(_ARCHITECTURE, b""))


def _architectures(vendor: bytes, value: bytes) -> tuple[int, ...]:
    if value and len(value) % 2 == 0:
        return struct.unpack(f"!{len(value) // 2}H", value)
    vendor_class = _VENDOR_CLASS.match(vendor)
    return (int(vendor_class[2]),) if vendor_class and vendor_class[2] else ()


def uuid(request: Message) -> bytes | None:
    """The machine's UUID (RFC 4578 §2.3): type 0 and 16 octets; None for anything else and for all-0 or all-1."""
    return _uuid(request.options.get(_UUID, b""))


def _uuid(value: bytes) -> bytes | None:
    if len(value) != 17 or value[0] != 0 or value[1:] in _MEANINGLESS:
        return None
    return value[1:]


def host_name(request: Message) -> str:
    """The name that the machine gives itself (option 12), for people to read; at most 64 characters."""
    value = request.options.get(_HOST_NAME)
    return "" if value is None else value.rstrip(b"\0").decode("utf-8", "replace")[:64]
