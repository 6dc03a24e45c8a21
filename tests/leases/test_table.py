"""The table of leases, held against a model that looks at every address each time."""

from __future__ import annotations

import math
import sys
import tracemalloc
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.lease import MOVES, Lease, Pool, Refusal, State
from pixelboot.leases.table import ENDED_LIMIT, LeaseTable
from pixelboot.malformed import Malformed

LAN = IPv4Network("10.77.0.0/29")
OTHER = IPv4Network("10.88.0.0/29")
POOLS = (
    Pool(LAN, ((LAN[1], LAN[1]), (LAN[3], LAN[3]))),
    Pool(LAN, ((LAN[1], LAN[3]),), frozenset({LAN[2]})),
    Pool(LAN, ((LAN[2], LAN[3]),)),
    Pool(OTHER, ((OTHER[1], OTHER[1]),)),
)
ADDRESSES = [LAN[1], LAN[2], LAN[3], OTHER[1]]
MACHINES = ["hw:01:0a", "hw:01:0b", "hw:01:0c"]
FORMER = (State.RELEASED, State.EXPIRED)

identities = st.sampled_from(MACHINES)
pools = st.sampled_from(POOLS)
addresses = st.sampled_from(ADDRESSES)
spans = st.sampled_from([5.0, 20.0, 60.0])
lease_times = st.sampled_from([5.0, 40.0, 100.0, math.inf])


