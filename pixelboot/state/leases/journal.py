"""The server's side of the helper process: changes go in, and come to be on disk, whatever becomes of the helper.

Changes are sent when the helper has answered for those before, so that, of themselves, as many share a sync as come in
while one takes place.

The journal remembers, an address at a time, every change that is not known to be on disk.  When the helper dies or
cannot write, who waits is told so at once.  The next helper sends what is on disk, and gets whatever differs before
anything else: memory and disk never tell different stories for long.  While there is no helper, everything that would
have to wait fails at once; a machine that gets no answer asks again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall

from pixelboot.leases.lease import Lease
from pixelboot.leases.seam import StoreFailed
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome
from pixelboot.state.leases import wire
from pixelboot.state.leases.loading import OnDisk
from pixelboot.state.leases.outcomes import StoreComplaint, StoreLost, StoreMended, StoreRecovered, StoreUnsaved
from pixelboot.state.leases.process import HelperProcess, IHelperReactor
from pixelboot.state.lock import StateUnusable

START_PATIENCE = 60.0
"""Seconds a helper may take until it is ready; it waits for the file's lock, and checks the file."""

PATIENCE = 10.0
"""Seconds a commit may take before the helper is killed and the commit fails."""

CLOSE_PATIENCE = 10.0
"""Seconds the helper may take to end after everything was sent."""

SLOW = 2.0
"""Seconds that a commit takes when all is well, at most; what takes longer is told to who asks."""

WAITING_LIMIT = 10_000
"""Changes that may be waited for at a time; what comes beyond fails at once."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds until a helper that ended is started again: at first, and at most; doubled until a commit succeeds."""

ROWS_AT_ONCE = 1000
"""Addresses in one batch."""

Changes = Mapping[int, Lease | None]
"""The record of each changed address, None of one of which nothing is known any more."""


class _Phase(Enum):
    """Where in its life the journal is."""

    NEW = auto()
    LOADING = auto()
    READY = auto()
    LOST = auto()
    CLOSING = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class _Batch:
    """Changes that were sent together."""

    number: int
    changes: Changes
    waiters: list[Deferred[None]]
    sent_at: float


