"""Ethernet frames with UDP over IPv4 or with ARP: made and read, octets to values and back.

IEEE 802.3 (DIX type field), RFC 791, RFC 768, RFC 826.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import NamedTuple

from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed

HEADERS = 42
"""Octets before the payload of a datagram that `datagram` makes: Ethernet 14, IPv4 20, UDP 8."""
OVERHEAD = 28
"""Octets of a datagram that count against the link's MTU, beside the payload."""

_EVERYBODY = b"\xff" * 6
_IPV4 = 0x0800
_ARP = 0x0806
_UDP = 17
_FRAGMENT = 0x3FFF
"""More fragments follow, or the offset is not 0 (RFC 791 §3.1)."""

# Type and header of IPv4 without options: version and length, no type of service, total length, identification 0 of
# what is never cut (don't fragment, RFC 6864 §4), time to live 64, UDP, checksum, source and destination.  Then UDP's.
_DATAGRAM = struct.Struct("!6s6sHHHLHHLLHHHH")
_VERSION_AND_SERVICE = 0x4500
_WHOLE = 0x0000_4000
_LIFE_AND_UDP = 64 << 8 | _UDP
_IP_HEAD = struct.Struct("!BxH2xHxB2x4s4s")
_UDP_HEAD = struct.Struct("!HHH2x")

# Link and protocol address of the sender, of the target; Ethernet and IPv4 only.
_ARP_FRAME = struct.Struct("!6s6sHHHBBH6s4s6s4s")
_ARP_OF_ETHERNET = (_ARP, 1, _IPV4, 6, 4)
_REQUEST = 1
_REPLY = 2


class Datagram(NamedTuple):
    """A UDP datagram that was read from a frame."""

    hwaddr: HardwareAddress
    """The link address that the frame came from."""

    source: IPv4Address
    """IP source."""

    source_port: int
    """UDP source port."""

    destination: IPv4Address
    """IP destination."""

    port: int
    """UDP destination port."""

    octets: bytes
    """What it carries."""


class ArpReply(NamedTuple):
    """What somebody says in answer to an ARP request."""

    address: IPv4Address
    """The address that is asked for."""

    hwaddr: HardwareAddress
    """The link address of who has it."""


def datagram(
    octets: bytes,
    source: IPv4Address,
    source_port: int,
    destination: IPv4Address,
    port: int,
    sender: HardwareAddress,
    receiver: HardwareAddress,
) -> bytes:
    """The frame that carries `octets`, with both checksums; the link addresses must have 6 octets each.

    It may not be cut on its way, so the caller sees to it that it is not too long for the link.
    """
    source_number, destination_number = int(source), int(destination)
    size = len(octets) + 8
    addresses = source_number + destination_number
    # The ones' complement sum of 16-bit words is the whole number's remainder by 65,535 (RFC 1071 §2), of which
    # Python knows the quickest way; a word cut in half is filled with a zero.
    payload = int.from_bytes(octets, "big") << (size % 2 * 8)
    head = addresses + _VERSION_AND_SERVICE + size + 20 + _WHOLE + _LIFE_AND_UDP
    total = addresses + _UDP + 2 * size + source_port + port + payload
    return (
        _DATAGRAM.pack(
            receiver.octets,
            sender.octets,
            _IPV4,
            _VERSION_AND_SERVICE,
            size + 20,
            _WHOLE,
            _LIFE_AND_UDP,
            -head % 0xFFFF,
            source_number,
            destination_number,
            source_port,
            port,
            size,
            0xFFFF - total % 0xFFFF,  # Never 0, which would say that there is no checksum.
        )
        + octets
    )


def read_datagram(frame: bytes) -> Datagram:
    """Read a UDP datagram; whatever else a frame holds is `Malformed`.

    Octets after the packet are padding.  The checksum over the payload is not looked at: between machines on one host
    nobody computes it.
    """
    if len(frame) < HEADERS or frame[12:14] != b"\x08\x00":
        raise Malformed("the frame has no IPv4 packet with room for UDP")
    first, packet_size, fragment, protocol, source, destination = _IP_HEAD.unpack_from(frame, 14)
    head_size = (first & 0x0F) * 4
    if first >> 4 != 4 or head_size < 20 or not head_size + 8 <= packet_size <= len(frame) - 14:
        raise Malformed(f"the IPv4 header tells impossible lengths: {first & 0x0F} words, {packet_size} octets")
    if int.from_bytes(frame[14 : 14 + head_size], "big") % 0xFFFF:
        raise Malformed("the checksum of the IPv4 header is wrong")
    if protocol != _UDP or fragment & _FRAGMENT:
        raise Malformed("the packet is no whole UDP datagram")
    source_port, port, size = _UDP_HEAD.unpack_from(frame, 14 + head_size)
    if not 8 <= size <= packet_size - head_size:
        raise Malformed(f"the UDP header tells an impossible length of {size} octets")
    octets = frame[22 + head_size : 14 + head_size + size]
    return Datagram(
        HardwareAddress(frame[6:12]), IPv4Address(source), source_port, IPv4Address(destination), port, octets
    )


def arp_probe(address: IPv4Address, sender: HardwareAddress) -> bytes:
    """The frame that asks everybody who has `address`, without saying that anybody shall have it (RFC 5227 §2.1.1)."""
    asked = (*_ARP_OF_ETHERNET, _REQUEST, sender.octets, bytes(4), bytes(6), address.packed)
    return _ARP_FRAME.pack(_EVERYBODY, sender.octets, *asked)


def read_arp_reply(frame: bytes) -> ArpReply:
    """Read an answer to an ARP request; whatever else a frame holds is `Malformed`."""
    if len(frame) < _ARP_FRAME.size:
        raise Malformed(f"an ARP frame has at least {_ARP_FRAME.size} octets, not {len(frame)}")
    _, _, *kind, operation, hwaddr, address, _, _ = _ARP_FRAME.unpack_from(frame)
    if tuple(kind) != _ARP_OF_ETHERNET or operation != _REPLY:
        raise Malformed("the frame has no ARP reply about an IPv4 address on Ethernet")
    return ArpReply(IPv4Address(address), HardwareAddress(hwaddr))
