"""``pixelboot pack``: a container out of a kernel, an initrd and a command line."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from pixelboot.boot.menu import Entry
from pixelboot.boot.script import obstacle
from pixelboot.cli.aside import explained, refuse_existing, written_aside
from pixelboot.container.sniff import Kernel
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

_LABELS = {
    "name": "a short name, for menus",
    "description": "a sentence, for people",
    "distro": "the distribution it is made from",
    "architecture": "the processor it is for (read from the kernel, where that says it)",
    "kernel_version": "the kernel's release (read from the kernel, where that says it)",
}

_DEBIAN = {"amd64": "x86_64", "arm64": "aarch64", "i386": "i686"}
"""Debian's names of architectures, and the kernel's."""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "pack",
        help="make a container",
        description="Make a container: a picture (.rts.png) that holds a kernel, an initrd and a command line.",
    )
    parser.add_argument("--kernel", type=Path, required=True, metavar="FILE", help="the kernel")
    parser.add_argument("--initrd", type=Path, metavar="FILE", help="the initial RAM disk")
    parser.add_argument("--cmdline", default="", metavar="TEXT", help="the kernel command line")
    for label, meaning in _LABELS.items():
        parser.add_argument(f"--{label.replace('_', '-')}", default="", metavar="TEXT", help=meaning)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the picture to write")
    parser.add_argument("--force", action="store_true", help="replace the picture if it exists")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the container."""
    # numpy and Pillow take a moment to import, which other commands need not wait for.
    from pixelboot.container import sniff, writer
    from pixelboot.container.manifest import Labels

    texts = {label: _text(label, getattr(arguments, label)) for label in (*_LABELS, "cmdline")}
    output: Path = arguments.output
    if not output.name.endswith(".rts.png"):
        print("pixelboot: note: a server offers only files whose names end in .rts.png", file=sys.stderr)
    refuse_existing(output, arguments.force)
    with ExitStack() as stack:
        sources = [
            writer.Source(name, *_opened(stack, path))
            for name, path in (("kernel", arguments.kernel), ("initrd", arguments.initrd))
            if path is not None
        ]
        kernel = sniff.kernel(os.pread(sources[0].file.fileno(), sniff.HEAD, 0))
        named = texts["architecture"]
        texts["architecture"] = named or kernel.architecture
        texts["kernel_version"] = texts["kernel_version"] or kernel.version
        with written_aside(output, arguments.force) as out:
            description = writer.pack(out, sources, Labels(**texts))
    _note(kernel, named, texts["cmdline"])
    parts = ", ".join(f"{part.name} of {part.size} octets" for part in description.parts)
    print(f"{printable(str(output))}: {description.side}×{description.side} pixels, {parts}")
    return 0


def _note(kernel: Kernel, architecture: str, cmdline: str) -> None:
    """Say on standard error what will keep a machine from booting this, as far as it can be told here."""
    if not kernel.recognised:
        print("pixelboot: note: the kernel does not look like one for x86 or arm64", file=sys.stderr)
    elif kernel.architecture not in ("", _DEBIAN.get(architecture, architecture or kernel.architecture)):
        said = printable(architecture, 40)
        print(f"pixelboot: note: the kernel is for {kernel.architecture}, not {said}", file=sys.stderr)
    entry = Entry(id="", name="", size=0, distro="", cmdline=cmdline, initrd=True, obstacle=None)
    if (problem := obstacle(entry)) is not None:
        print(f"pixelboot: note: iPXE cannot boot it: {problem}", file=sys.stderr)


def _text(label: str, value: str) -> str:
    """A label as the container can hold it; `Malformed` when the shell gave octets that are no text."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed(f"--{label.replace('_', '-')} is not UTF-8") from None
    return value.strip()


def _opened(stack: ExitStack, path: Path) -> tuple[int, BinaryIO]:
    """Size and octets of a file that is to be packed."""
    with explained(str(path)):
        # Without O_NONBLOCK, a FIFO of this name would be waited for.
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
        stack.enter_context(file)
        status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise Malformed(f"{printable(str(path))} is not a regular file")
    if status.st_size == 0:
        raise Malformed(f"{printable(str(path))} is empty")
    return status.st_size, file
