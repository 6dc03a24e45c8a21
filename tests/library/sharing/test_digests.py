"""Tests of `pixelboot.library.sharing.digests`; `tests.library.test_tree` has those of entity tags."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pixelboot.library.folder.look import Stamp
from pixelboot.library.sharing import digests as module
from pixelboot.library.sharing.digests import QUEUE, Digests, digest

reactor: Any = installed


class DigestTests(SynchronousTestCase):
    """What a thread does."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_bytes(b"x" * 3_000_000)
        self.descriptor = os.open(self.path, os.O_RDONLY)
        self.stamp = Stamp.of(os.fstat(self.descriptor))

    def test_the_octets(self) -> None:
        self.assertEqual(digest(self.descriptor, self.stamp), hashlib.sha256(b"x" * 3_000_000).hexdigest())
        self.assertRaises(OSError, os.fstat, self.descriptor)

    def test_another_state(self) -> None:
        """A file that is not what it was has no digest; the descriptor is closed."""
        os.truncate(self.path, 5)
        error = self.assertRaises(OSError, digest, self.descriptor, self.stamp)
        self.assertEqual(getattr(error, "errno", 0), errno.ESTALE)
        self.assertRaises(OSError, os.fstat, self.descriptor)


class Slow:
    """In place of `Hashing`: one that is told what to find."""

    def __init__(self, begun: list[Slow], descriptor: int) -> None:
        self.done: Deferred[str] = Deferred()
        self.octets = os.pread(descriptor, 999, 0)
        begun.append(self)

    def end(self) -> None:
        self.done.callback(hashlib.sha256(self.octets).hexdigest())

    def kill(self) -> None:
        self.done.errback(OSError(errno.EIO, "killed"))


