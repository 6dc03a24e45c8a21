"""A port on loopback to test."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from pixelboot.datagram import Arrival, Destination
from pixelboot.hwaddr import HardwareAddress
from pixelboot.udp.interfaces import interfaces
from pixelboot.udp.port import UdpPort
from pixelboot.udp.sockets import open_socket

reactor = cast("Any", _reactor)

HERE = IPv4Address("127.0.0.1")
ALSO_HERE = IPv4Address("127.0.0.2")
EVERYBODY = IPv4Address("255.255.255.255")
ALL_OF_LOOPBACK = IPv4Address("127.255.255.255")
NOT_OURS = IPv4Address("192.0.2.254")
CARD = HardwareAddress.parse("02:aa:00:00:00:01")


class PortCase(TestCase):
    """A port on loopback, a client on loopback, and the real reactor between."""

    timeout = 20

    def setUp(self) -> None:
        self.lo = interfaces()["lo"]
        self.port = UdpPort(reactor, open_socket(self.lo, 0), self.lo, lambda: 1234.5)
        self.addCleanup(self.port.stop)
        self.number = self.port.number
        self.client = self.socket(str(HERE))
        self.arrived: list[tuple[bytes, Arrival]] = []

    def socket(self, address: str, number: int = 0) -> socket.socket:
        """An ordinary UDP socket."""
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(opened.close)
        opened.settimeout(5)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        opened.bind((address, number))
        return opened

    def start(self, count: int) -> Deferred[None]:
        """Start the port; fires when `count` datagrams have arrived."""
        done: Deferred[None] = Deferred()

        def received(octets: bytes, arrival: Arrival, port: UdpPort) -> None:
            self.assertIs(port, self.port)
            self.arrived.append((octets, arrival))
            if len(self.arrived) == count:
                done.callback(None)

        self.port.start(received)
        return done

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

    def to(self, address: IPv4Address, source: IPv4Address, hwaddr: HardwareAddress | None = None) -> Destination:
        """The way to the client's port at an address."""
        return Destination(address, self.client.getsockname()[1], source, "lo", hwaddr)
