"""``pixelboot inspect``: what a container says of itself."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixelboot.cli.aside import explained
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

if TYPE_CHECKING:
    from pixelboot.container.manifest import Manifest


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "inspect",
        help="show what a container says of itself",
        description="Show the description of a container.  The pixels are not read: `unpack` verifies them.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the picture")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read and show the description."""
    from pixelboot.container import reader
    from pixelboot.container.manifest import Damaged

    try:
        with explained(str(arguments.file)), arguments.file.open("rb") as file:
            manifest = reader.examine(file).manifest
    except Damaged as damage:
        raise Malformed(f"{printable(str(arguments.file))}: {damage}") from None
    if arguments.json:
        print(json.dumps(described(manifest), indent=2))
    else:
        print("\n".join(lines(manifest)))
    return 0


def described(manifest: Manifest) -> dict[str, object]:
    """The description as values that JSON can hold."""
    return {
        **asdict(manifest.labels),
        "side": manifest.side,
        "size": manifest.size,
        "sha256": manifest.sha256,
        "parts": [asdict(part) | {"role": part.role} for part in manifest.parts],
    }


def lines(manifest: Manifest) -> Iterator[str]:
    """The description as text for a person."""
    for label, value in asdict(manifest.labels).items():
        if value:
            yield f"{label.replace('_', ' '):<15} {printable(value, 4096)}"
    yield f"{'picture':<15} {manifest.side}×{manifest.side} pixels"
    yield f"{'payload':<15} {manifest.size} octets, SHA-256 {manifest.sha256 or 'not stated'}"
    yield ""
    yield f"{'part':<12} {'offset':>11} {'octets':>11}  SHA-256" if manifest.parts else "no parts"
    for part in manifest.parts:
        name = printable(part.name, 40)
        yield f"{name:<12} {part.offset:>11} {part.size:>11}  {part.sha256 or 'not stated'}"
