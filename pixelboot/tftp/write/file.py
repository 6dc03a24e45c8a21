"""A file that is being written: nobody sees it before it is whole, and what a crash leaves of it is gone or hidden.

It has no name (``O_TMPFILE``) or, where the file system knows no such files, a hidden one, until everything is on the
disk.  Everything here may wait for the disk: it is for threads.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from contextlib import suppress

from pixelboot.outcome import printable

CLIENT = "user.pixelboot.client"
"""The extended attribute of a file that names the client who left it, by its address."""

HIDDEN = ".upload-"
"""What the names of files begin with that are being written where a file must have a name."""

SYNC_SIZE = 16 << 20
"""Octets after which the disk is waited for: so that there is little left to do at the end, when the client waits."""

_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CLOEXEC
_MODE = 0o640  # What a machine leaves in a crash is not for everybody who works on this one.

_NAMELESS = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT})
"""What a system says that knows no files without a name (open(2))."""


class NewFile:
    """A file on its way into a folder.  Whatever becomes of it, `discard` ends it."""

    def __init__(self, folder: int, client: str) -> None:
        """`folder` is a descriptor, which stays the caller's; raises OSError."""
        self.octets = 0
        """How many are written."""
        self._unsynced = 0
        self._hidden = ""  # The name that it has meanwhile; empty for none.
        self._file = -1
        self.folder = os.dup(folder)
        """A descriptor of the folder, until the end."""
        try:
            self._file = self._create()
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # Another server that starts now lets it be.
            self._sign(client)
        except BaseException:  # whatever it is, it goes on
            self.discard()
            raise

    @property
    def free(self) -> int:
        """Octets that the disk has left."""
        status = os.fstatvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def write(self, octets: bytes) -> None:
        """Append; raises OSError."""
        view = memoryview(octets)
        while view:
            count = os.write(self._file, view)
            view = view[count:]
            self.octets += count
            self._unsynced += count
        if self._unsynced >= SYNC_SIZE:
            os.fdatasync(self._file)
            self._unsynced = 0

    def sync(self) -> None:
        """Wait until everything is on the disk, and see that it is all there; raises OSError."""
        os.fsync(self._file)
        size = os.fstat(self._file).st_size
        if size != self.octets:
            raise OSError(errno.EIO, f"{self.octets} octets were written, and there are {size}")

    def appear(self, name: str, *, overwrite: bool) -> None:
        """Have this name from now on, in place of the file that has it, if that is allowed; raises OSError."""
        examine(self.folder, name, overwrite=overwrite)
        if not overwrite:
            self._link(name)
            return
        if not self._hidden:
            hidden = HIDDEN + secrets.token_hex(8)
            self._link(hidden)
            self._hidden = hidden
        os.replace(self._hidden, name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        self._hidden = ""

    def settle(self) -> None:
        """Wait until the name is on the disk too; raises OSError."""
        os.fsync(self.folder)

    def discard(self) -> None:
        """Give back what it holds; if it did not appear, nothing is left of it.  May be called more than once."""
        if self.folder < 0:
            return
        if self._hidden:
            with suppress(OSError):  # The next start removes it.
                os.unlink(self._hidden, dir_fd=self.folder)
        if self._file >= 0:
            os.close(self._file)
        os.close(self.folder)
        self._file = self.folder = -1

    def _create(self) -> int:
        if os.path.isdir("/proc/self/fd"):  # Else it could never be given a name.
            try:
                return os.open(".", _WRITE | os.O_TMPFILE, _MODE, dir_fd=self.folder)
            except OSError as problem:
                if problem.errno not in _NAMELESS:
                    raise
        hidden = HIDDEN + secrets.token_hex(8)
        file = os.open(hidden, _WRITE | os.O_CREAT | os.O_EXCL, _MODE, dir_fd=self.folder)
        self._hidden = hidden
        return file

    def _sign(self, client: str) -> None:
        """Write down who leaves it, where the file system can do that."""
        try:
            os.setxattr(self._file, CLIENT, client.encode())
        except OSError as problem:
            if problem.errno != errno.EOPNOTSUPP:
                raise

    def _link(self, name: str) -> None:
        """Have one more name, that nothing has."""
        if self._hidden:
            os.link(self._hidden, name, src_dir_fd=self.folder, dst_dir_fd=self.folder, follow_symlinks=False)
        else:
            os.link(f"/proc/self/fd/{self._file}", name, dst_dir_fd=self.folder, follow_symlinks=True)


def examine(folder: int, name: str, *, overwrite: bool) -> None:
    """Look whether a new file may have this name; raises OSError, FileExistsError among them."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not overwrite:
        raise FileExistsError(errno.EEXIST, "there is a file of this name already")
    if not stat.S_ISREG(mode):
        raise PermissionError(errno.EPERM, "what has this name is not a regular file")


def left(folder: int, client: str) -> dict[str, int]:
    """The files that a client has left in a folder, by name, and the octets of each; raises OSError.

    Where the file system cannot say whose a file is, every file counts.
    """
    files = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not entry.is_file(follow_symlinks=False):
                continue
            with suppress(FileNotFoundError):
                if _owner(folder, entry.name) in (client, None):
                    files[entry.name] = entry.stat(follow_symlinks=False).st_size
    return files


def clear(folder: int) -> list[str]:
    """Remove what was being written when a server ended; what stays nevertheless, and why, for a person.

    Raises OSError if it cannot even be looked for.
    """
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name.startswith(HIDDEN))
    problems = []
    for name in names:
        try:
            _remove(folder, name)
        except (FileNotFoundError, BlockingIOError):
            continue  # It has gone, or another server is writing it.
        except OSError as problem:
            problems.append(f"{printable(name)} stays there: {problem.strerror}")
    return problems


def _remove(folder: int, name: str) -> None:
    """Remove a file that nobody writes; raises OSError, BlockingIOError if somebody does."""
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise PermissionError(errno.EPERM, "it is not a regular file, so no upload has left it")
    file = os.open(name, _LOOK, dir_fd=folder)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=folder)
    finally:
        os.close(file)


def _owner(folder: int, name: str) -> str | None:
    """Who left a file here; empty if nobody did, None where that cannot be known."""
    try:
        file = os.open(name, _LOOK, dir_fd=folder)
    except PermissionError:
        return ""  # What we cannot read we did not write.
    try:
        return os.getxattr(file, CLIENT).decode(errors="replace")
    except OSError as problem:
        if problem.errno == errno.ENODATA:
            return ""
        if problem.errno == errno.EOPNOTSUPP:
            return None
        raise
    finally:
        os.close(file)
