"""The lease store of a single node: the table in memory decides, a helper process writes it to a SQLite file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from twisted.internet.defer import CancelledError, Deferred

from pixelboot.leases.crowd import CEILINGS, Ceilings
from pixelboot.leases.memory import MemoryLeases
from pixelboot.outcome import Outcome
from pixelboot.state.leases.journal import Changes, Journal
from pixelboot.state.leases.outcomes import ClockSet
from pixelboot.state.leases.process import IHelperReactor


class SqliteLeases(MemoryLeases):
    """A `pixelboot.leases.seam.LeaseStore` that survives its process: what it has promised is on disk."""

    def __init__(
        self,
        reactor: IHelperReactor,
        path: str,
        report: Callable[[Outcome], None],
        ceilings: Ceilings,
        monotonic: Callable[[], float] | None,
    ) -> None:
        """Use `open`."""
        super().__init__(ceilings, monotonic)
        self._report = report
        self._journal = Journal(reactor, path, report, self._table.load, self._table.records)

    @classmethod
    def open(
        cls,
        reactor: IHelperReactor,
        path: str,
        report: Callable[[Outcome], None],
        ceilings: Ceilings = CEILINGS,
        monotonic: Callable[[], float] | None = None,
    ) -> Deferred[Self]:
        """Open the database `path`, or make it, and read all leases; `report` is told what becomes of it later.

        `ceilings` and `monotonic` are those of `pixelboot.leases.memory.MemoryLeases`.  Fails with
        `pixelboot.state.lock.StateUnusable`.  It can be cancelled.
        """
        store = cls(reactor, path, report, ceilings, monotonic)

        async def opened() -> Self:
            try:
                await store._journal.open()
            except CancelledError:
                # Nothing is left behind: neither the helper nor what it holds.
                await store.close()
                raise
            return store

        return Deferred.fromCoroutine(opened())

    def close(self) -> Deferred[None]:
        """Fires when everything is on disk and the helper has ended, or could not be waited for any longer."""
        return self._journal.close()

    @property
    def trouble(self) -> str:
        """See `pixelboot.leases.seam.LeaseStore.trouble`."""
        return self._journal.trouble

    @property
    def helper_pid(self) -> int | None:
        """The process id of the helper; None while there is none."""
        return self._journal.helper_pid

    def _check_ready(self) -> None:
        self._journal.check_ready()

    def _clock_set(self, seconds: float) -> None:
        self._report(ClockSet(seconds))

    def _note(self, changes: Changes) -> None:
        self._journal.note(changes)

    def _save(self, changes: Changes) -> Deferred[None]:
        return self._journal.save(changes)

    def _settled(self, number: int) -> Deferred[None] | None:
        return self._journal.settled(number)
