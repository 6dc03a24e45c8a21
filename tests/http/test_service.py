"""Tests of `pixelboot.http.service`: listening, answering, stopping."""

from __future__ import annotations

import socket

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXServerEndpoint
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pixelboot.http.plan import Aborted
from pixelboot.http.service import GRACE, HttpService
from pixelboot.outcome import Outcome
from tests.http.shelf import INITRD, KERNEL, HttpCase, Octets, Shelf, connected, get, site

INITRD_PATH = "/containers/demo/initrd"


class ListenTests(TestCase):
    """Taking the endpoint."""

    timeout = 20

    async def test_a_busy_port(self) -> None:
        """The error comes from `listen`, and stopping afterwards is quiet."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            endpoint = TCP4ServerEndpoint(reactor, taken.getsockname()[1], interface="127.0.0.1")
            service = HttpService(endpoint, site(Shelf(), [], Clock()))
            with self.assertRaises(CannotListenError):
                await service.listen()
            self.assertIsNone(service.port)
            await service.stopService()

    async def test_stop_without_start(self) -> None:
        """When another part cannot start, what already listens lets go of its port."""
        service = HttpService(TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"), site(Shelf(), [], Clock()))
        await service.listen()
        port = service.port
        assert port is not None
        await service.stopService()
        self.assertIsNone(service.port)
        socket.create_server(("127.0.0.1", port)).close()

    async def test_an_endpoint_without_port(self) -> None:
        service = HttpService(UNIXServerEndpoint(reactor, self.mktemp()), site(Shelf(), [], Clock()))
        await service.listen()
        service.startService()
        self.assertIsNone(service.port)
        await service.stopService()


class AnswerTests(HttpCase):
    """Between listening and the end."""

    async def test_nobody_is_answered_before_the_start(self) -> None:
        """A connection made before waits, and is answered then."""
        outcomes: list[Outcome] = []
        http = site(Shelf(), outcomes, reactor)
        service = HttpService(TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"), http)
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
