"""A model of the lease table, which looks at every address each time, and random operations on both."""

from __future__ import annotations

import math
from ipaddress import IPv4Address, IPv4Network

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pixelboot.leases.crowd import PATIENCE, Ceilings
from pixelboot.leases.lease import MOVES, Cause, Claim, Lease, Pool, Refusal, State
from pixelboot.leases.table import LeaseTable

LAN = IPv4Network("10.77.0.0/29")
OTHER = IPv4Network("10.88.0.0/29")
POOLS = (
    Pool((LAN,), ((LAN[1], LAN[1]), (LAN[3], LAN[3]))),
    Pool((LAN,), ((LAN[1], LAN[3]),), frozenset({LAN[2]})),
    Pool((LAN,), ((LAN[2], LAN[3]),)),
    Pool((OTHER,), ((OTHER[1], OTHER[1]),)),
)
ADDRESSES = [LAN[1], LAN[2], LAN[3], OTHER[1]]
MACHINES = ["hw:01:0a", "hw:01:0b", "hw:01:0c"]
FORMER = (State.RELEASED, State.EXPIRED)
CEILINGS = Ceilings(per_port=1, per_relay=2)
REUSE = 0.5

identities = st.sampled_from(MACHINES)
claims = st.tuples(
    identities, st.sampled_from(POOLS), st.sampled_from([None, None, None, LAN[1], LAN[2]]), st.sampled_from(["", "1"])
).map(lambda c: Claim(c[0], "mac", c[1], c[2] if LAN in c[1].networks else None, "", c[3]))
addresses = st.sampled_from(ADDRESSES)
spans = st.sampled_from([5.0, 20.0, 60.0])
deeds = st.sampled_from(["bind", "renew", "reuse", "release", "decline", "readmit"])
lease_times = st.sampled_from([5.0, 40.0, 100.0, math.inf])


