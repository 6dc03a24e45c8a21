"""Tests of `pixelboot.library.folder.look.is_being_written`."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.folder import look
from pixelboot.library.folder.look import is_being_written


class TestBeingWritten(SynchronousTestCase):
    """Whether somebody writes, as the kernel sees it."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_bytes(b"octets")
        self.reader = os.open(self.path, os.O_RDONLY)
        self.addCleanup(os.close, self.reader)

    def test_while_it_is_open_for_writing(self) -> None:
        self.assertIs(is_being_written(self.reader), False)
        with open(self.path, "r+b"):
            self.assertIs(is_being_written(self.reader), True)
        self.assertIs(is_being_written(self.reader), False)
        with open(self.path, "rb"):
            self.assertIs(is_being_written(self.reader), False, "readers do not count")

    def test_nothing_is_left_of_the_question(self) -> None:
        """Nobody who opens the file afterwards has to wait."""
        is_being_written(self.reader)
        self.assertEqual(fcntl.fcntl(self.reader, fcntl.F_GETLEASE), fcntl.F_UNLCK)
        os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))

    def test_somebody_begins_to_write_at_this_moment(self) -> None:
        """The kernel tells us by a signal; its own choice for that would end the process."""
        met, real = [], fcntl.fcntl

        def meet(descriptor: int, command: int, argument: int = 0) -> int:
            if (command, argument) == (fcntl.F_SETLEASE, fcntl.F_UNLCK):
                self.assertEqual(real(descriptor, fcntl.F_GETSIG), signal.SIGURG)
                met.append(self.assertRaises(BlockingIOError, os.open, self.path, os.O_WRONLY | os.O_NONBLOCK))
            return real(descriptor, command, argument)

        self.patch(fcntl, "fcntl", meet)
        self.assertIs(is_being_written(self.reader), False)
        self.assertEqual(len(met), 1)

    def test_where_it_cannot_be_known(self) -> None:
        with open("/proc/self/status", "rb") as file:
            self.assertIsNone(is_being_written(file.fileno()), "a file system that others write to")
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.addCleanup(os.close, write)
        self.patch(look, "is_local", lambda descriptor: True)
        self.assertIsNone(is_being_written(read), "what has no leases")
