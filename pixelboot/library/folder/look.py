"""The folders of containers as a list of values: what is there, and what may be opened.

Several folders are one catalogue: of two files of one name, that of the folder named first counts.

A file belongs to the catalogue when its name ends in ``.rts.png`` and does not begin with a dot.  It is opened relative
to a descriptor of the folder, never by a path, and never through a link, except a link to a bare name: another file of
the same folder (``current.rts.png`` → ``2024-05.rts.png``).  So nothing outside of the folder can be reached.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pixelboot.library.outcomes import ContainerShadowed, FolderUnreadable
from pixelboot.outcome import Outcome

SUFFIX = ".rts.png"

LARGEST_PICTURE = 2 << 30
"""Octets of a file above which it is not even read: the largest container is 1 GiB of pixels and what PNG adds."""

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class Unreadable(Exception):
    """A file that is not served; the text says why."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one state of a file from another without reading it."""

    device: int
    """Device number."""

    inode: int
    """Inode number on that device."""

    size: int
    """Length in octets."""

    mtime_ns: int
    """When the octets were last written, in nanoseconds since 1970; anybody can set it."""

    ctime_ns: int
    """When anything about the file last changed, in nanoseconds since 1970; only the kernel sets it."""

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """The stamp of a file with this status."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    @property
    def changed_at(self) -> float:
        """When the file last changed, in seconds since 1970."""
        return max(self.mtime_ns, self.ctime_ns) / 1e9

    def __str__(self) -> str:
        """The name under which the cache remembers it."""
        return f"{self.device:x}-{self.inode:x}-{self.size:x}-{self.mtime_ns:x}-{self.ctime_ns:x}"


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as one look into its folder showed it."""

    folder: str
    """The folder's path."""

    file_name: str
    """Its name in the folder."""

    stamp: Stamp | None
    """Its state; None of what is no picture."""

    problem: str = ""
    """Why it is not served, when it is not."""


@dataclass(slots=True)
class Survey:
    """What one look into all folders showed."""

    seen: dict[str, Seen] = field(default_factory=dict)
    """The files by their names."""

    complaints: set[Outcome] = field(default_factory=set)
    """Folders that cannot be read, and files that are not offered because of their names."""

    complete: bool = True
    """Whether every folder could be read; of the files of one that could not, those known before are as they were."""


def survey(roots: Sequence[str], known: Iterable[Seen]) -> Survey:
    """Look into all folders, the first of which counts most; `known` is what they had at the last look."""
    found = Survey()
    known = tuple(known)
    for root in roots:
        try:
            seen = look(root)
        except OSError as error:
            found.complete = False
            found.complaints.add(FolderUnreadable(root, error.strerror or str(error)))
            seen = [each for each in known if each.folder == root]
        for each in seen:
            first = found.seen.setdefault(each.file_name, each)
            if first is not each:
                found.complaints.add(ContainerShadowed(each.file_name, root, first.folder))
    return found


def look(root: str) -> list[Seen]:
    """What is in the folder, by file name.

    :raises OSError: if the folder cannot be read.
    """
    found: dict[str, Seen] = {}
    with _folder(root) as folder:
        for name in sorted(os.listdir(folder)):
            if not name.endswith(SUFFIX) or name.startswith("."):
                continue
            try:
                name.encode("utf-8")
            except UnicodeEncodeError:
                shown = os.fsencode(name).decode("utf-8", "backslashreplace")
                found.setdefault(shown, Seen(root, shown, None, "the name of the file is not UTF-8"))
                continue
            try:
                found[name] = Seen(root, name, Stamp.of(_resolved(folder, name)[1]))
            except FileNotFoundError:
                continue  # deleted since the list was made
            except Unreadable as error:
                found[name] = Seen(root, name, None, str(error))
            except OSError as error:
                found[name] = Seen(root, name, None, f"the file cannot be examined: {error.strerror}")
    return [found[name] for name in sorted(found)]


def open_picture(root: str, file_name: str) -> int:
    """A descriptor of the picture, for reading; `Unreadable` says why there is none."""
    if "/" in file_name or "\0" in file_name or file_name.startswith(".") or not file_name.endswith(SUFFIX):
        raise Unreadable("no container has such a name")
    try:
        with _folder(root) as folder:
            descriptor = os.open(_resolved(folder, file_name)[0], _OPEN, dir_fd=folder)
    except (OSError, UnicodeEncodeError) as error:
        raise Unreadable(f"the file cannot be opened: {getattr(error, 'strerror', error)}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable("it is not a regular file")
    return descriptor


@contextmanager
def _folder(root: str) -> Iterator[int]:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _resolved(folder: int, name: str) -> tuple[str, os.stat_result]:
    """The regular file of a bearable size that is meant by `name`: itself, or what it links to by a bare name."""
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        name = os.readlink(name, dir_fd=folder)
        if "/" in name or name.startswith("."):
            raise Unreadable("it is a link that leads out of the folder")
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            raise Unreadable("it is a link that leads nowhere") from None
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("it is not a regular file")
    if status.st_size > LARGEST_PICTURE:
        raise Unreadable(f"its {status.st_size} octets are more than any container has")
    return name, status
