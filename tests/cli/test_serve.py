"""Tests of `pixelboot.cli.serve`; a server is started by it in `tests.installed.test_program`."""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.running import command


class ServeTests(SynchronousTestCase):
    """``pixelboot serve``."""

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
