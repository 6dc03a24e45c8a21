"""Tests of `pixelboot.library.decoding.pool`."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from pixelboot.library.decoding import pool
from pixelboot.library.decoding.cache import Cache
from pixelboot.library.decoding.finding import Finding
from pixelboot.library.decoding.pool import Decoders, Job
from pixelboot.library.folder.look import Stamp, Unreadable
from tests.container.pictures import container

reactor: Any = installed
SOUND = Finding("ready", "ab" * 32).write()


class Slow:
    """The reactor of a busy machine: a process has ended by the time that `spawnProcess` returns."""

    def __getattr__(self, name: str) -> object:
        return getattr(reactor, name)

    def spawnProcess(self, protocol: Any, *args: Any, **kwargs: Any) -> object:
        connected = protocol.makeConnection

        def late(transport: Any) -> None:
            os.waitid(os.P_PID, transport.pid, os.WEXITED | os.WNOWAIT)
            connected(transport)

        protocol.makeConnection = late
        return reactor.spawnProcess(protocol, *args, **kwargs)


class TestDecoders(TestCase):
    """Real processes: the decoder itself, and programs that behave worse than it ever should."""

    timeout = 30

    def setUp(self) -> None:
        self.cache = Path(self.mktemp()).resolve()
        Cache(str(self.cache)).prepare()
        self.decoders = Decoders(reactor, str(self.cache), at_once=1)
        self.addCleanup(self.decoders.stop)
        self.picture = Path(self.mktemp())
        self.picture.write_bytes(container({"kernel": b"kernel"}))
        self.found: list[Finding] = []

    def job(self, ended: Callable[[str | None], None], path: Path | None = None) -> Job:
        picture = path or self.picture
        return Job(Stamp.of(picture.stat()), lambda: os.open(picture, os.O_RDONLY), self.found.append, ended)

    async def decode(self) -> str | None:
        """Decode the picture: None when that went well, else the problem."""
        ended: Deferred[str | None] = Deferred()
        self.decoders.add(self.job(ended.callback))
        problem = await ended
        self.assertTrue(self.decoders.idle)
        return problem

    def program(self, text: str) -> None:
        """Let this shell script take the decoder's place."""
        path = Path(self.mktemp()).resolve()
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(stat.S_IRWXU)
        self.patch(sys, "executable", str(path))

    async def test_a_good_picture(self) -> None:
        self.assertIsNone(await self.decode())
        self.assertEqual([finding.state for finding in self.found], ["decoding", "decoding", "ready"])
        self.assertEqual((self.cache / self.found[-1].sha256 / "kernel").read_bytes(), b"kernel")

    async def test_decoders_that_fail(self) -> None:
        cases = {
            "kill -9 $$": "it was killed by SIGKILL",
            "exit 3": "it ended with status 3",
            "echo first >&2; echo disk full >&2; exit 1": "disk full",
            "exit 1": "it ended with status 1",
            "exit 0": "it ended without a result",
            "echo garbage": "it says nonsense: a line that is not JSON",
            "exec head -c 1000000 /dev/zero": "it says nonsense: a line without end",
            "exec yes": "it says nonsense: a line that is not JSON",
            f"printf '%s' '{SOUND.decode().strip()}'": "it ended without a result",
            "head -c 1000000 /dev/zero >&2; exit 4": "it ended with status 4",
        }
        for program, problem in cases.items():
            self.program(program)
            self.assertEqual(await self.decode(), f"the decoder failed: {problem}", program)
        self.assertEqual(self.found, [])

    async def test_one_that_takes_too_long(self) -> None:
        self.patch(pool, "PATIENCE", 0.05)
        self.program("exec sleep 60")
        self.assertEqual(await self.decode(), "the decoder failed: it took longer than 0 s")

    async def test_what_a_killed_one_leaves_is_removed(self) -> None:
        left = (
            f"mkdir {self.cache}/tmp-$$-x; echo half >{self.cache}/tmp-$$-x/kernel; echo x >{self.cache}/index/tmp-$$-y"
        )
        self.program(f"{left}; kill -9 $$")
        self.assertEqual(await self.decode(), "the decoder failed: it was killed by SIGKILL")
        self.assertEqual((os.listdir(self.cache), os.listdir(self.cache / "index")), (["index"], []))

    async def test_one_that_is_gone_before_it_is_known(self) -> None:
        self.decoders = Decoders(Slow(), str(self.cache), at_once=1)
        self.program(f"mkdir {self.cache}/tmp-$$-x; exit 3")
        self.assertEqual(await self.decode(), "the decoder failed: it ended with status 3")
        self.assertEqual(os.listdir(self.cache), ["index"])

    async def test_it_gets_the_picture_and_nothing_else(self) -> None:
        self.program("ls /proc/$$/fd | tr '\\n' ' ' >&2; cmp - " + str(self.picture.resolve()) + " >&2; exit 1")
        secret, other = os.pipe()
        os.set_inheritable(other, True)
        self.addCleanup(os.close, secret)
        self.addCleanup(os.close, other)
        problem = await self.decode()
        held = (problem or "").split(": ")[1].split()
        self.assertTrue({"0", "1", "2"} <= set(held), held)
        self.assertFalse({str(secret), str(other)} & set(held), held)

    async def test_what_cannot_be_begun(self) -> None:
        def unreadable() -> int:
            raise Unreadable("it is a fifo")

        problems: list[str | None] = []
        stamp = Stamp.of(self.picture.stat())
        self.decoders.add(Job(stamp, unreadable, self.found.append, problems.append))
        other = Stamp(stamp.device, stamp.inode, 99, 0, 0)
        self.decoders.add(Job(other, lambda: os.open(self.picture, os.O_RDONLY), self.found.append, problems.append))
        self.assertEqual(problems, ["it is a fifo", "the file was replaced before it could be read"])
        self.assertIsNone(await self.decode(), "and others go on")

    async def test_the_order(self) -> None:
        order: list[str] = []
        done: Deferred[None] = Deferred()
        jobs = {name: self.job(lambda _, name=name: order.append(name)) for name in "abcd"}  # type: ignore[misc]
        jobs["d"].ended = lambda _: done.callback(None)
        for job in jobs.values():
            self.decoders.add(job)
        self.decoders.prefer(jobs["c"])
        self.decoders.prefer(jobs["a"])
        self.decoders.drop(jobs["b"])
        self.assertFalse(self.decoders.idle)
        await done
        self.assertEqual(order, ["a", "c"], "a had begun, c overtook, b was dropped")

    async def test_stop_leaves_no_process(self) -> None:
        mark = Path(self.mktemp()).resolve()
        self.program(f"echo $$ > {mark}.new; mv {mark}.new {mark}; exec sleep 60")
        ended: list[str | None] = []
        self.decoders.add(self.job(ended.append))
        self.decoders.add(self.job(ended.append))
        while not mark.exists():
            await self.soon()
        pid = int(mark.read_text(encoding="ascii"))
        both = self.decoders.stop(), self.decoders.stop()
        for stopped in both:
            await stopped
        self.assertRaises(ProcessLookupError, os.kill, pid, signal.SIG_DFL)
        self.assertEqual((ended, self.decoders.idle), ([], True), "nobody is told any more")

    def soon(self) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        reactor.callLater(0.005, done.callback, None)
        return done
