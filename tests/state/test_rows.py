"""Tests of `pixelboot.state.rows`: a file of two tables; damage is in `tests.state.test_containers`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.seam import ChoiceFailed
from pixelboot.state.database import Kind
from pixelboot.state.lock import StateUnusable
from pixelboot.state.rows import Rows, RowsFile, Table

TABLES = [
    Table("SELECT * FROM a", "INSERT OR REPLACE INTO a VALUES (?, ?)", "DELETE FROM a WHERE id = ?"),
    Table("SELECT * FROM b", "INSERT OR REPLACE INTO b VALUES (?, ?)", "DELETE FROM b WHERE id = ?"),
]


class RowsFileTests(SynchronousTestCase):
    """`RowsFile`."""

    def setUp(self) -> None:
        """A schema of its own."""
        self.folder = Path(self.mktemp()).absolute()
        (self.folder / "schema").mkdir(parents=True)
        schema = (
            "CREATE TABLE a (id TEXT PRIMARY KEY, n INTEGER CHECK (n < 9)); CREATE TABLE b (id TEXT PRIMARY KEY, n);"
        )
        (self.folder / "schema" / "001-x.sql").write_text(schema, encoding="utf-8")
        self.kind = Kind(str(self.folder / "schema"), 0x50584258, ": mend it")
        self.path = str(self.folder / "x.sqlite")

    def opened(self) -> RowsFile:
        """The file."""
        return RowsFile(self.path, self.kind, TABLES)

    def test_become(self) -> None:
        """Rows come, change and go, of all tables in one step."""
        file = self.opened()
        self.assertEqual(file.rows, ({}, {}))
        steps: tuple[tuple[Rows, Rows], ...] = (
            ({"x": ("x", 1), "y": ("y", 2)}, {"x": ("x", 3)}),
            ({"y": ("y", 5)}, {}),
            ({}, {"z": ("z", None)}),
        )
        for rows in steps:
            file.become(rows)
            self.assertEqual((file.rows, self.opened().rows, file.mended), (rows, rows, ""))

    def test_all_or_nothing(self) -> None:
        """What the schema does not take changes nothing, in no table."""
        file = self.opened()
        before = ({"x": ("x", 1)}, {"x": ("x", 3)})
        file.become(before)
        error = self.assertRaises(ChoiceFailed, file.become, ({"x": ("x", 2), "y": ("y", 10)}, {}))
        self.assertIn(f"{self.path} cannot be used: CHECK constraint failed", str(error))
        self.assertEqual((file.rows, self.opened().rows), (before, before))

    def test_changed_by_others(self) -> None:
        """Memory is right, and it is said."""
        file = self.opened()
        file.become(({"x": ("x", 1)}, {}))
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("INSERT INTO b VALUES ('q', 1)")
        file.become(({"x": ("x", 2)}, {}))
        self.assertEqual(file.mended, f"{self.path} did not hold what was left in it")
        self.assertEqual(self.opened().rows, ({"x": ("x", 2)}, {}))

    def test_no_such_folder(self) -> None:
        self.path = str(self.folder / "gone" / "x.sqlite")
        self.assertIn("cannot be opened", str(self.assertRaises(StateUnusable, self.opened)))
