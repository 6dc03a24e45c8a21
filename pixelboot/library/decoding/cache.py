"""What is kept of pictures on disk, so that one is decoded once and never again.

    index/SEEN               which picture a file held when it was in this state: its key
    findings/KEY.json        what a decoder found out about that picture, sound or damaged
    parts/KEY/kernel, …      its parts, verified; the folder's time is when they were last used
    parts/KEY/parts.json     in which state the files of the parts were left
    tmp-PID-…                something that this process is writing, or was when it died

Everything is written aside and renamed: what is in place is whole.  Parts are synced before; a finding that a loss of
power cut off is no JSON.  It is a cache all the same: a part that anybody wrote to since, whatever does not fit, and
what another version of pixelboot wrote or one with other limits, counts as absent and is made anew.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from pixelboot import __version__
from pixelboot.library.decoding.finding import LINE_LIMIT, Finding
from pixelboot.library.folder.look import Stamp
from pixelboot.malformed import Malformed

RESERVE = 256 << 20
"""Octets that the cache leaves free for the rest of the server, or a twentieth of the file system when that is less."""

SIDE_LIMIT = 16384
"""Largest side, in pixels, of the pictures that are decoded when nobody says otherwise."""

_KEY = re.compile("[0-9a-f]{64}")
_TEMPORARY = "tmp-"
_LEFT = "parts.json"
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR)


class Cache:
    """The folder.  Decoders write into it, the server reads, evicts and cleans; all may do so at the same time."""

    def __init__(self, folder: str, side_limit: int = SIDE_LIMIT) -> None:
        """The folder is made by `prepare`; `side_limit`, in pixels, is that of the decoders."""
        self.folder = folder
        self._index = os.path.join(folder, "index")
        self._findings = os.path.join(folder, "findings")
        self._parts = os.path.join(folder, "parts")
        self._maker = f"{__version__}/{side_limit}".encode("ascii")

    def make(self) -> None:
        """Make the folder, if it is not there."""
        for folder in (self._index, self._findings, self._parts):
            os.makedirs(folder, mode=0o700, exist_ok=True)

    def prepare(self) -> None:
        """Make the folder; remove what was left half-written, and what earlier versions laid out in another way."""
        self.make()
        for name in os.listdir(self.folder):
            if name.startswith(_TEMPORARY) or _KEY.fullmatch(name):
                self._remove(os.path.join(self.folder, name))

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever kept here, so that every picture will have to be read."""
        try:
            return not os.listdir(self._index)
        except OSError:
            return True

    def clear(self, pid: int) -> None:
        """Remove what the process with this number, which has ended, left half-written."""
        with suppress(FileNotFoundError):
            for name in os.listdir(self.folder):
                if name.startswith(f"{_TEMPORARY}{pid}-"):
                    self._remove(os.path.join(self.folder, name))

    def has_room(self, size: int) -> bool:
        """Whether the file system can take `size` octets more and still keep its `RESERVE`."""
        status = os.statvfs(self.folder)
        whole, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
        return whole == 0 or free - size >= min(RESERVE, whole // 20)  # 0: one that does not count its blocks

    def recall(self, seen_key: str) -> Finding | None:
        """What was found out about the picture in a file of this state (`Seen.key`); None when that is to be done."""
        maker, _, key = _read(os.path.join(self._index, seen_key), 200).partition(b" ")
        return self.load(key.decode("ascii", "replace")) if maker == self._maker else None

    def load(self, key: str) -> Finding | None:
        """What was found out about the picture with this key (`Finding.key`); its parts need not be there."""
        if not _KEY.fullmatch(key):
            return None
        maker, _, line = _read(os.path.join(self._findings, f"{key}.json"), LINE_LIMIT + 100).partition(b"\n")
        if maker != self._maker:
            return None
        try:
            finding = Finding.read(line)
        except Malformed:
            return None
        return finding if finding.key == key and finding.state in ("ready", "damaged", "unbootable") else None

    def holds(self, finding: Finding) -> bool:
        """Whether all parts of this picture are there as they were written."""
        left = self._left(finding.key)
        try:
            return finding.state == "ready" and all(
                part.name in left and left[part.name] == _state(os.lstat(self._part(finding.key, part.name)))
                for part in finding.parts
            )
        except OSError:
            return False

    def open_part(self, finding: Finding, name: str) -> tuple[int, Stamp] | None:
        """A descriptor of the part, for reading, and the state that is right; None when it is not there as written.

        :raises OSError: if it cannot be opened now, although it may be there.
        """
        part = finding.part(name)
        if part is None or not _KEY.fullmatch(finding.key):
            return None
        try:
            descriptor = os.open(self._part(finding.key, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise
        status = os.fstat(descriptor)
        if status.st_size != part.size or self._left(finding.key).get(name) != _state(status):
            os.close(descriptor)
            return None
        return descriptor, Stamp.of(status)

    @contextmanager
    def building(self) -> Iterator[str]:
        """A new folder to write parts into; what is left of it at the end is removed."""
        folder = self._aside()
        try:
            yield folder
        finally:
            self._remove(folder)

    def store_parts(self, folder: str, finding: Finding) -> None:
        """Put the folder, which holds the parts under their names, synced, in place."""
        left = {part.name: _state(os.lstat(os.path.join(folder, part.name))) for part in finding.parts}
        with open(os.path.join(folder, _LEFT), "wb") as file:
            file.write(json.dumps(left).encode("ascii"))
        _sync(folder)
        place = os.path.join(self._parts, finding.key)
        while not _renamed(folder, place):
            # It is there already: damaged, or another decoder was sooner with a copy of the picture.
            if self.holds(finding):
                return
            self._remove(place)
        _sync(self._parts)

    def store(self, finding: Finding) -> None:
        """Keep a final finding, which has a key."""
        self._write(os.path.join(self._findings, f"{finding.key}.json"), self._maker + b"\n" + finding.write())

    def remember(self, seen_key: str, key: str) -> None:
        """Note that a file of this state (`Seen.key`) holds the picture with this key."""
        self._write(os.path.join(self._index, seen_key), self._maker + b" " + key.encode("ascii"))

    def usage(self) -> dict[str, tuple[int, float]]:
        """By key: the octets of all parts that are there, and when they were last used, in seconds since 1970."""
        found = {}
        for key in os.listdir(self._parts):
            with suppress(OSError), os.scandir(os.path.join(self._parts, key)) as entries:  # evicted meanwhile
                size = sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
                found[key] = size, os.stat(os.path.join(self._parts, key)).st_mtime
        return found

    def touch(self, key: str) -> None:
        """Note that the parts of this picture are used now."""
        with suppress(FileNotFoundError):
            os.utime(os.path.join(self._parts, key))

    def evict(self, key: str) -> None:
        """Remove the parts of this picture; what was found out about it stays."""
        self._remove(os.path.join(self._parts, key))

    def sweep(self, seen_keys: Collection[str], keys: Collection[str]) -> None:
        """Remove all but these states of files and these pictures.  No decoder may be at work."""
        for folder, kept in ((self._index, seen_keys), (self._findings, keys), (self._parts, keys)):
            for name in os.listdir(folder):
                if name.removesuffix(".json") not in kept:
                    self._remove(os.path.join(folder, name))

    def _part(self, key: str, name: str) -> str:
        return os.path.join(self._parts, key, name)

    def _left(self, key: str) -> dict[str, list[int]]:
        """How the parts of this picture were left, by name."""
        try:
            left = json.loads(_read(self._part(key, _LEFT), 4096))
        except (ValueError, RecursionError):
            return {}
        return left if isinstance(left, dict) else {}

    def _aside(self) -> str:
        return tempfile.mkdtemp(prefix=_own(), dir=self.folder)

    def _write(self, place: str, octets: bytes) -> None:
        descriptor, path = tempfile.mkstemp(prefix=_own(), dir=self.folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(octets)
            os.rename(path, place)
        except OSError:
            os.unlink(path)
            raise

    def _remove(self, path: str) -> None:
        """Remove a file or a folder, if it is there; a folder is first renamed, so that no half of it is in place."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            aside = path
            if not os.path.basename(path).startswith(_TEMPORARY):
                aside = self._aside()
                with suppress(FileNotFoundError):  # somebody else was sooner
                    os.rename(path, aside)
            with suppress(FileNotFoundError):
                shutil.rmtree(aside)


def _own() -> str:
    """How the names begin under which this process writes."""
    return f"{_TEMPORARY}{os.getpid()}-"


def _renamed(folder: str, place: str) -> bool:
    """Rename the folder; False when something is in that place."""
    try:
        os.rename(folder, place)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            return False
        raise
    return True


def _state(status: os.stat_result) -> list[int]:
    """What changes when anybody writes to a file, or puts another in its place; the device may change at a restart."""
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _read(path: str, limit: int) -> bytes:
    """The first octets of a file; none when it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b""
    try:
        return os.read(descriptor, limit)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some network file systems cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