class TableMachine(RuleBasedStateMachine):
    """Random operations on a table and on the model, compared after each; `disk` is what the changes add up to."""

    def __init__(self) -> None:
        super().__init__()
        self.table = LeaseTable()
        self.now = 1_000.0
        self.records: dict[IPv4Address, Lease] = {}
        self.offers: dict[IPv4Address, Lease] = {}
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

    def of(self, identity: str, where: Pool | None = None) -> list[Lease]:
        """The records of a machine, in all networks or in one."""
        return [
            lease
            for lease in self.records.values()
            if lease.identity == identity
            and lease.state is not State.DECLINED
            and (where is None or lease.address in where.network)
        ]

    def offer_to(self, identity: str, where: Pool) -> Lease | None:
        """What a machine is offered in a network."""
        found = [o for o in self.offers.values() if o.identity == identity and o.address in where.network]
        return found[0] if found else None

    def end_due(self) -> None:
        """End everything that is past its time, in the model and in the table."""
        self.table.withdraw("hw:nobody", self.now)
        self.only_legal_moves()
        for address, offer in list(self.offers.items()):
            if offer.expires_at <= self.now:
                del self.offers[address]
                self.ended.append(offer)
        for address, record in list(self.records.items()):
            if record.expires_at > self.now:
                continue
            if record.state is State.BOUND:
                self.records[address] = replace(record, state=State.EXPIRED)
                self.ended.append(self.records[address])
            elif record.state is State.DECLINED:
                del self.records[address]
                self.ended.append(record)

    def refused(self, identity: str, pool: Pool, address: IPv4Address) -> bool:
        """Whether a machine cannot have the address."""
        shown = self.shown(address)
        return address not in pool or (
            shown is not None
            and (
                shown.state is State.DECLINED
                or (shown.state in (State.OFFERED, State.BOUND) and shown.identity != identity)
            )
        )

    def granted(self, identity: str, pool: Pool, address: IPv4Address, until: float) -> None:
        """A machine got the address, and nothing else of the network is its own any more."""
        offer = self.offer_to(identity, pool)
        if offer is not None:
            del self.offers[offer.address]
        for lease in self.of(identity, pool):
            if lease.address != address:
                del self.records[lease.address]
        before = self.records.get(address)
        bound_before = before is not None and before.state is State.BOUND
        started_at = before.started_at if before is not None and bound_before else self.now
        self.records[address] = Lease(address, identity, "mac", State.BOUND, started_at, until)

    # The operations.

    @rule(identity=identities, pool=pools, requested=st.none() | addresses, hold=spans)
    def offer(self, identity: str, pool: Pool, requested: IPv4Address | None, hold: float) -> None:
        """RFC 2131 §4.3.1, in its order."""
        self.end_due()
        lease = self.table.offer(identity, "mac", pool, requested, self.now, hold)
        bound = [own for own in self.of(identity, pool) if own.state is State.BOUND and own.address in pool]
        if bound:
            assert lease == bound[0]
            return
        offered = self.offer_to(identity, pool)
        if offered is not None and offered.address not in pool:
            del self.offers[offered.address]
            offered = None
        former = [own.address for own in self.of(identity, pool) if own.address in pool and self.vacant(own.address)]
        fresh = [a for a in ADDRESSES if a in pool and a not in self.records and a not in self.offers]
        since = {a: self.records[a].expires_at for a in ADDRESSES if a in pool and self.vacant(a) and a not in fresh}
        if offered is not None:
            allowed = [offered.address]
        elif former:
            allowed = former
        elif requested is not None and requested in pool and self.vacant(requested):
            allowed = [requested]
        else:
            allowed = fresh or [a for a in since if since[a] == min(since.values())]
        if lease is None:
            assert not allowed
            return
        assert lease.address in allowed, (lease, allowed)
        until = self.now + hold if offered is None else max(self.now + hold, offered.expires_at)
        started_at = self.now if offered is None else offered.started_at
        assert lease == Lease(lease.address, identity, "mac", State.OFFERED, started_at, until)
        self.offers[lease.address] = lease

    @rule(identity=identities, pool=pools, address=addresses, lease_time=lease_times)
    def bind(self, identity: str, pool: Pool, address: IPv4Address, lease_time: float) -> None:
        """To any address, as after a restart."""
        self.end_due()
        result = self.table.bind(identity, "mac", pool, address, lease_time, self.now)
        assert isinstance(result, Refusal) == self.refused(identity, pool, address), result
        if isinstance(result, Lease):
            self.granted(identity, pool, address, self.now + lease_time)

    @precondition(lambda self: self.offers or self.records)
    @rule(data=st.data(), what=st.sampled_from(["bind", "renew", "release", "decline"]), seconds=spans)
    def as_holder(self, data: st.DataObject, what: str, seconds: float) -> None:
        """What a machine does with what it has."""
        known = sorted({**self.records, **self.offers}.values(), key=lambda lease: lease.address)
        lease = data.draw(st.sampled_from(known))
        if what in ("bind", "renew"):
            pool = data.draw(st.sampled_from([pool for pool in POOLS if lease.address in pool]))
            (self.bind if what == "bind" else self.renew)(lease.identity, pool, lease.address, seconds)
        elif what == "release":
            self.release(lease.identity, lease.address)
        else:
            self.decline(lease.identity, lease.address, seconds)

    @rule(identity=identities, pool=pools, address=addresses, lease_time=lease_times)
    def renew(self, identity: str, pool: Pool, address: IPv4Address, lease_time: float) -> None:
        """By anybody, of any address."""
        self.end_due()
        result = self.table.renew(identity, pool, address, lease_time, self.now, "mac")
        own = [lease.address for lease in self.of(identity)]
        offer = self.offers.get(address)
        mine = address in own or (offer is not None and offer.identity == identity)
        if not mine and not own:
            assert result is None
        elif not mine or self.refused(identity, pool, address):
            assert isinstance(result, Refusal)
        else:
            assert isinstance(result, Lease)
            self.granted(identity, pool, address, self.now + lease_time)

    @rule(identity=identities, address=addresses)
    def release(self, identity: str, address: IPv4Address) -> None:
        """By anybody, of any address."""
        self.end_due()
        result = self.table.release(identity, address, self.now)
        record = self.records.get(address)
        if record is None or record.state is not State.BOUND or record.identity != identity:
            assert result is None
        else:
            self.records[address] = replace(record, state=State.RELEASED, expires_at=self.now)
            assert result == self.records[address]

    @rule(identity=identities, address=addresses, quarantine=spans)
    def decline(self, identity: str, address: IPv4Address, quarantine: float) -> None:
        """By anybody, of any address."""
        self.end_due()
        result = self.table.decline(identity, address, self.now, quarantine)
        shown = self.shown(address)
        if shown is None or shown.identity != identity or shown.state not in (State.OFFERED, State.BOUND):
            assert result is None
        else:
            self.offers.pop(address, None)
            until = self.now + quarantine
            self.records[address] = Lease(address, identity, "mac", State.DECLINED, self.now, until)
            assert result == self.records[address]

    @rule(identity=identities)
    def withdraw(self, identity: str) -> None:
        """Every offer of a machine is free, whatever network it is in."""
        self.end_due()
        result = self.table.withdraw(identity, self.now)
        gone = [address for address, offer in self.offers.items() if offer.identity == identity]
        assert (result is None) == (not gone)
        for address in gone:
            del self.offers[address]

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
        self.table = LeaseTable()
        self.table.load(self.disk.values())
        assert self.table.drain() == {}
        self.offers.clear()
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
            if record is None:
                del self.disk[number]
            else:
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
            offers = [offer for offer in self.offers.values() if offer.identity == identity]
            found = self.table.find(identity)
            if any(lease.state is State.BOUND for lease in own):
                assert found is not None
                assert found.state is State.BOUND
            else:
                assert (found in offers) if offers else (found in own) if own else found is None


