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
from typing import ClassVar

from pixelboot.boot.machine import Firmware, Machine
from pixelboot.datagram import Destination
from pixelboot.dhcp import compose, route
from pixelboot.dhcp.compose import Exchange
from pixelboot.dhcp.options import Option
from pixelboot.dhcp.wire import Message, MessageType
from pixelboot.leases.lease import Lease
from pixelboot.leases.seam import Refusal
from pixelboot.outcome import Outcome, Severity, printable

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


# What an exchange can come to.


@dataclass(frozen=True, slots=True)
class DhcpOutcome(Outcome):
    """The end of one DHCP exchange."""

    service: ClassVar[str] = "dhcp"

    machine: Machine
    """Who asked."""


@dataclass(frozen=True, slots=True)
class Offered(DhcpOutcome):
    """An OFFER was made."""

    lease: Lease
    """What is held for the machine."""

    boot_file: str | None
    """What it was told to boot."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        boots = _to_boot(self.machine, self.boot_file)
        return f"{self.machine} ({self.machine.firmware}) offered {self.lease.address}{boots}"


@dataclass(frozen=True, slots=True)
class Bound(DhcpOutcome):
    """An ACK gave or prolonged a lease."""

    lease: Lease
    """The lease, which is on disk."""

    seconds: float
    """How long it lasts."""

    renewed: bool
    """Whether the machine had the address before."""

    boot_file: str | None
    """What it was told to boot."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        verb = "keeps" if self.renewed else "has"
        name = f" as {printable(self.lease.hostname, 64)}" if self.lease.hostname else ""
        boots = _to_boot(self.machine, self.boot_file)
        return f"{self.machine} {verb} {self.lease.address} for {self.seconds:.0f} s{name}{boots}"


@dataclass(frozen=True, slots=True)
class Refused(DhcpOutcome):
    """A NAK was sent."""

    severity: ClassVar[Severity] = "warn"

    reason: str
    """Why."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} refused: {self.reason}"


@dataclass(frozen=True, slots=True)
class Exhausted(DhcpOutcome):
    """There was no address left to offer."""

    severity: ClassVar[Severity] = "error"

    network: str
    """The subnet whose pool is used up."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} gets no address: the pool of {self.network} is used up"


@dataclass(frozen=True, slots=True)
class Declined(DhcpOutcome):
    """A machine found its address in use; it rests now."""

    severity: ClassVar[Severity] = "warn"

    lease: Lease
    """The address and until when it rests."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} declined {self.lease.address}: somebody else uses it; it is not given out for a while"


@dataclass(frozen=True, slots=True)
class Released(DhcpOutcome):
    """A machine gave its address back."""

    lease: Lease
    """The lease that ended."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} released {self.lease.address}"


@dataclass(frozen=True, slots=True)
class Informed(DhcpOutcome):
    """A machine with an address of its own was told the parameters."""

    address: IPv4Address
    """Its address."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} at {self.address} informed"


@dataclass(frozen=True, slots=True)
class Ignored(DhcpOutcome):
    """There was no reply, as the protocol asks."""

    what: str
    """The message: ``DISCOVER``, ``REQUEST`` …"""

    reason: str
    """Why it was not answered."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} {self.what} not answered: {self.reason}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the shell shall do at the end of an exchange."""

    outcome: Outcome
    """What it came to."""

    reply: Message | None = None
    """The reply; None for silence."""

    destination: Destination | None = None
    """Where the reply goes."""


def ask(exchange: Exchange) -> Wish:
    """What the request wants of the lease store."""
    request, scope = exchange.request, exchange.scope
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


def _selecting(
    request: Message, scope: compose.Scope, named: IPv4Address | None, requested: IPv4Address | None
) -> Wish:
    """A REQUEST that names a server."""
    if named not in scope.servers:
        return Withdraw()
    has = request.ciaddr if request.ciaddr != _NOWHERE else None
    if requested and has and requested != has:
        return Nothing(ignored=f"it asks for {requested} and says that it has {has}")
    address = requested or has
    return Bind(address) if address else Nothing(ignored="it asks for no address")


def _reacquiring(request: Message, scope: compose.Scope, requested: IPv4Address | None) -> Wish:
    """A REQUEST of a client that believes it has a lease."""
    if request.ciaddr != _NOWHERE:
        return Renew(request.ciaddr)
    if requested is None:
        return Nothing(ignored="it asks for no address")
    if requested not in scope.subnet.network:
        return Nothing(refusal=f"{requested} is not of this network, {scope.subnet.network}")
    return Renew(requested)


def answer(exchange: Exchange, wish: Wish, result: Result) -> Answer:
    """What follows when the store said `result` to `wish` (None to one that is `Nothing`)."""
    request, machine = exchange.request, exchange.machine
    boot_file = exchange.assignment.boot_file
    match wish, result:
        case Nothing(refusal=str(reason)), _ if reason:
            return _refusal(exchange, reason)
        case Nothing(ignored=str(reason)), _ if reason:
            return _silence(exchange, reason)
        case Nothing(), _:
            return _reply(exchange, compose.inform(exchange), Informed(machine, request.ciaddr))
        case Offer(), Lease():
            reply = compose.grant(exchange, MessageType.OFFER, result.address)
            return _reply(exchange, reply, Offered(machine, result, boot_file))
        case Offer(), _:
            return Answer(Exhausted(machine, str(exchange.scope.subnet.network)))
        case Bind() | Renew(), Lease():
            reply = compose.grant(exchange, MessageType.ACK, result.address)
            outcome = Bound(machine, result, exchange.lease_time, isinstance(wish, Renew), boot_file)
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
    kind = exchange.request.message_type
    return Answer(Ignored(exchange.machine, kind.name if kind else "message", reason))


def _to_boot(machine: Machine, boot_file: str | None) -> str:
    """What the machine was told to boot; what it wanted and did not get is told too."""
    if boot_file:
        return f", boots {boot_file}"
    if machine.firmware is Firmware.PXE:
        return ", boots nothing from here: its firmware is PXE, not iPXE"
    if machine.firmware is Firmware.IPXE:
        return ", boots nothing from here: there is no HTTP service to boot from"
    return ""
