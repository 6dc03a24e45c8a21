"""The address server's decisions (RFC 2131 §4.3), as two functions with the lease store between them.

`ask` says what a request wants of the lease store, `answer` what follows from the store's word: a reply and where
it goes, or silence, and in every case an outcome.  The shell awaits the store in between; nothing here waits.

A REQUEST means three things, told apart by what it carries (RFC 2131 §4.3.2):

    ============================  ========  ========  ========  =========================================
    state of the client           54        50        ciaddr    what is asked
    ============================  ========  ========  ========  =========================================
    SELECTING                     set       set       0         take the offer of the server named in 54
    INIT-REBOOT                   absent    set       0         may I keep the address of last time?
    RENEWING, REBINDING           absent    absent    set       prolong the lease of ciaddr
    ============================  ========  ========  ========  =========================================
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from pixelboot.dhcp import route
from pixelboot.dhcp.exchange import Answer, Exchange
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.outcomes import Bound, Declined, Exhausted, Ignored, Informed, Offered, Refused, Released
from pixelboot.dhcp.server import compose
from pixelboot.dhcp.server.compose import Scope
from pixelboot.leases.lease import Lease
from pixelboot.leases.seam import Refusal
from pixelboot.outcome import Outcome

_NOWHERE = IPv4Address(0)


# What may be wished of the lease store.


@dataclass(frozen=True, slots=True)
class Offer:
    """Set an address aside for the client."""

    requested: IPv4Address | None
    """The address that it would like (option 50)."""


@dataclass(frozen=True, slots=True)
class Bind:
    """Give the client the address it was offered."""

    address: IPv4Address
    """The address."""


@dataclass(frozen=True, slots=True)
class Renew:
    """Let the client go on with the address that it says it has."""

    address: IPv4Address
    """The address."""


@dataclass(frozen=True, slots=True)
class Release:
    """The client gives its address back."""

    address: IPv4Address
    """The address."""


@dataclass(frozen=True, slots=True)
class Decline:
    """The client found its address in use by somebody else."""

    address: IPv4Address
    """The address."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The client took another server's offer: ours is free again."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """The store is not needed: `answer` knows what to do."""

    refusal: str = ""
    """Why the request is refused with a NAK; empty when it is not."""

    ignored: str = ""
    """Why there is no reply; empty when there is one."""


Wish = Offer | Bind | Renew | Release | Decline | Withdraw | Nothing
Result = Lease | Refusal | None


def ask(request: Message, scope: Scope) -> Wish:
    """What a request from the subnet wants of the lease store."""
    kind = request.message_type
    named = request.address(Option.SERVER_IDENTIFIER)
    requested = request.address(Option.REQUESTED_ADDRESS)
    if not scope.may_hold(request.giaddr):
        return Nothing(ignored=f"it came by the relay {request.giaddr}, whose subnet is not served")
    if not scope.may_hold(request.ciaddr):
        # Replies go to ciaddr: whoever claims a far one would have them sent anywhere.
        return Nothing(ignored=f"its address {request.ciaddr} is of another network, or of no machine")
    if kind is MessageType.DISCOVER:
        return Offer(requested)
    if kind is MessageType.REQUEST:
        if Option.SERVER_IDENTIFIER in request.options:
            return _selecting(request, scope, named, requested)
        return _reacquiring(request, scope, requested)
    if kind is MessageType.INFORM:
        return Nothing() if request.ciaddr != _NOWHERE else Nothing(ignored="it does not say its address")
    if kind is MessageType.RELEASE or kind is MessageType.DECLINE:
        # Both must name their server (RFC 2131 table 5): others' are not for us.
        if named not in scope.servers:
            return Nothing(ignored="it is for another server")
        if kind is MessageType.RELEASE:
            return Release(request.ciaddr)
        return Decline(requested) if requested else Nothing(ignored="it does not say which address")
    return Nothing(ignored="no client sends such a message")


def _selecting(request: Message, scope: Scope, named: IPv4Address | None, requested: IPv4Address | None) -> Wish:
    """A REQUEST that names a server."""
    if named not in scope.servers:
        return Withdraw()
    has = request.ciaddr if request.ciaddr != _NOWHERE else None
    if requested and has and requested != has:
        return Nothing(ignored=f"it asks for {requested} and says that it has {has}")
    address = requested or has
    return Bind(address) if address else Nothing(ignored="it asks for no address")


def _reacquiring(request: Message, scope: Scope, requested: IPv4Address | None) -> Wish:
    """A REQUEST of a client that believes it has a lease."""
    if request.ciaddr != _NOWHERE:
        return Renew(request.ciaddr)
    if requested is None:
        return Nothing(ignored="it asks for no address")
    if requested not in scope.subnet.network:
        return Nothing(refusal=f"{requested} is not of this network, {scope.subnet.network}")
    return Renew(requested)


def answer(exchange: Exchange, scope: Scope, wish: Wish, result: Result) -> Answer:
    """What follows when the store said `result` to `wish` (None to one that is `Nothing`)."""
    request, machine = exchange.request, exchange.machine
    assignment = exchange.assignment
    match wish, result:
        case Nothing(refusal=str(reason)), _ if reason:
            return _refusal(exchange, reason)
        case Nothing(ignored=str(reason)), _ if reason:
            return _silence(exchange, reason)
        case Nothing(), _:
            return _reply(exchange, compose.inform(exchange, scope), Informed(machine, request.ciaddr))
        case Offer(), Lease():
            reply = compose.grant(exchange, scope, MessageType.OFFER, result.address)
            return _reply(exchange, reply, Offered(machine, result, assignment))
        case Offer(), _:
            return Answer(Exhausted(machine, str(scope.subnet.network)))
        case Bind() | Renew(), Lease():
            reply = compose.grant(exchange, scope, MessageType.ACK, result.address)
            outcome = Bound(machine, result, scope.lease_time(request), isinstance(wish, Renew), assignment)
            return _reply(exchange, reply, outcome)
        case Bind() | Renew(), Refusal():
            return _refusal(exchange, result.reason)
        case Renew(), _:
            return _silence(exchange, f"its lease of {wish.address} is not known here")
        case Decline(), Lease():
            return Answer(Declined(machine, result))
        case Release(), Lease():
            return Answer(Released(machine, result))
        case ((Decline() | Release()), _):
            return _silence(exchange, f"{wish.address} is not its own")
        case _:
            return _silence(exchange, "it took another server's offer")


def _reply(exchange: Exchange, reply: Message, outcome: Outcome) -> Answer:
    return Answer(outcome, reply, route.destination(exchange.request, reply, exchange.arrival, exchange.server))


def _refusal(exchange: Exchange, reason: str) -> Answer:
    return _reply(exchange, compose.refuse(exchange, reason), Refused(exchange.machine, reason))


def _silence(exchange: Exchange, reason: str) -> Answer:
    return Answer(Ignored(exchange.machine, exchange.request.name, reason))
