"""How requests come in and replies go out, the same for both services: decode or drop, decide, send, tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.boot.machine import Machine
from pixelboot.boot.policy import Policy
from pixelboot.datagram import Arrival, Destination
from pixelboot.dhcp import client
from pixelboot.dhcp.exchange import Answer, Exchange
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.outcomes import Dropped, Failed, NotSent, Strayed
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome

MOST_AT_ONCE = 4096
"""Exchanges that may wait for policy and store at one time; what comes beyond is dropped, as a full socket would."""

_log = Logger(namespace="pixelboot.dhcp")


class Sender(Protocol):
    """What can send a datagram: `pixelboot.udp.port.UdpPort`, or a network in memory."""

    def send(self, octets: bytes, destination: Destination) -> None:
        """Send; raises OSError when the network does not take it."""


class Reception:
    """Makes an `Exchange` of each datagram that comes in by one interface, and does what is answered to it."""

    def __init__(
        self,
        servers: frozenset[IPv4Address],
        server: Callable[[IPv4Address], IPv4Address],
        policy: Policy,
        report: Callable[[Outcome], None],
        answer: Callable[[Exchange], Awaitable[Answer]],
    ) -> None:
        """`servers` are our addresses; `server` says by which of them we call ourselves to who reached us at one."""
        self._servers = servers
        self._server = server
        self._policy = policy
        self._report = report
        self._answer = answer
        self._running = 0

    def received(self, octets: bytes, arrival: Arrival, sender: Sender) -> None:
        """Take one datagram; the reply, if there is one, leaves by `sender`, now or when it is decided."""
        if arrival.local not in self._servers:
            # What we would say of ourselves would be wrong: our offers would be refused by ourselves.
            self._report(Strayed(arrival.local, arrival.interface, self._servers))
            return
        if arrival.source_port == 0:
            self._report(Dropped(arrival.source, "it comes from UDP port 0, to which nothing can be sent"))
            return
        if self._running >= MOST_AT_ONCE:
            self._report(Dropped(arrival.source, f"{self._running} requests wait to be answered already"))
            return
        self._running += 1
        exchange = Deferred.fromCoroutine(self._exchange(octets, arrival, sender))
        exchange.addErrback(self._failed, arrival)
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
        named = request.address(Option.SERVER_IDENTIFIER)
        server = named if named is not None and named in self._servers else self._server(arrival.local)
        assignment = await self._policy.assign(machine, server)
        self._send(await self._answer(Exchange(request, arrival, machine, server, assignment)), machine, sender)

    def _send(self, answer: Answer, machine: Machine, sender: Sender) -> None:
        if answer.reply is not None and answer.destination is not None:
            try:
                sender.send(wire.encode(answer.reply), answer.destination)
            except OSError as problem:
                self._report(NotSent(machine, str(problem)))
                return
        self._report(answer.outcome)

    def _failed(self, failure: Failure, arrival: Arrival) -> None:
        """A mistake of ours: it is told in full and counted, and the next client is served all the same."""
        _log.failure("an exchange ended in an error", failure)
        self._report(Failed(arrival.source, f"{type(failure.value).__name__}: {failure.getErrorMessage()}"))

    def _ended(self, _: object) -> None:
        self._running -= 1
