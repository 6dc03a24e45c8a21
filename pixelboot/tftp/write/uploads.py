"""Uploads as they run: the transfer in the reactor, its file in a thread.

An `Upload` is driven like any transfer, by datagrams and the clock.  What comes of a write in a thread, it tells by
itself (`wake`).  Few threads write at once, however many clients: a disk that hangs must not take all of them.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.library.names.asker import Asker
from pixelboot.library.names.meant import Names
from pixelboot.outcome import printable
from pixelboot.tftp.negotiate import Limits, Refusal, Terms, negotiate
from pixelboot.tftp.patience import Patience
from pixelboot.tftp.settings import TftpSettings
from pixelboot.tftp.wire import ErrorCode, ReadRequest, WriteRequest
from pixelboot.tftp.write.store import Store, Writing
from pixelboot.tftp.write.transfer import MOST_HELD, Ending, WriteTransfer

MOST_UPLOADS = 256
"""Files that are written at once, and half of them by one client; with `MOST_HELD` for each they have 64 MiB."""

AGE_TO_GIVE_WAY = 0.05
"""Seconds after which an upload leaves its place to another one, if its client has sent nothing of the file by then:
anybody can ask, and in another's name."""

MOST_THREADS = 4
"""Threads that may wait for the disk."""

BATCH = 64 * 1024
"""Octets that are written at once, at the least; but for the last."""

_log = Logger(namespace="pixelboot.tftp")

T = TypeVar("T")
Wake = Callable[[list[bytes]], None]


