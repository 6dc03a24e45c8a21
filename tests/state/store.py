"""What the tests of the lease store have in common: opening and closing, waiting, looking at the disk."""

from __future__ import annotations

import os
from contextlib import closing
from ipaddress import IPv4Address
from typing import cast

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from pixelboot.leases.lease import Lease
from pixelboot.outcome import Outcome
from pixelboot.state.database import Database
from pixelboot.state.journal import IHelperReactor
from pixelboot.state.sqlite import SqliteLeases
from pixelboot.state.wire import Row, lease_of
from tests.leases.suite import HOLD, HOUR, NOW, OTHER_POOL

reactor = cast(IHelperReactor, global_reactor)


class Reports:
    """Takes outcomes, and lets a test wait for one."""

    def __init__(self) -> None:
        self.seen: list[Outcome] = []
        self._awaited: list[tuple[type[Outcome], Deferred[Outcome]]] = []

    def __call__(self, outcome: Outcome) -> None:
        """Take one."""
        assert outcome.summary().isprintable(), outcome
        self.seen.append(outcome)
        for waiting in list(self._awaited):
            if isinstance(outcome, waiting[0]):
                self._awaited.remove(waiting)
                waiting[1].callback(outcome)

    def next(self, kind: type[Outcome]) -> Deferred[Outcome]:
        """Fires with the next outcome of this kind."""
        waiter: Deferred[Outcome] = Deferred()
        self._awaited.append((kind, waiter))
        return waiter

    def kinds(self) -> set[type[Outcome]]:
        """What has been reported."""
        return {type(outcome) for outcome in self.seen}


class StoreCase(TestCase):
    """Opens and closes stores, and looks at what is on disk."""

    timeout = 60

    def setUp(self) -> None:
        """A folder for the database."""
        folder = os.path.abspath(self.mktemp())
        os.mkdir(folder)
        self.path = os.path.join(folder, "leases.sqlite")
        self.reports = Reports()

    async def opened(self) -> SqliteLeases:
        """A store, closed at the end of the test if not before."""
        store = await SqliteLeases.open(reactor, self.path, self.reports)
        self.addCleanup(store.close)
        return store

    def on_disk(self) -> dict[IPv4Address, Lease]:
        """What the file holds; it must be closed."""
        with closing(Database.open(self.path)) as database:
            return {lease.address: lease for rows in database.rows() for lease in map(lease_of, rows)}

    def with_rows(self, rows: list[Row]) -> None:
        """Make the file, with these rows."""
        with closing(Database.open(self.path)) as database:
            database.commit([rows])

    async def bind_many(self, store: SqliteLeases, count: int) -> list[Deferred[Lease]]:
        """So many machines ask for a lease at once; nothing has been written yet."""
        asked = []
        for n in range(count):
            offer = await store.offer(f"hw:{n}", "02:aa", OTHER_POOL, None, NOW, HOLD)
            if offer is None:
                break
            binding = store.bind(f"hw:{n}", "02:aa", OTHER_POOL, offer.address, HOUR, NOW)
            asked.append(Deferred.fromCoroutine(binding))
        return cast(list[Deferred[Lease]], asked)

    async def address(self, store: SqliteLeases, identity: str) -> IPv4Address:
        """What the machine has."""
        lease = await store.find(identity)
        assert lease is not None
        return lease.address

    async def turn(self) -> None:
        """Let the reactor do what it has to do at once."""
        passed: Deferred[None] = Deferred()
        reactor.callLater(0.02, passed.callback, None)
        await passed
