"""A bar on the terminal, for work of which a person would ask whether it still goes on."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

DELAY = 1.0
"""Seconds that work may take without a bar."""

_PACE = 0.1
"""Seconds between two states of the bar."""


@contextmanager
def bar(
    title: str, quiet: bool = False, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[float], None] | None]:
    """Take the fraction that is done, from 0 to 1, as often as one likes; show it on standard error after `DELAY`.

    Nothing of it is left on the screen at the end.  None where there is nobody to look at it: `quiet`, no terminal, or
    one that cannot move its cursor.  `title` is printable text.
    """
    able = os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    if quiet or not able or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    shown = _Bar(title, clock)
    try:
        yield shown.reached
    finally:
        shown.close()


class _Bar:
    """Is not there for `DELAY` seconds, and gone for good once the terminal refuses it."""

    def __init__(self, title: str, clock: Callable[[], float]) -> None:
        self._title = title
        self._clock = clock
        self._next_at = clock() + DELAY
        self._progress: Progress | None = None

    def reached(self, fraction: float) -> None:
        """So much is done."""
        if (now := self._clock()) < self._next_at:
            return
        self._next_at = now + _PACE
        try:
            if self._progress is None:
                self._progress = _begun(self._title, fraction, self._clock)
            self._progress.update(self._progress.task_ids[0], completed=fraction, refresh=True)
        except OSError:
            self._next_at = float("inf")

    def close(self) -> None:
        """Remove it from the screen."""
        if self._progress is not None:
            try:
                self._progress.stop()
            except OSError:
                return  # The terminal is gone, and the bar with it.


def _begun(title: str, fraction: float, clock: Callable[[], float]) -> Progress:
    """A bar on the screen."""
    # Imported here: what takes less than `DELAY` need not wait for rich.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        get_time=clock,
    )
    progress.update(progress.add_task(title, total=1.0), completed=fraction)
    progress.start()
    return progress
