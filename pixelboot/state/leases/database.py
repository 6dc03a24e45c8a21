"""The SQLite file of the leases.  It blocks, so a helper process has it.

What is new is appended to the table ``journal``, a batch at a time: that costs one insertion, few pages and one sync,
however many leases there are and whichever they are.  From there it is folded into the table ``lease`` when there is
time, oldest first; both together are what is known, and what is in the journal is newer.

SQLite goes on writing to a file that was deleted or replaced under it, and does not look whether somebody else cut it
short or wrote to it.  `Database.check` looks, before and after every commit, so that nothing is called durable that a
restart would not find.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Self

from pixelboot.malformed import Malformed
from pixelboot.state.database import (
    LOCK_PATIENCE,
    LOG_LIMIT,
    SCHEMA,
    DatabaseLost,
    Kind,
    connect,
    examined,
    unusable,
)
from pixelboot.state.leases.wire import Row, changes_in
from pixelboot.state.lock import StateUnusable

LEASES = Kind(os.path.join(SCHEMA, "leases"), 0x50584254, "")
"""The leases (``PXBT``)."""

CHECKPOINT = 4 << 20
"""Octets in the write-ahead log, about, after which they are written back into the file."""

_PAGES = 4 << 12
"""Octets that a commit costs besides the batch, about."""

_SELECT = """
    SELECT address, identity, hwaddr, state, started_at, expires_at, hostname, renewed_at, client_id, circuit FROM lease
"""
_REPLACE = """
    INSERT OR REPLACE
    INTO lease (address, identity, hwaddr, state, started_at, expires_at, hostname, renewed_at, client_id, circuit)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_DELETE = "DELETE FROM lease WHERE address = ?"
_APPEND = "INSERT INTO journal (batch) VALUES (?)"


