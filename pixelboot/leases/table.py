"""All leases of one node, in memory: what every lease store does, as plain calls in O(log n).

A machine (an identity) has at most one address of a link, but may be bound to one and be offered another when the
first has left the pool.  Every operation first ends what is past its time, so that "bound" means bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address

from pixelboot.leases.crowd import PATIENCE
from pixelboot.leases.free import FREE_AGAIN, FreeAddresses
from pixelboot.leases.lease import (
    BOUND,
    DECLINED,
    EXPIRED,
    OFFERED,
    RELEASED,
    Cause,
    Claim,
    Lease,
    Refusal,
    check,
    kept,
    shown,
)
from pixelboot.leases.ledger import Ledger
from pixelboot.malformed import Malformed

COUNT_REST = 1.0
"""Seconds for which the count of what an exhausted pool is used for is not made again: it looks at every offer."""

EXPIRE_AT_ONCE = 5_000
"""How many leases end at most in one `LeaseTable.expire`; that takes some 20 ms."""


class LeaseTable(Ledger):
    """The operations of `pixelboot.leases.seam.LeaseStore`, not awaitable; see there what each promises."""

    def offer(self, claim: Claim, requested: IPv4Address | None, now: float, hold: float) -> Lease | Refusal:
        """See `LeaseStore.offer`."""
        identity = claim.identity
        self._tick(now, identity=identity)
        free = self._free_of(claim.pool)
        ends_at = now + hold
        number = self._own(claim, free)
        if number is not None:
            record = self._records.get(number)
            if record is not None and record.state is BOUND:
                return record
            before = self._offers.get(number)
            if before is not None and before.identity == identity:
                offer = before._replace(expires_at=max(ends_at, before.expires_at), renewed_at=now)
                self._put_offer(number, offer)
                return offer
        check(identity, claim.hwaddr)
        unknown = number is None and claim.fixed is None and identity not in self._recorded
        if unknown and (full := self._crowd.full(claim.port, claim.relay)) is not None:
            if 0 <= now - full[1] < PATIENCE:
                where = f"at {claim.port} of {claim.relay}" if claim.port else f"behind {claim.relay or 'one relay'}"
                return Refusal(f"too many machines {where} were offered addresses and have not answered", Cause.CROWDED)
            self._withdraw(full[0])
        if number is None:
            number = self._choose(claim, requested, free, now)
        if number is None:
            return self._used_up(free, now)
        offer = Lease(IPv4Address(number), identity, claim.hwaddr, OFFERED, now, ends_at, "", now)
        self._put_offer(number, offer)
        if unknown:
            self._crowd.join(number, claim.port, claim.relay, free.name, now)
        return offer

    def _own(self, claim: Claim, free: FreeAddresses) -> int | None:
        """The address that is the machine's before all others: reserved for it, bound, offered, or had last."""
        identity = claim.identity
        number: int | None = None
        if claim.fixed is None and identity not in self._recorded and identity not in self._offered:
            return None
        if claim.fixed is not None and not self._taken(identity, int(claim.fixed)):
            number = int(claim.fixed)
        else:
            for known in self._recorded.get(identity, ()):
                if known in free:
                    if self._records[known].state is BOUND:
                        return known
                    if known not in self._offers:
                        number = known
        fixed = number if claim.fixed is not None and number == int(claim.fixed) else None
        for held in self._offered.get(identity, ()):
            if held == fixed or (fixed is None and held in free):
                number = held
            elif free.covers(held):
                self._withdraw(held)
        return number

    def _choose(self, claim: Claim, requested: IPv4Address | None, free: FreeAddresses, now: float) -> int | None:
        """An address for a machine that has none."""
        wanted = None if requested is None or int(requested) not in free else int(requested)
        if wanted is not None and wanted not in self._records and wanted not in self._offers:
            return wanted
        number = free.take(self._records, self._offers)
        while number is None and self._agenda.is_due(now):
            self._end_due(now, 1)
            number = free.take(self._records, self._offers)
        if number is None:
            number = self._taken_back(claim.identity, free)
            return self._given_way(free, now) if number is None else number
        if number in self._records and wanted is not None and self._is_vacant(wanted):
            # All that is left was somebody's: then this one as well as any other.
            self._freed(number)
            return wanted
        return number

    def _taken_back(self, identity: str, free: FreeAddresses) -> int | None:
        """What the machine had last, if that is on offer to an unknown machine, which then gets nothing."""
        for known in self._recorded.get(identity, ()):
            if known in free and known in self._crowd:
                self._forget_offer(known)
                return known
        return None

    def _given_way(self, free: FreeAddresses, now: float) -> int | None:
        """What an unknown machine was offered the longest ago, if it had the time to choose."""
        while (oldest := self._crowd.oldest(free.name, now)) is not None:
            if oldest in free:
                self._forget_offer(oldest)
                return oldest
            # It was offered when the pool was another; of such there is none the next time.
            self._withdraw(oldest)
        return None

    def _used_up(self, free: FreeAddresses, now: float) -> Refusal:
        """Why there is no address left."""
        if free.told is None or not 0 <= now - free.told[0] < COUNT_REST:
            offered = sum(number in free for number in self._offers)
            resting = sum(number in free for number in self._quarantined)
            counts = f"{free.size - offered - resting} leased, {offered} offered, {resting} in quarantine"
            free.told = (now, f"all {free.size} addresses of {free.name} are used up: {counts}")
        return Refusal(free.told[1], Cause.EXHAUSTED)

    def reusable(self, claim: Claim, address: IPv4Address, lease_time: float, now: float, reuse: float) -> Lease | None:
        """The lease that need not be written anew, see `LeaseStore.bind`; None when there is none."""
        number = int(address)
        record = self._records.get(number)
        if record is None or record.identity != claim.identity:
            return None
        self._tick(now, number)
        record = self._records[number]
        passed = now - record.renewed_at
        if (
            record.state is not BOUND
            or not 0 <= passed < reuse * (record.expires_at - record.renewed_at)
            or record.expires_at > now + lease_time
            or record.hwaddr != claim.hwaddr
            or (record.client_id, record.circuit) != (kept(claim.client_id), kept(claim.circuit))
            or (claim.hostname and shown(claim.hostname) != record.hostname)
            or self._why_not(claim, number, self._free_of(claim.pool)) is not None
        ):
            return None
        return record

    def bind(self, claim: Claim, address: IPv4Address, lease_time: float, now: float) -> Lease | Refusal:
        """See `LeaseStore.bind`."""
        number = int(address)
        self._tick(now, number, identity=claim.identity)
        free = self._free_of(claim.pool)
        refusal = self._why_not(claim, number, free)
        return self._grant(claim, free, address, lease_time, now) if refusal is None else refusal

    def renew(self, claim: Claim, address: IPv4Address, lease_time: float, now: float) -> Lease | Refusal | None:
        """See `LeaseStore.renew`."""
        number = int(address)
        self._tick(now, number, identity=claim.identity)
        free = self._free_of(claim.pool)
        recorded = self._recorded.get(claim.identity, ())
        offered = self._offered.get(claim.identity, ())
        if number not in recorded and number not in offered and address != claim.fixed:
            if not recorded and claim.fixed is None:
                return None
            others = ", ".join(map(str, map(IPv4Address, recorded))) or str(claim.fixed)
            return Refusal(f"{address} is not this machine's: it has {others}")
        refusal = self._why_not(claim, number, free)
        return self._grant(claim, free, address, lease_time, now) if refusal is None else refusal

    def release(self, identity: str, address: IPv4Address, now: float) -> Lease | None:
        """See `LeaseStore.release`."""
        number = int(address)
        self._tick(now, number)
        record = self._records.get(number)
        if record is None or record.state is not BOUND or record.identity != identity:
            return None
        return self._set_free(number, record, RELEASED, now)

    def decline(self, identity: str, address: IPv4Address, now: float, quarantine: float) -> Lease | None:
        """See `LeaseStore.decline`."""
        number = int(address)
        self._tick(now, number)
        held = self._offers.get(number) or self._records.get(number)
        if held is None or held.identity != identity or held.state not in (OFFERED, BOUND):
            return None
        return self._quarantine(number, held, now, quarantine)

    def abandon(self, address: IPv4Address, now: float, quarantine: float) -> Lease | None:
        """See `LeaseStore.abandon`."""
        number = int(address)
        self._tick(now, number)
        held = self._offers.get(number)
        return None if held is None else self._quarantine(number, held, now, quarantine)

    def withdraw(self, identity: str, now: float) -> Lease | None:
        """See `LeaseStore.withdraw`."""
        self._tick(now, identity=identity)
        offer: Lease | None = None
        for number in self._offered.get(identity, ()):
            offer = self._withdraw(number)
        return offer

    def adopt(self, leases: Iterable[Lease], now: float) -> int:
        """See `LeaseStore.adopt`."""
        self._tick(now)
        # Who has several keeps the one it was given time for last, which is where it is.
        latest_first = sorted(leases, key=lambda lease: lease.renewed_at, reverse=True)
        for lease in latest_first:
            check(lease.identity, lease.hwaddr)
            if math.isnan(lease.expires_at) or math.isnan(lease.started_at) or math.isnan(lease.renewed_at):
                raise Malformed(f"the lease of {lease.address} starts or ends at no number")
        return sum(self._adopt(lease, now) for lease in latest_first)

    def _adopt(self, lease: Lease, now: float) -> bool:
        """Take over one lease, if it can be; whether it was."""
        number, identity, state = int(lease.address), lease.identity, lease.state
        self._end(number, now)
        if state is BOUND and lease.expires_at <= now:
            state = EXPIRED
        if state is OFFERED or (state is DECLINED and lease.expires_at <= now):
            return False
        if not self._is_vacant(number) or (state in FREE_AGAIN and number in self._records):
            return False
        elsewhere = (*self._recorded.get(identity, ()), *self._offered.get(identity, ()))
        if state is not DECLINED and any(known != number for known in elsewhere):
            return False
        hostname, client_id, circuit = shown(lease.hostname), kept(lease.client_id), kept(lease.circuit)
        self._record(number, lease._replace(state=state, hostname=hostname, client_id=client_id, circuit=circuit))
        if state in FREE_AGAIN:
            self._freed(number)
        return True

    def expire(self, now: float) -> Sequence[Lease]:
        """See `LeaseStore.expire`."""
        self._watch_clock(now)
        self._end_due(now, EXPIRE_AT_ONCE)
        ended = tuple(self._ended)
        self._ended.clear()
        return ended

    def find(self, identity: str) -> Lease | None:
        """See `LeaseStore.find`."""
        leases = [self._records[number] for number in self._recorded.get(identity, ())]
        leases += [self._offers[number] for number in self._offered.get(identity, ())]
        rank = {BOUND: 2, OFFERED: 1}
        return max(leases, key=lambda lease: (rank.get(lease.state, 0), lease.started_at), default=None)

    def at(self, address: IPv4Address) -> Lease | None:
        """See `LeaseStore.at`."""
        number = int(address)
        return self._offers.get(number) or self._records.get(number)

    def list(self) -> Sequence[Lease]:
        """See `LeaseStore.list`."""
        return tuple({**self._records, **self._offers}.values())

    def readmit(self, address: IPv4Address, now: float) -> Lease | None:
        """See `LeaseStore.readmit`."""
        number = int(address)
        self._tick(now, number)
        record = self._records.get(number)
        if record is None or record.state is not DECLINED:
            return None
        self._forget_record(number)
        return record

    def _taken(self, identity: str, number: int) -> str:
        """Why another machine stands between this one and the address; empty when none does."""
        offer = self._offers.get(number)
        if offer is not None and offer.identity != identity:
            return "is offered to another machine"
        record = self._records.get(number)
        if record is None or record.state in FREE_AGAIN:
            return ""
        if record.state is DECLINED:
            return "is in quarantine: a machine found it in use"
        return "" if record.identity == identity else "is held by another machine"

    def _why_not(self, claim: Claim, number: int, free: FreeAddresses) -> Refusal | None:
        """Why a machine cannot have the address now; None when it can."""
        fixed = None if claim.fixed is None else int(claim.fixed)
        if number not in free and number != fixed:
            return Refusal(f"{IPv4Address(number)} is not in the pool")
        if reason := self._taken(claim.identity, number):
            return Refusal(f"{IPv4Address(number)} {reason}")
        if fixed is not None and number != fixed and not self._taken(claim.identity, fixed):
            return Refusal(f"{IPv4Address(number)} is not this machine's: {claim.fixed} is reserved for it")
        return None

    def _grant(self, claim: Claim, free: FreeAddresses, address: IPv4Address, lease_time: float, now: float) -> Lease:
        """Bind the address to a machine, and free whatever else of this link it has."""
        identity, hwaddr, number = claim.identity, claim.hwaddr, int(address)
        check(identity, hwaddr)
        hostname = shown(claim.hostname)
        before = self._records.get(number)
        started_at = now
        if before is not None and before.identity == identity:
            hostname = hostname or before.hostname
            if before.state is BOUND:
                started_at = before.started_at
        for other in self._offered.get(identity, ()):
            if other == number:
                address = self._forget_offer(number).address
            elif free.covers(other):
                self._withdraw(other)
        for other in self._recorded.get(identity, ()):
            if other != number and free.covers(other):
                self._forget_record(other)
        client_id, circuit = kept(claim.client_id), kept(claim.circuit)
        ends_at = now + lease_time
        lease = Lease(address, identity, hwaddr, BOUND, started_at, ends_at, hostname, now, client_id, circuit)
        self._record(number, lease)
        return lease

    def _quarantine(self, number: int, held: Lease, now: float, seconds: float) -> Lease:
        """Take what a machine holds out of the pool."""
        if held.state is OFFERED:
            self._forget_offer(number)
        ends_at = now + seconds
        declined = held._replace(state=DECLINED, started_at=now, expires_at=ends_at, renewed_at=now)
        self._record(number, declined)
        return declined
