"""Tests of `pixelboot.library.sharing.lending`."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock, deferLater
from twisted.python.threadable import isInIOThread
from twisted.trial.unittest import TestCase

from pixelboot.library.file import FilePayload
from pixelboot.library.folder.look import Unreadable
from pixelboot.library.sharing.lending import Lending
from pixelboot.library.sharing.shelf import IDLE, Lent


class LendingTests(TestCase):
    """Opened in a thread, once."""

    timeout = 20

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_bytes(b"octets")
        self.clock = Clock()
        self.lending = Lending(reactor, self.clock)
        self.lending.start()
        self.addCleanup(self.lending.stop)
        self.opened = 0
        self.held: list[str] = []

    def open_it(self) -> FilePayload:
        self.assertFalse(isInIOThread())
        self.opened += 1
        return FilePayload(os.open(self.path, os.O_RDONLY), "image/png", 12.5, "ab" * 32)

    def short(self) -> FilePayload:
        """There is no descriptor when it is tried for the first time."""
        if not self.opened:
            self.opened += 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self.open_it()

    def hold(self) -> Callable[[], None]:
        """What is held is in `held`."""
        self.held.append("x")
        return self.let_go

    def let_go(self) -> None:
        self.held.pop()

    async def get(self, group: str = "a", what: str = "x") -> Lent:
        """Everybody else who waited has his by then."""
        lent = await self.lending.get(group, what, self.open_it, self.hold)
        assert lent is not None
        await self.turn()
        return lent

    def turn(self) -> Deferred[None]:
        return deferLater(reactor, 0)

    async def test_once(self) -> None:
        """For all who ask at once, and for those who ask soon; who goes away disturbs nobody."""
        asking = [Deferred.fromCoroutine(self.get()) for _ in range(9)]
        self.assertEqual(self.held, ["x"], "while it is being opened")
        asking[0].cancel()
        await self.assertFailure(asking.pop(0), CancelledError)
        lent = await gatherResults(asking)
        self.assertEqual(({each.read(0, 9) for each in lent}, self.opened, self.held), ({b"octets"}, 1, ["x"]))
        for each in lent:
            each.close()
        self.assertEqual(self.held, [], "what lies idle is not in use")
        again = self.lending.at_hand("a", "x")
        assert again is not None
        self.assertEqual((again.origin, self.held), (lent[0].origin, ["x"]))
        again.close()
        self.clock.advance(IDLE)
        self.assertIsNone(self.lending.at_hand("a", "x"))
        self.assertIsNone(lent[0].origin.fileno(), "it is closed")

    async def test_nobody_waits_any_more(self) -> None:
        """What was opened for who is gone is closed in its time."""
        asked = Deferred.fromCoroutine(self.get())
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        while (lent := self.lending.at_hand("a", "x")) is None:
            await self.turn()
        await self.turn()
        lent.close()
        self.assertEqual(self.held, [])
        self.clock.advance(IDLE)
        self.assertIsNone(lent.origin.fileno())

    async def test_nothing_to_open(self) -> None:
        self.assertIsNone(await self.lending.get("a", "x", lambda: None))
        self.path.unlink()
        await self.assertFailure(Deferred.fromCoroutine(self.get()), FileNotFoundError)
        await self.turn()
        self.assertEqual(self.held, [])

    async def test_written_into(self) -> None:
        """Who asks then has it opened anew; a file that was deleted is what it was."""
        first = await self.get()
        self.path.unlink()
        second = self.lending.at_hand("a", "x")
        assert second is not None
        self.assertEqual(second.read(0, 9), b"octets")
        descriptor = os.open(f"/proc/self/fd/{first.fileno()}", os.O_WRONLY)
        os.pwrite(descriptor, b"other octets", 0)
        os.close(descriptor)
        self.assertIsNone(self.lending.at_hand("a", "x"))
        for each in (first, second):
            each.close()
        self.assertIsNone(first.origin.fileno(), "not after some seconds")

    async def test_dropped(self) -> None:
        """A group goes as one: what is used when it is given back, the rest at once."""
        used, idle, other = await self.get(what="used"), await self.get(what="idle"), await self.get("b")
        idle.close()
        self.lending.drop("a")
        self.assertEqual([self.lending.at_hand("a", what) for what in ("used", "idle")], [None, None])
        self.assertEqual((idle.origin.fileno(), used.read(0, 9)), (None, b"octets"))
        used.close()
        self.assertIsNone(used.origin.fileno())
        other.close()
        self.assertIsNotNone(other.origin.fileno())
        self.lending.stop()
        self.assertIsNone(other.origin.fileno())

    async def test_no_descriptor_left(self) -> None:
        """What nobody uses makes room, whoever has to tell of the shortage."""

        def unreadable() -> FilePayload:
            try:
                return self.short()
            except OSError as error:
                raise Unreadable("the file cannot be opened") from error

        for open_it, what in ((self.short, OSError), (unreadable, Unreadable)):
            await self.turn()
            self.lending.stop()
            self.lending.start()
            self.opened = 0
            await self.assertFailure(Deferred.fromCoroutine(self.lending.get("c", "y", open_it)), what)
            idle = await self.get("b")
            idle.close()
            self.opened = 0
            lent = await self.lending.get("c", what, open_it)
            assert lent is not None
            lent.close()
            self.assertIsNone(idle.origin.fileno())
            self.assertIsNotNone(lent.origin.fileno())

    async def test_stopped_meanwhile(self) -> None:
        """What arrives then is closed as soon as it is given back."""
        asking = Deferred.fromCoroutine(self.get())
        self.lending.stop()
        lent = await asking
        self.assertEqual(lent.read(0, 9), b"octets")
        lent.close()
        self.assertEqual((lent.origin.fileno(), self.held), (None, []))
