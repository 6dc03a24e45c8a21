"""A port in the hands of a test."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.udp.batch import port as module
from pixelboot.udp.batch.path import Path, named
from pixelboot.udp.batch.plain import Datagram
from pixelboot.udp.batch.port import BatchPort
from pixelboot.udp.sockets import open_socket
from tests.udp.readers import Readers

HERE = IPv4Address("127.0.0.1")


class PortCase(SynchronousTestCase):
    """A port in the hands of the test, and a peer."""

    batched = True

    def setUp(self) -> None:
        self.patch(module, "LONGEST_TURN", 5.0)  # However busy this machine is.
        self.reactor = Readers()
        self.troubles: list[tuple[Path, int | None]] = []
        self.arrived: list[Datagram] = []
        self.one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.one.close)
        self.one.bind((str(HERE), 0))
        self.one.settimeout(5)
        self.path = Path(named(self.one.getsockname()))
        self.port = self.make()

    def make(self, *, told: bool = False, spin: float = 0.0, busy: bool = True) -> BatchPort:
        """A port."""
        opened = open_socket(None, 0)
        self.addCleanup(opened.close)
        return BatchPort(
            cast("Any", self.reactor),
            opened,
            lambda path, problem: self.troubles.append((path, problem.errno)),
            told=told,
            spin=spin,
            is_busy=lambda: busy,
            batched=self.batched,
        )

    def say(self, *datagrams: bytes, port: BatchPort | None = None) -> None:
        """Have the peer say something to the port."""
        for datagram in datagrams:
            self.one.sendto(datagram, (str(HERE), (port or self.port).number))

    def heard(self) -> list[bytes]:
        """What the peer has received by now."""
        found = []
        self.one.setblocking(False)
        try:
            while True:
                found.append(self.one.recv(65536))
        except BlockingIOError:
            return found

    def take(self, datagrams: Iterable[Datagram]) -> None:
        """What arrives is kept."""
        self.arrived += datagrams

    def answer(self, datagrams: Iterable[Datagram]) -> None:
        """What arrives is sent back, twice."""
        for octets, peer, _ in datagrams:
            self.port.send([octets, octets], Path(peer))
