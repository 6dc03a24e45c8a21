"""The connection: twisted.web's HTTP/1.1 server, held to what RFC 9112 and boot firmware ask beyond it.

* A request gets `REQUEST_TIME` seconds from its first octet to its last, however steadily it drips (twisted.web starts
  its time-out anew with every octet).  Its line and header block end at 16 KiB (twisted.web's own bound), its body,
  which nothing here reads, at `LONGEST_BODY`.
* HTTP/1.1 needs exactly one good ``Host``; ``Connection`` is a list; the absolute form of a target is a target.
* An error is a whole answer with its length, a short text and no traceback.
* No ``Server`` field: it tells a stranger what to try.
* Stopping closes idle connections at once, and cuts the others after a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime, ITCPTransport
from twisted.python.failure import Failure
from twisted.web import http, server
from twisted.web.resource import IResource

from pixelboot.http.plan import Unreadable
from pixelboot.http.wire import check_host, parse_target
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome

REQUEST_TIME = 60.0
"""Seconds for one whole request to come in, and for which a connection may wait for the next one."""

LONGEST_BODY = 65536
"""Octets of a request's body; whatever it says is thrown away, and more than this refused."""

CUT_TIME = 5.0
"""Seconds that a closing connection gets to take what was already answered."""


class BootRequest(server.Request):
    """A request, with the checks that come before any resource."""

    channel: BootChannel
    site: BootSite
    # twisted.web would call untyped bodies HTML.
    defaultContentType = None

    def process(self) -> None:
        """Find the resource and let it answer; called by the channel when the request is complete."""
        self.site = self.channel.site
        self.setHeader(b"Date", http.datetimeToString())
        try:
            hosts = self.requestHeaders.getRawHeaders("Host", [])
            check_host(self.clientproto.decode("latin-1"), tuple(hosts))
            segments = parse_target(self.uri.decode("latin-1"))
        except Malformed as error:
            self.refuse(http.BAD_REQUEST, str(error))
            return
        self.prepath = []
        self.postpath = [segment.encode() for segment in segments]
        maybeDeferred(self._find_and_render).addErrback(self.processingFailed)

    def _find_and_render(self) -> None:
        self.render(self.site.getResourceFor(self))

    def refuse(self, status: int, reason: str) -> None:
        """Answer that the request itself is at fault, and close the connection behind it."""
        self.channel.persistent = False
        self.setHeader(b"Connection", b"close")
        self._explain(status, reason)
        asked = f"{self.method.decode('latin-1')} {self.uri.decode('latin-1')}"
        self.site.report(Unreadable(address_text(self.client), f"{reason}: {asked}"))

    def processingFailed(self, reason: Failure) -> None:
        """Answer 500 for an exception in a resource; the traceback goes to the log and nowhere else."""
        self._log.failure("an HTTP resource failed", failure=reason)
        if self.finished or self._disconnected:
            return
        if self.startedWriting:
            self.channel.abort()
        else:
            self._explain(http.INTERNAL_SERVER_ERROR, "something went wrong here; the log of the server says what")

    def _explain(self, status: int, reason: str) -> None:
        body = reason.encode("ascii", "replace") + b"\n"
        self.setResponseCode(status)
        self.setHeader(b"Content-Type", b"text/plain")
        self.setHeader(b"Content-Length", b"%d" % len(body))
        self.write(body)
        self.finish()

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of the body; only a chunked one can still turn out too long here."""
        if self.content is not None and self.content.tell() + len(data) <= LONGEST_BODY:
            self.content.write(data)
        else:
            self.channel.reject(http.REQUEST_ENTITY_TOO_LARGE, "the body is too long")


class BootChannel(http.HTTPChannel):
    """One connection."""

    site: BootSite
    _receiving = False
    _rejected = False
    _cut: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Begin, and let the site know."""
        super().connectionMade()
        self.site.opened(self)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """End, and let the site know."""
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None
        super().connectionLost(reason)
        self.site.closed(self)

    def resetTimeout(self) -> None:
        """Called with every octet: only the first one of a request starts the time for it."""
        if not self._receiving:
            self._receiving = True
            super().resetTimeout()

    def timeoutConnection(self) -> None:
        """The time for a request, or for waiting for one, is over."""
        if self._receiving:
            self.site.report(Unreadable(address_text(self.getPeer()), f"no whole request in {REQUEST_TIME:.0f} s"))
        self.close()

    def close(self) -> None:
        """Close when everything answered so far has been taken, at the latest after `CUT_TIME`."""
        self.loseConnection()
        if self._cut is None:
            self._cut = self.site.reactor.callLater(CUT_TIME, self._abort)

    def _abort(self) -> None:
        self._cut = None
        self.abort()

    def abort(self) -> None:
        """Close at once."""
        cast(ITCPTransport, self.transport).abortConnection()

    @property
    def answering(self) -> bool:
        """Whether a request is being answered right now."""
        return bool(self._handlingRequest)

    def checkPersistence(self, request: http.Request, version: bytes) -> bool:
        """Whether the connection stays open behind this request (RFC 9112 §9.3); HTTP/1.0 never asks for that here."""
        lines = request.requestHeaders.getRawHeaders("Connection", [])
        options = {option.strip().lower() for line in lines for option in line.split(",")}
        stays = version == b"HTTP/1.1" and "close" not in options
        if not stays:
            request.responseHeaders.setRawHeaders("Connection", ["close"])
        return stays

    def headerReceived(self, line: bytes) -> bool:
        """One field is complete; whether it was good."""
        try:
            return bool(super().headerReceived(line))
        except ValueError:
            # twisted.web hands Content-Length to int(), which refuses more than 4300 digits.
            self.reject(http.BAD_REQUEST, "the request is malformed")
            return False

    def allHeadersReceived(self) -> None:
        """The header block is complete: refuse a body that says it is too long before any of it is read."""
        if self.length is not None and self.length > LONGEST_BODY:
            self.reject(http.REQUEST_ENTITY_TOO_LARGE, "the body is too long")
            return
        super().allHeadersReceived()

    def allContentReceived(self) -> None:
        """The request is complete."""
        self._receiving = False
        if not self._rejected:
            super().allContentReceived()

    def lineLengthExceeded(self, line: bytes) -> None:
        """The request line or a field is longer than twisted.web takes."""
        self.reject(http.REQUEST_URI_TOO_LONG, "a line of the request is too long")

    def _respondToBadRequestAndDisconnect(self) -> None:
        """What twisted.web calls when the request breaks the grammar; its own answer has no length."""
        self.reject(http.BAD_REQUEST, "the request is malformed")

    def reject(self, status: int, reason: str) -> None:
        """Answer a request that never became one, and close."""
        if self._rejected:
            return
        self._rejected = True
        body = reason.encode() + b"\n"
        lines = (
            b"HTTP/1.1 %d %s" % (status, http.RESPONSES[status]),
            b"Date: " + http.datetimeToString(),
            b"Connection: close",
            b"Content-Type: text/plain",
            b"Content-Length: %d" % len(body),
        )
        self.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self.site.report(Unreadable(address_text(self.getPeer()), reason))
        self.close()


