"""What a helper sends of its file."""

from __future__ import annotations

from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.lease import Lease, State
from pixelboot.state.leases import wire
from pixelboot.state.leases.loading import OnDisk


def lease(number: int, identity: str = "hw:a") -> Lease:
    """A lease."""
    return Lease(IPv4Address(number), identity, "", State.BOUND, 0.0, 1.0)


class OnDiskTests(SynchronousTestCase):
    """`OnDisk`."""

    def setUp(self) -> None:
        """Nothing yet."""
        self.complaints: list[str] = []
        self.disk = OnDisk(self.complaints.append)

    def test_the_journal_is_newer(self) -> None:
        """What stands in it replaces what the table says, and takes away."""
        self.disk.add([wire.row_of(lease(n)) for n in (1, 2, 3)])
        self.disk.replay(wire.batch([(1, None), (2, lease(2, "hw:b")), (4, lease(4))]))
        self.disk.replay(wire.batch([(4, None), (9, None)]))
        self.assertEqual(self.disk.take(), {2: lease(2, "hw:b"), 3: lease(3)})
        self.assertEqual(self.disk.take(), {})
        self.assertEqual(self.complaints, [])

    def test_what_is_no_lease(self) -> None:
        """One row of a thousand, and one batch of three: said, and the rest is there."""
        rows = [wire.row_of(lease(n)) for n in range(1000)]
        rows[500] = (500, "a\nb", *rows[500][2:])
        self.disk.add(rows)
        good = wire.batch([(1000, lease(1000))])
        for octets in (good[:-1], good, b""):
            self.disk.replay(octets)
        self.assertEqual(sorted(self.disk.take()), [n for n in range(1001) if n != 500])
        self.assertEqual(len(self.complaints), 3)
        self.assertIn("'a\\nb'", self.complaints[0])
        self.assertIn("a part of the journal cannot be read", self.complaints[1])

    def test_differing(self) -> None:
        """What is missing, what is other, and what should not be there."""
        self.disk.add([wire.row_of(lease(n)) for n in (1, 2, 3)])
        known = {1: lease(1), 2: lease(2, "hw:b"), 4: lease(4)}
        self.assertEqual(self.disk.differing(known), {2: lease(2, "hw:b"), 3: None, 4: lease(4)})
