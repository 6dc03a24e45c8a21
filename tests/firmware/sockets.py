"""What the tests with real interfaces share: the test itself opens sockets in the namespaces of a network."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from lab import needs
from lab.network import namespace
from lab.network.namespace import SERVER_ADDRESS, Namespace, Network
from pixelboot.datagram import Arrival
from pixelboot.dhcp.listening import Listening
from pixelboot.hwaddr import HardwareAddress
from pixelboot.outcome import Outcome
from pixelboot.udp.interfaces import interfaces
from pixelboot.udp.link import open_packets
from pixelboot.udp.port import UdpPort

reactor = cast("Any", _reactor)

SERVER = IPv4Address(SERVER_ADDRESS)
GIVEN = IPv4Address("10.77.0.100")
EVERYBODY = IPv4Address("255.255.255.255")
LAN = "lan1"

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x4000_0000
_CAP_NET_RAW = 1 << 13
_CAPABILITIES = struct.Struct("=6I")
_LINUX_CAPABILITY_VERSION_3 = 0x2008_0522
_ETH_P_ALL = 3


def _call(result: int) -> None:
    """Raise what the C library has just told."""
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextlib.contextmanager
def inside(space: Namespace) -> Iterator[None]:
    """Sockets that are opened meanwhile belong to the namespace."""
    before = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        there = os.open(f"/run/netns/{space.name}", os.O_RDONLY)
        try:
            _call(_LIBC.setns(there, _CLONE_NEWNET))
        finally:
            os.close(there)
        try:
            yield
        finally:
            _call(_LIBC.setns(before, _CLONE_NEWNET))
    finally:
        os.close(before)


@contextlib.contextmanager
def without_raw_sockets() -> Iterator[None]:
    """Frames may not be sent or received meanwhile, as by a server that is not root."""
    head = struct.pack("=Ii", _LINUX_CAPABILITY_VERSION_3, 0)
    had = ctypes.create_string_buffer(_CAPABILITIES.size)
    _call(_LIBC.capget(head, had))
    effective, *others = _CAPABILITIES.unpack(had.raw)
    _call(_LIBC.capset(head, _CAPABILITIES.pack(effective & ~_CAP_NET_RAW, *others)))
    try:
        yield
    finally:
        _call(_LIBC.capset(head, had.raw))


class InterfacesCase(TestCase):
    """A server's namespace, whose sockets the test itself opens, and clients beside it."""

    timeout = 60

    def setUp(self) -> None:
        """Make the network."""
        missing = needs.missing(needs.NETWORK, root=True)
        self.assertEqual(missing, [], "this test needs more than there is")
        self.network = Network()
        self.addCleanup(self._left)
        self.addCleanup(self.network.close)
        self.server = self.network.server
        entered = contextlib.ExitStack()
        entered.enter_context(inside(self.server))
        self.addCleanup(entered.close)
        self.arrived: list[tuple[bytes, Arrival, UdpPort]] = []
        self.heard: list[tuple[bytes, str, IPv4Address, HardwareAddress]] = []
        self.outcomes: list[Outcome] = []

    def _left(self) -> None:
        left = [token for token in namespace.tokens() if token.startswith(f"{namespace.PREFIX}{os.getpid()}-")]
        self.assertEqual(left, [], "namespaces or folders are left")

    def listen(self, *names: str) -> Listening:
        """Listen on port 67 of the interfaces, in the server's namespace."""
        listening = Listening(reactor, lambda known: names, (67,), self.outcomes.append, lambda: 0.0)
        self.addCleanup(listening.stop)
        listening.open()
        listening.start(
            lambda octets, arrival, port: self.arrived.append((octets, arrival, port)),
            lambda *what: self.heard.append(what),
        )
        return listening

    async def until(self, holds: Callable[[], object], seconds: float = 10.0) -> None:
        """Let the reactor turn until something is so."""
        deadline = reactor.seconds() + seconds
        while not holds():
            self.assertLess(reactor.seconds(), deadline, f"{self.outcomes} {self.arrived}")
            turned: Deferred[None] = Deferred()
            reactor.callLater(0.005, turned.callback, None)
            await turned

    def client(self, *addresses: str) -> Namespace:
        """A machine on the bridge with these addresses."""
        client = self.network.client()
        for address in addresses:
            client.ip("address", "add", address, "dev", "eth0")
        return client

    def bound(self, client: Namespace, number: int) -> socket.socket:
        """A UDP socket of a client's."""
        with inside(client):
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            opened.bind(("", number))
        opened.settimeout(5)
        self.addCleanup(opened.close)
        return opened

    def frames(self, client: Namespace) -> socket.socket:
        """Every frame that a client sees."""
        with inside(client):
            opened = open_packets(interfaces()["eth0"], _ETH_P_ALL)
        self.addCleanup(opened.close)
        opened.settimeout(5)
        return opened

    def card(self, client: Namespace) -> HardwareAddress:
        """A client's link address."""
        with inside(client):
            hwaddr = interfaces()["eth0"].hwaddr
        assert hwaddr is not None
        return hwaddr

    def packet(self, opened: socket.socket) -> bytes:
        """The next frame with IPv4: the system sends others of its own, whenever a link has changed."""
        for _ in range(100):
            frame = opened.recv(4096)
            if frame[12:14] == b"\x08\0":
                return frame
        raise AssertionError("a hundred frames, and none with IPv4")

    def seen(self, opened: socket.socket) -> list[bytes]:
        """The frames that have come so far."""
        opened.setblocking(False)
        frames = []
        with contextlib.suppress(BlockingIOError):
            while True:
                frames.append(opened.recv(4096))
        return frames
