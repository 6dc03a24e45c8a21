"""The free addresses of one pool, in the order in which they are given away."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable

from pixelboot.leases.instants import Instants
from pixelboot.leases.lease import Pool


class FreeAddresses:
    """Where the next free address of a pool is found without a search (addresses are numbers here).

    First those that nobody had, from the lowest up; then those that nobody has had in the end (an offer that came to
    nothing, a quarantine that is over); then those somebody had, the longest free first (RFC 2131 §4.3.1).  What is
    noted here is a hint: the table knows what is free, is asked, and tells `freed` of every address that becomes so.
    """

    def __init__(self, pool: Pool) -> None:
        spans = sorted((int(first), int(last)) for first, last in pool.ranges)
        reserved = frozenset(int(address) for address in pool.reserved)
        self._firsts = [first for first, _ in spans]
        self._lasts = [last for _, last in spans]
        self._reserved = reserved
        self._lowest = int(pool.network.network_address)
        self._highest = int(pool.network.broadcast_address)
        self._fresh = (n for first, last in spans for n in range(first, last + 1) if n not in reserved)
        self._returned: OrderedDict[int, None] = OrderedDict()
        self._former = Instants()

    def __contains__(self, number: int) -> bool:
        """Whether this address may be handed out."""
        span = bisect_right(self._firsts, number) - 1
        return span >= 0 and number <= self._lasts[span] and number not in self._reserved

    def covers(self, number: int) -> bool:
        """Whether this address is of the pool's network."""
        return self._lowest <= number <= self._highest

    def freed(self, number: int, at: float | None) -> None:
        """`number` can be given away: since `at`, or with nobody remembered who had it (None)."""
        if at is None:
            self._returned[number] = None
        else:
            self._former.put(number, at)

    def take(self, is_fresh: Callable[[int], bool], is_vacant: Callable[[int], bool]) -> int | None:
        """The next address to give away, None when there is none.

        `is_fresh` says that nothing is known of an address, `is_vacant` that nobody holds it.  What is taken is not
        found again until it is `freed`.
        """
        for number in self._fresh:
            if is_fresh(number):
                return number
        while self._returned:
            number, _ = self._returned.popitem(last=False)
            if is_fresh(number):
                return number
        while (former := self._former.pop(math.inf)) is not None:
            if is_vacant(former):
                return former
        return None
