"""Tests of `pixelboot.tftp.client.client`: real sockets on the loopback interface, and the service they talk to."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import TestCase

from pixelboot.library.tree import Absent, Asker
from pixelboot.outcome import Outcome
from pixelboot.payload import Payload
from pixelboot.tftp import wire
from pixelboot.tftp.client.client import Aborted, Broken, Closed, Refused, TimedOut, TooLarge, download, upload
from pixelboot.tftp.client.ending import Ending, Peer, Result
from pixelboot.tftp.outcomes import Served
from pixelboot.tftp.patience import Patience
from pixelboot.tftp.service import TftpService
from pixelboot.tftp.settings import TftpSettings
from tests.tftp.client.network import Begin, Transfer, reading, writing
from tests.tftp.peer import Held

T = TypeVar("T")

reactor = cast("Any", _reactor)

HERE = "127.0.0.1"
FILE = os.urandom(2_000_000)
TEXT = b"one\ntwo\r\n" * 300


def descriptors() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


class Files:
    """What the service finds."""

    def at_hand(self, name: str, asker: Asker, asked_at: float) -> Payload | None:
        return None

    async def open(self, name: str, asker: Asker) -> Payload:
        if name == "file":
            return Held(FILE)
        if name == "text":
            return Held(TEXT)
        raise Absent("there is no such file")


def saying(word: bytes) -> Begin:
    """A server that says the same to everything."""
    return lambda _: word


class Answerer(DatagramProtocol):
    """A server on one port; it does what `begin` says, or is silent."""

    def __init__(self, begin: Begin | None = None) -> None:
        self.heard: list[wire.Packet] = []
        """Everything that has come."""
        self.first: Deferred[None] = Deferred()
        """Fires when something has come."""
        self.told: Deferred[wire.Error] = Deferred()
        """Fires when an ERROR has come."""
        self.transfer: Transfer | None = None
        self._begin = begin

    def datagramReceived(self, datagram: bytes, addr: Peer) -> None:
        packet = wire.decode(datagram)
        self.heard.append(packet)
        if not self.first.called:
            self.first.callback(None)
        if isinstance(packet, wire.Error):
            self.told.callback(packet)
            return
        if self.transfer is not None:
            answers = self.transfer.received(datagram, reactor.seconds())
        elif self._begin is None:
            return
        else:
            begun = self._begin(packet)
            answers = [begun] if isinstance(begun, bytes) else begun.start(reactor.seconds())
            self.transfer = None if isinstance(begun, bytes) else begun
        for answer in answers:
            assert self.transport is not None
            self.transport.write(answer, addr)


class ClientCase(TestCase):
    """Clients on loopback, each of which gives its port back."""

    timeout = 20

    def setUp(self) -> None:
        self.outcomes: list[Outcome] = []

    def served(self, address6: str = "") -> int:
        """A service; the port that it is asked at."""
        settings = TftpSettings(port=0, address6=address6)
        service = TftpService(reactor, settings, Files(), self.outcomes.append, lambda _: None)
        service.startService()
        self.addCleanup(service.stopService)
        return service.port

    def answering(self, begin: Begin | None = None) -> tuple[Answerer, int]:
        """Another server, and its port."""
        server = Answerer(begin)
        port: IListeningPort = reactor.listenUDP(0, server, interface=HERE, maxPacketSize=65536)
        self.addCleanup(port.stopListening)
        return server, cast("Any", port.getHost()).port

    async def fails(self, kind: type[Exception], running: Awaitable[object]) -> Any:
        """What it raises; the client has then given back what it had."""
        await self.turn()  # The reactor has opened by now what it needs for itself.
        before = descriptors()
        try:
            await running
        except kind as problem:
            self.assertLessEqual(descriptors(), before)
            return problem
        self.fail(f"{kind.__name__} was not raised")

    def turn(self) -> Deferred[None]:
        """Fires when the reactor has looked at its descriptors."""
        turned: Deferred[None] = Deferred()
        reactor.callLater(0, turned.callback, None)
        return turned

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait for what the other end does."""
        for _ in range(10_000):
            if ready():
                return
            await self.turn()
        self.fail("it does not happen")

    def begun(self, running: Coroutine[Any, Any, T]) -> Deferred[T]:
        return Deferred.fromCoroutine(running)


