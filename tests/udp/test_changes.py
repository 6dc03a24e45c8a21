"""Tests of `pixelboot.udp.changes`; that the kernel tells is tested in `tests.firmware.test_interfaces`."""

from __future__ import annotations

import errno
import os
import socket

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.udp import changes as changes_module
from pixelboot.udp.changes import MOST_LOOKS, PAUSE, POLL, Changes, open_netlink
from tests.udp.readers import Readers
from tests.udp.test_link import lines


class ChangesTests(SynchronousTestCase):
    """When it is time to look."""

    def setUp(self) -> None:
        self.readers = Readers()
        self.looks: list[float] = []
        self.changes = Changes(self.readers, lambda: self.looks.append(self.readers.seconds()))
        self.addCleanup(self.changes.stop)
        ours, self.kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.addCleanup(self.kernel.close)
        self.addCleanup(ours.close)
        self.patch(changes_module, "open_netlink", lambda: ours)

    def test_polls(self) -> None:
        """At the start, and every few seconds when nothing is said."""
        self.changes.start()
        for _ in range(5):
            self.readers.pump([PAUSE, POLL - PAUSE])
        self.assertEqual([round(at, 6) for at in self.looks], [POLL * number for number in range(6)])

    def test_what_is_said(self) -> None:
        """Leads to a look at once; when there were many in a moment, to one at the moment's end."""
        self.changes.start()
        self.readers.advance(1.0)
        for _ in range(50):
            self.kernel.send(b"link")
        self.readers.turn()
        self.assertEqual(self.looks, [0.0, 1.0])
        for count in range(3, MOST_LOOKS + 2):
            self.kernel.send(b"link")
            self.readers.turn()
            self.assertEqual(len(self.looks), count)
        for _ in range(3):
            self.kernel.send(b"link")
            self.readers.turn()
            self.changes.look()
        self.assertEqual(len(self.looks), MOST_LOOKS + 1)
        self.readers.advance(PAUSE)
        self.assertEqual(len(self.looks), MOST_LOOKS + 2)
        self.readers.pump([PAUSE, POLL - 2 * PAUSE])
        self.assertEqual(len(self.looks), MOST_LOOKS + 2)
        self.readers.advance(2 * PAUSE)
        self.assertEqual(len(self.looks), MOST_LOOKS + 3)

    def test_storm(self) -> None:
        """Without an end: the looks stay apart, and each turn of the reactor ends."""
        self.changes.start()
        for _ in range(100):
            for _ in range(100):
                self.kernel.send(b"x")
            self.readers.advance(PAUSE / 10)
            while self.readers.turn():
                pass
        self.assertLessEqual(len(self.looks), 10 * MOST_LOOKS + MOST_LOOKS)
        self.assertGreaterEqual(len(self.looks), 9 * MOST_LOOKS)

    def test_more_was_said_than_there_was_room_for(self) -> None:
        """The kernel tells that something was lost: a reason to look as well."""
        kinds = iter([OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS)), BlockingIOError()])

        class Overrun(socket.socket):
            def recv(self, *_: int) -> bytes:
                raise next(kinds)

        ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(peer.close)
        self.patch(changes_module, "open_netlink", lambda: Overrun(fileno=ours.detach()))
        self.changes.start()
        self.readers.advance(1.0)
        peer.send(b"x")
        self.readers.turn()
        self.assertEqual(self.looks, [0.0, 1.0])

    def test_refused(self) -> None:
        """Where the kernel does not tell, that is said, and looked all the same."""

        def refuse() -> socket.socket:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        told = lines(self)
        self.patch(changes_module, "open_netlink", refuse)
        self.changes.start()
        self.readers.pump([PAUSE, POLL, POLL, POLL])
        self.assertGreaterEqual(len(self.looks), 3)
        self.assertEqual(len(told), 1)
        self.assertIn("looked at every 5 s", told[0])

    def test_stop(self) -> None:
        """At any time nothing is left."""
        self.changes.stop()
        for moments in ([], [PAUSE / 2], [PAUSE, 1.0]):
            ours, _peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self.addCleanup(_peer.close)
            self.patch(changes_module, "open_netlink", lambda ours=ours: ours)
            self.changes.start()
            self.changes.look()
            self.readers.pump(moments)
            self.changes.stop()
            self.changes.stop()
            self.assertTrue(self.readers.is_idle())
            self.assertEqual(ours.fileno(), -1)

    def test_looks_that_stop_it(self) -> None:
        """A look may be the last."""
        looks = []

        def look() -> None:
            looks.append(changes.stop)
            looks[-1]()

        changes = Changes(self.readers, look)
        changes.start()
        self.readers.advance(POLL)
        self.assertEqual((len(looks), self.readers.is_idle()), (1, True))


class KernelTests(SynchronousTestCase):
    """The kernel of this machine."""

    def test_netlink(self) -> None:
        """It takes no privilege to be told; the socket never blocks and is not handed to child processes."""
        with open_netlink() as opened:
            self.assertFalse(opened.getblocking())
            self.assertFalse(opened.get_inheritable())
            self.assertRaises(BlockingIOError, opened.recv, 1)
