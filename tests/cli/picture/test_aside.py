"""Tests of `pixelboot.cli.picture.aside`."""

from __future__ import annotations

import io
import os
import resource
import signal
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.cli.picture.aside import written_aside, written_to_standard_output
from pixelboot.cli.picture.ending import taken_back
from pixelboot.malformed import Malformed


class TestWrittenAside(SynchronousTestCase):
    """Whole or not at all."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "x"

    def write(self, octets: bytes, force: bool = False) -> None:
        with written_aside([self.path], force) as (file,):
            file.write(octets)
            self.assertNotIn("x", set(os.listdir(self.folder)) - {"x"})

    def test_a_new_file(self) -> None:
        umask = os.umask(0o027)
        self.addCleanup(os.umask, umask)
        self.write(b"new")
        self.assertEqual(self.path.read_bytes(), b"new")
        self.assertEqual(os.listdir(self.folder), ["x"])
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o640, "as any file of this person")

    def test_what_exists_is_replaced_by_force_alone(self) -> None:
        self.path.write_bytes(b"old")
        self.assertIn("x exists; --force replaces it", str(self.assertRaises(Malformed, self.write, b"new")))
        self.assertEqual(self.path.read_bytes(), b"old")
        self.write(b"new", force=True)
        self.assertEqual(self.path.read_bytes(), b"new")
        self.assertEqual(os.listdir(self.folder), ["x"])

    def test_a_link_is_neither_replaced_nor_followed(self) -> None:
        """Not even by force: ``--payload /dev/stdout --force`` as root would take that from everybody."""
        secret = self.folder / "secret"
        secret.write_bytes(b"secret")
        for leads_to in ("secret", "/dev/null", "nowhere"):
            self.path.unlink(missing_ok=True)
            self.path.symlink_to(leads_to)
            for force in (False, True):
                error = self.assertRaises(Malformed, self.write, b"new", force)
                self.assertIn("x is a link, which is not replaced", str(error))
            self.assertEqual((secret.read_bytes(), os.readlink(self.path)), (b"secret", leads_to))

    def test_what_comes_to_be_there_meanwhile(self) -> None:
        def race() -> None:
            with written_aside([self.path], force=False) as (file,):
                file.write(b"new")
                self.path.write_bytes(b"other")

        for link in (os.link, self.no_links):
            self.patch(os, "link", link)
            self.path.unlink(missing_ok=True)
            self.assertRaises(Malformed, race)
            self.assertEqual((self.path.read_bytes(), os.listdir(self.folder)), (b"other", ["x"]))

    def test_a_file_system_without_links(self) -> None:
        self.patch(os, "link", self.no_links)
        self.write(b"new")
        self.assertEqual((self.path.read_bytes(), os.listdir(self.folder)), (b"new", ["x"]))

    def no_links(self, source: object, target: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    def test_what_is_no_file_is_never_replaced(self) -> None:
        """Not even by force: ``--payload /dev/null --force`` as root would take that from everybody."""
        fifo, folder = self.folder / "fifo", self.folder / "folder"
        os.mkfifo(fifo)
        folder.mkdir()
        for self.path in (fifo, folder, Path("/dev/null")):
            for force in (False, True):
                error = self.assertRaises(Malformed, self.write, b"new", force)
                self.assertIn(f"{self.path} exists and is not a regular file", str(error))
        self.assertTrue(Path("/dev/null").is_char_device())

    def test_several_files_or_none(self) -> None:
        paths = [self.folder / name for name in "abc"]

        def write(taken: int | None = None) -> None:
            with written_aside(paths, force=False) as files:
                for number, file in enumerate(files):
                    file.write(b"%d" % number)
                if taken is not None:
                    paths[taken].write_bytes(b"other")

        for taken in range(3):
            self.assertIn("exists", str(self.assertRaises(Malformed, write, taken)))
            self.assertEqual(os.listdir(self.folder), ["abc"[taken]])
            paths[taken].unlink()
        write()
        self.assertEqual([path.read_bytes() for path in paths], [b"0", b"1", b"2"])

    def test_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.assertRaises((KeyboardInterrupt, SystemExit)), taken_back(), written_aside([self.path], False):
                self.assertEqual(len(os.listdir(self.folder)), 1)
                os.kill(os.getpid(), number)
            self.assertEqual(os.listdir(self.folder), [], number.name)

    def test_a_full_disk(self) -> None:
        """A limit on the size of files stands in for it; /dev/full has no room at all."""
        self.addCleanup(signal.signal, signal.SIGXFSZ, signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        for size in (1 << 20, 100_001):  # the second is still in a buffer when the block ends
            error = self.assertRaises(Malformed, self.write, bytes(size))
            self.assertEqual(str(error), f"{self.path}: File too large")
            self.assertEqual(os.listdir(self.folder), [])

    def test_failures_leave_nothing(self) -> None:
        for failure, reason in (
            (OSError(28, "No space left on device"), "x: No space left on device"),
            (MemoryError(), "x: there is not enough memory"),
            (Malformed("why"), "why"),
        ):

            def fail(failure: Exception = failure) -> None:
                with written_aside([self.path], force=False) as (file,):
                    file.write(b"half")
                    raise failure

            error = self.assertRaises(Malformed, fail)
            self.assertTrue(str(error).endswith(reason), str(error))
            self.assertEqual(os.listdir(self.folder), [])

    def test_a_folder_that_is_not_there(self) -> None:
        self.path = self.folder / "none" / "x"
        self.assertIn("none is not a folder; make it first", str(self.assertRaises(Malformed, self.write, b"")))


class TestWrittenToStandardOutput(SynchronousTestCase):
    """All of it or nothing."""

    def write(self, octets: bytes, failure: Exception | None = None) -> bytes:
        raw = io.BytesIO()
        self.patch(sys, "stdout", io.TextIOWrapper(raw))
        with written_to_standard_output() as file:
            file.write(octets)
            if failure is not None:
                raise failure
            self.assertEqual(raw.getvalue(), b"")
        return raw.getvalue()

    def test_octets(self) -> None:
        self.assertEqual(self.write(b"\xff" * 3_000_000), b"\xff" * 3_000_000)

    def test_failures_write_nothing(self) -> None:
        error = self.assertRaises(Malformed, self.write, b"half", OSError(28, "No space left on device"))
        self.assertEqual(str(error), "a temporary file: No space left on device")
        self.assertRaises(Malformed, self.write, b"half", Malformed("why"))

    def test_no_place_for_octets(self) -> None:
        master, slave = os.openpty()
        self.addCleanup(os.close, master)
        terminal = os.fdopen(slave, "w")
        self.addCleanup(terminal.close)
        for stream in (terminal, None):
            self.patch(sys, "stdout", stream)
            error = self.assertRaises(Malformed, written_to_standard_output().__enter__)
            self.assertIn("standard output is a terminal, or closed", str(error))
        with open("/dev/full", "w") as full:
            self.patch(sys, "stdout", full)
            with self.assertRaises(Malformed) as raised, written_to_standard_output() as file:
                file.write(bytes(2 << 20))
            self.assertEqual(str(raised.exception), "standard output: No space left on device")
