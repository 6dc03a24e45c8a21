"""Tests of `pixelboot.udp.sockets`."""

from __future__ import annotations

import errno
import os

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.udp.interfaces import Interface, interfaces
from pixelboot.udp.sockets import open_socket
from tests.udp.ports import ALL_OF_LOOPBACK, EVERYBODY, NOT_OURS


def descriptors() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


class OpenSocketTests(SynchronousTestCase):
    """Taking a port."""

    def refused(self, interface: Interface, number: int) -> int:
        """The error number with which the port is refused; nothing stays open."""
        before = descriptors()
        error = self.assertRaises(OSError, open_socket, interface, number)
        assert isinstance(error, OSError)
        self.assertEqual(descriptors(), before)
        return error.errno or 0

    def test_busy(self) -> None:
        """A port that is taken is an error, not a port shared by two servers."""
        with open_socket(interfaces()["lo"], 0) as taken:
            self.assertEqual(self.refused(interfaces()["lo"], taken.getsockname()[1]), errno.EADDRINUSE)

    def test_no_such_interface(self) -> None:
        """An interface that has gone is an error."""
        self.assertEqual(self.refused(Interface("gone0", 999, ()), 0), errno.ENODEV)

    def test_not_our_address(self) -> None:
        """Nor can a server listen at an address that this machine has not."""
        before = descriptors()
        error = self.assertRaises(OSError, open_socket, None, 0, NOT_OURS)
        assert isinstance(error, OSError)
        self.assertEqual((error.errno, descriptors()), (errno.EADDRNOTAVAIL, before))

    def test_broadcast(self) -> None:
        """No socket may by itself send to everybody."""
        with open_socket(interfaces()["lo"], 0) as bound, open_socket(None, 0) as free:
            for opened in (bound, free):
                for address in (EVERYBODY, ALL_OF_LOOPBACK):
                    error = self.assertRaises(OSError, opened.sendto, b"x", (str(address), 9))
                    assert isinstance(error, OSError)
                    self.assertEqual(error.errno, errno.EACCES)

    def test_mode(self) -> None:
        """The socket never blocks the reactor and is not handed to child processes."""
        with open_socket(interfaces()["lo"], 0) as opened:
            self.assertFalse(opened.getblocking())
            self.assertFalse(opened.get_inheritable())
