"""The memory of all packets that are made ahead."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

Packets = list[bytes]

OBJECT = 240
"""Octets that a packet takes beside its own, with all that leads to it."""

ENTRY = 1280
"""Octets that a piece takes besides, with its owner, which may have no other."""


class Owner(Protocol):
    """Who has pieces in the pool; it lives as long as one of them does."""

    def forget(self, number: int) -> None:
        """A piece goes."""


class Pool:
    """Keeps pieces of files that were cut into packets, and forgets those that were not asked for for longest."""

    def __init__(self, most: int) -> None:
        """`most` octets at the most; one piece is kept even if it has more."""
        self.held = 0
        """Octets that are kept at present."""
        self._most = most
        self._kept: OrderedDict[tuple[Owner, int], int] = OrderedDict()

    def keep(self, owner: Owner, number: int, packets: Packets) -> None:
        """Count a piece of this owner, by its number, until there are others that are wanted more."""
        octets = sum(map(len, packets)) + OBJECT * len(packets) + ENTRY
        self._kept[owner, number] = octets
        self.held += octets
        while self.held > self._most and len(self._kept) > 1:
            (other, oldest), freed = self._kept.popitem(last=False)
            other.forget(oldest)
            self.held -= freed

    def touch(self, owner: Owner, number: int) -> None:
        """A piece is wanted again."""
        self._kept.move_to_end((owner, number))
