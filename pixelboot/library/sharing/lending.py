"""Files of the library that are open: each is opened once, in a thread, and lent to all who ask for it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from pixelboot.library.file import FilePayload
from pixelboot.library.sharing.once import Joined
from pixelboot.library.sharing.shelf import Hold, Lent, Opened, Shelf

T = TypeVar("T")

_SHORT = frozenset({errno.EMFILE, errno.ENFILE})


def opening(reactor: Any, shelf: Shelf, work: Callable[[], T]) -> Deferred[T]:
    """What comes of `work`, which opens something, in one of the reactor's threads.

    Where descriptors are short, those on the shelf go that nobody uses, and it is tried again.
    """

    def in_thread() -> Deferred[T]:
        return deferToThreadPool(reactor, reactor.getThreadPool(), work)

    def make_room(failure: Failure) -> Any:
        if not (_is_short(failure.value) and shelf.idle):
            return failure
        shelf.let_go()
        return in_thread()

    return in_thread().addErrback(make_room)


def _is_short(error: BaseException | None) -> bool:
    """Whether it, or what it is to tell of, is that there are no descriptors left."""
    causes = (error, None if error is None else error.__cause__)
    return any(isinstance(each, OSError) and each.errno in _SHORT for each in causes)


class Lending:
    """What is open, in groups that come and go as one: a picture, the parts of a container.

    Between `start` and `stop` a file stays open for some seconds when nobody uses it any more.
    """

    def __init__(self, reactor: Any, clock: IReactorTime) -> None:
        self._reactor = reactor
        self._shelf = Shelf(clock)
        self._openings: Joined[Hashable, Opened | None] = Joined(self._lent)

    def start(self) -> None:
        """From now on files stay open for a while."""
        self._shelf.start()

    def stop(self) -> None:
        """Close what nobody uses, and from now on at once."""
        self._shelf.stop()

    def at_hand(self, group: str, what: Hashable) -> Lent | None:
        """What was opened as that, if it is open, and still is what it was."""
        opened = self._shelf.get((group, what))
        if opened is None:
            return None
        try:
            opened.payload.verify()
        except OSError:
            self._shelf.drop(opened)
            return None
        return self._shelf.lend(opened)

    async def get(
        self, group: str, what: Hashable, open_it: Callable[[], FilePayload | None], hold: Hold | None = None
    ) -> Lent | None:
        """What is open, or what `open_it` opens in a thread for all who ask meanwhile: None if that finds nothing.

        It raises what `open_it` raises.  While it is being opened or used there is a `hold`, see `Shelf.put`.
        """
        lent = self.at_hand(group, what)
        if lent is not None:
            return lent
        opened = await self._openings.get((group, what), partial(self._open, group, what, open_it, hold))
        return None if opened is None else self._shelf.lend(opened)

    def drop(self, group: str) -> None:
        """The files of this group are not to be lent any more; who has them keeps them."""
        self._shelf.drop_group(group)

    def _open(
        self, group: str, what: Hashable, open_it: Callable[[], FilePayload | None], hold: Hold | None
    ) -> Deferred[Opened | None]:
        let_go = None if hold is None else hold()

        def arrived(payload: FilePayload | None) -> Opened | None:
            return None if payload is None else self._shelf.put((group, what), payload, group=group, hold=hold)

        def over(result: T) -> T:
            if let_go is not None:
                let_go()
            return result

        return opening(self._reactor, self._shelf, open_it).addCallback(arrived).addBoth(over)

    def _lent(self, opened: Opened | None) -> None:
        """All who waited have theirs."""
        if opened is not None:
            self._shelf.release(opened)
