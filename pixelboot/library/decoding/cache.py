"""Decoded parts on disk, so that a picture is decoded once and never again.

    index/STAMP              which picture a file held when it was in this state: the SHA-256 of the file
    SHA256/finding.json      what the decoder found out about that picture, sound or damaged
    SHA256/kernel, initrd    its parts, verified
    tmp-PID-…                something that this process is writing, or was when it died

Everything is written aside, synced and renamed: what is in place is whole.  It is a cache all the same: sizes are
compared before use, whatever does not fit counts as absent, and what another version of pixelboot wrote is made anew.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from pixelboot import __version__
from pixelboot.library.decoding.finding import Finding
from pixelboot.library.folder.look import Stamp
from pixelboot.malformed import Malformed

FINDING = "finding.json"

RESERVE = 256 << 20
"""Octets that the cache leaves free for the rest of the server, or a twentieth of the file system when that is less."""

_SHA256 = re.compile("[0-9a-f]{64}")
_TEMPORARY = "tmp-"


class Cache:
    """The folder.  The decoder writes into it, the server reads and cleans; both may do so at the same time."""

    def __init__(self, folder: str) -> None:
        """The folder is made by `prepare`."""
        self.folder = folder
        self._index = os.path.join(folder, "index")

    def make(self) -> None:
        """Make the folder, if it is not there."""
        os.makedirs(self._index, mode=0o700, exist_ok=True)

    def prepare(self) -> None:
        """Make the folder, and remove what was left half-written.  No decoder may be running."""
        self.make()
        self._clear(_TEMPORARY)

    def clear(self, pid: int) -> None:
        """Remove what the process with this number, which has ended, left half-written."""
        with suppress(FileNotFoundError):
            self._clear(f"{_TEMPORARY}{pid}-")

    def _clear(self, prefix: str) -> None:
        for folder in (self.folder, self._index):
            for name in os.listdir(folder):
                if name.startswith(prefix):
                    _remove(os.path.join(folder, name))

    def has_room(self, size: int) -> bool:
        """Whether the file system can take `size` octets more and still keep its `RESERVE`."""
        status = os.statvfs(self.folder)
        whole, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
        return whole == 0 or free - size >= min(RESERVE, whole // 20)  # 0: one that does not count its blocks

    def recall(self, stamp: Stamp) -> Finding | None:
        """What was found out about the picture in a file of this state; None when it must be decoded."""
        try:
            with open(os.path.join(self._index, str(stamp)), "rb") as file:
                version, _, sha256 = file.read(200).decode("ascii", "replace").partition(" ")
        except OSError:
            return None
        return self.load(sha256) if version == __version__ and _SHA256.fullmatch(sha256) else None

    def load(self, sha256: str) -> Finding | None:
        """What is kept of the picture with this digest, if it is all there."""
        try:
            with open(os.path.join(self.folder, sha256, FINDING), "rb") as file:
                version, _, line = file.read(1 << 20).partition(b"\n")
            finding = Finding.read(line)
            sizes = {part.name: os.stat(self._part(sha256, part.name)).st_size for part in finding.parts}
        except (OSError, Malformed):
            return None
        sound = version == __version__.encode("ascii") and finding.sha256 == sha256 and finding.state != "decoding"
        return finding if sound and all(sizes[part.name] == part.size for part in finding.parts) else None

    def open_part(self, finding: Finding, name: str) -> int | None:
        """A descriptor of the part, for reading; None when it is not there as it should be.

        :raises OSError: if it cannot be opened now, although it may be there.
        """
        part = finding.part(name)
        try:
            descriptor = os.open(self._part(finding.sha256, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            raise
        if part is None or os.fstat(descriptor).st_size != part.size:
            os.close(descriptor)
            return None
        return descriptor

    @contextmanager
    def building(self) -> Iterator[str]:
        """A new folder to write parts into; what is left of it at the end is removed."""
        folder = tempfile.mkdtemp(prefix=_own(), dir=self.folder)
        try:
            yield folder
        finally:
            _remove(folder)

    def store(self, folder: str, finding: Finding) -> None:
        """Put the folder, with the parts in it, in place as what is known of this picture."""
        with open(os.path.join(folder, FINDING), "wb") as file:
            file.write(__version__.encode("ascii") + b"\n" + finding.write())
            file.flush()
            os.fsync(file.fileno())
        place = os.path.join(self.folder, finding.sha256)
        _remove(place)
        os.rename(folder, place)
        _sync(self.folder)

    def remember(self, stamp: Stamp, sha256: str) -> None:
        """Note that a file of this state holds the picture with this digest."""
        descriptor, path = tempfile.mkstemp(prefix=_own(), dir=self._index)
        with os.fdopen(descriptor, "wb") as file:
            file.write(f"{__version__} {sha256}".encode("ascii"))
        os.rename(path, os.path.join(self._index, str(stamp)))

    def sweep(self, stamps: Collection[Stamp], digests: Collection[str]) -> None:
        """Remove all but these files' states and these pictures.  No decoder may be running."""
        kept = {str(stamp) for stamp in stamps}
        for name in os.listdir(self._index):
            if name not in kept:
                _remove(os.path.join(self._index, name))
        for name in os.listdir(self.folder):
            if _SHA256.fullmatch(name) and name not in digests:
                _remove(os.path.join(self.folder, name))

    def _part(self, sha256: str, name: str) -> str:
        return os.path.join(self.folder, sha256, name)


def _own() -> str:
    """How the names begin under which this process writes."""
    return f"{_TEMPORARY}{os.getpid()}-"


def _remove(path: str) -> None:
    """Remove a file or a folder, if it is there; a folder is first renamed, so that no half of it is ever in place."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        aside = path
        if not os.path.basename(path).startswith(_TEMPORARY):
            aside = tempfile.mkdtemp(prefix=_own(), dir=os.path.dirname(path))
            os.rename(path, aside)
        shutil.rmtree(aside)


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some network file systems cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
