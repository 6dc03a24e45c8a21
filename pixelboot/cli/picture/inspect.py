"""``pixelboot inspect``: what containers say of themselves."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pixelboot.cli.picture.aside import STANDARD, explained
from pixelboot.cli.picture.source import examined, opened, shown
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

if TYPE_CHECKING:
    from pixelboot.container.manifest import Manifest
    from pixelboot.container.reader import Picture
    from pixelboot.container.table import Part

_HEADINGS = ("part", "role", "offset", "octets", "SHA-256")


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "inspect",
        help="show what containers say of themselves",
        description="Show the descriptions of containers.  The pixels are not read: `verify` compares them.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a picture; - is standard input")
    parser.add_argument("--json", action="store_true", help="as JSON, one object a line")
    parser.set_defaults(run=run, misused=parser.error)


def run(arguments: argparse.Namespace) -> int:
    """Read and show the descriptions; one that cannot be read does not keep the others from being shown."""
    if arguments.files.count(STANDARD) > 1:
        arguments.misused("standard input can be read once")
    status = 0
    for number, name in enumerate(arguments.files):
        try:
            picture = _read(name)
        except Malformed as problem:
            print(f"pixelboot: {problem}", file=sys.stderr)
            status = 1
            continue
        if arguments.json:
            print(json.dumps({"file": name} | described(picture)), flush=True)
            continue
        if len(arguments.files) > 1:
            print(f"{'' if number == 0 else chr(10)}{shown(name)}")
        _show(picture)
    return status


def described(picture: Picture) -> dict[str, object]:
    """The description as values that JSON can hold: texts as they are, not made printable."""
    manifest = picture.manifest
    return {
        **asdict(manifest.labels),
        "format": manifest.format,
        "side": manifest.side,
        "size": manifest.size,
        "sha256": manifest.sha256,
        "mode": manifest.mode,
        "compression": manifest.compression,
        "encoded_size": manifest.encoded_size,
        "snapshot": manifest.snapshot,
        "from_sidecar": picture.from_sidecar,
        "blueprint": picture.blueprint is not None,
        "signature": None if manifest.signature is None else asdict(manifest.signature),
        "parts": [asdict(part) for part in manifest.parts],
    }


def facts(picture: Picture) -> Iterator[tuple[str, str]]:
    """What a person wants to know, but for the parts: names and printable texts."""
    manifest = picture.manifest
    for label, value in asdict(manifest.labels).items():
        if value:
            yield label.replace("_", " "), printable(value, 4096)
    yield "picture", f"{manifest.side}×{manifest.side} pixels, {printable(manifest.format, 40)}, {manifest.mode}"
    size = "of unknown size" if manifest.size is None else f"{manifest.size} octets"
    if not manifest.snapshot:
        yield "payload", f"{size}, SHA-256 {manifest.sha256 or 'not stated'}"
    if manifest.compression:
        held = "" if manifest.encoded_size is None else f", {manifest.encoded_size} octets in the pixels"
        yield "compression", f"said to be {printable(manifest.compression, 40)}{held}"
    yield "signature", _signature(manifest)
    if manifest.snapshot:
        yield "snapshot", "of a virtual machine: it holds nothing that could be booted"
    if picture.blueprint is not None:
        yield "blueprint", f"{len(picture.blueprint)} octets, not used"
    if picture.from_sidecar:
        yield "description", "in the file beside the picture"


def _signature(manifest: Manifest) -> str:
    signature = manifest.signature
    if signature is None:
        return "none"
    covers = "payload and description" if signature.description_value else "the payload alone"
    return f"{signature.public_key}, over {covers}; not verified"


def _read(name: str) -> Picture:
    from pixelboot.container.table import Damaged

    try:
        with opened(name) as (_, file), explained(shown(name)):
            return examined(name, file)
    except Damaged as damage:
        raise Malformed(f"{shown(name)}: {damage}") from None


def _cells(parts: Sequence[Part]) -> Iterator[tuple[str, ...]]:
    for part in parts:
        sha256 = part.sha256 or "not stated"
        yield printable(part.name, 40), part.role or "", str(part.offset), str(part.size), sha256


def _show(picture: Picture) -> None:
    cells = list(_cells(picture.manifest.parts))
    if sys.stdout is not None and sys.stdout.isatty():
        _show_coloured(list(facts(picture)), cells)
        return
    for name, value in facts(picture):
        print(f"{name:<15} {value}")
    print()
    for part, role, offset, size, sha256 in (_HEADINGS, *cells):
        print(f"{part:<15} {role:<8} {offset:>11} {size:>11}  {sha256}")


def _show_coloured(known: Sequence[tuple[str, str]], cells: Sequence[tuple[str, ...]]) -> None:
    """The same on a terminal.  `Text` keeps rich from reading anything into what a stranger wrote."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    top = Table.grid(padding=(0, 2))
    for name, value in known:
        top.add_row(Text(name, style="bold"), Text(value, overflow="fold"))
    parts = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in _HEADINGS:
        parts.add_column(heading, justify="right" if heading in ("offset", "octets") else "left", overflow="fold")
    for row in cells:
        parts.add_row(*map(Text, row))
    Console(highlight=False).print(top, "", parts, sep="\n")
