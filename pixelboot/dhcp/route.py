"""Which way a reply goes: RFC 2131 §4.1 as one function, and the way back from port 4011."""

from __future__ import annotations

from ipaddress import IPv4Address

from pixelboot.datagram import Arrival, Destination
from pixelboot.dhcp.message.wire import BROADCAST, CLIENT_PORT, SERVER_PORT, Message, MessageType

_EVERYBODY = IPv4Address("255.255.255.255")


def destination(request: Message, reply: Message, arrival: Arrival, source: IPv4Address) -> Destination:
    """Where `reply` goes, sent from `source`, the address that its option 54 names.

    By the relay if one forwarded the request; a NAK to everybody, since the client's idea of its address is wrong;
    to the address that the client has; to everybody if it says that it hears nothing else, or has no link address
    to send to; otherwise to the address it is being given, at its link address, for it cannot answer ARP yet.
    """
    if request.giaddr != IPv4Address(0):
        return Destination(request.giaddr, SERVER_PORT, source, arrival.interface)
    if reply.message_type is MessageType.NAK:
        return Destination(_EVERYBODY, CLIENT_PORT, source, arrival.interface)
    if request.ciaddr != IPv4Address(0):
        return Destination(request.ciaddr, CLIENT_PORT, source, arrival.interface)
    if request.flags & BROADCAST or request.hwaddr is None or reply.yiaddr == IPv4Address(0):
        return Destination(_EVERYBODY, CLIENT_PORT, source, arrival.interface)
    return Destination(reply.yiaddr, CLIENT_PORT, source, arrival.interface, request.hwaddr)


def back(request: Message, arrival: Arrival, source: IPv4Address) -> Destination:
    """To the address and port that a request came from, sent from `source`, as a boot server does (PXE 2.1 §2.2).

    A sender that shows no address is reached at the one that it says it has, or by broadcast.
    """
    address = next((each for each in (arrival.source, request.ciaddr) if each != IPv4Address(0)), _EVERYBODY)
    return Destination(address, arrival.source_port, source, arrival.interface)
