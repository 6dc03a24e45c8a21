"""All connections of one HTTP service: how many there may be, how long they may take, and their orderly end."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread

from pixelboot.http.connection.channel import Answerer, BootChannel
from pixelboot.http.connection.pace import Pace
from pixelboot.http.connection.settings import LimitSettings
from pixelboot.http.connection.turns import Turns
from pixelboot.http.outcomes import TurnedAway
from pixelboot.outcome import Outcome

SWEEP = 1.0
"""Seconds between two looks at how long connections take."""


class BootSite(Factory):
    """All connections of one HTTP service."""

    noisy = False

    def __init__(
        self,
        answerer: Answerer,
        report: Callable[[Outcome], None],
        clock: IReactorTime,
        *,
        wall: Callable[[], float] = time.time,
        limits: LimitSettings | None = None,
        in_thread: Callable[[Callable[[], None]], Deferred[None]] = deferToThread,
    ) -> None:
        """`answerer` answers requests, `report` gets what came to none, `clock` measures their time.

        `wall` is the time of day, in seconds since 1970.  `in_thread` does what may take its
        time, such as reading from a disk.
        """
        self.answerer = answerer
        self.report = report
        self.clock = clock
        self.now = clock.seconds
        self.wall = wall
        self.limits = limits = limits or LimitSettings()
        is_limited = limits.bandwidth or limits.bandwidth_per_client
        self.pace = Pace(limits.bandwidth, limits.bandwidth_per_client) if is_limited else None
        self.in_thread = in_thread
        self.turns: Turns[BootChannel] = Turns(clock)
        self._channels: set[BootChannel] = set()
        self._clients: Counter[str] = Counter()
        # In the order in which they began to wait; they may have gone on since.
        self._idle: OrderedDict[BootChannel, None] = OrderedDict()
        self._turned_away: OrderedDict[BootChannel, None] = OrderedDict()
        self._sweeping: IDelayedCall | None = None
        self._emptied: list[Deferred[None]] = []
        self._stopping = False

    def buildProtocol(self, addr: IAddress | None) -> BootChannel:
        """A connection comes up."""
        return BootChannel(self)

    def acceptableProtocols(self) -> list[bytes]:
        """Over TLS, HTTP/1.1 alone: boot firmware knows no other, and `BootChannel` speaks no other."""
        return [b"http/1.1"]

    def opened(self, channel: BootChannel) -> str:
        """A connection came up; why its request is to be turned away, if it is."""
        self._channels.add(channel)
        self._clients[channel.peer] += 1
        if self._sweeping is None:
            self._sweeping = self.clock.callLater(SWEEP, self._sweep)
        is_full = len(self._channels) > self.limits.connections and not _made_room(self._turned_away)
        if self._stopping:
            channel.close()
        elif self._clients[channel.peer] > self.limits.connections_per_client:
            return self._turn_away(channel, f"it has more than {self.limits.connections_per_client} connections")
        elif is_full and not _made_room(self._idle):
            return self._turn_away(channel, f"there are more than {self.limits.connections} connections")
        self.waits(channel)
        return ""

    def _turn_away(self, channel: BootChannel, why: str) -> str:
        """It stays until it has asked and is told so, or until others come."""
        self._turned_away[channel] = None
        self.report(TurnedAway(channel.peer, why))
        return "too many connections"

    def waits(self, channel: BootChannel) -> None:
        """A connection waits for a request from now on."""
        self._idle[channel] = None
        self._idle.move_to_end(channel)

    def closed(self, channel: BootChannel) -> None:
        """A connection is gone."""
        self._channels.discard(channel)
        self.turns.forget(channel)
        self._idle.pop(channel, None)
        self._turned_away.pop(channel, None)
        self._clients[channel.peer] -= 1
        if not self._clients[channel.peer]:
            del self._clients[channel.peer]
        if not self._channels:
            self.turns.stop()
            if self._sweeping is not None:
                self._sweeping.cancel()
                self._sweeping = None
            emptied, self._emptied = self._emptied, []
            for waiter in emptied:
                waiter.callback(None)

    def _sweep(self) -> None:
        """End what takes too long."""
        self._sweeping = self.clock.callLater(SWEEP, self._sweep)
        now = self.now()
        for channel in [channel for channel in self._channels if channel.due <= now]:
            channel.expire()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._channels)

    def close(self, grace: float) -> Deferred[None]:
        """Close every connection: idle ones now, others when their answer is out or after `grace` seconds.

        Fires when the last one is gone.  New connections are the caller's to prevent.
        """
        done: Deferred[None] = Deferred()
        self._stopping = True
        if not self._channels:
            done.callback(None)
            return done
        for channel in tuple(self._channels):
            channel.end()
        cut = self.clock.callLater(grace, self._abort_all)
        self._emptied.append(done)

        def emptied(_: None) -> None:
            if cut.active():
                cut.cancel()

        return done.addCallback(emptied)

    def _abort_all(self) -> None:
        for channel in tuple(self._channels):
            channel.abort()


def _made_room(waiting: OrderedDict[BootChannel, None]) -> bool:
    """Whether one of these could be closed, the first that only waits for a request."""
    while waiting:
        longest, _ = waiting.popitem(last=False)
        if longest.is_idle:
            longest.abort()
            return True
    return False
