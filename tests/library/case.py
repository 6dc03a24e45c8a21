"""A folder, a library over it, and a clock that is moved by hand."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThreadPool
from twisted.trial.unittest import TestCase

from pixelboot.library import library
from pixelboot.library.decoding import work
from pixelboot.library.decoding.cache import Cache
from pixelboot.library.decoding.finding import Finding
from pixelboot.library.decoding.order import Order
from pixelboot.library.decoding.pool import Job
from pixelboot.library.folder.watch import COALESCE
from pixelboot.library.library import Library, Unavailable
from pixelboot.library.settings import ContainersSettings
from pixelboot.outcome import Outcome
from pixelboot.payload import Payload

reactor: Any = installed


EVERYTHING = ("examine", "verify", "decode")


class Here:
    """Decoders that need no process of their own: the same work, in a thread, one job after the other."""

    def __init__(self, reactor: Any, cache: str, *, side_limit: int) -> None:
        self.begun: list[tuple[str, str]] = []
        """What was begun, as task and file name."""
        self.held: frozenset[str] = frozenset()
        """Which tasks are not begun."""
        self.problem: str | None = None
        """Why everything fails, if it does."""
        self.warm = False
        """Whether a process was started before there was work for it."""
        self.now: Job | None = None
        """What is under way."""
        self._reactor = reactor
        self._decoder = work.Decoder(Cache(cache, side_limit), side_limit)
        self._jobs: list[Job] = []
        self._ended: Deferred[None] | None = None

    @property
    def idle(self) -> bool:
        return not self._jobs and self.now is None

    @property
    def queue(self) -> list[str]:
        """The files that wait, in their order."""
        return [job.seen.file_name for job in self._jobs]

    def warm_up(self) -> None:
        self.warm = True

    def add(self, job: Job) -> None:
        self._jobs.append(job)
        self.go_on()

    def prefer(self, job: Job) -> None:
        if job in self._jobs:
            self._jobs.remove(job)
            self._jobs.insert(0, job)

    def drop(self, job: Job) -> None:
        job.found = job.ended = _ignore
        if job in self._jobs:
            self._jobs.remove(job)

    def stop(self) -> Deferred[None]:
        for job in (*self._jobs, *(() if self.now is None else (self.now,))):
            self.drop(job)
        self._ended = Deferred()
        self.go_on()
        return self._ended

    def hold(self, *tasks: str) -> None:
        """Begin nothing of this, until something else is said."""
        self.held = frozenset(tasks)
        self.go_on()

    def go_on(self) -> None:
        if self.now is None and self._ended is not None and not self._ended.called:
            self._ended.callback(None)
            return
        job = next((job for job in self._jobs if job.task not in self.held), None)
        if self.now is None and job is not None:
            self.now = job
            self._jobs.remove(job)
            self.begun.append((job.task, job.seen.file_name))
            deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._do, job).addCallback(self._done)

    def _do(self, job: Job) -> tuple[list[bytes], str | None]:
        if self.problem is not None:
            return [], self.problem
        answers = io.BytesIO()
        problem = work._attempted(Order(job.task, job.seen), answers, self._decoder)
        return answers.getvalue().splitlines(), problem

    def _done(self, result: tuple[list[bytes], str | None]) -> None:
        lines, problem = result
        job, self.now = self.now, None
        assert job is not None
        for line in lines:
            job.found(Finding.read(line))
        job.ended(problem)
        self.go_on()


def _ignore(_: object) -> None:
    pass


class FolderCase(TestCase):
    """One folder over time."""

    timeout = 30

    decoders: Any = Here
    """What decodes; `pixelboot.library.decoding.pool.Decoders` where it matters that they are processes."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).resolve()
        self.root.mkdir()
        self.cache = Path(self.mktemp()).resolve()
        self.clock = Clock()
        self.later = 30.0
        self.outcomes: list[Outcome] = []
        self.described: list[list[str]] = []
        self.patch(library, "Decoders", self.decoders)
        self.patch(work, "limit_memory", lambda room: None)
        self.library = self.make()
        self.library.startService()
        self.addCleanup(self.stop)

    def make(self, *more: Path, limit: int = 1 << 30, trusted: frozenset[str] = frozenset()) -> Library:
        """A library over the folder, and over `more` behind it."""
        return Library(
            [str(folder) for folder in (self.root, *more)],
            str(self.cache),
            reactor,
            self.report,
            settings=ContainersSettings(cache_size=limit),
            trusted=trusted,
            described=lambda: self.described.append([each.name for each in self.library.containers]),
            clock=self.clock,
            wall=lambda: time.time() + self.later,
        )

    async def restart(self, *more: Path, limit: int = 1 << 30, trusted: frozenset[str] = frozenset()) -> None:
        """Let another library take over."""
        await self.stop()
        self.outcomes.clear()
        self.library = self.make(*more, limit=limit, trusted=trusted)
        self.library.startService()

    async def stop(self) -> None:
        if self.library.running:
            await self.library.stopService()

    def report(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    @property
    def here(self) -> Here:
        """What decodes."""
        decoders: Any = self.library._decoders
        assert isinstance(decoders, Here)
        return decoders

    def put(self, name: str, octets: bytes) -> Path:
        """Put a picture into the folder the way a careful person does: beside, then renamed."""
        (self.root / f"{name}.part").write_bytes(octets)
        return (self.root / f"{name}.part").rename(self.root / name)

    async def look(self) -> None:
        """Let the library take in what has changed until now; what it has others do then goes on."""
        looks = self.library._looks
        quiet = 0
        while quiet < 2:
            await self.soon()
            self.clock.advance(COALESCE)
            quiet = 0 if looks._looking or not looks._looked else quiet + 1

    async def settle(self) -> list[str]:
        """Look, and wait until there is nothing to do; the lines since the last call."""
        await self.look()
        while not (self.library._parts.idle and self.library._decoders.idle):
            await self.soon()
        return self.lines()

    def lines(self) -> list[str]:
        """What was told since the last call, without what only counts."""
        lines = [outcome.summary() for outcome in self.outcomes if outcome.severity != "debug"]
        self.outcomes.clear()
        return lines

    def soon(self) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        reactor.callLater(0.001, done.callback, None)
        return done

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            await self.soon()

    @property
    def states(self) -> dict[str, str]:
        """By id."""
        return {container.id: container.state for container in self.library.containers}

    @property
    def kept(self) -> int:
        """Of how many pictures the cache holds the parts."""
        return len(os.listdir(self.cache / "parts"))

    async def octets(self, payload: Payload) -> bytes:
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

    def hang(self) -> None:
        """Let decoders take for ever."""
        program = Path(self.mktemp()).resolve()
        program.write_text("#!/bin/sh\nexec sleep 60\n", encoding="ascii")
        program.chmod(0o700)
        self.patch(sys, "executable", str(program))
