"""Tests of `pixelboot.library.names.folded`: names in another case."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event, Semaphore

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.folder.look import Stamp
from pixelboot.library.names import folded
from pixelboot.library.names.below import open_below
from pixelboot.library.names.components import Absent, Forbidden, components
from pixelboot.library.names.folded import LATE, Listing, Listings


class FoldedCase(SynchronousTestCase):
    """A folder, and what is beside it."""

    def setUp(self) -> None:
        self.outside = Path(self.mktemp()).resolve()
        self.root = self.outside / "root"
        self.root.mkdir(parents=True)
        (self.outside / "SECRET").write_bytes(b"secret")
        self.now = 4e9
        self.listings = Listings(lambda: self.now)

    def put(self, *names: str) -> None:
        """Files that hold their own names."""
        for name in names:
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())

    @contextmanager
    def opened(self) -> Iterator[int]:
        """A descriptor of the folder."""
        folder = os.open(self.root, os.O_PATH)
        try:
            yield folder
        finally:
            os.close(folder)

    def read(self, name: str) -> str:
        try:
            with open(open_below(str(self.root), components(name), None, self.listings), "rb") as file:
                return file.read().decode()
        except (Absent, Forbidden) as error:
            return type(error).__name__


class FoldedTests(FoldedCase):
    """Which file is meant."""

    def test_exact_first(self) -> None:
        """Then the first in the order of characters; a component at a time."""
        self.put("EFI/Boot/BOOTX64.EFI", "EFI/boot/x", "efi.cfg", "EFI.CFG", "Efi.cfg", "b", "C")
        for name, found in (
            ("efi/BOOT/bootx64.efi", "EFI/Boot/BOOTX64.EFI"),
            ("efi.cfg", "efi.cfg"),
            ("Efi.cfg", "Efi.cfg"),
            ("eFI.cfg", "EFI.CFG"),
            ("\\efi\\boot\\X", "EFI/boot/x"),
            ("B", "b"),
            ("c", "C"),
            ("d", "Absent"),
            ("efi/none", "Absent"),
            ("b/x", "Absent"),
            ("efi", "Forbidden"),
        ):
            self.assertEqual(self.read(name), found, name)

    def test_links(self) -> None:
        """A link in another case is one; its target is meant as it is written, and does not lead out."""
        self.put("a/x")
        (self.root / "LINK").symlink_to("a/x")
        (self.root / "ODD").symlink_to("A/x")
        (self.root / "OUT").symlink_to("../SECRET")
        (self.root / "UP").symlink_to("..")
        for name, found in (("link", "a/x"), ("odd", "Absent"), ("out", "Outside"), ("up/secret", "Outside")):
            self.assertEqual(self.read(name), found, name)

    def test_no_hanging(self) -> None:
        os.mkfifo(self.root / "FIFO")
        self.assertEqual(self.read("fifo"), "Forbidden")

    def test_a_folder_that_may_only_be_entered(self) -> None:
        """There it is as without this."""
        self.put("a/X")
        listdir = os.listdir

        def refused(folder: int) -> list[str]:
            raise PermissionError(13, "Permission denied")

        self.patch(os, "listdir", refused)
        self.assertEqual((self.read("a/X"), self.read("a/x")), ("a/X", "Absent"))
        self.patch(os, "listdir", listdir)
        self.assertEqual(self.read("a/x"), "a/X")

    def test_remembered(self) -> None:
        """A folder that has lain still is read once, and again when it changed; there are not too many of them."""
        self.patch(folded, "REMEMBERED", 2)
        self.put("a/X", "b/X", "c/X")
        reads: list[int] = []
        listdir = os.listdir

        def counted(folder: int) -> list[str]:
            reads.append(folder)
            return listdir(folder)

        self.patch(os, "listdir", counted)
        for name in ("a/x", "a/x", "b/x", "a/x"):
            self.assertEqual(self.read(name), name.replace("x", "X"))
        self.assertEqual(len(reads), 2)
        self.assertEqual(len(self.listings._known), 2)
        self.read("c/x")
        self.read("a/x")
        self.assertEqual((len(reads), len(self.listings._known)), (4, 2))
        listing = self.listings.at_hand(str(self.root / "a"))
        assert listing is not None
        self.assertEqual(dict(listing.names), {"x": "X"})
        self.put("a/new")
        self.assertIsNone(self.listings.at_hand(str(self.root / "a")))
        self.assertIsNone(self.listings.at_hand(str(self.root / "none")))

    def test_while_it_is_written(self) -> None:
        """A folder is read once in a second, whatever is asked for; names that are written so are found at once."""
        seconds, reads = [100.0], list[int]()
        self.listings = Listings(lambda: 0.0, lambda: seconds[0])
        read = self.listings._read

        def counted(folder: int, stamp: Stamp) -> Listing:
            reads.append(folder)
            return read(folder, stamp)

        self.patch(self.listings, "_read", counted)
        self.put("A")
        for number in range(20):
            self.put(f"b{number}")
            self.assertEqual((self.read(f"none-{number}"), self.read(f"b{number}")), ("Absent", f"b{number}"))
        self.assertEqual((self.read("a"), self.read("B1"), len(reads)), ("A", "Absent", 1))
        self.assertIsNone(self.listings.at_hand(str(self.root)))
        seconds[0] += LATE
        self.assertEqual((self.read("B1"), len(reads)), ("b1", 2))
        with self.opened() as folder:
            seconds[0] += 0.1
            self.listings.of(folder, str(self.root), late=0.0)
        self.assertEqual(len(reads), 3, "who may not be told later")

    def test_joined(self) -> None:
        """Who asks while a folder is read gets that, or with all others what is read after he came."""
        ticks = count()
        listings = Listings(lambda: 0.0, lambda: float(next(ticks)))
        going, begun = Event(), Event()
        listdir, reads = os.listdir, list[int]()

        def slow(folder: int) -> list[str]:
            reads.append(folder)
            begun.set()
            going.wait(9)
            return listdir(folder)

        self.patch(os, "listdir", slow)
        with self.opened() as folder, ThreadPoolExecutor(9) as pool:
            first = pool.submit(listings.of, folder, "x", 0.0)
            begun.wait(9)
            came, seconds = Semaphore(0), listings._seconds

            def told() -> float:
                came.release()
                return seconds()

            listings._seconds = told
            others = [pool.submit(listings.of, folder, "x", 0.0) for _ in range(8)]
            for _ in others:
                came.acquire(timeout=9)
            going.set()
            got = {id(other.result(9)) for other in others}
        self.assertEqual((len(reads), len(got)), (2, 1))
        self.assertNotIn(id(first.result()), got)

    @given(
        st.lists(st.text(st.sampled_from("aAbB./"), min_size=1, max_size=5), max_size=5),
        st.text("aAbBsecrtSECRT./\\", max_size=12),
    )
    def test_never_outside(self, names: list[str], name: str) -> None:
        """What is found is a file below the root, and its name is the one that was asked for but for its case."""
        self.setUp()
        for each in names:
            try:
                self.put("/".join(components(each)))
            except (Forbidden, OSError):
                continue
        found = self.read(name) if name.strip("./\\") else "Forbidden"
        if found not in ("Absent", "Forbidden", "Outside"):
            self.assertEqual(found.lower(), "/".join(components(name)).lower())
            self.assertTrue((self.root / found).is_file())