class Downloads(ClientCase):
    """From the service."""

    async def test_large(self) -> None:
        """Two megabytes, in lock-step and in windows; what is known of them afterwards."""
        port = self.served()
        await self.turn()
        before = descriptors()
        for blksize, windowsize in ((None, None), (1468, 16), (1468, 64), (65464, 8)):
            done = await download(
                reactor, HERE, "file", port=port, blksize=blksize, windowsize=windowsize, timeout=3, dally=0
            )
            self.assertTrue(done.content == FILE, (blksize, windowsize))
            ending = done.ending
            self.assertEqual((ending.result, ending.octets, ending.size), (Result.COMPLETE, len(FILE), len(FILE)))
            self.assertLessEqual(ending.terms.blksize, blksize or 512)
            self.assertEqual(ending.terms.windowsize, windowsize or 1)
            assert ending.peer is not None
            assert ending.first is not None
            self.assertEqual(ending.peer[0], HERE)
            self.assertNotEqual(ending.peer[1], port)
            self.assertTrue(0 < ending.first < ending.seconds < 20)
        self.assertEqual(descriptors(), before)

    async def test_ipv6(self) -> None:
        """The same over IPv6, with another spelling of the address."""
        port = self.served("::1")
        done = await download(reactor, "0:0::0:1", "text", port=port, dally=0, source="::1")
        self.assertEqual((done.content, (done.ending.peer or ("",))[0]), (TEXT, "::1"))

    async def test_a_text(self) -> None:
        """Netascii on the way, and the same here as there."""
        done = await download(reactor, HERE, "text", port=self.served(), netascii=True, blksize=8, dally=0)
        self.assertEqual(done.content, TEXT)
        self.assertEqual(done.ending.octets, len(TEXT) + TEXT.count(b"\n") + TEXT.count(b"\r"))

    async def test_a_sink(self) -> None:
        """It has the octets as they come, in order; nothing is collected."""
        pieces: list[bytes] = []
        done = await download(reactor, HERE, "file", port=self.served(), blksize=1468, sink=pieces.append, dally=0)
        self.assertEqual((b"".join(pieces) == FILE, done.content), (True, b""))
        self.assertLessEqual(max(map(len, pieces)), 1468)

    async def test_a_sink_that_fails(self) -> None:
        """What it raises is raised, and the server told."""
        server, port = self.answering(reading(FILE))

        def full(octets: bytes) -> None:
            if octets:
                raise OSError(28, "No space left on device")

        problem = await self.fails(OSError, download(reactor, HERE, "file", port=port, sink=full))
        self.assertEqual(problem.errno, 28)
        self.assertEqual(await server.told, wire.Error(3, "what was received cannot be kept"))

    async def test_many(self) -> None:
        """Each has a port of its own."""
        port = self.served()
        running = [self.begun(download(reactor, HERE, "text", port=port, dally=0)) for _ in range(20)]
        self.assertEqual({(await one).content for one in running}, {TEXT})
        await self.until(lambda: [type(one) for one in self.outcomes] == [Served] * 20)


class Uploads(ClientCase):
    """To a server in this process."""

    async def test_octets_and_files(self) -> None:
        """What is there is what was here."""
        for content in (FILE, io.BytesIO(FILE)):
            server, port = self.answering(writing())
            ending: Ending = await upload(reactor, HERE, "f", content, port=port, blksize=8192, windowsize=8)
            self.assertEqual((ending.result, ending.octets), (Result.COMPLETE, len(FILE)))
            self.assertTrue(cast("Any", server.transfer).octets == FILE)
            told = [dict(one.options).get("tsize") for one in server.heard if isinstance(one, wire.WriteRequest)]
            self.assertEqual(told, [str(len(FILE)) if content is FILE else None])

    async def test_a_service_that_takes_nothing(self) -> None:
        """It says so."""
        problem = await self.fails(Refused, upload(reactor, HERE, "f", b"x", port=self.served()))
        self.assertEqual(problem.ending.code, 2)


