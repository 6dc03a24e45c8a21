"""Tests of `pixelboot.library.decoding.cache`."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot import __version__
from pixelboot.library.decoding import cache
from pixelboot.library.decoding.cache import Cache
from pixelboot.library.decoding.finding import Finding, FoundPart
from pixelboot.library.folder.look import Stamp

ONE, TWO = "ab" * 32, "cd" * 32
STAMP = Stamp(1, 2, 3, 4, 5)
READY = Finding("ready", ONE, name="demo", parts=(FoundPart("kernel", 6, TWO), FoundPart("initrd", 0, TWO)))
DAMAGED = Finding("damaged", TWO, "why")


class TestCache(SynchronousTestCase):
    """The folder."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.cache = Cache(str(self.folder))
        self.cache.prepare()

    def store(self, finding: Finding = READY) -> None:
        with self.cache.building() as folder:
            for part in finding.parts:
                Path(folder, part.name).write_bytes(b"x" * part.size)
            self.cache.store(folder, finding)

    def names(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}

    def test_what_is_stored_is_found(self) -> None:
        self.assertIsNone(self.cache.load(ONE))
        self.store()
        self.store(DAMAGED)
        self.assertEqual((self.cache.load(ONE), self.cache.load(TWO)), (READY, DAMAGED))
        self.assertIsNone(self.cache.recall(STAMP))
        self.cache.remember(STAMP, ONE)
        self.assertEqual(self.cache.recall(STAMP), READY)
        self.cache.remember(STAMP, TWO)
        self.assertEqual(self.cache.recall(STAMP), DAMAGED)
        descriptor = self.cache.open_part(READY, "kernel")
        assert descriptor is not None
        with open(descriptor, "rb") as file:
            self.assertEqual(file.read(), b"xxxxxx")
        self.assertIsNone(self.cache.open_part(READY, "dtb"))
        self.assertIsNone(self.cache.open_part(DAMAGED, "kernel"))

    def test_every_field_of_a_stamp_counts(self) -> None:
        self.store()
        self.cache.remember(STAMP, ONE)
        for other in (
            Stamp(9, 2, 3, 4, 5),
            Stamp(1, 9, 3, 4, 5),
            Stamp(1, 2, 9, 4, 5),
            Stamp(1, 2, 3, 9, 5),
            Stamp(1, 2, 3, 4, 9),
        ):
            self.assertIsNone(self.cache.recall(other), str(other))

    def test_what_is_broken_counts_as_absent(self) -> None:
        place = self.folder / ONE
        breaks: dict[str, Callable[[], object]] = {
            "a part is gone": (place / "kernel").unlink,
            "a part is too short": lambda: (place / "kernel").write_bytes(b"x"),
            "a part is too long": lambda: (place / "initrd").write_bytes(b"x"),
            "no finding": (place / "finding.json").unlink,
            "half a finding": lambda: (place / "finding.json").write_bytes((place / "finding.json").read_bytes()[:50]),
            "another's finding": lambda: os.rename(place, self.folder / TWO),
        }
        for case, break_it in breaks.items():
            self.store()
            self.assertIsNotNone(self.cache.load(ONE), case)
            break_it()
            self.assertEqual((self.cache.load(ONE), self.cache.load(TWO)), (None, None), case)
            self.cache.sweep(set(), set())
        self.store()
        (place / "kernel").write_bytes(b"x")
        self.assertIsNone(self.cache.open_part(READY, "kernel"))

    def test_another_version_begins_anew(self) -> None:
        self.store()
        self.cache.remember(STAMP, ONE)
        self.patch(cache, "__version__", "0.0.0")
        self.assertIsNone(self.cache.load(ONE))
        self.assertIsNone(self.cache.recall(STAMP))

    def test_an_index_that_names_no_digest(self) -> None:
        self.store()
        for text in (
            b"",
            b"x",
            f"{__version__} ../../etc".encode(),
            f"{__version__} {ONE}x".encode(),
            b"\xff" * 300,
        ):
            (self.folder / "index" / str(STAMP)).write_bytes(text)
            self.assertIsNone(self.cache.recall(STAMP), repr(text))

    def test_nothing_half_written_stays(self) -> None:
        class Interrupted(Exception):
            pass

        def interrupted() -> None:
            with self.cache.building() as folder:
                Path(folder, "kernel").write_bytes(b"half")
                raise Interrupted

        self.assertRaises(Interrupted, interrupted)
        self.assertEqual(self.names(), {"index"})
        (self.folder / "tmp-dead").mkdir()
        (self.folder / "tmp-dead" / "kernel").write_bytes(b"half")
        (self.folder / "index" / "tmp-dead").write_bytes(b"half")
        self.store()
        self.cache.prepare()
        self.assertEqual(self.names(), {"index", ONE, f"{ONE}/kernel", f"{ONE}/initrd", f"{ONE}/finding.json"})

    def test_what_a_dead_process_left_is_cleared(self) -> None:
        for folder in (self.folder, self.folder / "index"):
            (folder / "tmp-12-a").write_bytes(b"half")
            (folder / "tmp-123-a").write_bytes(b"at work")
        (self.folder / "tmp-12-b").mkdir()
        (self.folder / "tmp-12-b" / "kernel").write_bytes(b"half")
        self.store()
        self.cache.clear(12)
        kept = {f"{ONE}/{name}" for name in ("kernel", "initrd", "finding.json")}
        self.assertEqual(self.names(), {"index", "tmp-123-a", "index/tmp-123-a", ONE, *kept})
        with self.cache.building():
            self.cache.clear(os.getpid())
            self.assertNotIn(f"tmp-{os.getpid()}", " ".join(self.names()), "the name tells whose it is")
        Cache(str(self.folder / "missing")).clear(12)

    def test_make(self) -> None:
        (self.folder / "index").rmdir()
        self.folder.rmdir()
        for _ in range(2):
            self.cache.make()
            (self.folder / "tmp-1-x").touch()
            self.assertEqual(self.names(), {"index", "tmp-1-x"}, "of a decoder that may be at work")

    def test_room(self) -> None:
        mega = 1 << 20
        for case, blocks, free, size, expected in (
            ("the reserve of a large one", 100_000, 356, 100, True),
            ("and not an octet less", 100_000, 355, 100, False),
            ("a twentieth of a small one", 1000, 150, 100, True),
            ("and not less", 1000, 149, 100, False),
            ("full", 1000, 0, 0, False),
            ("one that does not count", 0, 0, 100, True),
        ):
            status = os.statvfs_result((mega, mega, blocks, free + 10, free, 0, 0, 0, 0, 255))
            self.patch(os, "statvfs", lambda _, status=status: status)
            self.assertEqual(self.cache.has_room(size * mega), expected, case)

    def test_a_part_that_cannot_be_opened_now(self) -> None:
        """That does not mean that it is not there."""
        self.store()
        self.patch(os, "open", self.no_descriptors)
        self.assertRaises(OSError, self.cache.open_part, READY, "kernel")

    def no_descriptors(self, *_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def test_sweep(self) -> None:
        other = Stamp(5, 4, 3, 2, 1)
        self.store()
        self.store(DAMAGED)
        self.cache.remember(STAMP, ONE)
        self.cache.remember(other, TWO)
        self.cache.sweep({STAMP}, {ONE})
        self.assertEqual(
            (self.cache.recall(STAMP), self.cache.recall(other), self.cache.load(TWO)), (READY, None, None)
        )
        self.cache.sweep(set(), set())
        self.assertEqual(self.names(), {"index"})

    def test_what_is_open_outlives_the_sweep(self) -> None:
        self.store()
        descriptor = self.cache.open_part(READY, "kernel")
        assert descriptor is not None
        self.cache.sweep(set(), set())
        self.addCleanup(os.close, descriptor)
        self.assertEqual(os.pread(descriptor, 10, 0), b"xxxxxx")
