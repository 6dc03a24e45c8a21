"""The proxy's decisions (PXE 2.1 §2.2): what to boot, for machines that have their address from another server.

    ====================  ==========================================  =======================================
    asked at              what                                        answered
    ====================  ==========================================  =======================================
    port 67               DISCOVER of a boot client                   an OFFER without an address
    port 67               REQUEST for a boot server (43.71)           an ACK without an address
    port 4011             REQUEST or INFORM of a boot client          the same, back to where it came from
    either                anything else                               silence
    ====================  ==========================================  =======================================

The OFFER is complete where the sender's profile says so (`pixelboot.boot.quirks`): firmware takes the boot file out of
it, or asks for it again at port 4011, as it likes.  Boot servers are those of the menu in the settings
(`pixelboot.boot.pxe`), and type 0, the one that answers.  A machine for which there is nothing to boot is not answered,
nor one whose message has no room for it: it may be somebody else's.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from pixelboot.boot.policy import Assignment
from pixelboot.boot.pxe import PxeSettings
from pixelboot.boot.quirks import ProxyOffer
from pixelboot.boot.settings import of_a_machine
from pixelboot.dhcp import client, route
from pixelboot.dhcp.compose import NOWHERE, Options, add_boot_file, add_boot_server, add_uuid, answered, ready, reply
from pixelboot.dhcp.exchange import Answer, Exchange
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.wire import SERVER_PORT, Message, MessageType
from pixelboot.dhcp.network.scope import Subnet
from pixelboot.dhcp.outcomes import Ignored, Overheard, Proxied
from pixelboot.dhcp.proxy import menu

NO_MENU = PxeSettings()

_OF_AN_ADDRESS = frozenset(
    (
        Option.SUBNET_MASK,
        Option.ROUTER,
        Option.BROADCAST_ADDRESS,
        Option.STATIC_ROUTE,
        Option.LEASE_TIME,
        Option.RENEWAL_TIME,
        Option.REBINDING_TIME,
        Option.CLASSLESS_STATIC_ROUTE,
        249,  # what Windows calls classless routes
    )
)
"""What belongs to an address, and to the server that gives it: nobody must take a proxy's OFFER for one of that."""

_CHOICE = "what is chosen of its menu"


def answer(exchange: Exchange, proxy_port: int, pxe: PxeSettings = NO_MENU) -> Answer:
    """What is answered to a request that came to port 67, or to `proxy_port`; `pxe` is the boot menu of firmware."""
    request, machine, at_67 = exchange.request, exchange.machine, exchange.arrival.port != proxy_port
    if not client.asks_for_boot(request):
        return _left(exchange, "it asks for nothing to boot")
    if why_not := exchange.scope.refusal or _elsewhere(exchange):
        return _silence(exchange, why_not)
    item = menu.boot_item(request)
    kind = _kind(exchange, item, proxy_port)
    if kind is None:
        return _left(exchange, "it is for the server that gives the addresses")
    if kind is MessageType.OFFER:
        item = None
    elif item is not None and menu.overheard(exchange, pxe):
        return _silence(exchange, "it asks everybody for a boot server, which it is told not to")
    assignment = menu.chosen(exchange, pxe, item)
    if assignment is None:
        wanted = item.hex() if item is not None else ""
        return _silence(exchange, f"it asks for a boot server that is not offered, type and layer {wanted}")
    chooses = item is None and menu.shown(exchange, pxe)
    boot_file = assignment.boot_file
    if not boot_file and not chooses:
        return _silence(exchange, assignment.obstacle or "there is nothing for it to boot here")
    by_4011 = kind is MessageType.OFFER and exchange.quirks.proxy_offer is ProxyOffer.BY_4011
    named = Assignment(None, assignment.next_server) if by_4011 else assignment
    told = _compose(exchange._replace(assignment=named), kind, item, pxe)
    says_file = not named.boot_file or told.file or Option.BOOT_FILE in told.options
    if not says_file or (item is not None and Option.VENDOR_SPECIFIC not in told.options):
        return _silence(exchange, f"there is no room for {boot_file} beside what its client and relay have sent")
    outcome = Proxied(machine, _CHOICE if chooses else boot_file or "")
    if at_67:
        return answered(exchange, told, outcome)
    return Answer(outcome, told, route.back(request, exchange.arrival, exchange.here), exchange.quirks.delay)


