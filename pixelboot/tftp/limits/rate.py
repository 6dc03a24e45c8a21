"""How often something may happen: tokens in a bucket, of one and of each of many.

A bucket is one number: when it will be full again (the generic cell rate algorithm of ATM's traffic management, I.371).
A token taken moves that moment on; who would move it too far gets none.  So a bucket that nobody has touched for long
enough is full, and is the same as one that was forgotten.
"""

from __future__ import annotations

from collections import OrderedDict

MOST_SOURCES = 8192
"""Sources whose buckets are remembered.  Those that were heard the longest ago are forgotten, that is, they are full
again: a flood from forged addresses makes us forget honest clients, which costs them nothing, but not a greedy one."""

BURST_TIME = 4.0
"""For how many seconds' requests a source's bucket has room: machines that start together ask together."""

ANSWERS_PER_SECOND = 100
"""Datagrams that were no request or belong to no transfer that are answered.  Who forges his address makes us send them
to others; they are as short as what they answer, and this is how many there are."""


_ROUNDING = 1e-9
"""Seconds: sums of intervals are a little more or less than what they stand for."""


class Rate:
    """So many a second, and so many at once."""

    __slots__ = ("_full_at", "_interval", "_room")

    def __init__(self, per_second: float, burst: float) -> None:
        """`burst` is how many tokens the bucket holds, and has now."""
        self._interval = 1.0 / per_second
        self._room = (burst - 1) * self._interval
        self._full_at = float("-inf")

    def allowed(self, now: float) -> bool:
        """Whether one more may happen; if so, it is counted."""
        full_at = max(self._full_at, now)
        if full_at - now > self._room + _ROUNDING:
            return False
        self._full_at = full_at + self._interval
        return True


class Rates:
    """The same of every source."""

    __slots__ = ("_full_at", "_interval", "_most", "_room")

    def __init__(self, per_second: float, burst: float, most: int = MOST_SOURCES) -> None:
        """`most` sources are remembered."""
        self._interval = 1.0 / per_second
        self._room = (burst - 1) * self._interval
        self._most = most
        self._full_at: OrderedDict[bytes, float] = OrderedDict()  # Who was heard the longest ago is first.

    def __len__(self) -> int:
        """How many sources are remembered."""
        return len(self._full_at)

    def allowed(self, client: bytes, now: float) -> bool:
        """Whether one more may come from there; if so, it is counted."""
        buckets = self._full_at
        full_at = buckets.get(client)
        if full_at is None:
            buckets[client] = now + self._interval
            if len(buckets) > self._most:
                buckets.popitem(last=False)
            return True
        buckets.move_to_end(client)
        if full_at < now:
            full_at = now
        elif full_at - now > self._room + _ROUNDING:
            return False
        buckets[client] = full_at + self._interval
        return True
