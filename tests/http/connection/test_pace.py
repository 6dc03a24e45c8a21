"""Tests of `pixelboot.http.connection.pace`: never too much, never too little, and to nobody nothing."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.connection.pace import CHUNK, MOST_CLIENTS, Bucket, Pace

MEGABYTE = 1_000_000
NOW = 1_750_000_000.0
"""Clocks that tell the time of day have few digits left for fractions of a second: the worst case for rounding."""


class Meter:
    """What has been sent, and how much more that was than a rate allows in any interval so far."""

    def __init__(self, rate: float) -> None:
        self.rate, self.sent, self.most, self._level, self._at = rate, 0, 0.0, 0.0, 0.0

    def add(self, octets: int, now: float) -> None:
        """So many were sent; a queue that drains at the rate is as long as the worst interval that ends now."""
        self._level = max(0.0, self._level - (now - self._at) * self.rate) + octets
        self._at = now
        self.sent += octets
        self.most = max(self.most, self._level)


@dataclass
class Client:
    """Somebody who wants to send without end."""

    name: str
    wanted: int = 131072
    """Octets of each asking."""
    delay: float = 0.0
    """Seconds from a grant to the next asking, and by which it comes late to its turn."""
    hurry: float = float("inf")
    """Seconds after which it asks again, whatever it was told."""
    leaves_at: float = float("inf")
    comes_at: float = 0.0
    meter: Meter = field(default_factory=lambda: Meter(0))
    grants: int = 0


def simulate(rate: float, client_rate: float, clients: Sequence[Client], seconds: float) -> Meter:
    """Let them all ask, from `NOW` on; returns what the site has sent."""
    pace, site = Pace(rate, client_rate), Meter(rate)
    number = count()
    events = [(NOW + client.comes_at, next(number), client) for client in clients]
    heapq.heapify(events)
    while events and events[0][0] < NOW + seconds:
        now, _, client = heapq.heappop(events)
        if now - NOW >= client.leaves_at:
            continue
        granted = pace.grant(client.name, client.wanted, now)
        assert granted == 0 or min(CHUNK, client.wanted) <= granted <= client.wanted, granted
        if granted:
            client.grants += 1
            again = now + max(client.delay, 1e-5)
        else:
            again = pace.wait(client.name, now)
            assert again > now, "it would ask for ever"
            again = min(again + client.delay, now + client.hurry)
        site.add(granted, now)
        client.meter.add(granted, now)
        heapq.heappush(events, (again, next(number), client))
    return site


def chunk(rate: float) -> float:
    """What one turn takes: a hundredth of a second's, within bounds."""
    return min(max(rate / 100, CHUNK), 131072)


def burst(rate: float) -> float:
    """What may be sent at once: a tenth of a second's, or four chunks."""
    return max(rate / 10, 4 * chunk(rate))


rates = st.sampled_from([10_000, 300_000, MEGABYTE, 12_500_000, 125 * MEGABYTE])
steps = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 40_000)), max_size=50)


