"""A SQLite file of a few tables that memory has a whole copy of, and changes to it made one at a time.

A change opens the file, reads what is there, makes it say what shall be, and closes it; it is on disk when it returns.
Changes are rare, so nothing is held open between them, and a file that somebody deleted, replaced or changed meanwhile
is found at the next change: memory is right while a server runs, and writes all of it again.  What is no file of ours
any more is renamed, not written over.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool

from pixelboot.boot.seam import ChoiceFailed
from pixelboot.outcome import Outcome
from pixelboot.state.database import (
    DatabaseDamaged,
    DatabaseForeign,
    DatabaseLost,
    Kind,
    connect,
    set_aside,
    unusable,
)
from pixelboot.state.lock import StateUnusable
from pixelboot.state.outcomes import ChoicesMended

PATIENCE = 2.0
"""Seconds that a file which another program has locked is waited for."""

P = ParamSpec("P")
T = TypeVar("T")

Row = tuple[Any, ...]
"""The columns of a row; the first is its key, a text."""

Rows = Mapping[str, Row]
"""The rows of a table by their keys."""


@dataclass(frozen=True, slots=True)
class Table:
    """The statements of one table."""

    select: str
    """All rows, the key first."""

    upsert: str
    """Takes a row, and makes it the one of its key."""

    delete: str
    """Takes a key, and removes its row."""


class RowsFile:
    """What is in the tables of a file.  It blocks.

    Who uses it has the `pixelboot.state.lock.StateLock` of the folder.
    """

    def __init__(self, path: str, kind: Kind, tables: Sequence[Table]) -> None:
        """Read the file, or make it (mode 0600).

        Raises `StateUnusable`: it cannot be opened, is another program's, damaged, or of a newer version.
        """
        self.mended = ""
        """What had become of the file before the last change, which put it right; empty when it was as it was left."""
        self._path = path
        self._kind = kind
        self._tables = tables
        connection, _ = connect(path, kind, PATIENCE)
        with closing(connection):
            try:
                self.rows = self._read(connection)
                """What is on disk, table by table; replaced when a change is."""
            except sqlite3.Error as problem:
                raise unusable(path, kind, problem) from problem

    def become(self, rows: Sequence[Rows]) -> None:
        """Write what shall be; only then is it so.  Raises `ChoiceFailed`."""
        self.mended = ""
        try:
            try:
                self._write(rows)
            except (DatabaseDamaged, DatabaseForeign) as problem:
                what = str(problem).removesuffix(self._kind.remedy)
                aside = set_aside(self._path)
                self._write(rows)
                self.mended = f"{what}: set aside as {aside}"
        except (StateUnusable, OSError) as problem:
            self.mended = ""
            raise ChoiceFailed(str(problem)) from problem
        self.rows = tuple(rows)

    def _read(self, connection: sqlite3.Connection) -> tuple[Rows, ...]:
        return tuple({row[0]: row for row in connection.execute(table.select)} for table in self._tables)

    def _write(self, rows: Sequence[Rows]) -> None:
        """Make the file say this, in one transaction."""
        connection, file = connect(self._path, self._kind, PATIENCE)
        with closing(connection):
            try:
                self._commit(connection, rows)
            except sqlite3.Error as problem:
                # SQLite has rolled back by itself after some errors, and then there is nothing to roll back.
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise unusable(self._path, self._kind, problem) from problem
        now = os.stat(self._path)
        if (now.st_dev, now.st_ino) != (file.st_dev, file.st_ino):
            raise DatabaseLost(f"{self._path} was replaced while it was written; try again")

    def _commit(self, connection: sqlite3.Connection, rows: Sequence[Rows]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        there = self._read(connection)
        if there != self.rows:
            self.mended = f"{self._path} did not hold what was left in it"
        for table, before, wanted in zip(self._tables, there, rows, strict=True):
            connection.executemany(table.delete, [(gone,) for gone in before.keys() - wanted.keys()])
            connection.executemany(table.upsert, [row for key, row in wanted.items() if before.get(key) != row])
        connection.execute("COMMIT")


class Mended(Protocol):
    """A file that is put right by changes."""

    @property
    def mended(self) -> str:
        """See `RowsFile.mended`."""


class Turns(Service):
    """Makes changes to a file in a thread, one at a time.

    A change that was begun is brought to its end, whether or not somebody still waits for it; the service stops when
    all are.
    """

    def __init__(self, file: Mended, held: str, reactor: Any, report: Callable[[Outcome], None]) -> None:
        """`report` is told when somebody else changed the file; `held` is what it has: ``settings of containers``."""
        self._mends = file
        self._held = held
        self._reactor = reactor
        self._report = report
        self._turn = DeferredLock()
        self._stopped = False

    def stopService(self) -> Deferred[None]:
        """Make no further change; fires when the last one is done."""
        super().stopService()
        self._stopped = True
        return self._turn.run(lambda: None)

    def in_turn(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Deferred[T]:
        """Do it when everything before it is done.  Who waits may give up: it is done all the same."""
        if self._stopped:
            raise ChoiceFailed("the server is stopping")

        def working() -> Deferred[T]:
            # Looked at before the next one has its turn, which has a `mended` of its own.
            threads = self._reactor.getThreadPool()
            return deferToThreadPool(self._reactor, threads, work, *arguments, **named).addCallback(self._look)

        told: Deferred[T] = Deferred()
        self._turn.run(working).addBoth(told.callback)
        return told

    def _look(self, result: T) -> T:
        """A change was made: say so when there was something to mend."""
        if self._mends.mended:
            self._report(ChoicesMended(self._mends.mended, self._held))
        return result
