"""Tests of `pixelboot.tftp.outcomes`."""

from __future__ import annotations

import re
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.hwaddr import HardwareAddress
from pixelboot.outcome import Outcome
from pixelboot.tftp import outcomes
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.outcomes import (
    Busy,
    CutShort,
    Dropped,
    GaveWay,
    Ignored,
    NotFound,
    NotSent,
    Refused,
    Throttled,
    concluded,
)
from pixelboot.tftp.read.ending import Ending, Result
from tests.test_house import ROOT

MAC = HardwareAddress.parse("02:aa:00:00:00:01")
PEER = "10.77.0.100"
WHO = "02:aa:00:00:00:01 10.77.0.100"

OTHERS: tuple[tuple[Outcome, str, str, str], ...] = (
    (NotFound(MAC, PEER, "pxelinux.cfg/0A4D"), "tftp.NotFound", "info", f"{WHO} pxelinux.cfg/0A4D is not there"),
    (NotFound(MAC, PEER, "/\\a//b", looked_for=("a/b",)), "tftp.NotFound", "info", f"{WHO} /\\a//b is not there"),
    (NotFound(MAC, PEER, "1a2b3c4d/b", looked_for=("1a2b3c4d/b", "b\n")), "tftp.NotFound", "info",
     f"{WHO} 1a2b3c4d/b (looked for as 1a2b3c4d/b, b\\n) is not there"),
    (Refused(None, PEER, "../etc/passwd", 2, "it is\noutside"), "tftp.Refused", "warn",
     f"{PEER} ../etc/passwd refused with error 2: it is\\noutside"),
    (Busy(MAC, PEER, "a", "4 transfers run already"), "tftp.Busy", "warn",
     f"{WHO} a not answered: 4 transfers run already"),
    (Throttled(None, PEER, 1000), "tftp.Throttled", "warn",
     f"{PEER} not answered: more than 1000 requests a second (tftp.requests_per_client)"),
    (GaveWay(MAC, PEER, "a", "4 transfers run already (tftp.transfers)"), "tftp.GaveWay", "warn",
     f"{WHO} a given up for another one, its client has not answered: 4 transfers run already (tftp.transfers)"),
    (CutShort(MAC, PEER, "a\nb", 1468, "it is\nover"), "tftp.CutShort", "info",
     f"{WHO} a\\nb cut short after 1.5 kB: it is\\nover"),
    (NotSent(None, PEER, "a", 0, "no route"), "tftp.NotSent", "error", f"{PEER} a cut short after 0 octets: no route"),
    (Ignored(MAC, PEER, "it is late"), "tftp.Ignored", "debug", f"{WHO} ignored: it is late"),
    (Dropped(None, PEER, "opcode 7\x1b"), "tftp.Dropped", "warn", f"{PEER} sent no request: opcode 7\\x1b"),
)  # fmt: skip

ENDINGS: tuple[tuple[Ending, str, str, str], ...] = (
    (Ending(Result.DELIVERED, 173792, 0.31, 2), "tftp.Served", "info",
     "173.8 kB in 0.31 s (560.6 kB/s), blksize 1468, windowsize 4, 2 sent again"),
    (Ending(Result.DELIVERED, 12, 0.001, 0), "tftp.Served", "info",
     "12 octets in 0.00 s, blksize 1468, windowsize 4"),
    (Ending(Result.UNCONFIRMED, 173792, 29.0, 8), "tftp.Unconfirmed", "info",
     "173.8 kB sent, the end not confirmed, blksize 1468, windowsize 4, 8 sent again"),
    (Ending(Result.PROBED, 0, 0.01, 0, 8, "User aborted the transfer"), "tftp.Probed", "debug",
     "asked for its size only"),
    (Ending(Result.TIMED_OUT, 0, 28.7, 9), "tftp.TimedOut", "warn",
     ("given up, the machine is silent; it had 0 octets in 28.70 s, blksize 1468, windowsize 4, 9 sent again: "
     "perhaps the network takes no blocks of this size (tftp.blksize)")),
    (Ending(Result.TIMED_OUT, 5872, 28.7, 9), "tftp.TimedOut", "warn",
     ("given up, the machine is silent; it had 5.9 kB in 28.70 s (205 octets/s), blksize 1468, windowsize 4, "
     "9 sent again")),
    (Ending(Result.ABORTED, 0, 1.0, 0, 3, "disk\nfull"), "tftp.Aborted", "warn",
     "broken off by the machine with error 3 (disk\\nfull); it had 0 octets in 1.00 s, blksize 1468, windowsize 4"),
    (Ending(Result.ABORTED, 0, 1.0, 0), "tftp.Aborted", "warn",
     "broken off by the machine with error 0; it had 0 octets in 1.00 s, blksize 1468, windowsize 4"),
    (Ending(Result.BROKEN, 1468, 1.0, 0, 0, "it was changed"), "tftp.Broken", "error",
     "cannot be read after 1.5 kB: it was changed"),
)  # fmt: skip


