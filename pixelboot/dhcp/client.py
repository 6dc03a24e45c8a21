"""Who asks: from the options of a request to a `Machine`."""

from __future__ import annotations

import re
import struct

from pixelboot.boot.architecture import Architecture, first_supported
from pixelboot.boot.machine import Firmware, Machine
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.wire import Message
from pixelboot.malformed import Malformed

_MEANINGLESS = (bytes(16), b"\xff" * 16)
"""UUIDs of boards whose maker never wrote one."""
_VENDOR_CLASS = re.compile(rb"(PXE|HTTP)Client(?::Arch:(\d{5}))?")
"""What option 60 of a boot client begins with (PXE 2.1 §2.2.1; UEFI 2.10 §24.7)."""


def recognise(request: Message) -> Machine:
    """The machine behind a request; `Malformed` when it has neither a link address nor a client identifier."""
    what = firmware(request)
    architecture, code = first_supported(architectures(request))
    if what is Firmware.PXE and code is None:
        # There were BIOS ROMs before there was a way to say so; whatever came later says what it is.
        architecture = Architecture.BIOS
    return Machine(identity(request), request.hwaddr, what, uuid(request), architecture, code)


def identity(request: Message) -> str:
    """The key under which the sender's lease is kept.

    It is the link address, not option 61: a ROM sends none, iPXE one and the operating system another, and one
    machine shall have one address through its whole boot (a departure from RFC 2131 §4.2, made for netboot).
    Option 61 counts where the link has no such address (RFC 4390).
    """
    if request.hwaddr is not None:
        return f"hw:{request.htype:02x}:{request.hwaddr}"
    client_identifier = request.options.get(Option.CLIENT_IDENTIFIER, b"")
    if not 2 <= len(client_identifier) <= 255:
        raise Malformed("there is neither a link address nor a client identifier")
    return f"id:{client_identifier.hex()}"


def firmware(request: Message) -> Firmware:
    """What kind of program sent the request.

    iPXE is told first, as it also says PXEClient.  Its user class (option 77) is mostly the raw text, against
    RFC 3004, but correctly length-prefixed ones exist too; a build without a user class still sends option 175.
    """
    user_class = request.options.get(Option.USER_CLASS, b"")
    if user_class == b"iPXE" or b"iPXE" in _user_classes(user_class) or Option.IPXE in request.options:
        return Firmware.IPXE
    vendor_class = _VENDOR_CLASS.match(request.options.get(Option.VENDOR_CLASS, b""))
    if vendor_class is None:
        return Firmware.OTHER
    return Firmware.HTTP if vendor_class[1] == b"HTTP" else Firmware.PXE


def asks_for_boot(request: Message) -> bool:
    """Whether option 60 says that a proxy is spoken to (PXE 2.1 §2.2.1; UEFI 2.10 §24.7); iPXE says it, too."""
    return _VENDOR_CLASS.match(request.options.get(Option.VENDOR_CLASS, b"")) is not None


def architectures(request: Message) -> tuple[int, ...]:
    """The codes of the architectures that the sender says it is, its first choice first.

    Option 93 holds 16-bit codes (RFC 4578 §2.1); where it is missing or of an odd or no length, the vendor class tells.
    """
    value = request.options.get(Option.CLIENT_ARCHITECTURE, b"")
    if value and len(value) % 2 == 0:
        return struct.unpack(f"!{len(value) // 2}H", value)
    vendor_class = _VENDOR_CLASS.match(request.options.get(Option.VENDOR_CLASS, b""))
    return (int(vendor_class[2]),) if vendor_class and vendor_class[2] else ()


def uuid(request: Message) -> bytes | None:
    """The machine's UUID (RFC 4578 §2.3): type 0 and 16 octets; None for anything else and for all-0 or all-1."""
    value = request.options.get(Option.CLIENT_UUID, b"")
    if len(value) != 17 or value[0] != 0 or value[1:] in _MEANINGLESS:
        return None
    return value[1:]


def host_name(request: Message) -> str:
    """The name that the machine gives itself (option 12), for people to read; at most 64 characters."""
    return request.options.get(Option.HOST_NAME, b"").rstrip(b"\0").decode("utf-8", "replace")[:64]


def _user_classes(value: bytes) -> list[bytes]:
    """The classes of a well-formed RFC 3004 option; an ill-formed tail is left out."""
    classes = []
    at = 0
    while at < len(value) and at + 1 + value[at] <= len(value):
        classes.append(value[at + 1 : at + 1 + value[at]])
        at += 1 + value[at]
    return classes
