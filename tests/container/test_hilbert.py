"""Tests of `pixelboot.container.hilbert`."""

from __future__ import annotations

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.container import hilbert
from tests.container.pictures import d2xy

SIDE_4 = "(0,0) (1,0) (1,1) (0,1) (0,2) (0,3) (1,3) (1,2) (2,2) (2,3) (3,3) (3,2) (3,1) (2,1) (2,0) (3,0)"
SIDE_8 = """
     0  3  4  5 58 59 60 63
     1  2  7  6 57 56 61 62
    14 13  8  9 54 55 50 49
    15 12 11 10 53 52 51 48
    16 17 30 31 32 33 46 47
    19 18 29 28 35 34 45 44
    20 23 24 27 36 39 40 43
    21 22 25 26 37 38 41 42
"""


def curve(side: int) -> hilbert.Pixels:
    """A grid in which every pixel holds its own index on the curve."""
    grid = np.zeros((side, side), np.uint32)
    hilbert.scatter(np.arange(side * side, dtype=np.uint32), grid, 0)
    return grid


class TestCurve(SynchronousTestCase):
    """Where the pixels stand."""

    def test_known_grids(self) -> None:
        grid = curve(4)
        places = [tuple(map(int, place.strip("()").split(","))) for place in SIDE_4.split()]
        self.assertEqual([int(grid[y, x]) for x, y in places], list(range(16)))
        self.assertEqual(
            curve(8).tolist(), [[int(i) for i in line.split()] for line in SIDE_8.split("\n") if line.strip()]
        )
        self.assertEqual(curve(2).tolist(), [[0, 3], [1, 2]])
        self.assertEqual(curve(1).tolist(), [[0]])

    def test_every_pixel_of_every_side_up_to_256(self) -> None:
        for side in (1, 2, 4, 8, 16, 32, 64, 128, 256):
            naive = np.zeros((side, side), np.uint32)
            for index in range(side * side):
                x, y = d2xy(side, index)
                naive[y, x] = index
            self.assertTrue(np.array_equal(curve(side), naive), f"scatter, side {side}")
            out = np.zeros(side * side, np.uint32)
            hilbert.gather(naive, 0, out)
            self.assertTrue(np.array_equal(out, np.arange(side * side)), f"gather, side {side}")

    def test_runs_of_a_large_grid(self) -> None:
        side = 2048
        run = hilbert.run(side)
        for first in (0, run, 5 * run, side * side // 2 - run, side * side - 2 * run):
            grid = np.zeros((side, side), np.uint32)
            stretch = np.arange(1, 2 * run + 1, dtype=np.uint32)
            hilbert.scatter(stretch, grid, first)
            self.assertEqual(np.count_nonzero(grid), 2 * run, f"nothing else is touched, from {first}")
            for index in range(0, 2 * run, 997):
                x, y = d2xy(side, first + index)
                self.assertEqual(int(grid[y, x]), index + 1, f"index {first + index}")
            out = np.zeros(2 * run, np.uint32)
            hilbert.gather(grid, first, out)
            self.assertTrue(np.array_equal(out, stretch), f"gather from {first}")

    def test_the_largest_side_needs_no_table_of_the_curve(self) -> None:
        self.assertEqual(
            hilbert._place(16384**2 // hilbert.run(16384) - 1, 16384 // 128), (127, 0, hilbert._ANTITRANSPOSED)
        )
        self.assertLess(sum(inner.nbytes for pair in hilbert._tables(128) for inner in pair), 2 << 20)


class TestSide(SynchronousTestCase):
    """How large a grid a payload gets."""

    def test_sizes(self) -> None:
        mib = 1 << 20
        cases = {
            1: 4,
            64: 4,
            65: 8,
            256: 8,
            257: 16,
            1024: 16,
            4096: 32,
            16384: 64,
            65536: 128,
            mib: 512,
            16 * mib: 2048,
            64 * mib: 4096,
            256 * mib: 8192,
            1024 * mib: 16384,
            mib + 1: 1024,
        }
        for size, side in cases.items():
            self.assertEqual(hilbert.side_for(size), side, f"{size} octets")
        self.assertRaises(ValueError, hilbert.side_for, 0)
