"""Tests of `pixelboot.cli.aside`."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.cli.aside import written_aside
from pixelboot.malformed import Malformed


class TestWrittenAside(SynchronousTestCase):
    """Whole or not at all."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "x"

    def write(self, octets: bytes, force: bool = False) -> None:
        with written_aside(self.path, force) as file:
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

    def test_a_link_is_replaced_not_followed(self) -> None:
        secret = self.folder / "secret"
        secret.write_bytes(b"secret")
        self.path.symlink_to("secret")
        self.assertRaises(Malformed, self.write, b"new")
        self.write(b"new", force=True)
        self.assertEqual(
            (secret.read_bytes(), self.path.read_bytes(), self.path.is_symlink()), (b"secret", b"new", False)
        )

    def test_what_comes_to_be_there_meanwhile(self) -> None:
        def race() -> None:
            with written_aside(self.path, force=False) as file:
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

    def test_failures_leave_nothing(self) -> None:
        for failure, reason in (
            (OSError(28, "No space left on device"), "x: No space left on device"),
            (MemoryError(), "x: there is not enough memory"),
            (Malformed("why"), "why"),
        ):

            def fail(failure: Exception = failure) -> None:
                with written_aside(self.path, force=False) as file:
                    file.write(b"half")
                    raise failure

            error = self.assertRaises(Malformed, fail)
            self.assertTrue(str(error).endswith(reason), str(error))
            self.assertEqual(os.listdir(self.folder), [])

    def test_a_folder_that_is_not_there(self) -> None:
        self.path = self.folder / "none" / "x"
        self.assertIn("none is not a folder; make it first", str(self.assertRaises(Malformed, self.write, b"")))
