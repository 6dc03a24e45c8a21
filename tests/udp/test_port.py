"""Tests of `pixelboot.udp.port`, with real datagrams on the loopback interface."""

from __future__ import annotations

import errno
import os
from ipaddress import IPv4Address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import provider

from pixelboot.datagram import Arrival, Destination
from pixelboot.udp.interfaces import Interface
from pixelboot.udp.link import Link
from pixelboot.udp.port import LARGEST_DATAGRAM, MOST_IN_A_TURN, UdpPort
from pixelboot.udp.sockets import open_socket
from tests.udp.ports import ALL_OF_LOOPBACK, ALSO_HERE, CARD, EVERYBODY, HERE, NOT_OURS, PortCase, reactor


class ReceiveTests(PortCase):
    """Datagrams on their way in."""

    async def test_arrival(self) -> None:
        """It is told where a datagram came from and at which of our addresses; broadcast, at the interface's own."""
        for address in (HERE, ALSO_HERE):
            self.client.sendto(str(address).encode(), (str(address), self.number))
        self.port.send(b"all", Destination(EVERYBODY, self.number, HERE, "lo"))
        await self.start(3)
        port, ours = self.client.getsockname()[1], self.lo.addresses
        self.assertEqual(
            self.arrived,
            [
                (b"127.0.0.1", Arrival("lo", HERE, self.number, HERE, port, 1234.5, False, ours)),
                (b"127.0.0.2", Arrival("lo", ALSO_HERE, self.number, HERE, port, 1234.5, False, ours)),
                (b"all", Arrival("lo", HERE, self.number, HERE, self.number, 1234.5, True, ours)),
            ],
        )

    async def test_sizes(self) -> None:
        """From the empty datagram to the largest that UDP can carry, each arrives whole and alone."""
        sizes = [0, 1, 576, 1500, LARGEST_DATAGRAM - 28]
        for size in sizes:
            self.client.sendto(bytes(size), (str(HERE), self.number))
        await self.start(len(sizes))
        self.assertEqual([len(octets) for octets, _ in self.arrived], sizes)

    async def test_others_get_their_turn(self) -> None:
        """A flood is read in portions, between which the reactor does everything else it has to do."""
        counts: list[int] = []
        for number in range(MOST_IN_A_TURN + 40):
            self.client.sendto(b"%d" % number, (str(HERE), self.number))
        done = self.start(MOST_IN_A_TURN + 40)

        def look() -> None:
            counts.append(len(self.arrived))
            if not done.called:
                reactor.callLater(0, look)

        look()
        await done
        self.assertIn(MOST_IN_A_TURN, counts)
        self.assertEqual([int(octets) for octets, _ in self.arrived], list(range(MOST_IN_A_TURN + 40)))

    def refused_by_peer(self) -> int:
        """A port to which the system reports that nobody listens at the other end; the number of that end."""
        closed: int = self.client.getsockname()[1]
        self.client.close()
        self.port.stop()
        connected = open_socket(self.lo, 0)
        connected.connect((str(HERE), closed))
        self.port = UdpPort(reactor, connected, self.lo, lambda: 0.0)
        self.addCleanup(self.port.stop)
        return closed

    def warnings(self) -> list[LogEvent]:
        """The port's own log lines from now on."""
        events: list[LogEvent] = []

        @provider(ILogObserver)
        def observe(event: LogEvent) -> None:
            if event["log_namespace"] == "pixelboot.udp":
                events.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return events

    async def test_error_of_the_socket(self) -> None:
        """An error for which the reactor gives up the descriptor is logged once, and the port reads on."""
        told = self.warnings()
        peer = self.refused_by_peer()
        done = self.start(1)
        self.port.send(b"hello?", Destination(HERE, peer, HERE, "lo"))
        await self.turns(5)
        self.assertEqual([event["problem"] for event in told], [os.strerror(errno.ECONNREFUSED)])
        self.socket(str(HERE), peer).sendto(b"here", (str(HERE), self.port.number))
        await done
        self.assertEqual(self.arrived[0][0], b"here")

    async def test_error_of_a_read(self) -> None:
        """So is an error that comes up in reading."""
        told = self.warnings()
        peer = self.refused_by_peer()
        done = self.start(1)
        self.port.send(b"hello?", Destination(HERE, peer, HERE, "lo"))
        self.port.doRead()
        self.assertEqual([event["problem"].errno for event in told], [errno.ECONNREFUSED])
        self.socket(str(HERE), peer).sendto(b"here", (str(HERE), self.port.number))
        await done
        self.assertEqual(self.arrived[0][0], b"here")

    async def test_receiver_fails(self) -> None:
        """A mistake in what takes the datagrams is told, and the next datagram is taken."""
        done: Deferred[bytes] = Deferred()

        def received(octets: bytes, _arrival: Arrival, _port: UdpPort) -> None:
            if octets == b"poison":
                raise ZeroDivisionError
            done.callback(octets)

        for octets in (b"poison", b"good"):
            self.client.sendto(octets, (str(HERE), self.number))
        self.port.start(received)
        self.assertEqual(await done, b"good")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class SendTests(PortCase):
    """Datagrams on their way out."""

    def test_source(self) -> None:
        """An answer comes from the address that it was told to come from, and from our port."""
        for source in (HERE, ALSO_HERE, HERE):
            self.port.send(b"answer", self.to(HERE, source))
            self.assertEqual(self.client.recvfrom(100), (b"answer", (str(source), self.number)))

    def test_client_without_address(self) -> None:
        """A client that cannot answer ARP at its new address gets the answer by broadcast."""
        with open_socket(self.lo, 0) as client:
            self.port.send(b"offer", Destination(NOT_OURS, client.getsockname()[1], HERE, "lo", CARD))
            octets, [(_, _, pktinfo)], _, source = client.recvmsg(100, 64)
        self.assertEqual((octets, source), (b"offer", (str(HERE), self.number)))
        # The end of struct in_pktinfo (ip(7)) is the destination in the header of the datagram.
        self.assertEqual(IPv4Address(pktinfo[8:]), EVERYBODY)

    def test_client_without_address_by_a_frame(self) -> None:
        """Where the link can send to it, nothing is broadcast; everybody else is reached as ever."""
        delivered: list[tuple[Any, ...]] = []
        link = Link(reactor, self.lo)

        def deliver(*what: Any) -> bool:
            delivered.append(what)
            return True

        self.patch(Link, "deliver", deliver)
        with open_socket(self.lo, 0) as opened, open_socket(self.lo, 0) as client:
            port = UdpPort(reactor, opened, self.lo, lambda: 0.0, link)
            destination = Destination(NOT_OURS, client.getsockname()[1], HERE, "lo", CARD)
            port.send(b"offer", destination)
            self.assertEqual(delivered, [(link, b"offer", destination, port.number)])
            self.assertRaises(BlockingIOError, client.recv, 100)
            port.send(b"answer", self.to(HERE, HERE))
            self.assertEqual((self.client.recv(100), len(delivered)), (b"answer", 1))

    def test_a_network_s_broadcast_address(self) -> None:
        """Nobody makes us send there, also right after a broadcast of our own."""
        for _ in range(2):
            self.port.send(b"offer", Destination(NOT_OURS, 9, HERE, "lo", CARD))
            error = self.assertRaises(OSError, self.port.send, b"x", self.to(HERE, ALL_OF_LOOPBACK))
            assert isinstance(error, OSError)
            self.assertIn(error.errno, (errno.EACCES, errno.ENETUNREACH))

    def test_largest(self) -> None:
        """The largest datagram that UDP can carry is sent whole."""
        octets = os.urandom(LARGEST_DATAGRAM - 28)
        self.port.send(octets, self.to(HERE, HERE))
        self.assertEqual(self.client.recv(LARGEST_DATAGRAM), octets)

    def test_errors(self) -> None:
        """What the network does not take raises OSError, and the next datagram leaves all the same."""
        for octets, destination, number in [
            (bytes(65535), self.to(HERE, HERE), errno.EMSGSIZE),
            (b"x", self.to(HERE, NOT_OURS), errno.ENETUNREACH),
        ]:
            error = self.assertRaises(OSError, self.port.send, octets, destination)
            assert isinstance(error, OSError)
            self.assertEqual(error.errno, number)
        gone = UdpPort(reactor, open_socket(self.lo, 0), Interface("lo", 999_999, ()), lambda: 0.0)
        self.addCleanup(gone.stop)
        self.assertRaises(OSError, gone.send, b"x", self.to(HERE, HERE))
        gone.stop()
        error = self.assertRaises(OSError, gone.send, b"x", self.to(HERE, HERE))
        self.assertIn("is closed: the interface has gone", str(error))
        self.port.send(b"good", self.to(HERE, HERE))
        self.assertEqual(self.client.recv(100), b"good")


