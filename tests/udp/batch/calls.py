"""What both ways to send and receive by the batch are to do alike, with real datagrams on the loopback interface."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.udp.batch.mmsg import Batched
from pixelboot.udp.batch.path import NOTHING, Address, Path, named, packed, place, tell
from pixelboot.udp.batch.plain import Datagram, Plain
from pixelboot.udp.sockets import Control, open_socket, pinned

UDP_NO_CHECK6_TX = 101
UDP_NO_CHECK6_RX = 102
UDP_GRO = 104
SO_NO_CHECK = 11


def made(sizes: Sequence[int]) -> list[bytes]:
    """Datagrams of these sizes, none like another."""
    return [os.urandom(size) for size in sizes]


class CallsCase(SynchronousTestCase):
    """A socket to send from and to receive at, and two peers."""

    kind: type[Batched | Plain]
    here: Address
    """Where all are."""

    def setUp(self) -> None:
        self.troubles: list[tuple[Path, int | None]] = []
        """What the network did not take, and why."""
        self.opened = self.open()
        self.calls = self.on(self.opened)
        self.one, self.other = self.peer(), self.peer()

    def open(self) -> socket.socket:
        """A socket at every address of the family."""
        opened = open_socket(None, 0, IPv4Address(0) if self.here.version == 4 else IPv6Address(0))
        self.addCleanup(opened.close)
        return opened

    def on(self, opened: socket.socket, *, told: bool = False) -> Batched | Plain:
        """The calls of a socket."""
        tell(opened, told)
        return self.kind(opened, lambda path, problem: self.troubles.append((path, problem.errno)), told=told)

    def peer(self) -> socket.socket:
        """An ordinary UDP socket."""
        opened = socket.socket(self.opened.family, socket.SOCK_DGRAM)
        self.addCleanup(opened.close)
        opened.settimeout(5)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        if opened.family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_RX, 1)
        opened.bind((str(self.here), 0))
        return opened

    def address(self, to: str = "") -> tuple[str, int]:
        """Where the socket is reached."""
        return to or str(self.here), self.opened.getsockname()[1]

    def source(self, address: Address | None) -> Control:
        """What has datagrams come from an address of ours."""
        if address is None:
            return NOTHING
        return pinned(address, 0) if isinstance(address, IPv4Address) else place(address.packed + bytes(4)).control

    def path(self, to: socket.socket | None = None, source: Address | None = None) -> Path:
        """The way to a peer."""
        return Path(named((to or self.one).getsockname()), self.source(source))

    def sources(self) -> list[Address]:
        """Addresses of ours."""
        return [self.here, IPv4Address("127.0.0.2")] if self.here.version == 4 else [self.here]

    def nobody(self) -> Path:
        """A way that leads nowhere: there is no port 0."""
        return Path(packed(self.here, 0))

    def assert_received(self, datagrams: Sequence[bytes], source: Address | None = None) -> None:
        """Exactly these arrive at the one peer, in order, from that address."""
        for expected in datagrams:
            arrived, sender = self.one.recvfrom(65536)
            self.assertEqual((len(arrived), sender[:2]), (len(expected), self.address(str(source or self.here))))
            self.assertEqual(arrived, expected)
        self.assertEqual(self.drained(), set())

    def assert_sent(self, datagrams: Sequence[bytes], path: Path | None = None, source: Address | None = None) -> None:
        """They leave with the next flush, and so arrive."""
        self.calls.send(datagrams, path or self.path(source=source))
        self.calls.flush()
        self.assert_received(datagrams, source)

    def drained(self) -> set[bytes]:
        """Whatever else has arrived at the one peer."""
        found = set()
        self.one.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                found.add(self.one.recv(65536))
        self.one.settimeout(5)
        return found

    def cuts(self, datagrams: Sequence[bytes], path: Path) -> list[int]:
        """How many datagrams the kernel was given in each piece, whose receiver can tell (udp(7), UDP_GRO)."""
        self.one.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        self.calls.send(datagrams, path)
        self.calls.flush()
        found, left = [], b"".join(datagrams)
        while left:
            arrived, control, *_ = self.one.recvmsg(65536, 64)
            size = int.from_bytes(control[0][2][:2], "little") if control else len(arrived)
            self.assertEqual((arrived, size), (left[: len(arrived)], len(datagrams[0])))
            found.append(-(-len(arrived) // size))
            left = left[len(arrived) :]
        self.one.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 0)
        return found

    def forbid_cutting(self, wish: bool) -> None:
        """Without checksums the kernel cuts nothing; for a while it is asked to send without."""
        if self.opened.family == socket.AF_INET:
            self.opened.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, int(wish))
        else:
            self.opened.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_TX, int(wish))

    def arrivals(self, calls: Batched | Plain, count: int) -> list[Datagram]:
        """So many datagrams, which have been sent already."""
        arrived: list[Datagram] = []
        while len(arrived) < count:
            some = calls.receive()
            assert some is not None, arrived
            arrived += some
        return arrived
