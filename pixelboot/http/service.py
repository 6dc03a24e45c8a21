"""The HTTP service: its endpoints, one site behind them all, and an orderly end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twisted.application.service import Service
from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IListeningPort, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.http.connection.site import BootSite
from pixelboot.http.endpoint.certificate import Certificate
from pixelboot.http.endpoint.make import TlsEndpoint
from pixelboot.http.endpoint.said import url

GRACE = 2.0
"""Seconds that answers on their way get when the service stops."""

_log = Logger(namespace="pixelboot.http")


class NotListening(Exception):
    """An endpoint that cannot be had; the text says why."""

    def __init__(self, number: int, problem: Exception) -> None:
        """`number` is its place among the service's, from 0."""
        super().__init__(str(problem))
        self.number = number


@dataclass(frozen=True, slots=True)
class Place:
    """Where the service is reached."""

    address: IAddress
    """What is listened at."""

    certificate: Certificate | None
    """The one that TLS is spoken with; None where it is not."""

    def __str__(self) -> str:
        if isinstance(self.address, IPv4Address | IPv6Address):
            return url(self.address.host, self.address.port, is_secure=self.certificate is not None)
        if isinstance(self.address, UNIXAddress) and self.address.name:
            return f"unix:{self.address.name.decode('utf-8', 'replace')}"
        return str(self.address)


class HttpService(Service):
    """Listens when told to, answers from `startService` on, and is gone when `stopService` has fired."""

    name = "http"

    def __init__(self, endpoints: Sequence[IStreamServerEndpoint], site: BootSite) -> None:
        self._endpoints = endpoints
        self._site = site
        self._listening: list[tuple[Place, IListeningPort]] = []
        self._held: list[FileDescriptor] = []

    async def listen(self) -> None:
        """Take all endpoints, or none: `NotListening` for the first that is not to be had.

        Nobody is answered before `startService`: until then connections wait in the kernel's queue.
        """
        for number, endpoint in enumerate(self._endpoints):
            try:
                listening = await endpoint.listen(self._site)
            except Exception as problem:
                self.abandon()
                raise NotListening(number, problem) from problem
            certificate = endpoint.certificate if isinstance(endpoint, TlsEndpoint) else None
            self._listening.append((Place(listening.getHost(), certificate), listening))
            if not self.running and isinstance(listening, FileDescriptor):
                listening.stopReading()
                self._held.append(listening)

    def abandon(self) -> None:
        """Close what `listen` took, now, when nothing came of the service: the reactor may never run."""
        taken, self._listening, self._held = self._listening, [], []
        for _, listening in taken:
            if isinstance(listening, FileDescriptor):
                listening.connectionLost(Failure(ConnectionDone()))
            else:
                maybeDeferred(listening.stopListening)

    @property
    def places(self) -> Sequence[Place]:
        """Where the service is reached, in the order of its endpoints; none before `listen` and after the end."""
        return [place for place, _ in self._listening]

    @property
    def port(self) -> int | None:
        """The TCP port that machines are sent to: of the first endpoint with a port and without TLS.

        None where there is no such endpoint, before `listen`, and after the end.
        """
        address = self._plain
        return None if address is None else address.port

    @property
    def host(self) -> str | None:
        """The IP address that belongs to `port`; None as with it."""
        address = self._plain
        return None if address is None else address.host

    @property
    def _plain(self) -> IPv4Address | IPv6Address | None:
        addresses = (place.address for place in self.places if place.certificate is None)
        return next((each for each in addresses if isinstance(each, IPv4Address | IPv6Address)), None)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._site.connections

    def startService(self) -> None:
        """Answer from now on; `listen` comes before."""
        super().startService()
        held, self._held = self._held, []
        for listening in held:
            listening.startReading()
        for place in self.places:
            _log.info("answering on {place}", place=str(place))

    async def _stop(self) -> None:
        listening, self._listening, self._held = self._listening, [], []
        await DeferredList([maybeDeferred(each.stopListening) for _, each in listening])
        await self._site.close(GRACE)

    def stopService(self) -> Deferred[None]:
        """Stop listening, let answers on their way end for `GRACE` seconds, and close every connection.

        Also right after `listen` alone, when something else could not start.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())
