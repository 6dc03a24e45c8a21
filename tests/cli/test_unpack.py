"""Tests of `pixelboot.cli.unpack`."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.cli.unpack import file_names
from pixelboot.container.manifest import Part
from tests.cli.test_pack import command
from tests.container.pictures import container, header, picture, rows, text

PARTS = {"kernel": b"kernel" * 10, "../../initrd": b"initrd" * 20}


class TestUnpack(SynchronousTestCase):
    """The command."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.picture = self.folder / "demo.rts.png"
        self.picture.write_bytes(container(PARTS))
        self.out = self.folder / "new" / "out"

    def test_parts(self) -> None:
        status, out, error = command("unpack", self.picture, "--out", self.out)
        self.assertEqual((status, error), (0, ""))
        self.assertEqual(out, f"{self.out}/kernel: 60 octets\n{self.out}/part-2: 120 octets\n")
        self.assertEqual(sorted(os.listdir(self.out)), ["kernel", "part-2"])
        self.assertEqual((self.out / "part-2").read_bytes(), PARTS["../../initrd"])

    def test_payload(self) -> None:
        payload = self.folder / "payload"
        self.assertEqual(command("unpack", self.picture, "--payload", payload), (0, f"{payload}: 180 octets\n", ""))
        self.assertEqual(payload.read_bytes(), b"".join(PARTS.values()))
        self.picture.write_bytes(picture([header(4), text(b'{"data_size":1}')], rows(b"x", 4)))
        self.assertEqual(command("unpack", self.picture, "--payload", payload, "--force")[0], 0)
        self.assertEqual(payload.read_bytes(), b"x")
        status, _, error = command("unpack", self.picture, "--out", self.out)
        self.assertEqual(
            (status, error.endswith("demo.rts.png has no parts; --payload writes what it holds\n")), (1, True)
        )

    def test_what_exists_is_replaced_by_force_alone(self) -> None:
        self.out.mkdir(parents=True)
        (self.out / "part-2").write_bytes(b"precious")
        status, _, error = command("unpack", self.picture, "--out", self.out)
        self.assertEqual((status, error), (1, f"pixelboot: {self.out}/part-2 exists; --force replaces it\n"))
        self.assertEqual(os.listdir(self.out), ["part-2"])
        self.assertEqual(command("unpack", self.picture, "--out", self.out, "--force")[0], 0)
        self.assertEqual((self.out / "part-2").read_bytes(), PARTS["../../initrd"])

    def test_a_damaged_container_leaves_nothing(self) -> None:
        self.picture.write_bytes(container(PARTS, hashes={"kernel": "ab" * 32}))
        for target in (["--out", self.out], ["--payload", self.out / "payload"]):
            self.out.mkdir(parents=True, exist_ok=True)
            status, out, error = command("unpack", self.picture, *target)
            self.assertEqual((status, out, error.count("\n")), (1, "", 1))
            self.assertIn("demo.rts.png: part 'kernel' does not have the SHA-256", error)
            self.assertEqual(os.listdir(self.out), [])

    def test_errors(self) -> None:
        self.assertIn("No such file or directory", command("unpack", self.folder / "none", "--out", self.out)[2])
        self.assertIn("File exists", command("unpack", self.picture, "--out", self.picture)[2])
        self.assertEqual(command("unpack", self.picture)[0], 2)
        self.assertEqual(command("unpack", self.picture, "--out", "a", "--payload", "b")[0], 2)


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