class TableMachine(RuleBasedStateMachine):
    """Random operations on a table and on the model, compared after each; `disk` is what the changes add up to."""

    def __init__(self) -> None:
        super().__init__()
        self.table = LeaseTable(CEILINGS)
        self.now = 1_000.0
        self.records: dict[IPv4Address, Lease] = {}
        self.offers: dict[IPv4Address, Lease] = {}
        self.crowd: dict[IPv4Address, tuple[str, float]] = {}
        self.disk: dict[int, Lease] = {}
        self.ended: list[Lease] = []
        self.states: dict[IPv4Address, State | None] = dict.fromkeys(ADDRESSES)

    # The model.

    def vacant(self, address: IPv4Address) -> bool:
        """Nobody holds the address."""
        record = self.records.get(address)
        return address not in self.offers and (record is None or record.state in FORMER)

    def shown(self, address: IPv4Address) -> Lease | None:
        """What the table must say of the address."""
        return self.offers.get(address) or self.records.get(address)

    def taken(self, identity: str, address: IPv4Address) -> bool:
        """Whether another machine, or a quarantine, stands before the address."""
        shown = self.shown(address)
        if shown is None or shown.state in FORMER:
            return False
        return shown.state is State.DECLINED or shown.identity != identity

    def of(self, identity: str, where: Pool | None = None) -> list[Lease]:
        """The records of a machine, on all links or on one."""
        own = [each for each in self.records.values() if each.identity == identity and each.state is not State.DECLINED]
        return [each for each in own if where is None or each.address in where.networks[0]]

    def offers_to(self, identity: str, where: Pool | None = None) -> list[Lease]:
        """What a machine is offered, on all links or on one."""
        return [
            offer
            for offer in self.offers.values()
            if offer.identity == identity and (where is None or offer.address in where.networks[0])
        ]

    def drop(self, address: IPv4Address) -> None:
        """There is no offer of the address any more."""
        self.offers.pop(address, None)
        self.crowd.pop(address, None)

    def end_due(self) -> None:
        """End everything that is past its time, in the model and in the table."""
        self.table.withdraw("hw:nobody", self.now)
        self.only_legal_moves()
        for address, offer in list(self.offers.items()):
            if offer.expires_at <= self.now:
                self.drop(address)
                self.ended.append(offer)
        for address, record in list(self.records.items()):
            if record.expires_at > self.now:
                continue
            if record.state is State.BOUND:
                self.records[address] = record._replace(state=State.EXPIRED)
                self.ended.append(self.records[address])
            elif record.state is State.DECLINED:
                del self.records[address]
                self.ended.append(record)

    def refused(self, claim: Claim, address: IPv4Address) -> bool:
        """Whether a machine cannot have the address."""
        moves = claim.fixed is not None and address != claim.fixed and not self.taken(claim.identity, claim.fixed)
        outside = address not in claim.pool and address != claim.fixed
        return outside or self.taken(claim.identity, address) or moves

    def granted(self, claim: Claim, address: IPv4Address, until: float) -> None:
        """A machine got the address, and nothing else of the link is its own any more."""
        identity = claim.identity
        for offer in self.offers_to(identity, claim.pool):
            self.drop(offer.address)
        for lease in self.of(identity, claim.pool):
            if lease.address != address:
                del self.records[lease.address]
        before = self.records.get(address)
        started_at = before.started_at if before is not None and before.state is State.BOUND else self.now
        self.records[address] = Lease(address, identity, "mac", State.BOUND, started_at, until, "", self.now)

    # The operations.

    @rule(claim=claims, requested=st.none() | addresses, hold=spans)
    def offer(self, claim: Claim, requested: IPv4Address | None, hold: float) -> None:
        """RFC 2131 §4.3.1, in its order; and the ceilings."""
        self.end_due()
        identity, pool, fixed = claim.identity, claim.pool, claim.fixed
        result = self.table.offer(claim, requested, self.now, hold)
        own = [lease for lease in self.of(identity, pool) if lease.address in pool]
        if fixed is not None and not self.taken(identity, fixed):
            usable = {fixed}
            own = [lease for lease in self.of(identity, pool) if lease.address == fixed]
        else:
            usable = {address for address in ADDRESSES if address in pool}
        bound = [lease for lease in own if lease.state is State.BOUND]
        if bound and usable != {fixed}:
            assert result in bound
            return
        for offer in self.offers_to(identity, pool):
            if offer.address not in usable:
                self.drop(offer.address)
        if bound:
            assert result == bound[0]
            return
        held = self.offers_to(identity, pool)
        allowed = [offer.address for offer in held] or [lease.address for lease in own if self.vacant(lease.address)]
        if usable == {fixed}:
            allowed = [*usable]
        unknown = not allowed and fixed is None and not self.of(identity)
        if unknown and not self.made_way(claim):
            assert isinstance(result, Refusal)
            assert result.cause is Cause.CROWDED
            return
        allowed = allowed or self.choice(identity, usable, requested) or self.given_way(pool)
        if isinstance(result, Refusal):
            assert result.cause is Cause.EXHAUSTED
            assert not allowed
            return
        assert result.address in allowed, (result, allowed)
        before = self.offers.get(result.address)
        if before is not None and before.identity != identity:
            before = None
            self.drop(result.address)
        until = self.now + hold if before is None else max(self.now + hold, before.expires_at)
        started_at = self.now if before is None else before.started_at
        assert result == Lease(result.address, identity, "mac", State.OFFERED, started_at, until, "", self.now)
        self.offers[result.address] = result
        if unknown:
            self.crowd[result.address] = (claim.port, self.now)

    def made_way(self, claim: Claim) -> bool:
        """Whether there is room for one more unknown machine, or an old offer was withdrawn."""
        port = [address for address, (where, _) in self.crowd.items() if where == claim.port != ""]
        full = port[: len(port) >= CEILINGS.per_port] or [*self.crowd][: len(self.crowd) >= CEILINGS.per_relay]
        if full and 0 <= self.now - self.crowd[full[0]][1] < PATIENCE:
            return False
        for address in full[:1]:
            self.drop(address)
        return True

    def choice(self, identity: str, usable: set[IPv4Address], requested: IPv4Address | None) -> list[IPv4Address]:
        """What a machine may be offered that has nothing."""
        fresh = [address for address in usable if address not in self.records and address not in self.offers]
        since = {address: self.records[address].expires_at for address in usable - {*fresh} if self.vacant(address)}
        if requested in fresh or (not fresh and requested in since):
            assert requested is not None
            return [requested]
        if fresh or since:
            return fresh or [address for address in since if since[address] == min(since.values())]
        return [lease.address for lease in self.of(identity) if lease.address in usable and lease.address in self.crowd]

    def given_way(self, pool: Pool) -> list[IPv4Address]:
        """The oldest offer of the link to an unknown machine, if it is old; what is not of this pool is withdrawn."""
        for address in [each for each in self.crowd if each in pool.networks[0]]:
            if 0 <= self.now - self.crowd[address][1] < PATIENCE:
                return []
            if address in pool:
                return [address]
            self.drop(address)
        return []

    @rule(claim=claims, address=addresses, lease_time=lease_times)
    def bind(self, claim: Claim, address: IPv4Address, lease_time: float) -> None:
        """To any address, as after a restart."""
        self.end_due()
        result = self.table.bind(claim, address, lease_time, self.now)
        assert isinstance(result, Refusal) == self.refused(claim, address), result
        if isinstance(result, Lease):
            self.granted(claim, address, self.now + lease_time)

    @precondition(lambda self: self.offers or self.records)
    @rule(data=st.data(), what=deeds, seconds=spans)
    def as_holder(self, data: st.DataObject, what: str, seconds: float) -> None:
        """What a machine does with what it has."""
        known = sorted({**self.records, **self.offers}.values(), key=lambda lease: lease.address)
        lease = data.draw(st.sampled_from(known))
        if what in ("bind", "renew", "reuse"):
            pool = data.draw(st.sampled_from([pool for pool in POOLS if lease.address in pool.networks[0]]))
            claim = Claim(lease.identity, "mac", pool)
            {"bind": self.bind, "renew": self.renew, "reuse": self.reuse}[what](claim, lease.address, seconds)
        elif what == "release":
            self.release(lease.identity, lease.address)
        elif what == "readmit":
            self.readmit(lease.address)
        else:
            self.decline(lease.identity, lease.address, seconds)

    @rule(claim=claims, address=addresses, lease_time=lease_times)
    def renew(self, claim: Claim, address: IPv4Address, lease_time: float) -> None:
        """By anybody, of any address."""
        self.end_due()
        result = self.table.renew(claim, address, lease_time, self.now)
        own = [lease.address for lease in self.of(claim.identity)]
        mine = address in {*own, claim.fixed, *(offer.address for offer in self.offers_to(claim.identity))}
        if not mine and not own and claim.fixed is None:
            assert result is None
        elif not mine or self.refused(claim, address):
            assert isinstance(result, Refusal)
        else:
            assert isinstance(result, Lease)
            self.granted(claim, address, self.now + lease_time)

    @rule(claim=claims, address=addresses, lease_time=lease_times)
    def reuse(self, claim: Claim, address: IPv4Address, lease_time: float) -> None:
        """A lease is returned as it is, or not."""
        self.end_due()
        result = self.table.reusable(claim, address, lease_time, self.now, REUSE)
        record = self.records.get(address)
        if result is None:
            assert (
                record is None
                or record.identity != claim.identity
                or record.state is not State.BOUND
                or self.refused(claim, address)
                or not 0 <= self.now - record.renewed_at < REUSE * (record.expires_at - record.renewed_at)
                or record.expires_at > self.now + lease_time
            )
        else:
            assert result == record
            assert not self.refused(claim, address)
            assert self.now < result.expires_at <= self.now + lease_time

    @rule(identity=identities, address=addresses)
    def release(self, identity: str, address: IPv4Address) -> None:
        """By anybody, of any address."""
        self.end_due()
        result = self.table.release(identity, address, self.now)
        record = self.records.get(address)
        if record is None or record.state is not State.BOUND or record.identity != identity:
            assert result is None
        else:
            self.records[address] = record._replace(state=State.RELEASED, expires_at=self.now)
            assert result == self.records[address]

    @rule(identity=identities, address=addresses, quarantine=spans)
    def decline(self, identity: str, address: IPv4Address, quarantine: float) -> None:
        """By anybody, of any address."""
        self.end_due()
        result = self.table.decline(identity, address, self.now, quarantine)
        shown = self.shown(address)
        its = shown is not None and shown.identity == identity and shown.state in (State.OFFERED, State.BOUND)
        assert result == self.quarantined(shown if its else None, quarantine)

    @rule(address=addresses, quarantine=spans)
    def abandon(self, address: IPv4Address, quarantine: float) -> None:
        """What a probe finds in use."""
        self.end_due()
        result = self.table.abandon(address, self.now, quarantine)
        assert result == self.quarantined(self.offers.get(address), quarantine)

    def quarantined(self, held: Lease | None, seconds: float) -> Lease | None:
        """The address rests, if it was held."""
        if held is None:
            return None
        self.drop(held.address)
        until = self.now + seconds
        resting = held._replace(state=State.DECLINED, started_at=self.now, expires_at=until, renewed_at=self.now)
        self.records[held.address] = resting
        return resting

    @rule(address=addresses)
    def readmit(self, address: IPv4Address) -> None:
        """The operator ends a quarantine."""
        self.end_due()
        rests = address in self.records and self.records[address].state is State.DECLINED
        assert self.table.readmit(address, self.now) == (self.records.pop(address) if rests else None)

    @rule(identity=identities)
    def withdraw(self, identity: str) -> None:
        """Every offer of a machine is free, whatever link it is on."""
        self.end_due()
        result = self.table.withdraw(identity, self.now)
        assert (result is None) == (not self.offers_to(identity))
        for offer in self.offers_to(identity):
            self.drop(offer.address)

    @rule(identity=identities, address=addresses, state=st.sampled_from(State), until=st.sampled_from([-5.0, 50.0]))
    def adopt(self, identity: str, address: IPv4Address, state: State, until: float) -> None:
        """A lease of another server."""
        self.end_due()
        lease = Lease(address, identity, "mac", state, self.now - 50, self.now + until, "", self.now - 50)
        over = until < 0 and state in (State.BOUND, State.DECLINED)
        elsewhere = {own.address for own in (*self.of(identity), *self.offers_to(identity))} - {address}
        taken = self.table.adopt([lease], self.now)
        adopted = lease._replace(state=State.EXPIRED) if over and state is State.BOUND else lease
        assert taken == (
            state is not State.OFFERED
            and not (over and state is State.DECLINED)
            and self.vacant(address)
            and not (adopted.state in FORMER and address in self.records)
            and (state is State.DECLINED or not elsewhere)
        )
        if taken:
            self.records[address] = adopted
            self.states[address] = adopted.state

    @rule(seconds=st.sampled_from([1.0, 5.0, 20.0, 100.0, -30.0]))
    def wait(self, seconds: float) -> None:
        """Time goes on, or is set back."""
        self.now += seconds

    @rule()
    def expire(self) -> None:
        """Everything that has ended is told, once."""
        self.end_due()
        assert sorted(map(str, self.table.expire(self.now))) == sorted(map(str, self.ended))
        self.ended.clear()

    @rule()
    def restart(self) -> None:
        """Records are kept, offers and what was not asked for are forgotten."""
        self.table = LeaseTable(CEILINGS)
        self.table.load(dict(self.disk))
        assert self.table.drain() == {}
        self.offers.clear()
        self.crowd.clear()
        self.ended.clear()
        self.states = {address: record.state for address, record in self.records.items()}

    # What always holds.

    @invariant()
    def only_legal_moves(self) -> None:
        """No operation takes an address where `MOVES` does not lead."""
        for address in ADDRESSES:
            lease = self.table.at(address)
            state = lease and lease.state
            before = self.states.get(address)
            assert state == before or state in MOVES[before], (before, state)
            self.states[address] = state

    @invariant()
    def same_as_model(self) -> None:
        """Every address, every machine, and what is on disk."""
        for number, record in self.table.drain().items():
            self.disk.pop(number, None)
            if record is not None:
                self.disk[number] = record
        assert self.disk == self.table.records() == {int(a): lease for a, lease in self.records.items()}
        assert self.table.check() == ()
        listed = {lease.address: lease for lease in self.table.list()}
        for address in ADDRESSES:
            assert self.table.at(address) == self.shown(address) == listed.get(address)

    @invariant()
    def found(self) -> None:
        """A machine is found by what it has; a bound lease before an offer, an offer before the past."""
        for identity in MACHINES:
            own = self.of(identity)
            offers = self.offers_to(identity)
            found = self.table.find(identity)
            if any(lease.state is State.BOUND for lease in own):
                assert found is not None
                assert found.state is State.BOUND
            else:
                assert (found in offers) if offers else (found in own) if own else found is None
