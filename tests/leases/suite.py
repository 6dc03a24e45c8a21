"""What every lease store must do: one suite for all of them.

A store's tests derive from `LeaseStoreSuite` and `twisted.trial.unittest.TestCase` and say how to open it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from pixelboot.leases.lease import Cause, Claim, Lease, Pool, Refusal, State
from pixelboot.leases.seam import LeaseStore
from pixelboot.malformed import Malformed

if TYPE_CHECKING:
    _Base = TestCase
else:
    _Base = object

LAN = IPv4Network("10.77.0.0/24")
POOL = Pool((LAN,), ((LAN[100], LAN[103]),), frozenset({LAN[102]}))
OTHER = IPv4Network("10.88.0.0/24")
OTHER_POOL = Pool((OTHER,), ((OTHER[100], OTHER[103]),))
A, B, C, D = ("hw:01:0a", "hw:01:0b", "id:ff:0c", "hw:01:0d")
NOW = 1_700_000_000.0
HOLD = 60.0
HOUR = 3600.0


def claim(
    identity: str, pool: Pool = POOL, hwaddr: str = "02:aa", hostname: str = "", fixed: IPv4Address | None = None
) -> Claim:
    """Who asks."""
    return Claim(identity, hwaddr, pool, fixed, hostname)


def leased(
    address: IPv4Address,
    identity: str,
    state: State,
    started_at: float,
    expires_at: float,
    hostname: str = "",
    hwaddr: str = "02:aa",
    renewed_at: float | None = None,
) -> Lease:
    """A lease that was given at its start, unless this says otherwise."""
    renewed_at = started_at if renewed_at is None else renewed_at
    return Lease(address, identity, hwaddr, state, started_at, expires_at, hostname, renewed_at)


def awaited(test: Callable[[Any], Coroutine[Any, Any, None]]) -> Callable[[Any], Deferred[None]]:
    """A test written as a coroutine, as trial and pytest want it."""

    def run(self: object) -> Deferred[None]:
        return Deferred.fromCoroutine(test(self))

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


class LeaseStoreSuite(_Base):
    """The tests; `self.store` is what is tested."""

    store: LeaseStore

    async def offered(self, identity: str, now: float = NOW, requested: IPv4Address | None = None) -> IPv4Address:
        """What a DISCOVER gets in `POOL`."""
        lease = await self.store.offer(claim(identity), requested, now, HOLD)
        assert isinstance(lease, Lease), f"{identity} was offered nothing: {lease}"
        self.assertEqual(lease.identity, identity)
        return lease.address

    async def bound(self, identity: str, address: IPv4Address, now: float = NOW, time: float = HOUR) -> Lease:
        """A lease in `POOL`, which must be granted."""
        lease = await self.store.bind(claim(identity), address, time, now)
        assert isinstance(lease, Lease), lease
        return lease

    async def used_up(self, identity: str, now: float, counts: str) -> None:
        """There is nothing to offer in `POOL`; the reason says what it is used for."""
        result = await self.store.offer(claim(identity), None, now, HOLD)
        assert isinstance(result, Refusal), result
        self.assertEqual(result.cause, Cause.EXHAUSTED)
        self.assertEqual(result.reason, f"all 3 addresses of 10.77.0.0/24 are used up: {counts}")

    async def refused(self, identity: str, address: IPv4Address, now: float, why: str) -> None:
        """A lease in `POOL` is refused, and the reason says `why` of which address."""
        result = await self.store.bind(claim(identity), address, HOUR, now)
        assert isinstance(result, Refusal), result
        self.assertIn(why, result.reason)
        self.assertIn(str(address), result.reason)

    @awaited
    async def test_from_discover_to_ack(self) -> None:
        """RFC 2131 §3.1: what is offered is leased, and every value is what was asked for."""
        offer = await self.store.offer(claim(A), None, NOW, HOLD)
        self.assertEqual(offer, leased(LAN[100], A, State.OFFERED, NOW, NOW + HOLD))
        self.assertEqual(await self.store.find(A), offer)
        lease = await self.store.bind(claim(A, hwaddr="02:bb", hostname="node1"), LAN[100], HOUR, NOW + 1)
        self.assertEqual(lease, leased(LAN[100], A, State.BOUND, NOW + 1, NOW + 1 + HOUR, "node1", "02:bb"))
        self.assertEqual(await self.store.find(A), lease)
        self.assertEqual(await self.store.at(LAN[100]), lease)
        self.assertEqual(list(await self.store.list()), [lease])

    @awaited
    async def test_offers_repeat(self) -> None:
        """A repeated DISCOVER gets the same address, held longer; never shorter (RFC 2131 §3.1)."""
        first = await self.offered(A)
        self.assertEqual(await self.offered(B), LAN[101])
        again = await self.store.offer(claim(A), LAN[103], NOW + 4, HOLD)
        assert isinstance(again, Lease)
        self.assertEqual(again, leased(first, A, State.OFFERED, NOW, NOW + 4 + HOLD, renewed_at=NOW + 4))
        shorter = await self.store.offer(claim(A), None, NOW + 5, 1.0)
        self.assertEqual(shorter, again._replace(renewed_at=NOW + 5))
        self.assertEqual([ended.identity for ended in await self.store.expire(NOW + HOLD)], [B])
        self.assertEqual([ended.identity for ended in await self.store.expire(NOW + 4 + HOLD)], [A])

    @awaited
    async def test_offer_prefers(self) -> None:
        """RFC 2131 §4.3.1, D15, D16: the present address, the previous one, the requested one, one that is free."""
        bound = await self.bound(A, LAN[103])
        self.assertEqual(await self.store.offer(claim(A), LAN[100], NOW + 10, 1.0), bound)
        await self.store.release(A, LAN[103], NOW + 20)
        self.assertEqual(await self.offered(B, NOW + 21, LAN[101]), LAN[101], "the requested one")
        self.assertEqual(await self.offered(A, NOW + 22, LAN[100]), LAN[103], "the previous one")
        self.assertEqual(await self.offered(C, NOW + 23, LAN[103]), LAN[100], "the requested one is taken")
        await self.used_up(D, NOW + 24, "0 leased, 3 offered, 0 in quarantine")

    @awaited
    async def test_what_is_remembered_comes_last(self) -> None:
        """Who is new gets what somebody had only when there is nothing else, though it asks for it (D33)."""
        await self.bound(A, LAN[103])
        await self.store.release(A, LAN[103], NOW + 1)
        await self.bound(B, LAN[101], NOW + 1)
        await self.store.release(B, LAN[101], NOW + 2)
        self.assertEqual(await self.offered(C, NOW + 2, LAN[103]), LAN[100], "nobody had it")
        self.assertEqual(await self.offered(D, NOW + 3, LAN[101]), LAN[101], "now it is as good as any other")
        self.assertEqual(await self.offered("hw:e", NOW + 4), LAN[103])

    @awaited
    async def test_who_had_it_comes_first(self) -> None:
        """An offer to who is new gives way to who had the address, but only when nothing else is left (D18)."""
        for identity, address in ((A, LAN[100]), (B, LAN[101]), (C, LAN[103])):
            await self.bound(identity, address)
            await self.store.release(identity, address, NOW + 1)
        self.assertEqual(await self.offered("hw:new", NOW + 2, LAN[103]), LAN[103])
        self.assertEqual(await self.offered(C, NOW + 3), LAN[100], "another one is left")
        await self.bound(C, LAN[100], NOW + 3)
        self.assertEqual(await self.offered("hw:newer", NOW + 4), LAN[101])
        await self.used_up(A, NOW + 5, "1 leased, 2 offered, 0 in quarantine")
        self.assertEqual(await self.offered(B, NOW + 5), LAN[101], "it had that")
        await self.refused("hw:newer", LAN[101], NOW + 6, "offered to another")

    @awaited
    async def test_requests_that_cannot_be(self) -> None:
        """A requested address outside the pool, or reserved, is no wish at all."""
        for address in (LAN[99], LAN[102], OTHER[100], IPv4Address("0.0.0.0"), IPv4Address("255.255.255.255")):
            self.assertEqual(await self.offered(A, NOW, address), LAN[100], str(address))

    @awaited
    async def test_free_addresses_in_order(self) -> None:
        """An address that nobody had comes first, then the one that has been free the longest."""
        await self.bound(A, LAN[100])
        await self.bound(B, LAN[101], NOW, 100.0)
        await self.store.release(A, LAN[100], NOW + 50)
        await self.store.expire(NOW + 150)
        self.assertEqual(await self.offered(C, NOW + 150), LAN[103], "nobody had it")
        self.assertEqual(await self.offered(D, NOW + 151), LAN[100], "free since 50")
        self.assertEqual(await self.offered("hw:e", NOW + 152), LAN[101], "free since 100")
        await self.used_up("hw:f", NOW + 153, "0 leased, 3 offered, 0 in quarantine")
        # An offer that nobody took leaves what is known of its address as it was.
        await self.store.expire(NOW + 300)
        before = await self.store.find(A)
        assert before is not None
        self.assertEqual((before.address, before.state, before.expires_at), (LAN[100], State.RELEASED, NOW + 50))
        self.assertEqual(await self.offered(A, NOW + 301), LAN[100])

    @awaited
    async def test_bind_refuses(self) -> None:
        """What is offered or leased to another, in quarantine, reserved or outside the pool is refused."""
        await self.offered(A)
        await self.refused(B, LAN[100], NOW + 1, "offered to another")
        await self.bound(A, LAN[100], NOW + 2)
        await self.refused(B, LAN[100], NOW + 3, "held by another")
        await self.store.decline(A, LAN[100], NOW + 4, 600.0)
        await self.refused(A, LAN[100], NOW + 5, "quarantine")
        await self.refused(B, LAN[100], NOW + 5, "quarantine")
        await self.refused(A, LAN[102], NOW + 6, "not in the pool")
        await self.refused(A, OTHER[100], NOW + 6, "not in the pool")
        self.assertEqual(await self.store.find(B), None)

    @awaited
    async def test_bind_without_offer(self) -> None:
        """A free address is granted to who asks: the server may have forgotten its offer in a restart."""
        self.assertEqual((await self.bound(A, LAN[101])).started_at, NOW)
        await self.store.release(A, LAN[101], NOW + 1)
        await self.bound(B, LAN[101], NOW + 2)
        self.assertEqual(await self.store.find(A), None, "the address is another's now")

    @awaited
    async def test_one_address_of_a_network(self) -> None:
        """Who is given another address loses the first one, and its offer; what it has elsewhere stays."""
        await self.store.bind(claim(A, OTHER_POOL), OTHER[100], HOUR, NOW)
        await self.bound(A, LAN[100])
        await self.bound(A, LAN[101], NOW + 1)
        self.assertEqual(await self.store.at(LAN[100]), None)
        await self.store.release(A, LAN[101], NOW + 2)
        self.assertEqual(await self.offered(A, NOW + 3), LAN[101])
        await self.bound(A, LAN[103], NOW + 4)
        self.assertEqual({lease.address for lease in await self.store.list()}, {OTHER[100], LAN[103]})

    @awaited
    async def test_for_ever(self) -> None:
        """An infinite lease does not end, and can be made finite."""
        lease = await self.bound(A, LAN[100], NOW, math.inf)
        self.assertEqual(lease.expires_at, math.inf)
        self.assertEqual(list(await self.store.expire(NOW * 2)), [])
        await self.store.renew(claim(A), LAN[100], 60.0, NOW)
        self.assertEqual([ended.state for ended in await self.store.expire(NOW + 60)], [State.EXPIRED])

    @awaited
    async def test_renew(self) -> None:
        """RFC 2131 §4.3.2: the holder goes on, a stranger meets silence, who is wrong is told so."""

        async def renew(identity: str, address: IPv4Address, now: float) -> Lease | Refusal | None:
            return await self.store.renew(claim(identity, hwaddr="02:ab"), address, HOUR, now)

        self.assertEqual(await renew(A, LAN[100], NOW), None, "unknown")
        await self.store.bind(claim(A, hwaddr="02:aa", hostname="node1"), LAN[100], HOUR, NOW)
        renewed = leased(LAN[100], A, State.BOUND, NOW, NOW + 10 + HOUR, "node1", "02:ab", NOW + 10)
        self.assertEqual(await renew(A, LAN[100], NOW + 10), renewed, "bound: the start and the name stay")
        self.assertIsInstance(await renew(A, LAN[101], NOW + 11), Refusal, "another address")
        self.assertIsInstance(await renew(A, OTHER[100], NOW + 11), Refusal, "another network")
        self.assertEqual(await renew(B, LAN[100], NOW + 11), None, "another's address, asked for by a stranger")
        await self.store.release(A, LAN[100], NOW + 20)
        self.assertIsInstance(await renew(A, LAN[100], NOW + 21), Lease, "released, and still free")
        ended = NOW + 22 + HOUR
        await self.store.expire(ended)
        self.assertEqual([await self.offered(each, ended) for each in (C, D, B)], [LAN[101], LAN[103], LAN[100]])
        self.assertIsInstance(await renew(A, LAN[100], ended), Refusal, "ended, and offered to another")
        self.assertIsInstance(await renew(B, LAN[100], ended), Lease, "offered to it")
        self.assertEqual(await renew(A, LAN[100], ended + 1), None, "another's now, so nothing is known")

    @awaited
    async def test_renew_outside_the_pool(self) -> None:
        """A lease whose address has left the pool is refused, so that the machine asks for another."""
        await self.bound(A, LAN[100])
        smaller = Pool((LAN,), ((LAN[101], LAN[103]),))
        self.assertIsInstance(await self.store.renew(claim(A, smaller), LAN[100], HOUR, NOW + 1), Refusal)
        offer = await self.store.offer(claim(A, smaller), None, NOW + 1, HOLD)
        assert isinstance(offer, Lease)
        self.assertEqual(offer.address, LAN[101])
        await self.store.bind(claim(A, smaller), LAN[101], HOUR, NOW + 2)
        self.assertEqual(await self.store.at(LAN[100]), None)

    @awaited
    async def test_release(self) -> None:
        """Only the holder can release, and only what is bound (a spoofed RELEASE is ignored)."""
        await self.offered(A)
        self.assertEqual(await self.store.release(A, LAN[100], NOW), None, "only offered")
        await self.bound(A, LAN[100])
        self.assertEqual(await self.store.release(B, LAN[100], NOW + 1), None, "another's")
        self.assertEqual(await self.store.release(A, LAN[101], NOW + 1), None, "another address")
        released = leased(LAN[100], A, State.RELEASED, NOW, NOW + 2)
        self.assertEqual(await self.store.release(A, LAN[100], NOW + 2), released)
        self.assertEqual(await self.store.release(A, LAN[100], NOW + 3), None, "released already")
        self.assertEqual(await self.store.find(A), released)
        await self.bound(B, LAN[100], NOW + 4)

    @awaited
    async def test_decline(self) -> None:
        """RFC 2131 §4.3.3: nobody gets the address until the quarantine ends, its holder gets another one."""
        await self.offered(A)
        self.assertEqual(await self.store.decline(B, LAN[100], NOW, 600.0), None, "another's")
        self.assertEqual(await self.store.decline(A, LAN[101], NOW, 600.0), None, "another address")
        declined = leased(LAN[100], A, State.DECLINED, NOW + 1, NOW + 601)
        self.assertEqual(await self.store.decline(A, LAN[100], NOW + 1, 600.0), declined, "offered")
        self.assertEqual(await self.store.decline(A, LAN[100], NOW + 2, 900.0), None, "declined already")
        self.assertEqual(await self.store.find(A), None)
        self.assertEqual(await self.offered(A, NOW + 3, LAN[100]), LAN[101])
        await self.bound(A, LAN[101], NOW + 4)
        self.assertIsInstance(await self.store.decline(A, LAN[101], NOW + 5, 600.0), Lease, "bound")
        self.assertEqual(await self.offered(A, NOW + 6), LAN[103])
        await self.bound(A, LAN[103], NOW + 7)
        await self.used_up(B, NOW + 600, "1 leased, 0 offered, 2 in quarantine")
        self.assertEqual(await self.offered(B, NOW + 601), LAN[100], "over")

    @awaited
    async def test_readmit(self) -> None:
        """A quarantine ends when the operator says so: anybody gets the address, and nobody had it."""
        await self.bound(A, LAN[100])
        self.assertEqual(await self.store.readmit(LAN[100], NOW), None, "bound")
        self.assertEqual(await self.store.readmit(LAN[101], NOW), None, "nothing is known of it")
        declined = await self.store.decline(A, LAN[100], NOW + 1, 600.0)
        self.assertIsNotNone(declined)
        self.assertEqual(await self.store.readmit(LAN[100], NOW + 2), declined)
        self.assertEqual(await self.store.list(), ())
        self.assertEqual(await self.store.readmit(LAN[100], NOW + 3), None, "it is in the pool already")
        await self.bound(B, LAN[100], NOW + 4, 10 * HOUR)
        self.assertEqual(await self.store.expire(NOW + 601), (), "what has ended is no news")
        await self.offered(A, NOW + 602)
        await self.store.decline(A, LAN[101], NOW + 602, 600.0)
        self.assertEqual(await self.store.readmit(LAN[101], NOW + 1202), None, "it was over")

    @awaited
    async def test_withdraw(self) -> None:
        """What was offered to who chose another server is free; what it is bound to stays."""
        self.assertEqual(await self.store.withdraw(A, NOW), None)
        await self.offered(A)
        withdrawn = await self.store.withdraw(A, NOW + 1)
        self.assertEqual(withdrawn and withdrawn.address, LAN[100])
        self.assertEqual(await self.store.list(), ())
        await self.bound(A, LAN[100], NOW + 2)
        self.assertEqual(await self.store.withdraw(A, NOW + 3), None)
        self.assertIsNotNone(await self.store.at(LAN[100]))

    @awaited
    async def test_expire(self) -> None:
        """Offers, leases and quarantines end at their instant, and are told once, whoever looks first."""
        await self.offered(A)
        await self.bound(B, LAN[101], NOW, 100.0)
        await self.bound(C, LAN[103])
        await self.store.decline(C, LAN[103], NOW, 200.0)
        for now, expected in (
            (NOW + HOLD - 1, []),
            (NOW + HOLD, [(LAN[100], State.OFFERED)]),
            (NOW + HOLD + 1, []),
            (NOW + 250, [(LAN[101], State.EXPIRED), (LAN[103], State.DECLINED)]),
            (NOW + 300, []),
        ):
            if now == NOW + 250:
                self.assertEqual(await self.offered(D, now - 1, LAN[103]), LAN[103], "free before anybody said so")
            ended = await self.store.expire(now)
            self.assertEqual([(lease.address, lease.state) for lease in ended], expected, str(now - NOW))

    @awaited
    async def test_a_clock_set_back(self) -> None:
        """A lease that ended is not alive again when the clock is set back, and nothing else is lost."""
        await self.bound(A, LAN[100], NOW, 100.0)
        await self.bound(B, LAN[101], NOW)
        await self.store.expire(NOW + 200)
        ended = await self.store.find(A)
        self.assertEqual(ended and ended.state, State.EXPIRED)
        self.assertEqual(await self.offered(C, NOW - 5000), LAN[103])
        self.assertIsInstance(await self.store.renew(claim(A), LAN[100], 100.0, NOW - 5000), Lease)
        await self.refused(C, LAN[101], NOW - 5000, "held by another")

    @awaited
    async def test_hostile_text(self) -> None:
        """A host name may be anything; an identity is ours, and what cannot be one is an error that costs nothing."""
        for hostname in ("x" * 10_000, "\0\n\x1b[2J", "\ud800\udfff", "\u202e" * 300, "né✓", "'; DROP TABLE lease; --"):
            lease = await self.store.bind(claim(A, hostname=hostname), LAN[100], HOUR, NOW)
            assert isinstance(lease, Lease), hostname
            self.assertTrue(lease.hostname and lease.hostname.isprintable() and len(lease.hostname) <= 255, hostname)
        for identity in ("", "i" * 1025, "\n", "é"):
            with self.assertRaises(Malformed, msg=identity):
                await self.store.offer(claim(identity), None, NOW, HOLD)
        self.assertEqual(await self.offered(B), LAN[101])
        self.assertEqual(await self.offered(C), LAN[103])
