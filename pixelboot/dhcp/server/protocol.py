"""The address server's shell: the lease store between what a request wishes and what is answered.

The order in here is law: commit, then send.  What the store could not make durable is not answered; the client
asks again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address

from pixelboot.boot.memory import Memory, Tally
from pixelboot.boot.pxe import PxeSettings
from pixelboot.dhcp import client
from pixelboot.dhcp.exchange import Answer, Exchange
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.relay import RelayInformation
from pixelboot.dhcp.network.network import Network
from pixelboot.dhcp.outcomes import Bound, Crowded, NotStored
from pixelboot.dhcp.server import answer as decide
from pixelboot.dhcp.server import bootp
from pixelboot.dhcp.server.answer import (
    Bind,
    Bootp,
    Decline,
    Nothing,
    Offer,
    Release,
    Renew,
    Result,
    Rules,
    Wish,
    Withdraw,
)
from pixelboot.dhcp.server.compose import Manner, terms
from pixelboot.dhcp.server.leasequery import LeaseQuery
from pixelboot.dhcp.server.outcomes import InUse, Passed, StillUsed
from pixelboot.dhcp.server.probe import REST, Probe, Prober
from pixelboot.dhcp.server.routine import Case
from pixelboot.dhcp.settings.dhcp import DhcpSettings
from pixelboot.leases.lease import Claim, Lease, Refusal, State
from pixelboot.leases.seam import LeaseStore, StoreFailed
from pixelboot.outcome import Outcome

MOST_DECLINES = 3
"""Addresses that one machine may put to rest in `decline_time`: a broken one would empty the pool."""

MOST_DECLINES_HERE = 64
"""Addresses that all machines behind one relay, or on one interface, may put to rest in `decline_time`."""

MOST_IN_USE = 3
"""Addresses that are found in use by strangers, one after the other, before a machine is left to ask again."""

_BY_HWADDR = "hw:"
"""How the identity of a machine starts that is known by its link address: no other machine has it."""

_HOST_NAME = int(Option.HOST_NAME)
_CLIENT_IDENTIFIER = int(Option.CLIENT_IDENTIFIER)
_REQUESTED_ADDRESS = int(Option.REQUESTED_ADDRESS)


class AddressServer:
    """Answers the requests of machines that get their addresses here."""

    def __init__(
        self,
        settings: DhcpSettings,
        network: Network,
        store: LeaseStore,
        memory: Memory,
        report: Callable[[Outcome], None],
        prober: Prober | None = None,
        pxe: PxeSettings | None = None,
    ) -> None:
        """`prober` asks whether an address is in use (None: nobody can); `pxe` is the boot menu of PXE firmware."""
        self._store = store
        self._network = network
        self._memory = memory
        self._report = report
        self._offer_time = settings.offer_time
        self._decline_time = settings.decline_time
        manner = Manner(pxe or PxeSettings(), settings.echo_client_system)
        self._rules = Rules(manner, settings.authoritative, settings.rapid_commit, settings.bootp, settings.reuse)
        self._declines = Tally(settings.decline_time)
        self._declines_here = Tally(settings.decline_time)
        self._rest = min(settings.decline_time, REST)
        self._probe = Probe(prober, settings.probe_time, report)
        self.query = LeaseQuery(settings.leasequery, network, store).answer
        """Answers LEASEQUERY (RFC 4388)."""

    async def answer(self, exchange: Exchange, crowded: bool = False) -> Answer:
        """What is answered.

        Where it is `crowded` a machine that is not known waits until known ones were answered, and asks again then.
        """
        wish = decide.ask(exchange, self._rules)
        result: Result
        try:
            if isinstance(wish, (Bind, Renew)):
                return await self._lease(exchange, wish)
            if isinstance(wish, Offer):
                if crowded or self._probe.can(exchange):
                    return await self._offer_with_care(exchange, wish, crowded)
                result = await self._offer(exchange, wish)
            elif isinstance(wish, Bootp):
                return await bootp.answer(exchange, _claim(exchange), self._store, self._offer_time)
            else:
                wish, result = await self._end(exchange, wish)
        except StoreFailed as problem:
            return Answer(NotStored(exchange.machine, str(problem)))
        return self._answered(exchange, wish, result)

    async def once_more(self, exchange: Exchange, case: Case, crowded: bool = False) -> Answer:
        """What is answered to one more exchange of a case: what `answer` would answer, in less time."""
        requested, now = exchange.request.address(_REQUESTED_ADDRESS), exchange.arrival.now
        wish: Offer | Bind
        try:
            if case.offers:
                if crowded or self._probe.can(exchange):
                    return await self.answer(exchange, crowded)
                wish = Offer(requested)
                result = await self._store.offer(_claim(exchange), requested, now, self._offer_time)
            else:
                form = None if requested is None else case.form(requested)
                if requested is None or form is None:
                    answer = await self.answer(exchange, crowded)
                    case.learn(exchange, answer)
                    return answer
                wish = Bind(requested, form.terms)
                reuse = self._rules.reuse
                result = await self._store.bind(_claim(exchange), requested, form.terms.seconds, now, reuse)
        except StoreFailed as problem:
            return Answer(NotStored(exchange.machine, str(problem)))
        filled = case.answer(exchange, result, self._rules.reuse)
        if filled is not None:
            self._note(exchange, filled)
            return filled
        answer = self._answered(exchange, wish, result)
        case.learn(exchange, answer)
        return answer

    def _answered(self, exchange: Exchange, wish: Wish, result: Result) -> Answer:
        answer = decide.answer(exchange, self._rules, wish, result)
        self._note(exchange, answer)
        return answer

    def _note(self, exchange: Exchange, answer: Answer) -> None:
        """Let others know who has which address."""
        if isinstance(answer.outcome, Bound) and exchange.machine.hwaddr is not None:
            self._memory.met(answer.outcome.lease.address, exchange.machine.hwaddr)

    async def _offer(self, exchange: Exchange, wish: Offer) -> Lease | Refusal:
        """An address for who looks for one, and for good if it takes whatever it gets (RFC 4039)."""
        now = exchange.arrival.now
        claim = _claim(exchange)
        lease = await self._store.offer(claim, wish.requested, now, self._offer_time)
        if not wish.at_once or isinstance(lease, Refusal):
            return lease
        return await self._bind(exchange, claim, lease)

    async def _bind(self, exchange: Exchange, claim: Claim, lease: Lease) -> Lease | Refusal:
        """The lease of an address that was offered."""
        agreed = terms(exchange, lease.address)
        if agreed is None:
            return Refusal(f"{lease.address} is of another network")
        if _passes(claim, lease):
            self._report(Passed(exchange.machine, lease))
        return await self._store.bind(claim, lease.address, agreed.seconds, exchange.arrival.now, self._rules.reuse)

    async def _lease(self, exchange: Exchange, wish: Bind | Renew) -> Answer:
        """Answer a REQUEST: give or prolong a lease.

        Not while another machine that is taken to be the same uses the address; where nobody can be asked whether it
        does, it is told that the address goes from one to the other.
        """
        claim, passing = _claim(exchange), None
        if not claim.identity.startswith(_BY_HWADDR):
            held = await self._store.at(wish.address)
            passing = held if held is not None and _passes(claim, held) else None
        if passing is not None and exchange.arrival.to_everybody and self._probe.can(exchange):
            user = await self._probe.in_use(exchange, wish.address)
            if user is not None:
                return Answer(StillUsed(exchange.machine, wish.address, user, claim.identity))
        address, now, reuse = wish.address, exchange.arrival.now, self._rules.reuse
        if isinstance(wish, Bind):
            return self._told(
                exchange, wish, await self._store.bind(claim, address, wish.terms.seconds, now, reuse), passing
            )
        result = await self._store.renew(claim, address, wish.terms.seconds, now, reuse)
        if result is None and (known := await self._known_by_more(exchange, address)) is not None:
            again = decide.ask(known, self._rules)
            if isinstance(again, Renew):
                exchange, wish = known, again
                result = await self._store.renew(_claim(known), address, again.terms.seconds, now, reuse)
        return self._told(exchange, wish, result, passing)

    def _told(self, exchange: Exchange, wish: Wish, result: Result, passing: Lease | None) -> Answer:
        """What is answered, and told before if a lease went from another machine to this one."""
        if passing is not None and isinstance(result, Lease):
            self._report(Passed(exchange.machine, passing))
        return self._answered(exchange, wish, result)

    async def _known_by_more(self, exchange: Exchange, address: IPv4Address) -> Exchange | None:
        """The exchange as it would be if its sender repeated by what it got `address`; None if it did not get it.

        What it says to us alone goes past its relay, and a system does not repeat the UUID that firmware sent: by its
        link address alone it would not be known.
        """
        request, machine, relay, scope = exchange.request, exchange.machine, exchange.relay, exchange.scope
        held = await self._store.at(address)
        if held is None or machine.hwaddr is None or held.hwaddr != str(machine.hwaddr):
            return None
        kind, _, digits = held.identity.partition(":")
        if kind == scope.identity.partition(":")[0]:
            return None
        try:
            octets = bytes.fromhex(digits)
        except ValueError:
            return None
        if kind == "circuit":
            relay = (relay or RelayInformation())._replace(circuit_id=octets)
        elif kind == "uuid":
            machine = machine._replace(uuid=octets)
        elif kind == "id":
            request = request._replace(options={**request.options, _CLIENT_IDENTIFIER: octets})
        more = self._network.scope(request, machine, relay, exchange.arrival)
        if isinstance(more, str) or more.identity != held.identity:
            return None
        return exchange._replace(scope=more)

    async def _end(self, exchange: Exchange, wish: Wish) -> tuple[Wish, Result]:
        """Give something back to the store, or nothing: the wish as it was allowed, and what came of it."""
        identity, now = exchange.scope.identity, exchange.arrival.now
        match wish:
            case Release(address):
                released = await self._store.release(identity, address, now)
                if released is None and (known := await self._known_by_more(exchange, address)) is not None:
                    released = await self._store.release(known.scope.identity, address, now)
                return wish, released
            case Decline(address):
                if excess := self._too_many_declines(exchange):
                    return Nothing(ignored=excess), None
                declined = await self._store.decline(identity, address, now, self._decline_time)
                if declined is None and (known := await self._known_by_more(exchange, address)) is not None:
                    declined = await self._store.decline(known.scope.identity, address, now, self._decline_time)
                return wish, declined
            case Withdraw():
                await self._store.withdraw(identity, now)
        return wish, None

    async def _offer_with_care(self, exchange: Exchange, wish: Offer, crowded: bool) -> Answer:
        """Answer a DISCOVER where known machines come first, or where it can be asked whether an address is in use."""
        identity = exchange.scope.identity
        if self._probe.waits(identity):
            return decide.silence(exchange, "its last one is being answered")
        known = await self._store.find(identity)
        if known is None and crowded:
            return Answer(Crowded(exchange.machine, "too much waits to be answered"))
        if not self._probe.can(exchange):
            return self._answered(exchange, wish, await self._offer(exchange, wish))
        result = await self._unused(exchange, wish, known)
        if isinstance(result, StillUsed):
            return Answer(result)
        if wish.at_once and isinstance(result, Lease):
            result = await self._bind(exchange, _claim(exchange), result)
        return self._answered(exchange, wish, result)

    async def _unused(self, exchange: Exchange, wish: Offer, known: Lease | None) -> Lease | Refusal | StillUsed:
        """An address to offer that nobody answers at.

        The one that the machine itself has or was offered is not asked for again.  What another one has that is taken
        to be the same machine is not offered while that one uses it.
        """
        now, requested = exchange.arrival.now, wish.requested
        claim = _claim(exchange)
        for _ in range(MOST_IN_USE):
            lease = await self._store.offer(claim, requested, now, self._offer_time)
            if isinstance(lease, Refusal):
                return lease
            passing = _passes(claim, lease)
            if lease.state is State.BOUND and not passing:
                return lease
            if known is not None and known.state is State.OFFERED and known.address == lease.address:
                return lease
            user = await self._probe.in_use(exchange, lease.address)
            if user is None:
                return lease
            if passing:
                return StillUsed(exchange.machine, lease.address, user, claim.identity)
            self._report(InUse(exchange.machine, lease.address, self._rest, user))
            await self._store.abandon(lease.address, now, self._rest)
            requested = None
        return Refusal(f"{MOST_IN_USE} addresses, one after the other, are in use by strangers")

    def _too_many_declines(self, exchange: Exchange) -> str:
        """Why an address is not put to rest: so many cannot be in use."""
        now = exchange.arrival.now
        if self._declines.add(exchange.scope.identity, now) > MOST_DECLINES:
            return f"it has declined {MOST_DECLINES} addresses lately; so many cannot be in use"
        if self._declines_here.add(_claim(exchange).relay, now) > MOST_DECLINES_HERE:
            return f"{MOST_DECLINES_HERE} addresses were declined lately where it is; so many cannot be in use"
        return ""


def _passes(claim: Claim, lease: Lease) -> bool:
    """Whether a lease is that of another machine, which is known by the same as the one that asks."""
    return (
        lease.state is State.BOUND
        and lease.identity == claim.identity
        and lease.hwaddr not in ("", claim.hwaddr)
        and not lease.identity.startswith(_BY_HWADDR)
    )


def _claim(exchange: Exchange) -> Claim:
    """Who asks for an address, and where."""
    request, arrival, machine, _, _, scope, relay, _, _ = exchange
    giaddr, sent = int(request.giaddr), request.options
    return Claim(
        scope.identity,
        str(machine.hwaddr or ""),
        scope.link.pool,
        scope.fixed,
        client.host_name(request) if _HOST_NAME in sent else "",
        "" if relay is None else _port(relay),
        _relay(giaddr) if giaddr else arrival.interface,
        b"" if relay is None else relay.circuit_id,
        sent.get(_CLIENT_IDENTIFIER, b""),
    )


def _port(relay: RelayInformation) -> str:
    """Where a machine is plugged in, as far as its relay says; empty where it does not."""
    if not relay.circuit_id and not relay.remote_id:
        return ""
    return f"{relay.remote_id.hex()}/{relay.circuit_id.hex()}"


@lru_cache(maxsize=1024)
def _relay(number: int) -> str:
    """What a relay is called, for people."""
    return str(IPv4Address(number))
