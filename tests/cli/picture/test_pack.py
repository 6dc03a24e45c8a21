"""Tests of `pixelboot.cli.picture.pack`."""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import ImageFile
from twisted.trial.unittest import SynchronousTestCase

import pixelboot
from pixelboot.container import reader
from pixelboot.container.manifest import Labels, Manifest
from pixelboot.container.signature import public_of
from tests.cli.picture.streams import standard
from tests.cli.picture.test_key import written
from tests.container.test_sniff import bzimage
from tests.running import command


class TestPack(SynchronousTestCase):
    """The command."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.kernel = self.folder / "vmlinuz"
        self.kernel.write_bytes(bzimage())
        self.initrd = self.folder / "initrd.img"
        self.initrd.write_bytes(b"initrd" * 100)
        self.picture = self.folder / "demo.rts.png"

    def manifest(self) -> Manifest:
        with self.picture.open("rb") as file:
            return reader.examine(file).manifest

    def unpacked(self) -> bytes:
        sink = io.BytesIO()
        with self.picture.open("rb") as file:
            reader.unpack(file, reader.examine(file), {}, sink)
        return sink.getvalue()

    def test_everything(self) -> None:
        status, out, error = command(
            *("pack", "--kernel", self.kernel, "--initrd", self.initrd, "--cmdline", "quiet ${x} ü", "--name", "Demo"),
            *("--description", "d", "--distro", "debian", "--architecture", "amd64", "--kernel-version", "6", "-o"),
            self.picture,
        )
        self.assertEqual(status, 0)
        self.assertEqual(
            error, "pixelboot: note: iPXE cannot boot it: its command line has characters that are not ASCII text\n"
        )
        self.assertEqual(out, f"{self.picture}: 64×64 pixels, kernel of 12800 octets, initrd of 600 octets\n")
        manifest = self.manifest()
        self.assertEqual(manifest.labels, Labels("Demo", "d", "debian", "amd64", "6", "quiet ${x} ü"))
        self.assertEqual(
            [(part.name, part.offset, part.size) for part in manifest.parts],
            [("kernel", 0, 12800), ("initrd", 12800, 600)],
        )
        self.assertEqual(self.unpacked(), bzimage() + b"initrd" * 100)

    def test_what_will_not_boot(self) -> None:
        """It is packed all the same, and said."""
        other = self.folder / "other"
        other.write_bytes(b"no kernel")
        cases: list[tuple[list[object], str]] = [
            (["--kernel", other], "the kernel does not look like one for x86 or arm64"),
            (["--kernel", self.kernel, "--architecture", "arm64"], "the kernel is for x86_64, not arm64"),
            (["--kernel", self.kernel, "--cmdline", "a || b"], "the word ||, where iPXE would end it"),
            (["--kernel", self.kernel, "--architecture", "amd64", "--cmdline", "quiet"], ""),
        ]
        for arguments, note in cases:
            status, _, error = command("pack", "--force", *arguments, "-o", self.picture)
            self.assertEqual((status, bool(error)), (0, bool(note)), note)
            self.assertIn(note, error)

    def test_a_kernel_alone_says_what_it_is(self) -> None:
        self.assertEqual(command("pack", "--kernel", self.kernel, "-o", self.picture)[0], 0)
        self.assertEqual(self.manifest().labels, Labels(architecture="x86_64", kernel_version="6.1.0-13-cloud-amd64"))

    def test_errors(self) -> None:
        fifo, empty = self.folder / "fifo", self.folder / "empty"
        os.mkfifo(fifo)
        empty.write_bytes(b"")
        cases: list[tuple[list[object], str]] = [
            (["--kernel", self.folder / "none"], "none: No such file or directory"),
            (["--kernel", self.folder], "Is a directory"),
            (["--kernel", fifo], "fifo: not a regular file"),
            (["--kernel", empty], "empty is empty"),
            (["--kernel", self.kernel, "--initrd", empty], "empty is empty"),
            (["--kernel", self.kernel, "--cmdline", "a\nb"], "the command line has control characters"),
            (["--kernel", self.kernel, "--cmdline", "x" * 5000], "the command line has 5000 characters"),
            (["--kernel", self.kernel, "--name", "x" * 2000], "name has 2000 characters"),
            (["--kernel", self.kernel, "--kernel-version", "\udcff"], "--kernel-version is not UTF-8"),
        ]
        before = sorted(os.listdir(self.folder))
        for arguments, reason in cases:
            status, out, error = command("pack", *arguments, "-o", self.picture)
            self.assertEqual((status, out, error.count("\n")), (1, "", 1), reason)
            self.assertTrue(error.startswith("pixelboot: "), error)
            self.assertIn(reason, error)
            self.assertEqual(sorted(os.listdir(self.folder)), before, reason)
        status, _, error = command("pack", "--kernel", self.kernel, "-o", self.folder / "none" / "x.rts.png")
        self.assertEqual((status, error.count("none is not a folder; make it first")), (1, 1))

    def test_what_exists_is_replaced_by_force_alone(self) -> None:
        self.picture.write_bytes(b"precious")
        status, _, error = command("pack", "--kernel", self.kernel, "-o", self.picture)
        self.assertEqual((status, error), (1, f"pixelboot: {self.picture} exists; --force replaces it\n"))
        self.assertEqual(self.picture.read_bytes(), b"precious")
        self.assertEqual(command("pack", "--kernel", self.kernel, "-o", self.picture, "--force")[0], 0)
        self.assertEqual(self.manifest().size, 12800)

    def test_a_name_that_no_server_offers(self) -> None:
        status, _, error = command("pack", "--kernel", self.kernel, "-o", self.folder / "demo.png")
        self.assertEqual(
            (status, error), (0, "pixelboot: note: a server offers only files whose names end in .rts.png\n")
        )

    def test_a_payload(self) -> None:
        """Octets as they are, described as far as they are known."""
        status, out, error = command("pack", "--payload", self.kernel, "--type", "kernel", "-o", self.picture)
        told = f"{self.picture}: 64×64 pixels, payload of 12800 octets\n"
        self.assertEqual((status, out, error), (0, told, ""))
        manifest = self.manifest()
        self.assertEqual((manifest.size, manifest.labels.type), (12800, "kernel"))
        self.assertEqual(manifest.labels.kernel_version, "6.1.0-13-cloud-amd64")
        other = self.folder / "other"
        other.write_bytes(b"x")
        self.assertEqual(command("pack", "--force", "--payload", other, "-o", self.picture)[0::2], (0, ""))
        self.assertEqual(self.unpacked(), b"x")

    def test_all_parts(self) -> None:
        tree = self.folder / "board.dtb"
        tree.write_bytes(b"\xd0\x0d\xfe\xed")
        words = ("--kernel", self.kernel, "--initrd", self.initrd, "--dtb", tree, "--content-version", "7", "-q")
        self.assertEqual(command("pack", *words, "-o", self.picture), (0, "", ""))
        manifest = self.manifest()
        self.assertEqual([part.role for part in manifest.parts], ["kernel", "initrd", "dtb"])
        self.assertEqual(manifest.labels.content_version, "7")

    def test_standard_input_and_output(self) -> None:
        octets = self.kernel.read_bytes()
        status, out, error = standard(octets, "pack", "--kernel", "-", "--initrd", self.initrd, "-o", "-")
        told = "standard output: 64×64 pixels, kernel of 12800 octets, initrd of 600 octets\n"
        self.assertEqual((status, error), (0, told))
        self.picture.write_bytes(out)
        self.assertEqual(self.unpacked(), octets + self.initrd.read_bytes())
        status, out, error = standard(octets, "pack", "--kernel", self.kernel, "-o", "-", terminal=True)
        self.assertEqual((status, out), (1, b""))
        self.assertIn("standard output is a terminal", error)
        status, out, error = standard(b"", "pack", "--kernel", "-", "-o", "-")
        self.assertEqual((status, out, error), (1, b"", "pixelboot: standard input is empty\n"))

    def test_signed(self) -> None:
        made = Ed25519PrivateKey.generate()
        key = written(self.folder, made, serialization.PrivateFormat.OpenSSH)
        status, out, error = command("pack", "--kernel", self.kernel, "--sign", key, "-o", self.picture)
        self.assertEqual((status, error), (0, ""))
        self.assertEqual(out.splitlines()[1], f"signed by {public_of(made)}")
        verified = command("verify", self.picture, "--trusted", public_of(made))
        self.assertEqual(verified, (0, f"{self.picture}: sound, 12800 octets, signed by {public_of(made)}\n", ""))

    def test_misused(self) -> None:
        cases: list[tuple[list[object], str]] = [
            ([], "one of the arguments --kernel --payload is required"),
            (["--initrd", self.initrd], "one of the arguments --kernel --payload is required"),
            (["--payload", self.kernel, "--initrd", self.initrd], "--payload stands alone"),
            (["--payload", self.kernel, "--kernel", self.kernel], "--payload stands alone"),
            (["--kernel", "-", "--initrd", "-"], "only one of the inputs can be standard input"),
        ]
        for words, told in cases:
            status, out, error = command("pack", *words, "-o", self.picture)
            self.assertEqual((status, out), (2, ""), told)
            self.assertIn(told, error)

    def test_nothing_is_done_before_it_is_known_that_it_may_be(self) -> None:
        """What exists is refused before standard input is read, a passphrase asked for, or a file opened."""
        self.picture.write_bytes(b"precious")
        words = ("--kernel", "-", "--sign", self.folder / "none", "-o", self.picture)
        status, _, error = standard(b"", "pack", *words, terminal=True)
        self.assertEqual((status, error), (1, f"pixelboot: {self.picture} exists; --force replaces it\n"))

    def test_no_room(self) -> None:
        self.addCleanup(signal.signal, signal.SIGXFSZ, signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
        self.kernel.write_bytes(os.urandom(200_000))
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        before = os.listdir(self.folder)
        status, out, error = command("pack", "--payload", self.kernel, "-o", self.picture)
        self.assertEqual((status, out, error), (1, "", f"pixelboot: {self.picture}: File too large\n"))
        self.assertEqual(os.listdir(self.folder), before)

    def test_ended_in_the_middle(self) -> None:
        for number, expected in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            before = os.listdir(self.folder)

            def end(*_: object, number: int = number) -> None:
                os.kill(os.getpid(), number)

            self.patch(ImageFile, "_encode_tile", end)
            words = ("pack", "--kernel", self.kernel, "-o", self.picture)
            self.assertEqual(command(*words), (expected, "", ""), number.name)
            self.assertEqual(os.listdir(self.folder), before, number.name)

    def test_other_commands_do_not_wait_for_what_this_one_needs(self) -> None:
        program = (
            "import sys\n"
            "from pixelboot.cli import main\n"
            "try:\n"
            "    main(['--version'])\n"
            "finally:\n"
            "    print({'PIL', 'cryptography', 'numpy', 'rich', 'zstandard'} & sys.modules.keys())\n"
        )
        environment = os.environ | {"PYTHONPATH": str(Path(pixelboot.__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, "-c", program], check=False, timeout=60, env=environment, capture_output=True, text=True
        )
        self.assertEqual((done.returncode, done.stdout.splitlines()[1]), (0, "set()"), done.stderr)
