"""The SQLite files of ours: opened, checked, brought up to date; and that of the leases, written.

It blocks, so a helper process has the leases.

Write-ahead log, ``synchronous=FULL``: a transaction is on disk when `Database.commit` returns, at the cost of one sync.
The file is locked as long as it is open, so that no two processes ever write it; a second one waits a while for the
first to end, which is how a new server takes over from one that was killed.

SQLite goes on writing to a file that was deleted or replaced under it, and does not look whether one was cut short.
`Database.check` looks, around every commit, so that nothing is called durable that a restart would not find.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pixelboot.state.lock import StateUnusable
from pixelboot.state.wire import Row

LOCK_PATIENCE = 10.0
"""Seconds that a file which another process has open is waited for."""

LOG_LIMIT = 16 << 20
"""Octets of the write-ahead log that SQLite keeps when it begins it anew; only what is beyond is cut off."""

REMEDY = ": put back a copy, or move it away together with its -wal to start without leases"
"""What to do about a damaged file when no server holds the leases."""

SCHEMA = Path(__file__).parent / "schema"
"""A folder for each kind of file."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file of ours is for."""

    schema: Path
    """The folder with its schema: 001-….sql makes version 1 of nothing, 002-….sql version 2 of 1, and so on."""

    application_id: int
    """Says in the file's header whose it is."""

    remedy: str
    """What to do about one that is damaged."""


LEASES = Kind(SCHEMA / "leases", 0x50584254, REMEDY)
"""The leases (``PXBT``)."""

_UPSERT = """
    INSERT INTO lease (address, identity, hwaddr, state, started_at, expires_at, hostname) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (address) DO UPDATE SET
        identity = excluded.identity, hwaddr = excluded.hwaddr, state = excluded.state,
        started_at = excluded.started_at, expires_at = excluded.expires_at, hostname = excluded.hostname
"""
_DELETE = "DELETE FROM lease WHERE address = ?"
_SELECT = "SELECT address, identity, hwaddr, state, started_at, expires_at, hostname FROM lease"


class DatabaseDamaged(StateUnusable):
    """The file is no sound database."""


class DatabaseForeign(StateUnusable):
    """The file is a sound database, but of another program or of a newer pixelboot."""


class DatabaseLost(StateUnusable):
    """The open file is not the one a restart would find, or not all of it is there."""


class Database:
    """An open database of leases."""

    def __init__(self, connection: sqlite3.Connection, path: str, file: os.stat_result) -> None:
        """Take over an open connection to `file`.  Use `open`."""
        self._connection = connection
        self._path = path
        self._seen = {path: file}

    @classmethod
    def open(cls, path: str, patience: float = LOCK_PATIENCE) -> Self:
        """Open the file, or make it (mode 0600).

        Raises `StateUnusable`: it cannot be opened, is another process's, damaged, not ours, or of a newer version.
        """
        connection, file = connect(path, LEASES, patience)
        try:
            database = cls(connection, path, file)
            database.check()
            return database
        except StateUnusable:
            connection.close()
            raise

    def rows(self, at_once: int = 1000) -> Iterator[list[Row]]:
        """All rows, `at_once` at a time.  Raises `StateUnusable` for what cannot be read."""
        try:
            cursor = self._connection.execute(_SELECT)
            while rows := cursor.fetchmany(at_once):
                yield rows
        except sqlite3.Error as problem:
            raise unusable(self._path, LEASES, problem) from problem

    def commit(self, groups: Iterable[Iterable[Row]]) -> None:
        """Make rows durable, in this order, all or none.  Raises `sqlite3.Error` and `DatabaseLost`."""
        execute = self._connection.execute
        # Before, too: writing fills up a file that was cut short, and afterwards it looks as long as it should be.
        self.check()
        execute("BEGIN IMMEDIATE")
        try:
            for rows in groups:
                for row in rows:
                    execute(_UPSERT if len(row) > 1 else _DELETE, row)
            execute("COMMIT")
        except BaseException:  # whatever it is, it goes on; no transaction may stay open
            # SQLite has rolled back by itself after some errors, and then there is nothing to roll back.
            with suppress(sqlite3.Error):
                execute("ROLLBACK")
            raise
        self.check()

    def check(self) -> None:
        """Raise `DatabaseLost` when file or log were deleted, replaced or cut short by somebody else.

        Nothing may be done with the database then, not even `close`: SQLite would delete a log that is not its own.
        """
        for path in (self._path, f"{self._path}-wal"):
            known = self._seen.get(path)
            try:
                now = os.stat(path)
            except FileNotFoundError:
                if known is not None:
                    raise DatabaseLost(f"{path} was deleted while it was in use") from None
                continue  # SQLite makes the log when it first has something to write.
            except OSError as problem:
                raise DatabaseLost(f"{path} cannot be looked at any more: {problem.strerror}") from problem
            if known is not None and (now.st_dev, now.st_ino) != (known.st_dev, known.st_ino):
                raise DatabaseLost(f"{path} was replaced by another file while it was in use")
            # The file itself never shrinks, since nothing here vacuums it.
            if known is not None and now.st_size < (
                known.st_size if path == self._path else min(known.st_size, LOG_LIMIT)
            ):
                raise DatabaseLost(f"{path} was cut from {known.st_size} to {now.st_size} octets while it was in use")
            self._seen[path] = now

    def close(self) -> None:
        """Write the log back into the file and let go of it."""
        self._connection.close()


