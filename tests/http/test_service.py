"""Tests of `pixelboot.http.service`: listening, answering, stopping."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from twisted.internet import reactor as _reactor
from twisted.internet.address import HostnameAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    UNIXServerEndpoint,
    connectProtocol,
    serverFromString,
)
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from pixelboot.http.endpoint.certificate import Certificate
from pixelboot.http.endpoint.make import TlsEndpoint
from pixelboot.http.outcomes import Aborted
from pixelboot.http.service import GRACE, HttpService, NotListening
from pixelboot.outcome import Outcome
from tests.http.authority import Authority
from tests.http.shelf import INITRD, KERNEL, Client, HttpCase, Octets, Shelf, connected, get, site
from tests.running import FOREGROUND, PATIENCE, ServerCase
from tests.running import get as fetch

reactor = cast("Any", _reactor)


def ports() -> list[object]:
    """All that is listened at in this process."""
    return [each for each in reactor.getReaders() if IListeningPort.providedBy(each)]


INITRD_PATH = "/containers/demo/initrd"


class ListenTests(TestCase):
    """Taking the endpoint."""

    timeout = 20

    def setUp(self) -> None:
        self.before = ports()

    async def test_a_busy_port(self) -> None:
        """The error comes from `listen`, and stopping afterwards is quiet."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            endpoint = TCP4ServerEndpoint(reactor, taken.getsockname()[1], interface="127.0.0.1")
            service = HttpService([endpoint], site(Shelf(), [], Clock()))
            with self.assertRaisesRegex(NotListening, "Address already in use") as raised:
                await service.listen()
            self.assertEqual(raised.exception.number, 0)
            self.assertIsInstance(raised.exception.__cause__, CannotListenError)
            self.assertEqual((service.port, service.places), (None, []))
            await service.stopService()

    async def test_all_or_none(self) -> None:
        """When one cannot be had, those before are given back at once, whatever they are."""
        path = self.mktemp()
        with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
            busy, number = taken.getsockname()[1], free.getsockname()[1]
            free.close()
            words = (f"tcp:{number}:interface=127.0.0.1", f"unix:{path}", f"tcp:{busy}:interface=127.0.0.1", "tcp:0")
            endpoints = [serverFromString(reactor, each) for each in words]
            service = HttpService([*endpoints[:2], _Odd(), *endpoints[2:]], site(Shelf(), [], Clock()))
            with self.assertRaises(NotListening) as raised:
                await service.listen()
            self.assertEqual((raised.exception.number, service.places), (3, []))
        socket.create_server(("127.0.0.1", number)).close()
        self.assertFalse(os.path.exists(path))
        self.assertEqual(ports(), self.before)

    async def test_stop_without_start(self) -> None:
        """When another part cannot start, what already listens lets go of its port."""
        service = HttpService([TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")], site(Shelf(), [], Clock()))
        await service.listen()
        port = service.port
        assert port is not None
        await service.stopService()
        self.assertIsNone(service.port)
        socket.create_server(("127.0.0.1", port)).close()

    async def test_an_endpoint_without_port(self) -> None:
        service = HttpService([UNIXServerEndpoint(reactor, self.mktemp())], site(Shelf(), [], Clock()))
        await service.listen()
        service.startService()
        self.assertIsNone(service.port)
        await service.stopService()
        self.assertEqual(ports(), self.before)

    async def test_places(self) -> None:
        """Each is told as machines reach it; the first port without TLS is that which they are sent to."""
        path = os.path.abspath(self.mktemp())
        authority = Authority()
        files = authority.put(Path(self.mktemp()))
        certificate = Certificate(files, self.fail, Clock(), self.fail)
        words = (f"unix:{path}:mode=660", "tcp6:0:interface=\\:\\:1", "tcp:0:interface=127.0.0.1")
        plain = [serverFromString(reactor, each) for each in words]
        tls = TlsEndpoint(TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"), certificate, reactor)
        service = HttpService([tls, *plain, _Odd()], site(Shelf(), [], Clock()))
        await service.listen()
        numbers = [getattr(place.address, "port", None) for place in service.places]
        self.assertEqual(
            list(map(str, service.places)),
            [
                f"https://127.0.0.1:{numbers[0]}/",
                f"unix:{path}",
                f"http://[::1]:{numbers[2]}/",
                f"http://127.0.0.1:{numbers[3]}/",
                "HostnameAddress(hostname=b'odd', port=5)",
            ],
        )
        self.assertEqual([place.certificate for place in service.places], [certificate, None, None, None, None])
        self.assertEqual((service.host, service.port), ("::1", numbers[2]))
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o660)
        service.startService()
        await service.stopService()
        self.assertEqual((service.places, service.host, service.port), ([], None, None))
        self.assertEqual(ports(), self.before)


class AnswerTests(HttpCase):
    """Between listening and the end."""

    async def test_nobody_is_answered_before_the_start(self) -> None:
        """A connection made before waits, and is answered then."""
        outcomes: list[Outcome] = []
        http = site(Shelf(), outcomes, reactor)
        service = HttpService([TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")], http)
        await service.listen()
        self.addCleanup(service.stopService)
        port = service.port
        assert port is not None
        client = await self.connect(port)
        client.write(get("/healthz"))
        turn: Deferred[None] = Deferred()
        reactor.callLater(0, reactor.callLater, 0, turn.callback, None)
        await turn
        self.assertEqual((service.connections, outcomes), (0, []))
        service.startService()
        self.assertEqual((await client.response()).body, b"ok\n")

    async def test_stop(self) -> None:
        """Idle connections are closed at once; new ones are refused."""
        port = await self.serve()
        client = await self.connect(port)
        self.assertEqual((await client.ask(get("/containers/demo/kernel"))).body, KERNEL)
        await self.service.stopService()
        self.assertEqual(await client.end(), b"")
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)

    async def test_stop_lets_an_answer_end(self) -> None:
        """A part that is on its way arrives whole when the client takes it in time."""
        large = Octets(INITRD * 20)
        client = await self.connect(await self.serve(Shelf(initrd=large)))
        client.write(get(INITRD_PATH))
        await client.until(lambda: len(client.received) > 0)
        stopped = self.service.stopService()
        response = await client.response()
        self.assertTrue(response.body == large.octets)
        await stopped
        self.assertEqual(await client.end(), b"")

    async def test_several_endpoints(self) -> None:
        """IPv4, IPv6 and a socket of the file system: the same is answered at each, and all are closed at the end."""
        path = self.mktemp()
        words = ("tcp:0:interface=127.0.0.1", "tcp6:0:interface=\\:\\:1", f"unix:{path}")
        service = HttpService([serverFromString(reactor, each) for each in words], site(Shelf(), [], reactor))
        await service.listen()
        ipv4, ipv6, _ = (getattr(place.address, "port", 0) for place in service.places)
        clients: list[Client] = []
        for endpoint in (
            TCP4ClientEndpoint(reactor, "127.0.0.1", ipv4),
            TCP6ClientEndpoint(reactor, "::1", ipv6),
            UNIXClientEndpoint(reactor, path),
        ):
            clients.append(await connectProtocol(endpoint, Client()))
            clients[-1].write(get("/healthz"))
        service.startService()
        for client in clients:
            self.assertEqual((await client.response()).body, b"ok\n")
        self.assertEqual(service.connections, 3)
        await service.stopService()
        for client in clients:
            self.assertEqual(await client.end(), b"")
        self.assertFalse(os.path.exists(path))


class SystemdTests(ServerCase):
    """Sockets that are handed over by systemd (sd_listen_fds(3)): here by a program that does as it does."""

    def test_handed_over(self) -> None:
        """By number and by name; the status tells where they are, and systemd's sockets stay when the server ends."""
        at = self.folder / "http.sock"
        words = ("systemd:domain=INET:index=0", "systemd:domain=UNIX:name=local")
        program = [sys.executable, "-c", SYSTEMD, str(at), *FOREGROUND, "pixelboot-http"]
        process = self.start("--state", self.state, "--listen", ",".join(words), program=program)
        tcp, unix = (each["listening"] for each in self.status()["services"])
        process.wait_for(f"answering on {tcp}", PATIENCE)
        self.assertEqual(unix, f"unix:{at}")
        self.assertEqual(fetch(urlsplit(tcp).port or 0, "/healthz"), (200, b"ok\n"))
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(at))
            client.sendall(get("/healthz", "Connection: close"))
            self.assertTrue(client.makefile("rb").read().endswith(b"\r\n\r\nok\n"))
        process.send_signal(signal.SIGTERM)
        self.ended_well(process, -signal.SIGTERM)
        self.assertTrue(at.exists())

    def test_not_handed_over(self) -> None:
        """It is told with the endpoint that asks for it."""
        words = "systemd:domain=INET:index=0"
        begun = self.begin("--state", self.state, "--listen", words, program=[*FOREGROUND, "pixelboot-http"])
        self.assertEqual(self.refused(begun), f'http.listen = "{words}": systemd has handed over no such socket')


SYSTEMD = """
import os, socket, sys

tcp, unix = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
unix.bind(sys.argv[1])
unix.listen()
held = [os.dup(each.fileno()) for each in (tcp, unix)]  # which are above 4
for number, each in enumerate(held, 3):
    os.dup2(each, number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="http:local")
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Binds a TCP port and, at the path that is its first word, a Unix socket, and becomes the program that follows."""


@implementer(IStreamServerEndpoint)
class _Odd:
    """An endpoint of somebody's own, which listens at no port and no path."""

    def listen(self, protocolFactory: object) -> Deferred[IListeningPort]:
        """As `IStreamServerEndpoint.listen`."""
        return succeed(_OddPort())


@implementer(IListeningPort)
class _OddPort:
    def startListening(self) -> None:
        """Nothing to do."""

    def stopListening(self) -> None:
        """Nothing to do."""

    def getHost(self) -> HostnameAddress:
        """Somewhere else."""
        return HostnameAddress(b"odd", 5)


class GraceTests(SynchronousTestCase):
    """Stopping under a clock moved by hand."""

    def test_answers_are_cut_in_the_end(self) -> None:
        """One answer waits to be decoded, one to be taken: both end after the grace, with an outcome."""
        clock = Clock()
        outcomes: list[Outcome] = []
        shelf = Shelf()
        http = site(shelf, outcomes, clock)
        (taking, full), (idle, quiet) = connected(http), connected(http)
        taking.dataReceived(get(INITRD_PATH))
        shelf.decoding = Deferred()
        waiting, silent = connected(http)
        waiting.dataReceived(get(INITRD_PATH))

        done = http.close(GRACE)
        self.assertEqual([t.disconnecting for t in (full, quiet, silent)], [False, True, False])
        idle.connectionLost(_gone())
        clock.advance(GRACE - 0.1)
        self.assertEqual([t.aborted for t in (full, silent)], [False, False])
        clock.advance(0.1)
        self.assertEqual([t.aborted for t in (full, silent)], [True, True])
        self.assertNoResult(done)
        taking.connectionLost(_gone())
        waiting.connectionLost(_gone())
        self.successResultOf(done)
        self.assertEqual([type(outcome) for outcome in outcomes], [Aborted, Aborted])
        self.assertEqual((shelf.initrd.closed, clock.getDelayedCalls()), (1, []))


def _gone() -> Failure:
    return Failure(ConnectionDone())
