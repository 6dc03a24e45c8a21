"""The lease store in memory does what every store does."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from pixelboot.leases.memory import MemoryLeases
from tests.leases.suite import LeaseStoreSuite


class MemoryLeasesTests(LeaseStoreSuite, TestCase):
    """`MemoryLeases`."""

    def setUp(self) -> None:
        """An empty one."""
        self.store = MemoryLeases()
