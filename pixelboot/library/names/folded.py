"""Names that differ from those asked for in the case of their letters: firmware writes ``BOOTX64.EFI`` as it likes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from pixelboot.library.folder.look import Stamp

SETTLED = 1.0
"""Seconds that a folder or file must have lain still for what is in it to be remembered: their times are only
so exact."""

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


class Listings:
    """The names in the folders that were looked through last."""

    def __init__(self, wall: Callable[[], float]) -> None:
        """`wall` is the clock that files are stamped by, in seconds since 1970."""
        self._wall = wall
        self._known: dict[str, Listing] = {}

    def of(self, folder: int, path: str) -> Listing:
        """In a thread: the names in a folder, which is open as `folder`; OSError if they may not be read."""
        stamp = Stamp.of(os.fstat(folder))
        known = self._known.get(path)
        if known is not None and known.stamp == stamp:
            return known
        settled = self._wall() - stamp.changed_at >= SETTLED
        descriptor = os.open(".", _LIST, dir_fd=folder)
        try:
            found = os.listdir(descriptor)
        finally:
            os.close(descriptor)
        names = {name.casefold(): name for name in sorted(found, reverse=True) if not name.startswith(".")}
        listing = Listing(stamp, settled, names)
        if settled:
            while len(self._known) >= REMEMBERED and (oldest := next(iter(self._known), None)) is not None:
                self._known.pop(oldest, None)  # several threads may do so
            self._known[path] = listing
        return listing

    def at_hand(self, path: str) -> Listing | None:
        """The names in a folder that is as it was, by one look at it; None if they have to be read."""
        known = self._known.get(path)
        if known is None:
            return None
        try:
            return known if known.stamp.is_of(os.stat(path)) else None
        except OSError:
            return None
