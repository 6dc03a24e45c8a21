"""DHCP options: the tag-length-value lists of RFC 2132, joined and split as RFC 3396 says."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from pixelboot.malformed import Malformed


class Option(enum.IntEnum):
    """The option codes that pixelboot reads or writes."""

    PAD = 0
    SUBNET_MASK = 1
    ROUTER = 3
    DOMAIN_NAME_SERVER = 6
    HOST_NAME = 12
    DOMAIN_NAME = 15
    VENDOR_SPECIFIC = 43
    REQUESTED_ADDRESS = 50
    LEASE_TIME = 51
    OVERLOAD = 52
    MESSAGE_TYPE = 53
    SERVER_IDENTIFIER = 54
    PARAMETER_REQUEST_LIST = 55
    MESSAGE = 56
    MAXIMUM_MESSAGE_SIZE = 57
    RENEWAL_TIME = 58
    REBINDING_TIME = 59
    VENDOR_CLASS = 60
    CLIENT_IDENTIFIER = 61
    TFTP_SERVER_NAME = 66
    BOOT_FILE = 67
    USER_CLASS = 77
    RELAY_AGENT_INFORMATION = 82
    CLIENT_ARCHITECTURE = 93
    CLIENT_UUID = 97
    IPXE = 175
    END = 255


class IpxeOption(enum.IntEnum):
    """Sub-options inside option 175 (iPXE's ``DHCP_EB_…``)."""

    NO_PROXYDHCP = 176
    """1: take the boot file from this answer at once instead of waiting for a proxyDHCP server."""


class PxeOption(enum.IntEnum):
    """Sub-options inside option 43 of a PXE client (PXE 2.1 §2.2)."""

    DISCOVERY_CONTROL = 6
    """8: load the boot file that is named here, and ask nobody else."""

    MENU_PROMPT = 10
    """Seconds to wait for a key, and the text to show meanwhile."""

    BOOT_ITEM = 71
    """A boot server's type and a layer, two octets each: what was chosen of the menu."""


def decode(octets: bytes) -> dict[int, bytes]:
    """The options in a field, in order of first appearance, several instances of a code joined (RFC 3396 §7).

    A missing END is tolerated, as clients that cut it exist; a length that runs past the field is `Malformed`.
    """
    options: dict[int, bytearray] = {}  # bytes would be copied as often as an option has instances
    end = len(octets)
    at = 0
    while at < end:
        code = octets[at]
        if code == Option.PAD:
            at = end - len(octets[at:].lstrip(b"\0"))
            continue
        if code == Option.END:
            break
        if at + 1 >= end:
            raise Malformed(f"option {code} has no length")
        after = at + 2 + octets[at + 1]
        if after > end:
            raise Malformed(f"option {code} says {octets[at + 1]} octets, {end - at - 2} are left")
        options.setdefault(code, bytearray()).extend(octets[at + 2 : after])
        at = after
    return {code: bytes(value) for code, value in options.items()}


def encode(options: Mapping[int, bytes]) -> bytes:
    """The options in their order, values above 255 octets split into adjacent instances (RFC 3396 §5), without END."""
    field = bytearray()
    for code, value in options.items():
        for start in range(0, len(value) or 1, 255):
            piece = value[start : start + 255]
            field += bytes((code, len(piece))) + piece
    return bytes(field)


def encoded_size(value: bytes) -> int:
    """How many octets an option with this value takes."""
    return len(value) + 2 * max(1, -(-len(value) // 255))
