"""The server's side of the helper: real helpers that are killed, stopped, and made to fail."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import cast

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from pixelboot.leases.lease import Lease, State
from pixelboot.leases.seam import StoreFailed
from pixelboot.state import journal
from pixelboot.state.database import Database
from pixelboot.state.outcomes import StoreComplaint, StoreLost, StoreRecovered, StoreUnsaved
from pixelboot.state.wire import row_of
from tests.leases.suite import HOUR, LAN, NOW, OTHER, OTHER_POOL, POOL, awaited
from tests.state.store import StoreCase


class JournalTests(StoreCase):
    """`Journal`, under the store it is made for."""

    @awaited
    async def test_helper_is_killed(self) -> None:
        """Who waits is told, another helper starts, and memory and disk agree in the end."""
        store = await self.opened()
        await store.bind("hw:early", "02:aa", POOL, LAN[100], HOUR, NOW)
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
        # There is no helper now.
        with self.assertRaisesRegex(StoreFailed, "killed by signal 9"):
            await store.bind("hw:late", "02:aa", POOL, LAN[101], HOUR, NOW)
        self.assertIsNone(await store.at(LAN[101]), "what failed at once has not happened")
        with self.assertRaises(StoreFailed):
            await store.decline("hw:early", LAN[100], NOW, 600.0)
        self.assertIsNotNone(await store.release("hw:0", (await self.address(store, "hw:0")), NOW + 1))
        await recovered
        self.assertNotEqual(store.helper_pid, first)
        self.assertIsInstance(await store.bind("hw:late", "02:aa", POOL, LAN[101], HOUR, NOW), Lease)
        memory = {lease.address: lease for lease in await store.list()}
        self.assertEqual(memory[LAN[100]].state, State.DECLINED)
        self.assertEqual(len(memory), 6)
        await store.close()
        self.assertEqual(self.on_disk(), memory)

    @awaited
    async def test_disk_fails(self) -> None:
        """A file that cannot grow: no lease is promised, it is said, and it heals without anybody's help."""
        store = await self.opened()
        await store.bind("hw:a", "02:aa", POOL, LAN[100], HOUR, NOW)
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
            await store.renew("hw:a", POOL, LAN[100], HOUR, NOW + 1, "02:aa")
        await lost
        await recovered
        # The machines ask again, and get what they were going to get.
        for n in range(4):
            lease = await store.bind(f"hw:{n}", "02:aa", OTHER_POOL, OTHER[100 + n], HOUR, NOW + 2)
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
            await store.bind("hw:a", "02:aa", POOL, LAN[100], HOUR, NOW)
        await recovered
        self.assertIsInstance(await store.bind("hw:a", "02:aa", POOL, LAN[100], HOUR, NOW), Lease)

    @awaited
    async def test_the_last_word_counts(self) -> None:
        """A change that was sent and lost does not come back over a later one that was still to be sent."""
        store = await self.opened()
        assert store.helper_pid is not None
        os.kill(store.helper_pid, signal.SIGSTOP)
        binding = Deferred.fromCoroutine(store.bind("hw:a", "02:aa", POOL, LAN[100], HOUR, NOW))
        await self.turn()
        recovered = self.reports.next(StoreRecovered)
        released = await store.release("hw:a", LAN[100], NOW + 1)
        # The same turn of the reactor brings the news that the helper could not write.
        store._journal._heard(["failed", 1, "the disk is gone"])
        self.failureResultOf(binding, StoreFailed)
        await recovered
        await store.close()
        self.assertEqual(self.on_disk(), {LAN[100]: released})

    @awaited
    async def test_database_vanishes(self) -> None:
        """Somebody deletes the file: the next helper makes it again, with every lease in it."""
        store = await self.opened()
        await store.bind("hw:a", "02:aa", POOL, LAN[100], HOUR, NOW)
        await store.bind("hw:b", "02:bb", POOL, LAN[101], HOUR, NOW)
        os.unlink(self.path)
        os.unlink(self.path + "-wal")
        assert store.helper_pid is not None
        recovered = self.reports.next(StoreRecovered)
        os.kill(store.helper_pid, signal.SIGKILL)
        await recovered
        memory = {lease.address: lease for lease in await store.list()}
        await store.close()
        self.assertEqual(self.on_disk(), memory)
        self.assertEqual(len(memory), 2)

    @awaited
    async def test_damaged_while_it_runs(self) -> None:
        """The next helper finds it damaged: said, set aside untouched, and every lease is written to a new file."""
        store = await self.opened()
        await store.bind("hw:a", "02:aa", POOL, LAN[100], HOUR, NOW)
        for number in (1, 2):
            recovered = self.reports.next(StoreRecovered)
            assert store.helper_pid is not None
            os.kill(store.helper_pid, signal.SIGKILL)
            await self.reports.next(StoreLost)
            Path(self.path).write_bytes(b"x" * 8192)
            Path(self.path + "-wal").unlink(missing_ok=True)
            await recovered
            aside = f"{self.path}.damaged-{number}"
            self.assertEqual(Path(aside).read_bytes(), b"x" * 8192)
            said = " ".join(outcome.line for outcome in self.reports.seen if isinstance(outcome, StoreComplaint))
            self.assertIn(f"{self.path} is damaged (file is not a database): set aside as {aside}", said)
        await store.release("hw:a", LAN[100], NOW + 1)
        memory = {lease.address: lease for lease in await store.list()}
        await store.close()
        self.assertEqual(self.on_disk(), memory)

    def disasters(self) -> tuple[tuple[str, Callable[[], object]], ...]:
        """What may become of the file under a server that runs, and how the error begins after its name."""
        log = self.path + "-wal"
        folder = os.path.dirname(self.path)

        def replace() -> None:
            other = os.path.join(folder, "other")
            with closing(Database.open(other)) as database:
                stranger = Lease(LAN[103], "hw:stranger", "", State.BOUND, NOW, NOW + HOUR)
                database.commit([[row_of(int(LAN[103]), stranger)]])
            os.replace(other, self.path)

        def both() -> None:
            os.unlink(self.path)
            os.unlink(log)

        def junk() -> None:
            Path(folder, "junk").write_bytes(b"x" * 8192)
            os.replace(os.path.join(folder, "junk"), self.path)

        return (
            ("was deleted", lambda: os.unlink(self.path)),
            ("was deleted", both),
            ("-wal was deleted", lambda: os.unlink(log)),
            ("was replaced", replace),
            ("was replaced", junk),
            ("was cut", lambda: os.truncate(self.path, 0)),
            ("was cut", lambda: os.truncate(self.path, 1000)),
            ("-wal was cut", lambda: os.truncate(log, 0)),
            ("-wal was cut", lambda: os.truncate(log, os.stat(log).st_size - 1)),
        )

    async def survives(self, meddle: Callable[[], object], why: str, how: str) -> None:
        """A lease is bound, the file is meddled with, and then `how`; in the end all leases are on disk."""
        case = f"{why}, {how}"
        store = await self.opened()
        await store.bind("hw:a", "02:aa", POOL, LAN[100], HOUR, NOW)
        lost, recovered = self.reports.next(StoreLost), self.reports.next(StoreRecovered)
        meddle()
        if how == "bind":
            with self.assertRaisesRegex(StoreFailed, why, msg=case):
                await store.bind("hw:b", "02:bb", POOL, LAN[101], HOUR, NOW)
        if how == "wait":
            await recovered
            self.assertIsInstance(await store.bind("hw:b", "02:bb", POOL, LAN[101], HOUR, NOW), Lease, case)
        # A server that stops has looked as well, and makes good what it found.
        memory = {lease.address: lease for lease in await store.list()}
        await store.close()
        self.assertIn(f"{self.path}{'' if why[0] == '-' else ' '}{why}", (await lost).summary(), case)
        self.assertEqual(self.on_disk(), memory, case)
        self.assertNotIn(StoreUnsaved, self.reports.kinds(), case)

    @awaited
    async def test_meddled_with(self) -> None:
        """A file deleted, replaced or cut under the server is noticed before anything more is promised."""
        folder = os.path.dirname(self.path)
        for number in range(len(self.disasters())):
            for how in ("bind", "close"):
                self.path = os.path.join(folder, f"{number}-{how}.sqlite")
                why, meddle = self.disasters()[number]
                await self.survives(meddle, why, how)

    @awaited
    async def test_meddled_with_in_silence(self) -> None:
        """It is noticed, and made good, though nobody asks for a lease."""
        why, meddle = self.disasters()[0]
        await self.survives(meddle, why, "wait")

    @awaited
    async def test_too_much_at_once(self) -> None:
        """What waits is bounded."""
        self.patch(journal, "WAITING_LIMIT", 1)
        store = await self.opened()
        first = Deferred.fromCoroutine(store.bind("hw:a", "02:aa", POOL, LAN[100], HOUR, NOW))
        with self.assertRaisesRegex(StoreFailed, "1 changes wait"):
            await store.bind("hw:b", "02:bb", POOL, LAN[101], HOUR, NOW)
        self.assertIsInstance(await first, Lease)
        self.assertIsInstance(await store.bind("hw:b", "02:bb", POOL, LAN[101], HOUR, NOW), Lease)

    @awaited
    async def test_close_of_a_hanging_helper(self) -> None:
        """It is killed in the end, and what is not on disk was not promised."""
        self.patch(journal, "CLOSE_PATIENCE", 0.1)
        self.patch(journal, "PATIENCE", 1000.0)
        store = await self.opened()
        assert store.helper_pid is not None
        os.kill(store.helper_pid, signal.SIGSTOP)
        binding = Deferred.fromCoroutine(store.bind("hw:a", "02:aa", POOL, LAN[100], HOUR, NOW))
        await store.close()
        self.failureResultOf(binding, StoreFailed)
        self.assertEqual(self.on_disk(), {})
        self.assertEqual(self.reports.kinds(), {StoreUnsaved})
