"""Tests of `pixelboot.cli`: what all commands have in common."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from lab import CHECKOUT
from pixelboot import __version__
from pixelboot.cli import channel
from tests.cli.canned import STATUS, Canned, answer
from tests.running import ENVIRON, PATIENCE, command, folder_for

COMMANDS = ("serve", "stop", "status", "check", "pack", "inspect", "unpack")


class MainTests(SynchronousTestCase):
    """The command line as a whole."""

    def test_help(self) -> None:
        """Every command is listed; those with arguments of their own have a help of their own."""
        code, out, error = command("--help")
        self.assertEqual((code, error), (0, ""))
        for name in COMMANDS:
            self.assertRegex(out, rf"(?m)^ +{name} +\w")
        for name in ("stop", "status", "pack", "inspect", "unpack"):
            code, out, error = command(name, "--help")
            self.assertEqual((code, error), (0, ""), name)
            self.assertIn(f"usage: pixelboot {name} ", out)

    def test_version(self) -> None:
        """The version."""
        self.assertEqual(command("--version"), (0, f"pixelboot {__version__}\n", ""))

    def test_wrong_words(self) -> None:
        """What is not understood is refused; nothing is guessed out of the beginning of a word."""
        for words, told in (
            ([], "the following arguments are required: COMMAND"),
            (["boil"], "invalid choice: 'boil'"),
            (["stat"], "invalid choice: 'stat'"),
            (["--vers"], "required: COMMAND"),
            (["status", "--bogus"], "unrecognized arguments: --bogus"),
            (["status", "extra"], "unrecognized arguments: extra"),
            (["stop", "--stat", "/s"], "unrecognized arguments: --stat /s"),
            (["status", "--state"], "expected one argument"),
        ):
            code, out, error = command(*words)
            self.assertEqual((code, out), (2, ""), str(words))
            self.assertIn(told, error, str(words))
            self.assertIn("usage: pixelboot", error, str(words))

    def test_interrupted(self) -> None:
        """Ctrl-C ends a command without a traceback, with the status that shells know it by."""

        def interrupted(*_: object) -> object:
            raise KeyboardInterrupt

        self.patch(channel, "ask", interrupted)
        self.assertEqual(command("status"), (130, "", ""))


class ProcessTests(SynchronousTestCase):
    """``python -m pixelboot.cli``."""

    def run_with(self, stdout: int, *words: str) -> tuple[int, str, str]:
        """The command in a process of its own: exit status, output, errors."""
        done = subprocess.run(
            [sys.executable, "-m", "pixelboot", *words],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            cwd=CHECKOUT,
            env={**os.environ, **ENVIRON},
            check=False,
        )
        return done.returncode, done.stdout or "", done.stderr

    def test_status(self) -> None:
        """A command that succeeds, one that fails, and one whose reader has gone away."""
        state = folder_for(self.addCleanup)
        words = ("status", "--state", str(state))
        told = f"pixelboot: no server is running on the state folder {state}\n"
        self.assertEqual(self.run_with(subprocess.PIPE, *words), (1, "", told))
        Canned(state, [answer(STATUS)] * 2, self.addCleanup)
        code, out, error = self.run_with(subprocess.PIPE, *words)
        self.assertEqual((code, out.splitlines()[0], error), (0, "pixelboot 0.1.0, process 1, up 1 s", ""))
        reader, writer = os.pipe()
        os.close(reader)
        self.addCleanup(os.close, writer)
        self.assertEqual(self.run_with(writer, *words), (1, "", ""))