class LargeTests(TestCase):
    """In the background, and over a restart: files of 100 octets are worth keeping, and of 200 too large to wait."""

    timeout = 20

    def setUp(self) -> None:
        self.patch(module, "WORTH_KEEPING", 100)
        self.patch(module, "AWAITED", 200)
        self.root = Path(self.mktemp()).resolve()
        self.root.mkdir()
        self.memory = str(self.root / "cache" / "digests.json")
        self.later = 30.0
        self.begun: list[Slow] = []
        self.patch(module, "Hashing", lambda reactor, descriptor: Slow(self.begun, descriptor))
        self.digests = self.make()

    def make(self) -> Digests:
        """As after a restart."""
        digests = Digests(reactor, Clock(), lambda: time.time() + self.later, self.memory)
        digests.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(digests.stop()))
        return digests

    def file(self, size: int) -> tuple[int, Stamp, str]:
        """A file of this size, open; what it is, and the digest of its octets."""
        octets = os.urandom(size)
        path = self.root / str(size)
        path.write_bytes(octets)
        descriptor = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        return descriptor, Stamp.of(os.fstat(descriptor)), hashlib.sha256(octets).hexdigest()

    async def idle(self) -> None:
        while self.digests._working:
            await deferLater(reactor, 0.001)

    def still_open(self) -> list[str]:
        """The sizes of the files of `file` that are open."""
        links = (f"/proc/self/fd/{each}" for each in os.listdir("/proc/self/fd"))
        targets = [os.readlink(link) for link in links if os.path.islink(link)]
        return sorted(each.rpartition("/")[2] for each in targets if each.startswith(f"{self.root}/"))

    async def test_later(self) -> None:
        """Nobody waits; it is made once, and known from then on."""
        descriptor, stamp, expected = self.file(201)
        for _ in range(3):
            self.assertEqual((await self.digests.of(descriptor, stamp), self.digests.known(stamp)), (None, None))
        self.begun[0].end()
        self.assertEqual((await self.digests.of(descriptor, stamp), self.digests.known(stamp)), (expected, expected))
        self.assertEqual((len(self.begun), self.still_open()), (1, ["201"]))

    async def test_after_a_restart(self) -> None:
        """What took long is known at once; what did not is made again."""
        files = [self.file(size) for size in (99, 100, 201)]
        for descriptor, stamp, _ in files:
            await self.digests.of(descriptor, stamp)
        self.begun[0].end()
        await self.digests.stop()
        again = self.make()
        self.assertEqual([again.known(stamp) for _, stamp, _ in files], [None, files[1][2], files[2][2]])
        self.assertEqual([await again.of(*each[:2]) for each in files], [sha256 for _, _, sha256 in files])
        self.assertEqual(len(self.begun), 1)

    async def test_one_at_a_time(self) -> None:
        """Of more than a few, not all wait with a descriptor; who waits for a small one does not wait for these."""
        files = [self.file(201 + number) for number in range(QUEUE + 2)]
        for descriptor, stamp, _ in files:
            self.assertIsNone(await self.digests.of(descriptor, stamp))
        small, stamp, expected = self.file(50)
        self.assertEqual(await self.digests.of(small, stamp), expected)
        for number in range(QUEUE):
            self.assertEqual(len(self.begun), number + 1)
            self.begun[number].end()
        await self.idle()
        known = [self.digests.known(stamp) == sha256 for _, stamp, sha256 in files]
        self.assertEqual((known, len(self.begun)), ([True] * QUEUE + [False] * 2, QUEUE))

    async def test_not_at_rest(self) -> None:
        """A file that is being written is not begun with; one that is written into meanwhile has no digest."""
        self.later = 0.0
        descriptor, stamp, _ = self.file(201)
        self.assertIsNone(await self.digests.of(descriptor, stamp))
        self.assertEqual(self.begun, [])
        self.later = 30.0
        other, waiting, _ = self.file(202)
        for each in ((descriptor, stamp), (other, waiting)):
            self.assertIsNone(await self.digests.of(*each))
        for name in ("201", "202"):
            (self.root / name).write_bytes(b"other octets")
        self.begun[0].end()
        await self.idle()
        self.assertEqual((self.digests.known(stamp), self.digests.known(waiting)), (None, None))
        self.assertEqual(len(self.begun), 1, "the other is another before it is begun with")

    async def test_deleted_meanwhile(self) -> None:
        """It is what it was."""
        descriptor, stamp, expected = self.file(201)
        await self.digests.of(descriptor, stamp)
        (self.root / "201").unlink()
        self.begun[0].end()
        self.assertEqual(self.digests.known(stamp), expected)

    async def test_stopped(self) -> None:
        """What is under way is left off, and what waits is not begun; no descriptor stays open."""
        files = [self.file(201 + number) for number in range(3)]
        for descriptor, stamp, _ in files:
            await self.digests.of(descriptor, stamp)
        self.assertEqual(len(self.still_open()), 6)
        await self.digests.stop()
        self.assertEqual([self.digests.known(stamp) for _, stamp, _ in files], [None] * 3)
        self.assertEqual((len(self.begun), len(self.still_open())), (1, 3))
        for descriptor, stamp, _ in files:
            self.assertIsNone(await self.digests.of(descriptor, stamp))
        self.assertEqual(len(self.begun), 1)
        self.digests.start()
        self.assertIsNone(await self.digests.of(*files[0][:2]))
        self.assertEqual(len(self.begun), 2, "that it was left off was not its fault")

    async def test_not_to_be_had(self) -> None:
        """What cannot be hashed is not tried again and again; what lacks something for a moment is."""
        descriptor, stamp, _ = self.file(201)

        def short(*_: object) -> Slow:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

        patched = self.patch(module, "Hashing", short)
        await self.digests.of(descriptor, stamp)
        patched.restore()
        self.patch(module, "Hashing", lambda reactor, descriptor: Slow(self.begun, descriptor))
        self.assertIsNone(await self.digests.of(-1, stamp))
        with capturedLogs() as events:
            await self.digests.of(descriptor, stamp)
            self.begun[0].done.errback(OSError(errno.EIO, "Input/output error"))
            self.assertIsNone(await self.digests.of(descriptor, stamp))
        self.assertEqual(
            [formatEvent(event) for event in events], ["a file of 201 octets cannot be hashed: Input/output error"]
        )
        self.assertEqual(len(self.begun), 1)

    async def test_a_mistake_of_ours(self) -> None:
        """It is in the log, and stands in nobody's way."""
        self.patch(module, "Hashing", lambda *_: 1 // 0)
        descriptor, stamp, _ = self.file(201)
        await self.digests.of(descriptor, stamp)
        self.assertEqual((len(self.flushLoggedErrors(ZeroDivisionError)), self.digests._working), (1, set()))
        self.assertIsNone(self.digests.known(stamp))