class Database:
    """An open database of leases."""

    def __init__(self, connection: sqlite3.Connection, path: str, file: os.stat_result) -> None:
        """Take over an open connection to `file`.  Use `open`."""
        self._connection = connection
        self._path = path
        self._log = f"{path}-wal"
        self._seen: dict[str, os.stat_result | None] = {path: file, self._log: None}
        self._written = 0
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        count = connection.execute("SELECT coalesce(sum(length(batch)), 0) FROM journal").fetchone()
        self.journal_size: int = count[0]
        """Octets in the journal."""

    @classmethod
    def open(cls, path: str, patience: float = LOCK_PATIENCE) -> Self:
        """Open the file, or make it (mode 0600); it is not examined yet.

        Raises `StateUnusable`: it cannot be opened, is another process's, damaged, not ours, or of a newer version.
        """
        connection, file = connect(path, LEASES, patience, examine=False)
        try:
            database = cls(connection, path, file)
            database._look()
            return database
        except sqlite3.Error as problem:
            connection.close()
            raise unusable(path, LEASES, problem) from problem
        except StateUnusable:
            connection.close()
            raise

    def examine(self) -> None:
        """Look at all of it.  Raises `pixelboot.state.database.DatabaseDamaged`.

        What a row must be is not looked at here, since who takes the rows does that in a tenth of the time.
        """
        self._connection.execute("PRAGMA ignore_check_constraints = ON")
        examined(self._connection, self._path, LEASES)
        self._connection.execute("PRAGMA ignore_check_constraints = OFF")

    def rows(self, at_once: int = 500) -> Iterator[list[Row]]:
        """All rows of the table, `at_once` at a time.  Raises `StateUnusable` for what cannot be read."""
        try:
            cursor = self._connection.execute(_SELECT)
            while some := cursor.fetchmany(at_once):
                yield some
        except sqlite3.Error as problem:
            raise unusable(self._path, LEASES, problem) from problem

    def batches(self) -> Iterator[bytes]:
        """All batches of the journal, the oldest first.  Raises `StateUnusable` for what cannot be read."""
        try:
            for (octets,) in self._connection.execute("SELECT batch FROM journal ORDER BY number"):
                yield octets
        except sqlite3.Error as problem:
            raise unusable(self._path, LEASES, problem) from problem

    def commit(self, batches: Sequence[bytes]) -> None:
        """Make batches durable, all or none.  Raises `sqlite3.Error` and `DatabaseLost`."""
        # Before, too: writing fills up a file that was cut short, and afterwards it looks as long as it should be.
        self.check()
        if len(batches) == 1:
            self._connection.execute(_APPEND, batches)
        else:
            self._together([(_APPEND, [(octets,) for octets in batches])])
        self._look()
        size = sum(map(len, batches))
        self.journal_size += size
        self._written += size + _PAGES

    def fill(self, rows: Iterable[Row]) -> int:
        """Put in what was saved from another file, but for what cannot be; how many rows that was."""
        count = 0
        self._connection.execute("BEGIN IMMEDIATE")
        for row in rows:
            with suppress(sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, OverflowError):
                self._connection.execute(_REPLACE, row)
                count += 1
        self._connection.execute("COMMIT")
        self._look()
        return count

    def fold(self, at_most: int) -> bool:
        """Move the oldest batches, of `at_most` rows or a few more, from the journal into the table; whether any were.

        It is not synced: the next commit does that for both.  A batch that is damaged tells nothing, which is said on
        standard error.  Raises `sqlite3.Error` and `DatabaseLost`.
        """
        self.check()
        folded: dict[int, Row | None] = {}
        last, size = 0, 0
        for number, octets in self._connection.execute("SELECT number, batch FROM journal ORDER BY number"):
            try:
                folded.update(changes_in(octets))
            except Malformed as problem:
                sys.stderr.write(f"{self._path}: number {number} of the journal: {problem}\n")
            last, size = number, size + len(octets)
            if len(folded) >= at_most:
                break
        if not last:
            return False
        self._connection.execute("PRAGMA synchronous = NORMAL")
        try:
            self._together(
                [
                    (_REPLACE, [row for row in folded.values() if row is not None]),
                    (_DELETE, [(number,) for number, row in folded.items() if row is None]),
                    ("DELETE FROM journal WHERE number <= ?", [(last,)]),
                ]
            )
        finally:
            self._connection.execute("PRAGMA synchronous = FULL")
        self._look()
        self.journal_size -= size
        self._written += 2 * size + _PAGES
        return True

    def checkpoint(self, at_least: int = CHECKPOINT) -> None:
        """Write the log back into the file if it has so many octets.  Raises `sqlite3.Error` and `DatabaseLost`."""
        if self._written >= at_least:
            self.check()
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self._look()
            self._written = 0

    def check(self) -> None:
        """Raise `DatabaseLost` when somebody else deleted, replaced, cut or wrote file or log since we did.

        Nothing may be done with the database then, not even `close`: SQLite would delete a log that is not its own.
        """
        seen = self._seen.copy()
        self._look()
        for path, known in seen.items():
            now = self._seen[path]
            if known is not None and now is not None and now.st_mtime_ns != known.st_mtime_ns:
                raise DatabaseLost(f"{path} was written to by another program while it was in use")

    def _look(self) -> None:
        """Look at file and log after we wrote.  Raises `DatabaseLost`."""
        for path, known in self._seen.items():
            try:
                now = os.stat(path)
            except FileNotFoundError:
                if known is not None:
                    raise DatabaseLost(f"{path} was deleted while it was in use") from None
                continue  # SQLite makes the log when it first has something to write.
            except OSError as problem:
                raise DatabaseLost(f"{path} cannot be looked at any more: {problem.strerror}") from problem
            if known is not None:
                if (now.st_dev, now.st_ino) != (known.st_dev, known.st_ino):
                    raise DatabaseLost(f"{path} was replaced by another file while it was in use")
                # The file itself never shrinks, since nothing here vacuums it.
                least = known.st_size if path == self._path else min(known.st_size, LOG_LIMIT)
                if now.st_size < least:
                    sizes = f"{known.st_size} to {now.st_size} octets"
                    raise DatabaseLost(f"{path} was cut from {sizes} while it was in use")
            self._seen[path] = now

    def _together(self, steps: Iterable[tuple[str, Iterable[Sequence[object]]]]) -> None:
        """Do all of it, or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for sql, parameters in steps:
                self._connection.executemany(sql, parameters)
            self._connection.execute("COMMIT")
        except BaseException:  # whatever it is, it goes on; no transaction may stay open
            # SQLite has rolled back by itself after some errors, and then there is nothing to roll back.
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Write the log back into the file and let go of it."""
        self._connection.close()
