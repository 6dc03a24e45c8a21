"""How the measurement of OFFERs is judged."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import offers
from benchmarks.offers import Waits


def waits(idle: float, busy: float) -> Waits:
    """Three runs of each case, with these medians of the 99th percentile in milliseconds."""
    return {
        case: [
            {"p50": value / 2e3, "p99": value * factor / 1e3, "greatest": 0.1, "sent": 2000, "lost": lost}
            for factor, lost in ((1.0, 0), (0.1, 3), (9.0, 0))
        ]
        for case, value in (("idle", idle), ("busy", busy))
    }


class Judgement(SynchronousTestCase):
    """`benchmarks.offers.is_met`."""

    def test_bar(self) -> None:
        """Five milliseconds are always allowed, and twice the time of an idle server."""
        for idle, busy, met in ((0.5, 5.0, True), (0.5, 5.1, False), (4.0, 8.0, True), (4.0, 8.1, False)):
            self.assertEqual(offers.is_met(waits(idle, busy)), met, f"{idle} and {busy} ms")

    def test_table(self) -> None:
        """Both cases, with their spreads and what was lost."""
        table = offers.table(waits(0.5, 4.0), 200.0)
        self.assertRegex(table, r"idle .* 0\.50 \(0\.05 – 4\.50\) .* 3 of 6000")
        self.assertRegex(table, r"busy .* 4\.00 \(0\.40 – 36\.00\) .* 3 of 6000")
