"""Tests of what `pixelboot.tftp.outcomes` says of files that were to be left here."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.hwaddr import HardwareAddress
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.outcomes import concluded_write
from pixelboot.tftp.write.transfer import Ending, Result

MAC = HardwareAddress.parse("02:aa:00:00:00:01")

ENDINGS: tuple[tuple[Ending, str, str, str], ...] = (
    (Ending(Result.KEPT, 173792, 0.31, 2), "tftp.Uploaded", "info",
     "received and kept, 173.8 kB in 0.31 s (560.6 kB/s), blksize 1468, windowsize 4, 2 sent again"),
    (Ending(Result.TIMED_OUT, 5872, 28.7, 9), "tftp.UploadTimedOut", "warn",
     ("not kept, the machine is silent; it had sent 5.9 kB in 28.70 s (205 octets/s), blksize 1468, windowsize 4, "
     "9 sent again")),
    (Ending(Result.ABORTED, 0, 1.0, 0, 3, "no\nmore"), "tftp.UploadAborted", "warn",
     ("not kept, broken off by the machine with error 3 (no\\nmore); it had sent 0 octets in 1.00 s, blksize 1468, "
     "windowsize 4")),
    (Ending(Result.ABORTED, 0, 1.0, 0), "tftp.UploadAborted", "warn",
     "not kept, broken off by the machine with error 0; it had sent 0 octets in 1.00 s, blksize 1468, windowsize 4"),
    (Ending(Result.REFUSED, 1468, 1.0, 0, 3, "the disk is full"), "tftp.Refused", "warn",
     "refused with error 3: the disk is full"),
    (Ending(Result.BROKEN, 1468, 1.0, 0, 0, "Input/output error"), "tftp.NotStored", "error",
     "cannot be stored, 1.5 kB had come: Input/output error"),
)  # fmt: skip


class Outcomes(SynchronousTestCase):
    """What stands in the log."""

    def test_t37_endings(self) -> None:
        """Every way an upload can end has its outcome and severity; untrusted text breaks no line."""
        for ending, counter, severity, line in ENDINGS:
            outcome = concluded_write("dumps/a\nb", "dumps/a\nb", Terms(1468, 4), ending, MAC, "10.77.0.100")
            self.assertEqual((outcome.counter(), outcome.severity), (counter, severity), ending)
            self.assertEqual(outcome.summary(), f"{MAC} 10.77.0.100 dumps/a\\nb {line}", ending)
            renamed = concluded_write("/a", "dumps/\n", Terms(1468, 4), ending, MAC, "10.77.0.100")
            self.assertEqual(renamed.summary(), f"{MAC} 10.77.0.100 /a (looked for as dumps/\\n) {line}", ending)
        self.assertEqual({ending.result for ending, *_ in ENDINGS}, set(Result))
