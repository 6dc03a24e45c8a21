"""A program that the lab started: the lines it writes, as they come, and an end that is certain."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from lab import CHECKOUT

ERASED = "\N{SYMBOL FOR FORM FEED}"
"""What stands in a line where the whole screen was erased, once or more often in a row."""

_TERMINAL_CODES = re.compile(r"\x1b(?:\[[0-9;?=]*[A-Za-z]|[c78])|[\x00-\x08\x0b-\x1f\x7f]")
"""What firmware and kernels send to steer a terminal (ECMA-48 CSI; ESC c, 7 and 8) and other control characters."""

_ERASE = re.compile(rf"\x1b\[2J(?:{_TERMINAL_CODES.pattern})*")
"""The code for that, with the codes behind it."""


class LabError(Exception):
    """Something the lab needs did not happen; the text says what, and what to do where that is known."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line that a program wrote."""

    source: str
    """The name of the program."""

    at: float
    """When its end was read, in seconds of the monotonic clock."""

    text: str
    """The line without its end and without terminal codes."""


Sink = Callable[[Line], None]
"""Is called with every line as it comes, on the thread that reads the program's output."""


class Process:
    """A running program.  Used as a context manager it is stopped at the end of the block.

    It runs in a session of its own, so a Ctrl-C at the terminal reaches the lab alone, which then ends its programs in
    order.  Standard error goes where standard output goes; both are read all the time, so the program never waits for
    its reader.
    """

    def __init__(
        self, name: str, argv: Sequence[str], sink: Sink | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        """Start `argv` in the checkout's folder, with `env` added to the environment.

        :raises LabError: if the program cannot be started.
        """
        self.name = name
        self.started_at = time.monotonic()
        self._sink = sink
        self._lines: list[Line] = []
        self._changed = threading.Condition()
        self._ended = False
        try:
            self._popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=CHECKOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
                start_new_session=True,
            )
        except OSError as error:
            raise LabError(f"{name} cannot be started: {error}") from error
        assert self._popen.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._popen.stdout,), name=name, daemon=True)
        self._reader.start()

    def _read(self, output: IO[bytes]) -> None:
        with output:
            for octets in output:
                line = Line(self.name, time.monotonic(), _plain(octets.decode("utf-8", "replace")))
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
                if self._sink is not None:
                    self._sink(line)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def has_ended(self) -> bool:
        """Whether it has ended and all its lines have been read."""
        return self._ended

    @property
    def lines(self) -> list[Line]:
        """All lines so far."""
        with self._changed:
            return list(self._lines)

    def tail(self, count: int = 20) -> str:
        """The last `count` lines as one text, for error messages."""
        return (
            "\n".join(f"  {self.name}: {line.text}" for line in self.lines[-count:]) or f"  {self.name}: wrote nothing"
        )

    def wait_for(self, pattern: str, timeout: float, after: int = 0) -> re.Match[str]:
        """The first line that contains `pattern` (a regular expression), waiting at most `timeout` seconds for it.

        The first `after` lines do not count.

        :raises LabError: if the line did not come in time, or the program ended without it.
        """
        deadline = time.monotonic() + timeout
        seen = after
        with self._changed:
            while True:
                for line in self._lines[seen:]:
                    if match := re.search(pattern, line.text):
                        return match
                seen = max(seen, len(self._lines))
                remaining = deadline - time.monotonic()
                if self._ended or remaining <= 0:
                    break
                self._changed.wait(remaining)
        why = f"ended (status {self._popen.poll()})" if self._ended else f"did not do so within {timeout:g} s"
        raise LabError(f"{self.name} should have written {pattern!r} but {why}; its last lines:\n{self.tail()}")

    def wait(self, timeout: float) -> int:
        """The exit status, waiting at most `timeout` seconds for the end; all lines have been read then.

        :raises LabError: if it still runs.
        """
        try:
            status = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} did not end within {timeout:g} s; its last lines:\n{self.tail()}") from None
        self._reader.join(5.0)
        return status

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing happens if it has ended."""
        self._popen.send_signal(number)

    def stop(self, timeout: float = 10.0) -> int:
        """Ask it to end (SIGTERM), kill it after `timeout` seconds, and return the exit status."""
        self.send_signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except LabError:
            return self.kill()

    def kill(self) -> int:
        """Kill it (SIGKILL) and return the exit status."""
        self._popen.kill()
        return self.wait(10.0)

    def __enter__(self) -> Self:
        """The process itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()


def _plain(text: str) -> str:
    """A line as it would be read on paper."""
    return _TERMINAL_CODES.sub("", _ERASE.sub(ERASED, text).replace("\t", " ")).rstrip()


def wait_until(condition: Callable[[], bool], timeout: float, what: str, every: float = 0.05) -> None:
    """Ask again and again, with `every` seconds in between, and return when the answer is yes.

    :raises LabError: if it has not been within `timeout` seconds; `what` says what was waited for.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {timeout:g} s")
        time.sleep(every)


def run(*argv: str, timeout: float = 30.0, folder: Path = CHECKOUT, env: Mapping[str, str] | None = None) -> str:
    """Run a program to its end, in a folder and with `env` added to the environment; return its standard output.

    :raises LabError: if it cannot be started, fails, or takes longer than `timeout` seconds.
    """
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=folder,
            env={**os.environ, **(env or {})},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{' '.join(argv)}: {error}") from error
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout
