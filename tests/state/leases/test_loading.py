"""What a helper sends of its file."""

from __future__ import annotations

from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.lease import Lease, State
from pixelboot.malformed import Malformed
from pixelboot.state.leases import wire
from pixelboot.state.leases.loading import OnDisk, leases_of, row_of
from pixelboot.state.leases.wire import Row


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
        self.disk.add([row_of(lease(n)) for n in (1, 2, 3)])
        self.disk.replay(wire.batch([(1, None), (2, lease(2, "hw:b")), (4, lease(4))]))
        self.disk.replay(wire.batch([(4, None), (9, None)]))
        self.assertEqual(self.disk.take(), {2: lease(2, "hw:b"), 3: lease(3)})
        self.assertEqual(self.disk.take(), {})
        self.assertEqual(self.complaints, [])

    def test_what_is_no_lease(self) -> None:
        """One row of a thousand, and one batch of three: said, and the rest is there."""
        rows = [row_of(lease(n)) for n in range(1000)]
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
        self.disk.add([row_of(lease(n)) for n in (1, 2, 3)])
        known = {1: lease(1), 2: lease(2, "hw:b"), 4: lease(4)}
        self.assertEqual(self.disk.differing(known), {2: lease(2, "hw:b"), 3: None, 4: lease(4)})


class RowTests(SynchronousTestCase):
    """`leases_of`."""

    def test_no_leases(self) -> None:
        """A row of another shape is no lease, wherever it stands."""
        good = row_of(Lease(IPv4Address(7), "hw:1", "", State.BOUND, 0.0, 1.0))
        self.assertEqual(leases_of([good])[7].address, IPv4Address("0.0.0.7"))
        self.assertEqual(leases_of([]), {})
        bad: list[Row] = [(), (7,), (*good, 1)]
        for place, value in (
            (0, -1),
            (0, 2**32),
            (0, None),
            (1, 5),
            (1, ""),
            (1, "a\nb"),
            (4, None),
            (5, 3),
            (8, "x"),
            (2, None),
            (2, "\0"),
            (3, "lost"),
            (6, b"x"),
            (6, "\u202e"),
        ):
            bad.append((*good[:place], value, *good[place + 1 :]))
        for row in bad:
            with self.assertRaises(Malformed, msg=str(row)):
                leases_of([good, row, good])
