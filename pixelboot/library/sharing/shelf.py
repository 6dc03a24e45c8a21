"""Payloads that several askers have open at once, and those that somebody may ask for again in a moment.

A payload is opened once for all; each asker has a light one of his own, which gives it back when it is closed.  When
the last one did, the payload stays open for some seconds while there is room on the shelf, so that a small file which a
thousand machines load one after the other is not opened a thousand times.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Hashable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from pixelboot.payload import Payload

ROOM = 128
"""How many payloads that nobody uses stay open."""

IDLE = 5.0
"""Seconds for which they do."""

Hold = Callable[[], Callable[[], None]]
"""Called when something begins to be used; what it gives is called when it is not used any more."""


class Opened:
    """One payload and those who use it."""

    __slots__ = ("_hold", "_let_go", "_sure_until", "group", "kept", "payload", "users")

    def __init__(self, payload: Payload, sure_until: float | None, group: str, hold: Hold | None) -> None:
        """After the instant `sure_until`, if there is one, nobody else is to be given it: see `Shelf.put`."""
        self.payload = payload
        self.group = group
        """What it goes together with; empty for nothing."""
        self.users = 0
        self.kept: Hashable = None
        """Under what it is found on the shelf; None when it is not to be found any more."""
        self._sure_until = sure_until
        self._hold = hold
        self._let_go: Callable[[], None] | None = None

    def taken(self) -> None:
        """One more uses it."""
        self.users += 1
        if self._hold is not None and self._let_go is None:
            self._let_go = self._hold()

    def unused(self) -> None:
        """Nobody uses it any more."""
        let_go, self._let_go = self._let_go, None
        if let_go is not None:
            let_go()

    def is_sure(self, clock: IReactorTime) -> bool:
        """Whether it holds what a new opening would find, as far as it was known when it was opened."""
        return self.kept is not None and (self._sure_until is None or clock.seconds() < self._sure_until)


class Lent:
    """What one asker has of an opened payload: a `pixelboot.payload.Payload`."""

    __slots__ = ("_opened", "_shelf", "is_final", "media_type", "modified_at", "origin", "size")

    def __init__(self, shelf: Shelf, opened: Opened) -> None:
        payload = opened.payload
        self._shelf: Shelf | None = shelf
        self._opened = opened
        self.origin = payload
        self.size = payload.size
        self.media_type = payload.media_type
        self.modified_at = payload.modified_at
        self.is_final = payload.is_final
        opened.taken()

    @property
    def known_etag(self) -> str | None:
        """See `Payload.known_etag`."""
        return None if self._shelf is None else self.origin.known_etag

    async def etag(self) -> str | None:
        """See `Payload.etag`."""
        self._check()
        return await self.origin.etag()

    def verify(self) -> None:
        """See `Payload.verify`."""
        self._check()
        self.origin.verify()

    def read(self, offset: int, size: int) -> bytes:
        """See `Payload.read`."""
        self._check()
        return self.origin.read(offset, size)

    def fileno(self) -> int | None:
        """See `Payload.fileno`; the descriptor is everybody's, and so is the position in it."""
        return None if self._shelf is None else self.origin.fileno()

    def close(self) -> None:
        """See `Payload.close`."""
        shelf, self._shelf = self._shelf, None
        if shelf is not None:
            shelf.release(self._opened)

    def _check(self) -> None:
        if self._shelf is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))


class Shelf:
    """Everything that is open, by whatever tells the same octets.  Before `start` nothing stays open unused."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._found: dict[Hashable, Opened] = {}
        self._idle: dict[Opened, float] = {}
        self._waking: IDelayedCall | None = None
        self._running = False

    def start(self) -> None:
        """From now on what nobody uses stays open for a while."""
        self._running = True

    def stop(self) -> None:
        """From now on nothing does."""
        self._running = False
        self.let_go()

    @property
    def idle(self) -> int:
        """How many payloads are open that nobody uses."""
        return len(self._idle)

    def put(
        self,
        key: Hashable,
        payload: Payload,
        sure_until: float | None = None,
        *,
        group: str = "",
        hold: Hold | None = None,
    ) -> Opened:
        """Take over an open payload; where the same octets are open already, it is closed, and those are given.

        It stays open until `release`, at least.  After the instant `sure_until` it is not the same any more as what is
        opened then: its key did not tell all.  All of a `group` can be dropped at once.  While anybody uses it there is
        a `hold`; not while it only lies here.
        """
        opened = self.get(key)
        if opened is not None:
            payload.close()
        else:
            opened = self._found[key] = Opened(payload, sure_until, group, hold)
            opened.kept = key
        opened.taken()
        self._idle.pop(opened, None)
        return opened

    def get(self, key: Hashable) -> Opened | None:
        """What is open under this key."""
        there = self._found.get(key)
        if there is None or there.is_sure(self._clock):
            return there
        self.drop(there)
        return None

    def lend(self, opened: Opened) -> Lent:
        """One for one more asker."""
        self._idle.pop(opened, None)
        return Lent(self, opened)

    def release(self, opened: Opened) -> None:
        """One uses it no more; if nobody does, keep it for a while or close it."""
        opened.users -= 1
        if opened.users:
            return
        if not self._running or opened.kept is None:
            self._close(opened)
        else:
            self._idle[opened] = self._clock.seconds() + IDLE
            if len(self._idle) > ROOM:
                self._close(next(iter(self._idle)))
            if self._waking is None:
                self._waking = self._clock.callLater(IDLE, self._wake)
        opened.unused()  # Last: who is waiting for that may want it closed at once.

    def drop(self, opened: Opened) -> None:
        """It is not what a new opening would find: it goes as soon as nobody uses it."""
        if opened.kept is not None:
            self._found.pop(opened.kept, None)
            opened.kept = None
        if not opened.users:
            self._close(opened)

    def drop_group(self, group: str) -> None:
        """`drop` all that belong to it."""
        for opened in [each for each in self._found.values() if each.group == group]:
            self.drop(opened)

    def let_go(self) -> None:
        """Close what nobody uses."""
        for opened in list(self._idle):
            self._close(opened)
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None

    def _close(self, opened: Opened) -> None:
        self._idle.pop(opened, None)
        if opened.kept is not None:
            self._found.pop(opened.kept, None)
            opened.kept = None
        opened.payload.close()

    def _wake(self) -> None:
        """Close what has lain unused for too long, and come again for the rest."""
        self._waking = None
        now = self._clock.seconds()
        for opened, until in list(self._idle.items()):
            if until > now:
                self._waking = self._clock.callLater(until - now, self._wake)
                break
            self._close(opened)