def held(exchange: Exchange, proxy_port: int) -> IPv4Address | None:
    """The address that the sender has or is about to have, as far as the proxy can tell: for the log alone."""
    request, arrival = exchange.request, exchange.arrival
    if not client.asks_for_boot(request) or request.message_type is not MessageType.REQUEST:
        return None
    if arrival.port == proxy_port:
        return request.ciaddr if request.ciaddr == arrival.source != NOWHERE else None
    return request.address(Option.REQUESTED_ADDRESS)


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
    giaddr, ciaddr, source = request.giaddr, request.ciaddr, arrival.source
    for address in (giaddr, ciaddr, source):
        if not int(address):
            continue
        if not of_a_machine(address):
            return f"no machine has the address {address}"
        here = arrival.local
        if (address.is_loopback and not here.is_loopback) or (address.is_link_local and not here.is_link_local):
            return f"{address} is not of this network"
    if int(giaddr):
        any_port = exchange.relay is not None and exchange.relay.source_port
        if arrival.source_port != SERVER_PORT and not any_port:
            return f"it says that the relay {giaddr} sent it, and comes from port {arrival.source_port}"
    elif int(source) and int(ciaddr) and ciaddr != source:
        return f"it says that it has {ciaddr} and comes from {source}"
    return ""


def _compose(exchange: Exchange, kind: MessageType, item: bytes | None, pxe: PxeSettings) -> Message:
    """An OFFER or ACK of everything but an address: nobody must take it for one of an address server."""
    options = Options(exchange, kind)
    vendor_class = exchange.quirks.vendor_class.encode("ascii")
    specific = menu.vendor_specific(exchange, pxe) if item is None else menu.confirmed(exchange, pxe, item)
    add_boot_file(exchange, options, 2 + len(vendor_class) + (0 if item is None else 2 + len(specific)))
    options.add(Option.VENDOR_CLASS, vendor_class)
    options.add(Option.VENDOR_SPECIFIC, specific)
    add_uuid(exchange, options)
    add_boot_server(exchange, options)
    _add_configured(exchange, options)
    told = reply(exchange, options, ciaddr=exchange.request.ciaddr if kind is MessageType.ACK else NOWHERE)
    # Where it names no file, too, it says who answers at port 4011.
    return told if int(told.siaddr) else told._replace(siaddr=exchange.assignment.next_server or exchange.here)


def _add_configured(exchange: Exchange, options: Options) -> None:
    """What is configured for the sender's subnet and what it lists, but for what belongs to an address."""
    subnet, wanted = _subnet(exchange), options.wanted
    if subnet is not None and wanted is not None:
        configured = exchange.scope.parameters(subnet).options
        given = {code: configured[code] for code in wanted if code in configured and code not in _OF_AN_ADDRESS}
        if given:
            options.fill(ready(given))


def _subnet(exchange: Exchange) -> Subnet | None:
    """The subnet that the sender is in, as far as the request shows; None on a link without subnets."""
    link, request, relay = exchange.scope.link, exchange.request, exchange.relay
    if not link.subnets:
        return None
    selected = relay.link_selection if relay is not None else None
    places = (request.ciaddr, selected, request.giaddr, exchange.arrival.local)
    near = (link.subnet_of(place) for place in places if place is not None and int(place))
    return next((subnet for subnet in near if subnet is not None), link.subnets[0])


def _silence(exchange: Exchange, reason: str) -> Answer:
    return Answer(Ignored(exchange.machine, exchange.request.name, reason))


def _left(exchange: Exchange, reason: str) -> Answer:
    return Answer(Overheard(exchange.machine, exchange.request.name, reason))
