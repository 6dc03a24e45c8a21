"""Tests of `pixelboot.tftp.limits.rate`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp.limits.rate import MOST_SOURCES, Rate, Rates

PER_SECOND = 4  # Times are eighths of a second: floats hold all that is counted here without rounding.
BURST = 3

steps = st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 2, 3, 8]), st.sampled_from([b"a", b"b"])), max_size=40)
"""Eighths of a second since the step before, and who asks."""


class Bucket:
    """Tokens that are counted one by one, for comparison."""

    def __init__(self) -> None:
        self.tokens, self.at = float(BURST), 0.0

    def allowed(self, now: float) -> bool:
        """Whether there is a token."""
        self.tokens = min(BURST, self.tokens + (now - self.at) * PER_SECOND)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class RateTests(SynchronousTestCase):
    """`Rate` and `Rates`."""

    @given(steps)
    def test_like_tokens(self, steps: list[tuple[int, bytes]]) -> None:
        """Whoever asks whenever: it is allowed what counted tokens would allow, to each by himself."""
        rate, counted = Rate(PER_SECOND, BURST), Bucket()
        rates, each = Rates(PER_SECOND, BURST), {b"a": Bucket(), b"b": Bucket()}
        now = 0.0
        for eighths, client in steps:
            now += eighths / 8
            self.assertEqual(rate.allowed(now), counted.allowed(now))
            self.assertEqual(rates.allowed(client, now), each[client].allowed(now))

    def test_what_is_refused_costs_nothing(self) -> None:
        """Who goes on asking too often still gets his share."""
        rates = Rates(per_second=10, burst=5)
        granted = sum(rates.allowed(b"greedy", 1 + n / 1000) for n in range(10_000))
        self.assertIn(granted, (5 + 99, 5 + 100))

    def test_forged_sources(self) -> None:
        """A flood from forged addresses is remembered up to a bound, and does not make a greedy client forgotten."""
        rates = Rates(per_second=10, burst=5)
        granted = 0
        for number in range(50_000):
            now = number / 50_000
            self.assertTrue(rates.allowed(number.to_bytes(4), now))
            granted += rates.allowed(b"greedy", now)
        self.assertEqual(len(rates), MOST_SOURCES)
        self.assertLessEqual(granted, 5 + 10)
