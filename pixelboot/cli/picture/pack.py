"""``pixelboot pack``: a container out of a kernel, an initrd and a command line, or out of any octets."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pixelboot.boot.ipxe.menu import Entry
from pixelboot.boot.ipxe.script import obstacle
from pixelboot.cli.picture.aside import STANDARD, refuse_existing, written_aside, written_to_standard_output
from pixelboot.cli.picture.ending import taken_back
from pixelboot.cli.picture.key import private_key
from pixelboot.cli.picture.progress import bar
from pixelboot.cli.picture.source import note, opened, shown
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

if TYPE_CHECKING:
    from pixelboot.container.manifest import Labels, Manifest
    from pixelboot.container.sniff import Kernel

_PARTS = {"kernel": "the kernel", "initrd": "the initial RAM disk", "dtb": "the device tree"}

_LABELS = {
    "name": "a short name, for menus",
    "description": "a sentence, for people",
    "distro": "the distribution it is made from",
    "architecture": "the processor it is for (read from the kernel, where that says it)",
    "kernel_version": "the kernel's release (read from the kernel, where that says it)",
    "type": "what kind of thing it is",
    "content_version": "the version of what is in it",
}

_DEBIAN = {"amd64": "x86_64", "arm64": "aarch64", "i386": "i686"}
"""Debian's names of architectures, and the kernel's."""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "pack",
        help="make a container",
        description="Make a container: a picture (.rts.png) that holds a kernel, an initrd and a command line, or the "
        "octets of any file.  One of the inputs may be -, which is standard input.",
    )
    for part, meaning in _PARTS.items():
        parser.add_argument(f"--{part}", metavar="FILE", help=meaning)
    parser.add_argument("--payload", metavar="FILE", help="instead of these: any octets, packed as they are")
    parser.add_argument("--cmdline", default="", metavar="TEXT", help="the kernel command line")
    for label, meaning in _LABELS.items():
        parser.add_argument(f"--{label.replace('_', '-')}", default="", metavar="TEXT", help=meaning)
    parser.add_argument(
        "--sign", type=Path, metavar="KEY", help="sign with the Ed25519 key in this file (PEM, OpenSSH)"
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="the picture to write; - is standard output"
    )
    parser.add_argument("--force", action="store_true", help="replace the picture if it exists")
    parser.add_argument("-q", "--quiet", action="store_true", help="neither a progress bar nor a summary")
    parser.set_defaults(run=run, misused=parser.error)


def run(arguments: argparse.Namespace) -> int:
    """Make the container."""
    inputs = {part: name for part in (*_PARTS, "payload") if (name := getattr(arguments, part)) is not None}
    if "payload" in inputs and len(inputs) > 1:
        arguments.misused("--payload stands alone, without --kernel, --initrd and --dtb")
    if not inputs.keys() & {"payload", "kernel"}:
        arguments.misused("one of the arguments --kernel --payload is required")
    if list(inputs.values()).count(STANDARD) > 1:
        arguments.misused("only one of the inputs can be standard input")
    with taken_back():
        return _pack(arguments, inputs)


def _pack(arguments: argparse.Namespace, inputs: dict[str, str]) -> int:
    # numpy, Pillow and cryptography take a moment to import, which other commands need not wait for.
    from pixelboot.container import sniff, writer
    from pixelboot.container.manifest import Labels

    texts = {label: _text(label, getattr(arguments, label)) for label in (*_LABELS, "cmdline")}
    with ExitStack() as stack:
        target = _target(arguments.output, arguments.force)
        key = None if arguments.sign is None else private_key(arguments.sign)
        out = stack.enter_context(target)
        sources = [writer.Source(part, *stack.enter_context(_filled(name))) for part, name in inputs.items()]
        kernel = sniff.kernel(sources[0].file.read(sniff.HEAD))
        sources[0].file.seek(0)
        named = texts["architecture"]
        texts["architecture"] = named or kernel.architecture
        texts["kernel_version"] = texts["kernel_version"] or kernel.version
        labels = Labels(**texts)
        progress = stack.enter_context(bar(f"packing {shown(arguments.output)}", arguments.quiet))
        if "payload" in inputs:
            (payload,) = sources
            made = writer.pack_payload(out, payload.size, payload.file, labels, sign=key, progress=progress)
        else:
            made = writer.pack(out, sources, labels, sign=key, progress=progress)
    _notes(kernel, named, labels, "kernel" in inputs)
    if not arguments.quiet:
        # Standard output may be where the picture goes.
        for line in _summary(arguments.output, made):
            print(line, file=sys.stderr if arguments.output == STANDARD else sys.stdout)
    return 0


def _target(output: str, force: bool) -> AbstractContextManager[BinaryIO]:
    """Where the picture goes; `Malformed` when it may not, before anything is done."""
    if output == STANDARD:
        return written_to_standard_output()
    if not output.endswith(".rts.png"):
        note("a server offers only files whose names end in .rts.png")
    refuse_existing(Path(output), force)
    return _one_aside(Path(output), force)


@contextmanager
def _one_aside(path: Path, force: bool) -> Iterator[BinaryIO]:
    with written_aside([path], force) as (file,):
        yield file


@contextmanager
def _filled(name: str) -> Iterator[tuple[int, BinaryIO]]:
    """An input that is not empty."""
    with opened(name) as (size, file):
        if size == 0:
            raise Malformed(f"{shown(name)} is empty")
        yield size, file


def _notes(kernel: Kernel, architecture: str, labels: Labels, boots: bool) -> None:
    """Say on standard error what will keep a machine from booting this, as far as it can be told here."""
    if not boots:
        return
    if not kernel.recognised:
        note("the kernel does not look like one for x86 or arm64")
    elif kernel.architecture not in ("", _DEBIAN.get(architecture, architecture or kernel.architecture)):
        note(f"the kernel is for {kernel.architecture}, not {printable(architecture, 40)}")
    entry = Entry(id="", name="", size=0, distro="", cmdline=labels.cmdline, initrd=True, obstacle=None)
    if (problem := obstacle(entry)) is not None:
        note(f"iPXE cannot boot it: {problem}")


def _summary(output: str, made: Manifest) -> Iterator[str]:
    parts = ", ".join(f"{part.name} of {part.size} octets" for part in made.parts)
    place = "standard output" if output == STANDARD else printable(output, 4096)
    yield f"{place}: {made.side}×{made.side} pixels, {parts}"
    if made.signature is not None:
        yield f"signed by {made.signature.public_key}"


def _text(label: str, value: str) -> str:
    """A label as the container can hold it; `Malformed` when the shell gave octets that are no text."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed(f"--{label.replace('_', '-')} is not UTF-8") from None
    return value.strip()
