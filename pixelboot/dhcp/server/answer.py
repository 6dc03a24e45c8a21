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

from functools import lru_cache
from ipaddress import IPv4Address
from typing import NamedTuple

from pixelboot.dhcp.compose import answered
from pixelboot.dhcp.exchange import Answer, Exchange
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.network.scope import Link
from pixelboot.dhcp.outcomes import Bound, Crowded, Declined, Exhausted, Ignored, Informed, Offered, Refused, Released
from pixelboot.dhcp.server import compose
from pixelboot.dhcp.server.compose import Manner, Terms, terms
from pixelboot.leases.lease import Cause, Lease, Refusal, State

_SERVER_IDENTIFIER = int(Option.SERVER_IDENTIFIER)
_REQUESTED_ADDRESS = int(Option.REQUESTED_ADDRESS)
_MESSAGE_TYPE = int(Option.MESSAGE_TYPE)
_RAPID_COMMIT = int(Option.RAPID_COMMIT)
_OFFER, _ACK, _BOUND = MessageType.OFFER, MessageType.ACK, State.BOUND
_DISCOVER = bytes((MessageType.DISCOVER,))
_REQUEST = bytes((MessageType.REQUEST,))


class Rules(NamedTuple):
    """What the operator decides for all subnets."""

    manner: Manner = compose.PLAIN
    """What holds for all replies."""

    authoritative: bool = False
    """Whether a machine that is not known, and asks for its address of last time, is refused and not left to others
    (a departure from RFC 2131 §4.3.2)."""

    rapid_commit: bool = False
    """Whether a machine that can do without an OFFER gets its lease at once (RFC 4039)."""

    bootp: bool = False
    """Whether BOOTP is answered."""

    reuse: float = 0.0
    """The first part of a lease, in which it is not prolonged but what is left of it told."""


# What may be wished of the lease store.


class Offer(NamedTuple):
    """Set an address aside for the client."""

    requested: IPv4Address | None
    """The address that it would like (option 50)."""

    at_once: bool = False
    """Whether it shall be the client's without another word (RFC 4039)."""


class Bind(NamedTuple):
    """Give the client the address it was offered."""

    address: IPv4Address
    """The address."""

    terms: Terms
    """What goes with it."""


class Renew(NamedTuple):
    """Let the client go on with the address that it says it has."""

    address: IPv4Address
    """The address."""

    terms: Terms
    """What goes with it."""

    rebooting: bool = False
    """Whether it does not use it yet, and asks whether it may (INIT-REBOOT)."""


class Release(NamedTuple):
    """The client gives its address back."""

    address: IPv4Address
    """The address."""


class Decline(NamedTuple):
    """The client found its address in use by somebody else."""

    address: IPv4Address
    """The address."""


class Withdraw(NamedTuple):
    """The client took another server's offer: ours is free again."""


class Bootp(NamedTuple):
    """The client speaks BOOTP, which is another matter (`pixelboot.dhcp.server.bootp`)."""


class Nothing(NamedTuple):
    """The store is not needed: `answer` knows what to do."""

    refusal: str = ""
    """Why the request is refused with a NAK; empty when it is not."""

    ignored: str = ""
    """Why there is no reply; empty when there is one."""


Wish = Offer | Bind | Renew | Release | Decline | Withdraw | Bootp | Nothing
Result = Lease | Refusal | None


def ask(exchange: Exchange, rules: Rules) -> Wish:
    """What a request wants of the lease store."""
    request, scope = exchange.request, exchange.scope
    if scope.refusal:
        return Nothing(ignored=scope.refusal)
    if why := _misplaced(scope.link, request):
        return Nothing(ignored=why)
    sent = request.options
    kind = sent.get(_MESSAGE_TYPE)
    if kind == _DISCOVER:
        return Offer(request.address(_REQUESTED_ADDRESS), rules.rapid_commit and sent.get(_RAPID_COMMIT) == b"")
    if kind == _REQUEST:
        return _selecting(exchange) if _SERVER_IDENTIFIER in sent else _reacquiring(exchange)
    if kind is None:
        return Bootp() if rules.bootp else Nothing(ignored="it speaks BOOTP, which is off (dhcp.bootp)")
    return _leaving(exchange)


def _misplaced(link: Link, request: Message) -> str:
    """Why a request cannot be of this link; empty if it can.

    Replies go to giaddr and ciaddr: whoever claims a far one would have them sent anywhere.
    """
    if int(request.giaddr) in _ends(link):
        return f"it came by the relay {request.giaddr}, which no machine can be"
    if int(request.ciaddr) and (link.subnet_of(request.ciaddr) is None or int(request.ciaddr) in _ends(link)):
        return f"its address {request.ciaddr} is of another network, or of no machine"
    return ""


@lru_cache(maxsize=1024)
def _ends(link: Link) -> frozenset[int]:
    """The addresses that are those of a whole network, and its broadcast addresses."""
    networks = [subnet.network for subnet in link.subnets]
    return frozenset(int(end) for each in networks for end in (each.network_address, each.broadcast_address))


def _selecting(exchange: Exchange) -> Wish:
    """A REQUEST that names a server."""
    request = exchange.request
    if not _is_ours(exchange):
        return Withdraw()
    requested = request.address(_REQUESTED_ADDRESS)
    has = request.ciaddr if int(request.ciaddr) else None
    if requested is not None and has is not None and requested != has:
        return Nothing(ignored=f"it asks for {requested} and says that it has {has}")
    address = requested or has
    if address is None:
        return Nothing(ignored="it asks for no address")
    agreed = terms(exchange, address)
    return _elsewhere(exchange, address) if agreed is None else Bind(address, agreed)


