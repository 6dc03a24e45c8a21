"""The lease store in memory does what every store does."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from pixelboot.leases.crowd import Ceilings
from pixelboot.leases.memory import MemoryLeases
from tests.leases.sites import SiteSuite
from tests.leases.suite import LeaseStoreSuite


class MemoryLeasesTests(LeaseStoreSuite, TestCase):
    """`MemoryLeases`, and one machine after the other."""

    def setUp(self) -> None:
        """An empty one."""
        self.store = MemoryLeases()


class SiteTests(SiteSuite, TestCase):
    """`MemoryLeases`, and a whole site."""

    def setUp(self) -> None:
        """An empty one."""
        self.store = MemoryLeases(Ceilings(per_port=2, per_relay=3))