class AnyInterfaceTests(PortCase):
    """A port that belongs to no interface."""

    def reopen(self, address: str) -> None:
        """Take another port instead of the one on the loopback interface."""
        self.port.stop()
        self.port = UdpPort(reactor, open_socket(None, 0, IPv4Address(address)), None, lambda: 1234.5)
        self.addCleanup(self.port.stop)
        self.number = self.port.number

    async def test_arrival(self) -> None:
        """It is told by which interface and at which address a datagram arrived, and answers from there."""
        self.reopen("0.0.0.0")
        port = self.client.getsockname()[1]
        for address in (HERE, ALSO_HERE, ALL_OF_LOOPBACK):
            self.client.sendto(b"hello", (str(address), self.number))
        await self.start(3)
        self.assertEqual(
            [arrival for _, arrival in self.arrived],
            [
                Arrival("lo", HERE, self.number, HERE, port, 1234.5),
                Arrival("lo", ALSO_HERE, self.number, HERE, port, 1234.5),
                Arrival("lo", HERE, self.number, HERE, port, 1234.5, True),
            ],
        )
        for _, arrival in self.arrived:
            self.port.send(b"answer", self.to(HERE, arrival.local))
            self.assertEqual(self.client.recvfrom(100), (b"answer", (str(arrival.local), self.number)))

    async def test_one_address(self) -> None:
        """A port at one address hears what is sent to that one alone."""
        self.reopen(str(ALSO_HERE))
        self.assertEqual((self.port.address, str(self.port)), (ALSO_HERE, f"127.0.0.2 udp {self.number}"))
        for address in (HERE, ALL_OF_LOOPBACK, ALSO_HERE):
            self.client.sendto(str(address).encode(), (str(address), self.number))
        await self.start(1)
        await self.turns(3)
        self.assertEqual([octets for octets, _ in self.arrived], [b"127.0.0.2"])


