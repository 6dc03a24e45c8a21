"""The helper process that makes leases durable: ``python -m pixelboot.state.helper FILE [again]``, over two pipes.

It takes every commit that has arrived meanwhile into one transaction, so that a burst of machines costs one sync, and
answers when that is done.  It ends when the server does (the end of its input), having committed what came before; a
signal to the whole process group, like Ctrl-C, leaves it alone, because the server still needs it to stop in order.
It ends, too, after a commit that failed, or when somebody deletes, replaces or cuts the file: the server starts another
one, with ``again``, and tells it everything.  Then, and only then, a damaged file is set aside and a new one made.
"""

from __future__ import annotations

import os
import select
import signal
import sqlite3
import sys
from contextlib import closing
from typing import Any

from pixelboot.state.database import REMEDY, Database, DatabaseDamaged, DatabaseLost, set_aside
from pixelboot.state.lock import StateUnusable
from pixelboot.state.wire import Messages, Row, encode

READ_SIZE = 1 << 20
"""Octets read at once."""

GROUP_LIMIT = 1000
"""Commits in one transaction, about; so that the first of them does not wait for ever under load."""

LOOK_INTERVAL = 1.0
"""Seconds of silence after which the helper looks whether its file is still there."""


def main(arguments: list[str]) -> int:
    """Serve the database `arguments[0]` between standard input and output; the exit status.

    A second argument, ``again``, says that the server holds all leases, so that those in a damaged file are not needed.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        return _serve(arguments[0], arguments[1:] == ["again"])
    except BrokenPipeError:
        return 0  # The server is gone; what it sent is committed, and nobody waits for the answer.


def _serve(path: str, again: bool) -> int:
    try:
        with closing(_open(path, again)) as database:
            _send("ready")
            try:
                messages = Messages()
                while arrived := _receive(messages, database):
                    if not _handle(database, arrived):
                        return 1
                database.check()
            except DatabaseLost as problem:
                try:
                    _send("failed", 0, str(problem))
                finally:
                    # Without closing, which would write to files that may be somebody else's by now.
                    os._exit(1)
            return 0
    except StateUnusable as problem:
        _send("unusable", str(problem))
        return 1


def _open(path: str, again: bool) -> Database:
    """Open the database; one that is damaged is replaced by a new one when this is `again`."""
    try:
        return Database.open(path)
    except DatabaseDamaged as problem:
        if not again:
            raise
        aside = set_aside(path)
        what = str(problem).removesuffix(REMEDY)
        sys.stderr.write(f"{what}: set aside as {aside}, all leases are written to a new file\n")
        return Database.open(path)


def _handle(database: Database, arrived: list[list[Any]]) -> bool:
    """Do what was asked; False when it could not be done and this is the end."""
    groups: list[list[Row]] = []
    last = 0
    for message in arrived:
        match message:
            case ["commit", int(number), list(rows)]:
                groups.append(rows)
                last = number
            case ["load"]:
                for some in database.rows():
                    _send("rows", some)
                _send("loaded")
            case _:
                raise ValueError(f"the server said {str(message)[:80]}")
    if groups:
        try:
            database.commit(groups)
        except sqlite3.Error as problem:
            _send("failed", last, str(problem))
            return False
        _send("saved", last)
    return True


def _receive(messages: Messages, database: Database) -> list[list[Any]]:
    """Wait for messages, then take all that have arrived; none at the end of the input.  Raises `DatabaseLost`."""
    while not select.select([0], [], [], LOOK_INTERVAL)[0]:
        database.check()
    arrived: list[list[Any]] = []
    while not arrived or (len(arrived) < GROUP_LIMIT and select.select([0], [], [], 0)[0]):
        octets = os.read(0, READ_SIZE)
        if not octets:
            break
        arrived += messages.received(octets)
    return arrived


def _send(*message: Any) -> None:
    octets = memoryview(encode(*message))
    while octets:
        octets = octets[os.write(1, octets) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
