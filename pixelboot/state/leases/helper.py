"""The helper process that makes leases durable: ``python -m pixelboot.state.leases.helper FILE [again]``.

It hears and answers over two pipes, see `pixelboot.state.leases.wire`.

It takes every commit that has arrived meanwhile into one transaction, so that a burst of machines costs one sync, and
answers when that is done.  What the server sends goes to the journal as it is; it is folded into the table of leases
when nobody waits, a little at a time.

It ends when the server does (the end of its input), having committed what came before; a signal to the whole process
group, like Ctrl-C, leaves it alone, because the server still needs it to stop in order.  It ends, too, after a commit
that failed, or when somebody deletes, replaces, cuts or writes the file: the server starts another one, with ``again``,
and makes good what is missing.

A damaged file is set aside, never overwritten.  What can be read of it goes into a new one, which takes its place only
when it is whole; with ``again`` the server has everything, and the new file begins empty.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sqlite3
import sys
from contextlib import closing, suppress

from pixelboot.state.database import DatabaseDamaged, DatabaseLost, set_aside
from pixelboot.state.leases import wire
from pixelboot.state.leases.database import Database
from pixelboot.state.leases.wire import Messages
from pixelboot.state.lock import StateUnusable

READ_SIZE = 1 << 20
"""Octets read at once."""

GROUP_LIMIT = 64
"""Messages of the server in one transaction; so that the first of them does not wait for ever."""

LOOK_INTERVAL = 1.0
"""Seconds of silence after which the helper looks whether its file is still there."""

REST = 0.25
"""Seconds of silence after which it folds the journal."""

JOURNAL_LIMIT = 16 << 20
"""Octets of the journal, beyond which it is folded between commits: 200,000 leases, read in half a second."""

FOLD_AT_ONCE = 400
"""Rows folded at a time: that takes 1 to 3 ms, for which a commit may have to wait."""


def main(arguments: list[str]) -> int:
    """Serve the database `arguments[0]` between standard input and output; the exit status.

    A second argument, ``again``, says that the server holds all leases, so that those in a damaged file are not needed.
    """
    # Nothing here makes cycles, and to look for some takes a third of the time that rows take to be read.
    gc.disable()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        return Helper(arguments[0], arguments[1:] == ["again"]).run()
    except BrokenPipeError:
        return 0  # The server is gone; what it sent is committed, and nobody waits for the answer.


class Helper:
    """What the process does."""

    def __init__(self, path: str, again: bool) -> None:
        self._path = path
        self._again = again
        self._messages = Messages()
        self._folding = True

    def run(self) -> int:
        """All of it; the exit status."""
        try:
            self._database = self._open()
            _send(b"R")
            try:
                done = self._serve()
                if done:
                    with suppress(sqlite3.Error):
                        while self._folding and self._database.fold(FOLD_AT_ONCE):
                            self._database.checkpoint()
                    self._database.check()
            except DatabaseLost as problem:
                try:
                    _send(b"F", str(problem))
                finally:
                    # Without closing, which would write to files that may be somebody else's by now.
                    os._exit(1)
            self._database.close()
            return 0 if done else 1
        except StateUnusable as problem:
            _send(b"U", str(problem))
            return 1

    def _open(self) -> Database:
        finish(self._path)
        try:
            return Database.open(self._path)
        except DatabaseDamaged as problem:
            return self._mended(problem)

    def _mended(self, problem: DatabaseDamaged) -> Database:
        """The database in place of the damaged one, with what could be saved, or empty if the server has it all."""
        if self._again:
            aside = set_aside(self._path)
            _send(b"D", f"{problem}: set aside as {aside}, all leases are written to a new file")
        else:
            _send(b"D", f"{problem}: {rebuild(self._path)}")
        return Database.open(self._path)

    def _serve(self) -> bool:
        """Do what is asked, until the input ends; False when something could not be done and this is the end."""
        while arrived := self._receive():
            batches = []
            last = b""
            for kind, body in arrived:
                if kind == b"C":
                    batches.append(body[8:])
                    last = body[:8]
                elif kind == b"L":
                    self._load()
                else:
                    raise ValueError(f"the server said {kind!r}")
            if batches:
                try:
                    self._database.commit(batches)
                except sqlite3.Error as problem:
                    _send(b"F", str(problem))
                    return False
                os.write(1, wire.message(b"S", last))
                self._keep_house(JOURNAL_LIMIT)
        return True

    def _load(self) -> None:
        """Send everything, and then look whether it was sound."""
        try:
            self._send_all()
            self._database.examine()
        except DatabaseDamaged as problem:
            _send(b"X")
            self._database.close()
            self._database = self._mended(problem)
            self._send_all()
        _send(b"E")

    def _send_all(self) -> None:
        for some in self._database.rows():
            _write(wire.rows(some))
        for octets in self._database.batches():
            _write(wire.message(b"J", octets))

    def _keep_house(self, journal_limit: int) -> bool:
        """Do a little of what nobody waits for; whether there was anything to do."""
        folded = False
        if self._folding and self._database.journal_size > journal_limit:
            try:
                folded = self._database.fold(FOLD_AT_ONCE)
            except sqlite3.Error as problem:
                # The journal has it all the same; the next helper tries again.
                self._folding = False
                sys.stderr.write(f"{self._path}: the journal cannot be folded: {problem}\n")
        with suppress(sqlite3.Error):  # it is in the log, and the next commit says what is the matter with the disk
            self._database.checkpoint()
        return folded

    def _receive(self) -> list[tuple[bytes, bytes]]:
        """Wait for messages, then take all that have arrived; none at the end of the input.  Raises `DatabaseLost`."""
        rest = REST
        while not select.select([0], [], [], rest)[0]:
            rest = 0.0 if self._keep_house(0) else LOOK_INTERVAL
            self._database.check()
        arrived: list[tuple[bytes, bytes]] = []
        while not arrived or (len(arrived) < GROUP_LIMIT and select.select([0], [], [], 0)[0]):
            octets = os.read(0, READ_SIZE)
            if not octets:
                break
            arrived += self._messages.received(octets)
        return arrived


def rebuild(path: str) -> str:
    """Set a damaged database aside and put a new one in its place, with all that can be read of it; what was done.

    Whatever happens meanwhile, the next start finds the damaged file, or the new one whole: see `finish`.
    Raises `StateUnusable`.
    """
    # Almost never needed, and with all that it imports half of what a helper takes to start.
    from pixelboot.state.leases.salvage import salvage

    try:
        with open(path, "rb") as file:
            octets = file.read()
        log = b""
        with suppress(FileNotFoundError), open(f"{path}-wal", "rb") as file:
            log = file.read()
        found = salvage(octets, log)
        begun = f"{path}.rebuilding"
        for old in (begun, f"{begun}-wal", f"{begun}-shm"):
            with suppress(FileNotFoundError):
                os.unlink(old)
        with closing(Database.open(begun)) as database:
            saved = database.fill(found.rows.values())
        os.rename(begun, f"{path}.rebuilt")
    except (OSError, sqlite3.Error) as problem:
        raise StateUnusable(f"{path} is damaged, and what can be read of it cannot be written: {problem}") from problem
    aside = finish(path)
    return (
        f"{saved} leases could be read and are in a new file, {found.unreadable} pieces could not; set aside as {aside}"
    )


def finish(path: str) -> str:
    """Put a rebuilt database, if there is one, in the place of the damaged one; where that is now.

    Raises `StateUnusable`.
    """
    if not os.path.exists(f"{path}.rebuilt"):
        return ""
    aside = set_aside(path) if os.path.exists(path) else ""
    with suppress(FileNotFoundError):
        os.unlink(f"{path}-wal")
    os.rename(f"{path}.rebuilt", path)
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    return aside


def _send(kind: bytes, text: str = "") -> None:
    _write(wire.message(kind, text.encode("utf-8", "replace")))


def _write(octets: bytes) -> None:
    left = memoryview(octets)
    while left:
        left = left[os.write(1, left) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
