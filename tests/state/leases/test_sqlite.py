"""The lease store in a SQLite file: what every store does, and what is promised is on disk."""

from __future__ import annotations

import os
import signal
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from pixelboot.leases.crowd import Ceilings
from pixelboot.leases.lease import Lease, State
from pixelboot.leases.seam import StoreFailed
from pixelboot.state.leases.outcomes import ClockSet, StoreRecovered
from pixelboot.state.leases.sqlite import SqliteLeases
from pixelboot.state.leases.wire import Row
from tests.leases.sites import SiteSuite
from tests.leases.suite import HOLD, HOUR, LAN, NOW, LeaseStoreSuite, awaited, claim
from tests.state.leases.store import StoreCase, reactor


class SqliteLeasesTests(LeaseStoreSuite, StoreCase):
    """`SqliteLeases` does what every store does, and the same is on disk."""

    @awaited
    async def setUp(self) -> None:  # type: ignore[override]
        """An empty one."""
        super().setUp()
        self.sqlite = self.store = await self.opened()

    @awaited
    async def tearDown(self) -> None:  # type: ignore[override]
        """Close it, and read the file."""
        listed = {lease.address: lease for lease in await self.store.list() if lease.state is not State.OFFERED}
        await self.sqlite.close()
        disk = self.on_disk()
        self.assertEqual({address: disk[address] for address in listed if address in disk}, listed)
        offered = {lease.address for lease in await self.store.list() if lease.state is State.OFFERED}
        self.assertLessEqual(set(disk) - set(listed), offered, "only what an offer lies over is more")
        self.assertEqual(self.reports.seen, [])


class SiteTests(SiteSuite, StoreCase):
    """`SqliteLeases`, and a whole site."""

    @awaited
    async def setUp(self) -> None:  # type: ignore[override]
        """An empty one."""
        super().setUp()
        self.store = await self.opened(Ceilings(per_port=2, per_relay=3))


