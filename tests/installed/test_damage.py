"""The lease database is deleted, replaced, cut or damaged under a server that runs: real helpers, real files."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import closing
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from pixelboot.leases.lease import Lease, Pool, State
from pixelboot.leases.seam import StoreFailed
from pixelboot.state.leases.database import Database
from pixelboot.state.leases.loading import row_of
from pixelboot.state.leases.outcomes import StoreLost, StoreMended, StoreRecovered, StoreUnsaved
from pixelboot.state.leases.sqlite import SqliteLeases
from tests.leases.suite import HOUR, LAN, NOW, awaited, claim
from tests.state.leases.store import StoreCase


class DamageTests(StoreCase):
    """No lease that was promised is lost by it, as long as the server runs."""

    @awaited
    async def test_database_vanishes(self) -> None:
        """Somebody deletes the file: the next helper makes it again, with every lease in it."""
        store = await self.opened()
        await store.bind(claim("hw:a"), LAN[100], HOUR, NOW)
        await store.bind(claim("hw:b", hwaddr="02:bb"), LAN[101], HOUR, NOW)
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
        await store.bind(claim("hw:a"), LAN[100], HOUR, NOW)
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
            said = " ".join(outcome.what for outcome in self.reports.seen if isinstance(outcome, StoreMended))
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
                database.fill([row_of(stranger)])
            os.replace(other, self.path)

        def both() -> None:
            os.unlink(self.path)
            os.unlink(log)

        def junk() -> None:
            Path(folder, "junk").write_bytes(b"x" * 8192)
            os.replace(os.path.join(folder, "junk"), self.path)

        def overwrite() -> None:
            with open(self.path, "r+b") as file:
                file.write(b"x" * 8192)

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
            ("was written to", overwrite),
        )

    async def survives(self, meddle: Callable[[], object], why: str, how: str) -> None:
        """A lease is bound, the file is meddled with, and then `how`; in the end all leases are on disk."""
        case = f"{why}, {how}"
        store = await self.opened()
        await store.bind(claim("hw:a"), LAN[100], HOUR, NOW)
        lost, recovered = self.reports.next(StoreLost), self.reports.next(StoreRecovered)
        meddle()
        if how == "bind":
            with self.assertRaisesRegex(StoreFailed, why, msg=case):
                await store.bind(claim("hw:b", hwaddr="02:bb"), LAN[101], HOUR, NOW)
        if how == "wait":
            await recovered
            self.assertIsInstance(await store.bind(claim("hw:b", hwaddr="02:bb"), LAN[101], HOUR, NOW), Lease, case)
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
    async def test_damaged_at_the_start(self) -> None:
        """Set aside and told, and every lease that can be read is there, in whatever state; nothing is refused."""
        store = await self.opened()
        for n in range(100):
            await store.bind(claim(f"hw:{n}", BIG), BIG.networks[0][1 + n], HOUR, NOW)
        await store.release("hw:1", BIG.networks[0][2], NOW + 1)
        await store.decline("hw:2", BIG.networks[0][3], NOW + 2, 600.0)
        memory = {lease.address: lease for lease in await store.list()}
        for number, (how, damage) in enumerate(
            (
                ("stopped", lambda octets: b"\xff" * 4096 + octets[4096:]),
                ("stopped", lambda octets: octets[:100] + b"\xff" * 200 + octets[300:]),
                ("killed", lambda octets: b"\0" * 4096 + octets[4096:]),
            ),
            1,
        ):
            await self.end(store, how)
            bad = damage(Path(self.path).read_bytes())
            Path(self.path).write_bytes(bad)
            store = await self.opened()
            (mended,) = [outcome for outcome in self.reports.seen if isinstance(outcome, StoreMended)]
            aside = f"{self.path}.damaged-{number}"
            self.assertIn("is damaged", mended.what)
            told = "100 leases could be read and are in a new file, 0 pieces could not"
            self.assertIn(f"{told}; set aside as {aside}", mended.what)
            if how == "stopped":  # else SQLite has written the log into it
                self.assertEqual(Path(aside).read_bytes(), bad)
            self.assertEqual({lease.address: lease for lease in await store.list()}, memory, how)
            self.reports.seen.clear()

    async def end(self, store: SqliteLeases, how: str) -> None:
        """Stop a store in order, or kill its helper with all that it has not folded yet."""
        if how == "stopped":
            await store.close()
            return
        await store.renew(claim("hw:0", BIG), BIG.networks[0][1], HOUR, NOW)
        assert store.helper_pid is not None
        os.kill(store.helper_pid, signal.SIGKILL)
        await self.reports.next(StoreLost)
        await store.close()
        self.reports.seen.clear()


class FullDiskTests(StoreCase):
    """A small file system that fills up; to mount one takes root."""

    @awaited
    async def test_full(self) -> None:
        """No lease is promised, it is said, and it heals by itself when there is room; no promise is lost."""
        folder = os.path.dirname(self.path)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, text=True, check=False
        )
        self.assertEqual(mounted.returncode, 0, mounted.stderr)
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=True)
        store = await self.opened()
        lost, recovered = self.reports.next(StoreLost), self.reports.next(StoreRecovered)
        promised: dict[IPv4Address, str] = {}
        junk = Path(folder, "junk")
        junk.write_bytes(b"x" * (64 << 10))
        for n in range(1, 1000):
            try:
                lease = await store.bind(claim(f"hw:{n}", BIG, hostname="x" * 255), BIG.networks[0][n], HOUR, NOW)
            except StoreFailed as problem:
                self.assertRegex(str(problem), "full|disk I/O error")
                break
            assert isinstance(lease, Lease)
            promised[lease.address] = lease.identity
        self.assertRegex((await lost).summary(), "^no lease can be given: .*(full|disk I/O error)")
        self.assertGreater(len(promised), 10)
        self.assertLess(len(promised), 999)
        with self.assertRaises(StoreFailed):
            await store.bind(claim("hw:later", BIG), BIG.networks[0][2000], HOUR, NOW)
        junk.unlink()
        await recovered
        lease = await store.bind(claim("hw:later", BIG), BIG.networks[0][2000], HOUR, NOW)
        self.assertIsInstance(lease, Lease)
        await store.close()
        disk = self.on_disk()
        self.assertEqual({address: disk[address].identity for address in promised}, promised)
        self.assertEqual(disk[BIG.networks[0][2000]].identity, "hw:later")


BIG = Pool((IPv4Network("10.0.0.0/16"),), ((IPv4Address("10.0.0.1"), IPv4Address("10.0.255.254")),))
