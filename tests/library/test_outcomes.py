"""Tests of `pixelboot.library.outcomes`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.outcomes import (
    ContainerDamaged,
    ContainerGone,
    ContainerPostponed,
    ContainerReady,
    ContainerShadowed,
    FolderUnreadable,
)
from pixelboot.outcome import Outcome


class TestOutcomes(SynchronousTestCase):
    """What stands in the log."""

    def test_lines(self) -> None:
        cases: list[tuple[Outcome, str, str]] = [
            (
                ContainerReady("a\nb.rts.png", "a-b~12", (("kernel", 5), ("initrd", 70))),
                "library.ContainerReady",
                "a\\nb.rts.png is ready as a-b~12: kernel of 5 octets, initrd of 70 octets",
            ),
            (
                ContainerDamaged("x.rts.png", "part \x1b[31m"),
                "library.ContainerDamaged",
                "x.rts.png is damaged: part \\x1b[31m",
            ),
            (
                ContainerPostponed("x.rts.png", "no\nroom"),
                "library.ContainerPostponed",
                "x.rts.png cannot be decoded now, later again: no\\nroom",
            ),
            (ContainerGone("\u202ex.rts.png"), "library.ContainerGone", "\\u202ex.rts.png is gone"),
            (
                ContainerShadowed("x\n.rts.png", "/b", "/a"),
                "library.ContainerShadowed",
                "x\\n.rts.png in /b is not offered: there is one in /a",
            ),
            (FolderUnreadable("/srv", "gone"), "library.FolderUnreadable", "the folder /srv cannot be read: gone"),
        ]
        for outcome, counter, line in cases:
            self.assertEqual((outcome.counter(), outcome.summary()), (counter, line))
