"""Tests of `pixelboot.tftp.service`: real sockets on the loopback interface."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from pixelboot.datagram import Arrival
from pixelboot.library.tree import Absent
from pixelboot.outcome import Outcome
from pixelboot.tftp import service, wire
from pixelboot.tftp.outcomes import Served
from pixelboot.tftp.service import TftpService
from pixelboot.tftp.settings import TftpSettings
from pixelboot.udp.port import Peer, UdpPort, open_socket
from tests.tftp.network import Kept, rrq
from tests.tftp.peer import Client

reactor = cast("Any", _reactor)

HERE = "127.0.0.1"
ALSO_HERE = "127.0.0.2"
ALL_OF_LOOPBACK = "127.255.255.255"

FILE = os.urandom(3_000_000)
SMALL = FILE[:20_000]


def descriptors() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


class Downloads:
    """Any number of clients, all in this process, each with a socket of its own."""

    def __init__(self, failed: Callable[[], None]) -> None:
        self.clients: list[Client] = []
        self.spoke: set[Peer] = set()
        """Whom the answers came from."""
        self.done: Deferred[None] = Deferred()
        self.ports: list[UdpPort] = []
        self._wait = reactor.callLater(15, failed)

    def begin(self, server: Peer, octets: bytes, client: Client) -> None:
        """Ask for a file."""
        opened = open_socket(None, 0, IPv4Address(HERE))
        port = UdpPort(reactor, opened, None, time.time)
        self.clients.append(client)
        self.ports.append(port)

        def received(datagram: bytes, arrival: Arrival, _port: object) -> None:
            peer = str(arrival.source), arrival.source_port
            self.spoke.add(peer)
            for answer in client.received(datagram, 0.0):
                opened.sendto(answer, peer)
            if client.done or client.error is not None:
                port.stop()
                self.ports.remove(port)
                if not self.ports:
                    self.done.callback(None)

        port.start(received)
        opened.sendto(octets, server)

    def stop(self) -> None:
        """Give all sockets back."""
        for port in self.ports:
            port.stop()
        if self._wait.active():
            self._wait.cancel()


class ServiceCase(TestCase):
    """A service on loopback."""

    timeout = 20

    def setUp(self) -> None:
        self.outcomes: list[Outcome] = []
        self.payloads: list[Kept] = []
        self.service = self.make(TftpSettings(port=0))

    def make(self, settings: TftpSettings) -> TftpService:
        """A service that serves ``file`` and ``small``."""
        service = TftpService(reactor, settings, self.open, self.outcomes.append, lambda _: None, time.time)
        self.addCleanup(service.stopService)
        return service

    async def open(self, name: str) -> Kept:
        """The files."""
        if name == "slow":
            await Deferred()
        if name not in ("file", "small"):
            raise Absent("there is no such file")
        self.payloads.append(Kept(FILE if name == "file" else SMALL))
        return self.payloads[-1]

    def downloads(self) -> Downloads:
        """Clients, of which none is waited for without end."""
        clients = Downloads(lambda: clients.done.errback(AssertionError(f"nothing more comes: {self.outcomes}")))
        self.addCleanup(clients.stop)
        return clients

    def client(self) -> socket.socket:
        """An ordinary UDP socket that does not wait."""
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(opened.close)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        opened.bind((HERE, 0))
        opened.setblocking(False)
        return opened

    def turns(self, count: int) -> Deferred[None]:
        """Fires when the reactor has looked at its descriptors `count` times."""
        done: Deferred[None] = Deferred()

        def turn(left: int) -> None:
            if left:
                reactor.callLater(0, turn, left - 1)
            else:
                done.callback(None)

        turn(count)
        return done

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait for what the other end has done already."""
        for _ in range(10_000):
            if ready():
                return
            await self.turns(1)
        self.fail("it does not happen")


