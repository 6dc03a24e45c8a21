"""Names that differ from those asked for in the case of their letters: firmware writes ``BOOTX64.EFI`` as it likes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import NamedTuple
from weakref import WeakValueDictionary

from pixelboot.library.folder.look import Stamp

SETTLED = 1.0
"""Seconds that a folder or file must have lain still for what is in it to be remembered: their times are only
so exact."""

LATE = 1.0
"""Seconds for which the names in a folder are used that has not lain still: so late is a new one found by its folded
spelling, while one that is written as it is asked for needs no listing."""

REMEMBERED = 64
"""How many folders are remembered."""

_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Listing(NamedTuple):
    """The names in a folder."""

    stamp: Stamp
    """The state of the folder."""

    settled: bool
    """Whether a folder in this state has these names and no others, whenever that is looked at."""

    names: Mapping[str, str]
    """By their folded spelling; where several have the same, the first in the order of code points."""

    begun: float
    """The instant after which it was read, by the clock of `Listings`."""


class Until(NamedTuple):
    """Something that is not looked at again before an instant: a `pixelboot.library.names.trail.State`."""

    instant: float
    """In seconds of its clock."""

    seconds: Callable[[], float]
    """The clock."""

    def is_of(self, status: os.stat_result) -> bool:
        """Whether the instant is still to come, whatever is there."""
        return self.seconds() < self.instant


class Listings:
    """The names in the folders that were looked through last."""

    def __init__(self, wall: Callable[[], float], seconds: Callable[[], float] = time.monotonic) -> None:
        """`wall` is the clock that files are stamped by, in seconds since 1970; `seconds` one that is never set."""
        self._wall = wall
        self._seconds = seconds
        self._known: dict[str, Listing] = {}
        self._choosing = Lock()
        self._reading: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    def of(self, folder: int, path: str, late: float = LATE) -> Listing:
        """In a thread: the names in a folder, which is open as `folder`; OSError if they may not be read.

        Of a folder that has not lain still it is what was there at most `late` seconds before this call.  Who asks
        while others have it read waits for that, so it is read once for all who came before that was begun.
        """
        since = self._seconds() - late
        with self._choosing:
            reading = self._reading.setdefault(path, Lock())
        with reading:
            stamp = Stamp.of(os.fstat(folder))
            known = self._known.get(path)
            if known is not None and (known.stamp == stamp if known.settled else self._is_recent(known, stamp, since)):
                return known
            listing = self._read(folder, stamp)
            if path not in self._known:
                while len(self._known) >= REMEMBERED and (oldest := next(iter(self._known), None)) is not None:
                    self._known.pop(oldest, None)  # several threads may do so
            self._known[path] = listing
            return listing

    def at_hand(self, path: str) -> Listing | None:
        """The names in a folder that is as it was, by one look at it; None if they have to be read."""
        known = self._known.get(path)
        if known is None or not known.settled:
            return None
        try:
            return known if known.stamp.is_of(os.stat(path)) else None
        except OSError:
            return None

    def until(self, listing: Listing) -> Until:
        """The state of a folder that has not lain still, as far as this listing of it may be used."""
        return Until(listing.begun + LATE, self._seconds)

    def _is_recent(self, known: Listing, stamp: Stamp, since: float) -> bool:
        """Whether it was begun after that, and is of the same folder."""
        return known.begun > since and (known.stamp.device, known.stamp.inode) == (stamp.device, stamp.inode)

    def _read(self, folder: int, stamp: Stamp) -> Listing:
        """The names there are now."""
        begun = self._seconds()
        settled = self._wall() - stamp.changed_at >= SETTLED
        descriptor = os.open(".", _LIST, dir_fd=folder)
        try:
            found = os.listdir(descriptor)
        finally:
            os.close(descriptor)
        names: dict[str, str] = {}
        for name in found:  # not sorted: that would hold up all other threads until it is done
            if not name.startswith(".") and name <= names.setdefault(spelling := name.casefold(), name):
                names[spelling] = name
        return Listing(stamp, settled, names, begun)
