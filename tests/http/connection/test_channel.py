"""Tests of `pixelboot.http.connection.channel`: RFC 9112 by raw octets."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from pixelboot.http.connection.channel import CUT_TIME, READ_AHEAD, TOGETHER
from pixelboot.http.connection.resources import Resources
from pixelboot.http.connection.settings import LimitSettings
from pixelboot.http.outcomes import Unreadable
from pixelboot.outcome import Outcome
from tests.http.shelf import KERNEL, Client, HttpCase, Shelf, connected, get, site

LONGEST_BODY = LimitSettings().body
REQUEST_TIME = LimitSettings().request_time
KERNEL_PATH = "/containers/demo/kernel"


class ConnectionTests(HttpCase):
    """Connections that go on, and connections that end."""

    async def test_h21_persistent(self) -> None:
        """100 requests of all kinds use one connection, refused ones too."""
        client = await self.connect(await self.serve())
        for _ in range(25):
            self.assertEqual((await client.ask(get(KERNEL_PATH))).body, KERNEL)
            self.assertEqual((await client.ask(get(KERNEL_PATH, method="HEAD"))).body, b"")
            self.assertEqual((await client.ask(get("/nothing"))).status, 404)
            self.assertEqual((await client.ask(get(KERNEL_PATH, "Range: bytes=3-4"))).body, b"\x03\x04")
        self.assertFalse(client.lost)
        self.assertEqual(len(self.outcomes), 100)

    async def test_h19_head_then_get(self) -> None:
        """What UEFI HTTP boot does: the same fields, and the connection stays."""
        client = await self.connect(await self.serve())
        head = await client.ask(get(KERNEL_PATH, method="HEAD"))
        whole = await client.ask(get(KERNEL_PATH))
        for response in (head, whole):
            response.headers.pop("Date")  # a second may have passed between the two
        self.assertEqual((head.status, head.headers, head.body), (200, whole.headers, b""))
        self.assertEqual(head.headers["Content-Length"], str(len(KERNEL)))

    async def test_h21_close(self) -> None:
        """``close`` is honoured wherever it stands in the list, and HTTP/1.0 always closes."""
        port = await self.serve()
        for request in (
            get(KERNEL_PATH, "Connection: close"),
            get(KERNEL_PATH, "Connection: TE, Close"),
            get(KERNEL_PATH, "Connection: TE", "Connection: close"),
            b"GET /containers/demo/kernel HTTP/1.0\r\n\r\n",
            b"GET /containers/demo/kernel HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        ):
            client = await self.connect(port)
            response = await client.ask(request)
            self.assertEqual((response.body, response.headers["Connection"]), (KERNEL, "close"), request)
            self.assertEqual(await client.end(), b"", request)

    async def test_h25_pipelined(self) -> None:
        """Requests sent together are answered in order, many of them without exhausting the stack."""
        client = await self.connect(await self.serve())
        client.write(b"".join(get(KERNEL_PATH, f"Range: bytes={n % 256}-{n % 256}") for n in range(500)))
        for n in range(500):
            self.assertEqual((await client.response()).body, bytes([n % 256]), n)

    async def test_h25_the_last_words(self) -> None:
        """Who asks for many things and closes its own end gets all of them, and then the end."""
        client = await self.connect(await self.serve())
        client.write(get(KERNEL_PATH) * 50 + get(KERNEL_PATH)[:-1])
        client.transport.loseWriteConnection()  # type: ignore[union-attr]
        self.assertEqual((await client.end()).count(b"HTTP/1.1 200 OK\r\n"), 50)

    async def test_h28_h30_fields(self) -> None:
        """H32, H34: What old loaders look for is spelled as they look for it; nothing names the software."""
        client = await self.connect(await self.serve())
        response = await client.ask(get(KERNEL_PATH, "Accept-Encoding: gzip, br"))
        self.assertEqual(response.version, "HTTP/1.1")
        wanted = {"Date", "ETag", "Last-Modified", "Accept-Ranges", "Content-Type", "Content-Length", "Cache-Control"}
        self.assertEqual(set(response.headers), wanted)

    async def test_h23_absolute_form(self) -> None:
        client = await self.connect(await self.serve())
        self.assertEqual((await client.ask(get("http://elsewhere:1/healthz"))).body, b"ok\n")
        self.assertEqual((await client.ask(get("http://elsewhere"))).status, 200)


class BadRequestTests(HttpCase):
    """What is answered with an error and the end of the connection."""

    async def test_refused(self) -> None:
        """H22, H24."""
        port = await self.serve()
        body, chunked = f"Content-Length: {LONGEST_BODY + 1}", "Transfer-Encoding: chunked"
        cases = (
            ("H22 no Host", 400, b"GET / HTTP/1.1\r\n\r\n"),
            ("H22 two Hosts", 400, get("/", "Host: x")),
            ("H22 no name", 400, get("/", host="Host: a b")),
            ("H24 both lengths", 400, get("/", "Content-Length: 5", chunked, method="POST") + b"0\r\n\r\n"),
            ("H24 two lengths", 400, get("/", "Content-Length: 5", "Content-Length: 6", method="POST") + b"01234"),
            ("H24 bad length", 400, get("/", "Content-Length: -5", method="POST")),
            ("H24 length of 5000 digits", 400, get("/", f"Content-Length: {'9' * 5000}", method="POST")),
            ("H24 bad chunk", 400, get("/", chunked, method="POST") + b"zz\r\n\r\n"),
            ("H24 unknown coding", 400, get("/", "Transfer-Encoding: gzip", method="POST")),
            ("H33 up", 400, get("/../etc/passwd")),
            ("H33 up, escaped", 400, get("/files/%2e%2e/%2e%2e/etc/passwd")),
            ("H33 slash, escaped", 400, get("/files/..%2f..%2fetc%2fpasswd")),
            ("H33 backslash", 400, get("/files/..\\..\\etc\\passwd")),
            ("H33 NUL", 400, get("/files/demo.rts.png%00.txt")),
            ("H33 overlong", 400, get("/%c0%ae%c0%ae/etc/passwd")),
            ("authority form", 400, get("x:80", method="CONNECT")),
            ("no version", 400, b"GET /\r\n\r\n"),
            ("another version", 505, b"GET / HTTP/2.0\r\n\r\n"),
            ("no request", 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
            ("a space before the colon", 400, get("/", "X : y")),
            ("no colon", 400, get("/", "X")),
            ("NUL in a value", 400, get("/", "X: a\x00b")),
            ("too many fields", 431, get("/", *["X: y"] * 600)),
            ("too much head", 431, get("/", *["X: " + "y" * 1000] * 17)),
            ("a long line", 414, b"GET /" + b"x" * 20000),
            ("a long body", 413, get("/", body, "Expect: 100-continue", method="POST")),
            ("a long chunked body", 413, get("/", chunked, method="POST") + b"10001\r\n" + b"x" * 65537),
        )
        for name, status, octets in cases:
            client = await self.connect(port)
            del self.outcomes[:]
            response = await client.ask(octets)
            self.assertEqual(response.status, status, name)
            self.assertEqual(
                (response.headers["Connection"], response.headers["Content-Type"]), ("close", "text/plain"), name
            )
            self.assertEqual(await client.end(), b"", name)
            self.assertEqual([type(outcome) for outcome in self.outcomes], [Unreadable], name)

    async def test_small_bodies_are_thrown_away(self) -> None:
        """A body that comes with a request is read past, and never taken for the next request."""
        client = await self.connect(await self.serve())
        inner = get("/containers")
        response = await client.ask(get("/healthz", f"Content-Length: {len(inner)}") + inner)
        self.assertEqual(response.body, b"ok\n")
        chunked = get("/healthz", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n"
        self.assertEqual((await client.ask(chunked)).body, b"ok\n")
        self.assertEqual((await client.ask(get("/healthz", "Content-Length: 3", method="POST") + b"a=b")).status, 405)
        self.assertEqual((await client.ask(get("/healthz"))).body, b"ok\n")
        self.assertEqual(len(self.outcomes), 4)

    async def test_a_resource_that_raises(self) -> None:
        """The client gets five words, the log the traceback."""

        class Broken(Resource):
            isLeaf = True

            def render(self, request: object) -> bytes:
                raise RuntimeError("the secret")

        tree = Resource()
        tree.putChild(b"broken", Broken())
        port = await self.serve(others=Resources(tree))
        client = await self.connect(port)
        response = await client.ask(get("/broken"))
        self.assertEqual((response.status, response.headers["Content-Type"]), (500, "text/plain"))
        self.assertNotIn(b"secret", response.body)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual((await client.ask(get("/healthz"))).status, 200)


class TimeTests(SynchronousTestCase):
    """Time limits, by a clock moved by hand."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.outcomes: list[Outcome] = []
        self.site = site(Shelf(), self.outcomes, self.clock)
        self.channel, self.transport = connected(self.site)

    def tearDown(self) -> None:
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.clock.getDelayedCalls(), self.site.connections), ([], 0))

    def test_h35_a_slow_request(self) -> None:
        """One octet a second does not keep a connection open."""
        request = get("/healthz", "X: " + "y" * 200)
        for octet in request[: int(REQUEST_TIME)]:
            self.assertFalse(self.transport.disconnecting)
            self.channel.dataReceived(bytes([octet]))
            self.clock.advance(1)
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual([type(outcome) for outcome in self.outcomes], [Unreadable])
        self.clock.advance(CUT_TIME)
        self.assertTrue(self.transport.aborted)

    def test_an_idle_connection(self) -> None:
        """It may wait for each next request anew; then it is closed without a word."""
        for _ in range(3):
            self.clock.advance(REQUEST_TIME - 1)
            self.channel.dataReceived(get("/healthz"))
            self.transport.drain()
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(REQUEST_TIME - 1)
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(1)
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.transport.value().count(b"HTTP/1.1 200 OK"), 3)
        self.assertNotIn(Unreadable, [type(outcome) for outcome in self.outcomes])

    def test_a_request_gets_its_time_whenever_it_begins(self) -> None:
        """The wait before a request is not taken off its time."""
        self.clock.advance(REQUEST_TIME - 1)
        request = get("/healthz")
        self.channel.dataReceived(request[:10])
        self.clock.advance(REQUEST_TIME - 1)
        self.channel.dataReceived(request[10:])
        self.assertIn(b"200 OK", self.transport.value())


