"""The lease database is deleted, replaced, cut or damaged under a server that runs: real helpers, real files."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from pixelboot.leases.lease import Lease, State
from pixelboot.leases.seam import StoreFailed
from pixelboot.state.database import Database
from pixelboot.state.outcomes import StoreComplaint, StoreLost, StoreRecovered, StoreUnsaved
from pixelboot.state.wire import row_of
from tests.leases.suite import HOUR, LAN, NOW, POOL, awaited
from tests.state.store import StoreCase


class DamageTests(StoreCase):
    """No lease that was promised is lost by it, as long as the server runs."""

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
