"""How the measurement of many containers is judged."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import catalogue
from benchmarks.catalogue import ROWS


class Judgement(SynchronousTestCase):
    """`benchmarks.catalogue.missed`."""

    def test_bars(self) -> None:
        """Everything that is wanted is judged by its median, and by that alone; the rest is only told."""
        met = {row: [limit or 1e6, 0.0, 1e9] for row, (_, _, limit) in ROWS.items()}
        self.assertEqual(catalogue.missed(met), [])
        for row, (told, unit, limit) in ROWS.items():
            if limit is None:
                continue
            (sentence,) = catalogue.missed(met | {row: [limit * 1.5]})
            self.assertEqual(sentence, f"{told}: {limit * 1.5:.2f} {unit}, at most {limit:g} wanted")
        self.assertIn(f"{ROWS['menu'][0]:58}     5.00 ms (0.00 – 1000000000.00)", catalogue.table(met))
