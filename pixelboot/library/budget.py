"""How much room decoded parts may take, and which go first when there is none: those that were used the longest ago.

It is only the account: what it says is to be evicted, its caller removes, and then says so.  What is in use, because a
machine is being sent it, is never evicted; what is being decoded has its room reserved until it is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Set


class Budget:
    """Decoded containers by their keys, any texts; sizes in octets, instants in seconds of one clock."""

    def __init__(self, limit: int) -> None:
        """At most `limit` octets are to be kept."""
        self.limit = limit
        self._kept: dict[str, tuple[int, float]] = {}
        self._youngest = (float("-inf"), "")
        self._in_order = True
        self._octets = 0
        self._holds: Counter[str] = Counter()
        self._reserved: dict[Hashable, int] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._kept

    def keys(self) -> Set[str]:
        """What is kept."""
        return self._kept.keys()

    @property
    def total(self) -> int:
        """Octets that are kept or reserved.  It may exceed the limit: of what was kept before that was lowered."""
        return self._octets + sum(self._reserved.values())

    def added(self, key: str, octets: int, used_at: float) -> None:
        """It is kept from now on, or has another size than was thought."""
        self.removed(key)
        self._kept[key] = octets, used_at
        self._octets += octets
        # Almost always: only a clock that was set back, and what an earlier run left, make it otherwise.
        self._in_order = self._in_order and (used_at, key) >= self._youngest
        self._youngest = max(self._youngest, (used_at, key))

    def removed(self, key: str) -> None:
        """It is kept no longer, if it was; who still uses it lets go of it all the same."""
        octets, _ = self._kept.pop(key, (0, 0.0))
        self._octets -= octets

    def used(self, key: str, now: float) -> None:
        """It was asked for, if it is kept."""
        if key in self._kept:
            octets, used_at = self._kept[key]
            if now > used_at:
                self.added(key, octets, now)

    def hold(self, key: str) -> None:
        """Somebody begins to use it, whether it is kept yet or not; as often as there are users."""
        self._holds[key] += 1

    def let_go(self, key: str) -> None:
        """One who held it does not use it any more."""
        self._holds[key] -= 1
        if self._holds[key] <= 0:
            del self._holds[key]

    def reserve(self, job: Hashable, octets: int) -> None:
        """Keep room for what is being decoded; said again, it is another amount for the same job."""
        self._reserved[job] = octets

    def unreserve(self, job: Hashable) -> None:
        """The job is over, if it had room reserved; what came of it is told by `added`."""
        self._reserved.pop(job, None)

    def room_for(self, octets: int) -> list[str] | None:
        """What must be evicted, in this order, so that `octets` more can be kept; None when there is no such room now.

        There never will be when `octets` exceeds the limit.
        """
        excess = self.total + octets - self.limit
        evicted: list[str] = []
        if excess > 0 and not self._in_order:
            self._kept = dict(sorted(self._kept.items(), key=_age))
            self._in_order = True
        for key, (size, _) in self._kept.items():
            if excess <= 0:
                break
            if key not in self._holds:
                evicted.append(key)
                excess -= size
        return evicted if excess <= 0 else None


def _age(kept: tuple[str, tuple[int, float]]) -> tuple[float, str]:
    key, (_, used_at) = kept
    return used_at, key
