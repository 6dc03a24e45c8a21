"""The digests of open files, each made once in a thread."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

from twisted.internet.interfaces import IReactorTime

from pixelboot.library.file import FilePayload
from pixelboot.library.folder.look import Stamp
from pixelboot.library.names.folded import SETTLED
from pixelboot.library.sharing.once import Once

LARGEST_HASHED = 256 << 20
"""Octets of a file above which its entity tag is made of its `Stamp`: a machine that asks for a disk image waits a few
seconds for the head of the answer, which is not enough for its SHA-256."""


class Digests:
    """What entity tags are made of, by the states of files: a `pixelboot.library.file.Hasher`."""

    def __init__(self, reactor: Any, clock: IReactorTime, wall: Callable[[], float]) -> None:
        """`wall` is the clock that files are stamped by."""
        self._wall = wall
        self._known: Once[Stamp, str] = Once(reactor, clock, float("inf"))

    def known(self, stamp: Stamp) -> str | None:
        """That of files in this state, if it was found out, and they cannot have changed since without a trace."""
        return self._known.last(stamp, "") or None

    async def of(self, descriptor: int, stamp: Stamp) -> str:
        """That of an open file in this state, in hex; the file may be closed meanwhile."""
        settled = self._wall() - stamp.changed_at >= SETTLED
        return await self._known.get(stamp, lambda: partial(digest, os.dup(descriptor), stamp), settled)


def digest(descriptor: int, stamp: Stamp) -> str:
    """In a thread: the SHA-256 of a file, or of a large one's stamp; OSError if it is changed meanwhile."""
    with closing(FilePayload(descriptor, "", 0.0, "", stamp)) as file:
        if file.size > LARGEST_HASHED:
            return hashlib.sha256(str(stamp).encode()).hexdigest()
        found, offset = hashlib.sha256(), 0
        while offset < file.size:
            block = file.read(offset, 1 << 20)
            if not block:
                raise OSError(errno.ESTALE, "the file became shorter while it was read")
            found.update(block)
            offset += len(block)
        return found.hexdigest()
