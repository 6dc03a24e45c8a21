"""The SQLite files of ours: opened, checked, brought up to date, set aside.

Write-ahead log, ``synchronous=FULL``: a transaction is on disk when it is committed, at the cost of one sync.  The file
is locked as long as it is open, so that no two processes ever write it; a second one waits a while for the first to
end, which is how a new server takes over from one that was killed.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import suppress
from typing import Any, NamedTuple

from pixelboot.state.lock import StateUnusable

LOCK_PATIENCE = 10.0
"""Seconds that a file which another process has open is waited for."""

LOG_LIMIT = 16 << 20
"""Octets of the write-ahead log that SQLite keeps when it begins it anew; only what is beyond is cut off."""

SCHEMA = os.path.join(os.path.dirname(__file__), "schema")
"""A folder for each kind of file."""


class Kind(NamedTuple):
    """What a file of ours is for."""

    schema: str
    """The folder with its schema: 001-….sql makes version 1 of nothing, 002-….sql version 2 of 1, and so on."""

    application_id: int
    """Says in the file's header whose it is."""

    remedy: str
    """What to do about one that is damaged."""


class DatabaseDamaged(StateUnusable):
    """The file is no sound database."""


class DatabaseForeign(StateUnusable):
    """The file is a sound database, but of another program or of a newer pixelboot."""


class DatabaseLost(StateUnusable):
    """The open file is not the one a restart would find, or not all of it is there."""


def connect(
    path: str, kind: Kind, patience: float, *, examine: bool = True
) -> tuple[sqlite3.Connection, os.stat_result]:
    """Open a file of ours, or make it (mode 0600): the connection, which has it locked, and what file that is.

    Unless somebody else does it later, all of it is examined.  Raises `StateUnusable`: it cannot be opened, is another
    process's, damaged, not ours, or of a newer version.
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
        _prepare(connection, path, kind, examine)
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


def _prepare(connection: sqlite3.Connection, path: str, kind: Kind, examine: bool) -> None:
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
    steps = sorted(name for name in os.listdir(kind.schema) if name.endswith(".sql"))
    if version > len(steps):
        raise DatabaseForeign(
            f"{path} was written by a newer pixelboot (version {version} of its schema, this one knows {len(steps)})"
        )
    if examine:
        examined(connection, path, kind)
    if (mode := pragma("journal_mode = WAL")) != "wal":
        raise StateUnusable(f"{path} is on a file system where SQLite cannot keep a write-ahead log (it says {mode})")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_LIMIT}")
    for number, step in enumerate(steps[version:], version + 1):
        with open(os.path.join(kind.schema, step), encoding="utf-8") as file:
            made = file.read()
        connection.executescript(
            f"BEGIN;\nPRAGMA application_id = {kind.application_id};\n{made}\nPRAGMA user_version = {number};\nCOMMIT;"
        )


def examined(connection: sqlite3.Connection, path: str, kind: Kind) -> None:
    """Look at all of an open database.  Raises `DatabaseDamaged` if it is not sound."""
    try:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as problem:
        raise unusable(path, kind, problem) from problem
    if verdict != "ok":
        raise _damaged(path, kind, verdict)


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