def _reacquiring(exchange: Exchange) -> Wish:
    """A REQUEST of a client that believes it has a lease."""
    request = exchange.request
    rebooting = not int(request.ciaddr)
    address = request.address(_REQUESTED_ADDRESS) if rebooting else request.ciaddr
    if address is None:
        return Nothing(ignored="it asks for no address")
    agreed = terms(exchange, address)
    return _elsewhere(exchange, address) if agreed is None else Renew(address, agreed, rebooting)


def _elsewhere(exchange: Exchange, address: IPv4Address) -> Nothing:
    """The client wants an address of another link than it is on, and shall know that it cannot have it."""
    networks = ", ".join(str(subnet.network) for subnet in exchange.scope.link.subnets)
    return Nothing(refusal=f"{address} is not of this network, {networks}")


def _leaving(exchange: Exchange) -> Wish:
    """INFORM, RELEASE, DECLINE, and what no client says."""
    request = exchange.request
    kind = request.message_type
    if kind is MessageType.INFORM:
        return Nothing() if int(request.ciaddr) else Nothing(ignored="it does not say its address")
    if kind is MessageType.RELEASE or kind is MessageType.DECLINE:
        # Both must name their server (RFC 2131 table 5): others' are not for us.
        if not _is_ours(exchange):
            return Nothing(ignored="it is for another server")
        if kind is MessageType.RELEASE:
            return Release(request.ciaddr)
        declined = request.address(_REQUESTED_ADDRESS)
        return Decline(declined) if declined else Nothing(ignored="it does not say which address")
    return Nothing(ignored="no client sends such a message")


def _is_ours(exchange: Exchange) -> bool:
    """Whether the server that the request names is this one: by any of its addresses, or that of its relay."""
    return exchange.request.options.get(_SERVER_IDENTIFIER) == exchange.server.packed


def answer(exchange: Exchange, rules: Rules, wish: Wish, result: Result) -> Answer:
    """What follows when the store said `result` to `wish` (None to one that is `Nothing`)."""
    if isinstance(result, Lease):
        return _given(exchange, rules, wish, result)
    if isinstance(result, Refusal):
        return _no_offer(exchange, result) if isinstance(wish, Offer) else _refused(exchange, result.reason)
    match wish:
        case Nothing(refusal, ignored):
            if refusal:
                return _refused(exchange, refusal)
            return silence(exchange, ignored) if ignored else _informed(exchange, rules)
        case Renew(address, rebooting=rebooting):
            reason = f"its lease of {address} is not known here"
            return _refused(exchange, reason) if rebooting and rules.authoritative else silence(exchange, reason)
        case Release(address) | Decline(address):
            return silence(exchange, f"{address} is not its own")
        case _:
            return silence(exchange, "it took another server's offer")


def _given(exchange: Exchange, rules: Rules, wish: Wish, lease: Lease) -> Answer:
    """What follows from a lease."""
    if isinstance(wish, Offer) and not wish.at_once:
        return _offered(exchange, rules, lease)
    if isinstance(wish, Bind | Renew | Offer):
        return _bound(exchange, rules, wish, lease)
    outcome = Declined if isinstance(wish, Decline) else Released
    return Answer(outcome(exchange.machine, lease))


def _offered(exchange: Exchange, rules: Rules, lease: Lease) -> Answer:
    agreed = on_offer(_terms(exchange, lease), lease, exchange.arrival.now, rules.reuse)
    reply = compose.grant(exchange, agreed, _OFFER, lease.address, rules.manner)
    return answered(exchange, reply, Offered(exchange.machine, lease, exchange.assignment))


def on_offer(agreed: Terms, lease: Lease, now: float, reuse: float) -> Terms:
    """What is offered with a lease.

    Of one that it has already, a machine is told what is left if it gets no more by taking it now (see `Rules.reuse`).
    """
    if lease.state is _BOUND and 0 <= now - lease.renewed_at < reuse * (lease.expires_at - lease.renewed_at):
        return agreed.until(lease.expires_at, now)
    return agreed


def _bound(exchange: Exchange, rules: Rules, wish: Bind | Renew | Offer, lease: Lease) -> Answer:
    at_once = isinstance(wish, Offer)
    agreed = _terms(exchange, lease) if isinstance(wish, Offer) else wish.terms
    agreed = agreed.until(lease.expires_at, exchange.arrival.now)
    reply = compose.grant(exchange, agreed, _ACK, lease.address, rules.manner, at_once=at_once)
    renewed = isinstance(wish, Renew)
    return answered(exchange, reply, Bound(exchange.machine, lease, agreed.seconds, renewed, exchange.assignment))


def _informed(exchange: Exchange, rules: Rules) -> Answer:
    address = exchange.request.ciaddr
    agreed = terms(exchange, address)
    if agreed is None:
        return silence(exchange, f"its address {address} is of another network")
    reply = compose.inform(exchange, agreed.parameters, rules.manner)
    return answered(exchange, reply, Informed(exchange.machine, address))


def _no_offer(exchange: Exchange, refusal: Refusal) -> Answer:
    if refusal.cause is Cause.CROWDED:
        return Answer(Crowded(exchange.machine, refusal.reason))
    return Answer(Exhausted(exchange.machine, refusal.reason))


def _terms(exchange: Exchange, lease: Lease) -> Terms:
    """What goes with a lease that the store gave out of the link's pool."""
    agreed = terms(exchange, lease.address)
    if agreed is None:
        raise ValueError(f"{lease.address} is of no subnet of {exchange.scope.link.name}")  # a mistake of ours
    return agreed


def _refused(exchange: Exchange, reason: str) -> Answer:
    return answered(exchange, compose.refuse(exchange, reason), Refused(exchange.machine, reason))


def silence(exchange: Exchange, reason: str) -> Answer:
    """No reply."""
    return Answer(Ignored(exchange.machine, exchange.request.name, reason))