def connect(path: str, kind: Kind, patience: float) -> tuple[sqlite3.Connection, os.stat_result]:
    """Open a file of ours, or make it (mode 0600): the connection, which has it locked, and what file that is.

    Raises `StateUnusable` as `Database.open` does.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise StateUnusable(f"{path} cannot be opened: {problem.strerror}") from problem
    file = os.fstat(fd)
    os.close(fd)
    if not stat.S_ISREG(file.st_mode):
        raise StateUnusable(f"{path} is not a plain file")
    connection = None
    try:
        connection = sqlite3.connect(path, timeout=patience, isolation_level=None)
        _prepare(connection, path, kind)
    except (sqlite3.Error, StateUnusable) as problem:
        if connection is not None:
            connection.close()
        raise unusable(path, kind, problem) if isinstance(problem, sqlite3.Error) else problem from problem.__cause__
    return connection, file


def set_aside(path: str) -> str:
    """Rename a damaged database and its log, so that a new one can be made; its new name.  Raises `StateUnusable`."""
    number = 1
    while os.path.lexists(aside := f"{path}.damaged-{number}"):
        number += 1
    try:
        os.rename(path, aside)
        for suffix in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.rename(path + suffix, aside + suffix)
    except OSError as problem:
        raise StateUnusable(f"{path} is damaged and cannot be set aside: {problem.strerror}") from problem
    return aside


def _prepare(connection: sqlite3.Connection, path: str, kind: Kind) -> None:
    """Lock, examine and update the database."""

    def pragma(text: str) -> Any:
        return connection.execute(f"PRAGMA {text}").fetchone()[0]

    pragma("locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("ROLLBACK")
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    version, application = pragma("user_version"), pragma("application_id")
    if (tables or version) and application != kind.application_id:
        raise DatabaseForeign(f"{path} is a database of another program")
    steps = sorted(kind.schema.glob("*.sql"))
    if version > len(steps):
        raise DatabaseForeign(
            f"{path} was written by a newer pixelboot (version {version} of its schema, this one knows {len(steps)})"
        )
    if (verdict := pragma("quick_check(1)")) != "ok":
        raise _damaged(path, kind, verdict)
    if (mode := pragma("journal_mode = WAL")) != "wal":
        raise StateUnusable(f"{path} is on a file system where SQLite cannot keep a write-ahead log (it says {mode})")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_LIMIT}")
    for number, step in enumerate(steps[version:], version + 1):
        connection.executescript(
            f"BEGIN;\nPRAGMA application_id = {kind.application_id};\n{step.read_text('utf-8')}\n"
            f"PRAGMA user_version = {number};\nCOMMIT;"
        )


def unusable(path: str, kind: Kind, problem: sqlite3.Error) -> StateUnusable:
    """What an error of SQLite means for who starts the server."""
    name = getattr(problem, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StateUnusable(f"{path} is in use by another process")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return _damaged(path, kind, str(problem))
    return StateUnusable(f"{path} cannot be used: {problem}")


def _damaged(path: str, kind: Kind, detail: str) -> DatabaseDamaged:
    return DatabaseDamaged(f"{path} is damaged ({detail}){kind.remedy}")