class ServeTests(ServiceCase):
    """Downloads."""

    async def test_large(self) -> None:
        """Some megabytes arrive without a wrong bit, in lock-step and in windows, with small blocks and large ones."""
        self.service.startService()
        for blksize, windowsize in ((1468, 1), (1468, 16), (8192, 64), (512, 7)):
            clients = self.downloads()
            client = Client(min(blksize, 1468), windowsize)
            clients.begin((HERE, self.service.port), rrq("file", blksize=blksize, windowsize=windowsize), client)
            await clients.done
            self.assertTrue(bytes(client.octets) == FILE, (blksize, windowsize))
            clients.stop()
        await self.until(lambda: len(self.outcomes) == 4)
        for outcome in self.outcomes:
            assert isinstance(outcome, Served)
            self.assertEqual(outcome.octets, len(FILE))
        self.assertEqual([payload.closed for payload in self.payloads], [1] * 4)

    async def test_many(self) -> None:
        """Two hundred clients that ask in the same moment are all served, side by side, from one new port (T01)."""
        self.service.startService()
        clients = self.downloads()
        for _ in range(200):
            clients.begin((HERE, self.service.port), rrq("small", blksize=1024), Client(1024))
        await clients.done
        self.assertEqual({bytes(client.octets) == SMALL for client in clients.clients}, {True})
        [(address, port)] = clients.spoke
        self.assertEqual(address, HERE)
        self.assertNotEqual(port, self.service.port)
        await self.until(lambda: len(self.outcomes) == 200)
        self.assertEqual(self.service.transfers, 0)
        self.assertEqual({type(outcome) for outcome in self.outcomes}, {Served})

    async def test_homes(self) -> None:
        """T01: whichever address is asked, that address answers: with the file, and with an ERROR."""
        self.service.startService()
        for address in (HERE, ALSO_HERE, "127.9.9.9"):
            for name in ("small", "absent"):
                clients = self.downloads()
                clients.begin((address, self.service.port), rrq(name), Client())
                await clients.done
                self.assertEqual({peer[0] for peer in clients.spoke}, {address}, name)
                clients.stop()

    async def test_one_address(self) -> None:
        """A service at one address is at no other."""
        self.service = self.make(TftpSettings(port=0, address=IPv4Address(ALSO_HERE)))
        self.service.startService()
        self.assertEqual(self.service.address, IPv4Address(ALSO_HERE))
        client = self.client()
        for address in (HERE, ALL_OF_LOOPBACK):
            client.sendto(rrq("small"), (address, self.service.port))
        clients = self.downloads()
        clients.begin((ALSO_HERE, self.service.port), rrq("small"), Client())
        await clients.done
        self.assertEqual({peer[0] for peer in clients.spoke}, {ALSO_HERE})
        self.assertEqual(len(self.payloads), 1)
        self.assertRaises(BlockingIOError, client.recv, 2000)

    async def test_to_everybody(self) -> None:
        """T12: a broadcast is counted, and not answered."""
        self.service.startService()
        client = self.client()
        client.sendto(rrq("small"), (ALL_OF_LOOPBACK, self.service.port))
        await self.until(lambda: len(self.outcomes) == 1)
        await self.turns(3)
        self.assertEqual([type(outcome).__name__ for outcome in self.outcomes], ["Ignored"])
        self.assertRaises(BlockingIOError, client.recv, 2000)

    async def test_clients_that_vanish(self) -> None:
        """Clients whose ports are closed while they are sent to do not disturb the one that stays."""
        self.service.startService()
        clients = self.downloads()
        for _ in range(20):
            client = self.client()
            client.sendto(rrq("file", windowsize=64), (HERE, self.service.port))
            client.close()
        clients.begin((HERE, self.service.port), rrq("file", blksize=1468), Client(1468))
        await clients.done
        self.assertTrue(bytes(clients.clients[0].octets) == FILE)


class StartStopTests(ServiceCase):
    """The life of the service."""

    async def test_nothing_before_the_start(self) -> None:
        """A service that listens does not answer before it is started; then it answers what has come meanwhile."""
        self.service.listen()
        client = self.client()
        client.sendto(rrq("absent"), (HERE, self.service.port))
        await self.turns(3)
        self.assertRaises(BlockingIOError, client.recv, 2000)
        self.service.startService()
        await self.until(lambda: len(self.outcomes) == 1)
        self.assertEqual(wire.decode(client.recv(2000)), wire.Error(1, "there is no such file"))

    def test_busy(self) -> None:
        """A port that is taken is an error, and nothing stays open."""
        with open_socket(None, 0, IPv4Address(HERE)) as taken:
            self.service = self.make(TftpSettings(port=taken.getsockname()[1]))
            before = descriptors()
            for begin in (self.service.listen, self.service.startService):
                error = self.assertRaises(OSError, begin)
                assert isinstance(error, OSError)
                self.assertEqual((error.errno, descriptors()), (errno.EADDRINUSE, before))
            self.assertFalse(self.service.running)

    def test_second_port(self) -> None:
        """Nor does the port for requests stay open when there is none for the data."""
        before = descriptors()
        opened: list[socket.socket] = []

        def one_only(*arguments: Any) -> socket.socket:
            if opened:
                raise OSError(errno.EMFILE, "Too many open files")
            opened.append(open_socket(*arguments))
            return opened[0]

        self.patch(service, "open_socket", one_only)
        self.assertRaises(OSError, self.service.listen)
        self.assertEqual((len(opened), descriptors()), (1, before))

    async def test_stop(self) -> None:
        """A stop in the middle: clients are told, everything is given back, the port is free; a start begins anew."""
        await self.turns(1)  # The reactor has opened by now what it needs for itself.
        before = descriptors()
        self.service.startService()
        number = self.service.port
        told = []
        for name in ("file", "slow"):
            client = self.client()
            client.sendto(rrq(name), (HERE, number))
            told.append(client)
        await self.until(lambda: self.service.transfers == 2)
        self.assertEqual(wire.decode(told[0].recv(2000)), wire.Data(1, FILE[:512]))
        self.service.stopService()
        for client in told:
            self.assertEqual(wire.decode(client.recv(2000)), wire.Error(0, "the server is stopping"))
            client.close()
        self.assertEqual([type(outcome).__name__ for outcome in self.outcomes], ["CutShort"] * 2)
        self.assertEqual([payload.closed for payload in self.payloads], [1])
        self.assertEqual((self.service.transfers, descriptors()), (0, before))
        with open_socket(None, number):
            pass
        self.service.startService()
        clients = self.downloads()
        clients.begin((HERE, self.service.port), rrq("small"), Client())
        await clients.done
        self.assertEqual(bytes(clients.clients[0].octets), SMALL)

    def test_never_started(self) -> None:
        """What only listened can be stopped, and what did not even do that; both more than once."""
        before = descriptors()
        self.assertEqual(self.service.port, 0)
        self.service.stopService()
        self.service.listen()
        self.assertNotEqual(self.service.port, 0)
        self.service.stopService()
        self.service.stopService()
        self.assertEqual(descriptors(), before)
