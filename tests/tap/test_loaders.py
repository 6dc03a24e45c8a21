"""Tests of `pixelboot.tap.loaders`."""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.settings import LoaderSettings
from pixelboot.config import build
from pixelboot.tap.loaders import LoaderCheck


class LoaderCheckTests(SynchronousTestCase):
    """What is said at the start."""

    def said(self, held: set[str], **loaders: str) -> list[str]:
        """The warnings, where these files are there."""

        async def holds(name: str) -> bool:
            return name in held

        settings = build(LoaderSettings, {key.replace("_", "-"): name for key, name in loaders.items()})
        check = LoaderCheck(settings, holds, lambda name: "install it" if name == "undionly.kpxe" else "")
        with capturedLogs() as events:
            check.startService()
            check.stopService()
        self.assertEqual({event["log_level"] for event in events} - {LogLevel.warn}, set())
        return [formatEvent(event) for event in events]

    def test_missing(self) -> None:
        """One line for each, with what to do about it."""
        self.assertEqual(
            self.said(set()),
            [
                "no loader for bios machines: there is no file undionly.kpxe; install it",
                "no loader for uefi-x64 machines: there is no file snponly.efi; put it into tftp.root",
            ],
        )

    def test_nothing_to_say(self) -> None:
        """They are there, are not wanted, or are somewhere else."""
        self.assertEqual(self.said({"undionly.kpxe", "snponly.efi"}), [])
        self.assertEqual(self.said({"mine.pxe"}, bios="mine.pxe", uefi_x64=""), [])
        self.assertEqual(self.said(set(), bios="", uefi_x64="tftp://10.77.0.9/x.efi"), [])

    def test_a_look_that_fails(self) -> None:
        """It is told, and the server runs all the same."""

        async def broken(name: str) -> bool:
            raise ValueError(name)

        check = LoaderCheck(build(LoaderSettings, {}), broken, str)
        check.startService()
        self.assertTrue(check.running)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
