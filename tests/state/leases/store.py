"""What the tests of the lease store have in common: opening and closing, waiting, looking at the disk."""

from __future__ import annotations

import os
from contextlib import closing
from ipaddress import IPv4Address
from typing import cast

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from pixelboot.leases.crowd import CEILINGS, Ceilings
from pixelboot.leases.lease import Lease, Refusal
from pixelboot.outcome import Outcome
from pixelboot.state.leases.database import Database
from pixelboot.state.leases.loading import OnDisk
from pixelboot.state.leases.process import IHelperReactor
from pixelboot.state.leases.sqlite import SqliteLeases
from pixelboot.state.leases.wire import Row
from tests.leases.suite import HOLD, HOUR, NOW, OTHER_POOL, claim

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

    async def opened(self, ceilings: Ceilings = CEILINGS) -> SqliteLeases:
        """A store, closed at the end of the test if not before."""
        store = await SqliteLeases.open(reactor, self.path, self.reports, ceilings)
        self.addCleanup(store.close)
        return store

    def on_disk(self) -> dict[IPv4Address, Lease]:
        """What the file holds; it must be closed."""
        found = OnDisk(self.fail)
        with closing(Database.open(self.path)) as database:
            database.examine()
            for rows in database.rows():
                found.add(rows)
            for batch in database.batches():
                found.replay(batch)
        return {lease.address: lease for lease in found.take().values()}

    def with_rows(self, rows: list[Row]) -> None:
        """Make the file, with these rows."""
        with closing(Database.open(self.path)) as database:
            database.fill(rows)

    async def bind_many(self, store: SqliteLeases, count: int) -> list[Deferred[Lease]]:
        """So many machines ask for a lease at once; nothing has been written yet."""
        asked = []
        for n in range(count):
            offer = await store.offer(claim(f"hw:{n}", OTHER_POOL), None, NOW, HOLD)
            if isinstance(offer, Refusal):
                break
            binding = store.bind(claim(f"hw:{n}", OTHER_POOL), offer.address, HOUR, NOW)
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
