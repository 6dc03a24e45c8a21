"""Tests of `pixelboot.library.sharing.once`."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pixelboot.library.sharing.once import Joined, Once

reactor: Any = installed


class JoinedTests(SynchronousTestCase):
    """Work under way."""

    def setUp(self) -> None:
        self.begun: list[Deferred[str]] = []
        self.after: list[str] = []
        self.joined: Joined[str, str] = Joined(self.after.append)

    def begin(self) -> Deferred[str]:
        self.begun.append(Deferred())
        return self.begun[-1]

    def ask(self, key: str = "a") -> Deferred[str]:
        return Deferred.fromCoroutine(self.joined.get(key, self.begin))

    def test_together(self) -> None:
        """All get what comes of one piece of work, and what has to be done afterwards is done once, and last."""
        asking = [self.ask() for _ in range(3)]
        given: list[tuple[str, int]] = []
        for each in asking:
            each.addCallback(lambda result: given.append((result, len(self.after))))
        self.assertEqual((len(self.begun), self.joined.under_way("a"), self.joined.under_way("b")), (1, True, False))
        self.begun[0].callback("x")
        self.assertEqual((given, self.after, self.joined.under_way("a")), ([("x", 0)] * 3, ["x"], False))
        self.ask()
        self.assertEqual(len(self.begun), 2, "it is not remembered")

    def test_nobody_waits(self) -> None:
        """Who goes does not take it from the others; when all have gone it is cleaned up after it all the same."""
        first, second = self.ask(), self.ask()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertNoResult(second)
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.begun[0].callback("x")
        self.assertEqual(self.after, ["x"])

    def test_failures(self) -> None:
        """They are everybody's, and nothing is stuck: not even when the work cannot be begun."""
        asking = [self.ask(), self.ask()]
        self.begun[0].errback(OSError(errno.EIO, "no"))
        for each in asking:
            self.failureResultOf(each, OSError)
        self.assertEqual(self.after, [])

        def fail() -> Deferred[str]:
            raise OSError(errno.EBADF, "no")

        self.failureResultOf(Deferred.fromCoroutine(self.joined.get("a", fail)), OSError)
        self.assertFalse(self.joined.under_way("a"))


class OnceTests(TestCase):
    """What is remembered."""

    timeout = 20

    async def test_remembered(self) -> None:
        clock = Clock()
        once: Once[str, int] = Once(reactor, clock, 5.0)
        done: list[bool] = []

        def work() -> int:
            done.append(threading.current_thread() is threading.main_thread())
            return len(done)

        def begin() -> Callable[[], int]:
            return work

        def ask(remember: bool = True) -> Deferred[int]:
            return Deferred.fromCoroutine(once.get("a", begin, remember))

        self.assertEqual(await gatherResults([ask(), ask()]), [1, 1])
        self.assertEqual((await ask(), done, once.last("a", 0), once.last("b", 7)), (1, [False], 1, 7))
        clock.advance(5.0)
        self.assertEqual((await ask(remember=False), once.last("a", 0)), (2, 1))
        self.assertEqual(await ask(), 3)
