"""The manual's table of flags: every one that people bring along has a setting here, under the name that is told."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import arrays, declared
from pixelboot.site import Site
from tests.running import command
from tests.test_house import ROOT

FLAGS = frozenset(
    """
    interface port root-dir timeout max-retries block-size server-ip ip-range-start ip-range-end subnet-mask lease-time
    tftp-server bootfile watch-path no-range default-entry menu-timeout verbose json
    """.split()  # noqa: SIM905 - a list of a word a line would hide what they have in common
)
"""The long flags of ``pixelrts pxe dhcp|tftp|http start`` and of ``pxe status``."""


def table() -> list[tuple[str, str, str]]:
    """Command, flag, and what it is called here, for each row of the table."""
    text = (ROOT / "docs" / "reference" / "flags.rst").read_text(encoding="utf-8")
    rows = text.split("   * - ")[2:]
    cells = [[cell.strip() for cell in re.split(r"\n     - ", row)] for row in rows]
    return [(cell[0].replace("``", ""), cell[1].strip("`"), cell[3].strip("`")) for cell in cells]


class FlagTests(SynchronousTestCase):
    """The table; that each setting does what the flag did is tested where a whole server runs."""

    def test_every_flag_is_there(self) -> None:
        """And none that was never one."""
        self.assertEqual({flag.removeprefix("--") for _, flag, _ in table()}, FLAGS)

    def test_every_setting_is_there(self) -> None:
        """A setting, plain or of an array of tables, or a command."""
        settings = {setting.key for setting in declared(Site)}
        settings |= {setting.key for _, _, entries in arrays(Site) for setting in entries}
        for _, flag, key in table():
            if key.startswith("pixelboot "):
                _, words, option = key.split()
                status, out, error = command(words, "--help")
                self.assertEqual((status, error), (0, ""))
                self.assertIn(option, out, flag)
            else:
                self.assertIn(key, settings, flag)
