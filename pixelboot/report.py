"""Where every outcome goes: counted at once, written to the log in batches.

A protocol calls the `Report` once per exchange and goes on; that call counts and appends, no more.  The text of
the lines is made a little later, for all that came together, so that a burst of machines is not slowed by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatTime, globalLogPublisher

from pixelboot.outcome import Outcome

DELAY = 0.1
"""Seconds that a line may wait for others to be written with it."""

FULL = 100
"""Lines that wait no longer: a longer batch would hold up the datagrams that come in meanwhile."""

SINGLY = 25
"""Lines of one batch that are events of their own.  Of more, every run of healthy ones is one event, whose text has a
line an outcome: an event of Twisted's costs 28 µs, a line of such a text 3."""

_LEVELS = {"debug": LogLevel.debug, "info": LogLevel.info, "warn": LogLevel.warn, "error": LogLevel.error}


class Report:
    """Takes outcomes, counts them and writes their lines."""

    def __init__(
        self,
        clock: IReactorTime,
        wall: Callable[[], float],
        observer: ILogObserver = globalLogPublisher,
        *,
        verbose: bool = False,
    ) -> None:
        """`clock` schedules the batches, `wall` gives the time that stands on the lines.

        With `verbose` every outcome has its line: also those of severity ``debug`` and those that rest.
        """
        self.counts: Counter[str] = Counter()
        """How often each kind of outcome happened, by `Outcome.counter`."""
        self._names: dict[type[Outcome], str] = {}
        self._clock = clock
        self._wall = wall
        self._observer = observer
        self._verbose = verbose
        self._waiting: list[tuple[float, Outcome]] = []
        self._call: IDelayedCall | None = None
        self._resting: dict[str, _Resting] = {}

    def __call__(self, outcome: Outcome) -> None:
        """Take one outcome."""
        kind = type(outcome)
        name = self._names.get(kind)
        if name is None:
            name = self._names[kind] = kind.counter()
        self.counts[name] += 1
        if outcome.severity == "debug" and not self._verbose:
            return
        self._waiting.append((self._wall(), outcome))
        if self._call is None:
            self._call = self._clock.callLater(DELAY, self.flush)
        elif len(self._waiting) == FULL:
            self._call.reset(0)

    def flush(self) -> None:
        """Write every line that waits; called by the clock."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        waiting, self._waiting = self._waiting, []
        if len(waiting) <= SINGLY:
            for at, outcome in waiting:
                self._write(at, outcome)
            return
        for alike, run in groupby(waiting, _may_be_together):
            if alike:
                self._say_together(run)
            else:
                for at, outcome in run:
                    self._write(at, outcome)

    def close(self) -> None:
        """Write every line that waits, and tell of those that were held back; called when the server stops."""
        self.flush()
        for resting in list(self._resting.values()):
            self._wake(resting)

    def _write(self, at: float, outcome: Outcome) -> None:
        if not outcome.rest or self._verbose:
            self._say(at, outcome)
            return
        name = outcome.counter()
        resting = self._resting.get(name)
        if resting is None:
            resting = self._resting[name] = _Resting(name)
            resting.call = self._clock.callLater(outcome.rest, self._wake, resting)
        if resting.written < outcome.burst:
            resting.written += 1
            self._say(at, outcome)
        else:
            resting.held += 1
            resting.last = at, outcome

    def _wake(self, resting: _Resting) -> None:
        """The rest is over: the last line that was held back is written, and tells of the others."""
        del self._resting[resting.name]
        if resting.call is not None and resting.call.active():
            resting.call.cancel()
        if resting.last is not None:
            more = f" (and {resting.held - 1} more like it)" if resting.held > 1 else ""
            self._say(*resting.last, more)

    def _say_together(self, run: Iterable[tuple[float, Outcome]]) -> None:
        """Write many lines as one event; each but the first begins with its own time and system, as Twisted's do."""
        (at, outcome), *others = run
        lines = [outcome.summary()]
        stamped, stamp = None, ""
        for when, each in others:
            if int(when) != stamped:
                stamped, stamp = int(when), formatTime(when)
            lines.append(f"{stamp} [pixelboot.{each.service}#info] {each.summary()}")
        self._observer(_event(at, LogLevel.info, outcome.service, "\n".join(lines)))

    def _say(self, at: float, outcome: Outcome, more: str = "") -> None:
        self._observer(_event(at, _LEVELS[outcome.severity], outcome.service, outcome.summary() + more))


def _event(at: float, level: object, service: str, line: str) -> LogEvent:
    return {
        "log_time": at,
        "log_level": level,
        "log_namespace": f"pixelboot.{service}",
        "log_format": "{line}",
        "line": line,
    }


def _may_be_together(waiting: tuple[float, Outcome]) -> bool:
    """Whether an outcome's line may share an event with others."""
    outcome = waiting[1]
    return outcome.severity == "info" and not outcome.rest


@dataclass(slots=True)
class _Resting:
    """A kind of outcome of which a line was written lately."""

    name: str
    written: int = 0
    held: int = 0
    last: tuple[float, Outcome] | None = None
    call: IDelayedCall | None = None