class BucketTests(SynchronousTestCase):
    """`Bucket`."""

    def test_table(self) -> None:
        """A thousand octets a second, and two thousand at once."""
        bucket = Bucket(1000, 2000)
        for now, allowed, spent in (
            (0.0, 2000, 500),
            (0.0, 1500, 1500),
            (0.0, 0, 0),
            (0.5, 500, 100),
            (0.25, 400, 0),  # A clock that goes back.
            (0.6, 500, 800),  # A debt.
            (0.8, 0, 0),
            (1.0, 100, 0),
            (9.0, 2000, 0),
        ):
            self.assertEqual(bucket.allowed(now), allowed, now)
            bucket.spend(spent, now)

    def test_ready_at(self) -> None:
        """Now, or when it has come in; never for more than there can be."""
        bucket = Bucket(1000, 2000)
        self.assertEqual(bucket.ready_at(5.0, 2000), 5.0)
        bucket.spend(2000, 5.0)
        for wanted, at in ((0, 5.0), (1, 5.001), (500, 5.5), (2000, 7.0), (99_999, 7.0)):
            self.assertAlmostEqual(bucket.ready_at(5.0, wanted), at, 9, str(wanted))
        self.assertEqual(bucket.full_at(5.0), bucket.ready_at(5.0, 2000))
        self.assertAlmostEqual(bucket.ready_at(4.0, 500), 5.5, 9, "a clock that goes back")
        bucket.refund(600)
        self.assertEqual(bucket.ready_at(5.0, 600), 5.0)
        bucket.refund(9000)
        self.assertEqual(bucket.allowed(5.0), 2000)

    @given(rates, steps)
    def test_never_more(self, rate: int, steps: list[tuple[float, int]]) -> None:
        """Whoever asks whenever: no interval has more than the rate and the burst."""
        bucket, meter, now = Bucket(rate, 50_000), Meter(rate), NOW
        for pause, wanted in steps:
            now += pause
            granted = min(wanted, bucket.allowed(now))
            bucket.spend(granted, now)
            meter.add(granted, now)
        self.assertLessEqual(meter.most, 50_001)

    @given(rates, steps)
    def test_at_the_instant(self, rate: int, steps: list[tuple[float, int]]) -> None:
        """What was promised for an instant is there then, to the octet."""
        bucket, now = Bucket(rate, 50_000), NOW
        for pause, wanted in steps:
            now = bucket.ready_at(now + pause, wanted)
            self.assertGreaterEqual(bucket.allowed(now), wanted)
            bucket.spend(wanted, now)


