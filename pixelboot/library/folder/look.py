"""The folders of containers as a list of values: what is there, and what may be opened.

Several folders are one catalogue: of two files of one name, that of the folder named first counts.

A file belongs to the catalogue when its name ends in ``.rts.png`` and does not begin with a dot.  Beside it may stand a
sidecar, a description for a picture without one.  Both are opened relative to a descriptor of the folder, never by a
path, and never through a link, except a link to a bare name: another file of the same folder (``current.rts.png`` →
``2024-05.rts.png``).  So nothing outside of the folder can be reached.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from pixelboot.library.folder.mounts import is_local
from pixelboot.library.outcomes import ContainerShadowed, FolderUnreadable
from pixelboot.outcome import Outcome

SUFFIX = ".rts.png"

SIDECARS = (".rts.png.meta.json", ".rts.meta.json")
"""What stands in place of ``.rts.png`` in the name of a sidecar; the first that is there counts."""

_JSON = ".meta.json"

LARGEST_PICTURE = 2 << 30
"""Octets of a file above which it is not even read: the largest container is 1 GiB of pixels and what PNG adds."""

LARGEST_SIDECAR = 4 << 20
"""Octets of a sidecar above which it is not read: as many as a description in a picture may have."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})

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

    def is_of(self, status: os.stat_result) -> bool:
        """Whether a file with this status is in this state."""
        return (
            self.ctime_ns == status.st_ctime_ns
            and self.mtime_ns == status.st_mtime_ns
            and self.inode == status.st_ino
            and self.size == status.st_size
            and self.device == status.st_dev
        )

    @property
    def changed_at(self) -> float:
        """When the file last changed, in seconds since 1970."""
        return max(self.mtime_ns, self.ctime_ns) / 1e9

    def __str__(self) -> str:
        """The name under which the cache remembers it."""
        return f"{self.device:x}-{self.inode:x}-{self.size:x}-{self.mtime_ns:x}-{self.ctime_ns:x}"


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture as one look into its folder showed it."""

    folder: str
    """The folder's path."""

    file_name: str
    """Its name in the folder."""

    stamp: Stamp | None
    """Its state; None of what is no picture."""

    problem: str = ""
    """Why it is not served, when it is not."""

    sidecar: Stamp | None = None
    """The state of its sidecar, whatever that holds; None where there is none."""

    sidecar_name: str = ""
    """The sidecar's name in the folder; empty where there is none."""

    via: tuple[str, ...] = ()
    """The names that links lead to by which it or its sidecar is found: what happens to those, happens to it."""

    @property
    def key(self) -> str:
        """The name under which the cache remembers it; empty of what is no picture."""
        if self.stamp is None or self.sidecar is None:
            return str(self.stamp or "")
        return f"{self.stamp}+{self.sidecar}"

    @property
    def changed_at(self) -> float:
        """When it or its sidecar last changed, in seconds since 1970."""
        return max(stamp.changed_at for stamp in (self.stamp, self.sidecar) if stamp is not None)

    def is_plain(self, status: os.stat_result) -> bool:
        """Whether it is a picture without links and sidecar, whose file still has this status."""
        return self.stamp is not None and self.stamp.is_of(status) and not (self.via or self.sidecar)

    def is_there(self) -> bool:
        """Whether one look shows that the picture's name still leads to its file, in the state in which it was seen."""
        path = os.path.join(self.folder, self.file_name)
        try:
            # Where a link leads does not matter any more when the file is found at its end: no other is in its state.
            status = os.stat(path) if self.via else os.lstat(path)
        except OSError:
            return False
        return self.stamp is not None and self.stamp.is_of(status)


@dataclass(slots=True)
class Survey:
    """What one look into all folders showed."""

    seen: dict[str, Seen] = field(default_factory=dict)
    """The files by their names."""

    complaints: set[Outcome] = field(default_factory=set)
    """Folders that cannot be read, and files that are not offered because of their names."""

    complete: bool = True
    """Whether every folder could be read; of the files of one that could not, those known before are as they were."""

    names: frozenset[str] | None = None
    """What was looked for; None when it was everything.  A name that is here and not in `seen` is gone."""


