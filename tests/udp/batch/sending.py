"""How datagrams leave by the batch, whichever way that is done."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from pixelboot.udp.batch.path import Path
from tests.udp.batch.calls import UDP_GRO, CallsCase, made

SIZES: tuple[list[int], ...] = (
    [],
    [4],
    [516] * 2,
    [1472] * 7,
    [1472] * 6 + [4],
    [516] * 64 + [515],
    [8196] * 20,
    [65400, 65400, 17],
    [4, 516, 516],
    [516, 4, 516],
    [0, 0, 4],
    [4, 0],
)
"""Of datagrams that are sent together: all the ways in which they can go together."""


class SendTests(CallsCase):
    """Out."""

    def test_send(self) -> None:
        """Datagrams leave whole and in order, from the address that they shall come from; the system finds one else."""
        for sizes in SIZES:
            for source in (*self.sources(), None):
                self.assert_sent(made(sizes), source=source)
        self.assertEqual(self.troubles, [])

    def test_cut(self) -> None:
        """What can be cut out of one send is handed over in one, and in as few as may be where that is too much."""
        for sizes, pieces in (
            ([1472] * 7, [7]),
            ([1472] * 6 + [4], [7]),
            ([1472] * 64, [44, 20]),
            ([516] * 70, [64, 6]),
            ([516] * 65, [64, 1]),
            ([20] * 64, [64]),
        ):
            for source in (*self.sources(), None):
                self.assertEqual(self.cuts(made(sizes), self.path(source=source)), pieces, sizes)

    def test_where_nothing_is_cut(self) -> None:
        """What the kernel does not cut is sent one by one; that is remembered of this way, and of no other."""
        self.forbid_cutting(True)
        for sizes in SIZES:
            for source in self.sources():
                self.assert_sent(made(sizes), source=source)
        narrow, wide = self.path(source=self.here), self.path(source=self.here)
        self.assert_sent(made([1472] * 5), narrow)
        self.assertEqual((narrow.too_long, self.troubles), (1472, []))
        self.forbid_cutting(False)
        for path, size, pieces in (
            (narrow, 1472, [1, 1, 1]),
            (narrow, 1473, [1, 1, 1]),
            (narrow, 1471, [3]),
            (wide, 1472, [3]),
        ):
            self.assertEqual(self.cuts(made([size] * 3), path), pieces, (path, size))

    def test_some_are_not_cut(self) -> None:
        """Those in front of, between and behind them leave in their order."""
        self.forbid_cutting(True)
        sent = [made([4]), made([516] * 3), made([4]), made([1472] * 4 + [3]), made([20] * 64), made([4])]
        for datagrams in sent:
            self.calls.send(datagrams, self.path())
        self.calls.flush()
        self.assert_received([octets for datagrams in sent for octets in datagrams])

    def test_many_messages(self) -> None:
        """More than fit into one call, to two peers in turn."""
        sent: tuple[list[bytes], list[bytes]] = ([], [])
        paths = self.path(self.one), self.path(self.other)
        for number in range(200):
            sent[number % 2].append(number.to_bytes(2) * (1 + number))
            self.calls.send(sent[number % 2][-1:], paths[number % 2])
        self.calls.flush()
        self.assert_received(sent[0])
        self.assertEqual([self.other.recv(2000) for _ in sent[1]], sent[1])

    def test_many_windows(self) -> None:
        """More datagrams than there is room for in one call."""
        self.one.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        sent = made([20] * 6400)
        path = self.path()
        for at in range(0, 6400, 64):
            self.calls.send(sent[at : at + 64], path)
        self.calls.flush()
        self.assertEqual(b"".join(self.one.recv(65536) for _ in range(100)), b"".join(sent))

    def test_sources_in_turn(self) -> None:
        """Every datagram of a batch comes from its own address, wherever in the call others were before it."""
        ways = [self.path(source=source) for source in (*self.sources(), None)]
        lots = [(number, (1, 3, 1, 2)[number % 4]) for number in range(40)]
        for _ in range(3):
            expected = []
            for number, count in lots:
                path = ways[number % len(ways)]
                datagrams = made([30] * count)
                self.calls.send(datagrams, path)
                source = str((*self.sources(), self.here)[number % len(ways)])
                expected += [(one, self.address(source)) for one in datagrams]
            self.calls.flush()
            arrived = [self.one.recvfrom(100) for _ in expected]
            self.assertEqual([(one, sender[:2]) for one, sender in arrived], expected)
            lots = [(number + 1, count) for number, count in lots[1:]]

    def test_errors(self) -> None:
        """What the network does not take is told, with the way that it should have gone; the others are sent."""
        nobody = self.nobody()
        elsewhere = IPv4Address("192.0.2.254") if self.here.version == 4 else IPv6Address("2001:db8::254")
        foreign = self.path(source=elsewhere)
        for bad, path, number in (
            ([b"x"], nobody, errno.EINVAL),
            ([b"x", b"y"], nobody, errno.EINVAL),
            ([bytes(65535)], self.path(), errno.EMSGSIZE),
            ([b"x"], foreign, None),  # What the system calls it depends on its routes.
            ([b"x", b"y"], foreign, None),
        ):
            self.troubles.clear()
            self.calls.send([b"before"], self.path())
            self.calls.send([b"a", b"b"], self.path())
            self.calls.send(bad, path)
            self.calls.send([b"after"], self.path())
            self.calls.send([b"c", b"d"], self.path())
            self.calls.flush()
            self.assert_received([b"before", b"a", b"b", b"after", b"c", b"d"])
            [(way, problem)] = self.troubles
            self.assertIs(way, path)
            self.assertIn(problem, (number, errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENETUNREACH)[: 1 if number else 4])

    def test_one_bad_among_each_two(self) -> None:
        """The first, the last, two in succession, and all: each is told once, and no other is harmed."""
        for pattern in ("b", "bg", "gb", "bbg", "gbbg", "bgbgbgb", "b" * 70, "gb" * 80, "g" * 63 + "b", "g" * 64 + "b"):
            self.troubles.clear()
            good, bad = [], []
            for number, letter in enumerate(pattern):
                datagrams = made([8] * (1 + number % 3))
                path = self.path() if letter == "g" else self.nobody()
                self.calls.send(datagrams, path)
                if letter == "g":
                    good += datagrams
                else:
                    bad.append((path, errno.EINVAL))
            self.calls.flush()
            self.assert_received(good)
            self.assertEqual(self.troubles, bad, pattern)

    def test_peer_gone(self) -> None:
        """A peer whose port is closed does not disturb the others."""
        gone = self.path(self.other)
        self.other.close()
        for _ in range(3):
            self.calls.send([b"hello?"], gone)
            self.calls.send([b"a", b"b"], gone)
            self.assert_sent([b"a", b"b"])
        self.assertEqual(self.troubles, [])

    def test_closed(self) -> None:
        """What is sent when the socket is closed is told to be lost."""
        self.opened.close()
        path = self.path()
        self.calls.send([b"x"], path)
        self.calls.send([b"x", b"y"], path)
        self.calls.flush()
        self.assertEqual(self.troubles, [(path, errno.EBADF)] * 2)

    def test_wrong_types(self) -> None:
        """They are refused, wherever among others; what was sent before leaves all the same."""
        wrong: Any
        for wrong in (None, 7, "text", ["x"]):
            for datagrams in ([wrong], [wrong, b"x"], [b"xxxx", wrong], [b"xxxx", wrong, b"xxxx"]):
                self.calls.send([b"before"], self.path())
                self.assertRaises(TypeError, self.calls.send, datagrams, self.path())
                self.calls.flush()
                self.assertEqual(self.one.recv(9), b"before")
                self.assertLessEqual(self.drained(), {b"xxxx"})  # What was in front of it may have left.
        self.assert_sent([b"a", b"b"])

    def test_told_while_sending(self) -> None:
        """Whoever hears of a failure may send again at once."""
        path = self.path()

        def failed(_path: Path, _problem: OSError) -> None:
            calls.send([b"again"], path)
            calls.send([b"1", b"2"], path)

        calls = self.calls = self.kind(self.opened, failed, told=False)
        calls.send([b"x"], self.nobody())
        calls.flush()
        calls.flush()
        self.assert_received([b"again", b"1", b"2"])
