"""Tests of `pixelboot.cli.inspect`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.test_pack import command
from tests.container.pictures import container, header, picture, rows, text


class TestInspect(SynchronousTestCase):
    """The command."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_a_person_reads_it(self) -> None:
        kernel = b"k" * 100
        labels: dict[str, Any] = {"cmdline": "quiet", "name": "a\n\x1b[31mb"}
        self.path.write_bytes(container({"kernel": kernel}, data_hash="ab" * 32, **labels))
        status, out, error = command("inspect", self.path)
        self.assertEqual((status, error), (0, ""), "the pixels are not read, so a wrong digest is not seen")
        self.assertEqual(
            out.splitlines(),
            [
                "name            a\\n\\x1b[31mb",
                "cmdline         quiet",
                "picture         8×8 pixels",
                f"payload         100 octets, SHA-256 {'ab' * 32}",
                "",
                "part              offset      octets  SHA-256",
                f"kernel                 0         100  {hashlib.sha256(kernel).hexdigest()}",
            ],
        )

    def test_a_program_reads_it(self) -> None:
        self.path.write_bytes(container({"vmlinuz": b"k" * 100, "dtb": b"d"}, name="a\nb", hashes=None))
        status, out, _ = command("inspect", self.path, "--json")
        found = json.loads(out)
        self.assertEqual(status, 0)
        self.assertEqual((found["name"], found["side"], found["size"]), ("a\nb", 8, 101))
        kernel = {"name": "vmlinuz", "offset": 0, "size": 100, "sha256": None, "role": "kernel"}
        self.assertEqual(
            found["parts"], [kernel, {"name": "dtb", "offset": 100, "size": 1, "sha256": None, "role": None}]
        )

    def test_no_parts(self) -> None:
        self.path.write_bytes(picture([header(4), text(b"{}")], rows(b"x", 4)))
        self.assertIn("no parts", command("inspect", self.path)[1])

    def test_errors(self) -> None:
        cases = [
            (b"hello", "this is not a PNG picture"),
            (container({"kernel": b"k"})[:100], "the file ends within a chunk tEXt"),
            (container({"x\u202ey": b"k"}, hashes=None), "a part has the name 'x\\u202ey'"),
            (container({"kernel": b"k"}, compression={"type": "zlib"}), "('zlib') is not supported yet"),
        ]
        for octets, reason in cases:
            self.path.write_bytes(octets)
            status, out, error = command("inspect", self.path)
            self.assertEqual((status, out, error.count("\n")), (1, "", 1))
            self.assertTrue(error.startswith(f"pixelboot: {self.path}: ") and reason in error, error)
        self.assertIn("none: No such file or directory", command("inspect", self.path.with_name("none"))[2])
        self.assertIn("Is a directory", command("inspect", self.path.parent)[2])
