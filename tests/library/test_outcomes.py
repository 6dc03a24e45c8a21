"""Tests of `pixelboot.library.outcomes`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.outcomes import (
    ContainerBusy,
    ContainerDamaged,
    ContainerFound,
    ContainerGone,
    ContainerPostponed,
    ContainerReady,
    ContainerRecalled,
    ContainerReplaced,
    ContainerShadowed,
    ContainerUnbootable,
    ContainerUntrusted,
    FolderUnreadable,
    LibraryOpened,
    PartsEvicted,
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
            (LibraryOpened(()), "library.LibraryOpened", "0 containers"),
            (LibraryOpened((("ready", 1),)), "library.LibraryOpened", "1 container: 1 ready"),
            (
                LibraryOpened((("ready", 990), ("decoding", 3), ("damaged", 7))),
                "library.LibraryOpened",
                "1000 containers: 990 ready, 3 to be verified, 7 damaged",
            ),
            (ContainerFound("x\n.rts.png"), "library.ContainerFound", "x\\n.rts.png is new"),
            (ContainerReplaced("x\n.rts.png"), "library.ContainerReplaced", "x\\n.rts.png was replaced"),
            (
                ContainerBusy("x\n.rts.png"),
                "library.ContainerBusy",
                "x\\n.rts.png is still being written, and not offered until that is over",
            ),
            (
                ContainerRecalled("x\n.rts.png", "ready"),
                "library.ContainerRecalled",
                "x\\n.rts.png is ready, as before",
            ),
            (
                ContainerUnbootable("x.rts.png", "a\nsnapshot"),
                "library.ContainerUnbootable",
                "x.rts.png is not bootable: a\\nsnapshot",
            ),
            (
                ContainerUntrusted("x.rts.png", "it has no signature"),
                "library.ContainerUntrusted",
                "x.rts.png is not offered: it has no signature",
            ),
            (
                PartsEvicted(1, 2500),
                "library.PartsEvicted",
                "the decoded parts of one picture, 2.5 kB, were removed to make room",
            ),
            (
                PartsEvicted(3, 25),
                "library.PartsEvicted",
                "the decoded parts of 3 pictures, 25 octets, were removed to make room",
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
