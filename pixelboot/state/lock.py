"""The state folder: made when it is missing, and owned by one server at a time."""

from __future__ import annotations

import fcntl
import os
from typing import Self

from pixelboot.malformed import Malformed


class StateUnusable(Malformed):
    """The server cannot start on this state; the text names the file or folder and says what is the matter."""


class StateLock:
    """One server's claim on a state folder: a lock on the file ``lock`` in it, which holds the server's process id.

    The kernel gives the lock back when the process ends, however it ends; the file stays and says nothing by itself.
    """

    def __init__(self, fd: int) -> None:
        """Hold the lock of the open file `fd`.  Use `take`."""
        self._fd: int | None = fd

    @classmethod
    def take(cls, folder: str) -> Self:
        """Make the folder (mode 0700) if there is none, and lock it.

        Raises `StateUnusable`: the folder cannot be made or written to, or another server has it.
        """
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            fd = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as problem:
            raise StateUnusable(f"the state folder {folder} cannot be used: {_why(problem)}") from problem
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
            os.close(fd)
            who = f"process {owner}" if owner.isdigit() else "another process"
            raise StateUnusable(f"the state folder {folder} is in use by {who}") from None
        except OSError as problem:
            os.close(fd)
            raise StateUnusable(f"the state folder {folder} cannot be locked: {_why(problem)}") from problem
        lock = cls(fd)
        try:
            lock.write_pid()
        except OSError as problem:
            lock.release()
            raise StateUnusable(f"the state folder {folder} cannot be written to: {_why(problem)}") from problem
        return lock

    @staticmethod
    def is_held(folder: str) -> bool:
        """Whether a server has the folder."""
        try:
            fd = os.open(os.path.join(folder, "lock"), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def write_pid(self) -> None:
        """Say again which process has the lock: it stays with a child when the process that took it forks and ends."""
        if self._fd is not None:
            text = f"{os.getpid()}\n".encode()
            os.pwrite(self._fd, text, 0)
            os.ftruncate(self._fd, len(text))

    def release(self) -> None:
        """Give the folder back.  May be called more than once."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def _why(problem: OSError) -> str:
    """The system's reason, and of which file."""
    return f"{problem.strerror} ({problem.filename})" if problem.filename else str(problem.strerror)