class DurabilityTests(StoreCase):
    """What is promised is kept."""

    @awaited
    async def test_restart(self) -> None:
        """A store that is opened again knows everything but offers."""
        store = await self.opened()
        await store.bind(claim("hw:a", hostname="né"), LAN[100], HOUR, NOW)
        await store.bind(claim("hw:b", hwaddr="02:bb"), LAN[101], float("inf"), NOW)
        await store.decline("hw:b", LAN[101], NOW, 600.0)
        await store.offer(claim("hw:c", hwaddr="02:cc"), None, NOW, HOLD)
        await store.release("hw:a", LAN[100], NOW + 5)
        before = {lease.address: lease for lease in await store.list() if lease.state is not State.OFFERED}
        self.assertEqual(len(before), 2)
        await store.close()
        again = await self.opened()
        self.assertEqual({lease.address: lease for lease in await again.list()}, before)
        offer = await again.offer(claim("hw:a"), None, NOW + 6, HOLD)
        assert isinstance(offer, Lease)
        self.assertEqual(offer.address, LAN[100])

    @awaited
    async def test_clock_is_set(self) -> None:
        """It is said, once."""
        steady = [0.0]
        store = await SqliteLeases.open(reactor, self.path, self.reports, monotonic=lambda: steady[0])
        self.addCleanup(store.close)
        for ahead in (0.0, 0.0, -3600.0, -3600.0):
            steady[0] += 1.0
            await store.expire(NOW + steady[0] + ahead)
        self.assertEqual(self.reports.seen, [ClockSet(-3600.0)])

    @awaited
    async def test_nothing_is_promised_before_it_is_on_disk(self) -> None:
        """While the helper cannot run, no lease is granted; what costs no write is answered."""
        store = await self.opened()
        assert store.helper_pid is not None
        os.kill(store.helper_pid, signal.SIGSTOP)
        binding = Deferred.fromCoroutine(store.bind(claim("hw:a"), LAN[100], HOUR, NOW))
        offer = await store.offer(claim("hw:b", hwaddr="02:bb"), None, NOW, HOLD)
        assert isinstance(offer, Lease)
        self.assertEqual(offer.address, LAN[101])
        await self.turn()
        self.assertNoResult(binding)
        os.kill(store.helper_pid, signal.SIGCONT)
        self.assertIsInstance(await binding, Lease)

    @awaited
    async def test_reuse_waits_for_the_disk(self) -> None:
        """A lease that is returned as it is, is on disk as well: a REQUEST that is repeated overtakes no commit."""
        store = await self.opened()
        assert store.helper_pid is not None
        os.kill(store.helper_pid, signal.SIGSTOP)
        asked: list[Deferred[Any]] = []
        asked += [Deferred.fromCoroutine(store.bind(claim("hw:a"), LAN[100], HOUR, NOW, 0.5)) for _ in range(2)]
        await self.turn()
        asked += [Deferred.fromCoroutine(store.renew(claim("hw:a"), LAN[100], HOUR, NOW, 0.5))]
        await self.turn()
        for binding in asked:
            self.assertNoResult(binding)
        os.kill(store.helper_pid, signal.SIGCONT)
        leases = [await binding for binding in asked]
        self.assertEqual(leases, [leases[0]] * 3)
        size = os.stat(self.path + "-wal").st_size
        self.successResultOf(Deferred.fromCoroutine(store.renew(claim("hw:a"), LAN[100], HOUR, NOW + 1, 0.5)))
        await self.turn()
        self.assertEqual(os.stat(self.path + "-wal").st_size, size, "nothing is written")
        os.kill(store.helper_pid, signal.SIGKILL)
        self.successResultOf(Deferred.fromCoroutine(store.renew(claim("hw:a"), LAN[100], HOUR, NOW + 2, 0.5)))
        await self.reports.next(StoreRecovered)
        self.reports.seen.clear()

    @awaited
    async def test_takes_over(self) -> None:
        """A server that starts while the last one is still ending waits for it, and reads what it wrote."""
        store = await self.opened()
        await store.bind(claim("hw:a"), LAN[100], HOUR, NOW)
        opening = SqliteLeases.open(reactor, self.path, self.reports)
        last = Deferred.fromCoroutine(store.bind(claim("hw:b", hwaddr="02:bb"), LAN[101], HOUR, NOW))
        closing_ = store.close()
        again = await opening
        self.addCleanup(again.close)
        await last
        await closing_
        self.assertEqual(len(await again.list()), 2)

    @awaited
    async def test_close(self) -> None:
        """What nobody waited for is written; afterwards nothing is promised, and closing again is no error."""
        store = await self.opened()
        lease = await store.bind(claim("hw:a"), LAN[100], HOUR, NOW)
        assert isinstance(lease, Lease)
        late = Deferred.fromCoroutine(store.bind(claim("hw:b", hwaddr="02:bb"), LAN[101], HOUR, NOW))
        await store.release("hw:a", LAN[100], NOW + 1)
        pid = store.helper_pid
        both = store.close(), store.close()
        with self.assertRaisesRegex(StoreFailed, "closed"):
            await store.bind(claim("hw:c", hwaddr="02:cc"), LAN[103], HOUR, NOW)
        for closed in (*both, store.close()):
            await closed
        self.assertIsInstance(await late, Lease)
        assert pid is not None
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)
        disk = self.on_disk()
        self.assertEqual(
            {str(a): lease.state for a, lease in disk.items()}, {"10.77.0.100": "released", "10.77.0.101": "bound"}
        )
        self.assertEqual(self.reports.seen, [])

    @awaited
    async def test_cancelled(self) -> None:
        """Opening can be given up; the helper ends, and the file is free."""
        opening = SqliteLeases.open(reactor, self.path, self.reports)
        opening.cancel()
        try:
            await opening
        except CancelledError:
            pass
        else:
            self.fail("it opened")
        await self.opened()

    @awaited
    async def test_many_leases(self) -> None:
        """A big file is read in parts, and all of it."""
        rows: list[Row] = [
            (n, f"hw:01:02:aa:00:{n:08x}", f"02:aa:00:{n:08x}", "bound", NOW, NOW + n, f"node{n}", NOW, b"", b"")
            for n in range(2_500)
        ]
        self.with_rows(rows)
        store = await self.opened()
        leases = await store.list()
        self.assertEqual(sorted(int(lease.address) for lease in leases), list(range(2_500)))
        self.assertEqual(len(await store.expire(NOW + 1000)), 1001)
        await store.close()
        self.assertEqual(sum(lease.state is State.EXPIRED for lease in self.on_disk().values()), 1001)
