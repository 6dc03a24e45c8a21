"""The SQLite files of ours."""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.state.database import SCHEMA, DatabaseDamaged, Kind, connect, set_aside


class DatabaseTests(SynchronousTestCase):
    """Opening, and setting aside."""

    def setUp(self) -> None:
        """A kind of file, with a table, and a place for one."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "001-thing.sql").write_text("CREATE TABLE thing (name TEXT);")
        self.kind = Kind(str(folder), 7, ": go and fetch the copy")
        self.path = str(folder / "things.sqlite")

    def filled(self) -> bytes:
        """A file of many pages."""
        connection, _ = connect(self.path, self.kind, 0.0)
        connection.executemany("INSERT INTO thing VALUES (?)", [(f"thing {n}" * 20,) for n in range(200)])
        connection.close()
        return Path(self.path).read_bytes()

    def test_damage(self) -> None:
        """Found when it is opened, unless somebody examines it later; nothing is changed."""
        good = self.filled()
        bad = good[:8192] + os.urandom(4096) + good[12288:]
        Path(self.path).write_bytes(bad)
        with self.assertRaises(DatabaseDamaged) as caught:
            connect(self.path, self.kind, 0.0)
        self.assertRegex(str(caught.exception), rf"^{self.path} is damaged (.|\n)*: go and fetch the copy$")
        self.assertEqual(Path(self.path).read_bytes(), bad)
        connection, _ = connect(self.path, self.kind, 0.0, examine=False)
        connection.close()

    def test_set_aside(self) -> None:
        """Under a name that is free, with its log; then there is room for a new one."""
        for number in (1, 2):
            self.filled()
            Path(self.path + "-wal").write_bytes(b"log")
            self.assertEqual(set_aside(self.path), f"{self.path}.damaged-{number}")
            self.assertEqual(Path(f"{self.path}.damaged-{number}-wal").read_bytes(), b"log")
        with self.assertRaises(sqlite3.Error):
            sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)

    def test_schema(self) -> None:
        """The steps are numbered without a gap, and every column says what it is."""
        for folder in sorted(Path(SCHEMA).iterdir()):
            steps = sorted(folder.glob("*.sql"))
            self.assertEqual([int(step.name[:3]) for step in steps], list(range(1, len(steps) + 1)))
            for step in steps:
                lines = step.read_text().splitlines()
                columns = [at for at, line in enumerate(lines) if re.match(r"    [a-z_]+ [A-Z]", line)]
                self.assertTrue(columns)
                for at in columns:
                    self.assertTrue(lines[at - 1].startswith("    -- "), f"{step}: {lines[at]}")
