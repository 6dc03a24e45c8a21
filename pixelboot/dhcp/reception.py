"""How requests come in and replies go out: decode or drop, find out whose it is, let it be answered, send, tell.

Most exchanges wait for nothing: the policy knows, the table of leases knows, and the whole of it is one chain of calls
from the octets of the request to those of the reply.  Where something has to be waited for (a disk, a database, a
probe), the rest of the exchange goes on when it is there, and others are answered meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.boot.machine import Firmware, Machine
from pixelboot.boot.memory import Loops
from pixelboot.boot.policy import Policy
from pixelboot.boot.quirks import Quirks, named, overridden
from pixelboot.datagram import Arrival, Destination
from pixelboot.dhcp import client
from pixelboot.dhcp.exchange import Answer, Exchange
from pixelboot.dhcp.message import relay, wire
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.relay import RelayInformation
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.neighbours import Neighbours
from pixelboot.dhcp.network.network import Network
from pixelboot.dhcp.network.scope import Link, Scope
from pixelboot.dhcp.outcomes import Dropped, Failed, Ignored, NotReturned, NotSent, Strayed
from pixelboot.dhcp.server.routine import Case, Cases
from pixelboot.dhcp.settings.dhcp import DhcpSettings
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome

MOST_AT_ONCE = 4096
"""Exchanges that may wait for policy and store at one time; what comes beyond is dropped, as a full socket would."""

MANY_AT_ONCE = MOST_AT_ONCE // 2
"""So many that machines which are not known have to wait: see `Answering.server`."""

_REMEMBERED = 1024
"""For how many ways to reach us it is kept what we call ourselves there."""

_MESSAGE_TYPE = int(Option.MESSAGE_TYPE)
_KINDS = frozenset([None, *(bytes((kind,)) for kind in MessageType)])
"""Option 53 of what is read at all; None of BOOTP."""
_REQUEST = int(wire.Op.REQUEST)
_DISCOVER = bytes((MessageType.DISCOVER,))
_LEASEQUERY = bytes((MessageType.LEASEQUERY,))

_SERVER_IDENTIFIER = int(Option.SERVER_IDENTIFIER)
_RELAY_AGENT_INFORMATION = int(Option.RELAY_AGENT_INFORMATION)

Exchanging = Coroutine[Deferred[Any], Any, None]
"""An exchange that goes on; it waits for nothing but Deferreds."""

_log = Logger(namespace="pixelboot.dhcp")


class Sender(Protocol):
    """What can send a datagram: `pixelboot.udp.port.UdpPort`, or a network in memory."""

    def post(self, octets: bytes, destination: Destination, told: Callable[[OSError | None], None]) -> None:
        """Send soon; `told` hears whether the network took it, and if not, why."""


@dataclass(frozen=True, slots=True)
class Answering:
    """Who answers."""

    server: Callable[[Exchange, bool], Awaitable[Answer]]
    """The address server; the second argument says that so much is waiting that known machines come first."""

    proxy: Callable[[Exchange], Answer]
    """The proxy."""

    query: Callable[[Message, Arrival], Awaitable[Answer]]
    """Who tells of leases (RFC 4388)."""

    once_more: Callable[[Exchange, Case, bool], Awaitable[Answer]]
    """The address server, where it answered another machine that asked the same."""


class Reception:
    """Makes an `Exchange` of each datagram that comes in, and does what is answered to it."""

    def __init__(
        self,
        settings: DhcpSettings,
        network: Network,
        policy: Policy,
        answering: Answering,
        report: Callable[[Outcome], None],
        clock: IReactorTime,
    ) -> None:
        """`clock` times the replies that have to wait for slow firmware."""
        self._network = network
        self._policy = policy
        self._answering = answering
        self._report = report
        self._clock = clock
        self._told = settings.address
        self._proxy_port = settings.proxy_port
        self._trusting = settings.trust_relay_information
        self._own: frozenset[bytes] = frozenset()
        self._called: dict[tuple[Link, str, int, int], IPv4Address] = {}
        self._cases = Cases(network)
        self._running = 0
        self._delayed: set[Deferred[None]] = set()
        self._loops = Loops()
        self._boots = False
        """Whether anything was booted yet; until then nobody can go round in circles."""
        self._stopped = False
        self.neighbours = Neighbours(self.is_own)
        """Other servers that were noticed."""

    def own(self, addresses: Collection[IPv4Address]) -> None:
        """Say which addresses are ours now, on whatever interface."""
        self._own = frozenset(address.packed for address in addresses)
        self._called.clear()
        self._cases = Cases(self._network)

    def is_own(self, address: IPv4Address) -> bool:
        """Whether an address is ours."""
        return address.packed in self._own

    def stop(self) -> None:
        """Send nothing any more; what waits for the store goes on."""
        self._stopped = True
        for delayed in tuple(self._delayed):
            delayed.cancel()

    def received(self, octets: bytes, arrival: Arrival, sender: Sender) -> None:
        """Take one datagram; the reply, if there is one, leaves by `sender`, now or when it is decided."""
        if self._running >= MOST_AT_ONCE:
            self._report(Dropped(arrival.source, f"{self._running} requests wait to be answered already"))
            return
        try:
            request = wire.decode(octets)
            sent = request.options
            kind = sent.get(_MESSAGE_TYPE)
            if request.op != _REQUEST or kind not in _KINDS or arrival.source_port == 0:
                raise Malformed(_objection(request))
            if kind == _LEASEQUERY:
                self._run(self._query(request, arrival, sender), arrival)
                return
            machine, profile = client.meet(request)
            added = sent.get(_RELAY_AGENT_INFORMATION)
            information = self._relay_information(request, added) if added else None
        except Malformed as problem:
            self._report(Dropped(arrival.source, str(problem)))
            return
        if arrival.local not in arrival.addresses and not int(request.giaddr) and not self._is_routed(request, arrival):
            # What we would say of ourselves would be wrong: our offers would be refused by ourselves.
            self._report(Strayed(arrival.local, arrival.interface, arrival.addresses))
            return
        case = self._cases.recall(request, arrival, machine, profile.quirks, information)
        if case is not None:
            self._run(self._once_more(case, request, arrival, sender, machine, information), arrival)
            return
        scope = self._network.scope(request, machine, information, arrival)
        if isinstance(scope, str):
            self._report(Ignored(machine, request.name, scope))
            return
        if scope.host is not None and scope.host.firmware:
            profile = overridden(profile, machine, named(scope.host.firmware))
        self._run(self._exchange(request, arrival, sender, machine, profile.quirks, scope, information), arrival)

    def _is_routed(self, request: Message, arrival: Arrival) -> bool:
        """Whether a machine that has an address said something to us alone, by an address that we have elsewhere.

        Its way to us leads by whatever interface its routers choose: so come renewals and RELEASEs.
        """
        here = not arrival.to_everybody and self.is_own(arrival.local)
        return here and bool(int(request.ciaddr)) and request.ciaddr == arrival.source

    def _relay_information(self, request: Message, value: bytes) -> RelayInformation:
        """What a relay added to the request; `Malformed` where no relay says that it did (RFC 3046 §2.1)."""
        if not int(request.giaddr) and not self._trusting:
            raise Malformed("it has relay information (option 82), and no relay (see dhcp.trust_relay_information)")
        return _read(value)

    async def _exchange(
        self,
        request: Message,
        arrival: Arrival,
        sender: Sender,
        machine: Machine,
        quirks: Quirks,
        scope: Scope,
        information: RelayInformation | None,
    ) -> None:
        link, cases = scope.link, self._cases  # of the addresses that we have now, whatever comes while we wait
        here = self._called.get((link, arrival.interface, int(arrival.local), int(request.giaddr)))
        if here is None:
            here = self._call(request, arrival, link)
        server, octets = here, request.options.get(_SERVER_IDENTIFIER)
        if information is not None or (octets is not None and octets != here.packed):
            server, here = self._named(request, arrival, link, information, here)
        assignment = await self._policy.assign(machine, here)
        exchange = Exchange(request, arrival, machine, server, assignment, scope, information, quirks, here)
        if link.mode == "server" and arrival.port != self._proxy_port:
            answer = await self._answering.server(exchange, self._running > MANY_AT_ONCE)
            cases.keep(exchange, answer)
        else:
            answer = self._answering.proxy(exchange)
        if answer.delay and answer.destination is not None:
            await self._wait(answer.delay)
        self._end(exchange, answer, sender)

    async def _once_more(
        self,
        case: Case,
        request: Message,
        arrival: Arrival,
        sender: Sender,
        machine: Machine,
        information: RelayInformation | None,
    ) -> None:
        """An exchange like one before, with another machine."""
        assignment = await self._policy.assign(machine, case.here)
        exchange = case.exchange(request, arrival, machine, assignment, information)
        answer = await self._answering.once_more(exchange, case, self._running > MANY_AT_ONCE)
        if answer.delay and answer.destination is not None:
            await self._wait(answer.delay)
        self._end(exchange, answer, sender)

    def _end(self, exchange: Exchange, answer: Answer, sender: Sender) -> None:
        """Do what is answered."""
        machine, request, reply = exchange.machine, exchange.request, answer.reply
        self._send(answer, machine, sender)
        if answer.destination is None:
            return
        if exchange.relay is not None and reply is not None and _RELAY_AGENT_INFORMATION not in reply.options:
            self._report(NotReturned(machine, request.giaddr))
        if (exchange.assignment.boot_file or self._boots) and request.options.get(_MESSAGE_TYPE) == _DISCOVER:
            self._watch(exchange)

    def _watch(self, exchange: Exchange) -> None:
        """Notice machines that boot the same thing again and again."""
        machine, boot_file = exchange.machine, exchange.assignment.boot_file
        self._boots = True
        if boot_file or machine.firmware is Firmware.OTHER:
            looping = self._loops.offered(machine, boot_file or "", exchange.request.xid, exchange.arrival.now)
            if looping is not None:
                self._report(looping)

    def _call(self, request: Message, arrival: Arrival, link: Link) -> IPv4Address:
        """What we call ourselves to who reached us so; it is kept for the next one.

        It is the address in the settings, if that is where it was reached; otherwise the one that was reached, if it is
        of the client's link or a relay reached it; otherwise one of that interface that is of the link.
        """
        local, told, relayed = arrival.local, self._told, bool(int(request.giaddr))
        if told is not None and (relayed or told in arrival.addresses):
            here = told
        elif relayed or not link.subnets or link.subnet_of(local) is not None:
            here = local
        else:
            here = next((each for each in arrival.addresses if link.subnet_of(each) is not None), local)
        if len(self._called) >= _REMEMBERED:
            self._called.clear()
        self._called[link, arrival.interface, int(local), int(request.giaddr)] = here
        return here

    def _named(
        self,
        request: Message,
        arrival: Arrival,
        link: Link,
        information: RelayInformation | None,
        here: IPv4Address,
    ) -> tuple[IPv4Address, IPv4Address]:
        """What stands in option 54, and our address, which would be `here`.

        If the client calls us by an address of ours, or by one that its relay has us use (RFC 5107), it is that.
        """
        override = None if information is None else information.server_override
        octets = request.options.get(_SERVER_IDENTIFIER)
        if octets is None:
            return override or here, here
        if override is not None and octets == override.packed:
            return override, here
        if octets == here.packed or octets in self._own:
            own = IPv4Address(octets)
            return own, own
        noticed = self.neighbours.heard(request, arrival, link.mode)
        if noticed is not None:
            self._report(noticed)
        return override or here, here

    async def _query(self, request: Message, arrival: Arrival, sender: Sender) -> None:
        self._send(await self._answering.query(request, arrival), None, sender)

    def _send(self, answer: Answer, machine: Machine | None, sender: Sender) -> None:
        """Send the reply if there is one, and report what came of it."""
        destination = answer.destination
        if destination is None:
            self._report(answer.outcome)
            return

        def told(problem: OSError | None) -> None:
            self._report(answer.outcome if problem is None else NotSent(destination.address, machine, str(problem)))

        if self._stopped:
            told(OSError("the server has stopped"))
        else:
            sender.post(wire.encode(answer.reply) if answer.reply is not None else answer.octets, destination, told)

    async def _wait(self, seconds: float) -> None:
        delayed: Deferred[None] = deferLater(self._clock, seconds)
        self._delayed.add(delayed)
        try:
            await delayed
        finally:
            self._delayed.discard(delayed)

    def _run(self, exchange: Exchanging, arrival: Arrival) -> None:
        """Go through an exchange to its end, or as far as it can go now; then it goes on by itself."""
        self._running += 1
        self._go_on(None, exchange, arrival)

    def _go_on(self, result: object, exchange: Exchanging, arrival: Arrival) -> None:
        """What the exchange waited for is there: `result`, or a failure.

        This is what `Deferred.fromCoroutine` does, without a Deferred for an end that nobody waits for: where something
        is waited for it costs less than half, and where nothing is, next to nothing.
        """
        try:
            waits = result.throwExceptionIntoGenerator(exchange) if isinstance(result, Failure) else exchange.send(None)
        except StopIteration:
            self._running -= 1
        except Exception:  # noqa: BLE001 - A mistake of ours in one exchange, which others are not to suffer from.
            self._running -= 1
            self._failed(Failure(), arrival)
        else:
            waits.addBoth(self._go_on, exchange, arrival)

    def _failed(self, failure: Failure, arrival: Arrival) -> None:
        """A mistake of ours: it is told in full and counted, and the next client is served all the same."""
        if failure.check(CancelledError) is not None:  # the server stops
            return
        _log.failure("an exchange ended in an error", failure)
        self._report(Failed(arrival.source, f"{type(failure.value).__name__}: {failure.getErrorMessage()}"))


def _objection(request: Message) -> str:
    """What is wrong with a message that is no request, or cannot be answered."""
    if request.op != wire.Op.REQUEST:
        return "it is a reply, not a request"
    if request.message_type is None and not request.is_bootp:
        return "it has no DHCP message type"
    return "it comes from UDP port 0, to which nothing can be sent"


@lru_cache(maxsize=4096)
def _read(value: bytes) -> RelayInformation:
    """What option 82 says; what is ill-formed says nothing, but goes back to the relay all the same."""
    try:
        return relay.read(value)
    except Malformed:
        return RelayInformation()
