"""What is known of all addresses, its indexes, and the clock: what the operations of a lease table are made of.

Two things are known of an address (a number here): a *record* (bound, released, expired, declined), which is to be
durable, and over it perhaps an *offer*, which is not.  An offer only ever lies over nothing, or over a record that
leaves the address free; while it is there the address is its holder's.

Leases end by the wall clock, because they outlive the server, and the wall clock may be set.  What a machine was
promised is a span of time, so a lease keeps what it had left, and never gets more than it was given in all, when the
clock is seen to jump against one that nobody sets:

* A lease that was given since the clock was set last goes on for as long as it had left; one that is older, and was
  given by a clock that may have been right, ends when it said, unless it would end by the jump alone.
* Set back, a lease that was given by the clock that was ahead goes on for what it had left, too; and one that ended by
  it, but has not ended now, is bound again, as long as nobody else was offered its address.

So a clock that jumps for a while costs no lease, and no lease becomes endless by it.  A server that starts knows of no
jump; but a lease that was given in its future cannot have been, and goes on for as long as it was given, from now.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from ipaddress import IPv4Address
from weakref import WeakKeyDictionary

from pixelboot.leases.crowd import CEILINGS, Ceilings, Crowd
from pixelboot.leases.free import FREE_AGAIN, FreeAddresses
from pixelboot.leases.instants import Instants
from pixelboot.leases.lease import BOUND, DECLINED, EXPIRED, OFFERED, RELEASED, Lease, Pool, State

ENDED_LIMIT = 10_000
"""How many ended leases are kept for who asks what has ended; of more, the latest."""

AT_ONCE = 100
"""How many leases may end in one operation, which is about something else, so that it does not take long when those of
a whole site run out together."""

JUMP = 10.0
"""Seconds that the wall clock may be off the steady one: what is less is drift, or its correction."""

_Index = dict[str, tuple[int, ...]]


class Ledger:
    """Records and offers of all addresses, in memory, found in O(log n)."""

    def __init__(self, ceilings: Ceilings = CEILINGS, monotonic: Callable[[], float] | None = None) -> None:
        """`monotonic` is a clock that nobody sets, in seconds; without it no jump of the wall clock is noticed."""
        self._records: dict[int, Lease] = {}
        self._offers: dict[int, Lease] = {}
        self._recorded: _Index = {}
        self._offered: _Index = {}
        self._quarantined: set[int] = set()
        self._crowd = Crowd(ceilings)
        self._agenda = Instants()
        self._free: WeakKeyDictionary[Pool, FreeAddresses] = WeakKeyDictionary()
        self._last: tuple[Pool | None, FreeAddresses | None] = (None, None)
        self._changes: dict[int, Lease | None] = {}
        self._ended: deque[Lease] = deque(maxlen=ENDED_LIMIT)
        self._monotonic = monotonic
        self._ahead = -math.inf
        self._set_at = math.inf
        self._set_by = 0.0

    def load(self, records: dict[int, Lease]) -> None:
        """Take over the records that are durable already, when nothing is known yet; none is an offer."""
        self._records = records
        recorded = self._recorded
        waiting: dict[int, float] = {}
        for number, lease in records.items():
            state, identity = lease.state, lease.identity
            if state is DECLINED:
                self._quarantined.add(number)
            elif identity in recorded:
                _add(recorded, identity, number)
            else:
                recorded[identity] = (number,)
            if state is BOUND or state is DECLINED:
                waiting[number] = lease.expires_at
        for number in [number for number, at in waiting.items() if at == math.inf]:
            del waiting[number]
        self._agenda = Instants(waiting)

    def __len__(self) -> int:
        """Of how many addresses something is known that is to be durable."""
        return len(self._records)

    def drain(self) -> dict[int, Lease | None]:
        """Every address whose record has changed since this was called last, and its record: None when it has none."""
        changes = self._changes
        if changes:
            self._changes = {}
        return changes

    def record(self, number: int) -> Lease | None:
        """What is to be durable of an address."""
        return self._records.get(number)

    def records(self) -> dict[int, Lease]:
        """All that is to be durable: the record of each address."""
        return dict(self._records)

    # Records and offers, put and taken away.

    def _record(self, number: int, lease: Lease) -> None:
        """Let `lease` be what is durably known of its address."""
        before = self._records.get(number)
        if before is None or before.identity != lease.identity or before.state is not lease.state:
            if before is not None and before.state is not DECLINED:
                _remove(self._recorded, before.identity, number)
            if lease.state is not DECLINED:
                _add(self._recorded, lease.identity, number)
            else:
                self._quarantined.add(number)
        self._records[number] = self._changes[number] = lease
        if lease.state is BOUND or lease.state is DECLINED:
            self._look_again(number, lease.expires_at)

    def _set_free(self, number: int, record: Lease, state: State, at: float) -> Lease:
        """End a bound lease: the address is free, who had it is remembered."""
        lease = record._replace(state=state, expires_at=at)
        self._records[number] = self._changes[number] = lease
        self._freed(number)
        return lease

    def _forget_record(self, number: int) -> None:
        """Nothing is durably known of the address any more."""
        record = self._records.pop(number)
        if record.state is not DECLINED:
            _remove(self._recorded, record.identity, number)
        self._quarantined.discard(number)
        self._changes[number] = None
        self._freed(number)

    def _put_offer(self, number: int, offer: Lease) -> None:
        """Hold the address for who it is offered to, who may have the offer already."""
        if number not in self._offers:
            _add(self._offered, offer.identity, number)
        self._offers[number] = offer
        self._look_again(number, offer.expires_at)

    def _forget_offer(self, number: int) -> Lease:
        """The offer is over, and what it lay over shows again."""
        offer = self._offers.pop(number)
        _remove(self._offered, offer.identity, number)
        self._crowd.leave(number)
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
        last, free = self._last
        if pool is last and free is not None:
            return free
        free = self._free.get(pool)
        if free is None:
            free = self._free[pool] = FreeAddresses(pool)
            for number, record in self._records.items():
                if record.state in FREE_AGAIN and number in free:
                    free.freed(number, record.expires_at)
        self._last = (pool, free)
        return free

    def _is_vacant(self, number: int) -> bool:
        """Nobody holds the address."""
        record = self._records.get(number)
        return number not in self._offers and (record is None or record.state in FREE_AGAIN)

    # Time.

    def _look_again(self, number: int, at: float) -> None:
        """Look at the address at `at`, or before.  A renewal costs nothing: the earlier look finds it later."""
        if at != math.inf:
            self._agenda.put_forward(number, at)

    def _tick(self, now: float, *about: int, identity: str = "") -> None:
        """It is `now`: end what is past its time, of very much only a part; but at once what these are about."""
        if self._monotonic is not None and not -JUMP <= now - self._monotonic() - self._ahead <= JUMP:
            self._watch_clock(now)
        if not self._agenda.is_due(now):
            return
        if self._end_due(now, AT_ONCE):
            for number in (*about, *self._recorded.get(identity, ()), *self._offered.get(identity, ())):
                self._end(number, now)

    def _end_due(self, now: float, at_most: int) -> bool:
        """End the offers, leases and quarantines whose time has come; whether there may be more of them."""
        for _ in range(at_most):
            number = self._agenda.pop(now)
            if number is None:
                return False
            self._end(number, now)
        return True

    def _end(self, number: int, now: float) -> None:
        """End what is known of an address if its time has come, and look again later if it has not."""
        offer = self._offers.get(number)
        if offer is not None:
            if offer.expires_at <= now:
                self._ended.append(self._withdraw(number))
            else:
                self._look_again(number, offer.expires_at)
        record = self._records.get(number)
        if record is None or record.state in FREE_AGAIN:
            return
        if record.expires_at > now:
            self._look_again(number, record.expires_at)
        elif record.state is BOUND:
            self._ended.append(self._set_free(number, record, EXPIRED, record.expires_at))
        else:
            self._forget_record(number)
            self._ended.append(record)

    def _watch_clock(self, now: float) -> None:
        """See whether the wall clock was set since this was called last."""
        if self._monotonic is None:
            return
        ahead = now - self._monotonic()
        set_by = ahead - self._ahead
        if -JUMP <= set_by <= JUMP:
            return  # without taking note, so that a clock which creeps away is noticed in the end
        if self._ahead == -math.inf:
            self._set_clock(now, now)
        else:
            self._set_clock(now - set_by, now)
            self._set_by += set_by
        self._ahead = ahead
        self._set_at = now

    def clock_set(self) -> float:
        """Seconds by which the wall clock was set since this was called last, negative for back; mostly 0."""
        seconds, self._set_by = self._set_by, 0.0
        return seconds if abs(seconds) > JUMP else 0.0  # and back again

    def _set_clock(self, before: float, now: float) -> None:
        """The wall clock was set from `before` to `now`."""
        for number, record in list(self._records.items()):
            ends_at, given_at = record.expires_at, record.renewed_at
            if record.state is RELEASED or ends_at == math.inf:
                continue
            if record.state is EXPIRED:
                if given_at <= now + JUMP and ends_at > now and number not in self._offers:
                    self._record(number, record._replace(state=BOUND))
            elif given_at >= self._set_at or given_at > now + JUMP or before < ends_at <= now:
                left = min(ends_at - before, ends_at - given_at)
                self._record(number, record._replace(expires_at=now + left, renewed_at=now))
        for number, offer in list(self._offers.items()):
            left = min(offer.expires_at - before, offer.expires_at - offer.renewed_at)
            self._put_offer(number, offer._replace(expires_at=now + left, renewed_at=now))

    def check(self) -> tuple[str, ...]:
        """Everything that is wrong with the ledger, which is nothing: for tests, and for who doubts."""
        wrong = []
        for number, record in self._records.items():
            if int(record.address) != number or record.state is OFFERED:
                wrong.append(f"{IPv4Address(number)} has the record {record}")
            if (record.state is not DECLINED) != (number in self._recorded.get(record.identity, ())):
                wrong.append(f"{record} is not indexed as it should be")
        if self._quarantined != {number for number, each in self._records.items() if each.state is DECLINED}:
            wrong.append(f"the quarantines are {self._quarantined}")
        wrong += [
            f"{IPv4Address(number)} is not on offer to a crowd" for number in self._crowd if number not in self._offers
        ]
        for number, offer in self._offers.items():
            if int(offer.address) != number or offer.state is not OFFERED:
                wrong.append(f"{IPv4Address(number)} has the offer {offer}")
            under = self._records.get(number)
            if under is not None and under.state not in FREE_AGAIN:
                wrong.append(f"{offer} lies over {under}")
            if number not in self._offered.get(offer.identity, ()):
                wrong.append(f"{offer} is not indexed")
        for index, known in ((self._recorded, self._records), (self._offered, self._offers)):
            for identity, numbers in index.items():
                if not numbers or any(n not in known or known[n].identity != identity for n in numbers):
                    wrong.append(f"the index has {identity} at {numbers}")
        for number, live in [*self._records.items(), *self._offers.items()]:
            looked_at = self._agenda.get(number)
            due = live.state not in FREE_AGAIN and live.expires_at != math.inf
            if due and (looked_at is None or looked_at > live.expires_at):
                wrong.append(f"nobody will look at {live} in time")
        for free in self._free.values():
            for index in (self._recorded, self._offered):
                for identity, numbers in index.items():
                    if sum(map(free.covers, numbers)) > 1:
                        wrong.append(f"{identity} has two addresses of one link: {numbers}")
        return tuple(wrong)


def _add(index: _Index, identity: str, number: int) -> None:
    """Note under `identity` that it has `number`."""
    index[identity] = (*index[identity], number) if identity in index else (number,)


def _remove(index: _Index, identity: str, number: int) -> None:
    """Take `number` from what `identity` has."""
    known = index[identity]
    if known == (number,):
        del index[identity]
    else:
        index[identity] = tuple([each for each in known if each != number])
