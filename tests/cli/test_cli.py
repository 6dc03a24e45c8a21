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

COMMANDS = ("serve", "stop", "status", "containers", "check", "pack", "inspect", "unpack", "verify")


class MainTests(SynchronousTestCase):
    """The command line as a whole."""

    def test_help(self) -> None:
        """Every command is listed; those with arguments of their own have a help of their own."""
        code, out, error = command("--help")
        self.assertEqual((code, error), (0, ""))
        for name in COMMANDS:
            self.assertRegex(out, rf"(?m)^ +{name}\s+\w")
        for name in ("stop", "status", "containers", "pack", "inspect", "unpack", "verify"):
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

    def begin(self, stdout: int, *words: str, streams: str = "", **environ: str) -> subprocess.Popen[str]:
        """Begin a command in a process of its own, where a shell has set up the `streams`."""
        process = subprocess.Popen(
            ["sh", "-c", f'exec "$@" {streams}', "sh", sys.executable, "-m", "pixelboot", *words],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
            env={**os.environ, **ENVIRON, **environ},
        )
        self.addCleanup(process.kill)
        return process

    def ended(self, process: subprocess.Popen[str]) -> tuple[int, str, str]:
        """Its exit status, output and errors."""
        out, error = process.communicate(timeout=PATIENCE)
        return process.returncode, out or "", error

    def test_streams(self) -> None:
        """One that is closed, one on a full disk, one that nobody reads, one that lacks a character."""
        state = folder_for(self.addCleanup)
        name = {
            "id": "x",
            "file": "x.rts.png",
            "name": "é€",
            "size": 1,
            "state": "ready",
            "reason": "",
            "enabled": True,
        }
        status = {**STATUS, "containers": [name]}
        Canned(state, [answer(status)] * 4, self.addCleanup)
        words = ("status", "--state", str(state))
        reader, writer = os.pipe()
        os.close(reader)
        self.addCleanup(os.close, writer)
        closed = self.begin(subprocess.PIPE, *words, streams=">&-")
        full = self.begin(subprocess.PIPE, *words, streams=">/dev/full")
        unread = self.begin(writer, *words)
        ascii_only = self.begin(subprocess.PIPE, *words, PYTHONIOENCODING="ascii")
        silent = self.begin(subprocess.PIPE, "inspect", f"{state}/missing", streams="2>&- <&-")
        self.assertEqual(self.ended(closed), (0, "", ""))
        self.assertEqual(self.ended(full), (1, "", "pixelboot: standard output: No space left on device\n"))
        self.assertEqual(self.ended(unread), (1, "", ""))
        code, out, error = self.ended(ascii_only)
        self.assertEqual((code, out.splitlines()[0], error), (0, "pixelboot 0.1.0, process 1, up 1 s", ""))
        self.assertIn("\\xe9\\u20ac\n", out)
        self.assertEqual(self.ended(silent), (1, "", ""), "no line goes astray")
