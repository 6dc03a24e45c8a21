"""Tests of `pixelboot.udp.batch.mmsg`."""

from __future__ import annotations

import ctypes
import errno
import sys
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from pixelboot.udp.batch import mmsg
from pixelboot.udp.batch.mmsg import Batched
from pixelboot.udp.batch.plain import LOST
from tests.udp.batch import calls, receiving, sending


class Send4Tests(sending.SendTests):
    """IPv4, out."""

    kind, here = Batched, IPv4Address("127.0.0.1")


class Send6Tests(sending.SendTests):
    """IPv6, out."""

    kind, here = Batched, IPv6Address("::1")


class Receive4Tests(receiving.ReceiveTests):
    """IPv4, in."""

    kind, here = Batched, IPv4Address("127.0.0.1")


class Receive6Tests(receiving.ReceiveTests):
    """IPv6, in."""

    kind, here = Batched, IPv6Address("::1")


class Text(bytes):
    """Octets whose object may look otherwise in memory."""


class MemoryTests(calls.CallsCase):
    """The kernel reads where Python's objects lie."""

    kind, here = Batched, IPv4Address("127.0.0.1")

    def test_what_is_no_bytes(self) -> None:
        """Other objects that hold octets lie otherwise, and are refused before an address is made of them."""
        wrong: Any
        for wrong in (bytearray(b"xxxx"), memoryview(b"xxxx"), Text(b"xxxx")):
            for datagrams in ([wrong], [wrong, b"x"], [b"xxxx", wrong], [b"xxxx"] * 70 + [wrong]):
                self.assertRaises(TypeError, self.calls.send, datagrams, self.path())
        self.calls.flush()
        self.assert_sent([b"a", b"b"])  # and nothing of the others

    def test_held_until_sent(self) -> None:
        """Whoever sends need not keep what he sends; when it has left, nobody does."""
        path = self.path()
        kept = [bytes([number]) * 1000 for number in range(60)]
        references = sys.getrefcount(kept[7])
        for number in range(30):
            self.calls.send([kept[number]], path)
            self.calls.send([bytes([number]) * 999], path)
        self.calls.send(kept[30:], path)
        self.assertEqual(sys.getrefcount(kept[7]), references + 1)
        clutter = [b"\xff" * size for size in (999, 1000) for _ in range(200)]
        self.calls.flush()
        expected = [octets for number in range(30) for octets in (kept[number], bytes([number]) * 999)] + kept[30:]
        self.assert_received(expected)
        del expected
        self.assertEqual(sys.getrefcount(kept[7]), references)
        self.assertEqual(len(clutter), 400)

    def test_leaves_before_the_flush_where_there_is_no_room(self) -> None:
        """So that however much is sent, only so much waits."""
        for number in range(mmsg.MOST):
            self.calls.send([bytes([number])], self.path())
        self.assert_received([bytes([number]) for number in range(mmsg.MOST)])

    def test_possible_here(self) -> None:
        """On Linux with CPython it is; else it is not tried."""
        self.assertTrue(mmsg.is_possible())
        self.patch(sys, "platform", "freebsd14")
        self.assertFalse(mmsg.is_possible())


class TroubleTests(calls.CallsCase):
    """What the kernel may say."""

    kind, here = Batched, IPv4Address("127.0.0.1")

    def script(self, *answers: int) -> list[tuple[int, int]]:
        """What the next calls that send answer: how many were sent, or a negative error.

        Returns where each began, and how many messages it had.
        """
        assert isinstance(self.calls, Batched)
        start = self.calls._leaving
        left = list(answers)
        asked: list[tuple[int, int]] = []

        def sendmmsg(_descriptor: int, headers: int, count: int, _flags: int) -> int:
            asked.append(((headers - start) // 64, count))
            answer = left.pop(0)
            if answer < 0:
                ctypes.set_errno(-answer)
                return -1
            return answer

        self.patch(self.calls, "_sendmmsg", sendmmsg)
        return asked

    def send(self, count: int = 4) -> None:
        """Datagrams of one message each."""
        for number in range(count):
            self.calls.send([bytes([number])], self.path())
        self.calls.flush()

    def test_no_room(self) -> None:
        """What is left is lost, and that is no error."""
        for answers in ((-errno.EAGAIN,), (1, -errno.EAGAIN)):
            asked = self.script(*answers)
            self.send()
            self.assertEqual((len(asked), self.troubles), (len(answers), []))

    def test_one_is_lost(self) -> None:
        """Those behind it are sent."""
        for number in LOST - {errno.EAGAIN}:
            asked = self.script(-number, 1, -number, 1)
            self.send()
            self.assertEqual((asked, self.troubles), ([(0, 4), (1, 3), (2, 2), (3, 1)], []))

    def test_interrupted(self) -> None:
        """It is tried again."""
        asked = self.script(-errno.EINTR, -errno.EINTR, 2, -errno.EINTR, 2)
        self.send()
        self.assertEqual((asked, self.troubles), ([(0, 4), (0, 4), (0, 4), (2, 2), (2, 2)], []))

    def test_part_of_them(self) -> None:
        """The kernel may stop wherever it likes."""
        asked = self.script(1, 2, 1)
        self.send()
        self.assertEqual((asked, self.troubles), ([(0, 4), (1, 3), (3, 1)], []))

    def test_interrupted_while_receiving(self) -> None:
        """That is nothing, and what has come is there the next time."""
        self.one.sendto(b"x", self.address())
        assert isinstance(self.calls, Batched)
        real = self.calls._recvmmsg

        def interrupted(*_: object) -> int:
            ctypes.set_errno(errno.EINTR)
            return -1

        self.patch(self.calls, "_recvmmsg", interrupted)
        self.assertIsNone(self.calls.receive())
        self.patch(self.calls, "_recvmmsg", real)
        self.assertEqual(len(self.arrivals(self.calls, 1)), 1)
