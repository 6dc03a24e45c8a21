"""Tests of `pixelboot.http.endpoint.certificate`: replaced while it is used, or not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from OpenSSL import SSL
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.ssl import Certificate as TrustRoot
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThreadPool
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.endpoint.certificate import DAY, LOOK, Certificate
from pixelboot.http.endpoint.make import TlsEndpoint
from pixelboot.http.endpoint.outcomes import HandshakeFailed
from pixelboot.http.endpoint.pair import day
from pixelboot.http.service import HttpService
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome
from tests.http.authority import Authority, ec_key, pem
from tests.http.shelf import INITRD, Client, HttpCase, Shelf, get, site

reactor = cast("Any", _reactor)


class WatchTests(SynchronousTestCase):
    """What is found at each look, under a clock moved by hand."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.authority = Authority()
        self.outcomes: list[Outcome] = []
        self.clock = Clock()
        self.started_at = time.time()
        self.threads: list[Deferred[None]] = []
        """Set to make the threads wait."""
        self.waits = False

    def thread(self, work: Callable[[], Any]) -> Deferred[Any]:
        """What `deferToThread` would do, at once or when the test says."""
        if not self.waits:
            return maybeDeferred(work)
        self.threads.append(waiting := Deferred[None]())
        return waiting.addCallback(lambda _: work())

    def begin(self, days: tuple[float, float] = (-1, 90)) -> Certificate:
        """A certificate in use, valid from so many days to so many from now."""
        self.files = self.authority.put(self.folder, days=days)
        self.certificate = Certificate(
            self.files,
            self.outcomes.append,
            self.clock,
            self.thread,
            lambda: self.started_at + self.clock.seconds(),
        )
        self.certificate.startService()
        self.addCleanup(self.certificate.stopService)
        return self.certificate

    def told(self) -> list[str]:
        """The lines since the last time, without the path."""
        lines = [outcome.summary().replace(str(self.folder), "…") for outcome in self.outcomes]
        self.outcomes.clear()
        return lines

    def until(self, days: float) -> str:
        """The day that is so many days from now."""
        return day(self.started_at + days * DAY)

    def test_replaced(self) -> None:
        """It is taken at the next look, and told with its names and its end; the files are not read in between."""
        certificate = self.begin()
        first = certificate.pair
        self.clock.advance(LOOK)
        self.assertEqual((certificate.pair, self.told()), (first, []))
        self.authority.put(self.folder, days=(-1, 60))
        self.clock.advance(LOOK - 0.1)
        self.assertIs(certificate.pair, first)
        self.clock.advance(0.1)
        self.assertIsNot(certificate.pair, first)
        line = f"the certificate …/cert.pem was replaced: it is for localhost, 127.0.0.1, ::1, until {self.until(60)}"
        self.assertEqual(self.told(), [line])
        self.clock.advance(LOOK)
        self.assertEqual(self.told(), [])

    def test_one_file_after_the_other(self) -> None:
        """In between they do not belong together, which is no trouble yet."""
        certificate = self.begin()
        key = ec_key()
        Path(self.files.key).write_bytes(pem(key))
        self.clock.advance(LOOK)
        Path(self.files.certificate).write_bytes(pem(self.authority.issue(key)))
        self.clock.advance(LOOK)
        (line,) = self.told()
        self.assertIn("was replaced", line)
        self.assertEqual(certificate.trouble, "")

    def test_bad(self) -> None:
        """What will not do is told once a day, with the reason; the old one stays until there is a good one."""
        certificate = self.begin()
        first, old = certificate.pair, Path(self.files.key).read_bytes()
        path = Path(self.files.key)
        for spoil, why in (
            (
                lambda: path.write_bytes(pem(ec_key())),
                "the key …/key.pem does not belong to the certificate …/cert.pem",
            ),
            (lambda: path.write_bytes(b""), "…/key.pem: there is no private key in it (PEM)"),
            (lambda: os.unlink(path), "…/key.pem: No such file or directory"),
        ):
            spoil()
            self.clock.pump([LOOK] * 10)
            until = f"the old one stays in use, until {self.until(90)}"
            self.assertEqual(self.told(), [f"the new certificate …/cert.pem is not taken, {until}: {why}"])
            self.assertEqual(certificate.trouble.replace(str(self.folder), "…"), why)
            self.assertIs(certificate.pair, first)
        self.clock.pump([LOOK] * int(DAY / LOOK))
        self.assertEqual(len(self.told()), 1)
        path.write_bytes(old)
        self.clock.advance(LOOK)
        self.assertEqual((self.told(), certificate.trouble, certificate.pair), ([], "", first))
        self.authority.put(self.folder)
        self.clock.advance(LOOK)
        self.assertEqual(len(self.told()), 1)
        self.assertIsNot(certificate.pair, first)

    def test_expired_in_the_place_of_a_good_one(self) -> None:
        """It is not taken; one that is not valid yet is, as soon as it is."""
        certificate = self.begin()
        first = certificate.pair
        self.authority.put(self.folder, days=(-10, -2))
        self.clock.pump([LOOK] * 3)
        (line,) = self.told()
        self.assertIn(f"…/cert.pem: it expired on {self.until(-2)}", line)
        self.authority.put(self.folder, days=(1, 90))
        self.clock.pump([LOOK] * 3)
        (line,) = self.told()
        self.assertIn("…/cert.pem: it is not valid before ", line)
        self.assertIs(certificate.pair, first)
        self.clock.advance(DAY)
        self.assertIsNot(certificate.pair, first)

    def test_the_end(self) -> None:
        """It is told of at the start and once a day from 14 days before, and when it is over."""
        self.begin(days=(-1, 2.5))
        expires = "the certificate …/cert.pem expires in {}, on {}: put a new one in its place"
        self.assertEqual(self.told(), [expires.format("2 days", self.until(2.5))])
        self.clock.pump([3600] * 23)
        self.assertEqual(self.told(), [])
        self.clock.advance(3600)
        self.assertEqual(self.told(), [expires.format("a day", self.until(2.5))])
        self.clock.pump([3600] * 24)
        self.assertEqual(self.told(), [expires.format("less than a day", self.until(2.5))])
        over = f"machines refuse the certificate …/cert.pem: it expired on {self.until(2.5)}"
        for _ in range(2):
            self.clock.pump([3600] * 24)
            self.assertEqual(self.told(), [over])
        # Even one that has expired as well may be the newer one.
        self.authority.put(self.folder, days=(-5, -1))
        self.clock.advance(LOOK)
        replaced, over = self.told()
        self.assertIn("was replaced", replaced)
        self.assertEqual(over, f"machines refuse the certificate …/cert.pem: it expired on {self.until(-1)}")

    def test_long_before_the_end(self) -> None:
        self.begin(days=(-1, 15.5))
        self.assertEqual(self.told(), [])
        self.clock.pump([3600] * 24)
        self.assertEqual(self.told(), [])
        self.clock.pump([3600] * 24)
        self.assertEqual(len(self.told()), 1)

    def test_not_even_at_the_start(self) -> None:
        """A pair that will not do is refused at once."""
        files = self.authority.put(self.folder)
        os.unlink(files.key)
        with self.assertRaises(Malformed):
            Certificate(files, self.outcomes.append, self.clock, self.thread)

    def test_stop(self) -> None:
        """It waits for who is looking; nothing is left, and it may be started again."""
        certificate = self.begin()
        self.waits = True
        self.clock.advance(LOOK)
        stopped = certificate.stopService()
        assert stopped is not None
        self.assertNoResult(stopped)
        self.threads.pop().callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(certificate.stopService())
        certificate.startService()

    def test_what_nobody_thought_of(self) -> None:
        """It is logged, and the next look is not given up."""
        certificate = self.begin()
        self.waits = True
        self.clock.advance(LOOK)
        self.threads.pop().errback(MemoryError())
        self.assertEqual(len(self.flushLoggedErrors(MemoryError)), 1)
        self.waits = False
        self.authority.put(self.folder)
        self.clock.advance(LOOK)
        self.assertEqual(len(self.told()), 1)
        self.assertEqual(certificate.trouble, "")


