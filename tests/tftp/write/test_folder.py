"""Tests of `pixelboot.tftp.write.folder`: which folders will do."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import ConfigError
from pixelboot.tftp.settings import WriteSettings
from pixelboot.tftp.write.folder import examine


class FolderTests(SynchronousTestCase):
    """A root with loaders and a folder ``dumps``, beside a folder ``crash``."""

    def setUp(self) -> None:
        """Make the folders."""
        self.base = Path(self.mktemp()).absolute()
        self.root, self.crash = self.base / "tftp", self.base / "crash"
        for folder in (self.root / "dumps", self.root / "ipxe", self.crash):
            folder.mkdir(parents=True)
        self.descriptors = len(os.listdir("/proc/self/fd"))

    def tearDown(self) -> None:
        """Nothing is left open."""
        self.assertEqual(len(os.listdir("/proc/self/fd")), self.descriptors)

    def examined(self, *areas: WriteSettings) -> None:
        """Look at these."""
        examine(str(self.root), areas, [("tftp.root", str(self.root)), ("state", str(self.base / "state"))])

    def refused(self, area: WriteSettings, key: str, why: str, root: str | None = None) -> None:
        """An area, behind one that will do, is refused for this reason."""
        good = WriteSettings(folder="good", path=str(self.crash))
        error = self.assertRaises(ConfigError, examine, str(self.root) if root is None else root, (good, area), ())
        self.assertEqual((error.key, error.value), (f"tftp.write[2].{key}", getattr(area, key)))
        self.assertEqual(error.allowed, f"must be a folder that files can be written to ({why})")

    def test_t37_those_that_will_do(self) -> None:
        """One in the root, one elsewhere, and a link to that one; nothing is made or left there."""
        link = self.base / "link"
        link.symlink_to(self.crash)
        self.examined(WriteSettings(folder="dumps"), WriteSettings(path=str(self.crash)))
        self.examined(WriteSettings(folder="a/b", path=str(link)))
        self.assertEqual(os.listdir(self.crash) + os.listdir(self.root / "dumps"), [])

    def test_t37_those_that_are_not_there(self) -> None:
        """Missing, no folder, or a link in the root, which uploads do not follow either."""
        (self.root / "file").write_bytes(b"")
        (self.root / "link").symlink_to("dumps")
        for folder, why in (
            ("gone", "No such file or directory"),
            ("dumps/gone", "No such file or directory"),
            ("file", "Not a directory"),
            ("link", "link is a link, which is not followed in tftp.root"),
        ):
            self.refused(WriteSettings(folder=folder), "folder", f"{self.root}/{folder}: {why}")
        self.refused(WriteSettings(folder="dumps"), "folder", "there is no tftp.root", root="")
        for name, why in (("gone", "No such file or directory"), ("tftp/file", "Not a directory")):
            self.refused(WriteSettings(folder="dumps", path=str(self.base / name)), "path", why)

    def test_t37_those_that_cannot_be_written(self) -> None:
        """The system says so before a client does, and why."""
        asked = []

        def access(path: str, mode: int, *, dir_fd: int, effective_ids: bool) -> bool:
            asked.append((path, os.readlink(f"/proc/self/fd/{dir_fd}"), mode, effective_ids))
            return False

        area = WriteSettings(folder="dumps")
        self.patch(os, "access", access)
        with self.assertRaises(ConfigError) as caught:
            self.examined(area)
        self.assertIn(f"user {os.geteuid()} may not", caught.exception.allowed)
        self.assertEqual(asked, [(".", str(self.root / "dumps"), os.R_OK | os.W_OK | os.X_OK, True)])
        self.patch(os, "ST_RDONLY", ~0)  # as if every file system were
        with self.assertRaises(ConfigError) as caught:
            self.examined(area)
        self.assertIn("/dumps: read-only here, ", caught.exception.allowed)

    def test_t37_what_is_served(self) -> None:
        """No path leads into the root, to it or above it, nor to what else is named, however it is spelt."""
        (self.base / "to-root").symlink_to(self.root)
        (self.base / "to-ipxe").symlink_to(self.root / "ipxe")
        for name in ("tftp", "tftp/", "crash/../tftp", "tftp/ipxe", "tftp/dumps", "to-root", "to-ipxe", "to-root/ipxe"):
            path = f"{self.base}/{name}"
            error = self.assertRaises(ConfigError, self.examined, WriteSettings(folder="dumps", path=path))
            self.assertEqual((error.key, error.value), ("tftp.write[1].path", path))
            self.assertIn(f"must be apart from tftp.root, which is {self.root}", error.allowed)
        for path in ("/", str(self.base)):
            error = self.assertRaises(ConfigError, self.examined, WriteSettings(path=path))
            self.assertIn("must be apart from tftp.root", error.allowed)
        (self.base / "state" / "inner").mkdir(parents=True)
        error = self.assertRaises(ConfigError, self.examined, WriteSettings(path=str(self.base / "state" / "inner")))
        self.assertIn("must be apart from state", error.allowed)

    def test_t37_a_root_that_is_a_link(self) -> None:
        """It is known by what it leads to; and what holds a folder that is not there yet is known, too."""
        (self.base / "alias").symlink_to(self.root)
        area = WriteSettings(path=str(self.root))
        alias = str(self.base / "alias")
        self.assertRaises(ConfigError, examine, alias, [area], [("tftp.root", alias)])
        later = str(self.crash / "state")
        self.assertRaises(ConfigError, examine, "", [WriteSettings(path=str(self.crash))], [("state", later)])
