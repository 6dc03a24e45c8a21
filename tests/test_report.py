"""Tests of `pixelboot.report`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, formatTime
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from pixelboot.outcome import Outcome, Severity
from pixelboot.report import DELAY, FULL, SINGLY, Report


@dataclass(frozen=True, slots=True)
class Sailed(Outcome):
    """Every one of these is written."""

    service: ClassVar[str] = "navy"

    ship: str

    def summary(self) -> str:
        return f"{self.ship} sailed"


@dataclass(frozen=True, slots=True)
class Leaked(Sailed):
    """One of these is written in a minute."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 60.0


@dataclass(frozen=True, slots=True)
class Creaked(Leaked):
    """Has a minute of its own."""

    severity: ClassVar[Severity] = "error"


@dataclass(frozen=True, slots=True)
class Dripped(Leaked):
    """Three of these are written in a minute."""

    burst: ClassVar[int] = 3


@dataclass(frozen=True, slots=True)
class Creak(Sailed):
    """Worth a line to nobody in a hurry."""

    severity: ClassVar[Severity] = "debug"


@implementer(ILogObserver)
class Book:
    """Keeps what was logged."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        self.events.append(event)


class ReportTests(SynchronousTestCase):
    """What becomes of outcomes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.wall = Clock()
        self.wall.advance(1_000_000)
        self.book = Book()
        self.report = Report(self.clock, self.wall.seconds, self.book)

    def pass_time(self, seconds: float) -> None:
        """Both clocks go on, in steps in which every batch is written."""
        self.wall.advance(seconds)
        self.clock.advance(seconds)

    def lines(self) -> list[str]:
        """What was written since the last look, formatted as a log file would."""
        found = [formatEvent(event) for event in self.book.events]
        self.book.events.clear()
        return found

    def tell(self, outcome: Outcome) -> list[str]:
        """Report one outcome and wait for its line."""
        self.report(outcome)
        self.pass_time(DELAY)
        return self.lines()

    def test_counts_at_once(self) -> None:
        """Counters do not wait for the batch; nothing is written on the caller's path."""
        for ship in ("a", "b"):
            self.report(Sailed(ship))
        self.report(Leaked("a"))
        self.assertEqual(dict(self.report.counts), {"navy.Sailed": 2, "navy.Leaked": 1})
        self.assertEqual(self.report.counts["navy.Sunk"], 0)
        self.assertEqual(self.lines(), [])

    def test_batches(self) -> None:
        """One timer for all that come together: a line waits no longer than the delay, in order, with its own time."""
        self.report(Sailed("first"))
        self.pass_time(DELAY * 0.6)
        self.report(Sailed("second"))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.assertEqual(self.lines(), [])
        self.pass_time(DELAY * 0.4)
        self.assertEqual([event["log_time"] for event in self.book.events], [1_000_000, 1_000_000 + DELAY * 0.6])
        self.assertEqual(self.lines(), ["first sailed", "second sailed"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.tell(Sailed("third")), ["third sailed"])

    def test_flush(self) -> None:
        """What waits is written now, once, and no timer is left; with nothing waiting it does nothing."""
        self.report.flush()
        self.report(Sailed("last"))
        self.report.flush()
        self.assertEqual(self.lines(), ["last sailed"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.report.flush()
        self.pass_time(1)
        self.assertEqual(self.lines(), [])

    def test_event(self) -> None:
        """The event has the outcome's level and service, and its line is no format string."""
        for outcome, level in [
            (Sailed("{ship} {line} %s"), LogLevel.info),
            (Leaked("x"), LogLevel.warn),
            (Creaked("x"), LogLevel.error),
        ]:
            self.report(outcome)
            self.report.flush()
            (event,) = self.book.events
            self.assertEqual((event["log_level"], event["log_namespace"]), (level, "pixelboot.navy"))
            self.assertEqual(self.lines(), [outcome.summary()])

    def test_rest(self) -> None:
        """A flood is one line at its beginning and one a minute later, which tells what it stands for."""
        self.assertEqual(self.tell(Leaked("first")), ["first sailed"])
        for _ in range(500):
            self.report(Leaked("again"))
        self.assertEqual(self.tell(Creaked("other")), ["other sailed"])
        self.pass_time(60 - 2 * DELAY - 0.001)
        self.assertEqual(self.tell(Leaked("within")), [])
        self.assertEqual(self.tell(Leaked("after")), ["within sailed (and 500 more like it)", "after sailed"])
        self.pass_time(60)
        self.assertEqual(self.tell(Leaked("later")), ["later sailed"])
        self.assertEqual(self.report.counts["navy.Leaked"], 504)

    def test_what_is_held_back_is_told(self) -> None:
        """At the end of the rest, or of the server, whether or not there is another like it."""
        self.tell(Leaked("first"))
        self.tell(Leaked("second"))
        self.pass_time(60)
        (event,) = self.book.events
        self.assertEqual(event["log_time"], 1_000_000 + DELAY, "the line has the time of what it tells")
        self.assertEqual(self.lines(), ["second sailed"])
        self.tell(Leaked("third"))
        self.report(Leaked("fourth"))
        self.report(Leaked("fifth"))
        self.report.close()
        self.assertEqual(self.lines(), ["fifth sailed (and 1 more like it)"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_burst(self) -> None:
        """Some kinds may be written a few times before they rest."""
        self.assertEqual([self.tell(Dripped(ship)) for ship in "abcd"], [["a sailed"], ["b sailed"], ["c sailed"], []])
        self.pass_time(60)
        self.assertEqual(self.lines(), ["d sailed"])
        self.assertEqual(self.tell(Dripped("e")), ["e sailed"])

    def test_rest_counts_from_the_line(self) -> None:
        """What is held back does not put off the next line: a steady flood is heard every minute."""
        heard = sum(len(self.tell(Leaked("drip"))) for _ in range(round(300 / DELAY)))
        self.assertIn(heard, (9, 10))  # at the beginning of each minute and at its end

    def test_wall_clock_steps_back(self) -> None:
        """A wall clock that was an hour ahead does not silence the log for an hour."""
        wall = [1_000_000.0]
        report = Report(self.clock, lambda: wall[0], self.book)
        report(Leaked("before"))
        self.clock.advance(DELAY)
        wall[0] -= 3600
        self.clock.advance(60)
        report(Leaked("after"))
        self.clock.advance(DELAY)
        self.assertEqual(self.lines(), ["before sailed", "after sailed"])

    def test_verbose(self) -> None:
        """Everything is written, also what is not worth a line otherwise."""
        self.assertEqual(self.tell(Creak("x")), [])
        self.assertEqual(self.report.counts["navy.Creak"], 1)
        self.report = Report(self.clock, self.wall.seconds, self.book, verbose=True)
        self.assertEqual(self.tell(Creak("x")), ["x sailed"])
        self.assertEqual([self.tell(Leaked("x")) for _ in range(3)], [["x sailed"]] * 3)


class CrowdTests(SynchronousTestCase):
    """What is written when a thousand machines come at once."""

    def setUp(self) -> None:
        self.clock, self.book = Clock(), Book()
        self.report = Report(self.clock, lambda: 1_000_000.5, self.book)

    def test_few_are_events_of_their_own(self) -> None:
        """Up to `SINGLY` lines nothing is put together."""
        for number in range(SINGLY):
            self.report(Sailed(f"ship {number}"))
        self.clock.advance(DELAY)
        self.assertEqual(
            [formatEvent(event) for event in self.book.events], [f"ship {n} sailed" for n in range(SINGLY)]
        )

    def test_many_share_an_event(self) -> None:
        """Each has a line with its time and its system; whatever is no good news has an event of its own, in order."""
        for number in range(SINGLY):
            self.report(Sailed(f"ship {number}"))
        self.report(Leaked("old ship"))
        self.report(Sailed("last ship"))
        self.clock.advance(DELAY)
        first, second, third = self.book.events
        lines = formatEvent(first).splitlines()
        stamp = formatTime(1_000_000.5)
        self.assertEqual(lines[:2], ["ship 0 sailed", f"{stamp} [pixelboot.navy#info] ship 1 sailed"])
        self.assertEqual(len(lines), SINGLY)
        self.assertEqual((formatEvent(second), second["log_level"]), ("old ship sailed", LogLevel.warn))
        self.assertEqual(formatEvent(third), "last ship sailed")
        self.assertEqual(self.report.counts["navy.Sailed"], SINGLY + 1)

    def test_a_full_batch_does_not_wait(self) -> None:
        """So that no batch takes long to write."""
        for number in range(FULL):
            self.report(Sailed(f"ship {number}"))
        self.assertEqual(self.book.events, [])
        self.clock.advance(0)
        self.assertEqual(len(formatEvent(self.book.events[0]).splitlines()), FULL)
