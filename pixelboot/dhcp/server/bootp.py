"""BOOTP, DHCP's forerunner (RFC 951, RFC 1534): an address for ever, and as much as a vendor field holds.

A BOOTP machine never says that it still uses its address, nor that it does not, so it can only have it for ever.  It
gets the one that is reserved for it (``[[host]]``); one of the pool only in a subnet whose operator lets leases be
without end (``infinite``), since every such machine that ever asked takes one out of the pool.
"""

from __future__ import annotations

import math

from pixelboot.dhcp.compose import NOWHERE, answered
from pixelboot.dhcp.exchange import Answer, Exchange
from pixelboot.dhcp.network.scope import Scope
from pixelboot.dhcp.outcomes import Bound, Exhausted, Ignored, Informed
from pixelboot.dhcp.server import compose
from pixelboot.leases.lease import Claim, Refusal, State
from pixelboot.leases.seam import LeaseStore


def may_have_one(scope: Scope) -> bool:
    """Whether the sender can be given an address."""
    return scope.fixed is not None or any(scope.parameters(subnet).infinite for subnet in scope.link.subnets)


async def answer(exchange: Exchange, claim: Claim, store: LeaseStore, hold: float) -> Answer:
    """What is answered to a BOOTP request; `claim` is its sender's, `hold` as in `LeaseStore.offer`.

    Who has an address already (ciaddr) wants only to know what to boot, and is given no other (RFC 951 §7.3).
    """
    request, scope, machine = exchange.request, exchange.scope, exchange.machine
    if scope.refusal:
        return _silence(exchange, scope.refusal)
    if int(request.ciaddr):
        subnet = scope.link.subnet_of(request.ciaddr)
        if subnet is None:
            return _silence(exchange, f"its address {request.ciaddr} is of another network")
        reply = compose.bootp(exchange, scope.parameters(subnet), NOWHERE)
        return answered(exchange, reply, Informed(machine, request.ciaddr))
    if not may_have_one(scope):
        return _silence(exchange, "it speaks BOOTP, and no address is reserved for it")
    now = exchange.arrival.now
    lease = await store.offer(claim, None, now, hold)
    if isinstance(lease, Refusal):
        return Answer(Exhausted(machine, lease.reason))
    subnet = scope.link.subnet_of(lease.address)
    if subnet is None or not (lease.address == scope.fixed or scope.parameters(subnet).infinite):
        await store.withdraw(claim.identity, now)
        return _silence(exchange, f"it speaks BOOTP, and {lease.address}, which it could have now, is not for ever")
    if lease.state is not State.BOUND or lease.expires_at != math.inf:
        lease = await store.bind(claim, lease.address, math.inf, now)
    if isinstance(lease, Refusal):
        return _silence(exchange, lease.reason)
    reply = compose.bootp(exchange, scope.parameters(subnet), lease.address)
    return answered(exchange, reply, Bound(machine, lease, math.inf, False, exchange.assignment))


def _silence(exchange: Exchange, reason: str) -> Answer:
    return Answer(Ignored(exchange.machine, "BOOTP request", reason))
