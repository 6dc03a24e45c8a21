"""Numbers waiting for their instant: which is the next one, in O(log n), without ever looking at all of them."""

from __future__ import annotations

import heapq


class Instants:
    """A heap of (instant, number) with one instant a number.

    What a change leaves behind in the heap is passed over when it comes up, and swept out when it is more than half.
    """

    def __init__(self, waiting: dict[int, float] | None = None) -> None:
        """`waiting` says what each number waits for; it is taken over."""
        self._at: dict[int, float] = {} if waiting is None else waiting
        self._heap = [(at, number) for number, at in self._at.items()]
        heapq.heapify(self._heap)

    def get(self, number: int) -> float | None:
        """The instant of `number`, None when it waits for nothing."""
        return self._at.get(number)

    def put_forward(self, number: int, at: float) -> None:
        """Let `number` wait for the instant `at`, unless it waits for an earlier one."""
        before = self._at.get(number)
        if before is None or at < before:
            self.put(number, at)

    def put(self, number: int, at: float) -> None:
        """Let `number` wait for the instant `at`, whatever it waited for before."""
        if self._at.get(number) == at:
            return
        self._at[number] = at
        heapq.heappush(self._heap, (at, number))
        if len(self._heap) > 2 * len(self._at) + 64:
            self._heap = [(instant, waiting) for waiting, instant in self._at.items()]
            heapq.heapify(self._heap)

    def is_due(self, now: float) -> bool:
        """False when `pop` will find nothing; cheaper to ask."""
        return bool(self._heap) and self._heap[0][0] <= now

    def pop(self, now: float) -> int | None:
        """Take out the number that waited for the earliest instant, if that is not after `now`; None otherwise."""
        while self._heap and self._heap[0][0] <= now:
            at, number = heapq.heappop(self._heap)
            if self._at.get(number) == at:
                del self._at[number]
                return number
        return None
