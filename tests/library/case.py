"""A folder, a library over it, and a clock that is moved by hand."""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from pixelboot.library import library
from pixelboot.library.file import FilePayload
from pixelboot.library.folder.look import Unreadable
from pixelboot.library.library import Library, Unavailable
from pixelboot.outcome import Outcome

reactor: Any = installed


class FolderCase(TestCase):
    """One folder over time."""

    timeout = 30

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).resolve()
        self.root.mkdir()
        self.cache = Path(self.mktemp()).resolve()
        self.clock = Clock()
        self.later = 100.0
        self.outcomes: list[Outcome] = []
        self._waiting: list[Deferred[None]] = []
        self.library = self.make()
        self.library.startService()
        self.addCleanup(self.stop)

    def make(self, *more: Path) -> Library:
        """A library over the folder, and over `more` behind it."""
        return Library(
            [str(folder) for folder in (self.root, *more)],
            str(self.cache),
            reactor,
            self.report,
            clock=self.clock,
            wall=lambda: time.time() + self.later,
        )

    def stop(self) -> Any:
        return self.library.stopService() if self.library.running else None

    def report(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def put(self, name: str, octets: bytes) -> Path:
        """Put a picture into the folder the way a careful person does: beside, then renamed."""
        (self.root / f"{name}.part").write_bytes(octets)
        return (self.root / f"{name}.part").rename(self.root / name)

    async def look(self) -> None:
        """Let the library look once; what it begins to decode then goes on."""
        self.assertEqual(len(self.clock.getDelayedCalls()), 1, "a look comes when the last one is over")
        self.clock.advance(library.POLL)
        while not self.clock.getDelayedCalls():
            await self.soon()

    async def settle(self) -> list[Outcome]:
        """Look, and wait until nothing is being decoded; the outcomes since the last call."""
        await self.look()
        while not self.idle or any(each.state == "decoding" and not each.reason for each in self.library.containers):
            await self.soon()
        outcomes, self.outcomes = self.outcomes, []
        return outcomes

    @property
    def idle(self) -> bool:
        """Whether every decoder's process has ended."""
        return self.library._decoders.idle

    def soon(self) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        reactor.callLater(0.002, done.callback, None)
        return done

    async def octets(self, payload: FilePayload) -> bytes:
        """All of a payload, whose entity tag must be that of its octets."""
        octets = payload.read(0, payload.size)
        self.assertEqual(await payload.etag(), f'"{hashlib.sha256(octets).hexdigest()}"')
        payload.close()
        return octets

    async def refused(self, asked: Any) -> str:
        """Why nothing can be had."""
        try:
            payload = await asked
        except Unavailable as error:
            return str(error)
        payload.close()
        return self.fail("it was available")

    def deny(self, root: str, name: str) -> int:
        raise Unreadable("the file cannot be opened: denied")

    def hang(self) -> None:
        """Let decoders take for ever."""
        program = Path(self.mktemp()).resolve()
        program.write_text("#!/bin/sh\nexec sleep 60\n", encoding="ascii")
        program.chmod(0o700)
        self.patch(sys, "executable", str(program))
