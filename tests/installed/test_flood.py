"""A million machines that do not exist ask for addresses; the whole number takes longer than a unit test may."""

from __future__ import annotations

from tests.leases import test_crowd


class FloodTests(test_crowd.FloodTests):
    """`pixelboot.leases.table.LeaseTable`."""

    def test_a_flood(self) -> None:
        """As in the unit test, of a million."""
        self.assert_stands(1_000_000)
