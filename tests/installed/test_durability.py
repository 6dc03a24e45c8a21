"""What a server has promised is kept when it is killed: whole processes, and the helpers that outlive them."""

from __future__ import annotations

import os
import sys
from ipaddress import IPv4Address

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from lab import CHECKOUT
from pixelboot.leases.lease import Lease, State
from tests.leases.suite import HOUR, NOW, awaited, claim
from tests.state.leases import victim
from tests.state.leases.store import StoreCase, reactor


class DurabilityTests(StoreCase):
    """kill -9."""

    @awaited
    async def test_server_is_killed(self) -> None:
        """kill -9 of a server under load, again and again: every promise is kept, no address is promised twice."""
        for seed, lines in ((1, 1), (2, 60), (3, 400)):
            said = await Victim(self.path, seed, lines).gone
            held = dict(line.split() for line in said[1:])
            promises = {identity: IPv4Address(where) for identity, where in held.items() if where != "-"}
            self.assertEqual(len(set(promises.values())), len(promises), f"{seed}: an address was promised twice")
            # The dead server's helper may still be writing; the next one waits for it.
            store = await self.opened()
            for identity, address in promises.items():
                lease = await store.at(address)
                assert lease is not None, f"{seed}: the lease of {identity} is lost"
                self.assertEqual((lease.identity, lease.state), (identity, State.BOUND), str(seed))
                renewed = await store.renew(claim(identity, victim.POOL), address, HOUR, NOW)
                self.assertIsInstance(renewed, Lease, f"{seed}: {identity}")
            for lease in await store.list():
                await store.release(lease.identity, lease.address, NOW)
            await store.close()


class Victim(ProcessProtocol):
    """Runs `tests.state.leases.victim`, and kills it after it has said so many lines."""

    def __init__(self, path: str, seed: int, lines: int) -> None:
        self.gone: Deferred[list[str]] = Deferred()
        """Fires with all complete lines."""
        self._lines = lines
        self._said = b""
        self._errors = b""
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        arguments = [sys.executable, "-m", "tests.state.leases.victim", path, str(seed)]
        self._process = reactor.spawnProcess(self, sys.executable, arguments, environment)
        self._limit = reactor.callLater(30, self._process.signalProcess, "KILL")

    def outReceived(self, data: bytes) -> None:
        """Lines, and then it dies."""
        before = self._said.count(b"\n")
        self._said += data
        if before <= self._lines < self._said.count(b"\n"):
            self._process.signalProcess("KILL")

    def errReceived(self, data: bytes) -> None:
        """Kept, to be shown."""
        self._errors += data

    def processEnded(self, reason: Failure) -> None:
        """It is dead."""
        if self._limit.active():
            self._limit.cancel()
        lines = self._said.decode().splitlines(keepends=True)
        if len(lines) <= self._lines:
            self.gone.errback(RuntimeError(f"the victim died early: {self._errors.decode()}"))
        else:
            self.gone.callback([line for line in lines if line.endswith("\n")])
