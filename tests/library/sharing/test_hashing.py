"""Tests of `pixelboot.library.sharing.hashing`."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from pixelboot.library.sharing.hashing import Hashing

reactor: Any = installed


class HashingTests(TestCase):
    """With processes."""

    timeout = 30

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_bytes(os.urandom(3_000_000))

    def hash(self, path: Path) -> Hashing:
        """Begin."""
        descriptor = os.open(path, os.O_RDONLY)
        hashing = Hashing(reactor, descriptor)
        os.close(descriptor)
        return hashing

    async def problem(self, hashing: Hashing) -> OSError:
        """Why there is no digest."""
        try:
            found = await hashing.done
        except OSError as error:
            self.assertEqual(error.errno, errno.EIO)
            return error
        return self.fail(f"it is {found}")

    async def test_the_octets(self) -> None:
        self.assertEqual(await self.hash(self.path).done, hashlib.sha256(self.path.read_bytes()).hexdigest())

    async def test_priority(self) -> None:
        """The lowest."""
        pipe, end = os.pipe()
        hashing = Hashing(reactor, pipe)
        os.close(pipe)
        pid = hashing.transport.pid
        assert pid is not None
        while os.getpriority(os.PRIO_PROCESS, pid) != 19:
            await deferLater(reactor, 0.01)
        os.close(end)
        self.assertEqual(await hashing.done, hashlib.sha256().hexdigest())

    async def test_killed(self) -> None:
        pipe, end = os.pipe()
        self.addCleanup(os.close, end)
        hashing = Hashing(reactor, pipe)
        os.close(pipe)
        hashing.kill()
        self.assertIn("signal 9", str(await self.problem(hashing)))
        hashing.kill()

    async def test_not_readable(self) -> None:
        """What the process says last is the reason."""
        self.assertIn("IsADirectoryError", str(await self.problem(self.hash(self.path.resolve().parent))))

    async def test_many_words(self) -> None:
        """A process that says too much is not believed, nor kept."""
        hashing = self.hash(self.path)
        for _ in range(99):
            hashing.childDataReceived(2, b"x" * 999)
            hashing.childDataReceived(1, b"y" * 999)
        self.assertLess(len(str(await self.problem(hashing))), 9999)
