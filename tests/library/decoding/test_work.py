"""Tests of `pixelboot.library.decoding.work`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import pixelboot
from pixelboot.library.decoding import work
from pixelboot.library.decoding.cache import Cache
from pixelboot.library.decoding.finding import Finding, FoundPart
from pixelboot.library.folder.look import Stamp
from tests.container.pictures import container, header, picture, rows, text

KERNEL, INITRD = b"kernel " * 9, b"initrd " * 20
GOOD = container({"kernel": KERNEL, "initrd": INITRD}, name="Demo", cmdline="quiet")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(pixelboot.__file__).parents[1])}


def sha256(octets: bytes) -> str:
    """The digest in hex."""
    return hashlib.sha256(octets).hexdigest()


class TestDecode(SynchronousTestCase):
    """The decoder, called in this process."""

    def setUp(self) -> None:
        self.patch(work, "limit_memory", lambda room: None)  # of this process, which lives on
        self.folder = Path(self.mktemp())
        self.cache = Cache(str(self.folder))
        self.cache.prepare()
        self.path = Path(self.mktemp())

    def decode(self, octets: bytes) -> list[Finding]:
        self.path.write_bytes(octets)
        said: list[Finding] = []
        with self.path.open("rb") as file:
            work.decode(file, self.cache, said.append)
        return said

    def test_a_good_picture(self) -> None:
        first, second, last = self.decode(GOOD)
        self.assertEqual((first.state, first.sha256, first.name, first.cmdline), ("decoding", "", "Demo", "quiet"))
        self.assertEqual(first.parts, (FoundPart("kernel", len(KERNEL), ""), FoundPart("initrd", len(INITRD), "")))
        self.assertEqual((second.state, second.sha256), ("decoding", sha256(GOOD)))
        parts = (FoundPart("kernel", len(KERNEL), sha256(KERNEL)), FoundPart("initrd", len(INITRD), sha256(INITRD)))
        self.assertEqual(last, Finding("ready", sha256(GOOD), "", "Demo", cmdline="quiet", parts=parts))
        self.assertEqual((self.folder / sha256(GOOD) / "kernel").read_bytes(), KERNEL)
        self.assertEqual((self.folder / sha256(GOOD) / "initrd").read_bytes(), INITRD)
        self.assertEqual(self.cache.recall(Stamp.of(self.path.stat())), last)
        self.assertEqual(sorted(os.listdir(self.folder)), sorted(["index", sha256(GOOD)]))

    def test_the_same_octets_are_decoded_once(self) -> None:
        last = self.decode(GOOD)[-1]
        status = (self.folder / sha256(GOOD)).stat()
        again = self.decode(GOOD)
        self.assertEqual(([finding.state for finding in again], again[-1]), (["decoding", "ready"], last))
        self.assertEqual((self.folder / sha256(GOOD)).stat(), status)
        (self.folder / sha256(GOOD) / "kernel").write_bytes(b"broken")
        self.assertEqual(self.decode(GOOD)[-1], last, "what is broken in the cache is made anew")
        self.assertEqual((self.folder / sha256(GOOD) / "kernel").read_bytes(), KERNEL)

    def test_other_spellings_and_a_kernel_alone(self) -> None:
        last = self.decode(container({"bzImage": KERNEL}))[-1]
        self.assertEqual([(part.name, part.size) for part in last.parts], [("kernel", len(KERNEL))])
        self.assertEqual(os.listdir(self.folder / last.sha256).count("initrd"), 0)

    def test_damaged_pictures(self) -> None:
        wrong = container({"kernel": KERNEL}, hashes={"kernel": "ab" * 32}, data_hash=None)
        cases = {
            "nothing": (b"", "not a PNG picture"),
            "a text": (b"hello", "not a PNG picture"),
            "a grey pixel": (picture([header(1, colour=0)], b"\0\0"), "not 8-bit RGBA"),
            "no description": (picture([header(4)], rows(b"x", 4)), "no description"),
            "no kernel": (container({"initrd": INITRD}), "no part of it is a kernel"),
            "an empty kernel": (container({"kernel": b"", "initrd": INITRD}), "no part of it is a kernel"),
            "no table": (picture([header(4), text(b"{}")], rows(b"x", 4)), "no part of it is a kernel"),
            "a wrong hash": (wrong, "does not have the SHA-256"),
            "cut off": (GOOD[:-20], "the file ends"),
        }
        for case, (octets, reason) in cases.items():
            last = self.decode(octets)[-1]
            self.assertEqual((last.state, last.sha256, last.parts), ("damaged", sha256(octets), ()), case)
            self.assertIn(reason, last.reason, case)
            self.assertEqual(os.listdir(self.folder / last.sha256), ["finding.json"], case)
            self.assertEqual(self.cache.recall(Stamp.of(self.path.stat())), last, case)

    def test_a_file_that_changes_meanwhile(self) -> None:
        self.path.write_bytes(GOOD)

        def meddle(finding: Finding) -> None:
            os.utime(self.path, (1, 1))

        with self.path.open("rb") as file:
            self.assertRaises(work.Changed, work.decode, file, self.cache, meddle)
        self.assertEqual(os.listdir(self.folder), ["index"], "nothing is kept")
        self.assertEqual(os.listdir(self.folder / "index"), [])

    def test_no_room(self) -> None:
        asked: list[int] = []
        self.patch(self.cache, "has_room", asked.append)
        self.assertRaises(work.NoRoom, self.decode, GOOD)
        self.assertEqual(asked, [len(KERNEL) + len(INITRD)])
        self.assertEqual(os.listdir(self.folder), ["index"], "nothing is kept")


class TestProcess(SynchronousTestCase):
    """The decoder as a process."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        Cache(str(self.folder)).prepare()

    def run_it(self, octets: bytes, folder: str) -> subprocess.CompletedProcess[bytes]:
        path = Path(self.mktemp())
        path.write_bytes(octets)
        command = [sys.executable, "-P", "-m", "pixelboot.library.decoding.work", folder]
        with path.open("rb") as file:
            return subprocess.run(
                command, stdin=file, capture_output=True, check=False, timeout=60, env=ENVIRONMENT, cwd="/"
            )

    def test_it_says_what_it_found(self) -> None:
        done = self.run_it(GOOD, str(self.folder))
        states = [json.loads(line)["state"] for line in done.stdout.splitlines()]
        self.assertEqual((done.returncode, done.stderr, states), (0, b"", ["decoding", "decoding", "ready"]))

    def test_what_is_not_the_pictures_fault(self) -> None:
        done = self.run_it(GOOD, str(self.folder / "missing"))
        self.assertEqual((done.returncode, done.stderr.count(b"\n")), (1, 1))
        self.assertIn(b"it cannot be decoded now: [Errno 2] No such file or directory", done.stderr)

    def test_the_ceiling_of_memory(self) -> None:
        program = (
            "from pixelboot.library.decoding.work import limit_memory\n"
            "limit_memory(64 << 20)\n"
            "small = bytearray(32 << 20)\n"
            "try:\n"
            "    bytearray(65 << 20)\n"
            "except MemoryError:\n"
            "    print('held')\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, check=False, timeout=60, env=ENVIRONMENT
        )
        self.assertEqual((done.stdout, done.stderr), (b"held\n", b""))
