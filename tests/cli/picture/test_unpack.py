"""Tests of `pixelboot.cli.picture.unpack`."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.cli.picture.unpack import file_names
from pixelboot.container import reader
from pixelboot.container.signature import public_of
from pixelboot.container.table import Part
from tests.cli.picture.streams import standard
from tests.cli.picture.test_verify import with_signature
from tests.container.pictures import compressed, container, early, header, picture, rows, snapshot, text
from tests.running import command

PARTS = {"kernel": b"kernel" * 10, "../../initrd": b"initrd" * 20}
PAYLOAD = b"".join(PARTS.values())


class TestUnpack(SynchronousTestCase):
    """The command."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.picture = self.folder / "demo.rts.png"
        self.picture.write_bytes(container(PARTS))
        self.out = self.folder / "new" / "out"
        self.payload = self.folder / "payload"

    def test_parts(self) -> None:
        status, out, error = command("unpack", self.picture, "--out", self.out)
        self.assertEqual((status, error), (0, ""))
        self.assertEqual(out, f"{self.out}/kernel: 60 octets\n{self.out}/part-2: 120 octets\n")
        self.assertEqual(sorted(os.listdir(self.out)), ["kernel", "part-2"])
        self.assertEqual((self.out / "part-2").read_bytes(), PARTS["../../initrd"])

    def test_payload(self) -> None:
        told = (0, f"{self.payload}: 180 octets\n", "")
        self.assertEqual(command("unpack", self.picture, "--payload", self.payload), told)
        self.assertEqual(self.payload.read_bytes(), PAYLOAD)
        self.picture.write_bytes(picture([header(4), text(b'{"data_size":1}')], rows(b"x", 4)))
        self.assertEqual(command("unpack", self.picture, "-q", "--payload", self.payload, "--force"), (0, "", ""))
        self.assertEqual(self.payload.read_bytes(), b"x")

    def test_a_payload_without_parts(self) -> None:
        self.picture.write_bytes(picture([header(4), text(b'{"data_size":1}')], rows(b"x", 4)))
        told = (0, f"{self.out}/payload: 1 octets\n", "")
        self.assertEqual(command("unpack", self.picture, "--out", self.out), told)
        self.assertEqual((self.out / "payload").read_bytes(), b"x")

    def test_described_beside_it(self) -> None:
        self.picture.write_bytes(picture([header(8)], rows(PAYLOAD, 8)))
        for beside in ("demo.rts.png.meta.json", "demo.rts.meta.json"):
            (self.folder / beside).write_bytes(early(PARTS))
            self.assertEqual(command("unpack", self.picture, "--out", self.out, "--force")[0], 0, beside)
            self.assertEqual((self.out / "kernel").read_bytes(), PARTS["kernel"])
            (self.folder / beside).unlink()
        self.assertEqual(command("unpack", self.picture, "--out", self.out, "--force")[0], 1)

    def test_compressed_without_a_size(self) -> None:
        """Only reading it tells how long it is."""
        self.picture.write_bytes(compressed({"kernel": PAYLOAD}, 16, "zstd", data_size=None, offsets=None))
        told = f"{self.payload}: 180 octets\n"
        self.assertEqual(command("unpack", self.picture, "--payload", self.payload), (0, told, ""))
        self.assertIn("payload         of unknown size, SHA-256 ", command("inspect", self.picture)[1])

    def test_who_signed_it(self) -> None:
        key = Ed25519PrivateKey.generate()
        for old, told in ((False, "signed by {}\n"), (True, "signed by {}, which does not cover the description\n")):
            self.picture.write_bytes(with_signature(key, old=old))
            status, out, _ = command("unpack", self.picture, "--payload", self.payload, "--force")
            self.assertEqual((status, out.partition("\n")[2]), (0, told.format(public_of(key))))
        self.picture.write_bytes(with_signature(key, forged={"cmdline": "init=/bin/sh"}))
        error = command("unpack", self.picture, "--payload", self.payload, "--force")[2]
        self.assertIn("the signature of the description is wrong", error)

    def test_standard_input_and_output(self) -> None:
        octets = self.picture.read_bytes()
        told = "standard output: 180 octets\n"
        self.assertEqual(standard(octets, "unpack", "-", "--payload", "-"), (0, PAYLOAD, told))
        self.assertEqual(standard(octets, "unpack", "-", "--out", self.out)[0], 0)
        self.assertEqual((self.out / "kernel").read_bytes(), PARTS["kernel"])

    def test_standard_output_gets_all_or_nothing(self) -> None:
        self.picture.write_bytes(container(PARTS, hashes={"kernel": "ab" * 32}))
        status, out, error = standard(b"", "unpack", self.picture, "--payload", "-")
        self.assertEqual((status, out), (1, b""))
        self.assertIn("part 'kernel' does not have the SHA-256", error)
        status, out, error = standard(b"", "unpack", self.picture, "--payload", "-", terminal=True)
        self.assertEqual((status, out), (1, b""))
        self.assertIn("standard output is a terminal", error)

    def test_what_exists_is_replaced_by_force_alone(self) -> None:
        self.out.mkdir(parents=True)
        (self.out / "part-2").write_bytes(b"precious")
        status, _, error = command("unpack", self.picture, "--out", self.out)
        self.assertEqual((status, error), (1, f"pixelboot: {self.out}/part-2 exists; --force replaces it\n"))
        self.assertEqual(os.listdir(self.out), ["part-2"])
        self.assertEqual(command("unpack", self.picture, "--out", self.out, "--force")[0], 0)
        self.assertEqual((self.out / "part-2").read_bytes(), PARTS["../../initrd"])

    def test_no_folder_is_not_this_folder(self) -> None:
        """A script whose variable is empty does not strew files about."""
        status, out, error = standard(b"", "unpack", self.picture, "--out", "")
        self.assertEqual((status, out), (2, b""))
        self.assertIn("argument --out: must be the name of a folder", error)

    def test_a_damaged_container_leaves_nothing(self) -> None:
        """Neither files nor folders; a folder that was there stays."""
        self.picture.write_bytes(container(PARTS, hashes={"kernel": "ab" * 32}))
        for there in (False, True):
            if there:
                self.out.mkdir(parents=True)
            for target in (["--out", self.out], ["--payload", self.payload]):
                status, out, error = command("unpack", self.picture, *target)
                self.assertEqual((status, out, error.count("\n")), (1, "", 1))
                self.assertIn("demo.rts.png: part 'kernel' does not have the SHA-256", error)
                self.assertEqual(self.out.exists(), there)
                self.assertEqual(set(os.listdir(self.folder)), {"demo.rts.png"} | ({"new"} if there else set()))
        self.assertEqual(os.listdir(self.out), [])

    def test_ended_in_the_middle(self) -> None:
        """Ctrl-C, or what a system sends when it is switched off."""
        unpack = reader.unpack

        def ended(number: int) -> Callable[..., reader.Unpacked]:
            def end(*arguments: object, **keywords: object) -> reader.Unpacked:
                unpacked = unpack(*arguments, **keywords)  # type: ignore[arg-type]
                self.assertEqual(len(os.listdir(self.out)), 2, "the files are being written")
                os.kill(os.getpid(), number)
                return unpacked

            return end

        for number, expected in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            self.patch(reader, "unpack", ended(number))
            self.assertEqual(command("unpack", self.picture, "--out", self.out), (expected, "", ""))
            self.assertEqual(os.listdir(self.folder), ["demo.rts.png"])

    def test_errors(self) -> None:
        self.assertIn("No such file or directory", command("unpack", self.folder / "none", "--out", self.out)[2])
        self.assertIn("File exists", command("unpack", self.picture, "--out", self.picture)[2])
        self.assertEqual(command("unpack", self.picture)[0], 2)
        self.assertEqual(command("unpack", self.picture, "--out", "a", "--payload", "b")[0], 2)
        error = command("unpack", self.picture, "--payload", self.folder, "--force")[2]
        self.assertEqual(error, f"pixelboot: {self.folder} exists and is not a regular file\n")
        self.picture.write_bytes(snapshot())
        for target in (["--out", self.out], ["--payload", self.payload]):
            self.assertIn("a virtual machine's snapshot", command("unpack", self.picture, *target)[2])


class TestFileNames(SynchronousTestCase):
    """No name leads anywhere."""

    def test_hostile_names(self) -> None:
        names = [
            "kernel",
            "KERNEL",
            "../x",
            "/etc/passwd",
            "..",
            ".",
            "-rf",
            "a b",
            "part-1",
            "initrd.img",
            "x" * 101,
            "ü",
            "CON:",
        ]
        expected = [
            "kernel",
            *(f"part-{number}" for number in range(2, 10)),
            "initrd.img",
            "part-11",
            "part-12",
            "part-13",
        ]
        self.assertEqual(file_names([Part(name, 0, 0) for name in names]), expected)
