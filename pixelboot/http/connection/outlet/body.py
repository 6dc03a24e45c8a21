"""What is sent of a payload, and its pages in the kernel's memory.

A read that has to wait for a disk would hold up every other machine.  So the kernel is asked for what it has in memory
only (``RWF_NOWAIT``), and what it has not is fetched in a thread first.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from functools import partial

from pixelboot.http.ranges import Span
from pixelboot.payload import Payload

WINDOW = 4 << 20
"""Octets of a file that are fetched into memory at a time, where they are not there."""

_STEP = 1 << 18

_NOT_NOW = frozenset({errno.EAGAIN, errno.EOPNOTSUPP, errno.EINVAL})
"""What says that the octets are not in memory, or that the file system, such as NFS, cannot tell."""


class Broken(Exception):
    """The body cannot be sent to its end: the length is promised, and only breaking off says that it was not kept."""


class Body:
    """One body on its way: which octets come next."""

    __slots__ = ("_here_until", "left", "payload", "pieces", "size")

    def __init__(self, payload: Payload | None, pieces: Sequence[Span | bytes]) -> None:
        """`pieces` are octets, and spans that lie within `payload`, which stays open until the body is over.

        Without a payload there are no spans.
        """
        self.payload = payload
        self.pieces = [piece for piece in reversed(pieces) if _size(piece)]
        """What is left, the next one last."""
        self.size = sum(map(_size, pieces))
        """Octets in all."""
        self.left = self.size
        """Octets that `take` has not given yet."""
        self._here_until = 0

    @property
    def descriptor(self) -> int | None:
        """Of the file that has the octets; None when they are in memory."""
        return None if self.payload is None else self.payload.fileno()

    def take(self, most: int, room: memoryview | None = None) -> bytes | memoryview | None:
        """At most so many of the next octets, which are those that were promised; None to wait for a disk first.

        Those of a file are put into `room`, if that is given, which then has as much.

        :raises Broken: if they cannot be had any more.
        """
        piece = self.pieces[-1]
        if isinstance(piece, bytes):
            octets, rest = piece[:most], piece[most:]
            self.pieces[-1] = rest
            if not rest:
                self.pieces.pop()
            self.left -= len(octets)
            return octets
        size = min(most, piece.size)
        try:
            taken = self._read(piece.offset, memoryview(bytearray(size)) if room is None else room[:size])
        except OSError as error:
            raise Broken(error.strerror or str(error)) from None
        if taken is None:
            return None
        if len(taken) != size:
            raise Broken("it became shorter while it was sent")
        self.skip(size)
        return taken

    def _read(self, offset: int, room: memoryview) -> bytes | memoryview | None:
        """As many octets of the payload as there is room for, fewer when it is shorter now; None to wait for a disk."""
        size = len(room)
        assert self.payload is not None
        descriptor = self.payload.fileno()
        if descriptor is None or offset + size <= self._here_until:
            return self.payload.read(offset, size)
        try:
            if os.preadv(descriptor, [room], offset, os.RWF_NOWAIT) < size:
                return None
        except OSError as error:
            if error.errno in _NOT_NOW:
                return None
            raise
        # Looked at afterwards: the kernel changes the times of a file before it changes its octets.
        self.payload.verify()
        return room

    def skip(self, octets: int) -> None:
        """So many octets of the next span went without being taken."""
        span = self.pieces.pop()
        assert isinstance(span, Span)
        if octets < span.size:
            self.pieces.append(Span(span.offset + octets, span.size - octets))
        self.left -= octets

    def is_here(self, size: int) -> bool:
        """Whether so many octets of the next span can be handed on without waiting for a disk."""
        span, descriptor = self.pieces[-1], self.descriptor
        assert isinstance(span, Span)
        assert descriptor is not None
        last = span.offset + size - 1
        return last < self._here_until or in_memory(descriptor, last)

    def fetcher(self) -> Callable[[], None]:
        """Brings what comes next into memory, in a thread; what cannot be read shows when it is taken."""
        span, descriptor = self.pieces[-1], self.descriptor
        assert isinstance(span, Span)
        assert descriptor is not None
        size = min(span.size, WINDOW)
        self._here_until = span.offset + size
        return partial(fetch, os.dup(descriptor), span.offset, size)


def _size(piece: Span | bytes) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.size


def in_memory(descriptor: int, at: int) -> bool:
    """Whether the kernel has the octet at this position of a file in memory, and so probably those before it."""
    try:
        os.preadv(descriptor, [bytearray(1)], at, os.RWF_NOWAIT)
    except OSError as error:
        return error.errno not in _NOT_NOW  # any other error shows when the octet is sent
    return True


def fetch(descriptor: int, offset: int, size: int) -> None:
    """Read a part of a file for no other end than that the kernel has it in memory then; closes the descriptor."""
    block = bytearray(min(size, _STEP))
    try:
        os.posix_fadvise(descriptor, offset, size, os.POSIX_FADV_WILLNEED)
        for at in range(offset, offset + size, _STEP):
            os.preadv(descriptor, [block], at)
    except OSError:
        return  # it comes again where the octets are needed, and is told there
    finally:
        os.close(descriptor)
