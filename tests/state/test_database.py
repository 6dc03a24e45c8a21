"""The SQLite file, without a server."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from collections.abc import Callable, Sequence
from contextlib import closing
from ipaddress import IPv4Address
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.lease import Lease, State
from pixelboot.state import database as database_module
from pixelboot.state.database import SCHEMA, Database
from pixelboot.state.lock import StateUnusable
from pixelboot.state.wire import Row, row_of


def row(number: int, state: State = State.BOUND, identity: str = "hw:01") -> Row:
    """A row of the table."""
    return row_of(number, Lease(IPv4Address(number), identity, "02:aa", state, 1.0, float("inf"), "né"))


class DatabaseTests(SynchronousTestCase):
    """`Database`."""

    def setUp(self) -> None:
        """A folder for it."""
        folder = self.mktemp()
        os.mkdir(folder)
        self.path = os.path.join(folder, "leases.sqlite")

    def rows(self) -> Sequence[Row]:
        """What is in the file."""
        with closing(Database.open(self.path)) as database:
            return sorted(tuple(each) for some in database.rows() for each in some)

    def filled(self, count: int) -> None:
        """Make one with that many leases."""
        with closing(Database.open(self.path)) as database:
            database.commit([map(row, range(count))])

    def refused(self, why: str, patience: float = 0.0) -> None:
        """It cannot be opened; the error names the file and says `why`."""
        with self.assertRaises(StateUnusable, msg=why) as caught:
            Database.open(self.path, patience)
        self.assertIn(why, str(caught.exception))
        self.assertIn(self.path, str(caught.exception))

    def test_rows(self) -> None:
        """What is committed is there when the file is opened again; the last word on an address counts."""
        with closing(Database.open(self.path)) as database:
            self.assertEqual(list(database.rows()), [])
            database.commit([[row(1), row(2)], [row(3), row(1, State.RELEASED, "hw:02")], [(3,), (4,)], []])
            self.assertEqual([len(some) for some in database.rows(1)], [1, 1])
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["leases.sqlite"], "the log is written back")
        self.assertEqual(self.rows(), [tuple(row(1, State.RELEASED, "hw:02")), tuple(row(2))])

    def test_all_or_none(self) -> None:
        """A commit with a row that cannot be leaves nothing, and the next one is as good as ever."""
        with closing(Database.open(self.path)) as database:
            for bad in ((2**32, *row(3)[1:]), row(3, State.OFFERED), (3, "hw", "", "bound", None, 1.0, "")):
                with self.assertRaises(sqlite3.Error, msg=str(bad)):
                    database.commit([[row(1)], [bad]])
                self.assertEqual(list(database.rows()), [], str(bad))
            database.commit([[row(1)]])
        self.assertEqual(len(self.rows()), 1)

    def test_power_cut(self) -> None:
        """What was committed is in the log when the process ends without closing, and is read from there."""
        with closing(Database.open(self.path)) as database:
            database.commit([[row(1)]])
            files = Path(self.path).read_bytes(), Path(self.path + "-wal").read_bytes()
        Path(self.path).write_bytes(files[0])
        Path(self.path + "-wal").write_bytes(files[1] + b"half a frame")
        self.assertEqual(self.rows(), [tuple(row(1))])

    def test_log_shrinks(self) -> None:
        """A log that SQLite cuts to its limit, and the write-back into the file, are no loss."""
        self.patch(database_module, "LOG_LIMIT", 1 << 16)
        sizes = []
        with closing(Database.open(self.path)) as database:
            for _ in range(3):
                database.commit([map(row, range(2_000))])
                sizes.append(os.stat(self.path + "-wal").st_size)
                for _ in range(3):
                    database.commit([[row(1)]])
                    sizes.append(os.stat(self.path + "-wal").st_size)
                database.commit([[(number,) for number in range(2_000)]])
        self.assertLess(min(sizes), max(sizes), "the log never shrank: nothing was tested")
        self.assertEqual(self.rows(), [])

    def test_one_process(self) -> None:
        """A file that is open elsewhere is refused, after a while; then it is free."""
        with closing(Database.open(self.path)) as database:
            database.commit([[row(1)]])
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

    def test_damage(self) -> None:
        """A page of noise, a missing half: refused with what to do, or else every row is still there."""
        self.filled(2000)
        good = Path(self.path).read_bytes()
        for what, octets in (
            ("noise in the middle", good[:8192] + os.urandom(4096) + good[12288:]),
            ("noise in the first page", good[:100] + b"\xff" * 3996 + good[4096:]),
            ("half of it", good[: len(good) // 8192 * 4096]),
            ("cut inside a page", good[:-1000]),
        ):
            Path(self.path).write_bytes(octets)
            with self.assertRaises(StateUnusable, msg=what) as caught:
                Database.open(self.path)
            self.assertIn(f"{self.path} is damaged", str(caught.exception))
            self.assertIn("put back a copy", str(caught.exception))
            self.assertEqual(Path(self.path).read_bytes(), octets, what)
        Path(self.path).write_bytes(good)
        self.assertEqual(len(self.rows()), 2000)

    def test_schema(self) -> None:
        """The steps are numbered without a gap, and every column says what it is."""
        for folder in sorted(SCHEMA.iterdir()):
            steps = sorted(folder.glob("*.sql"))
            self.assertEqual([int(step.name[:3]) for step in steps], list(range(1, len(steps) + 1)))
            for step in steps:
                lines = step.read_text().splitlines()
                columns = [at for at, line in enumerate(lines) if re.match(r"    [a-z_]+ [A-Z]", line)]
                self.assertTrue(columns)
                for at in columns:
                    self.assertTrue(lines[at - 1].startswith("    -- "), f"{step}: {lines[at]}")