class StopTests(PortCase):
    """The end of a port."""

    def assert_stopped(self) -> None:
        """Nothing of the port is left."""
        self.assertEqual(self.port.fileno(), -1)
        self.assertNotIn(self.port, reactor.getReaders())
        self.assertRaises(OSError, self.port.send, b"x", self.to(HERE, HERE))
        with open_socket(self.lo, self.number):
            pass  # The port is free for the next server.

    async def test_datagrams_wait(self) -> None:
        """What has arrived and was not read yet is not read any more."""
        self.start(1)
        for _ in range(3):
            self.client.sendto(b"late", (str(HERE), self.number))
        self.port.stop()
        self.port.stop()
        await self.turns(3)
        self.assertEqual(self.arrived, [])
        self.assert_stopped()

    async def test_from_inside(self) -> None:
        """A port that is stopped by what it has just received reads no further."""
        taken: list[bytes] = []

        def received(octets: bytes, _arrival: Arrival, port: UdpPort) -> None:
            taken.append(octets)
            port.stop()

        for octets in (b"first", b"second"):
            self.client.sendto(octets, (str(HERE), self.number))
        self.port.start(received)
        await self.turns(3)
        self.assertEqual(taken, [b"first"])
        self.assert_stopped()

    def test_never_started(self) -> None:
        """A port can be given back before it was ever started."""
        self.port.stop()
        self.assert_stopped()

    def test_name(self) -> None:
        """Messages name interface and port."""
        self.assertEqual(str(self.port), f"lo udp {self.number}")
