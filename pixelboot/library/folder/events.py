"""What the kernel tells of one folder: inotify(7), as Twisted opens and closes it.

Twisted's own reading is not used: it gives no sign of events that were lost, and reads as fast as they come.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.inotify import (
    IN_ATTRIB,
    IN_CLOSE_WRITE,
    IN_CREATE,
    IN_DELETE,
    IN_DELETE_SELF,
    IN_IGNORED,
    IN_MODIFY,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    IN_ONLYDIR,
    IN_UNMOUNT,
    INotify,
    INotifyError,
)
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath

_GONE = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED
_INSIDE = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO
_MASK = _INSIDE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR

_HEAD = struct.Struct("=iIII")
"""Number of the watch, mask, cookie, and length of the name that follows, with the zeros that fill it up."""

_AT_ONCE = 1 << 16
"""Octets that are read at once, more than a thousand events: the rest waits for the next time."""


@dataclass(slots=True)
class Told:
    """What happened in a folder."""

    names: set[str] = field(default_factory=set)
    """What was made, deleted, renamed, closed after writing, or given other times or permissions."""

    written: set[str] = field(default_factory=set)
    """What was only written to, and is still open."""

    everything: bool = False
    """Whether something happened that has no name, as to the folder itself, or one that cannot be told."""

    gone: bool = False
    """Whether the folder is no longer where it was; there are no further events."""


class Events(INotify):
    """The events of one folder, from now on, whatever its path becomes.

    It tells when there are any, and is then silent until they are taken.
    """

    def __init__(self, reactor: Any, folder: int, ready: Callable[[], None]) -> None:
        """Watch the open folder of the descriptor `folder`, which may be closed afterwards; call `resume` to begin.

        :raises OSError: if the kernel does not.  Twisted does not tell why; it is mostly because of a limit.
        """
        self._ready = ready
        try:
            super().__init__(reactor)
        except INotifyError:
            raise OSError("inotify cannot be had: raise fs.inotify.max_user_instances (sysctl)") from None
        try:
            self.watch(FilePath(f"/proc/self/fd/{folder}"), _MASK)
        except INotifyError:
            self.close()
            raise OSError("the folder cannot be watched: raise fs.inotify.max_user_watches (sysctl)") from None

    def doRead(self) -> None:
        """There is something to be taken."""
        self.stopReading()
        self._ready()

    def resume(self) -> None:
        """Tell when there is something, or something more."""
        self.startReading()

    def take(self) -> Told:
        """What happened since the last time, or the first part of it."""
        octets = b""
        with suppress(BlockingIOError):
            octets = os.read(self.fileno(), _AT_ONCE)
        told = Told()
        offset = 0
        while offset < len(octets):
            _, mask, _, size = _HEAD.unpack_from(octets, offset)
            offset += _HEAD.size + size
            try:
                name = octets[offset - size : offset].rstrip(b"\0").decode("utf-8")
            except UnicodeDecodeError:
                name = ""
                mask &= ~_GONE
            if not name:
                # Without a name come IN_Q_OVERFLOW, when events were lost, and what happens to the folder itself.
                told.everything = True
                told.gone = told.gone or bool(mask & _GONE)
            elif mask == IN_MODIFY:
                told.written.add(name)
            else:
                told.names.add(name)
        return told

    def close(self) -> None:
        """Give everything back to the kernel."""
        self.connectionLost(Failure(ConnectionDone()))
