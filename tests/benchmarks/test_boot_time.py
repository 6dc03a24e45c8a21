"""How the measurement of boots is judged; it is made with real firmware, which is not here."""

from __future__ import annotations

import sys
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import boot_time
from benchmarks.boot_time import KERNEL, MARKER
from lab import needs
from lab.process import LabError

Times = dict[str, list[dict[str, float]]]


def times(kernel: float, marker: float) -> Times:
    """Three boots from each server; pixelboot's medians are these, those of the others 4 s and 8 s."""
    spread = (0.5, 0.0, 1.0)
    return {
        "pixelboot": [{KERNEL: kernel + more, MARKER: marker + more} for more in (0.0, -0.5, 9.0)],
        "dnsmasq + nginx": [{KERNEL: 3.5 + more, MARKER: 7.5 + more} for more in spread],
        "the same, no menu": [{KERNEL: 1.0 + more, MARKER: 2.0 + more} for more in spread],
    }


class Judgement(SynchronousTestCase):
    """`benchmarks.boot_time.main`."""

    def run_main(self, measured: Times | LabError, missing: tuple[str, ...] = ()) -> tuple[int, str]:
        """The exit status, and what was printed."""

        def measure(*_: object) -> Times:
            if isinstance(measured, LabError):
                raise measured
            return measured

        printed = StringIO()
        self.patch(boot_time, "measure", measure)
        self.patch(needs, "missing", lambda *_, **__: missing)
        self.patch(sys, "stdout", printed)
        self.patch(sys, "stderr", printed)
        return boot_time.main([]), printed.getvalue()

    def test_exit_status(self) -> None:
        """Both steps count, up to 1.1 of the other's median; what could not be measured is not called slow."""
        for name, measured, missing, expected in (
            ("quicker", times(3.0, 7.0), (), 0),
            ("as quick as wanted", times(4.36, 8.72), (), 0),
            ("slow to the kernel", times(4.48, 7.0), (), 1),
            ("slow to the marker", times(3.0, 8.88), (), 1),
            ("a boot that failed", LabError("it booted other octets"), (), 3),
            ("nothing to measure with", times(3.0, 7.0), ("nginx",), 2),
        ):
            self.assertEqual(self.run_main(measured, missing)[0], expected, name)

    def test_what_is_printed(self) -> None:
        """Both ratios, each with the spreads that it is made of."""
        _, printed = self.run_main(times(4.2, 8.4))
        self.assertRegex(printed, r"to kernel runs +1\.050 += +4\.20 \(3\.70 – 13\.20\) / +4\.00 \(3\.50 – 4\.50\)")
        self.assertRegex(printed, r"to marker +1\.050 += +8\.40 \(7\.90 – 17\.40\) / +8\.00 \(7\.50 – 8\.50\)")
        self.assertIn("at most 1.1 wanted", printed)
        self.assertIn("a boot that failed", self.run_main(LabError("a boot that failed"))[1])
