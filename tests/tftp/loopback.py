"""A TFTP service and clients of it, with real sockets on the loopback interface."""

from __future__ import annotations

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
from pixelboot.library.tree import Absent, Asker
from pixelboot.outcome import Outcome
from pixelboot.tftp import wire
from pixelboot.tftp.service import TftpService
from pixelboot.tftp.settings import TftpSettings
from pixelboot.udp.port import Peer, UdpPort
from pixelboot.udp.sockets import open_socket
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
        self.service = self.make(self.settings())

    def settings(self, **others: Any) -> TftpSettings:
        """Any port, and these."""
        return TftpSettings(**{"port": 0, "address6": "", **others})

    def make(self, settings: TftpSettings) -> TftpService:
        """A service that serves ``file`` and ``small``."""
        service = TftpService(reactor, settings, self, self.outcomes.append, lambda _: None)
        self.addCleanup(service.stopService)
        return service

    def at_hand(self, name: str, asker: Asker, asked_at: float) -> Kept | None:
        """Nothing is known at once."""

    async def open(self, name: str, asker: Asker) -> Kept:
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

    def client(self, address: str = HERE) -> socket.socket:
        """An ordinary UDP socket that does not wait."""
        opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(opened.close)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        opened.bind((address, 0))
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

    async def assert_served(self, address: str, port: int, request: bytes, client: Client) -> None:
        """The small file is had."""
        clients = self.downloads()
        clients.begin((address, port), request, client)
        await clients.done
        self.assertTrue(bytes(client.octets) == SMALL)
        clients.stop()

    async def lock_step(self, address: str, port: int, name: str) -> tuple[bytes | None, Any]:
        """A file, block by block, or None for an ERROR; and who sent it."""
        client = self.client(address)
        client.sendto(rrq(name), (address, port))
        octets = b""
        while True:
            said, sender = await self.next(client)
            packet = wire.decode(said)
            if not isinstance(packet, wire.Data):
                return None, sender
            octets += packet.octets
            client.sendto(wire.ack(packet.block), sender)
            if len(packet.octets) < 512:
                return octets, sender

    async def next(self, client: socket.socket) -> tuple[bytes, Any]:
        """What comes next."""
        for _ in range(10_000):
            try:
                return client.recvfrom(2000)
            except BlockingIOError:
                await self.turns(1)
        raise AssertionError(f"nothing comes: {self.outcomes}")
