"""Tests of `pixelboot.cli.stop`; a real server is stopped in `tests.installed.test_program`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.cli import stop
from pixelboot.state.lock import StateLock
from tests.cli.canned import STATUS, Canned, answer
from tests.running import command, folder_for

STOPPING = answer({"stopping": True}, "202 Accepted")


class StopTests(SynchronousTestCase):
    """``pixelboot stop``, and processes that pass for servers."""

    def setUp(self) -> None:
        self.state = folder_for(self.addCleanup)

    def process(self) -> subprocess.Popen[bytes]:
        """A process that ends when its standard input does."""
        process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def server(self, pid: int, *answers: bytes) -> Canned:
        """A control channel that speaks for a process."""
        return Canned(self.state, [answer({**STATUS, "pid": pid}), *answers], self.addCleanup)

    def stop(self, *words: str) -> tuple[int, str, str]:
        """Run the command."""
        return command("stop", "--state", self.state, *words)

    def test_ends(self) -> None:
        """It waits for the process, not for the socket."""
        process = self.process()
        server = self.server(process.pid, STOPPING)
        assert process.stdin is not None
        process.stdin.close()
        self.assertEqual(self.stop(), (0, f"stopped process {process.pid}\n", ""))
        self.assertEqual(process.poll(), 0)
        self.assertEqual(server.asked, ["GET /api/v1/status HTTP/1.1", "POST /api/v1/stop HTTP/1.1"])

    def test_does_not_end(self) -> None:
        """That is an error, which says what was done and what was not."""
        process = self.process()
        self.server(process.pid, STOPPING)
        self.addCleanup(StateLock.take(str(self.state)).release)
        told = f"pixelboot: process {process.pid} was told to stop, and still runs after 0.05 s\n"
        self.assertEqual(self.stop("--timeout", "0.05"), (1, "", told))
        self.assertIsNone(process.poll())

    def test_a_service_in_somebody_else_s_program(self) -> None:
        """It lets go of its state folder, and that is all that was asked for: the process goes on."""
        self.patch(stop, "LAST_STEPS", 0.01)
        process = self.process()
        self.server(process.pid, STOPPING)
        told = f"stopped the service in process {process.pid}, which goes on\n"
        self.assertEqual(self.stop(), (0, told, ""))
        self.assertIsNone(process.poll())

    def test_ended_meanwhile(self) -> None:
        """Somebody else was faster."""
        process = self.process()
        process.communicate()
        self.server(process.pid)
        self.assertEqual(self.stop(), (1, "", f"pixelboot: the server of {self.state} ended by itself\n"))

    def test_refuses(self) -> None:
        """A server that does not do as it is told."""
        process = self.process()
        self.server(process.pid, answer({"error": "no"}, "500 Internal Server Error"))
        control = f"{self.state}/control"
        told = f"pixelboot: the server at {control} answered 500 Internal Server Error to /api/v1/stop: no\n"
        self.assertEqual(self.stop(), (1, "", told))

    def test_no_server(self) -> None:
        """There is nothing to stop."""
        self.assertEqual(self.stop(), (1, "", f"pixelboot: no server is running on the state folder {self.state}\n"))

    def test_wrong_waits(self) -> None:
        """What is no time to wait is refused before anybody is told to stop."""
        server = self.server(os.getpid(), STOPPING)
        for words in ("soon", "-1", "nan", "inf", ""):
            code, out, error = self.stop(f"--timeout={words}")
            self.assertEqual((code, out), (2, ""), words)
            self.assertIn("argument --timeout: must be seconds, from 0 to 86400", error, words)
        self.assertEqual(server.asked, [])
        self.assertTrue(Path(self.state, "control").exists())
