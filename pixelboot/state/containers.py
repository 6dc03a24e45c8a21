"""The SQLite file of what the operator decided about containers, and the store over it.

A change opens the file, reads what is there, makes it say what shall be, and closes it; it is on disk when it returns.
Changes are rare, so nothing is held open between them, and a file that somebody deleted, replaced or changed meanwhile
is found at the next change: memory is right while a server runs, and writes all of it again.  What is no file of ours
any more is renamed, not written over.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from types import MappingProxyType
from typing import Any, ParamSpec, Self, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool

from pixelboot.boot.seam import (
    PLAIN,
    ChoiceFailed,
    Choices,
    ContainerSettings,
    amended,
    checked_default,
    checked_id,
)
from pixelboot.outcome import Outcome
from pixelboot.state.database import (
    SCHEMA,
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

FILE_NAME = "containers.sqlite"
"""Its name in the state folder."""

CONTAINERS = Kind(
    SCHEMA / "containers",
    0x50584243,
    ": put back a copy, or move it away together with its -wal to start without settings of containers",
)
"""The settings of containers (``PXBC``)."""

PATIENCE = 2.0
"""Seconds that a file which another program has locked is waited for."""

P = ParamSpec("P")
T = TypeVar("T")

_Row = tuple[str, int, str, str, int | None, float | None, str]
"""Id, enabled, name, description, position, timeout, arguments."""

_SELECT = "SELECT id, enabled, name, description, position, timeout, arguments FROM container"
_SELECT_DEFAULT = "SELECT id FROM default_entry"
_UPSERT = """
    INSERT INTO container (id, enabled, name, description, position, timeout, arguments) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        enabled = excluded.enabled, name = excluded.name, description = excluded.description,
        position = excluded.position, timeout = excluded.timeout, arguments = excluded.arguments
