"""Files that a command makes: written beside their place and put there whole, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

STANDARD = "-"
"""The name by which a command line means standard input or standard output."""

TEMPORARY = "a temporary file"
"""What is said of `unnamed` files in errors."""


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Let an error of the system say what it was about: ``what: No space left on device``."""
    try:
        yield
    except BrokenPipeError:
        raise  # Whoever reads our output has enough: no error of ours.
    except OSError as error:
        raise Malformed(f"{printable(what, 4096)}: {error.strerror or error}") from None
    except MemoryError:
        raise Malformed(f"{printable(what, 4096)}: there is not enough memory") from None


def refuse_existing(path: Path, force: bool) -> None:
    """`Malformed` when there is something at this place that may not be replaced: without `force` nothing may.

    With it regular files may, and nothing else: ``/dev/stdout`` is a link, and belongs to everybody.
    """
    with explained(str(path)):
        try:
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return
    if stat.S_ISLNK(mode):
        raise Malformed(f"{printable(str(path), 4096)} is a link, which is not replaced: name what it leads to")
    if not stat.S_ISREG(mode):
        raise Malformed(f"{printable(str(path), 4096)} exists and is not a regular file")
    if not force:
        raise Malformed(f"{printable(str(path), 4096)} exists; --force replaces it")


@contextmanager
def written_aside(paths: Sequence[Path], force: bool) -> Iterator[list[BinaryIO]]:
    """A file to be written for each path; at the end of the block all are synced, and then get their names.

    When the block raises, or anything fails, nothing is left; when the process is killed, hidden files with other names
    may be.  What came to be there meanwhile is not replaced either, unless by `force`.
    """
    for path in paths:
        refuse_existing(path, force)
        if not path.parent.is_dir():
            raise Malformed(f"{printable(str(path.parent), 4096)} is not a folder; make it first")
    asides = [path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}.part") for path in paths]
    try:
        try:
            with explained(str(paths[0] if len(paths) == 1 else paths[0].parent)), ExitStack() as stack:
                files: list[BinaryIO] = [stack.enter_context(open(aside, "xb")) for aside in asides]
                yield files
                for file in files:
                    file.flush()
                    os.fsync(file.fileno())
                _place(asides, paths, force)
        finally:
            _remove(asides)
    finally:
        # Again: a signal may have cut the first time short; only one signal does anything (`ending.taken_back`).
        _remove(asides)


@contextmanager
def written_to_standard_output() -> Iterator[BinaryIO]:
    """A file without a name; at the end of the block all of it is copied to standard output, and nothing before."""
    refuse_terminal()
    with unnamed() as file:
        with explained(TEMPORARY):
            yield file
            file.seek(0)
        with explained("standard output"):
            shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
            sys.stdout.buffer.flush()


def refuse_terminal() -> None:
    """`Malformed` when standard output is no place for octets."""
    if sys.stdout is None or sys.stdout.isatty():
        raise Malformed("standard output is a terminal, or closed: name a file, or send it into a pipe")


@contextmanager
def unnamed() -> Iterator[BinaryIO]:
    """A file in the folder for temporary files (``TMPDIR``) that has no name, and is gone however the process ends."""
    with explained(TEMPORARY):
        file = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        yield file
    finally:
        # What could not be written is tried again here, and fails again.
        with suppress(OSError):
            file.close()


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)


def _place(asides: Sequence[Path], paths: Sequence[Path], force: bool) -> None:
    """Give all files their names; or none, unless older files have been replaced."""
    placed: list[Path] = []
    try:
        for aside, path in zip(asides, paths, strict=True):
            if force:
                os.replace(aside, path)
            else:
                _link(aside, path)
                placed.append(path)
    except BaseException:  # Ctrl-C too; it goes on, and nothing half of it stays
        _remove(placed)
        raise


def _link(aside: Path, path: Path) -> None:
    """Give the file its name unless that is taken; where there are no links, there is no such guarantee."""
    try:
        os.link(aside, path)
    except FileExistsError:
        refuse_existing(path, force=False)
        raise
    except OSError:
        refuse_existing(path, force=False)
        os.replace(aside, path)
