"""Payload octets to pixels and back, along the Hilbert curve.

The theory.  Let H(n) be the curve over a square of side 2ⁿ.  Its four quarters, in the order the curve visits
them, are H(n-1) transposed, H(n-1), H(n-1) and H(n-1) mirrored at the other diagonal.  Transposing and
anti-transposing commute and undo themselves, so any aligned run of 4ᵏ indices, at any depth, is an aligned square of
side 2ᵏ in one of just *four* orientations: as it is, transposed, anti-transposed, both.  So a grid of any side is
moved square by square through one table per orientation of a 128×128 square; no table ever covers the curve.

Pixels are ``uint32``: the four octets R, G, B, A as they lie in memory; they are moved, never computed with.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint32]
"""Pixels: a grid of shape (side, side), row by row from the top, or a flat stretch of the curve."""

PIXEL = 4
"""Octets that one pixel holds."""

_SQUARE = 128
"""Side of the squares that are moved at once: 64 KiB of pixels and 128 KiB of table stay in the cache of one core, and
the calls for a square weigh little beside its pixels."""

_TRANSPOSED = 1
_ANTITRANSPOSED = 2


def side_for(size: int) -> int:
    """The side of the smallest grid that the format allows for a payload of `size` octets (at least 1).

    The size is rounded up to a multiple of 64 octets; the side is a power of two, so at least 4.
    """
    if size < 1:
        raise ValueError(f"a payload has at least one octet, not {size}")
    pixels = -(-size // 64) * 64 // PIXEL
    side = 4
    while side * side < pixels:
        side *= 2
    return side


def run(side: int) -> int:
    """How many pixels a run has in a grid of this side: stretches of the curve begin and end at its multiples."""
    return min(side, _SQUARE) ** 2


def gather(grid: Pixels, first: int, out: Pixels) -> None:
    """Copy the stretch of the curve that begins at index `first` from the grid into `out`, as long as `out` is.

    `first` and the length of `out` are multiples of `run(side)`.
    """
    side = len(grid)
    edge = min(side, _SQUARE)
    length = edge * edge
    square = np.empty((edge, edge), np.uint32)
    flat = square.reshape(length)
    for start in range(0, len(out), length):
        x, y, turn = _place((first + start) // length, side // edge)
        # A copy first: the rows of a wide grid are a power of two apart and evict each other from the cache.
        square[:] = grid[y * edge : (y + 1) * edge, x * edge : (x + 1) * edge]
        flat.take(_tables(edge)[turn][0], out=out[start : start + length], mode="wrap")


def scatter(stretch: Pixels, grid: Pixels, first: int) -> None:
    """Copy a stretch of the curve into the grid, beginning at index `first`: the inverse of `gather`."""
    side = len(grid)
    edge = min(side, _SQUARE)
    length = edge * edge
    square = np.empty((edge, edge), np.uint32)
    flat = square.reshape(length)
    for start in range(0, len(stretch), length):
        x, y, turn = _place((first + start) // length, side // edge)
        stretch[start : start + length].take(_tables(edge)[turn][1], out=flat, mode="wrap")
        grid[y * edge : (y + 1) * edge, x * edge : (x + 1) * edge] = square


def _place(index: int, side: int) -> tuple[int, int, int]:
    """Column, row and orientation of the square at `index` of the curve over `side` × `side` squares."""
    x = y = turn = 0
    half = 1
    while half < side:
        quarter = index & 3
        if quarter == 0:
            x, y = y, x
            turn ^= _TRANSPOSED
        elif quarter == 1:
            y += half
        elif quarter == 2:
            x, y = x + half, y + half
        else:
            x, y = 2 * half - 1 - y, half - 1 - x
            turn ^= _ANTITRANSPOSED
        index >>= 2
        half *= 2
    return x, y, turn


@cache
def _tables(edge: int) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]:
    """For each orientation of a square: where in it the curve's n-th pixel stands, and the inverse of that.

    At most eight edges (1 … 128) are ever asked for, so at most 1.4 MiB are kept.
    """
    x = np.zeros(1, np.intp)
    y = np.zeros(1, np.intp)
    half = 1
    while half < edge:
        x, y = (
            np.concatenate((y, x, x + half, 2 * half - 1 - y)),
            np.concatenate((x, y + half, y + half, half - 1 - x)),
        )
        half *= 2
    last = edge - 1
    orders = (y * edge + x, x * edge + y, (last - x) * edge + last - y, (last - y) * edge + last - x)
    return tuple((order, np.argsort(order)) for order in orders)