def agree(request: WriteRequest, limits: Limits) -> tuple[Terms, int | None]:
    """The terms of an upload, and how many octets it will have, if the client says so; raises `Refusal`.

    The options mean the same in both directions, but for tsize, which is the client's to say (RFC 2349).  There are
    clients that do not know it and say 0.
    """
    as_read = ReadRequest(request.name, request.mode, request.options)
    terms = negotiate(as_read, 0, replace(limits, in_flight=min(limits.in_flight, MOST_HELD // 2)))
    if "tsize" not in dict(terms.agreed):
        return terms, None
    said = dict(request.options)["tsize"]
    agreed = tuple((name, said if name == "tsize" else value) for name, value in terms.agreed)
    return replace(terms, agreed=agreed), int(said) or None


class Uploads:
    """All uploads of a server."""

    def __init__(self, reactor: Any, settings: TftpSettings, root: str, *, clock: IReactorTime | None = None) -> None:
        """`root` is the folder that files are served from, empty for none.

        `reactor` has the threads; `clock` is monotonic (the reactor, unless it is given).
        """
        self._reactor = reactor
        self._clock: IReactorTime = clock or reactor
        self._store = Store(root, settings.write)
        self._names = Names(rules=settings.remap)
        self._patience = Patience(first=settings.timeout, retries=settings.retries)
        self._rollover = settings.rollover
        self._gate = DeferredSemaphore(MOST_THREADS)
        self._open: Counter[str] = Counter()  # Files that are being written, by client.
        self._leaving: Counter[str] = Counter()  # Those of them that have left their places already.
        self._running: dict[Upload, None] = {}  # The oldest first.
        self._stopped: Deferred[None] | None = None

    def start(self) -> Deferred[None]:
        """Remove what a crash has left; what is wrong with the folders stands in the log."""

        def prepared(problems: list[str]) -> None:
            for problem in problems:
                _log.warn("{problem}", problem=problem)

        self._stopped = None
        preparing = self._thread(self._store.prepare).addCallback(prepared)
        return preparing.addErrback(lambda failure: _log.failure("uploads could not be prepared", failure))

    def stop(self) -> Deferred[None]:
        """Give up all of them; fires when nothing is left of them."""
        for upload in list(self._running):
            upload.close()
        if self._stopped is None:
            self._stopped = Deferred() if self._open else succeed(None)
        return self._stopped

    def meant(self, name: str, asker: Asker) -> str:
        """What a name stands for when a file is to be written, by the rules of ``tftp.remap``; raises `Forbidden`."""
        return "/".join(self._names.parts(name, asker, writing=True))

    async def begin(self, request: WriteRequest, client: str, limits: Limits, wake: Wake) -> Upload:
        """The upload that `client`, an address, asks for, not started yet.

        `wake` is called with what is to be sent, perhaps nothing, whenever the upload went on by itself; look at its
        deadline and ending then.

        :raises Refusal: if it is not allowed.
        :raises OSError: if it cannot be now; EAGAIN when too many run.
        """
        terms, size = agree(request, limits)
        most = self._store.largest(request.name)
        if self._stopped is not None:
            raise OSError(errno.EAGAIN, "the server is stopping")
        self._make_room(client)
        transfer = WriteTransfer(request.name, terms, self._patience, most=most, size=size, rollover=self._rollover)
        writing = await self._begin(request.name, client, size)
        upload = Upload(transfer, writing, self._thread, self._clock, wake, self._released)
        self._running[upload] = None
        return upload

    def _make_room(self, client: str) -> None:
        """Let a silent one give way where there is no place for another; raises OSError if there is none."""
        silent = [each for each in self._running if each.is_silent]
        if self._open[client] - self._leaving[client] >= MOST_UPLOADS // 2:
            silent = [each for each in silent if each.client == client]
        elif self._open.total() - self._leaving.total() < MOST_UPLOADS:
            return
        if not silent:
            raise OSError(errno.EAGAIN, "too many uploads run already")
        self._leaving[silent[0].client] += 1
        silent[0].give_way()

    def _begin(self, name: str, client: str, size: int | None) -> Deferred[Writing]:
        """The file; whoever asked may be gone when it is there."""
        self._open[client] += 1
        claimed: Deferred[Writing] = Deferred()

        def begun(result: Writing | Failure) -> None:
            wanted = not claimed.called and self._stopped is None
            if isinstance(result, Failure):
                self._freed(client)
            elif not wanted:
                self._thread(result.discard).addBoth(lambda _: self._freed(client))
            if wanted:
                claimed.callback(result)  # a Failure makes it fail
            elif not claimed.called:
                claimed.errback(OSError(errno.EAGAIN, "the server is stopping"))

        self._thread(partial(self._store.begin, name, client, size)).addBoth(begun)
        return claimed

    def _released(self, upload: Upload, client: str) -> None:
        del self._running[upload]
        if upload.gave_way:
            self._leaving -= Counter([client])  # which keeps no zeros
        self._freed(client)

    def _freed(self, client: str) -> None:
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]
        if self._stopped is not None and not self._open and not self._stopped.called:
            self._stopped.callback(None)

    def _thread(self, work: Callable[[], T]) -> Deferred[T]:
        return self._gate.run(deferToThreadPool, self._reactor, self._reactor.getThreadPool(), work)


class Upload:
    """A `WriteTransfer` and the file that it becomes.

    It is driven as a transfer is.  `close` ends it whenever nobody drives it any more.
    """

    def __init__(
        self,
        transfer: WriteTransfer,
        writing: Writing,
        thread: Callable[[Callable[[], Any]], Deferred[Any]],
        clock: IReactorTime,
        wake: Wake,
        released: Callable[[Upload, str], None],
    ) -> None:
        """`thread` runs work in a thread; `released` is called once, when the file holds nothing any more."""
        self.name = transfer.name
        """The file's name as the client wrote it; untrusted."""
        self.terms = transfer.terms
        """What was negotiated."""
        self._transfer = transfer
        self._writing = writing
        self._thread = thread
        self._clock = clock
        self._wake = wake
        self._released = released
        self.client = writing.client
        """Who leaves it here, an address."""
        self.gave_way = False
        """Whether it left its place to another one."""
        self._begun_at = clock.seconds()
        self.heard_at: float | None = None
        """When the client was last heard; None before it was, besides its request."""
        self._closed = False
        self._working = False  # Whether something is done in a thread, or about to be.

    @property
    def deadline(self) -> float | None:
        """When to call `expired`; None when there is nothing more to do."""
        return self._transfer.deadline

    @property
    def ending(self) -> Ending | None:
        """What came of it; None while it runs.  After it there may be a deadline: the last ACK can be lost."""
        return self._transfer.ending

    @property
    def acknowledged(self) -> int:
        """Octets that have come, as sent."""
        return self._transfer.acknowledged

    @property
    def is_heard(self) -> bool:
        """Whether a block has come."""
        return self._transfer.is_heard

    @property
    def is_silent(self) -> bool:
        """Whether it must give way to another one, because nothing has come for too long."""
        if self._closed or self.is_heard:
            return False
        return self._clock.seconds() - self._begun_at >= AGE_TO_GIVE_WAY

    def start(self, now: float) -> list[bytes]:
        """See `WriteTransfer.start`."""
        return self._transfer.start(now)

    def received(self, octets: bytes, now: float) -> list[bytes]:
        """See `WriteTransfer.received`."""
        self.heard_at = now
        return self._on(self._transfer.received(octets, now))

    def expired(self, now: float) -> list[bytes]:
        """See `WriteTransfer.expired`."""
        if self.deadline is None or now < self.deadline:
            return []
        if self._transfer.whole and self.ending is None and not self._writing.give_up():
            self._transfer.bear(now)
            return []
        return self._on(self._transfer.expired(now))

    def give_way(self) -> None:
        """End it in favour of another one, and tell both its client and whoever drives it."""
        self.gave_way = True
        words = "nothing has come, and another upload takes its place"
        packets = self._transfer.refused(ErrorCode.UNDEFINED, words, self._clock.seconds())
        self.close()
        self._wake(packets)

    def close(self) -> None:
        """Give it up, if it is not complete: nothing is left of it.  May be called more than once."""
        if not self._closed:
            self._closed = True
            self._writing.give_up()
            self._begin()

    def _on(self, packets: list[bytes]) -> list[bytes]:
        """See whether there is something to write, or to throw away."""
        if self.ending is not None:
            self.close()
        elif self._transfer.broken_off is not None:
            self._writing.give_up()
        elif self._is_due():
            self._begin()
        return packets

    def _is_due(self) -> bool:
        """Whether there is something to write."""
        return not self._closed and (self._transfer.whole or self._transfer.untaken >= BATCH)

    def _begin(self) -> None:
        if not self._working:
            self._working = True
            working = Deferred.fromCoroutine(self._work())
            working.addErrback(lambda failure: _log.failure("an upload ended in an error", failure))

    async def _work(self) -> None:
        """Write what there is to be written, until there is no more, or it is over."""
        try:
            while self._is_due():
                packets = await self._store()
                if self._closed:
                    break
                over = self.ending is not None
                if over:
                    self.close()
                if packets or over:
                    self._wake(packets)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, nothing of it may be left
            _log.failure("an upload ended in an error")
            self.close()
        if not self._closed:
            self._working = False
            return
        try:
            await self._thread(self._writing.discard)
        finally:
            self._released(self, self._writing.client)

    async def _store(self) -> list[bytes]:
        """Write what has come; what the client is told then."""
        transfer, whole = self._transfer, self._transfer.whole
        try:
            upto = await self._thread(partial(self._writing.write, transfer.take()))
            if whole:
                await self._thread(self._writing.finish)
        except Refusal as refusal:
            return transfer.refused(refusal.code, refusal.message, self._clock.seconds())
        except OSError as problem:
            return transfer.failed(problem.strerror or str(problem), self._clock.seconds())
        if whole and self._closed:
            _log.info("{name} was complete already when it was given up: it is kept", name=printable(self.name))
        now = self._clock.seconds()
        return transfer.kept(now) if whole else transfer.stored(upto, now)
