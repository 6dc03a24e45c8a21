"""The address server's shell: the lease store between what a request wishes and what is answered.

The order in here is law: commit, then send.  What the store could not make durable is not answered; the client
asks again.
"""

from __future__ import annotations

from collections.abc import Callable

from pixelboot.boot.memory import Memory, Tally
from pixelboot.boot.policy import Policy
from pixelboot.datagram import Arrival
from pixelboot.dhcp import client
from pixelboot.dhcp.exchange import Answer, Exchange
from pixelboot.dhcp.outcomes import Bound, NotStored
from pixelboot.dhcp.reception import Reception, Sender
from pixelboot.dhcp.server import answer as decide
from pixelboot.dhcp.server.answer import Bind, Decline, Nothing, Offer, Release, Renew, Result, Wish, Withdraw
from pixelboot.dhcp.server.compose import Scope
from pixelboot.leases.seam import LeaseStore, StoreFailed
from pixelboot.outcome import Outcome

MOST_DECLINES = 3
"""Addresses that one machine may put to rest in `decline_time`: a broken one would empty the pool."""


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
        """`offer_time` and `decline_time` as in `pixelboot.dhcp.settings.dhcp.DhcpSettings`, in seconds."""
        self._scope = scope
        self._store = store
        self._memory = memory
        self._offer_time = offer_time
        self._decline_time = decline_time
        self._declines = Tally(decline_time)
        self._reception = Reception(scope.servers, scope.server, policy, report, self._answer)

    def received(self, octets: bytes, arrival: Arrival, sender: Sender) -> None:
        """Take one datagram; the reply, if there is one, leaves by `sender`, now or when the store has answered."""
        self._reception.received(octets, arrival, sender)

    async def _answer(self, exchange: Exchange) -> Answer:
        machine, scope = exchange.machine, self._scope
        wish = decide.ask(exchange.request, scope)
        if isinstance(wish, Decline) and self._declines.add(machine.identity, exchange.arrival.now) > MOST_DECLINES:
            wish = Nothing(ignored=f"it has declined {MOST_DECLINES} addresses lately; so many cannot be in use")
        try:
            result = await self._grant(exchange, wish)
        except StoreFailed as problem:
            return Answer(NotStored(machine, str(problem)))
        answer = decide.answer(exchange, scope, wish, result)
        if isinstance(answer.outcome, Bound) and machine.hwaddr is not None:
            self._memory.met(answer.outcome.lease.address, machine.hwaddr)
        return answer

    async def _grant(self, exchange: Exchange, wish: Wish) -> Result:
        """Put the wish to the store."""
        store, pool, now = self._store, self._scope.pool, exchange.arrival.now
        machine, seconds = exchange.machine, self._scope.lease_time(exchange.request)
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