def survey(roots: Sequence[str], known: Iterable[Seen], names: Collection[str] | None = None) -> Survey:
    """Look into all folders, the first of which counts most; `known` is what they had at the last look.

    Given `names`, only these are looked for, and what is known to be a link to one of them.
    """
    known = tuple(known)
    if names is not None:
        wanted = set(names)
        names = frozenset(wanted | {each.file_name for each in known if each.via and not wanted.isdisjoint(each.via)})
    found = Survey(names=names)
    for root in roots:
        here = {each.file_name: each for each in known if each.folder == root} if names is None else _NOTHING
        try:
            seen = look(root, names, here)
        except OSError as error:
            found.complete = False
            found.complaints.add(FolderUnreadable(root, error.strerror or str(error)))
            seen = [each for each in known if each.folder == root and (names is None or each.file_name in names)]
        for each in seen:
            first = found.seen.setdefault(each.file_name, each)
            if first is not each:
                found.complaints.add(ContainerShadowed(each.file_name, root, first.folder))
    return found


def look(root: str, names: Collection[str] | None = None, known: Mapping[str, Seen] = _NOTHING) -> list[Seen]:
    """What is in the folder, by file name; given `names`, which of these are (but for those that are not UTF-8).

    What is `known`, by file name, is given back as the same object when it is as it was: so thousands are no trouble.

    :raises OSError: if the folder cannot be read.
    """
    found: dict[str, Seen] = {}
    with _folder(root) as folder:
        sidecars = None
        if names is None:
            # What the folder does not list is no sidecar: that spares two questions for each picture.
            names = os.listdir(folder)
            sidecars = _sidecars(names)
        # Sorted, a name that is UTF-8 comes before one that is not and looks the same.
        for name in sorted(name for name in names if name.endswith(SUFFIX) and _is_bare(name)):
            if not name.isascii() and (shown := _misspelt(name)):
                if sidecars is not None:
                    found.setdefault(shown, Seen(root, shown, None, "the name of the file is not UTF-8"))
                continue
            try:
                found[name] = _seen(root, folder, name, sidecars, known.get(name))
            except FileNotFoundError:
                continue  # deleted since the list was made
            except OSError as error:
                found[name] = Seen(root, name, None, f"the file cannot be examined: {error.strerror}")
    return list(found.values())


def holds_pictures(root: str) -> bool:
    """Whether anything in the folder has the name of a picture; not of one that cannot be read."""
    try:
        with os.scandir(root) as entries:
            return any(entry.name.endswith(SUFFIX) for entry in entries)
    except OSError:
        return False


def open_picture(root: str, file_name: str) -> int:
    """A descriptor of the picture, for reading; `Unreadable` says why there is none."""
    if not file_name.endswith(SUFFIX):
        raise Unreadable("no container has such a name")
    return _opened(root, file_name, LARGEST_PICTURE)


def open_sidecar(seen: Seen) -> bytes | None:
    """What the sidecar of the picture holds, in the state in which it was seen; None where there was none.

    :raises Unreadable: if it cannot be read, is larger than a description may be, or is not as it was.
    """
    if seen.sidecar is None:
        return None
    try:
        with open(_opened(seen.folder, seen.sidecar_name, LARGEST_SIDECAR), "rb") as file:
            octets = file.read(LARGEST_SIDECAR)
            # Looked at afterwards: the kernel changes the times of a file before it changes its octets.
            unchanged = Stamp.of(os.fstat(file.fileno())) == seen.sidecar
    except Unreadable as error:
        raise Unreadable(f"the sidecar {seen.sidecar_name} cannot be read: {error}") from None
    except OSError as error:
        raise Unreadable(f"the sidecar {seen.sidecar_name} cannot be read: {error.strerror}") from None
    if not unchanged:
        raise Unreadable(f"the sidecar {seen.sidecar_name} is being replaced")
    return octets


