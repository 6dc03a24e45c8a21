"""The SQLite file, without a server."""

from __future__ import annotations

import io
import os
import sqlite3
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from ipaddress import IPv4Address
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.lease import Lease, State
from pixelboot.state import database as database_module
from pixelboot.state.database import SCHEMA, DatabaseLost
from pixelboot.state.leases import database as leases_database
from pixelboot.state.leases import wire
from pixelboot.state.leases.database import LEASES, Database
from pixelboot.state.leases.loading import row_of
from pixelboot.state.leases.wire import Row
from pixelboot.state.lock import StateUnusable


def row(number: int, state: State = State.BOUND, identity: str = "hw:01") -> Row:
    """A row of the table."""
    return row_of(lease(number, state, identity))


def lease(number: int, state: State = State.BOUND, identity: str = "hw:01") -> Lease:
    """A lease."""
    return Lease(IPv4Address(number), identity, "02:aa", state, 1.0, float("inf"), "né", 1.0, b"\0", b"port 1")


def batch(*changes: Lease | int) -> bytes:
    """What goes to the journal: leases, and numbers of addresses of which nothing is known any more."""
    return wire.batch((each, None) if isinstance(each, int) else (int(each.address), each) for each in changes)


class DatabaseTests(SynchronousTestCase):
    """`Database`."""

    def setUp(self) -> None:
        """A folder for it."""
        folder = self.mktemp()
        os.mkdir(folder)
        self.path = os.path.join(folder, "leases.sqlite")

    def rows(self) -> Sequence[Row]:
        """What is in the table, when all that is in the journal is folded."""
        with closing(Database.open(self.path)) as database:
            database.examine()
            while database.fold(100):
                pass
            self.assertEqual((list(database.batches()), database.journal_size), ([], 0))
            return sorted(tuple(each) for some in database.rows() for each in some)

    def filled(self, count: int) -> None:
        """Make one with that many leases."""
        with closing(Database.open(self.path)) as database:
            database.fill(map(row, range(count)))

    def test_journal(self) -> None:
        """What is committed is there when the file is opened again; the last word on an address counts."""
        batches = [batch(lease(1), lease(2)), batch(lease(3), lease(1, State.RELEASED, "hw:02")), batch(3, 4), batch()]
        with closing(Database.open(self.path)) as database:
            self.assertEqual(list(database.rows()), [])
            database.commit(batches[:1])
            database.commit(batches[1:])
            self.assertEqual(list(database.batches()), batches)
            self.assertEqual(database.journal_size, sum(map(len, batches)))
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["leases.sqlite"], "the log is written back")
        self.assertEqual(self.rows(), [row(1, State.RELEASED, "hw:02"), row(2)])

    def test_fold(self) -> None:
        """The oldest go first, and every step leaves the same leases, wherever they stand."""
        with closing(Database.open(self.path)) as database:
            for n in range(50):
                database.commit([batch(lease(n % 7, identity=f"hw:{n}"), lease(100 + n), 99 + n)])
            left = []
            while database.fold(10):
                left.append(sum(1 for _ in database.batches()))
                database.checkpoint(0)
            self.assertEqual(left, sorted(left, reverse=True))
            self.assertGreater(len(left), 5)
            self.assertFalse(database.fold(10))
        self.assertEqual(self.rows(), [*(row(n, identity=f"hw:{42 + n + 7 * (n == 0)}") for n in range(7)), row(149)])

    def test_a_batch_that_is_damaged(self) -> None:
        """It tells nothing, which is said, and what comes after it is folded."""
        errors = io.StringIO()
        self.patch(sys, "stderr", errors)
        with closing(Database.open(self.path)) as database:
            database.commit([batch(lease(1)), batch(lease(2))[:-1], batch(lease(3))])
        self.assertEqual(self.rows(), [row(1), row(3)])
        self.assertIn("number 2 of the journal", errors.getvalue())

    def test_all_or_none(self) -> None:
        """A transaction that cannot be leaves nothing, and the next one is as good as ever."""
        with closing(Database.open(self.path)) as database:
            with self.assertRaises(sqlite3.Error):
                database.commit([batch(lease(1)), "no octets"])  # type: ignore[list-item]
            self.assertEqual(list(database.batches()), [])
            database.commit([batch(lease(1))])
            database.commit([batch(lease(2, State.OFFERED))])
            with self.assertRaises(sqlite3.IntegrityError):
                database.fold(100)
            self.assertEqual((list(database.rows()), len(list(database.batches()))), ([], 2))

    def test_fill(self) -> None:
        """What no row can be is left out."""
        rows = [row(1), (2**32, *row(3)[1:]), (3, "hw", "", "offered", *row(3)[4:]), (4, None, *row(4)[2:]), row(5)]
        with closing(Database.open(self.path)) as database:
            self.assertEqual(database.fill(rows), 2)
            self.assertEqual([len(some) for some in database.rows(1)], [1, 1])
        self.assertEqual(self.rows(), [row(1), row(5)])

    def test_power_cut(self) -> None:
        """What was committed is in the log when the process ends without closing, and is read from there."""
        with closing(Database.open(self.path)) as database:
            database.commit([batch(lease(1))])
            files = Path(self.path).read_bytes(), Path(self.path + "-wal").read_bytes()
        Path(self.path).write_bytes(files[0])
        Path(self.path + "-wal").write_bytes(files[1] + b"half a frame")
        self.assertEqual(self.rows(), [row(1)])

    def test_log_shrinks(self) -> None:
        """A log that SQLite cuts to its limit, and the write-back into the file, are no loss."""
        self.patch(database_module, "LOG_LIMIT", 1 << 16)
        self.patch(leases_database, "LOG_LIMIT", 1 << 16)
        sizes = []
        with closing(Database.open(self.path)) as database:
            for _ in range(3):
                for n in range(100):
                    database.commit([batch(*map(lease, range(20 * n, 20 * n + 20)))])
                sizes.append(os.stat(self.path + "-wal").st_size)
                while database.fold(400):
                    database.checkpoint(0)
                    sizes.append(os.stat(self.path + "-wal").st_size)
        self.assertLess(min(sizes), max(sizes), "the log never shrank: nothing was tested")
        self.assertEqual(len(self.rows()), 2000)

    def test_upgrade(self) -> None:
        """A file of the first version is brought up to date, and holds what it held."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(Path(SCHEMA, "leases", "001-leases.sql").read_text("utf-8"))
            connection.executescript(f"PRAGMA user_version = 1; PRAGMA application_id = {LEASES.application_id};")
            connection.execute("INSERT INTO lease VALUES (7, 'hw:1', '02:aa', 'bound', 5.0, 9.0, 'n')")
            connection.commit()
        self.assertEqual(self.rows(), [(7, "hw:1", "02:aa", "bound", 5.0, 9.0, "n", 5.0, b"", b"")])

    def test_written_by_somebody_else(self) -> None:
        """File or log are written to under us, their length unchanged: noticed before the next commit."""
        for suffix in ("", "-wal"):
            database = Database.open(self.path)
            database.commit([batch(lease(1))])
            info = os.stat(self.path + suffix)
            with open(self.path + suffix, "r+b") as file:
                file.write(Path(self.path + suffix).read_bytes())
            # What the kernel's coarse clock may not tell apart in a test that is this fast.
            os.utime(self.path + suffix, ns=(info.st_atime_ns, info.st_mtime_ns + 1))
            with self.assertRaisesRegex(DatabaseLost, f"{suffix} was written to by another program"):
                database.commit([batch(lease(2))])
            database.close()
        self.assertEqual(len(self.rows()), 1)

    def refused(self, why: str, patience: float = 0.0) -> None:
        """It cannot be opened; the error names the file and says `why`."""
        with self.assertRaises(StateUnusable, msg=why) as caught:
            Database.open(self.path, patience)
        self.assertIn(why, str(caught.exception))
        self.assertIn(self.path, str(caught.exception))

    def test_one_process(self) -> None:
        """A file that is open elsewhere is refused, after a while; then it is free."""
        with closing(Database.open(self.path)) as database:
            database.commit([batch(lease(1))])
            self.refused("is in use by another process", 0.05)
        self.assertEqual(len(self.rows()), 1)

    def test_other_files(self) -> None:
        """What is no database of ours, or a newer one, is refused and left as it is."""

        def sql(script: str) -> None:
            with closing(sqlite3.connect(self.path)) as connection:
                connection.executescript(script)

        def newer() -> None:
            self.filled(1)
            sql("PRAGMA user_version = 999;")

        makers: tuple[tuple[str, Callable[[], object]], ...] = (
            ("is damaged (file is not a database)", lambda: Path(self.path).write_text("leases\n" * 1000)),
            ("is a database of another program", lambda: sql("CREATE TABLE lease (address);")),
            ("is a database of another program", lambda: sql("PRAGMA application_id = 5; PRAGMA user_version = 1;")),
            ("was written by a newer pixelboot", newer),
        )
        for why, make in makers:
            make()
            before = Path(self.path).read_bytes()
            self.refused(why)
            self.assertEqual(Path(self.path).read_bytes(), before, why)
            os.unlink(self.path)
        os.mkfifo(self.path)
        self.refused("is not a plain file")
        os.unlink(self.path)
        os.mkdir(self.path)
        self.refused("cannot be opened: Is a directory")
