"""Where every outcome goes: counted at once, written to the log in batches.

A protocol calls the `Report` once per exchange and goes on; that call counts and appends, no more.  The text of
the lines is made a little later, for all that came together, so that a burst of machines is not slowed by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import ILogObserver, LogLevel, globalLogPublisher

from pixelboot.outcome import Outcome

DELAY = 0.1
"""Seconds that a line may wait for others to be written with it."""

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
        self._clock = clock
        self._wall = wall
        self._observer = observer
        self._verbose = verbose
        self._waiting: list[tuple[float, Outcome]] = []
        self._call: IDelayedCall | None = None
        self._quiet: dict[str, tuple[float, int]] = {}

    def __call__(self, outcome: Outcome) -> None:
        """Take one outcome."""
        self.counts[outcome.counter()] += 1
        if outcome.severity == "debug" and not self._verbose:
            return
        self._waiting.append((self._wall(), outcome))
        if self._call is None:
            self._call = self._clock.callLater(DELAY, self.flush)

    def flush(self) -> None:
        """Write every line that waits; called by the clock, and once more when the server stops."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        waiting, self._waiting = self._waiting, []
        for at, outcome in waiting:
            self._write(at, outcome)

    def _write(self, at: float, outcome: Outcome) -> None:
        line = outcome.summary()
        if outcome.rest and not self._verbose:
            name = outcome.counter()
            last, held = self._quiet.get(name, (float("-inf"), 0))
            if 0 <= at - last < outcome.rest:
                self._quiet[name] = (last, held + 1)
                return
            self._quiet[name] = (at, 0)
            if held:
                line += f" (and {held} more like it since the last such line)"
        self._observer(
            {
                "log_time": at,
                "log_level": _LEVELS[outcome.severity],
                "log_namespace": f"pixelboot.{outcome.service}",
                "log_format": "{line}",
                "line": line,
            }
        )