class HalfClosedTests(HttpCase):
    """Clients that close their end as soon as they have asked for all they want."""

    async def half_closed(self, port: int, octets: bytes) -> Client:
        """A client that has sent these octets, and the end."""
        client = await self.connect(port)
        client.write(octets)
        client.transport.loseWriteConnection()  # type: ignore[union-attr]
        return client

    async def test_h25_all_is_answered(self) -> None:
        """However many requests there are; then the connection is closed, which the last answer tells."""
        port = await self.serve()
        for count in (1, TOGETHER, TOGETHER + 1, 10 * TOGETHER):
            client = await self.half_closed(port, get(KERNEL_PATH) * count)
            answers = [await client.response() for _ in range(count)]
            self.assertEqual({answer.body for answer in answers}, {KERNEL}, count)
            self.assertEqual(await client.end(), b"", count)

    async def test_h25_while_one_waits(self) -> None:
        """Behind one that is being worked on."""
        decoding: Deferred[None] = Deferred()
        shelf = Shelf(decoding=decoding)
        client = await self.half_closed(await self.serve(shelf), get(KERNEL_PATH) * 3)
        healthy = await self.connect(self.service.port or 0)
        self.assertEqual((await healthy.ask(get("/healthz"))).status, 200)
        shelf.decoding = None
        decoding.callback(None)
        answers = [await client.response() for _ in range(3)]
        self.assertEqual([answer.body for answer in answers], [KERNEL] * 3)
        self.assertEqual([answer.headers.get("Connection") for answer in answers], [None, None, "close"])
        self.assertEqual(await client.end(), b"")

    async def test_a_part_of_a_request(self) -> None:
        """It has no answer; what is before it has one."""
        port = await self.serve()
        for whole, part in ((0, b""), (0, get("/")[:-1]), (2, get("/")[:9]), (2, get("/", "Content-Length: 5"))):
            client = await self.half_closed(port, get(KERNEL_PATH) * whole + part)
            for _ in range(whole):
                self.assertEqual((await client.response()).body, KERNEL, part)
            self.assertEqual(await client.end(), b"", part)


class ReadAheadTests(SynchronousTestCase):
    """A client that sends much while its first request is worked on."""

    def test_a_long_request_behind_another(self) -> None:
        """What is read ahead ends in the middle of a request: the rest of it is read when it is its turn."""
        decoding: Deferred[None] = Deferred()
        shelf = Shelf(decoding=decoding)
        limits = LimitSettings(body=2 * READ_AHEAD)
        channel, transport = connected(site(shelf, [], Clock(), limits=limits))
        self.addCleanup(channel.connectionLost, Failure(ConnectionDone()))
        channel.dataReceived(get(KERNEL_PATH))
        long = get("/healthz", f"Content-Length: {limits.body}") + bytes(limits.body)
        channel.dataReceived(long[: READ_AHEAD + 1000])
        self.assertEqual(transport.producerState, "paused")
        shelf.decoding = None
        decoding.callback(None)
        transport.drain()
        self.assertEqual(transport.producerState, "producing")
        channel.dataReceived(long[READ_AHEAD + 1000 :] + get("/healthz"))
        transport.drain()
        self.assertEqual(transport.value().count(b"HTTP/1.1 200 OK"), 3)
