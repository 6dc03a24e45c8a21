"""Tests of `pixelboot.library.decoding.pool`."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from pixelboot.library.decoding import pool
from pixelboot.library.decoding.cache import Cache
from pixelboot.library.decoding.finding import Finding
from pixelboot.library.decoding.order import STALE, Ended, Task
from pixelboot.library.decoding.pool import Decoders, Job
from pixelboot.library.folder.look import Seen, look
from tests.container.pictures import container

reactor: Any = installed
SOUND = Finding("ready", "ab" * 32).write().decode("ascii").strip()
BEGUN = Finding().write().decode("ascii").strip()
END = Ended(None, 5).write().decode("ascii").strip()
LARGE = Ended(None, pool.RESIDENT_LIMIT + 1).write().decode("ascii").strip()
ANSWER = f"echo '{SOUND}'; echo '{END}'"
OBEDIENT = f"echo ready; while read order; do {ANSWER}; done"


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


class DecodersCase(TestCase):
    """Some pictures, a cache, and decoders."""

    timeout = 30

    def setUp(self) -> None:
        self.cache = Path(self.mktemp()).resolve()
        Cache(str(self.cache)).prepare()
        self.root = Path(self.mktemp()).resolve()
        self.root.mkdir()
        self.decoders = Decoders(reactor, str(self.cache), side_limit=64, at_once=1)
        self.addCleanup(self.stop)
        self.found: list[Finding] = []

    def stop(self) -> Deferred[None]:
        return self.decoders.stop()

    def put(self, name: str = "demo", octets: bytes | None = None) -> Seen:
        """Put a picture into the folder, and look at it."""
        (self.root / f"{name}.rts.png").write_bytes(container({"kernel": b"kernel"}) if octets is None else octets)
        return next(seen for seen in look(str(self.root)) if seen.file_name == f"{name}.rts.png")

    async def do(self, task: Task, seen: Seen) -> str | None:
        """Do this with a picture: None when that went well, else the problem."""
        ended: Deferred[str | None] = Deferred()
        self.decoders.add(Job(seen, task, self.found.append, ended.callback))
        self.assertFalse(self.decoders.idle)
        problem = await ended
        self.assertTrue(self.decoders.idle)
        return problem

    def pids(self) -> list[int]:
        """The processes there are: the one that examines, then those that decode."""
        lanes = (self.decoders._examine, self.decoders._decode)
        return [process.pid for lane in lanes for process in lane.processes]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that another process does."""
        while not condition():
            done: Deferred[None] = Deferred()
            reactor.callLater(0.002, done.callback, None)
            await done


