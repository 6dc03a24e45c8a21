"""Tests of `pixelboot.cli.serve`."""

from __future__ import annotations

import os
import signal
import sys

from tests.running import PIXELBOOT, ServerCase, command, settings


class ServeTests(ServerCase):
    """``pixelboot serve``."""

    def test_serve(self) -> None:
        """It is twistd in the foreground, without a pid file; Ctrl-C ends it in order."""
        program = [*PIXELBOOT, "serve"]
        process = self.start("--config", settings(self.folder), "--boot-default=shell", program=program)
        second = self.begin("--state", self.state, program=program)
        self.assertEqual(self.status()["pid"], process.pid)
        self.assertEqual(self.refused(second), f"the state folder {self.state} is in use by process {process.pid}")
        self.assertEqual(sorted(os.listdir(self.folder)), ["site.toml", "state"])
        process.send_signal(signal.SIGINT)
        self.ended_well(process, -signal.SIGINT)

    def test_wrong_options(self) -> None:
        """One line, and the status of a command line that is not understood; twistd would print all there are."""
        for word, told in (
            ("--bogus", "bogus"),
            ("--http-listen", "http-listen"),
            ("extra", "Wrong number of arguments"),
        ):
            code, out, error = command("serve", word)
            self.assertEqual((code, out, error.count("\n")), (2, "", 1), error)
            self.assertIn(told, error)

    def test_help(self) -> None:
        """Its options are those of twistd's service."""
        self.patch(sys, "argv", [])
        code, text, error = command("serve", "--help")
        self.assertEqual((code, error), (0, ""))
        for option in ("--config=", "--check", "--state=", "--http-listen=", "--dhcp-interface="):
            self.assertIn(option, text)
