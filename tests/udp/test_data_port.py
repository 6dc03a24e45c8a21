"""Tests of `pixelboot.udp.port.DataPort`, with real datagrams on the loopback interface."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from pixelboot.udp.data_port import LARGEST_REPLY, DataPort, Path
from pixelboot.udp.port import Peer, open_socket

reactor = cast("Any", _reactor)

HERE = IPv4Address("127.0.0.1")
ALSO_HERE = IPv4Address("127.0.0.2")
NOT_OURS = IPv4Address("192.0.2.254")
SO_NO_CHECK = 11


class Full(socket.socket):
    """A socket that has no room for what is sent."""

    number = errno.EAGAIN

    def sendmsg(self, *_: object) -> int:
        """Take nothing."""
        raise OSError(self.number, os.strerror(self.number))


class Counting(socket.socket):
    """A socket that knows what was sent in each call."""

    def __init__(self, opened: socket.socket) -> None:
        """Take over an open socket."""
        super().__init__(fileno=opened.detach())
        self.calls: list[int] = []
        """How many datagrams were handed over in each, those that failed too."""

    def sendmsg(self, datagrams: Any, *more: Any) -> int:
        """Count, and send."""
        self.calls.append(len(datagrams))
        return super().sendmsg(datagrams, *more)


class Narrow(Counting):
    """A socket from which one peer is reached by a link that is too narrow for 1400 octets."""

    behind: Peer | None = None

    def sendmsg(self, datagrams: Any, *more: Any) -> int:
        """As the kernel does, which cuts nothing that the link would have to cut again."""
        if len(datagrams) > 1 and len(datagrams[0]) > 1400 and more[-1] == self.behind:
            self.calls.append(0)
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        return super().sendmsg(datagrams, *more)


class DataPortTests(TestCase):
    """A port for many exchanges, and two peers."""

    timeout = 20

    def setUp(self) -> None:
        self.port = self.open(open_socket(None, 0))
        self.one, self.other = self.peer(), self.peer()

    def open(self, opened: socket.socket) -> DataPort:
        """A port around a socket."""
        port = DataPort(reactor, opened)
        self.addCleanup(port.stop)
        return port

    def peer(self) -> socket.socket:
        """An ordinary UDP socket."""
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(opened.close)
        opened.settimeout(5)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        opened.bind((str(HERE), 0))
        return opened

    def path(self, source: IPv4Address = HERE) -> Path:
        """The way to the one peer."""
        return Path(self.one.getsockname(), source)

    def windows(self) -> Iterator[list[bytes]]:
        """Datagrams that are sent together, in all the ways in which their sizes can go together."""
        for sizes in (
            [],
            [4],
            [516] * 2,
            [1472] * 7,
            [1472] * 6 + [4],
            [516] * 64 + [515],
            [8196] * 20,
            [65468, 65468, 17],
            [4, 516, 516],
            [516, 4, 516],
            [0, 0, 4],
            [4, 0],
        ):
            yield [os.urandom(size) for size in sizes]

    def assert_sent(
        self, port: DataPort, datagrams: list[bytes], source: IPv4Address, path: Path | None = None
    ) -> None:
        """Exactly these leave the port, in order, from that address."""
        port.send(datagrams, path or self.path(source))
        for octets in datagrams:
            arrived, sender = self.one.recvfrom(65536)
            self.assertEqual((len(arrived), sender), (len(octets), (str(source), port.number)))
            self.assertEqual(arrived, octets)
        self.one.setblocking(False)
        self.assertRaises(BlockingIOError, self.one.recv, 65536)
        self.one.settimeout(5)

    def test_send(self) -> None:
        """Datagrams leave whole and in order, from the address that they shall come from."""
        for datagrams in self.windows():
            for source in (HERE, ALSO_HERE):
                self.assert_sent(self.port, datagrams, source)

    def test_calls(self) -> None:
        """What can be cut out of one send is handed over in one, and in as few as may be where that is too much."""
        opened = Counting(open_socket(None, 0))
        port = self.open(opened)
        for sizes, calls in (
            ([], []),
            ([4], [1]),
            ([1472] * 7, [7]),
            ([1472] * 6 + [4], [7]),
            ([1472] * 64, [44, 20]),
            ([516] * 70, [64, 6]),
            ([65468, 65468, 17], [1, 1, 1]),
            ([516, 4, 516], [1, 1, 1]),
            ([4, 0], [1, 1]),
        ):
            opened.calls.clear()
            self.assert_sent(port, [os.urandom(size) for size in sizes], HERE)
            self.assertEqual(opened.calls, calls, sizes)

    def test_send_where_nothing_is_segmented(self) -> None:
        """They do so as well where the kernel does not cut them out of one send, which is tried only once."""
        opened = Counting(open_socket(None, 0))
        opened.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        port = self.open(opened)
        for datagrams in self.windows():
            self.assert_sent(port, datagrams, ALSO_HERE)
        path = self.path()
        for calls in ([5, 1, 1, 1, 1, 1], [1] * 5):
            opened.calls.clear()
            self.assert_sent(port, [os.urandom(1472) for _ in range(5)], HERE, path)
            self.assertEqual(opened.calls, calls)

    def test_one_narrow_link(self) -> None:
        """What one peer's link does not take is sent to him alone in pieces; smaller datagrams even to him at once."""
        opened = Narrow(open_socket(None, 0))
        port = self.open(opened)
        opened.behind = self.one.getsockname()
        narrow, wide = self.path(), Path(self.other.getsockname(), HERE)
        for path, size, calls in (
            (narrow, 1472, [0, 1, 1, 1]),
            (narrow, 1472, [1, 1, 1]),
            (narrow, 1032, [3]),
            (wide, 1472, [3]),
        ):
            opened.calls.clear()
            port.send([os.urandom(size)] * 3, path)
            self.assertEqual(opened.calls, calls, (path, size))

    def test_no_source(self) -> None:
        """Without an address to come from, the system finds one."""
        self.port.send([b"hello"], Path(self.one.getsockname()))
        self.assertEqual(self.one.recvfrom(9), (b"hello", (str(HERE), self.port.number)))

    def test_no_room(self) -> None:
        """What finds no room is lost, and that is no error."""
        for number in (errno.EAGAIN, errno.ENOBUFS, errno.ECONNREFUSED):
            full = Full(socket.AF_INET, socket.SOCK_DGRAM)
            full.number = number
            port = self.open(full)
            port.send([b"x"], self.path())
            port.send([b"x", b"y"], self.path())

    def test_errors(self) -> None:
        """What the network does not take is an error, and others go on."""
        for datagrams, path, number in (
            ([b"x"], Path((str(HERE), 0), HERE), errno.EINVAL),
            ([b"x", b"y"], Path((str(HERE), 0), HERE), errno.EINVAL),
            ([bytes(65535)], self.path(), errno.EMSGSIZE),
            ([b"x"], Path(("127.255.255.255", 9), HERE), errno.EACCES),
        ):
            error = self.assertRaises(OSError, self.port.send, datagrams, path)
            assert isinstance(error, OSError)
            self.assertEqual(error.errno, number, path)
            self.assert_sent(self.port, [b"good", b"good"], HERE)
        for datagrams in ([b"x"], [b"x", b"y"]):  # What the system calls it depends on its routes.
            self.assertRaises(OSError, self.port.send, datagrams, self.path(NOT_OURS))
            self.assert_sent(self.port, [b"good", b"good"], HERE)

    async def test_receive(self) -> None:
        """It is told who spoke; an answer that is too long is cut, and nothing of it is taken for the next."""
        done: Deferred[None] = Deferred()
        arrived: list[tuple[bytes, Peer]] = []

        def received(octets: bytes, peer: Peer) -> None:
            arrived.append((octets, peer))
            if len(arrived) == 4:
                done.callback(None)

        self.port.start(received)
        for client, octets in ((self.one, b"1"), (self.other, b"2"), (self.one, bytes(5000)), (self.other, b"")):
            client.sendto(octets, (str(HERE), self.port.number))
        await done
        one, other = self.one.getsockname(), self.other.getsockname()
        self.assertEqual(arrived, [(b"1", one), (b"2", other), (bytes(LARGEST_REPLY), one), (b"", other)])

    async def test_peer_gone(self) -> None:
        """A peer whose port is closed does not disturb the others."""
        done: Deferred[bytes] = Deferred()
        self.port.start(lambda octets, _: done.callback(octets))
        gone = Path(self.other.getsockname(), HERE)
        self.other.close()
        for _ in range(3):
            self.port.send([b"hello?"], gone)
            self.assert_sent(self.port, [b"a", b"b"], HERE)
        self.one.sendto(b"here", (str(HERE), self.port.number))
        self.assertEqual(await done, b"here")

    def test_stop(self) -> None:
        """Nothing of a port is left when it is stopped."""
        self.port.start(lambda *_: None)
        self.port.stop()
        self.port.stop()
        self.assertEqual(self.port.fileno(), -1)
        self.assertNotIn(self.port, reactor.getReaders())
        self.assertRaises(OSError, self.port.send, [b"x"], self.path())
        with open_socket(None, self.port.number):
            pass  # The port is free for the next server.
