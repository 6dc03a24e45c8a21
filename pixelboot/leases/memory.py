"""A lease store that lives as long as the process: the table behind the seam.

It is what a durable store of one node adds its durability to, and what everything that needs some store is tested
with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address

from pixelboot.leases.lease import Lease, Pool, Refusal
from pixelboot.leases.table import LeaseTable


class MemoryLeases:
    """A `pixelboot.leases.seam.LeaseStore` in memory; see there what each operation promises."""

    def __init__(self) -> None:
        self._table = LeaseTable()

    def _check_ready(self) -> None:
        """Raise `StoreFailed` when nothing can be made durable now, before anything is decided."""

    def _note(self, changes: Mapping[int, Lease | None]) -> None:
        """Make changes durable some time: the record of each address, None of a free one."""

    async def _save(self, changes: Mapping[int, Lease | None]) -> None:
        """Return when `changes`, and all that were noted before, are durable; raise `StoreFailed` if they are not."""

    async def offer(
        self, identity: str, hwaddr: str, pool: Pool, requested: IPv4Address | None, now: float, hold: float
    ) -> Lease | None:
        """See `LeaseStore.offer`."""
        lease = self._table.offer(identity, hwaddr, pool, requested, now, hold)
        self._note(self._table.drain())
        return lease

    async def bind(
        self,
        identity: str,
        hwaddr: str,
        pool: Pool,
        address: IPv4Address,
        lease_time: float,
        now: float,
        hostname: str = "",
    ) -> Lease | Refusal:
        """See `LeaseStore.bind`."""
        self._check_ready()
        result = self._table.bind(identity, hwaddr, pool, address, lease_time, now, hostname)
        await self._keep(result)
        return result

    async def renew(
        self,
        identity: str,
        pool: Pool,
        address: IPv4Address,
        lease_time: float,
        now: float,
        hwaddr: str,
        hostname: str = "",
    ) -> Lease | Refusal | None:
        """See `LeaseStore.renew`."""
        self._check_ready()
        result = self._table.renew(identity, pool, address, lease_time, now, hwaddr, hostname)
        await self._keep(result)
        return result

    async def release(self, identity: str, address: IPv4Address, now: float) -> Lease | None:
        """See `LeaseStore.release`."""
        lease = self._table.release(identity, address, now)
        self._note(self._table.drain())
        return lease

    async def decline(self, identity: str, address: IPv4Address, now: float, quarantine: float) -> Lease | None:
        """See `LeaseStore.decline`."""
        lease = self._table.decline(identity, address, now, quarantine)
        await self._keep(lease)
        return lease

    async def withdraw(self, identity: str, now: float) -> Lease | None:
        """See `LeaseStore.withdraw`."""
        lease = self._table.withdraw(identity, now)
        self._note(self._table.drain())
        return lease

    async def expire(self, now: float) -> Sequence[Lease]:
        """See `LeaseStore.expire`."""
        ended = self._table.expire(now)
        self._note(self._table.drain())
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

    async def _keep(self, result: Lease | Refusal | None) -> None:
        """Make what an operation changed durable; of what is refused nobody has to wait for the rest."""
        changes = self._table.drain()
        if isinstance(result, Lease):
            await self._save(changes)
        else:
            self._note(changes)
