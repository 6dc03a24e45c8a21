"""Tests of `pixelboot.view.api`: real requests over a real Unix socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import treq
from twisted.internet import reactor as _reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, UNIXServerEndpoint, connectProtocol
from twisted.internet.interfaces import IListeningPort, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import TestCase
from twisted.web.client import URI, Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IResponse
from twisted.web.server import Site
from zope.interface import implementer

from pixelboot.view.api import control_resource

reactor = cast("Any", _reactor)

HEALTHY = {"services": {"dhcp": "eno1 udp 67"}, "leases": 3, "name": "größer"}


class Connections(WrappingFactory):
    """A site that can be asked to say when its last connection is gone."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.idle: Deferred[None] | None = None

    def unregisterProtocol(self, p: ProtocolWrapper) -> None:
        super().unregisterProtocol(p)
        if self.idle is not None and not self.protocols:
            self.idle.callback(None)

    def ended(self) -> Deferred[None]:
        """Fires when nobody is connected."""
        self.idle = Deferred()
        if not self.protocols:
            self.idle.callback(None)
        return self.idle


@implementer(IAgentEndpointFactory)
class Socket:
    """Every URL leads to one Unix socket."""

    def __init__(self, path: str) -> None:
        self.path = path

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return UNIXClientEndpoint(reactor, self.path)


class Caller(Protocol):
    """Somebody who asks and may hang up."""

    def __init__(self) -> None:
        self.lost: Deferred[None] = Deferred()

    def hang_up(self) -> Deferred[None]:
        """Close the connection at once."""
        cast("Any", self.transport).abortConnection()
        return self.lost

    def connectionLost(self, reason: object = None) -> None:
        self.lost.callback(None)


class ControlCase(TestCase):
    """A control channel on a Unix socket."""

    timeout = 20

    async def setUp(self) -> None:  # type: ignore[override]
        self.stops = 0
        self.path = self.mktemp()
        self.agent = Agent.usingEndpointFactory(reactor, Socket(self.path))
        self.site = Connections(Site(control_resource(self.status, self.stop)))
        self.port: IListeningPort = await UNIXServerEndpoint(reactor, self.path).listen(self.site)

    async def tearDown(self) -> None:  # type: ignore[override]
        await self.close()
        await self.site.ended()

    async def close(self) -> None:
        """Take no more connections."""
        stopping = self.port.stopListening()
        if stopping is not None:
            await stopping

    async def status(self) -> Mapping[str, object]:
        """What the server tells of itself."""
        return HEALTHY

    def stop(self) -> None:
        """What ends the server."""
        self.stops += 1

    async def ask(self, method: str, path: str) -> tuple[IResponse, bytes]:
        """One request and its whole response."""
        response = await self.agent.request(method.encode(), b"http://control" + path.encode(), Headers())
        self.assertEqual(response.headers.getRawHeaders("content-type"), ["application/json"], f"{method} {path}")
        return response, await treq.content(response)


class StatusTests(ControlCase):
    """``GET /api/v1/status``."""

    async def test_get(self) -> None:
        """The status is JSON, of the length announced."""
        response, body = await self.ask("GET", "/api/v1/status")
        self.assertEqual(response.code, 200)
        self.assertEqual(json.loads(body), HEALTHY)
        self.assertEqual(response.length, len(body))

    async def test_head(self) -> None:
        """HEAD tells the same without the body."""
        _, expected = await self.ask("GET", "/api/v1/status")
        response, body = await self.ask("HEAD", "/api/v1/status")
        self.assertEqual((response.code, body), (200, b""))
        self.assertEqual(response.headers.getRawHeaders("content-length"), [str(len(expected))])

    async def test_elsewhere(self) -> None:
        """There is nothing beside the two resources, nor below them, where the server has no containers."""
        for path in (
            "/",
            "/api",
            "/api/v1",
            "/api/v1/",
            "/api/v1/containers",
            "/api/v1/containers/demo",
            "/api/v1/default",
            "/api/v1/status/",
            "/api/v1/status/x",
            "/api/v2/status",
            "/../x",
        ):
            response, body = await self.ask("GET", path)
            self.assertEqual((response.code, list(json.loads(body))), (404, ["error"]), path)

    async def test_other_methods(self) -> None:
        """The status can only be read."""
        for method in ("POST", "PUT", "DELETE"):
            response, _ = await self.ask(method, "/api/v1/status")
            self.assertEqual(response.code, 405, method)
            (allowed,) = response.headers.getRawHeaders("allow") or [""]
            self.assertEqual(allowed, "GET, HEAD", method)


