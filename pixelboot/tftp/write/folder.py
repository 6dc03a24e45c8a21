"""The folders on the disk where clients may leave files: how one is opened, and which will do."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import PurePath

from pixelboot.config import ConfigError
from pixelboot.tftp.settings import WriteSettings

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def place(root: str, area: WriteSettings) -> str:
    """The path of the folder, for a person; `root` is the folder that files are served from, empty for none."""
    return area.path or os.path.join(root or "tftp.root", area.folder)


@contextmanager
def opened(root: str, area: WriteSettings) -> Iterator[int]:
    """A descriptor of the folder; below the root no link is followed.  Raises OSError."""
    if not area.path and not root:
        raise FileNotFoundError(errno.ENOENT, "there is no tftp.root")
    folder = os.open(area.path or root, _FOLDER)
    try:
        for part in () if area.path else area.folder.split("/"):
            inner = _inner(folder, part)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def examine(root: str, areas: Sequence[WriteSettings], others: Iterable[tuple[str, str]]) -> None:
    """Look whether files can be left in each of these; raises `ConfigError`.

    `others` are the folders of which nothing may be written by a ``path``, each with what it is: what is served to
    machines, or kept for ourselves.
    """
    others = tuple(others)
    for number, area in enumerate(areas, 1):
        key, value = ("path", area.path) if area.path else ("folder", area.folder)
        for what, other in others if area.path else ():
            if _lies_in(area.path, other) or _lies_in(other, area.path):
                allowed = f"must be apart from {what}, which is {other}: clients could change what is there"
                raise ConfigError(f"tftp.write[{number}].{key}", value, allowed)
        try:
            with opened(root, area) as folder:
                _look_for_rights(folder)
        except OSError as problem:
            why = problem.strerror if area.path or not root else f"{place(root, area)}: {problem.strerror}"
            allowed = f"must be a folder that files can be written to ({why})"
            raise ConfigError(f"tftp.write[{number}].{key}", value, allowed) from None


def _inner(folder: int, part: str) -> int:
    """A descriptor of a folder in this one; raises OSError."""
    try:
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, f"{part} is a link, which is not followed in tftp.root") from None
        raise


def _look_for_rights(folder: int) -> None:
    """Look whether files may be listed and made here, without making one; raises OSError."""
    if os.access(".", os.R_OK | os.W_OK | os.X_OK, dir_fd=folder, effective_ids=True):
        return
    if os.fstatvfs(folder).f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, "read-only here, as in a unit of systemd without ReadWritePaths for it")
    raise PermissionError(errno.EACCES, f"user {os.geteuid()} may not list it and make files there")


def _lies_in(inner: str, outer: str) -> bool:
    """Whether a folder is another one or lies below it, by whatever links and mounts either is reached."""
    try:
        there = os.stat(outer)
    except OSError:
        return False  # What is not there holds nothing.
    real = PurePath(os.path.realpath(inner))
    for above in (real, *real.parents):
        with suppress(OSError):  # It is not there yet, or not ours to see.
            if os.path.samestat(os.stat(above), there):
                return True
    return False
