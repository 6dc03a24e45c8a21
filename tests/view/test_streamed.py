"""Tests of `pixelboot.view.reply.Streamed`: a whole server, and a client that takes its time, in memory."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request

from pixelboot.http.connection.resources import Resources
from pixelboot.http.connection.site import BootSite
from pixelboot.view.api import Control
from pixelboot.view.reply import Answer, Streamed, Told
from tests.http.shelf import connected, get


class StreamedTests(SynchronousTestCase):
    """Pieces that are made one after the other."""

    def setUp(self) -> None:
        self.made: list[int] = []
        self.breaks = 0
        self.held: Deferred[None] | None = None
        site = BootSite(Resources(Control({b"/": Told(get=self.told)})), self.fail, Clock())
        self.channel, self.transport = connected(site)

    def turn(self) -> Deferred[None]:
        """The reactor's turn, which may be held."""
        return self.held or succeed(None)

    def pieces(self) -> Iterator[bytes]:
        """Five pieces, unless one breaks."""
        for number in range(5):
            self.made.append(number)
            if len(self.made) == self.breaks:
                raise ZeroDivisionError
            yield b"%d\n" % number

    async def told(self, request: Request) -> Answer:
        """The answer."""
        return 200, Streamed(self.pieces(), self.turn)

    def test_a_slow_client(self) -> None:
        """No piece is made before the one before it was taken; then all of it is there."""
        self.channel.dataReceived(get("/"))
        for made in range(1, 6):
            self.assertEqual(self.made, list(range(made)))
            self.transport.drain()
        body = self.transport.value().split(b"\r\n\r\n", 1)[1]
        self.assertEqual(body, b"".join(b"2\r\n%d\n\r\n" % number for number in range(5)) + b"0\r\n\r\n")
        self.channel.dataReceived(get("/", "Connection: close"))
        self.assertEqual(len(self.made), 6, "the connection goes on")

    def test_hang_up(self) -> None:
        """Nothing more is made, wherever it waits; the log says nothing."""
        for held in (None, Deferred[None]()):
            self.held = held
            self.channel.dataReceived(get("/"))
            self.channel.connectionLost(Failure(ConnectionDone()))
            self.assertEqual(self.made, [0])
            self.setUp()

    def test_broken(self) -> None:
        """A client that has some of it is told by the end of the connection that this is not all."""
        self.breaks = 3
        self.channel.dataReceived(get("/"))
        self.transport.drain()
        self.transport.drain()
        self.assertNotIn(b"\r\n0\r\n\r\n", self.transport.value())
        self.assertTrue(self.transport.disconnecting or self.transport.aborted)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
