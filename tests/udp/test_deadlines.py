"""Tests of `pixelboot.udp.deadlines`."""

from __future__ import annotations

import weakref

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.udp.deadlines import MOST_IN_A_TURN, MOST_VOID, TICK, Deadlines


class DeadlinesTests(SynchronousTestCase):
    """Letters whose time comes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.looked: list[tuple[str, float]] = []
        self.deadlines: Deadlines[str] = Deadlines(self.clock, self.look)

    def look(self, thing: str, now: float) -> None:
        """Note what is looked at, and when."""
        self.looked.append((thing, round(now - TICK, 6)))

    def advance(self, to: float) -> None:
        """Let time pass in small steps."""
        while self.clock.seconds() < to - 1e-9:
            self.clock.advance(0.0625)

    def test_order(self) -> None:
        """Each is looked at once, when its time comes, with one timer for all."""
        for thing, at in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
            self.deadlines.set(thing, at)
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.advance(5.0)
        self.assertEqual(self.looked, [("a", 1.0), ("b", 2.0), ("c", 3.0)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_set_again(self) -> None:
        """An earlier time counts, a later one does not; after the look a new one may be set."""
        self.deadlines.set("a", 2.0)
        self.deadlines.set("a", 1.0)
        self.deadlines.set("a", 4.0)
        self.advance(3.0)
        self.assertEqual(self.looked, [("a", 1.0)])
        self.deadlines.set("a", 4.0)
        self.advance(5.0)
        self.assertEqual(self.looked, [("a", 1.0), ("a", 4.0)])

    def test_drop(self) -> None:
        """What was dropped is not looked at; when all is dropped there is no timer."""
        self.deadlines.set("a", 1.0)
        self.deadlines.set("b", 2.0)
        self.deadlines.drop("a")
        self.deadlines.drop("never set")
        self.advance(1.5)
        self.assertEqual(self.looked, [])
        self.deadlines.drop("b")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_from_inside(self) -> None:
        """In a look things may be set and dropped, itself and others."""

        def look(thing: str, now: float) -> None:
            self.look(thing, now)
            if thing == "a":
                self.deadlines.drop("b")
                self.deadlines.set("a", now)  # At once, again.
                self.deadlines.set("c", 2.0)
            if len(self.looked) > 2:
                for one in "abc":
                    self.deadlines.drop(one)

        self.deadlines = Deadlines(self.clock, look)
        self.deadlines.set("a", 1.0)
        self.deadlines.set("b", 1.0)
        self.advance(3.0)
        self.assertEqual([thing for thing, _ in self.looked], ["a"] * 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bounded(self) -> None:
        """What was dropped or set anew leaves little behind, whatever is waited for meanwhile, and no order suffers."""
        for number in range(100):
            self.deadlines.set(f"stays {number}", 2.0 + number / 128)
        for number in range(10_000):
            self.deadlines.set(f"goes {number}", 1.0)
            self.deadlines.drop(f"goes {number}")
            self.deadlines.set("moves", 1000.0 - number / 16)
            self.assertLessEqual(len(self.deadlines._ticks), 2 * 102 + MOST_VOID)
        self.assertEqual(len(self.deadlines._due), 101)
        self.assertLessEqual(len(self.deadlines._slots), 101)
        self.advance(4.0)
        self.assertEqual([thing for thing, _ in self.looked], [f"stays {number}" for number in range(100)])

    def test_forgotten(self) -> None:
        """Of what was dropped nothing is kept."""

        class Thing:
            pass

        deadlines: Deadlines[Thing] = Deadlines(self.clock, lambda thing, now: None)
        stays, goes = Thing(), Thing()
        deadlines.set(stays, 1.0)
        deadlines.set(goes, 2.0)
        deadlines.drop(goes)
        kept = weakref.ref(goes)
        del goes
        self.assertIsNone(kept())

    def test_a_look_that_fails(self) -> None:
        """It is told in full, and what comes after it is looked at all the same, in that turn and later."""

        def look(thing: str, now: float) -> None:
            self.look(thing, now)
            if thing == "bad":
                raise ZeroDivisionError

        self.deadlines = Deadlines(self.clock, look)
        for thing, at in (("bad", 1.0), ("good", 1.0), ("later", 2.0)):
            self.deadlines.set(thing, at)
        self.clock.advance(1.0)
        self.assertEqual([thing for thing, _ in self.looked], ["bad", "good"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.deadlines.set("bad", 1.5)
        self.advance(3.0)
        self.assertEqual([thing for thing, _ in self.looked], ["bad", "good", "bad", "later"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_turns(self) -> None:
        """Thousands that are due together are seen to in portions, between which others get their turn."""
        for number in range(2 * MOST_IN_A_TURN + 1):
            self.deadlines.set(str(number), 1.0)
        counts: list[int] = []
        self.clock.callLater(1.0, lambda: counts.append(len(self.looked)))
        self.clock.advance(1.0)
        self.assertEqual(counts, [MOST_IN_A_TURN])
        self.assertEqual(len(self.looked), 2 * MOST_IN_A_TURN + 1)
        self.assertEqual(len(dict(self.looked)), len(self.looked))

    @given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 40), st.booleans()), max_size=40))
    def test_model(self, events: list[tuple[str, int, bool]]) -> None:
        """Whatever is set and dropped in whatever order: nothing is looked at early, late, twice or without reason."""
        self.setUp()
        expected: dict[str, float] = {}
        for thing, at, drop in events:
            if drop:
                self.deadlines.drop(thing)
                expected.pop(thing, None)
            else:
                self.deadlines.set(thing, at / 8)
                expected[thing] = min(at / 8, expected.get(thing, 9.0))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1 if expected else 0)
        self.advance(6.0)
        self.assertEqual(sorted(self.looked), sorted(expected.items()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