class Ended(NamedTuple):
    """A transfer that is over."""

    name: str
    terms: Terms


class Outcomes(SynchronousTestCase):
    """What stands in the log."""

    def test_t20_endings(self) -> None:
        """Every way a transfer can end has its outcome and severity; untrusted text breaks no line."""
        transfer = Ended("sn\nponly.efi", Terms(1468, 4))
        for ending, counter, severity, line in ENDINGS:
            for machine, who in ((MAC, WHO), (None, PEER)):
                outcome = concluded(transfer, ending, machine, PEER)
                self.assertEqual((outcome.counter(), outcome.severity), (counter, severity), ending)
                self.assertEqual(outcome.summary(), f"{who} sn\\nponly.efi {line}", ending)
        self.assertEqual({ending.result for ending, *_ in ENDINGS}, set(Result))

    def test_lock_step_is_not_mentioned(self) -> None:
        """A window of one block is no window."""
        transfer = Ended("a", Terms())
        outcome = concluded(transfer, Ending(Result.DELIVERED, 2_500_000_000, 10.0, 1), None, PEER)
        self.assertEqual(outcome.summary(), f"{PEER} a 2.5 GB in 10.00 s (250.0 MB/s), blksize 512, 1 sent again")

    def test_why_blocks_are_small(self) -> None:
        """A client that was granted less than it asked for can be told why."""
        transfer = Ended("a", Terms(1024, 4))
        for result in (Result.DELIVERED, Result.UNCONFIRMED, Result.TIMED_OUT, Result.ABORTED):
            ending = Ending(result, 3000, 1.0, 0)
            outcome = concluded(transfer, ending, None, PEER, because="1428 was not acknowledged")
            words = "blksize 1024 because 1428 was not acknowledged, windowsize 4"
            self.assertTrue(outcome.summary().endswith(words), outcome.summary())

    def test_others(self) -> None:
        """What never became a transfer."""
        for outcome, counter, severity, line in OTHERS:
            self.assertEqual((outcome.counter(), outcome.severity, outcome.summary()), (counter, severity, line))

    def test_hostile_ones_rest(self) -> None:
        """What anybody can cause without end does not fill the log."""
        for kind in (Refused, Busy, Throttled, GaveWay, Dropped, Ignored, NotSent):
            self.assertGreater(kind.rest, 0, kind)

    def test_the_manual_has_the_counters(self) -> None:
        """Each of them, once."""
        page = (ROOT / "docs" / "reference" / "tftp.rst").read_text(encoding="utf-8")
        told = re.findall(r"^   ``(tftp\.\w+)`` \|", page, re.MULTILINE)
        kinds = [kind for kind in vars(outcomes).values() if isinstance(kind, type) and issubclass(kind, Outcome)]
        counted = {kind.counter() for kind in kinds if kind is not Outcome and not kind.__name__.startswith("_")}
        self.assertEqual(sorted(told), sorted(counted))
