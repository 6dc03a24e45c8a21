"""Requests handed on to a tree of `twisted.web` resources, which knows nothing of our connections.

Twisted's own HTTP/2 does the same: a `twisted.web` request needs something to write to that has a dozen methods.
Nothing of the request is parsed again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource

from pixelboot.http.connection.channel import BootChannel
from pixelboot.http.message.request import Request
from pixelboot.http.message.response import compose_head
from pixelboot.malformed import Malformed


class Resources:
    """Answers requests from a tree of resources."""

    def __init__(self, root: IResource) -> None:
        self._site = server.Site(root)

    def answer(self, request: Request, channel: BootChannel) -> None:
        """See `Answerer.answer`; their outcomes are the resources' own."""
        try:
            path = request.parsed.path
        except Malformed as problem:
            channel.explain(400, str(problem))
            return
        stream = _Stream(channel, request, self._site)
        asked = _Asked(stream)
        for name, values in request.fields.items():
            asked.requestHeaders.setRawHeaders(name, list(values))
        asked.gotLength(len(request.body))
        if request.body:
            asked.handleContentChunk(request.body)
        stream.begin(asked)
        version = b"HTTP/1.1" if request.version else b"HTTP/1.0"
        target = request.target
        if not target.startswith("/"):  # RFC 9112 §3.2.2: the absolute form; its host does not matter
            target = "/" + "/".join(path) + ("?" + target.partition("?")[2] if "?" in target else "")
        asked.requestReceived(request.method.encode("ascii"), target.encode("latin-1"), version)


class _Asked(server.Request):
    """A request as resources take it."""

    channel: Any  # a `_Stream`
    # twisted.web would call untyped bodies HTML.
    defaultContentType = None

    def process(self) -> None:
        """Find the resource and let it answer."""
        self.site = self.channel.site
        self.prepath = []
        self.postpath = [segment.encode() for segment in self.channel.path]
        try:
            self.render(self.site.getResourceFor(self))
        except Exception:  # noqa: BLE001 - see `processingFailed`
            self.processingFailed(Failure())

    def processingFailed(self, reason: Failure) -> None:
        """Answer 500 for an exception in a resource; the traceback goes to the log and nowhere else."""
        self.channel.fail(reason)


class _Stream:
    """What a `twisted.web` request writes to."""

    def __init__(self, channel: BootChannel, request: Request, site: server.Site) -> None:
        self.site = site
        self.path = request.parsed.path
        self._channel = channel
        self._request = request
        self._asked: _Asked | None = None
        self._stays = True
        self.transport: Any = channel.transport
        self._begun = False

    def begin(self, asked: _Asked) -> None:
        """From now on this is answered."""
        self._asked = asked
        self._channel.gone = self._gone

    def _gone(self) -> None:
        """The connection is lost."""
        if self._asked is not None:
            self._asked.connectionLost(Failure(ConnectionDone()))

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """The head of the answer."""
        fields = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, values in headers.getAllRawHeaders()
            for value in values
        ]
        lengths = {name.lower() for name, _ in fields} & {"content-length", "transfer-encoding"}
        status = int(code)
        self._stays = self._channel.stays and bool(lengths or status in (204, 304) or self._request.method == "HEAD")
        self.transport = self._channel.surrender()
        self._begun = True
        kept = [field for field in fields if field[0].lower() not in ("date", "server", "connection")]
        self.transport.write(compose_head(status, kept, self._channel.site.wall(), closes=not self._stays))

    def write(self, octets: bytes) -> None:
        """A piece of the body."""
        self.transport.write(octets)

    def writeSequence(self, pieces: Iterable[bytes]) -> None:
        """Pieces of the body."""
        self.transport.writeSequence(pieces)

    def requestDone(self, asked: object) -> None:
        """The answer is over."""
        self._asked = None
        self._channel.ended(stays=self._stays)

    def fail(self, reason: Failure) -> None:
        """The answer cannot be given, or not go on."""
        asked, self._asked = self._asked, None
        self._channel.fail(reason, begun=self._begun)
        if asked is not None:
            asked.connectionLost(reason)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Whoever writes wants to be told when there is room."""
        self._channel.surrender().registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """Nobody wants to be told any more."""
        self.transport.unregisterProducer()

    def loseConnection(self) -> None:
        """Only that tells that the answer is not whole."""
        self._channel.close()

    def abortConnection(self) -> None:
        """The same, at once."""
        self._channel.abort()

    def getPeer(self) -> IAddress:
        """Who asks."""
        peer: IAddress = self.transport.getPeer()
        return peer

    def getHost(self) -> IAddress:
        """Who is asked."""
        host: IAddress = self.transport.getHost()
        return host

    def isSecure(self) -> bool:
        """Whether nobody can listen."""
        return hasattr(self.transport, "getPeerCertificate")
