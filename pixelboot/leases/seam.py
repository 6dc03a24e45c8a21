"""What a store of leases must do, whichever it is: in memory, in a file, in a database that several nodes share.

Every operation is atomic and says what came of it.  `identity` says who asks (opaque text, compared letter by
letter); `now` and all instants are seconds of the wall clock since 1970, because leases outlive the server.  Every
implementation passes one and the same test suite, ``tests/leases/suite.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Protocol

from pixelboot.leases.lease import Lease, Pool, Refusal

__all__ = ["Lease", "LeaseStore", "Pool", "Refusal", "StoreFailed"]


class StoreFailed(Exception):
    """What was to be durable is not, or may not be; the text says why.  Nothing may be promised to the machine."""


class LeaseStore(Protocol):
    """All leases of a site.

    An `identity` that is not 1 to 1024 printable ASCII characters is `Malformed`; so is a `hwaddr` longer than 64.
    A `hostname` may be anything: it is cut and made printable.
    """

    async def offer(
        self, identity: str, hwaddr: str, pool: Pool, requested: IPv4Address | None, now: float, hold: float
    ) -> Lease | None:
        """Find an address for `identity` and hold it for `hold` seconds; None when the pool is exhausted.

        The order is RFC 2131 §4.3.1's: what it holds already (bound, or offered before: a repeated DISCOVER gets the
        same address); the address it had last, if free; `requested`, if of the pool and free; an address that
        nobody had; the one that has been free the longest.  A bound lease is returned as it is.  An offer may be
        forgotten when the store restarts.
        """

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
        """Lease `address` for `lease_time` seconds (`math.inf`: for ever) to a machine that chose us (SELECTING).

        Granted when the address is offered to `identity`, held by it, or free (we may have forgotten the offer in
        a restart).  Refused when it is outside the pool, another's, or in quarantine.  Any other address of this
        network that `identity` holds becomes free in the same step.  Durable before it returns, or `StoreFailed`.
        """

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
        """Go on with a lease the machine says it has (INIT-REBOOT, RENEWING, REBINDING; RFC 2131 §4.3.2).

        Granted to the holder (bound or offered), and to who had it last as long as it is free.  None when
        `identity` is unknown to us, so that the caller stays silent; refused when it is known, but not with this
        address, or the address left the pool.  Durable before it returns, or `StoreFailed`.
        """

    async def release(self, identity: str, address: IPv4Address, now: float) -> Lease | None:
        """Free a bound address at once, remembering who had it; None, and nothing done, for who is not the holder."""

    async def decline(self, identity: str, address: IPv4Address, now: float, quarantine: float) -> Lease | None:
        """Take an address that is in use by a stranger out of the pool for `quarantine` seconds.

        Only who holds it, bound or offered, can do so; None, and nothing done, for anybody else.  Durable before
        it returns, or `StoreFailed`; the quarantine is in force either way.
        """

    async def withdraw(self, identity: str, now: float) -> Lease | None:
        """Free what is offered to `identity`, because it chose another server; None when nothing is."""

    async def expire(self, now: float) -> Sequence[Lease]:
        """End what is past its time, and tell what has ended since this was asked last.

        An offer that came to nothing is told with state offered, a lease that ran out as expired, a quarantine that
        is over as declined.  To be called every few seconds; its cost is that of what ends, not of what there is.
        """

    async def find(self, identity: str) -> Lease | None:
        """What `identity` has: a bound lease before an offer, an offer before what it had last; the latest first."""

    async def at(self, address: IPv4Address) -> Lease | None:
        """What is known of `address`; None when it is free and nobody had it."""

    async def list(self) -> Sequence[Lease]:
        """What is known of all addresses, one lease an address, in no particular order."""