def is_being_written(descriptor: int) -> bool | None:
    """Whether anybody has the file open for writing, or mapped so; None when the kernel does not say.

    The descriptor must be open for reading alone.  A lease is asked for (fcntl(2), F_SETLEASE), which the kernel grants
    when nobody writes, and is given back at once.  It says nothing about files of other users to a process without
    CAP_LEASE, nor about file systems without leases; and we do not ask where other machines may be writing.
    """
    if not is_local(descriptor):
        return None
    # Who opens the file for writing in this moment waits for us, and we are sent a signal, by default a deadly one.
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


@contextmanager
def _folder(root: str) -> Iterator[int]:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_bare(name: str) -> bool:
    """Whether it can only be the name of something in the folder itself, and not of something hidden."""
    return not ("/" in name or "\0" in name or name.startswith(".") or not name)


def _misspelt(name: str) -> str:
    """A name that is not UTF-8, as it is shown; empty for every other."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    return ""


class _File(NamedTuple):
    """What is meant by a name in the folder."""

    name: str
    """Itself, or what it links to by a bare name."""

    status: os.stat_result
    """Of that, or of the link where that cannot be had."""

    problem: str = ""
    """Why it is not opened, when it is not."""


def _meant(folder: int, name: str, limit: int) -> _File:
    """The regular file of at most `limit` octets that is meant by `name`; FileNotFoundError if that is not there."""
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(name, dir_fd=folder)
        if not _is_bare(target):
            return _File(name, status, "it is a link that leads out of the folder")
        try:
            name, status = target, os.stat(target, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return _File(target, status, "it is a link that leads nowhere")
    if not stat.S_ISREG(status.st_mode):
        return _File(name, status, "it is not a regular file")
    if status.st_size > limit:
        return _File(name, status, f"its {status.st_size} octets are more than any container has")
    return _File(name, status)


def _sidecars(names: Iterable[str]) -> dict[str, str]:
    """By the name that a picture would have, which of these names is that of its sidecar."""
    names = [name for name in names if name.endswith(_JSON)]
    return {
        name.removesuffix(ending) + SUFFIX: name
        for ending in reversed(SIDECARS)
        for name in names
        if name.endswith(ending)
    }


def _seen(root: str, folder: int, name: str, sidecars: Mapping[str, str] | None, known: Seen | None) -> Seen:
    """The picture of this name with its sidecar, which is sought in the folder where `sidecars` does not name all."""
    picture = _meant(folder, name, LARGEST_PICTURE)
    via = (picture.name,) if picture.name != name else ()
    if picture.problem:
        return Seen(root, name, None, picture.problem, via=via)
    alone = not via and sidecars is not None and name not in sidecars
    if alone and known is not None and known.is_plain(picture.status):
        return known
    stamp = Stamp.of(picture.status)
    for owner in (name, *via):
        if sidecars is not None:
            candidates = (sidecars[owner],) if owner in sidecars else ()
        else:
            candidates = tuple(owner.removesuffix(SUFFIX) + ending for ending in SIDECARS if owner.endswith(SUFFIX))
        for sidecar_name in candidates:
            try:
                sidecar = _meant(folder, sidecar_name, LARGEST_SIDECAR)
            except OSError:  # mostly that there is none
                continue
            if sidecar.name != sidecar_name:
                via = (*via, sidecar.name)
            return Seen(root, name, stamp, "", Stamp.of(sidecar.status), sidecar_name, via)
    return Seen(root, name, stamp, via=via)


def _opened(root: str, name: str, limit: int) -> int:
    """A descriptor for reading of the regular file that is meant by `name`; `Unreadable` says why there is none."""
    if not _is_bare(name):
        raise Unreadable("no container has such a name")
    try:
        with _folder(root) as folder:
            file = _meant(folder, name, limit)
            if file.problem:
                raise Unreadable(file.problem)
            descriptor = os.open(file.name, _OPEN, dir_fd=folder)
    except (OSError, UnicodeEncodeError) as error:
        raise Unreadable(f"the file cannot be opened: {getattr(error, 'strerror', error)}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable("it is not a regular file")
    return descriptor
