"""The free addresses of one pool, in the order in which they are given away."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping

from pixelboot.leases.instants import Instants
from pixelboot.leases.lease import Lease, Pool, State

FREE_AGAIN = (State.RELEASED, State.EXPIRED)
"""What an address is that somebody had and nobody has."""


class FreeAddresses:
    """Where the next free address of a pool is found without a search (addresses are numbers here).

    First those that nobody had, from the lowest up; then those that nobody has had in the end (an offer that came to
    nothing, a quarantine that is over); then those somebody had, the longest free first (RFC 2131 §4.3.1).  What is
    noted here is a hint: the table knows what is free, and tells `freed` of every address that becomes so.
    """

    def __init__(self, pool: Pool) -> None:
        spans = sorted((int(first), int(last)) for first, last in pool.ranges)
        around = sorted((int(each.network_address), int(each.broadcast_address)) for each in pool.networks)
        reserved = frozenset(int(address) for address in pool.reserved)
        self.name = pool.name
        self.size = pool.size
        self.told: tuple[float, str] | None = None
        """When it was said last what the pool is used up by, and what was said."""
        self._firsts = [first for first, _ in spans]
        self._lasts = [last for _, last in spans]
        self._reserved = reserved
        self._lowest = [lowest for lowest, _ in around]
        self._highest = [highest for _, highest in around]
        self._fresh = (n for first, last in spans for n in range(first, last + 1) if n not in reserved)
        self._returned: OrderedDict[int, None] = OrderedDict()
        self._former = Instants()

    def __contains__(self, number: int) -> bool:
        """Whether this address may be handed out."""
        span = bisect_right(self._firsts, number) - 1
        return span >= 0 and number <= self._lasts[span] and number not in self._reserved

    def covers(self, number: int) -> bool:
        """Whether this address is of the pool's networks."""
        around = bisect_right(self._lowest, number) - 1
        return around >= 0 and number <= self._highest[around]

    def freed(self, number: int, at: float | None) -> None:
        """`number` can be given away: since `at`, or with nobody remembered who had it (None)."""
        if at is None:
            self._returned[number] = None
        else:
            self._former.put(number, at)

    def take(self, records: Mapping[int, Lease], offers: Mapping[int, Lease]) -> int | None:
        """The next address to give away, None when there is none.

        `records` and `offers` are what is known of the addresses.  What is taken is not found again until it is
        `freed`.
        """
        for number in self._fresh:
            if number not in records and number not in offers:
                return number
        while self._returned:
            number, _ = self._returned.popitem(last=False)
            if number not in records and number not in offers:
                return number
        while (former := self._former.pop(math.inf)) is not None:
            if former not in offers and ((record := records.get(former)) is None or record.state in FREE_AGAIN):
                return former
        return None
