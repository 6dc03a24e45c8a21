"""Which way a reply goes: RFC 2131 §4.1 as one function, and the way back from port 4011."""

from __future__ import annotations

from ipaddress import IPv4Address

from pixelboot.datagram import Arrival, Destination
from pixelboot.dhcp.message.relay import RelayInformation
from pixelboot.dhcp.message.wire import BROADCAST, CLIENT_PORT, SERVER_PORT, Message

_EVERYBODY = IPv4Address("255.255.255.255")


def destination(
    request: Message,
    yiaddr: IPv4Address | None,
    arrival: Arrival,
    source: IPv4Address,
    relay: RelayInformation | None = None,
    *,
    arp: bool = True,
) -> Destination:
    """Where a reply goes that gives the address `yiaddr`; None is a NAK.

    It is sent from `source`, our address that its option 54 names or that the relay reached.

    By the relay if one forwarded the request, at the port it sent from if it says so (RFC 8357); a NAK to everybody,
    since the client's idea of its address is wrong; to the address that the client has, at its link address if it
    does not answer ARP even then; to everybody if it says that it hears nothing else, or has no link address to
    send to; otherwise to the address it is being given, at its link address, for it cannot answer ARP yet.
    """
    if int(request.giaddr):
        port = arrival.source_port if relay is not None and relay.source_port else SERVER_PORT
        return Destination(request.giaddr, port, source, arrival.interface)
    if yiaddr is None:
        return Destination(_EVERYBODY, CLIENT_PORT, source, arrival.interface)
    if int(request.ciaddr):
        return Destination(request.ciaddr, CLIENT_PORT, source, arrival.interface, None if arp else request.hwaddr)
    hwaddr = None if request.flags & BROADCAST or not int(yiaddr) else request.hwaddr
    if hwaddr is None:
        return Destination(_EVERYBODY, CLIENT_PORT, source, arrival.interface)
    return Destination(yiaddr, CLIENT_PORT, source, arrival.interface, hwaddr)


def back(request: Message, arrival: Arrival, source: IPv4Address) -> Destination:
    """To the address and port that a request came from, sent from `source`, as a boot server does (PXE 2.1 §2.2).

    A sender that shows no address is reached at the one that it says it has, or by broadcast.
    """
    address = next((each for each in (arrival.source, request.ciaddr) if int(each)), _EVERYBODY)
    return Destination(address, arrival.source_port, source, arrival.interface)
