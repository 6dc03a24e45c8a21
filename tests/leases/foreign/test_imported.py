"""Tests of `pixelboot.leases.foreign.imported`."""

from __future__ import annotations

from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.foreign.imported import identity, latest
from pixelboot.leases.lease import Lease, State


class ImportedTests(SynchronousTestCase):
    """What all files have in common."""

    def test_identity(self) -> None:
        """That which DHCP has: by the card, else by the client identifier."""
        card = bytes.fromhex("02aa00000001")
        self.assertEqual(identity(1, card, b"\1x"), "hw:01:02:aa:00:00:00:01")
        self.assertEqual(identity(32, b"", b"\1x"), "id:0178")
        self.assertEqual(identity(1, b"", b""), "")

    def test_latest(self) -> None:
        leases = [
            Lease(IPv4Address(number), f"id:{at}", "", State.BOUND, float(at), 9.0)
            for at, number in enumerate((5, 6, 5))
        ]
        self.assertEqual(latest(leases), (leases[1], leases[2]))
