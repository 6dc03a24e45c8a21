"""Tests of `pixelboot.cli.check`."""

from __future__ import annotations

import argparse
import io
import os
import sys
import tomllib

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.cli import check
from pixelboot.config import build
from pixelboot.site import Site, load
from tests.running import command, folder_for, free_udp_port, settings


class CheckTests(SynchronousTestCase):
    """``pixelboot check``."""

    def setUp(self) -> None:
        self.folder = folder_for(self.addCleanup)
        self.patch(os, "environ", {})

    def test_good(self) -> None:
        """The settings are printed as a file that loads to the same; nothing is made or bound."""
        file = settings(self.folder, free_udp_port())
        code, out, error = command("check", "--config", file, "--boot-timeout", "3")
        self.assertEqual((code, error), (0, ""))
        self.assertEqual(build(Site, tomllib.loads(out)), load(str(file), {("boot", "timeout"): "3"}, {}))
        self.assertEqual(os.listdir(self.folder), ["site.toml"])
        self.assertEqual(command("check", "--check", "--config", file, "--boot-timeout", "3"), (0, out, ""))

    def test_other_locales(self) -> None:
        """What is printed can be read there, too."""
        out = io.TextIOWrapper(io.BytesIO(), "ascii")
        self.patch(sys, "stdout", out)
        check.run(argparse.Namespace(rest=["--state", "/größer"]))
        out.seek(0)
        self.assertEqual(build(Site, tomllib.loads(out.read())).state, "/größer")

    def test_defaults(self) -> None:
        """With nothing said, they are what the reference says."""
        code, out, error = command("check")
        self.assertEqual((code, build(Site, tomllib.loads(out)), error), (0, build(Site, {}), ""))

    def test_an_interface_that_is_not_there_yet(self) -> None:
        """It would be waited for: the settings are good, and that is told, too, for it may be misspelt."""
        file = settings(self.folder, free_udp_port())
        code, out, error = command("check", "--config", file, "--dhcp-interface", "gone0")
        self.assertEqual((code, tomllib.loads(out)["dhcp"]["interface"]), (0, "gone0"))
        self.assertRegex(
            error, r"\Apixelboot: dhcp\.interface: there is no gone0 now, it would be waited for; [^\n]*\n\Z"
        )

    def test_wrong(self) -> None:
        """Status 1, nothing on standard output, and one line that names the key; so what this machine lacks."""
        file = settings(self.folder, 67, "tcp:80")
        for words, told in (
            (["--config", "/nonexistent.toml"], "--config /nonexistent.toml: No such file or directory\n"),
            (["--dhcp-port", "x"], 'dhcp.port = "x": must be a whole number from 1 to 65535\n'),
            (["--http-root", "/nonexistent"], 'http.root = "/nonexistent": must be a folder that exists\n'),
            (
                ["--config", file, "--dhcp-address", "198.51.100.9"],
                'dhcp.address = "198.51.100.9": must be an address of ',
            ),
            (["--bogus"], "option --bogus not recognized\n"),
            (["extra"], "Wrong number of arguments.\n"),
        ):
            code, out, error = command("check", *words)
            self.assertEqual((code, out), (1, ""), told)
            self.assertRegex(error, r"\Apixelboot(?: check)?: [^\n]*\n\Z")
            self.assertTrue(error.split(": ", 1)[1].startswith(told), error)
