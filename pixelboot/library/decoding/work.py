"""The decoder: a process that reads one picture, verifies all of it, and leaves its parts in the cache.

    python -m pixelboot.library.decoding.work CACHE <PICTURE

It says what it found in lines on standard output (`pixelboot.library.decoding.finding`).  A damaged picture is an
answer, with exit status 0.  What is not the picture's fault, a full disk or too little memory, is a line on standard
error and status 1.

This is the only part of the server that imports numpy and Pillow, so that whatever a hostile picture does to them ends
with this process: it has a ceiling of memory, the lowest priority and no descriptor but the picture's.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import BinaryIO

from pixelboot.container import reader
from pixelboot.container.hilbert import PIXEL, SIDE_LIMIT
from pixelboot.container.manifest import Damaged, Role
from pixelboot.container.reader import Picture
from pixelboot.library.decoding.cache import Cache
from pixelboot.library.decoding.finding import Finding, FoundPart
from pixelboot.library.folder.look import Stamp

ROLES: tuple[Role, ...] = ("kernel", "initrd")
"""The parts that a machine boots, and the names of their files in the cache."""

ROOM = 256 << 20
"""Octets of memory that the decoder may take besides the pixels."""

_PIECE = 1 << 20


class Changed(Exception):
    """The file changed while it was read."""


class NoRoom(Exception):
    """The file system of the cache is too full to take the parts."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Decode the picture on standard input."""
    parser = argparse.ArgumentParser(
        prog="pixelboot.library.decoding.work", description="Decode the picture on standard input."
    )
    parser.add_argument("cache", help="the folder of the cache")
    parser.add_argument("--side-limit", type=int, default=SIDE_LIMIT, help="largest side in pixels")
    args = parser.parse_args(arguments)
    os.nice(19)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_memory(ROOM)
    try:
        with open(0, "rb", closefd=False) as file:
            decode(file, Cache(args.cache), say, args.side_limit)
    except Changed:
        return _fail("the file changed while it was read")
    except NoRoom:
        return _fail("there is not enough room in the cache")
    except MemoryError:
        return _fail("there is not enough memory to decode it")
    except OSError as error:
        return _fail(f"it cannot be decoded now: {error}")
    return 0


def decode(file: BinaryIO, cache: Cache, say: Callable[[Finding], None], side_limit: int = SIDE_LIMIT) -> None:
    """Find out all about the picture in `file`, which has a descriptor; the last finding that is said is final.

    :raises Changed: if somebody wrote to the file meanwhile; then nothing is kept.
    :raises NoRoom: if its parts would leave too little free where the cache is.
    """
    stamp = Stamp.of(os.fstat(file.fileno()))
    picture, finding = _examined(file, side_limit)
    say(finding)
    finding = replace(finding, sha256=_digest(file))
    known = cache.load(finding.sha256)
    if known is None:
        say(finding)
        with cache.building() as folder:
            if picture is not None:
                if not cache.has_room(sum(part.size for part in finding.parts)):
                    raise NoRoom
                limit_memory(ROOM + picture.layout.side**2 * PIXEL)
                finding = _unpacked(file, picture, finding, folder)
            _assert_unchanged(file, stamp)
            cache.store(folder, finding)
        known = finding
    _assert_unchanged(file, stamp)
    cache.remember(stamp, known.sha256)
    say(known)


def say(finding: Finding) -> None:
    """Tell the server."""
    sys.stdout.buffer.write(finding.write())
    sys.stdout.buffer.flush()


def limit_memory(room: int) -> None:
    """Let this process grow by `room` octets of address space from what it has now, no further."""
    with open("/proc/self/statm", encoding="ascii") as file:
        limit = int(file.read().split()[0]) * resource.getpagesize() + room
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _examined(file: BinaryIO, side_limit: int) -> tuple[Picture | None, Finding]:
    """The picture with what its description says; no picture when that is damaged."""
    try:
        picture = reader.examine(file, side_limit)
    except Damaged as error:
        return None, Finding("damaged", reason=str(error))
    labels = picture.manifest.labels
    found = Finding(
        name=labels.name,
        description=labels.description,
        distro=labels.distro,
        architecture=labels.architecture,
        kernel_version=labels.kernel_version,
        cmdline=labels.cmdline,
        parts=tuple(FoundPart(role, part.size, "") for role in ROLES if (part := picture.manifest.part(role))),
    )
    kernel = found.part("kernel")
    if kernel is None or kernel.size == 0:
        # Not read any further: there is nothing in it that a machine could ask for.
        return None, replace(found, state="damaged", reason="no part of it is a kernel", parts=())
    return picture, found


def _digest(file: BinaryIO) -> str:
    """SHA-256 of the whole file."""
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _unpacked(file: BinaryIO, picture: Picture, finding: Finding, folder: str) -> Finding:
    """Write the parts into the folder; what is found then is final."""
    wanted = {role: part for role in ROLES if (part := picture.manifest.part(role))}
    try:
        with ExitStack() as stack:
            sinks = {part.name: stack.enter_context(open(f"{folder}/{role}", "wb")) for role, part in wanted.items()}
            digests = reader.unpack(file, picture, sinks)
            for sink in sinks.values():
                sink.flush()
                os.fsync(sink.fileno())
    except Damaged as error:
        for role in wanted:
            os.unlink(f"{folder}/{role}")
        return replace(finding, state="damaged", reason=str(error), parts=())
    parts = tuple(FoundPart(role, part.size, digests[part.name]) for role, part in wanted.items())
    return replace(finding, state="ready", parts=parts)


def _assert_unchanged(file: BinaryIO, stamp: Stamp) -> None:
    if Stamp.of(os.fstat(file.fileno())) != stamp:
        raise Changed


def _fail(reason: str) -> int:
    print(reason, file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
