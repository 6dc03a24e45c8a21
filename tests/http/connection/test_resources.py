"""Tests of `pixelboot.http.connection.resources`: trees of `twisted.web` on our connections."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from pixelboot.http.connection.resources import Resources
from tests.http.shelf import KERNEL, HttpCase, get


class Echo(Resource):
    """Tells what was asked."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """Everything that a resource may look at."""
        assert request.content is not None
        assert request.postpath is not None
        told = (
            request.method, request.path, request.args, request.postpath, request.content.read(),
            request.getHeader("x"), request.clientproto, request.isSecure(), request.getClientAddress().host,
        )  # fmt: skip
        request.setHeader(b"Server", b"should not be told")
        return repr(told).encode()


class Later(Resource):
    """Answers when it is told to."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.request: Request | None = None
        self.came: Deferred[Request] = Deferred()
        self.finished: list[object] = []

    def render(self, request: Request) -> int:
        """Keep it."""
        request.notifyFinish().addBoth(self.finished.append)
        self.came.callback(request)
        return NOT_DONE_YET


class ResourcesTests(HttpCase):
    """A tree beside the routes."""

    async def begin(self, **children: Resource) -> int:
        """Serve these too; the port."""
        root = Resource()
        for name, child in children.items():
            root.putChild(name.encode(), child)
        return await self.serve(others=Resources(root))

    async def test_what_is_asked(self) -> None:
        """Method, path, query, body and fields come through; the connection goes on, with routes and with resources."""
        client = await self.connect(await self.begin(echo=Echo()))
        for _ in range(2):
            response = await client.ask(get("/echo/a%20b?q=1&q=2", "X: y", "Content-Length: 3", method="POST") + b"abc")
            told = (
                "b'POST', b'/echo/a%20b', {b'q': [b'1', b'2']}, [b'a b'], b'abc', 'y', b'HTTP/1.1', False, '127.0.0.1'"
            )
            self.assertEqual((response.status, response.body.decode()), (200, f"({told})"))
            self.assertNotIn("Server", response.headers)
            self.assertEqual((await client.ask(get("/containers/demo/kernel"))).body, KERNEL)
        absolute = await client.ask(get("http://elsewhere/echo?q=1"))
        self.assertTrue(absolute.body.startswith(b"(b'GET', b'/echo', {b'q': [b'1']}, [], b''"), absolute.body)
        self.assertEqual((await client.ask(get("/echo", method="HEAD"))).body, b"")

    async def test_no_length(self) -> None:
        """In chunks for HTTP/1.1; HTTP/1.0 is told the end by the end of the connection."""
        later = Later()
        port = await self.begin(later=later)
        client = await self.connect(port)
        client.write(get("/later"))
        request = await later.came
        request.write(b"abc")
        request.write(b"defg")
        request.finish()
        await client.until(lambda: b"0\r\n\r\n" in client.received)
        self.assertIn(b"\r\nTransfer-Encoding: chunked\r\n", client.received)
        self.assertTrue(client.received.endswith(b"\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"), client.received)
        later.came = Deferred()
        client = await self.connect(port)
        client.write(b"GET /later HTTP/1.0\r\n\r\n")
        request = await later.came
        request.write(b"abc")
        request.finish()
        got = await client.end()
        self.assertTrue(got.endswith(b"\r\n\r\nabc"), got)
        self.assertIn(b"\r\nConnection: close\r\n", got)
        self.assertEqual(later.finished, [None, None])

    async def test_a_large_answer(self) -> None:
        """A producer is told when there is room, and everything arrives."""
        later = Later()
        client = await self.connect(await self.begin(later=later))
        client.write(get("/later"))
        request = await later.came
        wanted = KERNEL * 3000
        request.setHeader(b"Content-Length", b"%d" % len(wanted))
        producer = Producer(request, wanted)
        request.registerProducer(producer, True)
        producer.resumeProducing()
        self.assertTrue((await client.response()).body == wanted)
        self.assertGreater(producer.paused, 0)
        self.assertEqual((await client.ask(get("/healthz"))).body, b"ok\n")

    async def test_the_client_goes(self) -> None:
        """The resource is told."""
        later = Later()
        client = await self.connect(await self.begin(later=later))
        client.write(get("/later"))
        request = await later.came
        gone: Deferred[object] = Deferred()
        request.notifyFinish().addBoth(lambda _: gone.callback(None))
        client.abort()
        await gone
        self.assertEqual(len(later.finished), 1)

    async def test_a_fault_in_the_middle(self) -> None:
        """Only the end of the connection tells it."""

        class Broken(Resource):
            isLeaf = True

            def render(self, request: Request) -> Any:
                request.setHeader(b"Content-Length", b"10")
                request.write(b"abc")
                raise ZeroDivisionError

        client = await self.connect(await self.begin(broken=Broken()))
        client.write(get("/broken"))
        got = await client.end()
        self.assertFalse(got.endswith(b"the log of the server says what\n"), got)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class Producer:
    """Writes while there is room."""

    def __init__(self, request: Request, octets: bytes) -> None:
        self.request, self.octets = request, octets
        self.paused = 0
        self.may = False

    def resumeProducing(self) -> None:
        """There is room."""
        self.may = True
        while self.may and self.octets:
            piece, self.octets = self.octets[:10000], self.octets[10000:]
            self.request.write(piece)
        if not self.octets and self.may:
            self.may = False
            self.request.unregisterProducer()
            self.request.finish()

    def pauseProducing(self) -> None:
        """There is none."""
        self.paused += 1
        self.may = False

    def stopProducing(self) -> None:
        """Nobody takes it."""
        self.may = False