class PaceTests(SynchronousTestCase):
    """`Pace`."""

    def test_unlimited(self) -> None:
        """Then nothing is counted, nor remembered."""
        pace = Pace(0, 0)
        for wanted, granted in ((10**12, 10**12), (1, 1), (0, 0), (-5, 0)):
            self.assertEqual(pace.grant("a", wanted, NOW), granted)
        pace.refund("a", 5)
        self.assertEqual((pace.wait("a", NOW), len(pace)), (NOW, 0))

    def test_one_client(self) -> None:
        """A burst, then what has come in; a chunk of it, where it was the site that was short."""
        for pace, granted in (
            (Pace(MEGABYTE, 0), CHUNK),
            (Pace(0, MEGABYTE), 17_000),
            (Pace(MEGABYTE, MEGABYTE), 17_000),
        ):
            self.assertEqual(pace.grant("a", 200_000, 0.0), 100_000)
            self.assertEqual(pace.grant("a", 200_000, 0.0), 0)
            self.assertAlmostEqual(pace.wait("a", 0.0), CHUNK / MEGABYTE)
            self.assertEqual(pace.grant("a", 200_000, 0.016), 0, "less than a chunk")
            self.assertEqual(pace.grant("a", 200_000, 0.017), granted)
            self.assertEqual(pace.grant("a", 200_000, 5.0), 100_000)

    def test_little_is_wanted(self) -> None:
        """It is granted whole or not at all, and does not wait for a chunk."""
        pace = Pace(MEGABYTE, 0)
        self.assertEqual([pace.grant("a", 99_900, 0.0), pace.grant("a", 512, 0.0)], [99_900, 0])
        self.assertAlmostEqual(pace.wait("a", 0.0), 412 / MEGABYTE)
        self.assertEqual(pace.grant("a", 512, pace.wait("a", 0.0)), 512)

    def test_clients_alone(self) -> None:
        """Where only clients are limited, they have nothing to do with each other."""
        pace = Pace(0, MEGABYTE)
        self.assertEqual([pace.grant(name, 10**6, 0.0) for name in "abca"], [100_000] * 3 + [0])

    def test_turns(self) -> None:
        """First come, first served, by what each will take; who comes early keeps his turn, and gets no other."""
        pace = Pace(MEGABYTE, 0)
        pace.grant("z", 100_000, 0.0)
        for name in "abcaaa":
            self.assertEqual(pace.grant(name, 50_000, 0.0), 0)
        for turn, name in enumerate("abc", 1):
            at = pace.wait(name, 0.0)
            self.assertAlmostEqual(at, turn * CHUNK / MEGABYTE, 6)
            self.assertEqual(pace.grant("c", 50_000, at), CHUNK if name == "c" else 0)
            if name != "c":
                self.assertEqual(pace.grant(name, 50_000, at), CHUNK)

    def test_refund(self) -> None:
        """What was not sent can be sent by others, and does not count against the client."""
        pace = Pace(MEGABYTE, MEGABYTE)
        self.assertEqual(pace.grant("a", 100_000, 0.0), 100_000)
        pace.refund("a", 60_000)
        pace.refund("nobody", 10_000)
        self.assertEqual(pace.grant("a", 100_000, 0.0), 60_000)
        self.assertEqual(pace.grant("b", 100_000, 0.0), 0)

    def test_forgotten(self) -> None:
        """Idle clients are; and there is a bound."""
        pace = Pace(0, MEGABYTE)
        pace.grant("a", 50_000, 0.0)
        pace.grant("b", 100_000, 0.0)
        pace.grant("b", 20_000, 0.06)
        self.assertEqual(len(pace), 1)
        for number in range(MOST_CLIENTS + 100):
            pace.grant(str(number), 50_000, 1.0)
        self.assertEqual(len(pace), MOST_CLIENTS)
        pace.grant("c", 1, 2.0)
        self.assertEqual(len(pace), 1)
        pace = Pace(MEGABYTE, 0)
        for number in range(MOST_CLIENTS + 100):
            pace.grant(str(number), 50_000, 1.0)
        self.assertEqual(len(pace), MOST_CLIENTS)
        pace.grant("c", 1, 500.0)
        self.assertEqual(len(pace), 0)

    def test_those_who_went(self) -> None:
        """A hundred clients take a place and are never seen again: the others lose next to nothing."""
        gone = [Client(f"gone{n}", leaves_at=0.0005) for n in range(100)]
        stay = [Client(f"stay{n}", comes_at=0.001) for n in range(3)]
        site = simulate(MEGABYTE, 0, gone + stay, 2.0)
        self.assertGreater(sum(client.meter.sent for client in stay), 0.95 * 2 * MEGABYTE - burst(MEGABYTE))
        self.assertLessEqual(site.most, burst(MEGABYTE) + 1000)

    @given(rates, st.integers(1, 6), st.data())
    def test_shares(self, rate: int, many: int, data: st.DataObject) -> None:
        """The site's bandwidth is used, not exceeded, and everybody has his share, however often who asks."""
        turn = chunk(rate) / rate
        clients = [
            Client(
                f"client{number}",
                wanted=data.draw(st.sampled_from([131072, MEGABYTE])),
                delay=data.draw(st.floats(0, turn / 2)),
                hurry=data.draw(st.sampled_from([float("inf"), turn / 3])),
            )
            for number in range(many)
        ]
        seconds = 20 * many * turn
        site = simulate(rate, 0, clients, seconds)
        self.assertLessEqual(site.most, burst(rate) + rate * 1e-6 + 1)
        self.assertGreaterEqual(site.sent, 0.95 * rate * seconds)
        # The burst at the beginning is for whoever comes first.
        share = (site.sent - burst(rate)) / many
        for client in clients:
            self.assertGreaterEqual(client.meter.sent, 0.8 * share - chunk(rate), client)

    @given(rates, rates, st.data())
    def test_both_limits(self, rate: int, client_rate: int, data: st.DataObject) -> None:
        """Neither is exceeded; what clients may not use is left to the others; small requests are served, too."""
        clients = [
            Client(f"client{number}", wanted=wanted, delay=0.0 if wanted == 131072 else chunk(rate) / rate / 4)
            for number, wanted in enumerate(
                data.draw(st.lists(st.sampled_from([512, 20_000, 131072]), min_size=1, max_size=6))
            )
        ]
        many = len(clients)
        for client in clients:
            client.meter.rate = client_rate
        seconds = 50 * many * chunk(rate) / rate
        site = simulate(rate, client_rate, clients, seconds)
        self.assertLessEqual(site.most, burst(rate) + rate * 1e-6 + 1)
        for client in clients:
            self.assertLessEqual(client.meter.most, burst(client_rate) + client_rate * 1e-6 + 1)
            self.assertGreaterEqual(client.grants, 1)
        if all(client.wanted == 131072 for client in clients):
            self.assertGreaterEqual(site.sent, 0.9 * min(rate, many * client_rate) * seconds)
