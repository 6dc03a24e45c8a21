"""What can be read of a damaged database."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from ipaddress import IPv4Address
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.lease import Lease, State
from pixelboot.state.database import SCHEMA
from pixelboot.state.leases import wire
from pixelboot.state.leases.database import Database
from pixelboot.state.leases.loading import leases_of, row_of
from pixelboot.state.leases.salvage import salvage
from pixelboot.state.leases.wire import Row

PAGE = 4096


def lease(number: int, renewed_at: float = 1.5, state: State = State.BOUND, identity: str = "hw:01") -> Lease:
    """A lease, with every kind of column."""
    return Lease(
        IPv4Address(number), identity, "02:aa", state, 1.0, 1e9 + number / 7, "né", renewed_at, b"\0\xff", b"port 1"
    )


def rows(leases: Sequence[Lease]) -> dict[int, Row]:
    """The rows of leases, by address."""
    return {int(each.address): row_of(each) for each in leases}


class SalvageTests(SynchronousTestCase):
    """`salvage`."""

    def setUp(self) -> None:
        """A place for a database."""
        folder = self.mktemp()
        os.mkdir(folder)
        self.path = os.path.join(folder, "leases.sqlite")

    def files(self) -> tuple[bytes, bytes]:
        """The file and its log as they are."""
        log = Path(self.path + "-wal")
        return Path(self.path).read_bytes(), log.read_bytes() if log.exists() else b""

    def filled(self, leases: Sequence[Lease]) -> bytes:
        """A file with these in its table."""
        with closing(Database.open(self.path)) as database:
            database.fill(map(row_of, leases))
        return self.files()[0]

    def test_a_sound_file(self) -> None:
        """Of a file that is sound it is everything, in every state."""
        leases = [lease(n, state=state) for n, state in enumerate(list(State)[1:] * 500)]
        found = salvage(self.filled(leases), b"")
        self.assertEqual((found.rows, found.unreadable), (rows(leases), 0))

    def test_log_and_journal(self) -> None:
        """What is only in the log, in the journal, on several pages, or older than something else there."""
        leases = [lease(n, renewed_at=2.0) for n in range(1000)]
        with closing(Database.open(self.path)) as database:
            database.commit([wire.batch((int(each.address), lease(int(each.address))) for each in leases[:300])])
            database.commit([wire.batch((int(each.address), each) for each in leases[:300])])
            database.fold(1)
            for start in range(300, 1000, 20):
                database.commit([wire.batch((int(each.address), each) for each in leases[start : start + 20])])
            file, log = self.files()
            found = salvage(file, log)
            self.assertEqual((found.rows, len(log) > len(file)), (rows(leases), True))
            database.checkpoint(0)
            found = salvage(self.files()[0], b"")
        self.assertEqual(found.rows, rows(leases))

    def test_the_latest_counts(self) -> None:
        """Of two rows of an address the one that tells the latest, in whatever order they are found."""
        old, new = lease(7), lease(7, 3.0, identity="hw:02")
        ended = lease(8)._replace(state=State.RELEASED, expires_at=5.0)
        for batches in (
            [(7, old), (8, lease(8)), (7, new), (8, ended)],
            [(8, ended), (7, new), (7, old), (8, lease(8))],
        ):
            with closing(Database.open(self.path)) as database:
                for change in batches:
                    database.commit([wire.batch([change])])
                self.assertEqual(salvage(*self.files()).rows, rows([new, ended]))
            os.unlink(self.path)

    def test_the_first_version(self) -> None:
        """Rows of the schema before this one."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(Path(SCHEMA, "leases", "001-leases.sql").read_text("utf-8"))
            connection.execute("INSERT INTO lease VALUES (7, 'hw:1', '02:aa', 'bound', 5, 9.5, 'n')")
            connection.commit()
        found = salvage(Path(self.path).read_bytes(), b"")
        self.assertEqual(found.rows, {7: (7, "hw:1", "02:aa", "bound", 5.0, 9.5, "n", 5.0, b"", b"")})

    def test_one_page_of_many(self) -> None:
        """Whichever page is lost, the others are read; nothing is found that was not there."""
        leases = [lease(n) for n in range(1000)]
        everything = rows(leases)
        good = self.filled(leases)
        for at in range(0, len(good), PAGE):
            for what, page in (("noise", random.Random(at).randbytes(PAGE)), ("zeros", bytes(PAGE))):
                found = salvage(good[:at] + page + good[at + PAGE :], b"").rows
                self.assertGreater(len(found), 900, f"{what} at {at}")
                self.assertEqual(found, {number: everything[number] for number in found}, f"{what} at {at}")

    def test_what_makes_no_sense(self) -> None:
        """Rows that no lease can be are counted, not taken."""
        leases = [lease(n) for n in range(20)]
        good = self.filled(leases)
        for old, new in ((b"hw:01", b"hw:\n1"), (b"bound", b"bount"), (b"port 1", b"port 1")):
            found = salvage(good.replace(old, new), b"")
            self.assertEqual((len(found.rows), found.unreadable), (0, 20) if old != new else (20, 0), repr(new))

    def test_any_octet_changed(self) -> None:
        """A file with any octets changed is read to its end; every row is one of a lease."""
        leases = [lease(n) for n in range(60)]
        with closing(Database.open(self.path)) as database:
            database.fill(map(row_of, leases))
            database.commit([wire.batch((int(each.address), each) for each in leases)])
            good, log = self.files()
        chance = random.Random(6)
        for _ in range(150):
            bad = bytearray(good + log)
            for _ in range(chance.choice((1, 20, 400))):
                bad[chance.randrange(len(bad))] = chance.choice((0, 1, 13, 127, 128, 255))
            found = salvage(bytes(bad[: len(good)]), bytes(bad[len(good) :]))
            leases_of(list(found.rows.values()))

    @given(st.binary(max_size=300), st.binary(max_size=100))
    def test_any_octets(self, file: bytes, log: bytes) -> None:
        """Whatever it is, it is read."""
        self.assertEqual(salvage(file, log).rows, {})
