"""Tests of `pixelboot.tftp.patience`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp.patience import FIRST_SILENCE, LONGEST_SILENCE, Patience, RoundTrip

PATIENCE = Patience()


class RoundTripTests(SynchronousTestCase):
    """How long is waited."""

    def test_t11_it_follows_the_round_trips(self) -> None:
        """RFC 6298 §2 with the floor and the ceiling of `Patience`; the shortest round trip is remembered."""
        trip = RoundTrip(PATIENCE)
        self.assertEqual((trip.wait, trip.retries, trip.least), (PATIENCE.first, PATIENCE.retries, 0.0))
        waits = []
        for seconds in (0.2, 0.2, 0.4, 0.001, *[0.001] * 60, 20.0):
            trip.measured(seconds)
            waits.append(round(trip.wait, 3))
        self.assertEqual(waits[:3], [0.6, 0.5, 0.65])
        self.assertEqual((waits[-2], waits[-1], trip.least), (PATIENCE.floor, PATIENCE.ceiling, 0.001))

    def test_t11_it_grows(self) -> None:
        """Twice as long each time, and no longer than the ceiling; what is longer already stays."""
        trip = RoundTrip(PATIENCE)
        waits = []
        for _ in range(5):
            trip.lengthen()
            waits.append(trip.wait)
        self.assertEqual(waits, [2.0, 4.0, 8.0, 8.0, 8.0])
        late = RoundTrip(Patience(first=30.0))
        late.lengthen()
        self.assertEqual(late.wait, 30.0)

    def test_t25_the_interval_asked_for(self) -> None:
        """It neither grows nor follows the round trips; there are so many of them that all ends in time."""
        for interval, silence, wait, retries in (
            (1.0, FIRST_SILENCE, 1.0, 8),
            (20.0, FIRST_SILENCE, 20.0, 2),
            (255.0, FIRST_SILENCE, 30.0, 1),
            (20.0, LONGEST_SILENCE, 20.0, 8),
            (255.0, LONGEST_SILENCE, 120.0, 1),
        ):
            trip = RoundTrip(PATIENCE, interval)
            trip.bound(silence)
            trip.measured(0.001)
            trip.lengthen()
            self.assertEqual((trip.wait, trip.retries), (wait, retries), (interval, silence))
