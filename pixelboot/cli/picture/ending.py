"""Signals that end a command: they become exceptions, so that what is half done is taken back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def taken_back() -> Iterator[None]:
    """Within this block the first of SIGINT, SIGTERM and SIGHUP raises; further ones do not disturb the clearing up.

    SIGINT raises KeyboardInterrupt, the others SystemExit with the status by which shells know them.  A signal that is
    ignored, as SIGHUP is under ``nohup``, stays so.  Only for the main thread.
    """

    def end(number: int, _frame: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    before = {each: handler for each in _ENDING if (handler := signal.getsignal(each)) not in (signal.SIG_IGN, None)}
    for each in before:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