"""


class ChoicesFile:
    """What the file holds, in memory too.  It blocks: a server changes it through `SqliteChoices`.

    Who uses it has the `pixelboot.state.lock.StateLock` of the folder.
    """

    def __init__(self, path: str, choices: Choices) -> None:
        """Use `open`."""
        self.choices = choices
        """What is on disk; replaced when a change is."""
        self.mended = ""
        """What had become of the file before the last change, which put it right; empty when it was as it was left."""
        self._path = path

    @classmethod
    def open(cls, path: str) -> Self:
        """Read the file, or make it (mode 0600).

        Raises `StateUnusable`: it cannot be opened, is another program's, damaged, or of a newer version.
        """
        connection, _ = connect(path, CONTAINERS, PATIENCE)
        with closing(connection):
            try:
                rows, default = _read(connection)
            except sqlite3.Error as problem:
                raise unusable(path, CONTAINERS, problem) from problem
        said = {name: _settings(row) for name, row in rows.items()}
        return cls(path, Choices(default, MappingProxyType(said)))

    def change(self, id: str, said: Mapping[str, object]) -> tuple[ContainerSettings, ContainerSettings]:  # noqa: A002
        """See `ContainerStore.change`."""
        before = self.choices.of(checked_id(id))
        after = amended(before, said)
        self._become(self.choices.having(id, after))
        return before, after

    def reset(self, id: str) -> tuple[ContainerSettings, ContainerSettings]:  # noqa: A002
        """See `ContainerStore.reset`."""
        before = self.choices.of(checked_id(id))
        self._become(self.choices.having(id, PLAIN))
        return before, PLAIN

    def choose_default(self, default: str) -> tuple[str, str]:
        """See `ContainerStore.choose_default`."""
        before, after = self.choices.default, checked_default(default)
        self._become(Choices(after, self.choices.containers))
        return before, after

    def _become(self, choices: Choices) -> None:
        """Write what shall be; only then is it so."""
        self.mended = ""
        try:
            try:
                self._write(choices)
            except (DatabaseDamaged, DatabaseForeign) as problem:
                what = str(problem).removesuffix(CONTAINERS.remedy)
                aside = set_aside(self._path)
                self._write(choices)
                self.mended = f"{what}: set aside as {aside}"
        except (StateUnusable, OSError) as problem:
            self.mended = ""
            raise ChoiceFailed(str(problem)) from problem
        self.choices = choices

    def _write(self, choices: Choices) -> None:
        """Make the file say this, in one transaction."""
        connection, file = connect(self._path, CONTAINERS, PATIENCE)
        with closing(connection):
            try:
                self._commit(connection, choices)
            except sqlite3.Error as problem:
                # SQLite has rolled back by itself after some errors, and then there is nothing to roll back.
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise unusable(self._path, CONTAINERS, problem) from problem
        now = os.stat(self._path)
        if (now.st_dev, now.st_ino) != (file.st_dev, file.st_ino):
            raise DatabaseLost(f"{self._path} was replaced while it was written; try again")

    def _commit(self, connection: sqlite3.Connection, choices: Choices) -> None:
        execute = connection.execute
        execute("BEGIN IMMEDIATE")
        there, default = _read(connection)
        if (there, default) != (_rows(self.choices), self.choices.default):
            self.mended = f"{self._path} did not hold what was left in it"
        wanted = _rows(choices)
        for gone in there.keys() - wanted.keys():
            execute("DELETE FROM container WHERE id = ?", (gone,))
        for row in wanted.values():
            if there.get(row[0]) != row:
                execute(_UPSERT, row)
        if default != choices.default:
            execute("DELETE FROM default_entry")
            if choices.default:
                execute("INSERT INTO default_entry (id) VALUES (?)", (choices.default,))
        execute("COMMIT")


class SqliteChoices(Service):
    """A `pixelboot.boot.seam.ContainerStore`: changes are made in a thread, one at a time.

    A change that was begun is brought to its end, whether or not somebody still waits for it; the service stops when
    all are.
    """

    name = "choices"

    def __init__(self, file: ChoicesFile, reactor: Any, report: Callable[[Outcome], None]) -> None:
        """`report` is told when somebody else changed the file."""
        self._file = file
        self._reactor = reactor
        self._report = report
        self._turn = DeferredLock()
        self._stopped = False

    async def choices(self) -> Choices:
        """See `ContainerStore.choices`."""
        return self._file.choices

    async def change(self, id: str, said: Mapping[str, object]) -> tuple[ContainerSettings, ContainerSettings]:  # noqa: A002
        """See `ContainerStore.change`."""
        return await self._in_turn(self._file.change, id, said)

    async def reset(self, id: str) -> tuple[ContainerSettings, ContainerSettings]:  # noqa: A002
        """See `ContainerStore.reset`."""
        return await self._in_turn(self._file.reset, id)

    async def choose_default(self, default: str) -> tuple[str, str]:
        """See `ContainerStore.choose_default`."""
        return await self._in_turn(self._file.choose_default, default)

    def stopService(self) -> Deferred[None]:
        """Make no further change; fires when the last one is done."""
        super().stopService()
        self._stopped = True
        return self._turn.run(lambda: None)

    def _in_turn(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Deferred[T]:
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
        if self._file.mended:
            self._report(ChoicesMended(self._file.mended))
        return result


def _read(connection: sqlite3.Connection) -> tuple[dict[str, _Row], str]:
    """The rows by their ids, and the default."""
    rows = {row[0]: row for row in connection.execute(_SELECT)}
    default = connection.execute(_SELECT_DEFAULT).fetchone()
    return rows, default[0] if default else ""


def _rows(choices: Choices) -> dict[str, _Row]:
    return {
        each: (each, int(said.enabled), said.name, said.description, said.order, said.timeout, said.arguments)
        for each, said in choices.containers.items()
    }


def _settings(row: _Row) -> ContainerSettings:
    _, enabled, name, description, position, timeout, arguments = row
    return ContainerSettings(bool(enabled), name, description, position, timeout, arguments)
