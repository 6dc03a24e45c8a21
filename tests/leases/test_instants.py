"""Numbers waiting for their instant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.instants import Instants

numbers = st.integers(0, 9)
instants = st.integers(0, 5).map(float)


class InstantsTests(SynchronousTestCase):
    """`Instants`."""

    @given(st.lists(st.tuples(numbers, instants) | instants, max_size=200))
    def test_like_a_sorted_list(self, steps: list[tuple[int, float] | float]) -> None:
        """Whatever is put and put off: the earliest comes out, at its last instant, once."""
        waiting = Instants()
        model: dict[int, float] = {}
        for step in steps:
            if isinstance(step, tuple):
                waiting.put(*step)
                model[step[0]] = step[1]
            else:
                number = waiting.pop(step)
                if number is None:
                    self.assertFalse([at for at in model.values() if at <= step])
                else:
                    at = model.pop(number)
                    self.assertLessEqual(at, min([*model.values(), step]))
            for number in range(10):
                self.assertEqual(waiting.get(number), model.get(number))

    def test_a_heap_does_not_grow(self) -> None:
        """Putting off for ever leaves the size of what waits, and everything in its order."""
        waiting = Instants()
        for number in range(300):
            waiting.put(number, float(1000 + number * 7 % 300))
        size = 0
        while len(waiting._heap) >= size:
            size = len(waiting._heap)
            waiting.put(0, waiting._at[0] + 1000)
        self.assertEqual(len(waiting._heap), 300)
        popped = [waiting.pop(1e9) for _ in range(301)]
        self.assertEqual(popped, [*sorted(range(1, 300), key=lambda number: number * 7 % 300), 0, None])
