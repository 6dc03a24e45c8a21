"""What every lease store must do for a whole site: reservations, short renewals, probes, imports, floods, clocks.

As `tests.leases.suite`, which has the life of a lease.
"""

from __future__ import annotations

import math
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from twisted.trial.unittest import TestCase

from pixelboot.leases.crowd import PATIENCE
from pixelboot.leases.lease import Cause, Claim, Lease, Pool, Refusal, State
from pixelboot.leases.seam import LeaseStore
from pixelboot.malformed import Malformed
from tests.leases.suite import HOLD, HOUR, LAN, NOW, OTHER, OTHER_POOL, POOL, A, B, C, D, awaited, claim, leased

if TYPE_CHECKING:
    _Base = TestCase
else:
    _Base = object

FIXED = LAN[7]
"""Reserved for one machine, outside of the ranges."""

SHARED = Pool((LAN, OTHER), ((LAN[100], LAN[100]), (OTHER[100], OTHER[101])))
"""Two networks on one link."""

REUSE = 0.25


class SiteSuite(_Base):
    """The tests; `self.store` is what is tested, with ceilings of 2 for a port and 3 for a relay."""

    store: LeaseStore

    async def offer(self, who: Claim, now: float = NOW, requested: IPv4Address | None = None) -> IPv4Address | Cause:
        """What a DISCOVER gets: an address, or the cause of a refusal."""
        result = await self.store.offer(who, requested, now, HOLD)
        return result.address if isinstance(result, Lease) else result.cause

    async def bind(self, who: Claim, address: IPv4Address, now: float = NOW, reuse: float = 0.0) -> Lease | str:
        """What a REQUEST gets: a lease, or the reason of a refusal."""
        result = await self.store.bind(who, address, HOUR, now, reuse)
        return result.reason if isinstance(result, Refusal) else result

    @awaited
    async def test_reserved(self) -> None:
        """A machine with an address of its own gets that, and no other one."""
        own = claim(A, fixed=FIXED)
        self.assertEqual(await self.offer(own, requested=LAN[101]), FIXED)
        self.assertEqual(await self.offer(own, NOW + 1), FIXED, "again")
        self.assertEqual(
            await self.bind(own, LAN[101]), f"{LAN[101]} is not this machine's: {FIXED} is reserved for it"
        )
        lease = await self.bind(own, FIXED, NOW + 2)
        self.assertEqual(lease, leased(FIXED, A, State.BOUND, NOW + 2, NOW + 2 + HOUR))
        self.assertEqual(await self.bind(claim(B), FIXED), f"{FIXED} is not in the pool")
        self.assertIsInstance(await self.store.renew(own, FIXED, HOUR, NOW + 3), Lease)
        await self.store.release(A, FIXED, NOW + 4)
        self.assertEqual(await self.offer(own, NOW + 5), FIXED)

    @awaited
    async def test_reserved_and_unknown(self) -> None:
        """Its own address is granted though nothing is known of the machine; another one is refused, not ignored."""
        own = claim(A, fixed=FIXED)
        result = await self.store.renew(own, LAN[100], HOUR, NOW)
        self.assertEqual(result, Refusal(f"{LAN[100]} is not this machine's: it has {FIXED}"))
        self.assertIsInstance(await self.store.renew(own, FIXED, HOUR, NOW), Lease)

    @awaited
    async def test_reserved_later(self) -> None:
        """A machine that has another address when one is reserved for it is moved when it asks."""
        await self.bind(claim(A), LAN[100])
        own = claim(A, fixed=FIXED)
        self.assertIsInstance(await self.store.renew(own, LAN[100], HOUR, NOW + 1), Refusal)
        self.assertEqual(await self.offer(own, NOW + 2), FIXED)
        self.assertIsInstance(await self.bind(own, FIXED, NOW + 3), Lease)
        self.assertEqual(await self.store.at(LAN[100]), None)

    @awaited
    async def test_reserved_but_taken(self) -> None:
        """While another machine has the address, its owner gets one of the pool; then it is moved."""
        await self.bind(claim(B, fixed=FIXED), FIXED)
        own = claim(A, fixed=FIXED)
        self.assertEqual(await self.offer(own), LAN[100])
        self.assertIsInstance(await self.bind(own, LAN[100]), Lease)
        self.assertIsInstance(await self.store.renew(own, LAN[100], HOUR, NOW + 1), Lease)
        self.assertIsInstance(await self.store.renew(claim(B), FIXED, HOUR, NOW + 1), Refusal, "not for it any more")
        await self.store.release(B, FIXED, NOW + 2)
        self.assertIsInstance(await self.store.renew(own, LAN[100], HOUR, NOW + 3), Refusal)
        self.assertEqual(await self.offer(own, NOW + 3), FIXED)

    @awaited
    async def test_shared_link(self) -> None:
        """Of several networks on one link a machine has one address; when one is used up, it is of the next."""
        self.assertEqual(await self.offer(claim(A, SHARED)), LAN[100])
        await self.bind(claim(A, SHARED), LAN[100])
        self.assertEqual(await self.offer(claim(B, SHARED)), OTHER[100])
        await self.bind(claim(B, SHARED), OTHER[100])
        await self.store.release(A, LAN[100], NOW + 1)
        self.assertIsInstance(await self.bind(claim(B, SHARED), LAN[100], NOW + 2), Lease)
        self.assertEqual(await self.store.at(OTHER[100]), None, "freed with it")

    @awaited
    async def test_a_young_lease_is_reused(self) -> None:
        """Early in a lease nothing is written: the same lease, with the same end; later, or if it differs, it is."""
        first = await self.bind(claim(A), LAN[100])
        early = NOW + REUSE * HOUR - 1
        self.assertEqual(await self.bind(claim(A), LAN[100], early, REUSE), first)
        self.assertEqual(await self.store.renew(claim(A), LAN[100], HOUR, early, REUSE), first)
        self.assertEqual(await self.store.renew(claim(A), LAN[100], math.inf, early, REUSE), first)
        for what, who, time, now, reuse in (
            ("off", claim(A), HOUR, early, 0.0),
            ("another circuit", claim(A)._replace(circuit=b"port 1"), HOUR, early, REUSE),
            ("another client identifier", claim(A)._replace(client_id=b"\1\2"), HOUR, early, REUSE),
            ("another card", claim(A, hwaddr="02:bb"), HOUR, early, REUSE),
            ("leases are shorter now", claim(A), HOUR / 2, early, REUSE),
            ("another name", claim(A, hostname="node1"), HOUR, early, REUSE),
            ("late", claim(A, hostname="node1"), HOUR, NOW + REUSE * HOUR, REUSE),
        ):
            await self.store.release(A, LAN[100], NOW)
            first = await self.bind(claim(A), LAN[100])
            lease = await self.store.renew(who, LAN[100], time, now, reuse)
            assert isinstance(lease, Lease), what
            self.assertEqual((lease.renewed_at, lease.expires_at), (now, now + time), what)
            self.assertEqual((lease.hwaddr, lease.hostname), (who.hwaddr, who.hostname), what)
            self.assertEqual((lease.client_id, lease.circuit), (who.client_id, who.circuit), what)

    @awaited
    async def test_only_what_is_held_is_reused(self) -> None:
        """Another's lease, one that ended, one that left the pool or has to move is not returned."""
        await self.bind(claim(A), LAN[100])
        smaller = Pool((LAN,), ((LAN[101], LAN[103]),))
        self.assertIsInstance(await self.bind(claim(B), LAN[100], NOW + 1, REUSE), str)
        self.assertIsInstance(await self.bind(claim(A, smaller), LAN[100], NOW + 1, REUSE), str)
        self.assertIsInstance(await self.bind(claim(A, fixed=FIXED), LAN[100], NOW + 1, REUSE), str)
        again = await self.bind(claim(A), LAN[100], NOW + HOUR, 2.0)
        self.assertEqual(again, leased(LAN[100], A, State.BOUND, NOW + HOUR, NOW + 2 * HOUR))
        await self.store.decline(A, LAN[100], NOW + HOUR, 600.0)
        self.assertIsInstance(await self.bind(claim(A), LAN[100], NOW + HOUR, REUSE), str)

    @awaited
    async def test_abandon(self) -> None:
        """What a probe found in use rests; what was bound meanwhile, or is not on offer, is left alone."""
        self.assertEqual(await self.store.abandon(LAN[100], NOW, 600.0), None)
        await self.offer(claim(A))
        abandoned = await self.store.abandon(LAN[100], NOW + 1, 600.0)
        self.assertEqual(abandoned, leased(LAN[100], A, State.DECLINED, NOW + 1, NOW + 601))
        self.assertEqual(await self.offer(claim(A), NOW + 2), LAN[101])
        await self.bind(claim(A), LAN[101], NOW + 3)
        self.assertEqual(await self.store.abandon(LAN[101], NOW + 4, 600.0), None)
        self.assertEqual([lease.address for lease in await self.store.expire(NOW + 601)], [LAN[100]])

    @awaited
    async def test_adopt(self) -> None:
        """Leases of another server are taken over, unless something better is known here."""
        await self.bind(claim(A), LAN[100])
        await self.bind(claim(B), LAN[101])
        await self.store.release(B, LAN[101], NOW)
        await self.offer(claim(C))
        later = NOW + HOUR

        def one(address: IPv4Address, identity: str, state: State = State.BOUND, until: float = later) -> Lease:
            return leased(address, identity, state, NOW - 10, until, "name")

        for what, lease, taken in (
            ("bound here", one(LAN[100], "hw:e"), False),
            ("on offer here", one(LAN[103], "hw:e"), False),
            ("known here at another address", one(OTHER[1], A), False),
            ("an offer", one(OTHER[1], "hw:e", State.OFFERED), False),
            ("a quarantine that is over", one(OTHER[1], "hw:e", State.DECLINED, NOW - 1), False),
            ("remembered, where another is", one(LAN[101], "hw:e", State.RELEASED, NOW - 1), False),
            ("bound, where another is remembered", one(LAN[101], "hw:f"), True),
            ("a quarantine", one(OTHER[2], A, State.DECLINED), True),
            ("remembered", one(OTHER[3], "hw:g", State.RELEASED, NOW - 1), True),
            ("run out", one(OTHER[4], "hw:h", until=NOW - 1), True),
            ("for ever", one(OTHER[5], "hw:i", until=math.inf), True),
        ):
            self.assertEqual(await self.store.adopt([lease], NOW), taken, what)
            if taken:
                state = State.EXPIRED if what == "run out" else lease.state
                self.assertEqual(await self.store.at(lease.address), lease._replace(state=state), what)
        self.assertEqual(await self.store.find(B), None, "its address is another's now")

    @awaited
    async def test_adopt_many(self) -> None:
        """Of one machine the latest lease is taken; what no lease can be is an error, and nothing is taken."""
        older, newer = (leased(OTHER[n], A, State.BOUND, NOW, NOW + HOUR, renewed_at=NOW + n) for n in (1, 2))
        for bad in (older._replace(identity="é"), older._replace(hwaddr="\n"), older._replace(expires_at=math.nan)):
            with self.assertRaises(Malformed):
                await self.store.adopt([newer, bad], NOW)
        self.assertEqual(await self.store.list(), ())
        self.assertEqual(await self.store.adopt([older, newer], NOW), 1)
        self.assertEqual(await self.store.list(), (newer,))
        self.assertEqual(await self.offer(claim(A, Pool((OTHER,), ((OTHER[1], OTHER[9]),)))), OTHER[2])

    @awaited
    async def test_ceilings(self) -> None:
        """At one port, and behind one relay, only so many unknown machines are offered addresses at a time."""

        async def at(identity: str, port: str, relay: str = "r", now: float = NOW) -> IPv4Address | Cause:
            return await self.offer(Claim(identity, "", BIG, port=port, relay=relay), now)

        self.assertEqual([await at(identity, "1") for identity in (A, B, C)], [BIG_ONE, BIG_ONE + 1, Cause.CROWDED])
        self.assertEqual(await at(C, "2"), BIG_ONE + 2, "another port has room")
        self.assertEqual(await at(D, "3"), Cause.CROWDED, "the relay has not")
        self.assertEqual(await at(D, "3", "other"), BIG_ONE + 3)
        self.assertEqual(await at(A, "1", now=NOW + 1), BIG_ONE, "who has an offer gets it again")
        await self.bind(Claim(A, "", BIG), BIG_ONE)
        self.assertEqual(await at("hw:e", "1", now=NOW + 1), BIG_ONE + 4, "who takes its address makes room")
        self.assertEqual(await at("hw:f", "1", now=NOW + 1), Cause.CROWDED)
        await self.store.release(A, BIG_ONE, NOW + 2)
        self.assertEqual(await at(A, "1", now=NOW + 2), BIG_ONE, "who was known is served")
        own = Claim("hw:g", "", BIG, fixed=BIG_ONE + 100, port="1", relay="r")
        self.assertEqual(await self.offer(own, NOW + 2), BIG_ONE + 100, "and who has a reservation")
        self.assertEqual(await at("hw:f", "1", now=NOW + PATIENCE), BIG_ONE + 5, "the oldest gives way in the end")
        self.assertEqual(await self.store.find(B), None)
        self.assertIsInstance(await self.bind(Claim(B, "", BIG), BIG_ONE + 1, NOW + PATIENCE), Lease, "late, but free")

    @awaited
    async def test_ceilings_end_with_the_offers(self) -> None:
        """Offers that end, are withdrawn or declined make room."""
        crowd = [Claim(f"hw:{n}", "", BIG, port="1", relay="r") for n in range(8)]
        for n, ends in enumerate(
            (
                lambda: self.store.withdraw("hw:1", NOW),
                lambda: self.store.decline("hw:2", BIG_ONE + 2, NOW, 600.0),
                lambda: self.store.abandon(BIG_ONE + 3, NOW, 600.0),
            )
        ):
            self.assertIsInstance(await self.offer(crowd[0]), IPv4Address, str(n))
            self.assertIsInstance(await self.offer(crowd[n + 1], requested=BIG_ONE + n + 1), IPv4Address, str(n))
            self.assertEqual(await self.offer(crowd[7]), Cause.CROWDED, str(n))
            await ends()
        await self.offer(crowd[4])
        await self.store.expire(NOW + HOLD)
        self.assertEqual(
            [type(await self.offer(each, NOW + HOLD)) for each in crowd[4:7]], [IPv4Address, IPv4Address, Cause]
        )


BIG = Pool((OTHER_POOL.networks[0], POOL.networks[0]), ((OTHER[10], OTHER[99]),))
BIG_ONE = OTHER[10]