class TestProcesses(DecodersCase):
    """The decoder itself."""

    async def test_one_process_after_another(self) -> None:
        """In one test, for each process takes a while to start."""
        seen = self.put()
        self.assertIsNone(await self.do("decode", seen))
        self.assertEqual([finding.state for finding in self.found], ["decoding", "decoding", "ready"])
        last = self.found[-1]
        self.assertTrue(Cache(str(self.cache), 64).holds(last), "with the limit that was given")
        (pid,) = self.pids()

        self.found.clear()
        self.assertIsNone(await self.do("verify", seen))
        self.assertEqual([finding.state for finding in self.found], ["decoding", "ready"])
        self.assertIsNone(await self.do("decode", self.put("hurt", b"no picture")))
        self.assertEqual((self.found[-1].state, self.pids()), ("damaged", [pid]), "one process did all that")

        gone = replace(seen, file_name="gone.rts.png")
        self.assertEqual(await self.do("decode", gone), STALE)
        self.assertEqual(self.pids(), [pid], "a problem is no reason to end")

        os.kill(pid, signal.SIGKILL)
        await self.until(lambda: not self.pids())
        self.found.clear()
        self.assertIsNone(await self.do("decode", seen), "nobody was at work, and nobody is told")
        self.assertEqual(self.found[-1], last)
        self.assertNotIn(pid, self.pids())

        parts = self.put("wide", container({"kernel": b"kernel"}, 128))
        self.assertIsNone(await self.do("verify", parts))
        self.assertIn("above the limit of 64", self.found[-1].reason)

    async def test_descriptions_do_not_wait_for_pixels(self) -> None:
        seen = [self.put(f"{number:03}") for number in range(pool.AHEAD + 40)]
        order: list[str] = []
        done: Deferred[None] = Deferred()

        def ended(each: Seen, problem: str | None) -> None:
            self.assertIsNone(problem)
            order.append(each.file_name)
            if len(order) == len(seen):
                done.callback(None)

        stuck = Job(seen[0], "decode", self.fail, self.fail)
        self.decoders.add(stuck)
        (pid,) = self.pids()
        os.kill(pid, signal.SIGSTOP)
        jobs = [Job(each, "examine", self.found.append, partial(ended, each)) for each in seen]
        for job in jobs:
            self.decoders.add(job)
        self.decoders.prefer(jobs[-1])
        self.decoders.prefer(jobs[0])
        self.decoders.drop(jobs[-2])
        self.decoders.drop(jobs[1])
        seen = seen[:-2]
        await done
        self.assertEqual((order.index("000.rts.png"), len(set(order)), len(self.pids())), (0, len(seen), 2))
        self.assertLess(order.index(jobs[-1].seen.file_name), order.index(jobs[-3].seen.file_name), "it was preferred")
        self.assertEqual({finding.state for finding in self.found}, {"decoding"})
        self.decoders.drop(stuck)
        await self.until(lambda: len(self.pids()) == 1)
        self.assertRaises(ProcessLookupError, os.kill, pid, signal.SIG_DFL)


