"""The address server as a service: a port, the leases, the protocol between them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.dhcp.outcomes import Deaf
from pixelboot.dhcp.server.protocol import DhcpProtocol
from pixelboot.leases.seam import LeaseStore
from pixelboot.outcome import Outcome
from pixelboot.udp.port import UdpPort

EXPIRY = 5.0
"""Seconds between two looks at the leases that have run out; a lease is free at its end all the same."""

_log = Logger(namespace="pixelboot.dhcp")


class OpenStore(LeaseStore, Protocol):
    """A lease store that was opened and has to be closed."""

    def close(self) -> Deferred[None]:
        """Fires when everything is on disk and nothing is held any more."""


class DhcpService(Service):
    """Runs a `pixelboot.udp.port.UdpPort` whose datagrams go to a `pixelboot.dhcp.server.protocol.DhcpProtocol`."""

    name = "dhcp"

    def __init__(
        self,
        port: UdpPort,
        open_store: Callable[[], Awaitable[OpenStore]],
        protocol: Callable[[LeaseStore], DhcpProtocol],
        failed: Callable[[Failure], None],
        report: Callable[[Outcome], None],
        clock: IReactorTime,
        wall: Callable[[], float],
    ) -> None:
        """The `port` is bound already.

        `startService` opens the store, makes the `protocol` over it and then reads from the port; it calls `failed`
        when the store cannot be opened.
        """
        self.port = port
        self.store: OpenStore | None = None
        """The leases; None until they are open."""
        self._open_store = open_store
        self._protocol = protocol
        self._failed = failed
        self._report = report
        self._wall = wall
        self._opening: Deferred[None] | None = None
        self._expiry = LoopingCall(self._expire)
        self._expiry.clock = clock

    def startService(self) -> None:
        """Open the leases, then answer."""
        super().startService()
        self._opening = Deferred.fromCoroutine(self._run()).addErrback(self._not_opened)

    def stopService(self) -> Deferred[None]:
        """Close the port, so that nothing is answered any more, and then the leases."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _run(self) -> None:
        self.store = await self._open_store()
        self.port.start(self._protocol(self.store).received)
        self._expiry.start(EXPIRY, now=True)
        _log.info("answering on {port}, leases known: {known}", port=self.port, known=len(await self.store.list()))

    def _not_opened(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self._failed(failure)

    async def _stop(self) -> None:
        if self._expiry.running:
            self._expiry.stop()
        self.port.stop()
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            await opening
        store, self.store = self.store, None
        if store is not None:
            await store.close()

    def _expire(self) -> Deferred[None]:
        if problem := self.port.problem:
            self._report(Deaf(problem))
        return Deferred.fromCoroutine(self._expire_leases()).addErrback(
            lambda failure: _log.failure("leases could not be expired", failure)
        )

    async def _expire_leases(self) -> None:
        if self.store is not None:
            await self.store.expire(self._wall())