class Failures(ClientCase):
    """Each has its exception and its text, and nothing stays open."""

    async def test_not_there(self) -> None:
        """The server's words, made safe for a terminal."""
        problem = await self.fails(Refused, download(reactor, HERE, "missing", port=self.served()))
        self.assertEqual(problem.ending.code, 1)
        self.assertRegex(str(problem), r"^missing at 127\.0\.0\.1: the server sent error 1: .")
        _, port = self.answering(saying(wire.error(0, "\x1b[31m")))
        problem = await self.fails(Refused, download(reactor, HERE, "\x07", port=port))
        self.assertEqual(str(problem), "\\x07 at 127.0.0.1: the server sent error 0: \\x1b[31m")

    async def test_nobody(self) -> None:
        """After as long as there is patience."""
        _, port = self.answering()
        patience = Patience(first=0.01, ceiling=0.02, retries=2)
        problem = await self.fails(TimedOut, download(reactor, HERE, "a", port=port, patience=patience))
        self.assertEqual(str(problem), "a at 127.0.0.1: nobody answers")
        self.assertEqual(problem.ending.retransmissions, 2)

    async def test_broken(self) -> None:
        """The text says what the server did; it is told."""
        server, port = self.answering(saying(wire.option_ack([("blksize", "1469")])))
        problem = await self.fails(Broken, download(reactor, HERE, "a", port=port, blksize=1468))
        self.assertIn("the server broke the protocol: the OACK has blksize 1469", str(problem))
        self.assertEqual((await server.told).code, 8)

    async def test_a_block_that_is_too_long(self) -> None:
        """Also one far longer than any that was asked for."""
        _, port = self.answering(saying(wire.data(1, bytes(60_000))))
        await self.fails(Broken, download(reactor, HERE, "a", port=port))

    async def test_too_large(self) -> None:
        """Before the first block, where the size is known."""
        problem = await self.fails(TooLarge, download(reactor, HERE, "file", port=self.served(), largest=1000))
        self.assertEqual(problem.ending.octets, 0)
        self.assertIn("1000 octets are taken at the most", str(problem))

    async def test_a_closed_port(self) -> None:
        """Where nobody listens, the server's system says so, and nobody waits."""
        for address, family in ((HERE, socket.AF_INET), ("::1", socket.AF_INET6)):
            with socket.socket(family, socket.SOCK_DGRAM) as closed:
                closed.bind((address, 0))
                port = closed.getsockname()[1]
            for running in (download(reactor, address, "a", port=port), upload(reactor, address, "a", b"", port=port)):
                problem = await self.fails(Closed, running)
                self.assertEqual(problem.ending.retransmissions, 0)
                self.assertEqual(str(problem), f"a at {address}: nobody listens at that port")

    async def test_no_way_there(self) -> None:
        """A broadcast address, which our sockets may not send to."""
        problem = await self.fails(Aborted, download(reactor, "255.255.255.255", "a"))
        self.assertIn("the network takes no datagrams", str(problem))

    async def test_wrong_arguments(self) -> None:
        """They are refused before anything is opened; to look up a host's name would hold up the reactor."""
        wrong: list[tuple[str, str, dict[str, Any]]] = [
            ("localhost", "a", {}),
            ("", "a", {}),
            ("127.0.0.1", "", {}),
            ("127.0.0.1", "a", {"blksize": 7}),
            ("127.0.0.1", "a", {"port": 0}),
            ("127.0.0.1", "a", {"source": "::1"}),
            ("127.0.0.1", "a", {"source": "here"}),
        ]
        for server, name, more in wrong:
            await self.fails(ValueError, download(reactor, server, name, **more))
            await self.fails(ValueError, upload(reactor, server, name, b"", **more))

    async def test_a_source_that_is_not_ours(self) -> None:
        """The system says so."""
        await self.fails(OSError, download(reactor, HERE, "a", source="192.0.2.1"))

    async def test_cancelled(self) -> None:
        """The server is told, if one has answered; the port is closed."""
        makers: list[Callable[[int], Coroutine[Any, Any, object]]] = [
            lambda port: download(reactor, HERE, "a", port=port),
            lambda port: upload(reactor, HERE, "a", FILE, port=port),
        ]
        for make in makers:
            server, port = self.answering()
            running = self.begun(make(port))
            await server.first
            running.cancel()
            await self.fails(CancelledError, running)
        # A server that says no more than the first word.
        for make, word in zip(makers, (wire.data(1, bytes(512)), wire.ack(0)), strict=True):
            server, port = self.answering(saying(word))
            running = self.begun(make(port))
            await self.until(lambda server=server: len(server.heard) > 1)  # type: ignore[misc]
            running.cancel()
            await self.fails(CancelledError, running)
            self.assertEqual(await server.told, wire.Error(0, "the client was told to stop"))
