"""``pixelboot unpack``: the parts of a container, or its payload, verified."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixelboot.cli.aside import explained, written_aside
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

if TYPE_CHECKING:
    from pixelboot.container.manifest import Part

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "unpack",
        help="take a container apart",
        description="Write the parts of a container, or its payload.  Nothing is left unless every SHA-256 is right.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the picture")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", type=Path, metavar="DIR", help="the folder to write each part into, by its name")
    target.add_argument("--payload", type=Path, metavar="FILE", help="the file to write the whole payload into")
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Unpack."""
    from pixelboot.container.manifest import Damaged

    try:
        written = _unpack(arguments)
    except Damaged as damage:
        raise Malformed(f"{printable(str(arguments.file))}: {damage}") from None
    for place, size in written.items():
        print(f"{printable(str(place))}: {size} octets")
    return 0


def file_names(parts: Sequence[Part]) -> list[str]:
    """A file name for each part: its own where that is harmless everywhere, else ``part-3``; no two are the same."""
    names: list[str] = []
    for number, part in enumerate(parts, 1):
        taken = {name.lower() for name in names}
        own = _FILE_NAME.fullmatch(part.name) and not part.name.lower().startswith("part-")
        names.append(part.name if own and part.name.lower() not in taken else f"part-{number}")
    return names


def _unpack(arguments: argparse.Namespace) -> dict[Path, int]:
    """Write what is asked for: the files, and how many octets each has."""
    from pixelboot.container import reader

    with ExitStack() as stack:
        stack.enter_context(explained(str(arguments.file)))
        file = stack.enter_context(arguments.file.open("rb"))
        picture = reader.examine(file)
        parts = picture.manifest.parts
        if arguments.out is None:
            targets = {arguments.payload: picture.manifest.size}
            reader.unpack(file, picture, {}, stack.enter_context(written_aside(arguments.payload, arguments.force)))
        else:
            if not parts:
                raise Malformed(f"{printable(str(arguments.file))} has no parts; --payload writes what it holds")
            with explained(str(arguments.out)):
                arguments.out.mkdir(parents=True, exist_ok=True)
            places = [arguments.out / name for name in file_names(parts)]
            targets = {place: part.size for place, part in zip(places, parts, strict=True)}
            sinks = {
                part.name: stack.enter_context(written_aside(place, arguments.force))
                for place, part in zip(places, parts, strict=True)
            }
            reader.unpack(file, picture, sinks)
    return targets
