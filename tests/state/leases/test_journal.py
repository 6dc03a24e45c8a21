"""The server's side of the helper: real helpers that are killed, stopped, and made to fail."""

from __future__ import annotations

import os
import resource
import signal
from typing import cast

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from pixelboot.leases.lease import Lease, State
from pixelboot.leases.seam import StoreFailed
from pixelboot.state.leases import journal
from pixelboot.state.leases.outcomes import StoreLost, StoreRecovered, StoreUnsaved
from tests.leases.suite import HOUR, LAN, NOW, OTHER, OTHER_POOL, awaited, claim
from tests.state.leases.store import StoreCase


class JournalTests(StoreCase):
    """`Journal`, under the store it is made for."""

    @awaited
    async def test_helper_is_killed(self) -> None:
        """Who waits is told, another helper starts, and memory and disk agree in the end."""
        store = await self.opened()
        await store.bind(claim("hw:early"), LAN[100], HOUR, NOW)
        first = store.helper_pid
        assert first is not None
        lost, recovered = self.reports.next(StoreLost), self.reports.next(StoreRecovered)
        asked = await self.bind_many(store, 4)
        self.assertEqual(len(asked), 4)
        os.kill(first, signal.SIGKILL)
        for success, result in await DeferredList(asked, consumeErrors=True):
            if not success:
                self.assertIsInstance(cast(Failure, result).value, StoreFailed)
        self.assertIn("killed by signal 9", (await lost).summary())
        self.assertRegex(store.trouble, f"^for 0 s: {self.path}: the helper process .*killed by signal 9")
        # There is no helper now.
        with self.assertRaisesRegex(StoreFailed, "killed by signal 9"):
            await store.bind(claim("hw:late"), LAN[101], HOUR, NOW)
        self.assertIsNone(await store.at(LAN[101]), "what failed at once has not happened")
        with self.assertRaises(StoreFailed):
            await store.decline("hw:early", LAN[100], NOW, 600.0)
        self.assertIsNotNone(await store.release("hw:0", (await self.address(store, "hw:0")), NOW + 1))
        self.assertRegex((await recovered).summary(), "killed by signal 9.*: .* holds every one")
        self.assertEqual(store.trouble, "")
        self.assertNotEqual(store.helper_pid, first)
        self.assertIsInstance(await store.bind(claim("hw:late"), LAN[101], HOUR, NOW), Lease)
        memory = {lease.address: lease for lease in await store.list()}
        self.assertEqual(memory[LAN[100]].state, State.DECLINED)
        self.assertEqual(len(memory), 6)
        await store.close()
        self.assertEqual(self.on_disk(), memory)

    @awaited
    async def test_disk_fails(self) -> None:
        """A file that cannot grow: no lease is promised, it is said, and it heals without anybody's help."""
        store = await self.opened()
        await store.bind(claim("hw:a"), LAN[100], HOUR, NOW)
        assert store.helper_pid is not None
        size = os.stat(self.path + "-wal").st_size
        resource.prlimit(store.helper_pid, resource.RLIMIT_FSIZE, (size, size))
        lost, recovered = self.reports.next(StoreLost), self.reports.next(StoreRecovered)
        asked = await self.bind_many(store, 4)
        for success, result in await DeferredList(asked, consumeErrors=True):
            self.assertFalse(success)
            self.assertIsInstance(cast(Failure, result).value, StoreFailed)
            self.assertIn("disk I/O error", str(cast(Failure, result).value))
        with self.assertRaises(StoreFailed):
            await store.renew(claim("hw:a"), LAN[100], HOUR, NOW + 1)
        await lost
        self.assertIn("disk I/O error", store.trouble)
        self.assertIn("disk I/O error", (await recovered).summary())
        self.assertEqual(store.trouble, "")
        # The machines ask again, and get what they were going to get.
        for n in range(4):
            lease = await store.bind(claim(f"hw:{n}", OTHER_POOL), OTHER[100 + n], HOUR, NOW + 2)
            self.assertIsInstance(lease, Lease, str(n))
        memory = {lease.address: lease for lease in await store.list()}
        await store.close()
        self.assertEqual(self.on_disk(), memory)

    @awaited
    async def test_helper_hangs(self) -> None:
        """A helper that does not get on is replaced, and who waited is told."""
        self.patch(journal, "PATIENCE", 0.2)
        store = await self.opened()
        assert store.helper_pid is not None
        os.kill(store.helper_pid, signal.SIGSTOP)
        recovered = self.reports.next(StoreRecovered)
        with self.assertRaisesRegex(StoreFailed, "nothing was written"):
            await store.bind(claim("hw:a"), LAN[100], HOUR, NOW)
        await recovered
        self.assertIsInstance(await store.bind(claim("hw:a"), LAN[100], HOUR, NOW), Lease)

    @awaited
    async def test_helper_is_slow(self) -> None:
        """Who asks is told that nothing is written before the helper is given up."""
        self.patch(journal, "SLOW", 0.0)
        store = await self.opened()
        assert store.helper_pid is not None
        os.kill(store.helper_pid, signal.SIGSTOP)
        self.assertEqual(store.trouble, "", "nobody has asked for anything")
        binding = Deferred.fromCoroutine(store.bind(claim("hw:a"), LAN[100], HOUR, NOW))
        await self.turn()
        self.assertEqual(store.trouble, f"for 0 s: {self.path}: nothing is written")
        os.kill(store.helper_pid, signal.SIGCONT)
        await binding
        self.assertEqual((store.trouble, self.reports.seen), ("", []))

    @awaited
    async def test_the_last_word_counts(self) -> None:
        """A change that was sent and lost does not come back over a later one that was still to be sent."""
        store = await self.opened()
        assert store.helper_pid is not None
        os.kill(store.helper_pid, signal.SIGSTOP)
        binding = Deferred.fromCoroutine(store.bind(claim("hw:a"), LAN[100], HOUR, NOW))
        await self.turn()
        recovered = self.reports.next(StoreRecovered)
        released = await store.release("hw:a", LAN[100], NOW + 1)
        # The same turn of the reactor brings the news that the helper could not write.
        store._journal._heard(b"F", b"the disk is gone")
        self.failureResultOf(binding, StoreFailed)
        await recovered
        await store.close()
        self.assertEqual(self.on_disk(), {LAN[100]: released})

    @awaited
    async def test_too_much_at_once(self) -> None:
        """What waits is bounded."""
        self.patch(journal, "WAITING_LIMIT", 1)
        store = await self.opened()
        first = Deferred.fromCoroutine(store.bind(claim("hw:a"), LAN[100], HOUR, NOW))
        with self.assertRaisesRegex(StoreFailed, "1 changes wait"):
            await store.bind(claim("hw:b", hwaddr="02:bb"), LAN[101], HOUR, NOW)
        self.assertIsInstance(await first, Lease)
        self.assertIsInstance(await store.bind(claim("hw:b", hwaddr="02:bb"), LAN[101], HOUR, NOW), Lease)

    @awaited
    async def test_close_of_a_hanging_helper(self) -> None:
        """It is killed in the end, and what is not on disk was not promised."""
        self.patch(journal, "CLOSE_PATIENCE", 0.1)
        self.patch(journal, "PATIENCE", 1000.0)
        store = await self.opened()
        assert store.helper_pid is not None
        os.kill(store.helper_pid, signal.SIGSTOP)
        binding = Deferred.fromCoroutine(store.bind(claim("hw:a"), LAN[100], HOUR, NOW))
        await store.close()
        self.failureResultOf(binding, StoreFailed)
        self.assertEqual(self.on_disk(), {})
        self.assertEqual(self.reports.kinds(), {StoreUnsaved})
