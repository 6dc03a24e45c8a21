"""Tests of `pixelboot.udp.batch.plain`."""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import IPv4Address, IPv6Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.udp.batch.path import Path, packed
from pixelboot.udp.batch.plain import LOST, Plain
from tests.udp.batch import receiving, sending

PATH = Path(packed(IPv4Address("127.0.0.1"), 9))


class Send4Tests(sending.SendTests):
    """IPv4, out."""

    kind, here = Plain, IPv4Address("127.0.0.1")


class Send6Tests(sending.SendTests):
    """IPv6, out."""

    kind, here = Plain, IPv6Address("::1")


class Receive4Tests(receiving.ReceiveTests):
    """IPv4, in."""

    kind, here = Plain, IPv4Address("127.0.0.1")


class Receive6Tests(receiving.ReceiveTests):
    """IPv6, in."""

    kind, here = Plain, IPv6Address("::1")


class Scripted(socket.socket):
    """A socket of which it is said what its next calls fail with; 0 is not at all."""

    script: list[int]

    def sendmsg(self, *arguments: object) -> int:
        """Fail as the script says."""
        self._fail()
        return 1

    def recvmsg(self, *arguments: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, tuple[str, int]]:
        """As above."""
        self._fail()
        return b"x", [], 0, ("127.0.0.1", 9)

    def _fail(self) -> None:
        if number := self.script.pop(0):
            raise OSError(number, os.strerror(number))


class TroubleTests(SynchronousTestCase):
    """What the kernel may say."""

    def setUp(self) -> None:
        self.opened = Scripted(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.opened.close)
        self.troubles: list[int | None] = []
        self.calls = Plain(self.opened, lambda _, problem: self.troubles.append(problem.errno), told=False)

    def test_no_room(self) -> None:
        """What finds no room is lost, and that is no error; what comes behind it is tried."""
        for number in LOST:
            for script, datagrams in (([number], [b"x"]), ([number], [b"x", b"y"]), ([0, number, 0], [b"", b"", b""])):
                self.opened.script = script
                self.calls.send(datagrams, PATH)
                self.assertEqual((self.opened.script, self.troubles), ([], []))

    def test_not_cut_nor_sent(self) -> None:
        """Where one by one goes wrong as well, it was not the cutting."""
        path = Path(PATH.peer)
        self.opened.script = [errno.EMSGSIZE, errno.EMSGSIZE]
        before = path.too_long
        self.calls.send([b"x", b"y"], path)
        self.assertEqual((self.opened.script, self.troubles, path.too_long), ([], [errno.EMSGSIZE], before))

    def test_not_cut_any_more(self) -> None:
        """What has left is not sent again where the kernel refuses to cut what comes behind it."""
        path = Path(PATH.peer)
        self.opened.script = [0, errno.EIO, 0, 0]
        self.calls.send([b"x"] * 66, path)
        self.assertEqual((self.opened.script, self.troubles, path.too_long), ([], [], 1))

    def test_receive(self) -> None:
        """An error is told when nothing came before it; else the next call meets it."""
        self.opened.script = [0, errno.ENOMEM, errno.ENOMEM, errno.EINTR, 0, errno.EAGAIN]
        self.assertEqual(len(list(self.calls.receive() or ())), 1)
        self.assertRaises(OSError, self.calls.receive)
        self.assertIsNone(self.calls.receive())
        self.assertEqual(len(list(self.calls.receive() or ())), 1)
