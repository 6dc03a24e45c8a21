"""``pixelboot unpack``: the parts of a container, or its payload, verified."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixelboot.cli.picture.aside import (
    STANDARD,
    explained,
    refuse_existing,
    refuse_terminal,
    written_aside,
    written_to_standard_output,
)
from pixelboot.cli.picture.ending import taken_back
from pixelboot.cli.picture.progress import bar
from pixelboot.cli.picture.source import examined, opened, shown
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

if TYPE_CHECKING:
    from pixelboot.container.reader import Sink, Unpacked
    from pixelboot.container.table import Part

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "unpack",
        help="take a container apart",
        description="Write the parts of a container, or its payload.  Nothing is left unless every SHA-256, and the "
        "signature where there is one, is right.",
    )
    parser.add_argument("file", metavar="FILE", help="the picture; - is standard input")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", type=_folder, metavar="DIR", help="the folder to write each part into, by its name")
    target.add_argument(
        "--payload", metavar="FILE", help="the file to write the whole payload into; - is standard output"
    )
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    parser.add_argument("-q", "--quiet", action="store_true", help="neither a progress bar nor a summary")
    parser.set_defaults(run=run)


def _folder(text: str) -> Path:
    """A folder, for argparse.  The empty name, a variable that was not set, is not this folder."""
    if not text:
        raise argparse.ArgumentTypeError("must be the name of a folder")
    return Path(text)


def run(arguments: argparse.Namespace) -> int:
    """Unpack."""
    from pixelboot.container.table import Damaged

    try:
        with taken_back():
            return _unpack(arguments)
    except Damaged as damage:
        raise Malformed(f"{shown(arguments.file)}: {damage}") from None


def file_names(parts: Sequence[Part]) -> list[str]:
    """A file name for each part: its own where that is harmless everywhere, else ``part-3``; no two are the same."""
    names: list[str] = []
    for number, part in enumerate(parts, 1):
        taken = {name.lower() for name in names}
        own = _FILE_NAME.fullmatch(part.name) and not part.name.lower().startswith("part-")
        names.append(part.name if own and part.name.lower() not in taken else f"part-{number}")
    return names


def _unpack(arguments: argparse.Namespace) -> int:
    from pixelboot.container import reader

    # Before anything is read: that may take long.
    if arguments.payload == STANDARD:
        refuse_terminal()
    elif arguments.payload is not None:
        refuse_existing(Path(arguments.payload), arguments.force)
    with ExitStack() as stack:
        _, file = stack.enter_context(opened(arguments.file))
        stack.enter_context(explained(shown(arguments.file)))
        picture = examined(arguments.file, file)
        if picture.manifest.snapshot:
            raise Malformed(f"{shown(arguments.file)} is of a virtual machine's snapshot: there is nothing in it")
        sinks, payload, places = stack.enter_context(_targets(arguments, picture.manifest.parts))
        progress = stack.enter_context(bar(f"unpacking {shown(arguments.file)}", arguments.quiet))
        unpacked = reader.unpack(file, picture, sinks, payload, progress=progress)
    sizes = [unpacked.size] if arguments.out is None else [part.size for part in unpacked.parts]
    if not arguments.quiet:
        stream = sys.stderr if arguments.payload == STANDARD else sys.stdout
        _tell(unpacked, dict(zip(places, sizes, strict=True)), stream)
    return 0


@contextmanager
def _targets(
    arguments: argparse.Namespace, parts: Sequence[Part]
) -> Iterator[tuple[dict[str, Sink], Sink | None, list[str]]]:
    """The sinks of the parts, or that of the payload, and the places that these stand for, in the same order."""
    if arguments.payload == STANDARD:
        with written_to_standard_output() as file:
            yield {}, file, ["standard output"]
    elif arguments.payload is not None:
        with written_aside([Path(arguments.payload)], arguments.force) as (file,):
            yield {}, file, [arguments.payload]
    else:
        places = [arguments.out / name for name in file_names(parts)]
        with _made(arguments.out), written_aside(places, arguments.force) as files:
            yield {part.name: file for part, file in zip(parts, files, strict=True)}, None, list(map(str, places))


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """A folder that is there; what was made of it is removed when the block raises."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    with explained(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:  # Ctrl-C too; it goes on, and no empty folder stays
        for each in missing:
            with suppress(OSError):
                each.rmdir()
        raise


def _tell(unpacked: Unpacked, places: dict[str, int], stream: Any) -> None:
    for place, size in places.items():
        print(f"{printable(place, 4096)}: {size} octets", file=stream)
    if unpacked.signer:
        print(f"signed by {unpacked.signer}", file=stream)
    elif unpacked.payload_signer:
        print(f"signed by {unpacked.payload_signer}, which does not cover the description", file=stream)
