"""The manual's tables of last lines: the words in them are those of the log."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.test_house import ROOT

PAGE = ROOT / "docs" / "how-to" / "find-out-why-a-machine-does-not-boot.rst"

FILLED_IN = re.compile(r"…|snponly\.efi|http://|/menu\.ipxe|/containers/(?:ID/initrd)?|[0-9]{3}|GET|DISCOVER|initrd")
"""What is a machine's own in a line, or stands in it in place of something."""


def quoted() -> list[str]:
    """The pieces of log lines in the first column, without what is filled in."""
    text = PAGE.read_text(encoding="utf-8")
    cells = re.findall(r"^   \* - (.*(?:\n {7}\S.*)*)", text, re.MULTILINE)[1:]
    lines = [" ".join(line.split()) for cell in cells for line in re.findall(r"``(.*?)``", cell, re.DOTALL)]
    return [piece.strip(" .,:") for line in lines for piece in FILLED_IN.split(line) if len(piece.strip(" .,:")) > 3]


class TroubleTests(SynchronousTestCase):
    """Whoever looks for a line of the log in the manual finds it."""

    def test_the_words_are_the_log_s(self) -> None:
        """Each piece is written somewhere in the program, give or take what is filled in there."""
        program = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "pixelboot").rglob("*.py"))
        program = re.sub(r"{[^{}]*}", "", re.sub(r'"\s*f?"', "", program))
        pieces = quoted()
        self.assertGreater(len(pieces), 40)
        for piece in pieces:
            for words in re.split(r"\s*(?:`|:)\s*", piece):
                self.assertIn(re.sub(r"^tftp\s+", "", words), program, piece)
