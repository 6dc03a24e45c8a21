"""Tests of `pixelboot.tftp.write.file`: a file on its way into a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp.write.file import CLIENT, HIDDEN, SYNC_SIZE, NewFile, clear, left

CRASH = """
import os, sys
from pixelboot.tftp.write.file import NewFile
if sys.argv[2] == "named":
    os.O_TMPFILE = os.O_DIRECTORY | os.O_CREAT
file = NewFile(os.open(sys.argv[1], os.O_RDONLY), "10.77.0.1")
file.write(b"x" * 5000)
os.kill(os.getpid(), 9)
"""


class Case(SynchronousTestCase):
    """An empty folder."""

    def setUp(self) -> None:
        """Make and open it."""
        self.path = Path(self.mktemp()).absolute()
        self.path.mkdir()
        self.folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        self.addCleanup(os.close, self.folder)

    def new(self) -> NewFile:
        """A file that is discarded at the end."""
        file = NewFile(self.folder, "10.77.0.1")
        self.addCleanup(file.discard)
        return file


class NewFileTests(Case):
    """From nothing to a name."""

    def test_t37_what_was_left_of_a_crash(self) -> None:
        """Without a name nothing is left; with one it is cleared away, and no read sees it till then."""
        for kind, remaining in (("nameless", 0), ("named", 1)):
            crashed = subprocess.run([sys.executable, "-c", CRASH, self.path, kind], check=False)
            self.assertEqual(crashed.returncode, -9)
            names = os.listdir(self.path)
            self.assertEqual((len(names), all(name.startswith(HIDDEN) for name in names)), (remaining, True), kind)
            self.assertEqual(clear(self.folder), [])
            self.assertEqual(os.listdir(self.path), [])

    def test_t37_a_disk_that_takes_little(self) -> None:
        """What a write leaves over is written next; now and then the disk is waited for."""
        write = os.write
        synced: list[int] = []
        self.patch(os, "write", lambda file, octets: write(file, octets[:3]))
        self.patch(os, "fdatasync", synced.append)
        file = self.new()
        file.write(b"0123456789")
        self.patch(os, "write", write)
        self.assertEqual((file.octets, synced), (10, []))
        file.write(b"x" * SYNC_SIZE)
        file.write(b"x")
        self.assertEqual(len(synced), 1)
        file.sync()
        file.appear("core", overwrite=False)
        self.assertEqual((self.path / "core").read_bytes()[:12], b"0123456789xx")

    def test_t37_odd_names_among_what_was_left(self) -> None:
        """What is no file stays and is told; the others go all the same."""
        for name in ("a", "e"):
            (self.path / f"{HIDDEN}{name}").write_bytes(b"x")
        (self.path / f"{HIDDEN}b").mkdir()
        (self.path / f"{HIDDEN}c").symlink_to("elsewhere")
        os.mkfifo(self.path / f"{HIDDEN}d")
        problems = clear(self.folder)
        self.assertEqual(sorted(os.listdir(self.path)), [f"{HIDDEN}{name}" for name in "bcd"])
        self.assertEqual([problem.partition(" ")[0] for problem in problems], [f"{HIDDEN}{name}" for name in "bcd"])
        self.assertIn("not a regular file", problems[0])

    def test_t37_the_length_is_checked(self) -> None:
        """What somebody else has cut short does not get its name."""
        self.patch(os, "O_TMPFILE", os.O_DIRECTORY | os.O_CREAT)
        file = self.new()
        file.write(b"0123456789")
        [hidden] = os.listdir(self.path)
        os.truncate(self.path / hidden, 3)
        self.assertRaises(OSError, file.sync)

    def test_t37_nothing_is_left_of_one_that_cannot_begin(self) -> None:
        """Neither a descriptor nor a name."""

        def broken(*_: object) -> None:
            raise OSError(5, "Input/output error")

        descriptors = len(os.listdir("/proc/self/fd"))
        self.patch(os, "setxattr", broken)
        self.patch(os, "O_TMPFILE", os.O_DIRECTORY | os.O_CREAT)
        self.assertRaises(OSError, NewFile, self.folder, "10.77.0.1")
        self.assertEqual((os.listdir(self.path), len(os.listdir("/proc/self/fd"))), ([], descriptors))


class LeftTests(Case):
    """What a client has in a folder."""

    def test_t37_counted(self) -> None:
        """Its own files; not those of others, nor hidden ones, nor what is no file."""
        for name, size, client in (
            ("a", 1, "me"),
            ("b", 10, "me"),
            ("c", 100, "you"),
            (".d", 1000, "me"),
            ("e", 10000, ""),
        ):
            (self.path / name).write_bytes(b"x" * size)
            if client:
                os.setxattr(self.path / name, CLIENT, client.encode())
        os.mkfifo(self.path / "fifo")
        (self.path / "link").symlink_to("a")
        (self.path / "folder").mkdir()
        self.assertEqual([left(self.folder, client) for client in ("me", "nobody")], [{"a": 1, "b": 10}, {}])
