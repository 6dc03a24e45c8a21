"""A lease store that lives as long as the process: the table behind the seam.

It is what a durable store of one node adds its durability to, and what everything that needs some store is tested
with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address

from pixelboot.leases.crowd import CEILINGS, Ceilings
from pixelboot.leases.lease import Claim, Lease, Refusal
from pixelboot.leases.table import LeaseTable


class MemoryLeases:
    """A `pixelboot.leases.seam.LeaseStore` in memory; see there what each operation promises."""

    def __init__(self, ceilings: Ceilings = CEILINGS, monotonic: Callable[[], float] | None = None) -> None:
        """`monotonic` is a clock that nobody sets, in seconds; without it no step of the wall clock is noticed."""
        self._table = LeaseTable(ceilings, monotonic)

    def _check_ready(self) -> None:
        """Raise `StoreFailed` when nothing can be made durable now, before anything is decided."""

    def _note(self, changes: Mapping[int, Lease | None]) -> None:
        """Make changes durable some time: the record of each address, None of a free one."""

    def _save(self, changes: Mapping[int, Lease | None]) -> Awaitable[object] | None:
        """Make `changes`, and all that were noted before, durable, or fail with `StoreFailed`; None if they are."""
        return None

    def _settled(self, number: int) -> Awaitable[object] | None:
        """Wait until what is known of an address is durable, or fail with `StoreFailed`; None if it is."""
        return None

    def _clock_set(self, seconds: float) -> None:
        """The wall clock was seen to be set forward by so many seconds, or back."""

    @property
    def trouble(self) -> str:
        """See `LeaseStore.trouble`."""
        return ""

    async def offer(self, claim: Claim, requested: IPv4Address | None, now: float, hold: float) -> Lease | Refusal:
        """See `LeaseStore.offer`."""
        lease = self._table.offer(claim, requested, now, hold)
        self._note_changes()
        return lease

    async def bind(
        self, claim: Claim, address: IPv4Address, lease_time: float, now: float, reuse: float = 0.0
    ) -> Lease | Refusal:
        """See `LeaseStore.bind`."""
        if reuse and (lease := self._table.reusable(claim, address, lease_time, now, reuse)) is not None:
            if (settling := self._settled(int(address))) is not None:
                await settling
            return lease
        self._check_ready()
        result = self._table.bind(claim, address, lease_time, now)
        if (saving := self._keep(result)) is not None:
            await saving
        return result

    async def renew(
        self, claim: Claim, address: IPv4Address, lease_time: float, now: float, reuse: float = 0.0
    ) -> Lease | Refusal | None:
        """See `LeaseStore.renew`."""
        if reuse and (lease := self._table.reusable(claim, address, lease_time, now, reuse)) is not None:
            if (settling := self._settled(int(address))) is not None:
                await settling
            return lease
        self._check_ready()
        result = self._table.renew(claim, address, lease_time, now)
        if (saving := self._keep(result)) is not None:
            await saving
        return result

    async def release(self, identity: str, address: IPv4Address, now: float) -> Lease | None:
        """See `LeaseStore.release`."""
        lease = self._table.release(identity, address, now)
        self._note_changes()
        return lease

    async def decline(self, identity: str, address: IPv4Address, now: float, quarantine: float) -> Lease | None:
        """See `LeaseStore.decline`."""
        lease = self._table.decline(identity, address, now, quarantine)
        if (saving := self._keep(lease)) is not None:
            await saving
        return lease

    async def abandon(self, address: IPv4Address, now: float, quarantine: float) -> Lease | None:
        """See `LeaseStore.abandon`."""
        lease = self._table.abandon(address, now, quarantine)
        if (saving := self._keep(lease)) is not None:
            await saving
        return lease

    async def withdraw(self, identity: str, now: float) -> Lease | None:
        """See `LeaseStore.withdraw`."""
        lease = self._table.withdraw(identity, now)
        self._note_changes()
        return lease

    async def adopt(self, leases: Iterable[Lease], now: float) -> int:
        """See `LeaseStore.adopt`."""
        self._check_ready()
        count = self._table.adopt(leases, now)
        if (saving := self._save(self._table.drain())) is not None:
            await saving
        return count

    async def expire(self, now: float) -> Sequence[Lease]:
        """See `LeaseStore.expire`."""
        ended = self._table.expire(now)
        self._note_changes()
        if seconds := self._table.clock_set():
            self._clock_set(seconds)
        return ended

    async def find(self, identity: str) -> Lease | None:
        """See `LeaseStore.find`."""
        return self._table.find(identity)

    async def at(self, address: IPv4Address) -> Lease | None:
        """See `LeaseStore.at`."""
        return self._table.at(address)

    async def list(self) -> Sequence[Lease]:
        """See `LeaseStore.list`."""
        return self._table.list()

    async def readmit(self, address: IPv4Address, now: float) -> Lease | None:
        """See `LeaseStore.readmit`."""
        self._check_ready()
        lease = self._table.readmit(address, now)
        if (saving := self._keep(lease)) is not None:
            await saving
        return lease

    def _keep(self, result: Lease | Refusal | None) -> Awaitable[object] | None:
        """Make what an operation changed durable; of what is refused nobody has to wait for the rest."""
        if isinstance(result, Lease):
            return self._save(self._table.drain())
        self._note_changes()
        return None

    def _note_changes(self) -> None:
        if changes := self._table.drain():
            self._note(changes)
