"""Tests of `pixelboot.library.decoding.cache`."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.decoding import cache
from pixelboot.library.decoding.cache import Cache
from pixelboot.library.decoding.finding import Finding, FoundPart
from pixelboot.library.folder.look import Stamp

ONE, TWO = "ab" * 32, "cd" * 32
SEEN, OTHER = "1-2-3-4-5", "1-2-3-4-5+6-7-8-9-a"
READY = Finding("ready", TWO, name="demo", key=ONE, parts=(FoundPart("kernel", 6, TWO), FoundPart("initrd", 0, TWO)))
DAMAGED = Finding("damaged", TWO, "why", key=TWO)
EMPTY = {"index", "findings", "parts"}
STORED = {
    f"findings/{ONE}.json",
    f"parts/{ONE}",
    *(f"parts/{ONE}/{name}" for name in ("kernel", "initrd", "parts.json")),
}


class TestCache(SynchronousTestCase):
    """The folder."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.cache = Cache(str(self.folder))
        self.cache.prepare()
        self.parts = self.folder / "parts" / ONE

    def store(self, finding: Finding = READY) -> None:
        if finding.parts:
            with self.cache.building() as folder:
                for part in finding.parts:
                    Path(folder, part.name).write_bytes(b"x" * part.size)
                self.cache.store_parts(folder, finding)
        self.cache.store(finding)

    def names(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}

    def octets(self, finding: Finding, name: str) -> bytes | None:
        """What can be opened as this part."""
        opened = self.cache.open_part(finding, name)
        if opened is None:
            return None
        with open(opened[0], "rb") as file:
            self.assertEqual(opened[1], Stamp.of(os.fstat(file.fileno())))
            return file.read()

    def test_what_is_stored_is_found(self) -> None:
        self.assertEqual((self.cache.load(ONE), self.cache.holds(READY)), (None, False))
        self.assertEqual((self.cache.is_new, Cache("/there/is/none").is_new), (True, True))
        self.store()
        self.store(DAMAGED)
        self.assertEqual((self.cache.load(ONE), self.cache.load(TWO)), (READY, DAMAGED))
        self.assertEqual((self.cache.holds(READY), self.cache.holds(DAMAGED)), (True, False))
        self.assertIsNone(self.cache.recall(SEEN))
        self.cache.remember(SEEN, ONE)
        self.assertEqual((self.cache.recall(SEEN), self.cache.recall(OTHER)), (READY, None))
        self.cache.remember(SEEN, TWO)
        self.assertEqual(self.cache.recall(SEEN), DAMAGED)
        self.assertEqual((self.octets(READY, "kernel"), self.octets(READY, "initrd")), (b"xxxxxx", b""))
        self.assertEqual((self.octets(READY, "dtb"), self.octets(DAMAGED, "kernel")), (None, None))
        self.assertEqual(self.names(), EMPTY | STORED | {f"findings/{TWO}.json", f"index/{SEEN}"})

    def test_a_part_that_somebody_touched_counts_as_absent(self) -> None:
        kernel = self.parts / "kernel"

        def alter() -> None:
            """As many octets as before, and the time set back."""
            status = kernel.stat()
            kernel.write_bytes(b"xxxxxy")
            os.utime(kernel, ns=(status.st_atime_ns, status.st_mtime_ns))

        def replace_it() -> None:
            (self.parts / "new").write_bytes(b"xxxxxx")
            (self.parts / "new").rename(kernel)

        def link() -> None:
            kernel.rename(self.parts / "away")
            kernel.symlink_to("away")

        def folder() -> None:
            kernel.unlink()
            kernel.mkdir()

        def file() -> None:
            self.cache.evict(ONE)
            self.parts.touch()

        breaks: dict[str, Callable[[], object]] = {
            "gone": kernel.unlink,
            "too short": lambda: kernel.write_bytes(b"x"),
            "altered": alter,
            "replaced": replace_it,
            "a link": link,
            "another mode": lambda: kernel.chmod(0o777),
            "a folder": folder,
            "no note": (self.parts / "parts.json").unlink,
            "half a note": lambda: (self.parts / "parts.json").write_bytes(b'{"kernel":'),
            "a wrong note": lambda: (self.parts / "parts.json").write_bytes(b'["kernel"]'),
            "a file in their place": file,
        }
        for case, break_it in breaks.items():
            self.store()
            self.assertTrue(self.cache.holds(READY), case)
            break_it()
            self.assertEqual((self.cache.holds(READY), self.octets(READY, "kernel")), (False, None), case)
            self.assertEqual(self.cache.load(ONE), READY, "what was found out is still true")
        self.store()
        self.assertEqual(self.octets(READY, "kernel"), b"xxxxxx")
        self.assertEqual(self.names(), EMPTY | STORED)

    def test_a_broken_finding_counts_as_absent(self) -> None:
        place = self.folder / "findings" / f"{ONE}.json"
        self.store()
        whole = place.read_bytes()
        cases = {
            "nothing": b"",
            "cut off": whole[:50],
            "zeros": bytes(len(whole)),
            "no line": b"x",
            "two": whole + whole,
        }
        for case, octets in cases.items():
            place.write_bytes(octets)
            self.assertIsNone(self.cache.load(ONE), case)
        for case, finding in (("another's", DAMAGED), ("not final", replace(READY, state="decoding"))):
            self.cache.store(replace(finding, key=TWO))
            (self.folder / "findings" / f"{TWO}.json").rename(place)
            self.assertIsNone(self.cache.load(ONE), case)
        self.cache.store(replace(READY, state="untrusted"))
        self.assertIsNone(self.cache.load(ONE), "that is not the cache's to say")

    def test_another_version_or_limit_begins_anew(self) -> None:
        self.store()
        self.cache.remember(SEEN, ONE)
        other = Cache(str(self.folder), 8192)
        self.assertEqual((other.load(ONE), other.recall(SEEN)), (None, None))
        self.patch(cache, "__version__", "0.0.0")
        other = Cache(str(self.folder))
        self.assertEqual((other.load(ONE), other.recall(SEEN)), (None, None))

    def test_an_index_that_names_no_key(self) -> None:
        self.store()
        self.cache.remember(SEEN, ONE)
        place = self.folder / "index" / SEEN
        whole = place.read_bytes()
        for octets in (b"", b"x", whole[:-1], whole + b"x", whole[:-64] + b"../../etc", b"\xff" * 300):
            place.write_bytes(octets)
            self.assertIsNone(self.cache.recall(SEEN), repr(octets))
        for name in ("", ".", "x" * 300, "a\0b"):
            self.assertIsNone(self.cache.recall(name), repr(name))

    def test_two_decoders_with_copies_of_one_picture(self) -> None:
        with self.cache.building() as first, self.cache.building() as second:
            for folder in (first, second):
                for part in READY.parts:
                    Path(folder, part.name).write_bytes(b"x" * part.size)
            self.cache.store_parts(first, READY)
            inode = self.parts.stat().st_ino
            self.cache.store_parts(second, READY)
            self.assertEqual(self.parts.stat().st_ino, inode, "what may be in use stays")
        self.assertEqual((self.octets(READY, "kernel"), len(self.names())), (b"xxxxxx", len(EMPTY | STORED) - 1))

    def test_nothing_half_written_stays(self) -> None:
        class Interrupted(Exception):
            pass

        def interrupted() -> None:
            with self.cache.building() as folder:
                Path(folder, "kernel").write_bytes(b"half")
                raise Interrupted

        self.assertRaises(Interrupted, interrupted)
        self.patch(os, "rename", self.full)
        self.assertRaises(OSError, self.store)
        self.assertRaises(OSError, self.cache.remember, SEEN, ONE)
        self.assertEqual(self.names(), EMPTY)

    def full(self, *_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def test_prepare_clears(self) -> None:
        (self.folder / "tmp-dead").mkdir()
        (self.folder / "tmp-dead" / "kernel").write_bytes(b"half")
        (self.folder / "tmp-1-x").write_bytes(b"half")
        (self.folder / TWO).mkdir()
        (self.folder / TWO / "finding.json").write_bytes(b"as earlier versions laid it out")
        (self.folder / "else").mkdir()
        self.store()
        self.cache.prepare()
        self.assertEqual(self.names(), EMPTY | STORED | {"else"})

    def test_what_a_dead_process_left_is_cleared(self) -> None:
        (self.folder / "tmp-12-a").write_bytes(b"half")
        (self.folder / "tmp-123-a").write_bytes(b"at work")
        (self.folder / "tmp-12-b").mkdir()
        (self.folder / "tmp-12-b" / "kernel").write_bytes(b"half")
        self.cache.clear(12)
        self.assertEqual(self.names(), EMPTY | {"tmp-123-a"})
        with self.cache.building():
            self.cache.clear(os.getpid())
            self.assertNotIn(f"tmp-{os.getpid()}", " ".join(self.names()), "the name tells whose it is")
        Cache(str(self.folder / "missing")).clear(12)

    def test_make(self) -> None:
        for name in EMPTY:
            (self.folder / name).rmdir()
        self.folder.rmdir()
        for _ in range(2):
            self.cache.make()
            (self.folder / "tmp-1-x").touch()
            self.assertEqual(self.names(), EMPTY | {"tmp-1-x"}, "of a decoder that may be at work")

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

    def test_usage_and_eviction(self) -> None:
        self.assertEqual(self.cache.usage(), {})
        self.store()
        self.store(DAMAGED)
        os.utime(self.parts, (5, 5))
        size, used_at = self.cache.usage()[ONE]
        self.assertEqual(
            (len(self.cache.usage()), size, used_at), (1, 6 + (self.parts / "parts.json").stat().st_size, 5)
        )
        self.cache.touch(ONE)
        self.assertGreater(self.cache.usage()[ONE][1], 1e9)
        self.assertTrue(self.cache.holds(READY), "a use changes nothing")
        opened = self.cache.open_part(READY, "kernel")
        assert opened is not None
        descriptor, _ = opened
        self.addCleanup(os.close, descriptor)
        for _ in range(2):
            self.cache.evict(ONE)
            self.cache.touch(ONE)
            self.assertEqual((self.cache.usage(), self.cache.holds(READY), self.cache.load(ONE)), ({}, False, READY))
        self.assertEqual(os.pread(descriptor, 10, 0), b"xxxxxx", "what is being sent can be sent to its end")
        self.assertEqual(self.names(), EMPTY | {f"findings/{ONE}.json", f"findings/{TWO}.json"})

    def test_sweep(self) -> None:
        self.store()
        self.store(DAMAGED)
        self.cache.remember(SEEN, ONE)
        self.cache.remember(OTHER, TWO)
        self.cache.sweep({SEEN}, {ONE})
        self.assertEqual(self.names(), EMPTY | STORED | {f"index/{SEEN}"})
        self.cache.sweep(set(), set())
        self.assertEqual(self.names(), EMPTY)
