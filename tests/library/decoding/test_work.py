"""Tests of `pixelboot.library.decoding.work`."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import pixelboot
from pixelboot.container import reader
from pixelboot.library.decoding import work
from pixelboot.library.decoding.cache import Cache
from pixelboot.library.decoding.finding import Finding, FoundPart
from pixelboot.library.decoding.order import FULL, READY, STALE, Ended, Order, Task
from pixelboot.library.folder import look
from pixelboot.library.folder.look import Seen, Unreadable
from pixelboot.malformed import Malformed
from tests.container.pictures import container, description, header, picture, rows, text

KERNEL, INITRD = b"kernel " * 9, b"initrd " * 20
GOOD = container({"bzImage": KERNEL, "initrd": INITRD}, name="Demo", cmdline="quiet", type="boot")
PARTS = (("kernel", len(KERNEL), "bzImage"), ("initrd", len(INITRD), "initrd"))
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(pixelboot.__file__).parents[1])}


def sha256(octets: bytes) -> str:
    """The digest in hex."""
    return hashlib.sha256(octets).hexdigest()


def bz_image(release: str) -> bytes:
    """A kernel for x86-64 that says which release it is."""
    head = bytearray(1024)
    head[0x1FE:0x206] = b"\x55\xaa\xeb\x66HdrS"
    struct.pack_into("<H", head, 0x206, 0x20F)
    struct.pack_into("<H", head, 0x20E, 0x100)
    struct.pack_into("<H", head, 0x236, 1)
    head[0x300 : 0x300 + len(release)] = release.encode("ascii")
    return bytes(head)


class PictureCase(SynchronousTestCase):
    """A folder with a picture, and a cache."""

    def setUp(self) -> None:
        self.patch(work, "limit_memory", lambda room: None)  # of this process, which lives on
        self.root = Path(self.mktemp()).resolve()
        self.root.mkdir()
        self.path = self.root / "demo.rts.png"
        self.folder = Path(self.mktemp()).resolve()
        self.cache = Cache(str(self.folder))
        self.cache.prepare()
        self.said: list[Finding] = []

    def put(self, octets: bytes, sidecar: bytes | None = None) -> Seen:
        """Put the picture there, and look."""
        self.path.write_bytes(octets)
        if sidecar is not None:
            (self.root / "demo.rts.meta.json").write_bytes(sidecar)
        (seen,) = look.look(str(self.root))
        return seen

    def do(self, task: Task, seen: Seen, **settings: int) -> list[Finding]:
        """What is said when this is asked for."""
        self.said = []
        work.Decoder(self.cache, **settings).do(Order(task, seen), self.said.append)
        return self.said

    def kept(self) -> set[str]:
        """What is in the cache, except the state of the file."""
        names = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}
        return {name for name in names if not name.startswith("index/")}


class TestDecoder(PictureCase):
    """The decoder, called in this process."""

    def test_examine(self) -> None:
        (finding,) = self.do("examine", self.put(GOOD))
        parts = tuple(
            FoundPart(name, size, sha256(octets), label)
            for (name, size, label), octets in zip(PARTS, (KERNEL, INITRD), strict=True)
        )
        expected = Finding(name="Demo", cmdline="quiet", type="boot", format="PixelRTS-2.0", parts=parts)
        self.assertEqual((finding, self.kept()), (expected, set()))
        self.assertIsNone(self.cache.recall(self.put(GOOD).key), "that is no result")

    def test_examine_does_not_look_at_pixels(self) -> None:
        for case, octets in (("cut off", GOOD[:-20]), ("a wrong CRC", GOOD[:-20] + b"wrong" + GOOD[-15:])):
            self.assertEqual([finding.state for finding in self.do("examine", self.put(octets))], ["decoding"], case)

    def test_verify_and_decode(self) -> None:
        seen = self.put(GOOD)
        last, key = Finding(), sha256(GOOD)
        cases: tuple[tuple[Task, set[str]], ...] = (("verify", set()), ("decode", {"kernel", "initrd", "parts.json"}))
        for task, files in cases:
            first, second, last = self.do(task, seen)
            self.assertEqual((first.state, first.sha256, first.name), ("decoding", "", "Demo"), task)
            self.assertEqual((second.state, second.sha256, second.key), ("decoding", sha256(GOOD), sha256(GOOD)), task)
            self.assertEqual(last, replace(second, state="ready"), task)
            self.assertEqual(self.cache.recall(seen.key), last, task)
            self.assertEqual(self.kept(), {f"findings/{key}.json", *(f"parts/{key}/{name}" for name in files)}, task)
        self.assertTrue(self.cache.holds(last))
        self.assertEqual((self.folder / "parts" / key / "kernel").read_bytes(), KERNEL)
        self.assertEqual((self.folder / "parts" / key / "initrd").read_bytes(), INITRD)

    def test_the_same_octets_are_read_once(self) -> None:
        last = self.do("decode", self.put(GOOD))[-1]
        self.patch(reader, "unpack", self.fail)
        for task in ("verify", "decode"):
            seen = self.put(GOOD)
            said = self.do(task, seen)
            self.assertEqual(([finding.state for finding in said], said[-1]), (["decoding", "ready"], last), task)
            self.assertEqual(self.cache.recall(seen.key), last)

    def test_parts_that_are_gone_are_made_anew(self) -> None:
        last = self.do("decode", self.put(GOOD))[-1]
        kernel = self.folder / "parts" / last.key / "kernel"
        for case, break_it in (
            ("evicted", lambda: self.cache.evict(last.key)),
            ("altered", lambda: kernel.write_bytes(b"x")),
        ):
            break_it()
            self.assertEqual(self.do("verify", self.put(GOOD))[-1], last, case)
            self.assertFalse(self.cache.holds(last), case)
            self.assertEqual(self.do("decode", self.put(GOOD))[-1], last, case)
            self.assertEqual((self.cache.holds(last), kernel.read_bytes()), (True, KERNEL), case)

    def test_a_kernel_that_nobody_named(self) -> None:
        """What it is shows when the pixels are read; then it says what it is for, too."""
        kernel = bz_image("6.1.0 (builder)")
        cases = {
            "no table": (picture([header(32), text(b'{"data_size":1024}')], rows(kernel, 32)), 0, "payload"),
            "strange names": (container({"one": kernel, "two": INITRD}, 32), 0, "one"),
        }
        for case, (octets, known, label) in cases.items():
            seen = self.put(octets)
            (examined,) = self.do("examine", seen)
            self.assertEqual((examined.state, len(examined.parts)), ("decoding", known), case)
            last = self.do("decode", seen)[-1]
            self.assertEqual((last.state, last.kernel_version, last.architecture), ("ready", "6.1.0", "x86_64"), case)
            self.assertEqual(last.part("kernel"), FoundPart("kernel", 1024, sha256(kernel), label), case)
            names = {part.name for part in last.parts} | {"parts.json"}
            self.assertEqual(set(os.listdir(self.folder / "parts" / last.key)), names, case)
            self.assertTrue(self.cache.holds(last), case)
        labelled = container({"kernel": kernel}, 32, kernel_version="mine", architecture="amd64")
        last = self.do("verify", self.put(labelled))[-1]
        self.assertEqual((last.kernel_version, last.architecture), ("mine", "amd64"), "what the maker says goes first")

    def test_what_cannot_be_booted(self) -> None:
        snapshot = picture([header(4), text(b'{"disk_size": 5, "name": "vm"}')], rows(b"", 4))
        cases = {
            "an initrd alone": (container({"initrd": INITRD}), "unbootable", work.NO_KERNEL),
            "a kernel by no name": (
                container({"initrd": b"", "other": bz_image("6")}, 32),
                "unbootable",
                work.NO_KERNEL,
            ),
            "a disk": (container({"disk": INITRD}), "unbootable", work.NO_KERNEL),
            "a snapshot": (snapshot, "unbootable", work.SNAPSHOT),
            "an empty kernel": (container({"kernel": b"", "initrd": INITRD}), "decoding", work.NO_KERNEL),
            "some payload": (picture([header(4), text(b"{}")], rows(b"x", 4)), "decoding", work.NO_KERNEL),
        }
        for case, (octets, at_first, reason) in cases.items():
            seen = self.put(octets)
            (examined,) = self.do("examine", seen)
            self.assertEqual(
                (examined.state, examined.reason), (at_first, reason if at_first != "decoding" else ""), case
            )
            for task in ("decode", "verify"):
                last = self.do(task, seen)[-1]
                self.assertEqual((last.state, last.reason, last.sha256), ("unbootable", reason, sha256(octets)), case)
                self.assertEqual(self.cache.recall(seen.key), last, case)
                self.assertEqual(last.key, last.sha256, case)
        self.assertEqual(os.listdir(self.folder / "parts"), [])

    def test_damaged_pictures(self) -> None:
        wrong = container({"kernel": KERNEL}, hashes={"kernel": "ab" * 32}, data_hash=None)
        cases = {
            "nothing": (b"", "not a PNG picture", True),
            "a text": (b"hello", "not a PNG picture", True),
            "a grey pixel": (picture([header(1, colour=0)], b"\0\0"), "no payload", True),
            "no description": (picture([header(4)], rows(b"x", 4)), "no payload", True),
            "a wrong hash": (wrong, "does not have the SHA-256", False),
            "cut off": (GOOD[:-20], "the file ends", False),
            "a disk that is not": (
                container({"disk": INITRD}, data_hash="ab" * 32),
                "does not have the SHA-256",
                False,
            ),
        }
        for case, (octets, reason, at_once) in cases.items():
            seen = self.put(octets)
            (examined,) = self.do("examine", seen)
            self.assertEqual(examined.state == "damaged", at_once, case)
            for task in ("decode", "verify"):
                last = self.do(task, seen)[-1]
                self.assertEqual((last.state, last.sha256, last.parts), ("damaged", sha256(octets), ()), case)
                self.assertIn(reason, last.reason, case)
                self.assertEqual(self.cache.recall(seen.key), last, case)
        self.assertEqual(os.listdir(self.folder / "parts"), [], "nothing of them is kept")

    def test_the_limit_of_sides(self) -> None:
        (finding,) = self.do("examine", self.put(GOOD), side_limit=4)
        self.assertEqual(finding.state, "damaged")
        self.assertIn("above the limit of 4", finding.reason)

    def test_a_sidecar(self) -> None:
        bare = picture([header(8)], rows(KERNEL, 8))
        keys = set()
        for name in ("one", "two"):
            seen = self.put(bare, description({"kernel": KERNEL}, name=name))
            self.assertEqual([finding.name for finding in self.do("examine", seen)], [name])
            last = self.do("decode", seen)[-1]
            self.assertEqual((last.state, last.name, last.sha256), ("ready", name, sha256(bare)))
            self.assertEqual(self.cache.recall(seen.key), last)
            keys |= {last.key}
        last = self.do("decode", self.put(bare, b"{"))[-1]
        self.assertEqual((last.state, last.sha256), ("damaged", sha256(bare)))
        (self.root / "demo.rts.meta.json").unlink()
        last = self.do("decode", self.put(bare))[-1]
        self.assertEqual((last.state, last.key), ("damaged", sha256(bare)), "that was another picture")
        self.assertEqual(len(keys | {sha256(bare)}), 3)
        last = self.do("decode", self.put(GOOD, b"{"))[-1]
        self.assertEqual((last.name, last.key), ("Demo", sha256(GOOD)), "a description in the picture counts alone")

    def test_a_sidecar_that_cannot_be_read(self) -> None:
        """It is missed only where it is needed."""
        missed = "the sidecar demo.rts.meta.json cannot be read"
        for octets, state in ((GOOD, "ready"), (picture([header(8)], rows(KERNEL, 8)), "damaged")):
            last = self.do("verify", self.put(octets, b"x" * (look.LARGEST_SIDECAR + 1)))[-1]
            self.assertEqual((last.state, missed in last.reason), (state, state == "damaged"))

    def test_a_file_that_is_not_as_it_was(self) -> None:
        seen = self.put(GOOD)
        os.utime(self.path, (1, 1))
        self.assertRaises(work.Changed, self.do, "examine", seen)
        self.path.unlink()
        self.assertRaises(Unreadable, self.do, "decode", seen)
        self.assertEqual((self.said, self.kept()), ([], set()))

    def test_a_file_that_changes_meanwhile(self) -> None:
        unpack, examine = reader.unpack, reader.examine

        def meddling(do: Callable[..., object]) -> Callable[..., object]:
            def meddle(*args: object, **settings: object) -> object:
                os.utime(self.path, (1, 1))
                return do(*args, **settings)

            return meddle

        for task, name, do in (
            ("examine", "examine", examine),
            ("decode", "unpack", unpack),
            ("verify", "unpack", unpack),
        ):
            patch = self.patch(reader, name, meddling(do))
            self.assertRaises(work.Changed, self.do, task, self.put(GOOD))
            patch.restore()
        self.patch(reader, "examine", meddling(examine))
        self.assertRaises(work.Changed, self.do, "verify", self.put(b"damaged, or so it seems"))
        self.assertEqual((self.kept(), os.listdir(self.folder / "index")), (set(), []), "nothing is kept")

    def test_no_room(self) -> None:
        asked: list[int] = []
        self.patch(self.cache, "has_room", asked.append)
        self.assertRaises(work.NoRoom, self.do, "decode", self.put(GOOD))
        self.assertEqual((asked, self.kept()), ([len(KERNEL) + len(INITRD)], set()))
        self.assertEqual(self.do("verify", self.put(GOOD))[-1].state, "ready", "that takes none")

    def test_no_room_for_what_was_found_out(self) -> None:
        """Not even a few octets: it is found out, and not remembered; any other error is one."""
        for name in ("store", "remember"):
            for number, fine in ((errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EIO, False)):

                def fail(*_: object, number: int = number) -> None:
                    raise OSError(number, os.strerror(number))

                patch = self.patch(self.cache, name, fail)
                if fine:
                    self.assertEqual(self.do("verify", self.put(GOOD))[-1].state, "ready", name)
                else:
                    self.assertRaises(OSError, self.do, "verify", self.put(GOOD))
                patch.restore()
            self.cache.sweep((), ())

    def test_the_server_is_gone(self) -> None:
        ours, theirs = os.pipe()
        self.addCleanup(os.close, ours)
        self.assertEqual(self.do("verify", self.put(GOOD), server=ours)[-1].state, "ready")
        os.close(theirs)
        self.cache.sweep(set(), set())
        self.assertRaises(BrokenPipeError, self.do, "decode", self.put(GOOD), server=ours)
        self.assertEqual((self.kept(), os.listdir(self.folder / "parts")), (set(), []))


class TestServe(PictureCase):
    """Orders and answers."""

    def serve(self, *pieces: bytes) -> list[bytes]:
        """The lines that are said when these pieces arrive."""
        left = [*pieces, b""]
        answers = io.BytesIO()
        work.serve(lambda _: left.pop(0), answers, work.Decoder(self.cache))
        lines = answers.getvalue().splitlines()
        self.assertEqual(lines[0], READY)
        return lines[1:]

    def test_one_after_the_other(self) -> None:
        seen = self.put(GOOD)
        orders = Order("examine", seen).write() * 2 + Order("verify", replace(seen, file_name="other.rts.png")).write()
        whole = self.serve(orders)
        self.assertEqual([line[:1] for line in whole], [b"[", b"{", b"[", b"{", b"{"])
        problems = [Ended.read(line).problem for line in whole if line[:1] == b"{"]
        self.assertEqual(problems[:2], [None, None])
        self.assertEqual(problems[2], STALE)
        self.assertGreater(Ended.read(whole[1]).resident, 1 << 20)
        octets = [orders[at : at + 1] for at in range(len(orders))]
        self.assertEqual([line[:1] for line in self.serve(*octets)], [line[:1] for line in whole], "an octet at a time")

    def test_nonsense(self) -> None:
        self.assertRaises(Malformed, self.serve, b"x\n")
        self.assertRaises(Malformed, self.serve, *[b"x" * 60_000] * 2)

    def test_what_is_not_the_pictures_fault(self) -> None:
        cases: dict[str, BaseException] = {
            FULL: OSError(errno.ENOSPC, "full"),
            "there is not enough memory to decode it": MemoryError(),
            "the system says: broken": OSError(errno.EIO, "broken"),
            STALE: work.Changed(),
            "the file cannot be opened: for some reason": Unreadable("the file cannot be opened: for some reason"),
        }
        seen = self.put(GOOD)
        for problem, error in cases.items():

            def fail(*_: object, error: BaseException = error, **__: object) -> None:
                raise error

            patch = self.patch(reader, "unpack", fail)
            last = self.serve(Order("decode", seen).write())[-1]
            self.assertEqual((Ended.read(last).problem, self.kept()), (problem, set()))
            patch.restore()
        self.patch(reader, "unpack", lambda *_, **__: 1 / 0)
        self.assertRaises(ZeroDivisionError, self.serve, Order("decode", seen).write())
        self.assertEqual(os.listdir(self.folder / "parts"), [])


class TestProcess(PictureCase):
    """The decoder as a process."""

    def test_it_ends_with_its_input(self) -> None:
        command = [sys.executable, "-P", "-m", "pixelboot.library.decoding.work", str(self.folder)]
        order = Order("decode", self.put(GOOD)).write()
        done = subprocess.run(
            command, input=order, capture_output=True, check=False, timeout=60, env=ENVIRONMENT, cwd="/"
        )
        first, *lines = done.stdout.splitlines()
        self.assertEqual((done.returncode, done.stderr, first), (0, b"", READY))
        self.assertEqual(json.loads(lines[0])[0], "decoding")

    def test_the_ceiling_of_memory(self) -> None:
        program = (
            "import os, resource\n"
            "from pixelboot.library.decoding.work import give_way, limit_memory\n"
            "give_way()\n"
            "for room in (40, 64):\n"
            "    limit_memory(room << 20)\n"
            "    small = bytearray(32 << 20)\n"
            "    try:\n"
            "        bytearray((room + 1) << 20)\n"
            "    except MemoryError:\n"
            "        print('held')\n"
            "    del small\n"
            "print(os.nice(0), resource.getrlimit(resource.RLIMIT_CORE))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, check=False, timeout=60, env=ENVIRONMENT
        )
        self.assertEqual((done.stdout, done.stderr), (b"held\nheld\n19 (0, 0)\n", b""))
