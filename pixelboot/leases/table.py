"""All leases of one node, in memory: what every lease store does, as plain calls in O(log n).

Two things are known of an address (a number here): a *record* (bound, released, expired, declined), which is to be
durable, and over it perhaps an *offer*, which is not.  An offer only ever lies over nothing, or over a record that
leaves the address free; while it is there the address is its holder's.

A machine (an identity) has at most one address of a network, but may be bound to one and be offered another when the
first has left the pool.  Every operation first ends what is past its time, so that "bound" means bound.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address

from pixelboot.leases.free import FreeAddresses
from pixelboot.leases.instants import Instants
from pixelboot.leases.lease import HOSTNAME_LIMIT, Lease, Pool, Refusal, State
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

_Index = dict[str, tuple[int, ...]]

ENDED_LIMIT = 65_536
"""How many ended leases are kept for who asks `LeaseTable.expire`; of more, the latest."""


class LeaseTable:
    """The operations of `pixelboot.leases.seam.LeaseStore`, not awaitable; see there what each promises."""

    def __init__(self) -> None:
        self._records: dict[int, Lease] = {}
        self._offers: dict[int, Lease] = {}
        self._recorded: _Index = {}
        self._offered: _Index = {}
        self._agenda = Instants()
        self._free: dict[Pool, FreeAddresses] = {}
        self._changes: dict[int, Lease | None] = {}
        self._ended: deque[Lease] = deque(maxlen=ENDED_LIMIT)

    def load(self, leases: Iterable[Lease]) -> None:
        """Take in records that are durable already; none is an offer, none of an address that is known here."""
        for lease in leases:
            self._record(int(lease.address), lease)
        self._changes.clear()

    def __len__(self) -> int:
        """Of how many addresses something is known that is to be durable."""
        return len(self._records)

    def drain(self) -> dict[int, Lease | None]:
        """Every address whose record has changed since this was called last, and its record: None when it has none."""
        changes, self._changes = self._changes, {}
        return changes

    def records(self) -> dict[int, Lease]:
        """All that is to be durable: the record of each address."""
        return dict(self._records)

    # The operations, as the machines cause them.

    def offer(
        self, identity: str, hwaddr: str, pool: Pool, requested: IPv4Address | None, now: float, hold: float
    ) -> Lease | None:
        """See `LeaseStore.offer`."""
        self._end_due(now)
        free = self._free_of(pool)
        number: int | None = None
        for known in self._recorded.get(identity, ()):
            if known in free:
                record = self._records[known]
                if record.state is State.BOUND:
                    return record
                if known not in self._offers:
                    number = known
        ends_at = now + hold
        for held in self._offered.get(identity, ()):
            if held in free:
                number = held
                ends_at = max(ends_at, self._offers[held].expires_at)
            elif free.covers(held):
                self._withdraw(held)
        if number is None and requested is not None and int(requested) in free and self._is_vacant(int(requested)):
            number = int(requested)
        if number is None:
            number = free.take(self._is_fresh, self._is_vacant)
        if number is None:
            return None
        held_since = self._offers[number].started_at if number in self._offers else now
        try:
            offer = Lease(IPv4Address(number), identity, hwaddr, State.OFFERED, held_since, ends_at)
        except Malformed:
            self._freed(number)
            raise
        if number not in self._offers:
            _add(self._offered, identity, number)
        self._offers[number] = offer
        self._note(number, ends_at)
        return offer

    def bind(
        self,
        identity: str,
        hwaddr: str,
        pool: Pool,
        address: IPv4Address,
        lease_time: float,
        now: float,
        hostname: str = "",
    ) -> Lease | Refusal:
        """See `LeaseStore.bind`."""
        self._end_due(now)
        free = self._free_of(pool)
        number = int(address)
        if (refusal := self._why_not(identity, number, free)) is not None:
            return refusal
        return self._grant(identity, hwaddr, free, number, lease_time, now, hostname)

    def renew(
        self,
        identity: str,
        pool: Pool,
        address: IPv4Address,
        lease_time: float,
        now: float,
        hwaddr: str,
        hostname: str = "",
    ) -> Lease | Refusal | None:
        """See `LeaseStore.renew`."""
        self._end_due(now)
        free = self._free_of(pool)
        number = int(address)
        recorded = self._recorded.get(identity, ())
        if number not in recorded and number not in self._offered.get(identity, ()):
            if not recorded:
                return None
            others = ", ".join(str(IPv4Address(known)) for known in recorded)
            return Refusal(f"{address} is not this machine's: it has {others}")
        if (refusal := self._why_not(identity, number, free)) is not None:
            return refusal
        return self._grant(identity, hwaddr, free, number, lease_time, now, hostname)

    def release(self, identity: str, address: IPv4Address, now: float) -> Lease | None:
        """See `LeaseStore.release`."""
        self._end_due(now)
        number = int(address)
        record = self._records.get(number)
        if record is None or record.state is not State.BOUND or record.identity != identity:
            return None
        return self._set_free(number, record, State.RELEASED, now)

    def decline(self, identity: str, address: IPv4Address, now: float, quarantine: float) -> Lease | None:
        """See `LeaseStore.decline`."""
        self._end_due(now)
        number = int(address)
        held = self._offers.get(number) or self._records.get(number)
        if held is None or held.identity != identity or held.state not in (State.OFFERED, State.BOUND):
            return None
        if held.state is State.OFFERED:
            self._forget_offer(number)
        declined = Lease(held.address, identity, held.hwaddr, State.DECLINED, now, now + quarantine, held.hostname)
        self._record(number, declined)
        return declined

    def withdraw(self, identity: str, now: float) -> Lease | None:
        """See `LeaseStore.withdraw`."""
        self._end_due(now)
        offer: Lease | None = None
        for number in self._offered.get(identity, ()):
            offer = self._withdraw(number)
        return offer

    def expire(self, now: float) -> Sequence[Lease]:
        """See `LeaseStore.expire`."""
        self._end_due(now)
        ended = tuple(self._ended)
        self._ended.clear()
        return ended

    def find(self, identity: str) -> Lease | None:
        """See `LeaseStore.find`."""
        leases = [self._records[number] for number in self._recorded.get(identity, ())]
        leases += [self._offers[number] for number in self._offered.get(identity, ())]
        rank = {State.BOUND: 2, State.OFFERED: 1}
        return max(leases, key=lambda lease: (rank.get(lease.state, 0), lease.started_at), default=None)

    def at(self, address: IPv4Address) -> Lease | None:
        """See `LeaseStore.at`."""
        number = int(address)
        return self._offers.get(number) or self._records.get(number)

    def list(self) -> Sequence[Lease]:
        """See `LeaseStore.list`."""
        return tuple({**self._records, **self._offers}.values())

    # What the operations are made of.

    def _is_fresh(self, number: int) -> bool:
        """Nothing is known of the address."""
        return number not in self._records and number not in self._offers

    def _is_vacant(self, number: int) -> bool:
        """Nobody holds the address."""
        record = self._records.get(number)
        return number not in self._offers and (record is None or record.state in (State.RELEASED, State.EXPIRED))

    def _why_not(self, identity: str, number: int, free: FreeAddresses) -> Refusal | None:
        """Why `identity` cannot have the address now; None when it can."""
        holder = self._offers.get(number)
        record = self._records.get(number)
        if number not in free:
            reason = "is not in the pool"
        elif record is not None and record.state is State.DECLINED:
            reason = "is in quarantine: a machine found it in use"
        elif holder is not None and holder.identity != identity:
            reason = "is offered to another machine"
        elif record is not None and record.state is State.BOUND and record.identity != identity:
            reason = "is held by another machine"
        else:
            return None
        return Refusal(f"{IPv4Address(number)} {reason}")

    def _grant(
        self,
        identity: str,
        hwaddr: str,
        free: FreeAddresses,
        number: int,
        lease_time: float,
        now: float,
        hostname: str,
    ) -> Lease:
        """Bind the address to `identity`, and free whatever else of this network it has."""
        before = self._records.get(number)
        started_at = now
        if before is not None and before.identity == identity:
            hostname = hostname or before.hostname
            if before.state is State.BOUND:
                started_at = before.started_at
        ends_at = now + lease_time
        lease = Lease(IPv4Address(number), identity, hwaddr, State.BOUND, started_at, ends_at, _shown(hostname))
        for other in self._offered.get(identity, ()):
            if other == number:
                self._forget_offer(number)
            elif free.covers(other):
                self._withdraw(other)
        for other in self._recorded.get(identity, ()):
            if other != number and free.covers(other):
                self._forget_record(other)
        self._record(number, lease)
        return lease

    def _record(self, number: int, lease: Lease) -> None:
        """Let `lease` be what is durably known of its address."""
        before = self._records.get(number)
        if before is not None and before.state is not State.DECLINED:
            _remove(self._recorded, before.identity, number)
        if lease.state is not State.DECLINED:
            _add(self._recorded, lease.identity, number)
        self._records[number] = lease
        self._changes[number] = lease
        if lease.state in (State.BOUND, State.DECLINED):
            self._note(number, lease.expires_at)

    def _set_free(self, number: int, record: Lease, state: State, at: float) -> Lease:
        """End a bound lease: the address is free, who had it is remembered."""
        lease = Lease(record.address, record.identity, record.hwaddr, state, record.started_at, at, record.hostname)
        self._records[number] = self._changes[number] = lease
        self._freed(number)
        return lease

    def _forget_record(self, number: int) -> None:
        """Nothing is durably known of the address any more."""
        record = self._records.pop(number)
        if record.state is not State.DECLINED:
            _remove(self._recorded, record.identity, number)
        self._changes[number] = None
        self._freed(number)

    def _forget_offer(self, number: int) -> Lease:
        """The offer is over, and what it lay over shows again."""
        offer = self._offers.pop(number)
        _remove(self._offered, offer.identity, number)
        return offer

    def _withdraw(self, number: int) -> Lease:
        """The offer came to nothing."""
        offer = self._forget_offer(number)
        self._freed(number)
        return offer

    def _freed(self, number: int) -> None:
        """Tell the pools that an address can be given away, if it can."""
        if number in self._offers:
            return
        record = self._records.get(number)
        for free in self._free.values():
            if number in free:
                free.freed(number, None if record is None else record.expires_at)

    def _free_of(self, pool: Pool) -> FreeAddresses:
        """The free addresses of a pool; made from all that is known when it is seen for the first time."""
        free = self._free.get(pool)
        if free is None:
            free = self._free[pool] = FreeAddresses(pool)
            for number, record in self._records.items():
                if record.state in (State.RELEASED, State.EXPIRED) and number in free:
                    free.freed(number, record.expires_at)
        return free

    def _note(self, number: int, at: float) -> None:
        """Look at the address again at `at`, or before.  A renewal costs nothing: the earlier look finds it later."""
        waiting = self._agenda.get(number)
        if at != math.inf and (waiting is None or at < waiting):
            self._agenda.put(number, at)

    def _end_due(self, now: float) -> None:
        """End every offer, lease and quarantine whose time has come."""
        while (number := self._agenda.pop(now)) is not None:
            offer = self._offers.get(number)
            if offer is not None and offer.expires_at <= now:
                self._ended.append(self._withdraw(number))
            elif offer is not None:
                self._note(number, offer.expires_at)
            record = self._records.get(number)
            if record is None or record.state not in (State.BOUND, State.DECLINED):
                continue
            if record.expires_at > now:
                self._note(number, record.expires_at)
            elif record.state is State.BOUND:
                self._ended.append(self._set_free(number, record, State.EXPIRED, record.expires_at))
            else:
                self._forget_record(number)
                self._ended.append(record)

    def check(self) -> tuple[str, ...]:
        """Everything that is wrong with the table, which is nothing: for tests, and for who doubts."""
        wrong = []
        for number, record in self._records.items():
            if int(record.address) != number or record.state is State.OFFERED:
                wrong.append(f"{IPv4Address(number)} has the record {record}")
            if (record.state is not State.DECLINED) != (number in self._recorded.get(record.identity, ())):
                wrong.append(f"{record} is not indexed as it should be")
        for number, offer in self._offers.items():
            if int(offer.address) != number or offer.state is not State.OFFERED:
                wrong.append(f"{IPv4Address(number)} has the offer {offer}")
            under = self._records.get(number)
            if under is not None and under.state not in (State.RELEASED, State.EXPIRED):
                wrong.append(f"{offer} lies over {under}")
            if number not in self._offered.get(offer.identity, ()):
                wrong.append(f"{offer} is not indexed")
        for index, known in ((self._recorded, self._records), (self._offered, self._offers)):
            for identity, numbers in index.items():
                if not numbers or any(n not in known or known[n].identity != identity for n in numbers):
                    wrong.append(f"the index has {identity} at {numbers}")
        for number, live in [*self._records.items(), *self._offers.items()]:
            looked_at = self._agenda.get(number)
            due = live.state in (State.OFFERED, State.BOUND, State.DECLINED) and live.expires_at != math.inf
            if due and (looked_at is None or looked_at > live.expires_at):
                wrong.append(f"nobody will look at {live} in time")
        for free in self._free.values():
            for index in (self._recorded, self._offered):
                for identity, numbers in index.items():
                    if sum(map(free.covers, numbers)) > 1:
                        wrong.append(f"{identity} has two addresses of one network: {numbers}")
        return tuple(wrong)


def _shown(hostname: str) -> str:
    """A host name from the network as a lease can have it."""
    text = printable(hostname, HOSTNAME_LIMIT)
    return text if len(text) <= HOSTNAME_LIMIT else text[: HOSTNAME_LIMIT - 1] + "…"


def _add(index: _Index, identity: str, number: int) -> None:
    """Note under `identity` that it has `number`."""
    index[identity] = (*index.get(identity, ()), number)


def _remove(index: _Index, identity: str, number: int) -> None:
    """Take `number` from what `identity` has."""
    left = tuple(known for known in index[identity] if known != number)
    if left:
        index[identity] = left
    else:
        del index[identity]
