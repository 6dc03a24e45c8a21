"""One connection: requests come in, are answered one after the other, and the answers go out in that order.

Everything that a client could do for too long has an end: coming with a request (``request_time``), waiting before the
next one (``idle_time``), taking nothing of an answer (``stall_time``), not noticing that the connection is closed
(`CUT_TIME`).  The site looks at all its connections once a second; there are no timers of a connection's own.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pixelboot.http.connection.outlet.body import Body
from pixelboot.http.connection.outlet.copying import CopyingOutlet
from pixelboot.http.connection.outlet.direct import DirectOutlet
from pixelboot.http.connection.outlet.seam import GONE, Outlet, Over
from pixelboot.http.connection.pace import Pace
from pixelboot.http.connection.settings import LimitSettings
from pixelboot.http.connection.turns import Turns
from pixelboot.http.message.request import Rejected, Request, RequestParser
from pixelboot.http.message.response import CONTINUE, compose_head
from pixelboot.http.outcomes import Unreadable
from pixelboot.http.plan import Header
from pixelboot.outcome import Outcome

CUT_TIME = 5.0
"""Seconds that a closing connection gets to take what was already answered."""

TOGETHER = 16
"""Requests of one connection answered before the others have their turn."""

READ_AHEAD = 65536
"""Octets of further requests that are read while one is being answered."""

_DISCARDED = 1 << 20
"""Octets of what a client goes on sending that are thrown away, after an answer that says that nobody reads them."""

_log = Logger(namespace="pixelboot.http")


class Answerer(typing.Protocol):
    """Answers requests."""

    def answer(self, request: Request, channel: BootChannel) -> None:
        """Answer, now or later, by `BootChannel.respond`; what it raises before is answered with 500."""


class Site(typing.Protocol):
    """What a connection needs of what keeps all of them; `pixelboot.http.connection.site.BootSite` is one."""

    answerer: Answerer
    """Answers the requests."""

    limits: LimitSettings
    """How much, and how long."""

    turns: Turns[BootChannel]
    """Who may work now."""

    pace: Pace | None
    """The limits of bandwidth, if there are any."""

    clock: IReactorTime
    """Calls when it is time."""

    now: Callable[[], float]
    """Seconds, by the same clock."""

    wall: Callable[[], float]
    """The time of day, in seconds since 1970."""

    report: Callable[[Outcome], None]
    """Takes what came to no exchange."""

    in_thread: Callable[[Callable[[], None]], Deferred[None]]
    """Does what may take its time."""

    def opened(self, channel: BootChannel) -> str:
        """A connection came up; why its request is to be turned away, if it is."""

    def waits(self, channel: BootChannel) -> None:
        """A connection waits for a request from now on."""

    def closed(self, channel: BootChannel) -> None:
        """A connection is gone."""


@implementer(IHalfCloseableProtocol)
class BootChannel(Protocol):
    """One connection; whoever answers its requests calls `respond` once for each."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.peer = ""
        """The client's address: an IP address, or ``local``."""
        self.due = math.inf
        """When `expire` has to be called."""
        self.gone: Callable[[], None] | None = None
        """Called when the connection is lost while its request waits for an answer; set by who works on that."""
        self._parser = RequestParser(site.limits.request)
        self._outlet: Outlet
        self._request: Request | None = None  # which is being answered
        self._over: Over | None = None
        self._answered = 0
        self._working = False
        self._receiving = False
        self._stays = True
        self._ending = False
        self._all_came = False
        self._paused = False
        self._discarded = 0
        self._refused = ""

    def connectionMade(self) -> None:
        """Begin."""
        transport: Any = self.transport
        self.peer = str(getattr(transport.getPeer(), "host", None) or "local")
        is_plain = isinstance(transport, Connection) and not getattr(transport, "TLS", False)
        if is_plain:
            # The reactor asks the transport, and the transport's own way in comes behind the others' turn.
            transport.doRead = partial(self.site.turns.take, self, transport.doRead)
            self._outlet = DirectOutlet(transport, self)
        else:
            self._outlet = CopyingOutlet(transport, self)
        self.due = self.site.now() + self.site.limits.idle_time
        self._refused = self.site.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Octets came."""
        if self._ending:
            self._discarded += len(data)
            if self._discarded > _DISCARDED:
                self.abort()
            return
        self._parser.feed(data)
        if self._request is None:
            self._work()
        elif self._parser.waiting > READ_AHEAD and not self._paused:
            self._paused = True
            self.transport.pauseProducing()  # type: ignore[union-attr]

    def _work(self) -> None:
        """Answer the requests that are there."""
        self._working = True
        try:
            for _ in range(TOGETHER):
                request = self._parser.next()
                if request is None:
                    self._wait()
                    return
                self._answer(request)
                if self._request is not None or self._ending:
                    return
            self.site.clock.callLater(0, self._go_on)
        except Rejected as problem:
            self._reject(problem.status, str(problem))
        finally:
            self._working = False

    def _go_on(self) -> None:
        """After an answer, or after the others had their turn."""
        if self._request is None and not self._ending and self.transport is not None:
            if self._paused and self._parser.waiting <= READ_AHEAD:
                self._paused = False
                self.transport.resumeProducing()  # type: ignore[attr-defined]
            self._work()

    def _wait(self) -> None:
        """There is no whole request."""
        if self._all_came:
            self.close()
            return
        if self._paused:  # What is there is the beginning of a long one.
            self._paused = False
            self.transport.resumeProducing()  # type: ignore[union-attr]
        if not self._parser.begun:
            self._receiving = False
            self.site.waits(self)
        elif not self._receiving:
            self._receiving = True
            self.due = self.site.now() + self.site.limits.request_time
        if self._parser.expecting:
            self._outlet.say(CONTINUE)

    def _answer(self, request: Request) -> None:
        self._receiving = False
        self._request = request
        self._answered += 1
        self.due = math.inf
        if not request.stays or self._answered >= self.site.limits.requests:
            self._stays = False
        elif self._all_came and not self._parser.begun:
            self._stays = False  # It is the last.
        if self._refused:
            self._stays = False
            self.explain(503, self._refused, (("Retry-After", "1"),))
            return
        try:
            self.site.answerer.answer(request, self)
        except Exception:  # noqa: BLE001 - one request that cannot be answered must not disturb the others
            self.fail(Failure())

    def respond(self, status: int, fields: tuple[Header, ...], body: Body | None, over: Over) -> None:
        """Answer the request that waits; `over` is called once, perhaps before this returns.

        `fields` tell the body's length; the answer to a HEAD has no `body`.
        """
        head = compose_head(status, fields, self.site.wall(), closes=not self._stays)
        self.gone = None
        self._over = over
        self.due = self.site.now() + self.site.limits.stall_time
        self._outlet.send(head, body, self._sent)

    def explain(self, status: int, reason: str, fields: tuple[Header, ...] = ()) -> None:
        """Answer the request that waits with a line of text, and report nothing."""
        text = reason.encode("ascii", "replace") + b"\n"
        about = (("Content-Type", "text/plain"), ("Content-Length", str(len(text))), *fields)
        is_head = self._request is not None and self._request.method == "HEAD"
        self.respond(status, about, None if is_head else Body(None, (text,)), _nobody_asks)

    def refuse(self, status: int, reason: str) -> None:
        """Answer that the request that waits is itself at fault, and close the connection behind it."""
        self._stays = False
        self.explain(status, reason)

    def surrender(self) -> Any:
        """The transport, for whoever answers the request that waits by writing itself, and calls `ended` then."""
        if isinstance(self._outlet, DirectOutlet):
            self._outlet = CopyingOutlet(self.transport, self)
        return self.transport

    def ended(self, *, stays: bool) -> None:
        """The answer is over that was written by whoever `surrender` gave the transport."""
        self._stays = self._stays and stays
        self.gone = None
        self._over = _nobody_asks
        self._sent(0, "")

    @property
    def stays(self) -> bool:
        """Whether the connection stays open behind the request that waits."""
        return self._stays

    def _sent(self, taken: int, problem: str) -> None:
        """An answer is over."""
        over, self._over, self._request = self._over, None, None
        assert over is not None
        if problem and not self._ending:
            self.abort()
        over(taken, problem)
        if self._ending:
            return
        if not self._stays:
            self.close()
            return
        self.due = self.site.now() + self.site.limits.idle_time
        if not self._working:
            self._go_on()

    def fail(self, failure: Failure, *, begun: bool = False) -> None:
        """Answering failed by a fault of ours: the log gets the traceback, the client a line, or the end."""
        _log.failure("answering an HTTP request failed", failure)
        if self._request is None:
            return
        if begun or self._over is not None:
            self.abort()
            return
        self.explain(500, "something went wrong here; the log of the server says what")

    def _reject(self, status: int, reason: str) -> None:
        """Answer what is no request, and close."""
        self.site.report(Unreadable(self.peer, reason))
        self.refuse(status, reason)

    def expire(self) -> None:
        """It has been `due` long enough."""
        if self._ending:
            self.abort()
        elif self._over is not None:
            self._outlet.stop(f"it took nothing for {self.site.limits.stall_time:.0f} s")
            self.abort()
        else:
            if self._receiving:
                reason = f"no whole request in {self.site.limits.request_time:.0f} s"
                self.site.report(Unreadable(self.peer, reason))
            self.close()

    def close(self) -> None:
        """Close when everything answered so far has been taken, at the latest after `CUT_TIME`.

        A socket that is closed while something is unread in it takes the answer back (RST), and some clients send on
        before they listen; so only our own end is closed where that may be, and what comes is thrown away.
        """
        if self._ending:
            return
        self._ending = True
        self.due = self.site.now() + CUT_TIME
        transport: Any = self.transport
        may_come = not self._all_came and (self._parser.begun or self._receiving)
        if isinstance(self._outlet, DirectOutlet) and may_come:
            if self._paused:
                self._paused = False
                transport.resumeProducing()
            transport.loseWriteConnection()
        else:
            transport.loseConnection()

    def end(self) -> None:
        """Close when the answer that is on its way is out; when there is none, now."""
        self._stays = False
        if self._request is None:
            self.close()

    def abort(self) -> None:
        """Close at once."""
        self._ending = True
        transport: Any = self.transport
        transport.abortConnection()

    @property
    def is_idle(self) -> bool:
        """Whether nothing has come since the last answer."""
        return self._request is None and not self._receiving and not self._ending

    def readConnectionLost(self) -> None:
        """The client sends no more: what it asked for is answered still."""
        self._all_came = True
        if self._ending:
            transport: Any = self.transport
            transport.loseConnection()
        elif self._request is None:
            self._go_on()
        elif not self._parser.begun:
            self._stays = False

    def writeConnectionLost(self) -> None:
        """Our own end is closed; so it was meant."""

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """The end."""
        self._ending = True
        self.due = math.inf
        if self._over is not None:
            self._outlet.stop(GONE)
        gone, self.gone, self._request = self.gone, None, None
        self.site.closed(self)
        vars(self.transport).pop("doRead", None)  # it leads back to us
        if gone is not None:
            gone()

    def moved(self) -> None:
        """See `Sending.moved`."""
        self.due = self.site.now() + self.site.limits.stall_time

    def in_turn(self, work: Callable[[], object]) -> object:
        """See `Sending.in_turn`."""
        return self.site.turns.take(self, work)

    def grant(self, wanted: int) -> int:
        """See `Sending.grant`."""
        pace = self.site.pace
        return wanted if pace is None else pace.grant(self.peer, wanted, self.site.now())

    def refund(self, octets: int) -> None:
        """See `Sending.refund`."""
        if octets and self.site.pace is not None:
            self.site.pace.refund(self.peer, octets)

    def again(self, resume: Callable[[], None]) -> IDelayedCall:
        """See `Sending.again`."""
        pace, now = self.site.pace, self.site.now()
        assert pace is not None
        self.due = math.inf  # it is not the client who keeps us waiting
        return self.site.clock.callLater(max(0.0, pace.wait(self.peer, now) - now), self._resumed, resume)

    def _resumed(self, resume: Callable[[], None]) -> None:
        self.moved()
        resume()

    def in_thread(self, work: Callable[[], None]) -> Deferred[None]:
        """See `Sending.in_thread`."""
        self.due = math.inf  # nor here
        return self.site.in_thread(work).addBoth(lambda _: self.moved())


def _nobody_asks(octets: int, problem: str) -> None:
    """For answers that have no outcome of their own."""
