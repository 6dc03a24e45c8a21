"""DHCP options: the tag-length-value lists of RFC 2132, joined and split as RFC 3396 says."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from pixelboot.malformed import Malformed


class Option(enum.IntEnum):
    """The option codes that pixelboot reads or writes of itself; `names` knows those that an operator may configure."""

    PAD = 0
    SUBNET_MASK = 1
    ROUTER = 3
    DOMAIN_NAME_SERVER = 6
    HOST_NAME = 12
    DOMAIN_NAME = 15
    BROADCAST_ADDRESS = 28
    STATIC_ROUTE = 33
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
    RAPID_COMMIT = 80
    RELAY_AGENT_INFORMATION = 82
    CLIENT_LAST_TRANSACTION_TIME = 91
    ASSOCIATED_IP = 92
    CLIENT_ARCHITECTURE = 93
    CLIENT_NETWORK_INTERFACE = 94
    CLIENT_UUID = 97
    IPV6_ONLY_PREFERRED = 108
    CAPTIVE_PORTAL = 114
    AUTO_CONFIGURE = 116
    SUBNET_SELECTION = 118
    DOMAIN_SEARCH = 119
    CLASSLESS_STATIC_ROUTE = 121
    VENDOR_IDENTIFYING_CLASS = 124
    VENDOR_IDENTIFYING_OPTIONS = 125
    TFTP_SERVER_ADDRESS = 150
    IPXE = 175
    PXELINUX_MAGIC = 208
    PXELINUX_CONFIGURATION_FILE = 209
    PXELINUX_PATH_PREFIX = 210
    PXELINUX_REBOOT_TIME = 211
    END = 255


class RelayOption(enum.IntEnum):
    """Sub-options inside option 82, as far as `relay` reads them."""

    CIRCUIT_ID = 1
    REMOTE_ID = 2
    LINK_SELECTION = 5
    FLAGS = 10
    SERVER_IDENTIFIER_OVERRIDE = 11
    SOURCE_PORT = 19


class IpxeOption(enum.IntEnum):
    """Sub-options inside option 175 (iPXE's ``DHCP_EB_…``)."""

    NO_PROXYDHCP = 176
    """1: take the boot file from this answer at once instead of waiting for a proxyDHCP server."""

    BUS_ID = 177
    """1 (PCI), the card's maker and its model, two octets each: sent by iPXE."""

    VERSION = 235
    """Three octets: sent by iPXE."""


class PxeOption(enum.IntEnum):
    """Sub-options inside option 43 of a PXE client (PXE 2.1 §2.2)."""

    MTFTP_ADDRESS = 1
    MTFTP_CLIENT_PORT = 2
    MTFTP_SERVER_PORT = 3
    MTFTP_TIMEOUT = 4
    MTFTP_DELAY = 5

    DISCOVERY_CONTROL = 6
    """Bits: 1 no broadcast, 2 no multicast, 4 only the servers of `BOOT_SERVERS`; 8: load the boot file that is named
    here, and ask nobody else."""

    DISCOVERY_ADDRESS = 7
    """The multicast group by which boot servers are found."""

    BOOT_SERVERS = 8
    """Blocks of a server type (two octets), how many addresses follow (one), and these."""

    BOOT_MENU = 9
    """Blocks of a server type (two octets), the size of the text that follows (one), and it."""

    MENU_PROMPT = 10
    """Seconds to wait for a key, and the text to show meanwhile."""

    MULTICAST_ALLOCATION = 11
    CREDENTIAL_TYPES = 12

    BOOT_ITEM = 71
    """A boot server's type and a layer, two octets each: what was chosen of the menu."""


def decode(octets: bytes) -> dict[int, bytes]:
    """The options in a field, in order of first appearance, several instances of a code joined (RFC 3396 §7).

    A missing END is tolerated, as clients that cut it exist; a length that runs past the field is `Malformed`.
    """
    options: dict[int, bytes] = {}
    end = len(octets)
    at = 0
    while at < end:
        code = octets[at]
        if code == 0:  # PAD
            at = end - len(octets[at:].lstrip(b"\0"))
            continue
        if code == 255:  # END
            break
        value = at + 2
        if value > end:
            raise Malformed(f"option {code} has no length")
        after = value + octets[at + 1]
        if after > end:
            raise Malformed(f"option {code} says {octets[at + 1]} octets, {end - value} are left")
        if code in options:
            options[code] += octets[value:after]
        else:
            options[code] = octets[value:after]
        at = after
    return options


def encode(options: Mapping[int, bytes]) -> bytes:
    """The options in their order, values above 255 octets split into adjacent instances (RFC 3396 §5), without END."""
    field = bytearray()
    for code, value in options.items():
        rest = value
        while len(rest) > 255:
            field += bytes((code, 255)) + rest[:255]
            rest = rest[255:]
        field.append(code)
        field.append(len(rest))
        field += rest
    return bytes(field)


def encoded_size(value: bytes) -> int:
    """How many octets an option with this value takes."""
    return len(value) + 2 * max(1, -(-len(value) // 255))
