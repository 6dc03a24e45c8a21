"""A server that is going to be killed: it leases addresses as fast as it can, and says so after each promise.

``python -m tests.state.leases.victim DATABASE SEED``; a line ``identity address`` is a promise that must be kept, until
a line ``identity -`` says that it is going to be given back.
"""

from __future__ import annotations

import os
import random
import sys
from typing import cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from pixelboot.leases.lease import Lease, Pool, Refusal
from pixelboot.state.leases.process import IHelperReactor
from pixelboot.state.leases.sqlite import SqliteLeases
from tests.leases.suite import HOUR, NOW, OTHER, claim

MACHINES = 40
"""Machines that want addresses, all at the same time; there is not one for each."""

POOL = Pool((OTHER,), ((OTHER[1], OTHER[30]),))
"""Where they want them."""


async def machine(store: SqliteLeases, identity: str, chance: random.Random) -> None:
    """A machine that gets an address, renews it, releases it, and wants another one, for ever."""
    for round_ in range(1_000_000):
        now = NOW + round_ / 1000
        wanted = OTHER[chance.randint(1, 30)] if chance.random() < 0.3 else None
        offer = await store.offer(claim(identity, POOL), wanted, now, HOUR)
        if isinstance(offer, Refusal):
            await Deferred.fromCoroutine(pause())
            continue
        lease = await store.bind(claim(identity, POOL), offer.address, HOUR, now)
        if isinstance(lease, Lease):
            os.write(1, f"{identity} {lease.address}\n".encode())
            if chance.random() < 0.1:
                os.write(1, f"{identity} -\n".encode())
                await store.release(identity, lease.address, now)


async def pause() -> None:
    """Let the others go on."""
    turn: Deferred[None] = Deferred()
    cast(IHelperReactor, reactor).callLater(0.001, turn.callback, None)
    await turn


async def main(path: str, seed: int) -> None:
    """All of them."""
    store = await SqliteLeases.open(cast(IHelperReactor, reactor), path, lambda outcome: None)
    os.write(1, f"helper {store.helper_pid}\n".encode())
    chance = random.Random(seed)
    await gatherResults([Deferred.fromCoroutine(machine(store, f"hw:{n}", chance)) for n in range(MACHINES)])


if __name__ == "__main__":
    Deferred.fromCoroutine(main(sys.argv[1], int(sys.argv[2]))).addErrback(
        lambda failure: (failure.printTraceback(), os._exit(2))
    )
    reactor.run()
