"""Tests of `pixelboot.cli.pack`."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import pixelboot
from pixelboot.cli import main
from pixelboot.container import reader
from pixelboot.container.manifest import Labels, Manifest
from tests.container.test_sniff import bzimage


def command(*arguments: object) -> tuple[int, str, str]:
    """Run the command in this process: exit status, standard output, standard error."""
    out, error = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(error):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            status = int(str(ended.code))
    return status, out.getvalue(), error.getvalue()


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
        sink = io.BytesIO()
        with self.picture.open("rb") as file:
            reader.unpack(file, reader.examine(file), {}, sink)
        self.assertEqual(sink.getvalue(), bzimage() + b"initrd" * 100)

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
            (["--kernel", fifo], "fifo is not a regular file"),
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

    def test_killed_in_the_middle(self) -> None:
        self.kernel.write_bytes(bzimage() * 100)
        program = (
            "import os, signal, sys\n"
            "from PIL import ImageFile\n"
            "ImageFile._encode_tile = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
            "from pixelboot.cli import main\n"
            "main(sys.argv[1:])\n"
        )
        arguments = ["pack", "--kernel", str(self.kernel), "-o", str(self.picture)]
        environment = os.environ | {"PYTHONPATH": str(Path(pixelboot.__file__).parents[1])}
        done = subprocess.run([sys.executable, "-c", program, *arguments], check=False, timeout=60, env=environment)
        self.assertEqual(done.returncode, -signal.SIGKILL)
        left = sorted(set(os.listdir(self.folder)) - {"vmlinuz", "initrd.img"})
        self.assertEqual([name[0] + name[-5:] for name in left], ["..part"], "a hidden file, not the picture")
