"""What a store of leases must do, whichever it is: in memory, in a file, in a database that several nodes share.

Every operation is atomic and says what came of it.  A `Claim` says who asks, and where; `now` and all instants are
seconds of the wall clock since 1970, because leases outlive the server.  Every implementation passes one and the same
test suite, ``tests/leases/suite.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address
from typing import Protocol

from pixelboot.leases.lease import Cause, Claim, Lease, Pool, Refusal

__all__ = ["Cause", "Claim", "Lease", "LeaseStore", "Pool", "Refusal", "StoreFailed"]


class StoreFailed(Exception):
    """What was to be durable is not, or may not be; the text says why.  Nothing may be promised to the machine."""


class LeaseStore(Protocol):
    """All leases of a site.

    A claim whose `identity` is not 1 to 1024 printable ASCII characters is `Malformed`; so is a `hwaddr` longer than
    64.  A `hostname` may be anything: it is cut and made printable.
    """

    @property
    def trouble(self) -> str:
        """Why no lease can be given now, and for how long that has been so, for people; empty when all is well."""

    async def offer(self, claim: Claim, requested: IPv4Address | None, now: float, hold: float) -> Lease | Refusal:
        """Find an address for a machine and hold it for `hold` seconds.

        The order is RFC 2131 §4.3.1's: the address that is reserved for the machine, if nobody else has it; what it
        holds already (bound, or offered before: a repeated DISCOVER gets the same address); the address it had last,
        if free; `requested`, if of the pool and if nobody had it yet; an address that nobody had; `requested`, if free;
        the one that has been free the longest.  A bound lease is returned as it is.  An offer may be forgotten when the
        store restarts.

        A machine of which nothing is known may be refused because too many of its like were offered addresses at its
        port or behind its relay.  An offer to such a machine gives way when it is old and there are too many or nothing
        else is left, and at any age when nothing else is left for the machine that had the address last.
        """

    async def bind(
        self, claim: Claim, address: IPv4Address, lease_time: float, now: float, reuse: float = 0.0
    ) -> Lease | Refusal:
        """Lease `address` for `lease_time` seconds (`math.inf`: for ever) to a machine that chose us (SELECTING).

        Granted when the address is offered to the machine, held by it, or free (we may have forgotten the offer in a
        restart).  Refused when it is outside the pool, another's, or in quarantine, or when another one is reserved for
        the machine and can be had.  Any other address of this link that the machine holds becomes free in the same
        step.  Durable before it returns, or `StoreFailed`.

        A lease that the machine is bound to, of which less than the fraction `reuse` has passed, is returned as it is,
        so that nothing need be written: its `expires_at` counts.
        """

    async def renew(
        self, claim: Claim, address: IPv4Address, lease_time: float, now: float, reuse: float = 0.0
    ) -> Lease | Refusal | None:
        """Go on with a lease the machine says it has (INIT-REBOOT, RENEWING, REBINDING; RFC 2131 §4.3.2).

        Granted to the holder (bound or offered), to who had it last as long as it is free, and to whom it is reserved
        for.  None when the machine is unknown to us, so that the caller stays silent; refused when it is known, but not
        with this address, or the address left the pool.  `reuse` is as in `bind`.  Durable before it returns, or
        `StoreFailed`.
        """

    async def release(self, identity: str, address: IPv4Address, now: float) -> Lease | None:
        """Free a bound address at once, remembering who had it; None, and nothing done, for who is not the holder."""

    async def decline(self, identity: str, address: IPv4Address, now: float, quarantine: float) -> Lease | None:
        """Take an address that is in use by a stranger out of the pool for `quarantine` seconds.

        Only who holds it, bound or offered, can do so; None, and nothing done, for anybody else.  Durable before
        it returns, or `StoreFailed`; the quarantine is in force either way.
        """

    async def abandon(self, address: IPv4Address, now: float, quarantine: float) -> Lease | None:
        """Take an address that is on offer, and was found in use, out of the pool, whoever it is offered to.

        None, and nothing done, when it is not on offer.  Durable as in `decline`.
        """

    async def withdraw(self, identity: str, now: float) -> Lease | None:
        """Free what is offered to `identity`, because it chose another server; None when nothing is."""

    async def adopt(self, leases: Iterable[Lease], now: float) -> int:
        """Take over leases of another server; how many were taken.  Durable before it returns, or `StoreFailed`.

        Not taken: an offer, a quarantine that is over, a lease of an address that is held or offered or in quarantine
        here, or that says less than what is known here of a free one, and one of a machine that is known here, or has
        given time later by another of these leases.  A bound lease that has run out is taken as expired.  Raises
        `Malformed` for what no lease may hold, and then nothing is taken.
        """

    async def expire(self, now: float) -> Sequence[Lease]:
        """End what is past its time, and tell what has ended since this was asked last.

        An offer that came to nothing is told with state offered, a lease that ran out as expired, a quarantine that
        is over as declined.  To be called every few seconds; its cost is that of what ends, not of what there is, and
        of very much that ends at once a part is left for the next call.
        """

    async def find(self, identity: str) -> Lease | None:
        """What `identity` has: a bound lease before an offer, an offer before what it had last; the latest first."""

    async def at(self, address: IPv4Address) -> Lease | None:
        """What is known of `address`; None when it is free and nobody had it."""

    async def list(self) -> Sequence[Lease]:
        """What is known of all addresses, one lease an address, in no particular order."""

    async def readmit(self, address: IPv4Address, now: float) -> Lease | None:
        """End a quarantine before its time: the address is in the pool again, and nobody had it.

        What the quarantine was; None, and nothing done, for an address that is in none.  Durable before it returns,
        or `StoreFailed`; the address may be given away either way.
        """
