"""Tests of `pixelboot.http.connection.site`: who makes room for whom."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.connection.channel import BootChannel
from pixelboot.http.connection.settings import LimitSettings
from pixelboot.http.outcomes import TurnedAway
from pixelboot.outcome import Outcome
from tests.http.shelf import Narrow, Shelf, connected, get, site

OK, BUSY = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 503 Service Unavailable\r\n"


class RoomTests(SynchronousTestCase):
    """A site of four connections, three of them from one address."""

    def setUp(self) -> None:
        self.outcomes: list[Outcome] = []
        limits = LimitSettings(connections=4, connections_per_client=3)
        self.site = site(Shelf(), self.outcomes, Clock(), limits=limits)
        self.open: list[tuple[BootChannel, Narrow]] = []

    def come(self, host: int) -> Narrow:
        """A client connects; who was aborted meanwhile is gone."""
        transport = Narrow(IPv4Address("TCP", f"192.0.2.{host}", 1024))
        channel = self.site.buildProtocol(None)
        channel.makeConnection(transport)
        self.open.append((channel, transport))
        for gone in [each for each in self.open if each[1].aborted]:
            self.open.remove(gone)
            gone[0].connectionLost(Failure(ConnectionDone()))
        return transport

    def ask(self, transport: Narrow) -> bytes:
        """The first line of an answer on this connection."""
        (channel,) = (channel for channel, its in self.open if its is transport)
        transport.clear()
        channel.dataReceived(get("/healthz"))
        transport.drain()
        octets: bytes = transport.value()
        return octets.partition(b"\r\n")[0]

    def turned_away(self) -> int:
        return sum(isinstance(outcome, TurnedAway) for outcome in self.outcomes)

    def test_the_longest_wait(self) -> None:
        """Who has waited longest goes, by its last answer, however shortly ago one went before."""
        clients = [self.come(number) for number in range(4)]
        self.assertEqual(self.ask(clients[0]), b"HTTP/1.1 200 OK")
        for number, longest in ((4, 1), (5, 2), (6, 3), (7, 0)):
            clients.append(self.come(number))
            self.assertTrue(clients[longest].aborted)
            self.assertEqual(self.site.connections, 4)
        self.assertEqual(self.turned_away(), 0)

    def test_busy(self) -> None:
        """Who is in the middle of a request stays; one more is turned away, until one of them waits again."""
        clients = [self.come(number) for number in range(4)]
        for channel, _ in self.open:
            channel.dataReceived(get("/healthz")[:10])
        self.assertEqual(self.ask(self.come(5)), b"HTTP/1.1 503 Service Unavailable")
        self.assertEqual(self.turned_away(), 1)
        self.open[0][0].dataReceived(get("/healthz")[10:])
        clients[0].drain()
        self.come(6)
        self.assertEqual(self.ask(self.come(7)), b"HTTP/1.1 200 OK")
        self.assertTrue(clients[0].aborted)
        self.assertEqual([each.aborted for each in clients[1:]], [False] * 3)

    def test_many_of_one(self) -> None:
        """Those too many of one client make room for each other, nobody else for them; one waits to be told."""
        others = [self.come(1)]
        mine = [self.come(2) for _ in range(100)]
        self.assertEqual(self.site.connections, 4 + 1)
        self.assertEqual([each.aborted for each in (*others, *mine[:3])], [False] * 4)
        self.assertEqual([each.aborted for each in mine[3:]], [True] * 96 + [False])


class MakingRoomTests(SynchronousTestCase):
    """``connections``, ``connections_per_client`` and ``requests``."""

    def serve(self, **limits: int) -> None:
        """A service with these limits."""
        self.clock = Clock()
        self.outcomes: list[Outcome] = []
        self.site = site(Shelf(), self.outcomes, self.clock, limits=LimitSettings(**limits))
        self.open: list[BootChannel] = []
        self.addCleanup(self.check)

    def connect(self, host: str) -> tuple[BootChannel, Narrow]:
        """A connection from that address."""
        channel, transport = connected(self.site, IPv4Address("TCP", host, 1))
        self.open.append(channel)
        return channel, transport

    def lose(self, channel: BootChannel) -> None:
        """A connection ends."""
        self.open.remove(channel)
        channel.connectionLost(Failure(ConnectionDone()))

    def check(self) -> None:
        """When all have ended, nothing is left of them."""
        for channel in tuple(self.open):
            self.lose(channel)
        self.assertEqual((self.site.connections, self.clock.getDelayedCalls(), self.site._clients), (0, [], {}))

    def test_of_one_client(self) -> None:
        """H35: One more than it may have is told to come again, and others are served."""
        self.serve(connections_per_client=2)
        several = [self.connect("10.77.0.1") for _ in range(3)]
        several.append(self.connect("10.77.0.2"))
        for channel, _ in several:
            channel.dataReceived(get("/healthz"))
        self.assertEqual([transport.value()[:17] for _, transport in several], [OK, OK, BUSY[:17], OK])
        refused = several[2][1]
        self.assertIn(b"\r\nRetry-After: 1\r\n", refused.value())
        self.assertIn(b"\r\nConnection: close\r\n", refused.value())
        self.assertTrue(refused.disconnecting)
        (turned,) = [outcome for outcome in self.outcomes if isinstance(outcome, TurnedAway)]
        self.assertIn("10.77.0.1 is turned away: it has more than 2 connections", turned.summary())
        self.lose(several[0][0])
        self.lose(several[2][0])
        again, transport = self.connect("10.77.0.1")
        again.dataReceived(get("/healthz"))
        self.assertTrue(transport.value().startswith(OK))

    def test_in_all(self) -> None:
        """H35: For one more, that which has been idle longest goes."""
        self.serve(connections=3)
        several = []
        for n in range(3):
            several.append(self.connect(f"10.77.0.{n}"))
            self.clock.advance(0.1)
        several[0][0].dataReceived(get("/healthz"))  # so that another is idle longest
        channel, transport = self.connect("10.77.0.9")
        self.assertEqual([each.aborted for _, each in several], [False, True, False])
        channel.dataReceived(get("/healthz"))
        self.assertTrue(transport.value().startswith(OK))
        self.lose(several[1][0])

    def test_all_are_busy(self) -> None:
        """Where none is idle, one more is told to come again."""
        self.serve(connections=2)
        busy = [self.connect(f"10.77.0.{n}") for n in range(2)]
        for channel, _ in busy:
            channel.dataReceived(get("/healthz")[:-2])
        channel, transport = self.connect("10.77.0.9")
        channel.dataReceived(get("/healthz"))
        self.assertTrue(transport.value().startswith(BUSY))
        self.assertEqual([each.aborted for _, each in busy], [False, False])
        self.assertIn("there are more than 2 connections", self.outcomes[-1].summary())

    def test_many_at_once(self) -> None:
        """In one instant, each that comes makes one go, and no more."""
        self.serve(connections=10)
        idle = [self.connect(f"10.77.1.{n}") for n in range(10)]
        for n in range(4):
            self.connect(f"10.77.2.{n}")
        self.assertEqual(sum(each.aborted for _, each in idle), 4)

    def test_requests(self) -> None:
        """Behind so many the connection is closed, and says so."""
        self.serve(requests=3)
        channel, transport = self.connect("10.77.0.1")
        channel.dataReceived(get("/healthz") * 4)
        self.assertEqual(transport.value().count(OK), 3)
        self.assertEqual(transport.value().count(b"\r\nConnection: close\r\n"), 1)
        self.assertTrue(transport.disconnecting)

    def test_who_comes_while_it_stops(self) -> None:
        self.serve()
        self.successResultOf(self.site.close(1.0))
        _, transport = self.connect("10.77.0.1")
        self.assertTrue(transport.disconnecting)
