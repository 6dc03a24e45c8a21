"""Datagrams in, datagrams out: the shell around the DHCP decisions.

The order in here is law: commit, then send.  What the store could not make durable is not answered; the client
asks again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.boot.machine import Machine
from pixelboot.boot.memory import Memory, Tally
from pixelboot.boot.policy import Policy
from pixelboot.datagram import Arrival, Destination
from pixelboot.dhcp import answer as decide
from pixelboot.dhcp import client, wire
from pixelboot.dhcp.answer import (
    Answer,
    Bind,
    Bound,
    Decline,
    DhcpOutcome,
    Nothing,
    Offer,
    Release,
    Renew,
    Result,
    Wish,
    Withdraw,
)
from pixelboot.dhcp.compose import Exchange, Scope
from pixelboot.leases.seam import LeaseStore, StoreFailed
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome, Severity, printable

MOST_AT_ONCE = 4096
"""Exchanges that may wait for the store at one time; what comes beyond is dropped, as a full socket would drop it."""

MOST_DECLINES = 3
"""Addresses that one machine may put to rest in `decline_time`: a broken one would empty the pool."""

_log = Logger(namespace="pixelboot.dhcp")


class Sender(Protocol):
    """What can send a datagram: `pixelboot.udp.port.UdpPort`, or a network in memory."""

    def send(self, octets: bytes, destination: Destination) -> None:
        """Send; raises OSError when the network does not take it."""


@dataclass(frozen=True, slots=True)
class Dropped(Outcome):
    """A datagram was no request of a client."""

    service: ClassVar[str] = "dhcp"
    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 60.0

    source: IPv4Address
    """Who sent it."""

    reason: str
    """What is wrong with it."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"datagram from {self.source} dropped: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class Deaf(Outcome):
    """The interface is no longer as it was when the server started; nothing is answered on it."""

    service: ClassVar[str] = "dhcp"
    severity: ClassVar[Severity] = "error"
    rest: ClassVar[float] = 60.0

    reason: str
    """What has changed."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"no machine is answered: {self.reason}; restart pixelboot when it is as the settings say"


@dataclass(frozen=True, slots=True)
class NotStored(DhcpOutcome):
    """The lease could not be made durable, so nothing was answered."""

    severity: ClassVar[Severity] = "error"

    reason: str
    """What the store said."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} not answered, its lease could not be written: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class NotSent(DhcpOutcome):
    """The network did not take the reply."""

    severity: ClassVar[Severity] = "error"

    reason: str
    """What the system said."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} not answered, the reply could not be sent: {printable(self.reason)}"


class DhcpProtocol:
    """Answers the requests that come in by one interface."""

    def __init__(
        self,
        scope: Scope,
        policy: Policy,
        store: LeaseStore,
        memory: Memory,
        report: Callable[[Outcome], None],
        offer_time: float,
        decline_time: float,
    ) -> None:
        """`offer_time` and `decline_time` as in `pixelboot.dhcp.settings.DhcpSettings`, in seconds."""
        self._scope = scope
        self._policy = policy
        self._store = store
        self._memory = memory
        self._report = report
        self._offer_time = offer_time
        self._decline_time = decline_time
        self._declines = Tally(decline_time)
        self._running = 0

    def received(self, octets: bytes, arrival: Arrival, sender: Sender) -> None:
        """Take one datagram; the reply, if there is one, leaves by `sender`, now or when the store has answered."""
        if arrival.local not in self._scope.servers:
            # What we would say of ourselves would be wrong: our offers would be refused by ourselves.
            self._report(Deaf(f"a request came to {arrival.local}, which {arrival.interface} had not at the start"))
            return
        if self._running >= MOST_AT_ONCE:
            self._report(Dropped(arrival.source, f"{self._running} requests wait for the lease store already"))
            return
        self._running += 1
        exchange = Deferred.fromCoroutine(self._exchange(octets, arrival, sender))
        exchange.addErrback(self._failed)
        exchange.addCallback(self._ended)

    async def _exchange(self, octets: bytes, arrival: Arrival, sender: Sender) -> None:
        try:
            request = wire.decode(octets)
            if request.op != wire.Op.REQUEST:
                raise Malformed("it is a reply, not a request")
            if request.message_type is None:
                raise Malformed("it has no DHCP message type")
            machine = client.recognise(request)
        except Malformed as problem:
            self._report(Dropped(arrival.source, str(problem)))
            return
        assignment = await self._policy.assign(machine, self._scope.server(arrival.local))
        exchange = Exchange(request, arrival, machine, self._scope, assignment)
        wish = decide.ask(exchange)
        if isinstance(wish, Decline) and self._declines.add(machine.identity, arrival.now) > MOST_DECLINES:
            wish = Nothing(ignored=f"it has declined {MOST_DECLINES} addresses lately; so many cannot be in use")
        try:
            result = await self._grant(exchange, wish)
        except StoreFailed as problem:
            self._report(NotStored(machine, str(problem)))
            return
        self._send(decide.answer(exchange, wish, result), machine, sender)

    async def _grant(self, exchange: Exchange, wish: Wish) -> Result:
        """Put the wish to the store."""
        store, pool, now = self._store, self._scope.pool, exchange.arrival.now
        machine, seconds = exchange.machine, exchange.lease_time
        identity, hwaddr = machine.identity, str(machine.hwaddr or "")
        match wish:
            case Offer(requested):
                return await store.offer(identity, hwaddr, pool, requested, now, self._offer_time)
            case Bind(address):
                return await store.bind(
                    identity, hwaddr, pool, address, seconds, now, client.host_name(exchange.request)
                )
            case Renew(address):
                return await store.renew(
                    identity, pool, address, seconds, now, hwaddr, client.host_name(exchange.request)
                )
            case Release(address):
                return await store.release(identity, address, now)
            case Decline(address):
                return await store.decline(identity, address, now, self._decline_time)
            case Withdraw():
                await store.withdraw(identity, now)
        return None

    def _send(self, answer: Answer, machine: Machine, sender: Sender) -> None:
        if isinstance(answer.outcome, Bound) and machine.hwaddr is not None:
            self._memory.met(answer.outcome.lease.address, machine.hwaddr)
        if answer.reply is not None and answer.destination is not None:
            try:
                sender.send(wire.encode(answer.reply), answer.destination)
            except OSError as problem:
                self._report(NotSent(machine, str(problem)))
                return
        self._report(answer.outcome)

    def _failed(self, failure: Failure) -> None:
        """A mistake of ours: it is told in full, and the next client is served all the same."""
        _log.failure("an exchange ended in an error", failure)

    def _ended(self, _: object) -> None:
        self._running -= 1
