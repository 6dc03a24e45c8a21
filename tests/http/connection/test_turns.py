"""Tests of `pixelboot.http.connection.turns`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.connection.turns import BUDGET, Turns


class Stopwatch(Clock):
    """A clock that goes on while somebody works, and calls at the beginning of a turn what was asked for before it."""

    def work(self, seconds: float) -> str:
        """Take so long."""
        self.rightNow += seconds
        return "done"

    def begin(self) -> None:
        """A turn begins."""
        for call in list(self.calls):
            self.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)


class TurnsTest(SynchronousTestCase):
    """A reactor that offers every turn to all, always in the same order."""

    def setUp(self) -> None:
        self.clock = Stopwatch()
        self.turns: Turns[int] = Turns(self.clock)
        self.worked: list[int] = []

    def turn(self, *ready: int, each: float = BUDGET / 4) -> float:
        """One turn; how long it was."""
        self.clock.begin()
        began = self.clock.seconds()
        for who in ready:
            if self.turns.take(who, lambda: self.clock.work(each)) is not None:
                self.worked.append(who)
        return self.clock.seconds() - began

    def tearDown(self) -> None:
        self.turns.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_few(self) -> None:
        """What takes little time is done at once, and nothing is called for it."""
        for _ in range(10):
            self.turns.take(1, lambda: self.clock.work(BUDGET / 100))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_many(self) -> None:
        """Nobody works twice before everybody has worked once, and no turn is long."""
        for _ in range(9):
            self.assertLess(self.turn(*range(12)), 1.3 * BUDGET)
        self.assertEqual(sorted(self.worked), sorted([*range(12)] * 3))
        for round_ in range(3):
            self.assertEqual(sorted(self.worked[12 * round_ : 12 * round_ + 12]), [*range(12)])

    def test_one_that_is_gone(self) -> None:
        """Who was passed over and is not ready any more holds up nobody, whether it says so or not."""
        self.turn(*range(8))
        self.assertEqual(self.worked, [0, 1, 2, 3])
        self.turns.forget(7)
        self.turn(0, 1, 2)  # 4, 5 and 6 are owed
        self.assertEqual(self.worked, [0, 1, 2, 3])
        self.turn(0, 1, 2)
        self.assertEqual(self.worked, [0, 1, 2, 3, 0, 1, 2])

    def test_errors(self) -> None:
        """What fails has taken its time too."""

        def fail() -> None:
            self.clock.work(BUDGET)
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            self.turns.take(1, fail)
        self.assertIsNone(self.turns.take(2, lambda: "done"))

    @given(st.lists(st.sets(st.integers(0, 20)), min_size=1, max_size=30))
    def test_nobody_waits_for_ever(self, readiness: list[set[int]]) -> None:
        """Who is ready in every turn works in the end, whoever else is."""
        self.setUp()
        for ready in readiness:
            self.assertLess(self.turn(*sorted(ready | {99})), 1.3 * BUDGET)
        for _ in range(20):
            self.turn(*range(21), 99)
        self.assertIn(99, self.worked)
