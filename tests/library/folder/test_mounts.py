"""Tests of `pixelboot.library.folder.mounts`."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.folder.mounts import file_system, is_local


class TestFileSystem(SynchronousTestCase):
    """Where an open file lies."""

    def of(self, path: str) -> tuple[str, bool]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return file_system(descriptor), is_local(descriptor)
        finally:
            os.close(descriptor)

    def test_what_every_machine_has(self) -> None:
        self.assertEqual(self.of("/proc/self/status"), ("proc", False))
        self.assertEqual(self.of("/sys"), ("sysfs", False))
        self.assertEqual(self.of("/dev/shm"), ("tmpfs", True))

    def test_a_file_and_its_folder(self) -> None:
        path = Path(self.mktemp())
        path.mkdir()
        (path / "file").touch()
        self.assertEqual(self.of(str(path / "file")), self.of(str(path)))
        self.assertTrue(self.of(str(path))[1], "the tests' own folder is on a disk of this machine")

    def test_what_is_on_no_mounted_file_system(self) -> None:
        """A socket, and a descriptor that is not open."""
        one, other = socket.socketpair()
        with one, other:
            self.assertEqual((file_system(one.fileno()), is_local(one.fileno())), ("", False))
        self.assertEqual((file_system(1 << 20), is_local(1 << 20)), ("", False))
