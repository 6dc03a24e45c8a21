"""Tests of `pixelboot.udp.descriptor`; with real errors of real sockets in `tests.udp.test_port`."""

from __future__ import annotations

import socket
from typing import Any, cast

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.udp.descriptor import Descriptor
from tests.udp.readers import Readers


class Taking(Descriptor):
    """Reads one message."""

    taken = b""

    def start(self) -> None:
        """Read from now on."""
        self._read_on()

    def doRead(self) -> None:
        """Take it."""
        self.taken = self._socket.recv(100)


class DescriptorTests(SynchronousTestCase):
    """From start to stop."""

    def setUp(self) -> None:
        self.readers = Readers()
        ours, self.peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.peer.close)
        self.descriptor = Taking(cast("Any", self.readers), ours)
        self.addCleanup(self.descriptor.stop)

    def test_life(self) -> None:
        """It is read between start and stop, which closes it, and may be called again."""
        self.peer.send(b"early")
        self.assertEqual(self.readers.turn(), 0)
        self.descriptor.start()
        self.assertEqual((self.readers.turn(), self.descriptor.taken), (1, b"early"))
        for _ in range(2):
            self.descriptor.stop()
            self.assertEqual((self.readers.reading, self.descriptor.fileno()), ([], -1))

    def test_given_up(self) -> None:
        """The reactor gives it up after an error, and gets it back, unless it was stopped."""
        self.descriptor.start()
        self.readers.reading.clear()
        self.descriptor.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.readers.reading, [self.descriptor])
        self.descriptor.stop()
        self.descriptor.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.readers.reading, [])
