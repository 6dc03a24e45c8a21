"""Tests of `pixelboot.boot.ipxe.arguments`; that what is passed arrives is tested with the script (`test_script`)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.ipxe.arguments import COMMAND_LINE_LIMIT, unpassable


class UnpassableTests(SynchronousTestCase):
    """Which command lines arrive as they are."""

    def test_passed(self) -> None:
        for line in (
            "",
            "console=ttyS0,115200 root=LABEL=x$y",
            "a  b\tc\n",
            'dyndbg="file a.c +p; file b.c +p"',
            "x=a||b y=a#b z=;; -- -n --help {x} $ {y}",
            "x" * COMMAND_LINE_LIMIT,
        ):
            self.assertIsNone(unpassable(line), line)

    def test_refused(self) -> None:
        for line, why in (
            ("root=${ip}", "has ${"),
            ("quiet || chain evil", "word ||"),
            ("quiet && x", "word &&"),
            ("quiet ; x", "word ;"),
            ("quiet #x", "word #x"),
            ("quiet \\", "ends with a backslash"),
            ("name=ü", "not ASCII"),
            ("a\x00b", "not ASCII"),
            ("a\x1cb", "not ASCII"),
            ('x="a  b"', "between quotes"),
            ('x="a\tb"', "between quotes"),
            ('x="a\nb', "between quotes"),
            ("x" * (COMMAND_LINE_LIMIT + 1), "longer than"),
        ):
            self.assertIn(why, unpassable(line) or "", line)

    def test_what_stands_before_it(self) -> None:
        """It takes of the room."""
        self.assertIsNone(unpassable("x" * (COMMAND_LINE_LIMIT - 14), 14))
        self.assertIn("longer than", unpassable("x" * (COMMAND_LINE_LIMIT - 13), 14) or "")
