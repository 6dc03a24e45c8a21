"""Tests of `pixelboot.library.names.finder`; those of `pixelboot.library.tree` go through it."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.names.components import Absent
from pixelboot.library.names.finder import Finder
from pixelboot.library.names.folded import Listings
from pixelboot.library.names.trail import Trail, stands


class FinderTests(SynchronousTestCase):
    """Several places, one after the other."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        self.root = self.folder / "root"
        (self.root / "a").mkdir(parents=True)
        (self.root / "IPXE.EFI").write_bytes(b"own")
        self.packaged = {"undionly.kpxe": (str(self.folder / "none"), str(self.folder / "packaged"))}
        (self.folder / "packaged").write_bytes(b"packaged")

    def find(self, *candidates: str, root: str | None = None, ignore_case: bool = True) -> tuple[bytes, Trail]:
        """What is there, and the way."""
        listings = Listings(lambda: 4e9)
        finder = Finder(str(self.root) if root is None else root, self.packaged, listings, ignore_case=ignore_case)
        trail = Trail()
        descriptor = finder.find([tuple(each.split("/")) for each in candidates], trail)
        with open(descriptor, "rb") as file:
            return file.read(), trail

    def test_the_first_that_is_there(self) -> None:
        self.assertEqual(self.find("a/ipxe.efi", "ipxe.efi")[0], b"own")
        (self.root / "a" / "ipxe.efi").write_bytes(b"machine's")
        self.assertEqual(self.find("a/ipxe.efi", "ipxe.efi")[0], b"machine's")
        error = self.assertRaises(Absent, self.find, "a/none", "b")
        self.assertEqual(str(error), "there is no such file")

    def test_packages_in_another_case(self) -> None:
        self.assertEqual(self.find("UNDIONLY.kpxe")[0], b"packaged")
        self.assertRaises(Absent, self.find, "UNDIONLY.kpxe", ignore_case=False)

    def test_the_way_of_a_packaged_one(self) -> None:
        """It stands until something better is there, or it is another file."""
        for better in ("none", "root/undionly.kpxe", "packaged"):
            self.setUp()
            trail = self.find("undionly.kpxe")[1]
            assert trail.steps is not None
            self.assertTrue(stands(trail.steps))
            (self.folder / better).write_bytes(b"something better")
            self.assertFalse(stands(trail.steps), better)
        link = self.root / "mine"
        link.symlink_to(self.folder / "packaged")
        self.assertEqual((self.find("mine")[0], self.find("mine")[1].steps), (b"something better", None))

    def test_top(self) -> None:
        """The names in the root, where they can be read."""
        listing = Finder(str(self.root), {}, Listings(lambda: 4e9), ignore_case=True).top()
        assert listing is not None
        self.assertEqual(dict(listing.names), {"a": "a", "ipxe.efi": "IPXE.EFI"})
        before = len(os.listdir("/proc/self/fd"))
        self.assertIsNone(Finder(str(self.root / "none"), {}, Listings(lambda: 4e9), ignore_case=True).top())
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