class SlowStatusTests(ControlCase):
    """A status that has to be asked for itself."""

    async def setUp(self) -> None:  # type: ignore[override]
        self.answers: list[Deferred[Mapping[str, object]]] = []
        self.asked: Deferred[None] = Deferred()
        self.cancelled: Deferred[None] = Deferred()
        await super().setUp()

    async def status(self) -> Mapping[str, object]:
        answer: Deferred[Mapping[str, object]] = Deferred()
        self.answers.append(answer)
        self.asked.callback(None)
        try:
            return await answer
        except CancelledError:
            # Parts that end their work in another way than by passing on that they were cancelled.
            self.cancelled.callback(None)
            if self.obedient:
                raise
            return {}

    obedient = True

    async def test_waits(self) -> None:
        """The answer comes when the status is there; meanwhile others are served."""
        asking = Deferred.fromCoroutine(self.ask("GET", "/api/v1/status"))
        await self.asked
        response, _ = await self.ask("POST", "/api/v1/stop")
        self.assertEqual(response.code, 202)
        self.assertNoResult(asking)
        self.answers[0].callback({"late": True})
        _, body = await asking
        self.assertEqual(json.loads(body), {"late": True})

    async def hang_up(self) -> None:
        """Ask, and hang up before the answer; the next one is served."""
        caller = await connectProtocol(UNIXClientEndpoint(reactor, self.path), Caller())
        assert caller.transport is not None
        caller.transport.write(b"GET /api/v1/status HTTP/1.1\r\nHost: control\r\n\r\n")
        await self.asked
        self.asked = Deferred()
        await caller.hang_up()
        await self.cancelled
        asking = Deferred.fromCoroutine(self.ask("GET", "/api/v1/status"))
        await self.asked
        self.answers[-1].callback(HEALTHY)
        response, _ = await asking
        self.assertEqual(response.code, 200)

    async def test_hang_up(self) -> None:
        """Whoever hangs up first ends the work for his answer, without a word in the log."""
        await self.hang_up()

    async def test_hang_up_ignored(self) -> None:
        """That holds when the work does not let itself be cancelled, too."""
        self.obedient = False
        await self.hang_up()


class BrokenStatusTests(ControlCase):
    """A status that cannot be told."""

    broken: Exception | Mapping[str, object]

    async def status(self) -> Mapping[str, object]:
        if isinstance(self.broken, Exception):
            raise self.broken
        return self.broken

    async def test_error(self) -> None:
        """Who asked learns that it failed and no more; the log has the rest; the next question is answered."""
        for broken, kind in [(ZeroDivisionError("secret"), ZeroDivisionError), ({"set": {1}}, TypeError)]:
            self.broken = cast("Any", broken)
            response, body = await self.ask("GET", "/api/v1/status")
            self.assertEqual(response.code, 500)
            self.assertEqual(json.loads(body), {"error": "see the server's log"})
            self.assertEqual(len(self.flushLoggedErrors(kind)), 1)
        self.broken = HEALTHY
        response, _ = await self.ask("GET", "/api/v1/status")
        self.assertEqual(response.code, 200)


class StopTests(ControlCase):
    """``POST /api/v1/stop``."""

    closing: Deferred[None] | None = None

    def stop(self) -> None:
        super().stop()
        self.closing = Deferred.fromCoroutine(self.close())

    async def test_post(self) -> None:
        """The server is told to stop, once, and the one who asked still hears so."""
        response, body = await self.ask("POST", "/api/v1/stop")
        self.assertEqual((response.code, json.loads(body)), (202, {"stopping": True}))
        self.assertEqual(self.stops, 1)
        assert self.closing is not None
        await self.closing

    async def test_nothing_else_stops(self) -> None:
        """Neither another method nor another path stops a server."""
        for method, path, code in [
            ("GET", "/api/v1/stop", 405),
            ("HEAD", "/api/v1/stop", 405),
            ("PUT", "/api/v1/stop", 405),
            ("POST", "/api/v1/stop/", 404),
            ("POST", "/api/v1/stop/now", 404),
            ("POST", "/api/v1", 404),
            ("POST", "/stop", 404),
        ]:
            response, _ = await self.ask(method, path)
            self.assertEqual(response.code, code, f"{method} {path}")
        self.assertEqual(self.stops, 0)
