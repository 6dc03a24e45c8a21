"""The helper process as the server sees it."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from twisted.internet.defer import Deferred

from pixelboot.state.leases import process
from pixelboot.state.leases.outcomes import StoreComplaint
from pixelboot.state.leases.process import LINE_LIMIT, HelperProcess
from pixelboot.state.leases.sqlite import SqliteLeases
from pixelboot.state.lock import StateUnusable
from tests.leases.suite import awaited
from tests.state.leases.store import StoreCase, reactor


class HelperProcessTests(StoreCase):
    """`HelperProcess`, with processes of all sorts."""

    @awaited
    async def test_unusable(self) -> None:
        """A database that cannot be used is an error that names it; nothing is left running."""
        causes: tuple[tuple[str, Callable[[], object]], ...] = (
            ("a database of another program", self.foreign),
            ("Is a directory", lambda: os.mkdir(self.path)),
            ("No module named", lambda: self.patch(process, "MODULE", "pixelboot.no.such.module")),
            ("ended with status 1", lambda: self.patch(sys, "executable", "/bin/false")),
        )
        folder = os.path.dirname(self.path)
        for n, (why, make) in enumerate(causes):
            self.path = os.path.join(folder, f"{n}.sqlite")
            make()
            try:
                await SqliteLeases.open(reactor, self.path, self.reports)
            except StateUnusable as problem:
                self.assertIn(why, str(problem))
                self.assertIn(self.path, str(problem))
            else:
                self.fail(f"it opened though: {why}")

    def foreign(self) -> None:
        """Make a database of another program."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("CREATE TABLE lease (address)")

    @awaited
    async def test_complaints(self) -> None:
        """What the helper says on standard error is reported, line by line."""
        self.patch(os, "environ", {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"})
        await self.opened()
        lines = [outcome.line for outcome in self.reports.seen if isinstance(outcome, StoreComplaint)]
        self.assertTrue(any("pixelboot.state.leases.wire" in line for line in lines), lines[-5:])

    @awaited
    async def test_a_stranger(self) -> None:
        """A process that talks of other things is ended, and what it said is told in lines that can be shown."""
        program = os.path.join(os.path.dirname(self.path), "stranger")
        Path(program).write_text(
            "#!/bin/sh\nprintf 'one\\033[2J\\n' >&2; head -c 5000 /dev/zero | tr '\\0' x >&2\n"
            "echo hello there; exec cat\n"
        )
        os.chmod(program, 0o700)
        self.patch(sys, "executable", program)
        complaints: list[str] = []
        ended: Deferred[str] = Deferred()
        helper = HelperProcess(lambda kind, body: self.fail("it spoke"), complaints.append, ended.callback)
        helper.start(reactor, self.path)
        self.assertEqual(await ended, "was killed by signal 9")
        self.assertIn("one\\x1b[2J", complaints)
        self.assertTrue(any("the helper sent a message of" in line for line in complaints), complaints)
        self.assertTrue(all(line.isprintable() for line in complaints))
        longest = max(map(len, complaints))
        self.assertLess(longest, LINE_LIMIT + 2)
        self.assertIsNone(helper.pid)
        helper.kill()
        helper.send(b"too late")
