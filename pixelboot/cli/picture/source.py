"""What a command reads: files by their names, standard input as ``-``, and the description beside a picture."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from pixelboot.cli.picture.aside import STANDARD, TEMPORARY, explained, unnamed
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

if TYPE_CHECKING:
    from pixelboot.container.reader import Picture

_LIMIT = 4 << 30
"""Octets of standard input that are read; the largest payload has 1 GiB."""

_PIECE = 1 << 20


@contextmanager
def opened(name: str) -> Iterator[tuple[int, BinaryIO]]:
    """Size and octets of an input, at its beginning; ``-`` is standard input, read to its end first.

    `Malformed` when it is not a regular file, or cannot be read.
    """
    with ExitStack() as stack:
        if name == STANDARD:
            file = stack.enter_context(unnamed())
            with explained(TEMPORARY):
                _copy_standard_input(file)
                file.flush()
        else:
            with explained(name):
                file = stack.enter_context(open_regular(name))
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        yield size, file


def shown(name: str) -> str:
    """The name of an input in messages."""
    return "standard input" if name == STANDARD else printable(name, 4096)


def examined(name: str, file: BinaryIO) -> Picture:
    """The description of the picture `file`, or the one beside it; `Damaged` when there is none.

    Beside ``NAME.rts.png`` that is ``NAME.rts.png.meta.json`` or ``NAME.rts.meta.json``.
    """
    from pixelboot.container import reader

    return reader.examine(file, sidecar=None if name == STANDARD else _sidecar(name))


def open_regular(name: str) -> BinaryIO:
    """Open a file for reading; `Malformed` when it is a folder, a device or a pipe, which is not waited for."""
    file = open(name, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise Malformed(f"{printable(name, 4096)}: not a regular file")
    return file


def note(text: str) -> None:
    """Tell on standard error what the reader should know, and what is no error."""
    print(f"pixelboot: note: {text}", file=sys.stderr)


def _sidecar(name: str) -> bytes | None:
    """The first octets of the file, one more than a description may have, so that one that is too long is told.

    One that cannot be read is told and then left out: the picture may not need it.
    """
    from pixelboot.container.table import TEXT_LIMIT

    for path in (f"{name}.meta.json", f"{name.removesuffix('.png')}.meta.json"):
        try:
            with explained(path), suppress(FileNotFoundError), open_regular(path) as file:
                return file.read(TEXT_LIMIT + 1)
        except Malformed as problem:
            note(str(problem))
    return None


def _copy_standard_input(file: BinaryIO) -> None:
    """All of standard input."""
    if sys.stdin is None or sys.stdin.isatty():
        raise Malformed("standard input is a terminal, or closed: name a file, or send one through a pipe")
    left = _LIMIT
    while octets := sys.stdin.buffer.read(_PIECE):
        left -= len(octets)
        if left < 0:
            raise Malformed(f"standard input has more than {_LIMIT} octets")
        file.write(octets)
