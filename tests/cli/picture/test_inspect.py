"""Tests of `pixelboot.cli.picture.inspect`."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.container.signature import public_of
from tests.cli.picture.streams import standard
from tests.cli.picture.test_verify import with_signature
from tests.container.pictures import code_mode, compressed, container, early, header, picture, rows, snapshot, text
from tests.running import command

PARTS = {"kernel": b"k" * 100}
SHA256 = hashlib.sha256(PARTS["kernel"]).hexdigest()


class TestInspect(SynchronousTestCase):
    """The command."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_a_person_reads_it(self) -> None:
        labels: dict[str, Any] = {"cmdline": "quiet", "name": "a\n\x1b[31mb"}
        self.path.write_bytes(container(PARTS, data_hash="ab" * 32, **labels))
        status, out, error = command("inspect", self.path)
        self.assertEqual((status, error), (0, ""), "the pixels are not read, so a wrong digest is not seen")
        self.assertEqual(
            out.splitlines(),
            [
                "name            a\\n\\x1b[31mb",
                "cmdline         quiet",
                "picture         8×8 pixels, PixelRTS-2.0, RGBA-dense",
                f"payload         100 octets, SHA-256 {'ab' * 32}",
                "signature       none",
                "",
                "part            role          offset      octets  SHA-256",
                f"kernel          kernel             0         100  {SHA256}",
            ],
        )

    def test_what_there_may_be_besides(self) -> None:
        key = Ed25519PrivateKey.generate()
        blueprint = text(b"PixelRTS{}", b"PixelRTS-Blueprint")
        bare = picture([header(8), text(b'{"version":2}'), blueprint], rows(b"", 8))
        cases: list[tuple[bytes, str]] = [
            (with_signature(key), f"signature       {public_of(key)}, over payload and description; not verified"),
            (with_signature(key, old=True), f"{public_of(key)}, over the payload alone; not verified"),
            (compressed(PARTS, 8, "zlib"), r"compression     said to be zstd-h5, \d+ octets in the pixels"),
            (compressed(PARTS, 8, "zlib", padded=True), r"compression     said to be zstd-h5\n"),
            (code_mode(PARTS, 8), "RGBA-code"),
            (snapshot(), "snapshot        of a virtual machine"),
            (bare, "blueprint       10 octets"),
            (bare, "payload         256 octets, SHA-256 not stated"),
        ]
        for octets, told in cases:
            self.path.write_bytes(octets)
            status, out, error = command("inspect", self.path)
            self.assertEqual((status, error), (0, ""), told)
            self.assertRegex(out, told)

    def test_a_sidecar(self) -> None:
        self.path.write_bytes(picture([header(8)], rows(PARTS["kernel"], 8)))
        self.path.with_name("temp.meta.json").write_bytes(early(PARTS))
        self.assertIn("description     in the file beside the picture\n", command("inspect", self.path)[1])
        self.assertTrue(json.loads(command("inspect", self.path, "--json")[1])["from_sidecar"])

    def test_a_program_reads_it(self) -> None:
        self.path.write_bytes(container({"vmlinuz": b"k" * 100, "dtb": b"d"}, name="a\nb", hashes=None))
        status, out, _ = command("inspect", self.path, "--json")
        found = json.loads(out)
        self.assertEqual(status, 0)
        kernel = {"name": "vmlinuz", "offset": 0, "size": 100, "sha256": None, "role": "kernel"}
        tree = {"name": "dtb", "offset": 100, "size": 1, "sha256": None, "role": "dtb"}
        self.assertEqual(
            found,
            {
                "file": str(self.path),
                **dict.fromkeys(("description", "distro", "architecture", "kernel_version", "cmdline"), ""),
                **dict.fromkeys(("type", "content_version", "compression"), ""),
                **dict.fromkeys(("snapshot", "from_sidecar", "blueprint"), False),
                "name": "a\nb",
                "format": "PixelRTS-2.0",
                "side": 8,
                "size": 101,
                "sha256": hashlib.sha256(b"k" * 100 + b"d").hexdigest(),
                "mode": "RGBA-dense",
                "encoded_size": None,
                "signature": None,
                "parts": [kernel, tree],
            },
        )

    def test_several(self) -> None:
        """One that cannot be read does not keep the others from being shown."""
        self.path.write_bytes(container(PARTS))
        none = self.path.with_name("none")
        status, out, error = command("inspect", self.path, none, self.path)
        self.assertEqual((status, error), (1, f"pixelboot: {none}: No such file or directory\n"))
        one = command("inspect", self.path)[1]
        self.assertEqual(out, f"{self.path}\n{one}\n{self.path}\n{one}")
        status, out, error = command("inspect", "--json", self.path, none, self.path)
        self.assertEqual((status, [json.loads(line)["size"] for line in out.splitlines()]), (1, [100, 100]))

    def test_on_a_terminal(self) -> None:
        """The same in colour; nothing that a stranger wrote does anything."""
        octets = container(PARTS, name="[red]x[/] :smile:\x1b[2J", cmdline="a " * 300)
        self.path.write_bytes(octets)
        status, out, error = standard(b"", "inspect", self.path, terminal=True)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", out.decode())
        self.assertEqual((status, error), (0, ""))
        self.assertNotIn("\x1b", plain)
        self.assertIn("[red]x[/] :smile:\\x1b[2J", plain)
        together = "".join(plain.split())
        self.assertIn(SHA256, together, "too long for the line, and not cut")
        self.assertIn("a" * 300, together)

    def test_standard_input(self) -> None:
        self.path.write_bytes(container(PARTS))
        shown = command("inspect", self.path)[1].encode()
        self.assertEqual(standard(self.path.read_bytes(), "inspect", "-"), (0, shown, ""))
        self.assertEqual(standard(b"", "inspect", "-", "-")[0], 2)

    def test_a_hostile_part(self) -> None:
        """What its name would do to the screen it does not."""
        self.path.write_bytes(container({"x\u202ey\x1b[2J": b"k"}, hashes=None))
        status, out, error = command("inspect", self.path)
        self.assertEqual((status, error), (0, ""))
        self.assertIn("\nx\\u202ey\\x1b[2J ", out)

    def test_errors(self) -> None:
        cases = [
            (b"hello", "this is not a PNG picture"),
            (container(PARTS)[:100], "the file ends within a chunk tEXt"),
            (container(PARTS, compression=7), "compression"),
        ]
        for octets, reason in cases:
            self.path.write_bytes(octets)
            status, out, error = command("inspect", self.path)
            self.assertEqual((status, out, error.count("\n")), (1, "", 1))
            self.assertTrue(error.startswith(f"pixelboot: {self.path}: ") and reason in error, error)
        self.assertIn("Is a directory", command("inspect", self.path.parent)[2])