class WireTests(HttpCase):
    """Real TLS on loopback."""

    async def begin(self, shelf: Shelf | None = None) -> int:
        """A service with TLS; its port."""
        self.folder = Path(self.mktemp())
        self.authority = Authority()
        self.outcomes = []
        self.certificate = Certificate(
            self.authority.put(self.folder),
            self.outcomes.append,
            reactor,
            lambda work: deferToThreadPool(reactor, reactor.getThreadPool(), work),
        )
        inner = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        endpoint = TlsEndpoint(inner, self.certificate, reactor)
        self.service = HttpService([endpoint], site(shelf or Shelf(), self.outcomes, reactor))
        await self.service.listen()
        self.service.startService()
        self.addCleanup(self._stop)
        (place,) = self.service.places
        self.assertIs(place.certificate, self.certificate)
        return cast("Any", place.address).port  # type: ignore[no-any-return]

    async def secure(self, port: int, authority: Authority | None = None, host: str = "127.0.0.1") -> Client:
        """A connection on which the server was found to be the one that the authority vouches for."""
        trusted = TrustRoot.loadPEM((authority or self.authority).pem)
        inner = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        options = optionsForClientTLS(host, trustRoot=trusted)
        client: Client = await connectProtocol(wrapClientTLS(options, inner), Client())

        async def close() -> None:
            assert client.transport is not None
            client.transport.loseConnection()
            await client.end()

        self.addCleanup(close)
        return client

    def issued_to(self, client: Client) -> int:
        """The serial number of the certificate that the client was shown."""
        shown = cast("Any", client.transport).getPeerCertificate()
        return cast("int", shown.get_serial_number())

    async def test_answers(self) -> None:
        """Everything that plain HTTP has; a body of some size arrives whole."""
        client = await self.secure(await self.begin())
        self.assertEqual((await client.ask(get("/healthz"))).body, b"ok\n")
        response = await client.ask(get("/containers/demo/initrd"))
        self.assertTrue(response.body == INITRD)
        response = await client.ask(get("/containers/demo/initrd", "Range: bytes=5-9"))
        self.assertEqual((response.status, response.body), (206, INITRD[5:10]))
        self.assertEqual(self.service.connections, 1)
        self.assertEqual((self.service.port, self.service.host), (None, None))

    async def test_replaced(self) -> None:
        """New connections have the new certificate; the old one goes on with what it has, and with its requests."""
        port = await self.begin()
        old = await self.secure(port)
        self.assertEqual((await old.ask(get("/healthz"))).status, 200)
        self.authority.put(self.folder)
        await self.certificate.look()
        new = await self.secure(port)
        self.assertEqual((await new.ask(get("/healthz"))).status, 200)
        self.assertEqual((await old.ask(get("/healthz"))).status, 200)
        self.assertNotEqual(self.issued_to(old), self.issued_to(new))
        os.unlink(self.certificate.files.key)
        for _ in range(2):
            await self.certificate.look()
        newer = await self.secure(port)
        self.assertEqual((await newer.ask(get("/healthz"))).status, 200)
        self.assertEqual(self.issued_to(newer), self.issued_to(new))
        lines = [each for each in self.lines() if "certificate" in each]
        self.assertEqual(["was replaced" in each for each in lines], [True, False], lines)

    async def test_not_trusted(self) -> None:
        """A client that does not know the authority, or wants another host, breaks off; the log says so."""
        port = await self.begin()
        stranger = await self.secure(port, Authority("another"))
        self.assertEqual(await stranger.end(), b"")
        while not any(isinstance(each, HandshakeFailed) for each in self.outcomes):
            turn: Deferred[None] = Deferred()
            reactor.callLater(0, turn.callback, None)
            await turn
        self.assertIn(
            "127.0.0.1: no TLS connection, the client broke it off: the certificate's issuer (CA) is not trusted",
            self.lines(),
        )
        client = await self.secure(port, host="localhost")
        self.assertEqual((await client.ask(get("/healthz"))).status, 200)

    async def test_nothing_in_common(self) -> None:
        """A client with ciphers of its own alone is told of as well."""
        port = await self.begin()
        client = await self.connect(port)
        client.write(self.hello(b"AES128-SHA"))
        await client.end()
        self.assertIn("127.0.0.1: no TLS connection, this server broke it off: no cipher suite in common", self.lines())

    def hello(self, suites: bytes) -> bytes:
        """What a client of TLS 1.2 says first."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(suites)
        connection = SSL.Connection(context, None)
        connection.set_connect_state()
        with self.assertRaises(SSL.WantReadError):
            connection.do_handshake()
        return connection.bio_read(1 << 16)

    async def test_hung_up(self) -> None:
        """A client that goes without a word when it has seen the certificate is told of; who only knocks is not."""
        port = await self.begin()
        for said, answer in ((b"", 0), (b"\x16\x03", 0), (self.hello(b"ECDHE+AESGCM"), 100)):
            client = await self.connect(port)
            client.write(said)
            await self.heard(client, answer)
            cast("Any", client.transport).loseConnection()
            await client.end()
        secure = await self.secure(port)
        self.assertEqual((await secure.ask(get("/healthz"))).status, 200)
        cast("Any", secure.transport).transport.abortConnection()
        await secure.end()
        await self.service.stopService()
        lines = [line for line in self.lines() if "TLS" in line]
        said_of_it = "the client hung up in the middle of the handshake: perhaps it does not trust the certificate"
        self.assertEqual(lines, [f"127.0.0.1: no TLS connection, {said_of_it}"])

    async def heard(self, client: Client, octets: int) -> None:
        """Wait for so many octets at least."""
        await client.until(lambda: len(client.received) >= octets)

    async def test_no_tls(self) -> None:
        """Plain HTTP is not answered there, and harms nobody."""
        port = await self.begin()
        client = await self.connect(port)
        client.write(get("/healthz"))
        self.assertNotIn(b"ok", await client.end())
        client = await self.secure(port)
        self.assertEqual((await client.ask(get("/healthz"))).status, 200)
