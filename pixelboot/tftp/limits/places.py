"""How many transfers run, of all clients and of each, and who gives way when there is no place left.

Anybody can send a request, and in another's name.  Until a client has acknowledged a block of its file its transfer is
half-open: nothing shows that anybody is there.  Only a half-open transfer ever gives way to a newcomer, and never
before `GRACE`, in which a client that is there has answered.  The first to go is the oldest of the client that has the
most of them, in the network that has the most: so a flood from some addresses displaces itself.  Where that one is too
young it is the oldest of all: so a flood from all addresses displaces itself too, and who answers within the time that
it takes to fill all places is served.  A transfer whose client was heard is never displaced.

Everything here takes the same time however many transfers there are, and as much memory as `Ceilings` allows.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

from pixelboot.tftp.limits.sources import Source
from pixelboot.tftp.settings import TftpSettings

GRACE = 0.05
"""Seconds in which a half-open transfer does not give way: clients answer within a few milliseconds."""

ALWAYS_HALF_OPEN = 64
"""Half-open transfers that there may be where the settings allow as many transfers, be it more than half of these."""

_Key = TypeVar("_Key", bound=Hashable)
_Member = TypeVar("_Member", bound=Hashable)


class Full(Exception):
    """There is no place for one more transfer; the text names the limit and its setting."""


class Displaced(NamedTuple, Generic[_Member]):
    """Which transfer has given way to a newcomer."""

    member: _Member
    """The transfer, to be ended."""

    limit: str
    """Which limit was met, and its setting."""


class Ceilings(NamedTuple):
    """The most transfers at a time."""

    transfers: int
    """Of all clients."""

    per_client: int
    """Of one client."""

    half_open: int
    """Half-open ones, of all clients."""

    half_open_per_client: int
    """Half-open ones of one client."""


def ceilings(settings: TftpSettings) -> Ceilings:
    """What the settings come to: unless they say so, a client has no more than half of all places."""
    most = settings.transfers
    per_client = settings.transfers_per_client or max(1, most // 2)
    return Ceilings(
        most,
        per_client,
        max(most // 2, min(most, ALWAYS_HALF_OPEN)),
        max(per_client // 2, min(per_client, ALWAYS_HALF_OPEN)),
    )


class _Tally(Generic[_Key]):
    """How many each has; who has the most is known without a search."""

    __slots__ = ("_counts", "_levels", "_most")

    def __init__(self) -> None:
        self._counts: dict[_Key, int] = {}
        self._levels: dict[int, OrderedDict[_Key, None]] = {}
        self._most = 0

    def __bool__(self) -> bool:
        return self._most > 0

    def first(self) -> _Key:
        """Who has the most; of several the one that came to it first."""
        return next(iter(self._levels[self._most]))

    def add(self, key: _Key) -> None:
        """One more."""
        count = self._counts.get(key, 0)
        if count:
            self._leave(count, key)
        self._join(count + 1, key)
        if count == self._most:
            self._most = count + 1

    def drop(self, key: _Key) -> None:
        """One less."""
        count = self._counts[key]
        self._leave(count, key)
        if count > 1:
            self._join(count - 1, key)
        else:
            del self._counts[key]
        if count == self._most and count not in self._levels:
            self._most = count - 1

    def _join(self, count: int, key: _Key) -> None:
        self._counts[key] = count
        level = self._levels.get(count)
        if level is None:
            level = self._levels[count] = OrderedDict()
        level[key] = None

    def _leave(self, count: int, key: _Key) -> None:
        level = self._levels[count]
        del level[key]
        if not level:
            del self._levels[count]


class _Greed:
    """Who has the most half-open transfers."""

    def __init__(self, sources: Iterable[Source]) -> None:
        """`sources` are those of the half-open transfers, the oldest first."""
        self._networks: _Tally[bytes] = _Tally()  # Half-open transfers of every network, and of the clients in it.
        self._in_network: dict[bytes, _Tally[bytes]] = {}
        for source in sources:
            self.add(source)

    def add(self, source: Source) -> None:
        """One more."""
        network = self._in_network.get(source.network)
        if network is None:
            network = self._in_network[source.network] = _Tally()
        self._networks.add(source.network)
        network.add(source.client)

    def drop(self, source: Source) -> None:
        """One less."""
        self._networks.drop(source.network)
        network = self._in_network[source.network]
        network.drop(source.client)
        if not network:
            del self._in_network[source.network]

    def greediest(self) -> bytes:
        """The client with the most, in the network with the most."""
        return self._in_network[self._networks.first()].first()


class _Client(Generic[_Member]):
    """What one client has."""

    __slots__ = ("half_open", "running", "source")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.running = 0  # Half-open ones among them.
        self.half_open: OrderedDict[_Member, None] = OrderedDict()  # The oldest first.


class Places(Generic[_Member]):
    """The places that transfers take; a member is whatever stands for one transfer."""

    def __init__(self, ceilings: Ceilings) -> None:
        self._ceilings = ceilings
        self._clients: dict[bytes, _Client[_Member]] = {}
        self._members: dict[_Member, _Client[_Member]] = {}
        self._half_open: OrderedDict[_Member, float] = OrderedDict()  # Since when, the oldest first.
        # Kept only while it could be asked for soon: most of the time there is room for all.
        self._greed: _Greed | None = None

    def __len__(self) -> int:
        """How many places are taken."""
        return len(self._members)

    @property
    def half_open(self) -> int:
        """How many of them by half-open transfers."""
        return len(self._half_open)

    def half_open_of(self, source: Source) -> int:
        """How many of them by half-open transfers of this client."""
        client = self._clients.get(source.client)
        return 0 if client is None else len(client.half_open)

    def half_open_by(self, source: Source) -> Iterable[_Member]:
        """The half-open transfers of this client, the oldest first."""
        client = self._clients.get(source.client)
        return () if client is None else client.half_open

    def take(self, member: _Member, source: Source, now: float) -> Displaced[_Member] | None:
        """Take a place for a new, half-open transfer; returns which other one has given way to it and must be ended.

        :raises Full: if there is no place, and nobody who could give way.
        """
        client = self._clients.get(source.client)
        displaced = self._displaced(client, now)
        if displaced is not None:
            self.leave(displaced.member)
            client = self._clients.get(source.client)  # It may have been its last.
        if client is None:
            client = self._clients[source.client] = _Client(source)
        client.running += 1
        client.half_open[member] = None
        self._members[member] = client
        self._half_open[member] = now
        if self._greed is not None:
            self._greed.add(source)
        elif self._is_crowded(2):
            self._greed = _Greed(self._members[each].source for each in self._half_open)
        return displaced

    def heard(self, member: _Member) -> None:
        """The client has acknowledged a block: its transfer is half-open no more.  Again, it is nothing."""
        if member in self._half_open:
            self._open(member, self._members[member])

    def _open(self, member: _Member, client: _Client[_Member]) -> None:
        del self._half_open[member]
        del client.half_open[member]
        if self._greed is not None:
            self._greed.drop(client.source)
            if not self._is_crowded(4):
                self._greed = None

    def leave(self, member: _Member) -> None:
        """The transfer is over.  Of one that has given way, or left, it is nothing."""
        client = self._members.pop(member, None)
        if client is None:
            return
        if member in self._half_open:
            self._open(member, client)
        client.running -= 1
        if not client.running:
            del self._clients[client.source.client]

    def _displaced(self, client: _Client[_Member] | None, now: float) -> Displaced[_Member] | None:
        """Who has to give way to one more transfer of this client; None if nobody has to."""
        most = self._ceilings
        if client is not None and client.running >= most.per_client:
            limit = f"{most.per_client} transfers to its address run already (tftp.transfers_per_client)"
            return self._old_enough(limit, now, client.half_open)
        if client is not None and len(client.half_open) >= most.half_open_per_client:
            waiting = f"{most.half_open_per_client} transfers to its address wait for an answer already"
            return self._old_enough(f"{waiting} (tftp.transfers_per_client)", now, client.half_open)
        if len(self._members) >= most.transfers:
            limit = f"{most.transfers} transfers run already (tftp.transfers)"
        elif len(self._half_open) >= most.half_open:
            limit = f"{most.half_open} transfers wait for an answer already (tftp.transfers)"
        else:
            return None
        if not self._half_open:
            raise Full(limit)
        assert self._greed is not None  # It is crowded.
        greediest = self._greed.greediest()
        return self._old_enough(limit, now, self._clients[greediest].half_open, self._half_open)

    def _is_crowded(self, part: int) -> bool:
        """Whether one part in `part` of the places is taken, of all or of those for half-open transfers."""
        most = self._ceilings
        return part * len(self._half_open) >= most.half_open or part * len(self._members) >= most.transfers

    def _old_enough(self, limit: str, now: float, *candidates: Iterable[_Member]) -> Displaced[_Member]:
        """The first of the oldest ones that may give way; raises `Full` where none may."""
        for members in candidates:
            oldest = next(iter(members), None)
            if oldest is not None and now - self._half_open[oldest] >= GRACE:
                return Displaced(oldest, limit)
        raise Full(limit)
