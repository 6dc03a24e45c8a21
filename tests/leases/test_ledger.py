"""What is known of all addresses, and the clock."""

from __future__ import annotations

from ipaddress import IPv4Network

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.lease import Claim, Lease, Pool, Refusal, State
from pixelboot.leases.table import LeaseTable

LAN = IPv4Network("10.77.0.0/29")


class ClockTests(SynchronousTestCase):
    """The wall clock is set while leases run."""

    def setUp(self) -> None:
        """A lease of an hour, of which a minute has passed."""
        self.steady = 5.0
        self.wall = 1_700_000_000.0
        self.pool = Pool((LAN,), ((LAN[1], LAN[1]),))
        self.table = LeaseTable(monotonic=lambda: self.steady)
        self.a, self.b = (Claim(identity, "mac", self.pool) for identity in ("hw:a", "hw:b"))
        self.table.bind(self.a, LAN[1], 3600.0, self.wall)
        self.passes(60.0)

    def passes(self, seconds: float, and_is_set: float = 0.0) -> None:
        """Time passes, for both clocks, and one is set besides."""
        self.steady += seconds
        self.wall += seconds + and_is_set
        self.table.expire(self.wall)
        self.assertEqual(self.table.check(), ())

    def left(self) -> float:
        """Seconds that the lease has left; 0 when it has ended."""
        lease = self.table.at(LAN[1])
        assert lease is not None
        return lease.expires_at - self.wall if lease.state is State.BOUND else 0.0

    def test_set(self) -> None:
        """However the clock is set, and back: the lease lasts its hour, and no other machine gets the address."""
        year = 365 * 86400.0
        for jumps in ((year,), (-year,), (year, -year), (-year, year), (1800.0, 1800.0, -3600.0), (-7200.0,), (100.0,)):
            self.setUp()
            for number, jump in enumerate(jumps):
                self.passes(60.0, jump)
                self.assertAlmostEqual(self.left(), 3480.0 - 60 * number, places=3, msg=f"{jumps} after {number}")
                self.assertIsInstance(self.table.bind(self.b, LAN[1], 3600.0, self.wall), Refusal, str(jumps))
            self.passes(self.left())
            self.assertEqual(self.left(), 0.0, f"{jumps}: over at last")
            self.assertIsInstance(self.table.bind(self.b, LAN[1], 3600.0, self.wall), Lease, str(jumps))

    def test_told(self) -> None:
        """How the clock was set is told once; a start, drift, and what was set back at once are no news."""
        self.assertEqual(self.table.clock_set(), 0.0)
        for jumps, told in (((3600.0,), 3600.0), ((-100.0, -50.0), -150.0), ((5.0,), 0.0), ((900.0, -900.0), 0.0)):
            for jump in jumps:
                self.passes(1.0, jump)
            self.assertAlmostEqual(self.table.clock_set(), told, places=3, msg=str(jumps))
            self.assertEqual(self.table.clock_set(), 0.0, str(jumps))

    def test_drift(self) -> None:
        """What is corrected by little is left alone: leases end by the wall."""
        self.passes(60.0, 5.0)
        self.assertAlmostEqual(self.left(), 3475.0, places=3)
        self.assertEqual(self.table.records()[int(LAN[1])].renewed_at, 1_700_000_000.0)

    def restarted(self, jump: float) -> None:
        """The server starts again, and the clock was set meanwhile."""
        records = self.table.records()
        self.table = LeaseTable(monotonic=lambda: self.steady)
        self.table.load(records)
        self.passes(0.0, jump)

    def test_start_with_a_clock_that_is_wrong(self) -> None:
        """A machine without a battery starts in 1970, or far in the future, and learns the time later."""
        self.restarted(-1_700_000_000.0)
        self.assertAlmostEqual(self.left(), 3600.0, places=3, msg="not for 50 years")
        self.passes(60.0, 1_700_000_000.0)
        self.assertAlmostEqual(self.left(), 3540.0, places=3)
        self.setUp()
        self.restarted(1e9)
        self.assertEqual(self.left(), 0.0)
        self.passes(60.0, -1e9)
        self.assertAlmostEqual(self.left(), 3480.0, places=3, msg="it has not ended after all")

    def test_the_rest(self) -> None:
        """Quarantines and offers keep what they have left, too; what was released stays so."""
        self.table.decline("hw:a", LAN[1], self.wall, 600.0)
        self.passes(1.0, -1e8)
        lease = self.table.at(LAN[1])
        self.assertAlmostEqual(lease.expires_at - self.wall if lease else 0.0, 599.0, places=3)
        self.passes(599.0)
        self.assertIsNone(self.table.at(LAN[1]))
        self.table.offer(self.b, None, self.wall, 60.0)
        self.passes(1.0, 1e8)
        offer = self.table.at(LAN[1])
        self.assertAlmostEqual(offer.expires_at - self.wall if offer else 0.0, 59.0, places=3)
        self.table.bind(self.b, LAN[1], 60.0, self.wall)
        self.table.release("hw:b", LAN[1], self.wall)
        self.passes(1.0, -1e8)
        self.assertEqual(self.left(), 0.0)
