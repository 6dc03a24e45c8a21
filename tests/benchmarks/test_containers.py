"""How the measurement of packing and unpacking is judged."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import containers
from benchmarks.containers import CASES, MIB

SIZE = 256 * MIB


def measured(**seconds: float) -> dict[str, list[tuple[float, int]]]:
    """Three runs of every case: as quick as wanted but for those named, the decoder in twice the payload."""
    times = dict.fromkeys(CASES, 0.1) | {"pillow-save": 10.0, "pillow-load": 1.0, "pack-only": 16.0, "unpack-only": 1.6}
    times |= {case.replace("_", "-"): value for case, value in seconds.items()}
    return {case: [(value * factor, 2 * SIZE) for factor in (1.0, 0.5, 7.0)] for case, value in times.items()}


class Judgement(SynchronousTestCase):
    """`benchmarks.containers.missed`."""

    def test_met(self) -> None:
        """What is exactly as wanted is enough, and the median counts."""
        self.assertEqual(containers.missed(measured(), SIZE), [])

    def test_missed(self) -> None:
        """Each bar is told of by itself, with what was measured."""
        for case, seconds, told in (
            ("pack_only", 16.2, "packs, hashing not counted: 1.62 times as long as Pillow, at most 1.6 is wanted"),
            ("unpack_only", 1.7, "unpacks, hashing not counted: 1.70 times as long as Pillow, at most 1.6 is wanted"),
            ("gather", 0.4, "the Hilbert step of unpacking: 671 MB/s, at least 700 are wanted"),
            ("scatter", 0.5, "the Hilbert step of packing: 537 MB/s, at least 700 are wanted"),
        ):
            (sentence,) = containers.missed(measured(**{case: seconds}), SIZE)
            self.assertTrue(sentence.endswith(told), sentence)

    def test_memory(self) -> None:
        """The decoder's memory is judged by the payload that the bar is set for."""
        greedy = measured() | {"worker": [(3.0, 3 * SIZE)] * 3}
        told = "the server's decoder decodes: in 3.00 times the payload, at most 2.5 is wanted"
        self.assertEqual(containers.missed(greedy, SIZE), [told])
        self.assertEqual(containers.missed({"worker": [(0.1, 60 * MIB)]}, MIB), [], "the interpreter, not the payload")

    def test_only_some(self) -> None:
        """What was not measured is not judged, and the table has what was."""
        some = {case: runs for case, runs in measured().items() if case in ("pillow-load", "unpack-only")}
        self.assertEqual(containers.missed(some, SIZE), [])
        table = containers.table(some, SIZE)
        self.assertRegex(table, r"pixelboot unpacks, hashing not counted +1\.60 \(0\.80 – 11\.20\) +168 +1\.60")
        self.assertNotIn("packs,", table.replace("unpacks,", ""))