class TestMisbehaviour(DecodersCase):
    """Programs that behave worse than the decoder ever should."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(pool, "PAUSE", 0.0)
        self.seen = self.put()

    def program(self, text: str) -> None:
        """Let this shell script take the decoder's place."""
        path = Path(self.mktemp()).resolve()
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(stat.S_IRWXU)
        self.patch(sys, "executable", str(path))

    async def decode(self) -> str | None:
        return await self.do("decode", self.seen)

    async def test_decoders_that_fail(self) -> None:
        took, sound = "echo ready; read order", f"echo '{SOUND}'"
        endless = "it says nonsense: an end without a result"
        cases = {
            "kill -9 $$": "it was killed by SIGKILL",
            "exit 3": "it ended with status 3",
            "exit 0": "it ended without a result",
            "echo garbage": "it says nonsense: a line before it began",
            "exec yes": "it says nonsense: a line before it began",
            f"{took}; kill -9 $$": "it was killed by SIGKILL",
            f"{took}; echo first >&2; echo disk full >&2; exit 1": "disk full",
            f"{took}; exit 1": "it ended with status 1",
            f"{took}; {sound}": "it ended without a result",
            f"{took}; echo [": "it says nonsense: a line that is not JSON",
            f"{took}; echo '{END}'": endless,
            f"{took}; echo '{BEGUN}'; echo '{END}'": endless,
            f"{took}; exec head -c 1000000 /dev/zero": "it says nonsense: a line without end",
            f"{took}; exec yes '{SOUND}'": "it says nonsense: findings without end",
            f"{took}; head -c 1000000 /dev/zero >&2; exit 4": "it ended with status 4",
        }
        for program, problem in cases.items():
            self.program(program)
            self.assertEqual(await self.decode(), f"the decoder failed: {problem}", program)
        self.found.clear()
        self.program(f"{took}; {sound}; echo '{END}'; read more")
        self.assertIsNone(await self.decode())
        self.assertEqual([finding.state for finding in self.found], ["ready"])

    async def test_one_that_is_silent(self) -> None:
        self.patch(pool, "PATIENCE", 0.05)
        for program in ("exec sleep 60", "echo ready; exec sleep 60"):
            self.program(program)
            self.assertEqual(await self.decode(), "the decoder failed: it was silent for 0 s")

    async def test_one_that_cannot_be_started_is_not_tried_at_once(self) -> None:
        self.patch(pool, "PAUSE", 1000.0)
        self.program("exit 3")
        problems: list[str | None] = []
        for _ in range(3):
            self.decoders.add(Job(self.seen, "decode", self.found.append, problems.append))
        await self.until(lambda: problems)
        self.assertEqual((problems, self.pids()), (["the decoder failed: it ended with status 3"], []))
        self.assertFalse(self.decoders.idle, "the others wait")

    async def test_a_pause_ends(self) -> None:
        self.patch(pool, "PAUSE", 0.001)
        self.program("exit 3")
        problems: list[str | None] = []
        for _ in range(3):
            self.decoders.add(Job(self.seen, "examine", self.found.append, problems.append))
        await self.until(lambda: len(problems) == 3)
        self.assertEqual(set(problems), {"the decoder failed: it ended with status 3"})

    async def test_no_process_can_be_made(self) -> None:
        class Full:
            """The reactor of a machine without room for another process."""

            callLater = reactor.callLater

            def spawnProcess(self, *_: object, **__: object) -> None:
                raise OSError(11, "no room")

        self.decoders = Decoders(Full(), str(self.cache), side_limit=64, at_once=1)
        problems: list[str | None] = []
        self.decoders.add(Job(self.seen, "decode", self.found.append, problems.append))
        self.assertEqual(problems, ["no decoder can be started: [Errno 11] no room"])

    async def test_of_several_the_guilty_one_is_found(self) -> None:
        """The first process dies when it has three orders, the next ones of that for *bad*."""
        mark = self.root / "again"
        self.program(
            f"echo ready; read a; [ -e {mark} ] || {{ read b; read c; touch {mark}; kill -9 $$; }}\n"
            f'while case "$a" in *bad*) kill -9 $$;; esac; do {ANSWER}; read a || exit 0; done'
        )
        ended: dict[str, str | None] = {}

        def end(name: str, problem: str | None) -> None:
            ended[name] = problem

        for name in ("one", "bad", "two"):
            self.decoders.add(Job(self.put(name), "examine", self.found.append, partial(end, name)))
        await self.until(lambda: len(ended) == 3)
        self.assertEqual(ended, {"one": None, "bad": "the decoder failed: it was killed by SIGKILL", "two": None})

    async def test_what_a_killed_one_leaves_is_removed(self) -> None:
        left = f"mkdir {self.cache}/tmp-$$-x; echo half >{self.cache}/tmp-$$-x/kernel; echo x >{self.cache}/tmp-$$-y"
        self.program(f"echo ready; read order; {left}; kill -9 $$")
        self.assertEqual(await self.decode(), "the decoder failed: it was killed by SIGKILL")
        self.assertEqual(set(os.listdir(self.cache)), {"findings", "index", "parts"})

    async def test_one_that_is_gone_before_it_is_known(self) -> None:
        self.decoders = Decoders(Slow(), str(self.cache), side_limit=64, at_once=1)
        self.program(f"mkdir {self.cache}/tmp-$$-x; exit 3")
        self.assertEqual(await self.decode(), "the decoder failed: it ended with status 3")
        self.assertEqual(set(os.listdir(self.cache)), {"findings", "index", "parts"})

    async def test_it_gets_three_descriptors_and_nothing_else(self) -> None:
        self.program("echo ready; read order; ls /proc/$$/fd | tr '\\n' ' ' >&2; exit 1")
        secret, other = os.pipe()
        os.set_inheritable(other, True)
        self.addCleanup(os.close, secret)
        self.addCleanup(os.close, other)
        problem = await self.decode()
        held = (problem or "").split(": ")[1].split()
        self.assertTrue({"0", "1", "2"} <= set(held), held)
        self.assertFalse({str(secret), str(other)} & set(held), held)

    async def test_a_large_one_is_replaced_and_an_idle_one_let_go(self) -> None:
        answer = f"echo ready; while read order; do echo '{SOUND}'; echo '%s'; done"
        for end, idle in ((LARGE, 1000.0), (END, 0.01)):
            self.patch(pool, "IDLE", idle)
            self.program(answer % end)
            self.assertIsNone(await self.decode())
            await self.until(lambda: not self.pids())
            self.assertTrue(self.decoders.idle)
        self.patch(pool, "IDLE", 1000.0)
        self.assertIsNone(await self.decode())
        self.assertEqual(len(self.pids()), 1)

    async def test_the_order(self) -> None:
        self.program(OBEDIENT)
        order: list[str] = []

        def job(name: str) -> Job:
            return Job(self.seen, "decode", self.found.append, lambda problem: order.append(name))

        jobs = {name: job(name) for name in "abcde"}
        for each in jobs.values():
            self.decoders.add(each)
        for name in "ecae":
            self.decoders.prefer(jobs[name])
        self.decoders.drop(jobs["b"])
        self.assertFalse(self.decoders.idle)
        await self.until(lambda: len(order) == 4)
        self.assertEqual(order, ["a", "e", "c", "d"], "a had begun, e and c overtook in their order, b was dropped")
        self.assertTrue(self.decoders.idle)
        for each in jobs.values():  # that is over
            self.decoders.prefer(each)
            self.decoders.drop(each)
        self.assertIsNone(await self.decode())

    async def test_one_is_at_hand_before_there_is_work(self) -> None:
        self.program(OBEDIENT)
        for _ in range(2):
            self.decoders.warm_up()
        self.assertTrue(self.decoders.idle)
        (pid,) = self.pids()
        self.assertIsNone(await self.do("examine", self.seen))
        self.assertEqual(self.pids(), [pid])
        os.kill(pid, signal.SIGKILL)
        await self.until(lambda: not self.pids())
        self.patch(sys, "executable", "/there/is/none")
        self.decoders.warm_up()
        await self.until(lambda: not self.pids())

    async def test_a_job_that_is_dropped_in_its_middle(self) -> None:
        self.program(f"echo ready; read order; echo '{SOUND}'; mkdir {self.cache}/tmp-$$-x; exec sleep 60")
        job = Job(self.seen, "decode", self.found.append, self.fail)
        self.decoders.add(job)
        await self.until(lambda: len(os.listdir(self.cache)) > 3)
        (pid,) = self.pids()
        self.program(OBEDIENT)
        self.decoders.drop(job)
        self.found.clear()
        ended: list[str | None] = []
        self.decoders.add(Job(self.seen, "decode", self.found.append, ended.append))
        await self.until(lambda: ended)
        self.assertEqual(
            (ended, len(self.found), set(os.listdir(self.cache))), ([None], 1, {"findings", "index", "parts"})
        )
        self.assertRaises(ProcessLookupError, os.kill, pid, signal.SIG_DFL)

    async def test_stop_leaves_no_process(self) -> None:
        self.decoders = Decoders(reactor, str(self.cache), side_limit=64, at_once=2)
        self.program("echo ready; exec sleep 60")
        ended: list[str | None] = []
        tasks: tuple[Task, ...] = ("decode", "verify", "decode", "examine", "examine")
        for task in tasks:
            self.decoders.add(Job(self.seen, task, self.found.append, ended.append))
        pids = self.pids()
        for stopped in (self.decoders.stop(), self.decoders.stop()):
            await stopped
        for pid in pids:
            self.assertRaises(ProcessLookupError, os.kill, pid, signal.SIG_DFL)
        self.assertEqual((len(pids), ended, self.decoders.idle), (3, [], True), "nobody is told any more")
        self.program(OBEDIENT)
        self.assertIsNone(await self.decode(), "it may be begun again")