class Journal:
    """Makes changes durable through a helper process, and starts another one when that ends."""

    def __init__(
        self,
        reactor: IHelperReactor,
        path: str,
        report: Callable[[Outcome], None],
        load: Callable[[dict[int, Lease]], None],
        everything: Callable[[], dict[int, Lease]],
    ) -> None:
        """`load` takes what is on disk at the start; `everything` gives what shall be there later."""
        self._reactor = reactor
        self._path = path
        self._report = report
        self._load = load
        self._everything = everything
        self._phase = _Phase.NEW
        self._why = "it is not open"
        self._reason = self._said = ""
        self._helper: HelperProcess | None = None
        self._timers: dict[Callable[[], None], IDelayedCall] = {}
        self._pause = FIRST_PAUSE
        self._failed, self._last_chance = False, True
        self._on_disk = OnDisk(lambda trouble: report(StoreComplaint(f"{path}: {trouble}")))
        self._lost: tuple[float, str] | None = None
        self._number = 0
        self._unsaved: dict[int, Lease | None] = {}
        self._waiters: list[Deferred[None]] = []
        self._sent: deque[_Batch] = deque()
        self._waiting = 0
        self._loading: Deferred[None] = Deferred(self._cancelled)
        self._closing: list[Deferred[None]] = []

    def open(self) -> Deferred[None]:
        """Start the helper; fires when all leases on disk are loaded.

        Fails with `StateUnusable`; cancelling it ends the helper.
        """
        self._phase = _Phase.LOADING
        self._start()
        return self._loading

    @property
    def helper_pid(self) -> int | None:
        """The process id of the helper; None when there is none."""
        return None if self._helper is None else self._helper.pid

    @property
    def trouble(self) -> str:
        """Why nothing can be made durable, and for how long; empty when it can."""
        since, why = self._lost or (self._sent[0].sent_at if self._sent else math.inf, "nothing is written")
        seconds = max(0.0, self._reactor.seconds() - since)
        return f"for {seconds:.0f} s: {self._path}: {why}" if self._lost or seconds > SLOW else ""

    def check_ready(self) -> None:
        """Raise `StoreFailed` when nothing can be made durable now."""
        if self._phase is not _Phase.READY or self._waiting >= WAITING_LIMIT:
            raise self._not_ready()

    def _not_ready(self) -> StoreFailed:
        crowded = f"{self._waiting} changes wait to be written already"
        return StoreFailed(f"{self._path}: {crowded if self._phase is _Phase.READY else self._why}")

    def note(self, changes: Changes) -> None:
        """Make changes durable some time."""
        self._unsaved.update(changes)
        if not self._sent and self._phase is _Phase.READY and self._flush not in self._timers:
            # Everything that happens in this turn of the reactor goes out together.
            self._after(0, self._flush)

    def settled(self, number: int) -> Deferred[None] | None:
        """Fires when what is known of an address is durable, or fails with `StoreFailed`; None if it is already."""
        if number in self._unsaved:
            return self.save({})
        for batch in self._sent:
            if number in batch.changes:
                waiter: Deferred[None] = Deferred()
                batch.waiters.append(waiter)
                self._waiting += 1
                return waiter
        return None

    def save(self, changes: Changes) -> Deferred[None]:
        """Fires when `changes`, and all that were noted before, are durable; fails with `StoreFailed`."""
        if self._phase is not _Phase.READY or self._waiting >= WAITING_LIMIT:
            self.note(changes)
            return fail(self._not_ready())
        waiter: Deferred[None] = Deferred()
        self._waiters.append(waiter)
        self._waiting += 1
        self.note(changes)
        return waiter

    def close(self) -> Deferred[None]:
        """Send what is left, let the helper end, and fire when it has; it is killed after `CLOSE_PATIENCE`."""
        if self._phase in (_Phase.NEW, _Phase.CLOSED):
            self._phase = _Phase.CLOSED
            return succeed(None)
        closed: Deferred[None] = Deferred()
        self._closing.append(closed)
        if self._phase is _Phase.READY:
            self._flush()
            self._phase = _Phase.CLOSING
            self._after(CLOSE_PATIENCE, self._kill)
            if self._helper is not None:
                self._helper.finish()
        elif self._phase is _Phase.LOADING:
            self._loading.cancel()
        elif self._phase is _Phase.LOST:
            self._phase = _Phase.CLOSING
            self._after(CLOSE_PATIENCE, self._kill)
            self._stop(self._start)
            if self._helper is None:
                self._end(self._why)
            else:
                self._kill()
        self._why = "it is closed"
        return closed

    # What the helper says and does.

    def _heard(self, kind: bytes, body: bytes) -> None:
        """One message from the helper."""
        try:
            if kind == b"S":
                self._saved(int.from_bytes(body))
            elif kind == b"F":
                self._failed = True
                self._give_up(body.decode())
            elif kind in (b"R", b"X") and self._helper is not None:
                self._on_disk.take()
                if kind == b"R":
                    self._helper.send(wire.message(b"L"))
            elif kind == b"T":
                self._on_disk.add(wire.rows_in(body))
            elif kind == b"J":
                self._on_disk.replay(body)
            elif kind == b"E":
                self._loaded()
            elif kind == b"D":
                self._report(StoreMended(body.decode()))
            elif kind == b"U":
                self._reason = body.decode()
            else:
                self._give_up(f"the helper sent {kind!r}")
        except (Malformed, UnicodeDecodeError) as problem:
            self._give_up(f"the helper sent {problem}")

    def _loaded(self) -> None:
        """At the start the leases come from the disk; later memory is right, whatever the file holds."""
        if self._phase is _Phase.LOADING:
            self._load(self._on_disk.take())
            self._ready()
            self._loading.callback(None)
            return
        self._unsaved = self._on_disk.differing(self._everything())
        if self._phase is _Phase.LOST:
            self._ready()
        elif self._phase is _Phase.CLOSING and self._helper is not None:
            self._stop(self._late)
            self._flush()
            self._helper.finish()

    def _ready(self) -> None:
        self._stop(self._late)
        self._phase = _Phase.READY
        if self._unsaved:
            self._flush()
        else:
            self._recovered()

    def _recovered(self) -> None:
        """A commit succeeded, or there was nothing to commit."""
        if self._lost is not None:
            (since, why), self._lost = self._lost, None
            self._report(StoreRecovered(self._path, self._reactor.seconds() - since, why))

    def _complained(self, line: str) -> None:
        self._said = line
        self._report(StoreComplaint(line))

    def _ended(self, how: str) -> None:
        """The helper process is gone."""
        self._helper = None
        self._stop(self._late)
        why, self._reason = self._reason or f"the helper process {how}", ""
        if self._phase is _Phase.LOADING:
            self._phase = _Phase.CLOSED
            self._loading.errback(StateUnusable(why if self._path in why else f"{self._path}: {why} {self._said}"))
        elif self._phase is _Phase.CLOSING:
            self._end(why)
        elif self._phase is not _Phase.CLOSED:
            # Everything is in order before anybody is told: who hears of it may close the journal.
            pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
            self._after(pause, self._start)
            self._lose(why)
            self._report(StoreLost(self._path, why, pause))

    # What the journal does.

    def _start(self) -> None:
        helper = HelperProcess(self._heard, self._complained, self._ended)
        try:
            helper.start(self._reactor, self._path, self._phase is not _Phase.LOADING)
        except OSError as problem:
            self._said = str(problem)
            self._ended("cannot be started")
            return
        self._helper = helper
        self._after(START_PATIENCE, self._late)

    def _late(self) -> None:
        self._give_up(f"the helper process was not ready after {START_PATIENCE:g} s")

    def _flush(self) -> None:
        """Send all changes that were not sent, and be told when they are durable."""
        self._stop(self._flush)
        if self._helper is None or not (self._unsaved or self._waiters):
            return
        changes = list(self._unsaved.items())
        waiters, self._waiters, self._unsaved = self._waiters, [], {}
        now = self._reactor.seconds()
        for start in range(0, max(len(changes), 1), ROWS_AT_ONCE):
            part = changes[start : start + ROWS_AT_ONCE]
            self._number += 1
            self._helper.send(wire.commit(self._number, wire.batch(part)), at_once=not self._sent)
            self._sent.append(_Batch(self._number, dict(part), [], now))
        self._sent[-1].waiters.extend(waiters)
        if self._watch not in self._timers:
            self._after(PATIENCE, self._watch)

    def _watch(self) -> None:
        """Kill a helper that does not get on, and look again later at one that does."""
        if not self._sent:
            return
        left = self._sent[0].sent_at + PATIENCE - self._reactor.seconds()
        if left > 0:
            self._after(left, self._watch)
        else:
            self._give_up(f"nothing was written for {PATIENCE:g} s")

    def _saved(self, number: int) -> None:
        """Everything up to this number is durable."""
        done: list[Deferred[None]] = []
        while self._sent and self._sent[0].number <= number:
            done += self._sent.popleft().waiters
        self._waiting -= len(done)
        self._pause, self._failed = FIRST_PAUSE, False
        self._recovered()
        if not self._sent and self._phase is _Phase.READY:
            # What came in meanwhile is on its way while the answers to what is done are made.
            self._flush()
        for waiter in done:
            waiter.callback(None)

    def _lose(self, why: str) -> None:
        """What was sent may be on disk or not: it is to be sent again, and who waits for it is told."""
        if self._phase is _Phase.READY:
            self._phase = _Phase.LOST
        self._lost = (self._reactor.seconds() if self._lost is None else self._lost[0], why)
        self._why = why
        self._stop(self._flush)
        waiters = [waiter for batch in self._sent for waiter in batch.waiters] + self._waiters
        changes = {number: lease for batch in self._sent for number, lease in batch.changes.items()}
        self._sent.clear()
        self._unsaved = {**changes, **self._unsaved}
        self._waiters, self._waiting = [], 0
        for waiter in waiters:
            waiter.errback(StoreFailed(f"{self._path}: {why}"))

    def _give_up(self, why: str) -> None:
        """Give up on this helper: whatever it was to do is not done."""
        self._reason = why
        if self._phase is not _Phase.LOADING:
            self._lose(why)
        self._kill()

    def _kill(self) -> None:
        if self._helper is not None:
            self._helper.kill()

    def _cancelled(self, _: Deferred[None]) -> None:
        self._phase = _Phase.CLOSING
        self._kill()

    def _end(self, why: str) -> None:
        """There is no helper any more, and none shall be; but one that could not write gets one successor."""
        if self._failed and self._last_chance:
            self._last_chance = False
            self._report(StoreLost(self._path, why, 0.0))
            self._lose(why)
            self._start()
        else:
            self._closed()

    def _closed(self) -> None:
        """The helper has ended, and no other one will start."""
        self._lose("it is closed")
        self._phase = _Phase.CLOSED
        for timer in list(self._timers):
            self._stop(timer)
        if self._unsaved:
            self._report(StoreUnsaved(self._path, len(self._unsaved)))
        closing, self._closing = self._closing, []
        for closed in closing:
            closed.callback(None)

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call it once, in so many seconds; one timer for each."""

        def due() -> None:
            del self._timers[call]
            call()

        self._stop(call)
        self._timers[call] = self._reactor.callLater(seconds, due)

    def _stop(self, call: Callable[[], None]) -> None:
        """Do not call it."""
        if (timer := self._timers.pop(call, None)) is not None:
            timer.cancel()
