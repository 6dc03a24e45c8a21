"""Files that a command makes: written beside their place and put there whole, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pixelboot.malformed import Malformed
from pixelboot.outcome import printable


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Let an error of the system say what it was about: ``what: No space left on device``."""
    try:
        yield
    except OSError as error:
        raise Malformed(f"{printable(what)}: {error.strerror or error}") from None
    except MemoryError:
        raise Malformed(f"{printable(what)}: there is not enough memory") from None


def refuse_existing(path: Path, force: bool) -> None:
    """`Malformed` when there is something at this place that may not be replaced."""
    if not force and os.path.lexists(path):
        raise Malformed(f"{printable(str(path))} exists; --force replaces it")


@contextmanager
def written_aside(path: Path, force: bool) -> Iterator[BinaryIO]:
    """A file to be written; at the end of the block it is synced and gets its name.

    When the block raises, nothing is left; when the process is killed, a hidden file with another name may be.
    Something that came to be there meanwhile is not replaced either, unless by `force`.
    """
    refuse_existing(path, force)
    aside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    if not path.parent.is_dir():
        raise Malformed(f"{printable(str(path.parent))} is not a folder; make it first")
    with explained(str(path)):
        try:
            with open(aside, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if force:
                os.replace(aside, path)
            else:
                _link(aside, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(aside)


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
