"""The HTTP service: one endpoint, one site, and an orderly end."""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.python.failure import Failure

from pixelboot.http.channel import BootSite

GRACE = 2.0
"""Seconds that answers on their way get when the service stops."""


class HttpService(Service):
    """Listens when told to, answers from `startService` on, and is gone when `stopService` has fired."""

    name = "http"

    def __init__(self, endpoint: IStreamServerEndpoint, site: BootSite) -> None:
        self._endpoint = endpoint
        self._site = site
        self._listening: IListeningPort | None = None
        self._held: FileDescriptor | None = None

    async def listen(self) -> None:
        """Take the endpoint; raises what the endpoint raises, as `CannotListenError` when it is taken.

        Nobody is answered before `startService`: until then connections wait in the kernel's queue.
        """
        self._listening = listening = await self._endpoint.listen(self._site)
        if not self.running and isinstance(listening, FileDescriptor):
            listening.stopReading()
            self._held = listening

    def abandon(self) -> None:
        """Close what `listen` took, now, when nothing came of the service: the reactor may never run."""
        held, self._held, self._listening = self._held, None, None
        if held is not None:
            held.connectionLost(Failure(ConnectionDone()))

    @property
    def port(self) -> int | None:
        """The TCP port listened on; None before `listen`, after the end, and of an endpoint that has none."""
        return None if self._listening is None else getattr(self._listening.getHost(), "port", None)

    @property
    def host(self) -> str | None:
        """The IP address listened on; None as with `port`."""
        return None if self._listening is None else getattr(self._listening.getHost(), "host", None)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._site.connections

    def startService(self) -> None:
        """Answer from now on; `listen` comes before."""
        super().startService()
        held, self._held = self._held, None
        if held is not None:
            held.startReading()

    async def _stop(self) -> None:
        listening, self._listening, self._held = self._listening, None, None
        if listening is not None:
            await maybeDeferred(listening.stopListening)
        await self._site.close(GRACE)

    def stopService(self) -> Deferred[None]:
        """Stop listening, let answers on their way end for `GRACE` seconds, and close every connection.

        Also right after `listen` alone, when something else could not start.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())