class TableTests(SynchronousTestCase):
    """`LeaseTable`."""

    def test_like_the_model(self) -> None:
        """Random operations do what the model does."""
        run_state_machine_as_test(
            TableMachine,
            settings=settings(max_examples=60, stateful_step_count=60),
        )

    def test_bad_identity_loses_nothing(self) -> None:
        """An identity that cannot be kept is an error, and the address goes to the next machine."""
        pool = Pool(LAN, ((LAN[1], LAN[1]),))
        table = LeaseTable()
        for identity in ("", "x" * 2000, "é"):
            with self.assertRaises(Malformed):
                table.offer(identity, "mac", pool, None, 0.0, 60.0)
            with self.assertRaises(Malformed):
                table.bind(identity, "mac", pool, LAN[1], 60.0, 0.0)
        self.assertEqual(table.drain(), {})
        lease = table.offer("hw:a", "mac", pool, None, 0.0, 60.0)
        self.assertEqual(lease and lease.address, LAN[1])
        self.assertEqual(table.check(), ())

    def test_what_nobody_asks_for_is_bounded(self) -> None:
        """Of what ended the latest is kept, when nobody asks for ever."""
        network = IPv4Network("10.0.0.0/15")
        table = LeaseTable()
        table.load(Lease(network[n], f"hw:{n}", "mac", State.BOUND, 0.0, float(n)) for n in range(1, ENDED_LIMIT + 100))
        ended = table.expire(1e9)
        self.assertEqual(len(ended), ENDED_LIMIT)
        self.assertEqual(ended[-1].address, network[ENDED_LIMIT + 99])

    def test_a_full_table_is_as_fast_and_small(self) -> None:
        """10,000 leases: at most 1 kB each, and no operation looks at all of them."""
        network = IPv4Network("10.0.0.0/15")
        pool = Pool(network, ((network[1], network[10_010]),))
        tracemalloc.start()
        table = LeaseTable()
        for n in range(10_000):
            offer = table.offer(f"hw:01:02:aa:00:{n:08x}", f"02:aa:00:{n:08x}", pool, None, 1e9, 60.0)
            assert offer is not None
            table.bind(offer.identity, offer.hwaddr, pool, offer.address, 600.0 + n, 1e9 + n / 1000)
            table.drain()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertLess(size / len(table), 1000)
        # The same work as at a small table: the calls made in it are counted, for a clock would count the neighbours.
        small = LeaseTable()
        for each in table.list()[:100]:
            small.bind(each.identity, each.hwaddr, pool, each.address, 600.0, 1e9)
        self.assertLess(self.work(table, pool), 3 * self.work(small, pool))

    @staticmethod
    def work(table: LeaseTable, pool: Pool) -> int:
        """How many calls 500 machines cost, of which some get nothing."""
        calls = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            for n in range(500):
                now = 1e9 + 100 + n / 1000
                identity = f"hw:new:{n}"
                if (offer := table.offer(identity, "mac", pool, pool.network[5], now, 60.0)) is not None:
                    table.bind(identity, "mac", pool, offer.address, 600.0, now)
                    table.release(identity, offer.address, now)
                table.renew(f"hw:01:02:aa:00:{n:08x}", pool, pool.network[n + 1], 900.0, now, "mac")
        finally:
            sys.setprofile(None)
        return calls
