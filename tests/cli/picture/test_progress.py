"""Tests of `pixelboot.cli.picture.progress`."""

from __future__ import annotations

import os
import pty
import re
import sys
from typing import TextIO

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.cli.picture import progress

HOSTILE = "[bold]x[/] :smile:"


class TestBar(SynchronousTestCase):
    """On a terminal of its own."""

    def setUp(self) -> None:
        self.clock = Clock()
        for name, value in (("TERM", "xterm"), ("COLUMNS", "100"), ("NO_COLOR", None)):
            self.set(name, value)

    def set(self, name: str, value: str | None) -> None:
        """A variable of the environment, for the rest of the test."""
        before = os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
        self.addCleanup(lambda: os.environ.pop(name, None) if before is None else os.environ.update({name: before}))

    def on_terminal(self, *, quiet: bool = False, seconds: float = 5.0, hang_up: bool = False) -> tuple[str, bool]:
        """All that a terminal gets while a job of so many seconds runs, and whether anybody took the fractions."""
        master, slave = pty.openpty()
        terminal: TextIO = os.fdopen(slave, "w")
        self.patch(sys, "stderr", terminal)
        try:
            with progress.bar(HOSTILE, quiet, self.clock.seconds) as reached:
                for step in range(101):
                    if reached is not None:
                        reached(step / 100)
                    self.clock.advance(seconds / 100)
                    if hang_up and step == 50:
                        os.close(master)
                        master = -1
            terminal.flush()
            return ("" if master < 0 else drained(master, slave)), reached is not None
        finally:
            self.patch(sys, "stderr", sys.__stderr__)
            if master >= 0:
                os.close(master)
            try:
                terminal.close()
            except OSError:
                self.assertTrue(hang_up)

    def test_it_comes_and_goes(self) -> None:
        shown, used = self.on_terminal()
        self.assertTrue(used)
        percentages = [int(found) for found in re.findall(r"(\d+)%", shown)]
        self.assertEqual(percentages, sorted(percentages))
        self.assertIn(percentages[0], (20, 21), "after a second of five")
        self.assertIn(percentages[-1], (99, 100))
        self.assertLess(len(percentages), 45, "no more than ten a second")
        self.assertIn(HOSTILE, plain(shown))
        self.assertTrue(shown.endswith("\x1b[2K"), "the line is erased")
        self.assertEqual(shown.count("\x1b[?25l"), shown.count("\x1b[?25h"), "the cursor is back")

    def test_short_work_has_none(self) -> None:
        self.assertEqual(self.on_terminal(seconds=0.9), ("", True))

    def test_nobody_wants_it(self) -> None:
        self.assertEqual(self.on_terminal(quiet=True), ("", False))
        for term in ("dumb", "unknown", ""):
            self.set("TERM", term)
            self.assertEqual(self.on_terminal(), ("", False), term)
        self.set("TERM", None)
        self.assertEqual(self.on_terminal(), ("", False))

    def test_no_colour(self) -> None:
        colour = re.compile(r"\x1b\[[0-9;]*m")
        self.assertRegex(self.on_terminal()[0], colour)
        self.set("NO_COLOR", "1")
        shown, _ = self.on_terminal()
        self.assertRegex(shown, r"\d+%")
        self.assertEqual([found for found in colour.findall(shown) if re.search(r"[34]\d", found)], [])

    def test_a_terminal_that_goes_away(self) -> None:
        self.on_terminal(hang_up=True)

    def test_no_terminal(self) -> None:
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb") as out, os.fdopen(writer, "w") as stream:
            self.patch(sys, "stderr", stream)
            with progress.bar("x", clock=self.clock.seconds) as reached:
                self.assertIsNone(reached)
            self.patch(sys, "stderr", sys.__stderr__)
            stream.close()
            self.assertEqual(out.read(), b"")
        self.patch(sys, "stderr", None)
        with progress.bar("x") as reached:
            self.assertIsNone(reached)
        self.patch(sys, "stderr", sys.__stderr__)


def drained(master: int, slave: int) -> str:
    """What was written to the terminal; a mark of our own shows where it ends."""
    os.write(slave, b"\0END")
    octets = b""
    while not octets.endswith(b"\0END"):
        octets += os.read(master, 4096)
    return octets.removesuffix(b"\0END").decode()


def plain(text: str) -> str:
    """The text without its control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