class BootSite(server.Site):
    """All connections of one HTTP service."""

    protocol = BootChannel  # type: ignore[assignment]
    requestFactory = BootRequest
    noisy = False

    def __init__(self, root: IResource, report: Callable[[Outcome], None], clock: IReactorTime) -> None:
        """`root` answers requests, `report` gets what came to none, `clock` measures their time."""
        super().__init__(root, reactor=clock, timeout=REQUEST_TIME)
        self.report = report
        self._channels: set[BootChannel] = set()
        self._emptied: list[Deferred[None]] = []

    def startFactory(self) -> None:
        """Nothing to start: twisted.web's own access log, with its timer, is replaced by outcomes."""

    def stopFactory(self) -> None:
        """Nothing was started."""

    def log(self, request: http.Request) -> None:
        """Nothing: every exchange reports its outcome."""

    def acceptableProtocols(self) -> list[bytes]:
        """Over TLS, HTTP/1.1 alone: boot firmware knows no other, and `BootChannel` speaks no other."""
        return [b"http/1.1"]

    def opened(self, channel: BootChannel) -> None:
        """A connection came up."""
        self._channels.add(channel)

    def closed(self, channel: BootChannel) -> None:
        """A connection is gone."""
        self._channels.discard(channel)
        if not self._channels:
            emptied, self._emptied = self._emptied, []
            for waiter in emptied:
                waiter.callback(None)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._channels)

    def close(self, grace: float) -> Deferred[None]:
        """Close every connection: idle ones now, others when their answer is out or after `grace` seconds.

        Fires when the last one is gone.  New connections are the caller's to prevent.
        """
        done: Deferred[None] = Deferred()
        if not self._channels:
            done.callback(None)
            return done
        for channel in tuple(self._channels):
            channel.persistent = False
            if not channel.answering:
                channel.close()
        cut = self.reactor.callLater(grace, self._abort_all)
        self._emptied.append(done)

        def emptied(_: None) -> None:
            if cut.active():
                cut.cancel()

        return done.addCallback(emptied)

    def _abort_all(self) -> None:
        for channel in tuple(self._channels):
            channel.abort()


def address_text(address: IAddress) -> str:
    """A peer's address for a person: the IP address, or ``local`` of one without."""
    return str(getattr(address, "host", "local"))
