"""The memory of all packets that are made ahead."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

Packets = list[bytes]

OBJECT = 48
"""Octets that a packet takes beside its own."""


class Pool:
    """Keeps pieces of files that were cut into packets, and forgets those that were not asked for for longest."""

    def __init__(self, most: int) -> None:
        """`most` octets at the most; one piece is kept even if it has more."""
        self.held = 0
        """Octets that are kept at present."""
        self._most = most
        # Each piece belongs to a dictionary of its owner's, by a number; the owner lives as long as a piece of it does.
        self._kept: OrderedDict[tuple[Hashable, int], tuple[dict[int, Packets], int]] = OrderedDict()

    def keep(self, owner: Hashable, pieces: dict[int, Packets], number: int, packets: Packets) -> None:
        """Put a piece into its owner's `pieces`, until there are others that are wanted more."""
        octets = sum(map(len, packets)) + OBJECT * len(packets)
        pieces[number] = packets
        self._kept[owner, number] = pieces, octets
        self.held += octets
        while self.held > self._most and len(self._kept) > 1:
            (_, oldest), (others, freed) = self._kept.popitem(last=False)
            del others[oldest]
            self.held -= freed

    def touch(self, owner: Hashable, number: int) -> None:
        """A piece is wanted again."""
        self._kept.move_to_end((owner, number))
