"""The proxy's decisions (PXE 2.1 §2.2): what to boot, for machines that have their address from another server.

    ====================  ==========================================  =======================================
    asked at              what                                        answered
    ====================  ==========================================  =======================================
    port 67               DISCOVER of a boot client                   an OFFER without an address
    port 67               REQUEST for a boot server (43.71)           an ACK without an address
    port 4011             REQUEST or INFORM of a boot client          the same, back to where it came from
    either                anything else                               silence
    ====================  ==========================================  =======================================

The OFFER is complete: firmware takes the boot file out of it, or asks for it again at port 4011, as it likes.  It names
no boot servers and has no menu, so the only one that can be asked for is type 0, the one that answers.  A machine for
which there is nothing to boot is not answered, nor one whose message has no room for it: it may be somebody else's.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from pixelboot.boot.architecture import Architecture
from pixelboot.boot.machine import Firmware
from pixelboot.boot.settings import of_a_machine
from pixelboot.dhcp import client, route
from pixelboot.dhcp.compose import NOWHERE, Options, add_boot_file, add_boot_server, add_uuid, reply
from pixelboot.dhcp.exchange import Answer, Exchange
from pixelboot.dhcp.message.options import Option, PxeOption, decode, encode
from pixelboot.dhcp.message.wire import SERVER_PORT, Message, MessageType
from pixelboot.dhcp.outcomes import Ignored, Overheard, Proxied
from pixelboot.malformed import Malformed

_THE_ONE_THAT_ANSWERS = bytes(4)
"""Boot server type 0, layer 0: the loader itself."""

_END = bytes((Option.END,))

_LOAD_THE_FILE = encode({PxeOption.DISCOVERY_CONTROL: b"\x08", PxeOption.MENU_PROMPT: b"\0PXE"})
"""Load the boot file at once, without a prompt; BIOS ROMs want to be told, and a prompt with it."""


def answer(exchange: Exchange, proxy_port: int) -> Answer:
    """What is answered to a request that came to port 67, or to `proxy_port`."""
    request, machine, arrival = exchange.request, exchange.machine, exchange.arrival
    if not client.asks_for_boot(request):
        return _left(exchange, "it asks for nothing to boot")
    if far := _elsewhere(exchange):
        return _silence(exchange, far)
    item = boot_item(request)
    kind = _kind(exchange, item, proxy_port)
    if kind is None:
        return _left(exchange, "it is for the server that gives the addresses")
    if item not in (None, _THE_ONE_THAT_ANSWERS) and kind is MessageType.ACK:
        return _silence(exchange, f"it asks for a boot server that is not offered, type and layer {item.hex()}")
    boot_file = exchange.assignment.boot_file
    if not boot_file:
        return _silence(exchange, exchange.assignment.obstacle or "there is nothing for it to boot here")
    told = _compose(exchange, kind, item)
    if not told.file and Option.BOOT_FILE not in told.options:
        return _silence(exchange, f"there is no room for {boot_file} beside what its client and relay have sent")
    if arrival.port == proxy_port:
        way = route.back(request, arrival, exchange.server)
    else:
        way = route.destination(request, told, arrival, exchange.server)
    return Answer(Proxied(machine, boot_file), told, way)


def held(exchange: Exchange, proxy_port: int) -> IPv4Address | None:
    """The address that the sender has or is about to have, as far as the proxy can tell: for the log alone."""
    request, arrival = exchange.request, exchange.arrival
    if not client.asks_for_boot(request) or request.message_type is not MessageType.REQUEST:
        return None
    if arrival.port == proxy_port:
        return request.ciaddr if request.ciaddr == arrival.source != NOWHERE else None
    return request.address(Option.REQUESTED_ADDRESS)


def boot_item(request: Message) -> bytes | None:
    """The boot server type and layer that a PXE client asks for; None where it does not, or option 43 is ill-formed."""
    try:
        item = decode(request.options.get(Option.VENDOR_SPECIFIC, b"")).get(PxeOption.BOOT_ITEM, b"")
    except Malformed:
        return None
    return item if len(item) == 4 else None


def _kind(exchange: Exchange, item: bytes | None, proxy_port: int) -> MessageType | None:
    """The type of the reply; None where there is none.  On port 67 a REQUEST mostly takes an address server's offer."""
    request = exchange.request
    kind = request.message_type
    if exchange.arrival.port == proxy_port:
        return MessageType.ACK if kind in (MessageType.REQUEST, MessageType.INFORM) else None
    if kind is MessageType.DISCOVER:
        return MessageType.OFFER
    taken = request.address(Option.SERVER_IDENTIFIER)
    if kind is MessageType.REQUEST and item is not None and taken in (None, exchange.server):
        return MessageType.ACK
    return None


def _elsewhere(exchange: Exchange) -> str:
    """Why the reply would go to somebody who may not have asked; empty if it would not."""
    request, arrival = exchange.request, exchange.arrival
    source, here = arrival.source, arrival.local
    for address in (request.giaddr, request.ciaddr, source):
        if address != NOWHERE and not of_a_machine(address):
            return f"no machine has the address {address}"
        if (address.is_loopback and not here.is_loopback) or (address.is_link_local and not here.is_link_local):
            return f"{address} is not of this network"
    if request.giaddr != NOWHERE and arrival.source_port != SERVER_PORT:
        return f"it says that the relay {request.giaddr} sent it, and comes from port {arrival.source_port}"
    if request.giaddr == NOWHERE and source != NOWHERE and request.ciaddr not in (NOWHERE, source):
        return f"it says that it has {request.ciaddr} and comes from {source}"
    return ""


def _compose(exchange: Exchange, kind: MessageType, item: bytes | None) -> Message:
    """An OFFER or ACK of everything but an address: nobody must take it for one of an address server."""
    firmware = exchange.machine.firmware
    options = Options(exchange, kind)
    vendor_class = b"HTTPClient" if firmware is Firmware.HTTP else b"PXEClient"
    add_boot_file(exchange, options, 2 + len(vendor_class))
    options.add(Option.VENDOR_CLASS, vendor_class)
    add_uuid(exchange, options)
    pxe = b""
    if firmware is Firmware.PXE and exchange.machine.architecture is Architecture.BIOS:
        # EDK2 before April 2017 does not see a proxy's offer that has discovery control: it is for BIOS alone.
        pxe = _LOAD_THE_FILE
    if kind is MessageType.ACK and item is not None:
        pxe += encode({PxeOption.BOOT_ITEM: item})
    options.add(Option.VENDOR_SPECIFIC, pxe + _END if pxe else b"")
    add_boot_server(exchange, options)
    ciaddr = exchange.request.ciaddr if kind is MessageType.ACK else NOWHERE
    return replace(reply(exchange, options), ciaddr=ciaddr)


def _silence(exchange: Exchange, reason: str) -> Answer:
    return Answer(Ignored(exchange.machine, exchange.request.name, reason))


def _left(exchange: Exchange, reason: str) -> Answer:
    return Answer(Overheard(exchange.machine, exchange.request.name, reason))
