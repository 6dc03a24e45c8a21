"""How the bandwidth of a site is shared: so many octets a second for all, and so many for each client.  Pure.

A client asks before it sends (`Pace.grant`), and gets some or none; when it gets none, `Pace.wait` says when to come
again.  Where the site is what is short, clients take turns: the first refusal gives a client a place in a line, and
the line moves by what each will take.  A client has one place, however many connections it has and however often it
asks, and goes to the end after its turn: so all get the same.  Turns are instants, and wait for nobody: a client that
has gone away holds up those behind it no longer than sending would have taken; and when so many have that the site's
bucket fills up, whoever comes may have what they leave.
"""

from __future__ import annotations

import math
from collections import OrderedDict

CHUNK = 16 * 1024
"""The least that is granted, in octets, where as much was wanted: less is not worth waking up for."""

_MOST_CHUNK = 128 * 1024
"""The same where bandwidth is high: a turn takes some tens of microseconds by itself."""

_CHUNK_TIME = 0.01
"""Seconds; between the two, the least is what the bandwidth sends in this time."""

_BURST_TIME = 0.1
"""Seconds of its bandwidth that a bucket holds: what may be sent at once after a pause."""

_BURST_CHUNKS = 4
"""Chunks that a bucket holds at least, so that it need not be full for one of them."""

MOST_CLIENTS = 4096
"""Clients that are remembered; beyond, those that asked the longest ago are forgotten, that is, start anew."""

_LAPSE = 5.0
"""Seconds after a turn that was not taken, in which the client is taken to have gone."""

_ROUNDING = 1e-3
"""Octets: sums of products of times are a little more or less than what they stand for."""


class Bucket:
    """Octets that may be sent: they come in at a rate, up to a burst."""

    __slots__ = ("_at", "_burst", "_octets", "_rate")

    def __init__(self, rate: float, burst: int) -> None:
        """`rate` in octets a second, above 0; `burst` is how many octets the bucket holds, and has at first."""
        self._rate = rate
        self._burst = burst
        self._octets = float(burst)  # Below 0 where more was spent than was there.
        self._at = -math.inf

    def allowed(self, now: float) -> int:
        """How many octets may be sent now."""
        if now > self._at:
            self._octets = min(self._burst, self._octets + (now - self._at) * self._rate)
            self._at = now
        return max(0, int(self._octets + _ROUNDING))

    def spend(self, octets: int, now: float) -> None:
        """They are sent.  More than is allowed is a debt, which what comes in pays first."""
        self.allowed(now)
        self._octets -= octets

    def refund(self, octets: int) -> None:
        """They were spent, and not sent after all."""
        self._octets = min(self._burst, self._octets + octets)

    def ready_at(self, now: float, wanted: int) -> float:
        """When `wanted` octets may be sent, or a burst if that is less: `now` if they may, else later than `now`.

        At that instant they are allowed, if nobody spends meanwhile.
        """
        wanted = min(wanted, self._burst)
        if self.allowed(now) >= wanted:
            return now
        # Rounded up: whoever comes at that instant must not find it a hair too early, and be sent away until the same.
        return math.nextafter(max(now, self._at) + (wanted - self._octets) / self._rate, math.inf)

    def full_at(self, now: float) -> float:
        """When there is a burst, so that what comes in is lost; like `ready_at`."""
        return self.ready_at(now, self._burst)


class _Client:
    """What is remembered of one."""

    __slots__ = ("bucket", "least", "turn_at")

    def __init__(self, bucket: Bucket | None) -> None:
        self.bucket = bucket
        """Its own, if clients have one."""
        self.least = 0
        """How many octets the site must have for it; what it asked for last."""
        self.turn_at: float | None = None
        """When its turn is; None while it has no place in the line."""

    def is_idle(self, now: float) -> bool:
        """Whether it would be the same if it were forgotten."""
        gone = self.turn_at is None or self.turn_at + _LAPSE < now
        return gone and (self.bucket is None or self.bucket.full_at(now) <= now)


class Pace:
    """The bandwidth of a site and of each of its clients."""

    def __init__(self, site_rate: float, client_rate: float) -> None:
        """In octets a second, of the payload; 0 is no limit."""
        rates = [rate for rate in (site_rate, client_rate) if rate]
        self._chunk = min(map(_chunk, rates), default=0)
        self._site_rate = site_rate
        self._site = Bucket(site_rate, _burst(site_rate)) if site_rate else None
        self._client_rate = client_rate
        self._line_at = -math.inf  # When the turn of one who takes a place now would be.
        self._clients: OrderedDict[str, _Client] = OrderedDict()  # Who asked the longest ago is first.

    def __len__(self) -> int:
        """How many clients are remembered: those that wait, and those that have not paused for long enough."""
        return len(self._clients)

    def grant(self, client: str, wanted: int, now: float) -> int:
        """How many of `wanted` octets a client may send now: none, or at least `CHUNK` if it wants as many.

        They are taken to be sent; what is not is to be given back by `refund`.
        """
        if not self._chunk or wanted <= 0:
            return max(0, wanted)
        self._forget(now)
        known = self._clients.pop(client, None)
        if known is None:
            known = _Client(Bucket(self._client_rate, _burst(self._client_rate)) if self._client_rate else None)
        known.least = min(wanted, self._chunk)
        granted = wanted if known.bucket is None else min(wanted, known.bucket.allowed(now))
        if granted < known.least:
            granted = 0
        elif self._site is not None:
            granted = min(granted, self._turn(self._site, known, now))
            self._site.spend(granted, now)
        if known.bucket is not None:
            known.bucket.spend(granted, now)
        if known.bucket is not None or known.turn_at is not None:
            self._clients[client] = known
        return granted

    def refund(self, client: str, octets: int) -> None:
        """A client has not sent so many of the octets that were granted to it."""
        if self._site is not None:
            self._site.refund(octets)
        known = self._clients.get(client)
        if known is not None and known.bucket is not None:
            known.bucket.refund(octets)

    def wait(self, client: str, now: float) -> float:
        """When it is worth asking again, for a client that was granted nothing; then it is later than `now`."""
        known = self._clients.get(client)
        if known is None:
            return now
        at = now
        if self._site is not None and known.turn_at is not None:
            at = max(now, min(known.turn_at, self._site.full_at(now)))
        return at if known.bucket is None else max(at, known.bucket.ready_at(now, known.least))

    def _turn(self, site: Bucket, known: _Client, now: float) -> int:
        """How many octets the site has for a client; 0, and a place in the line, when others come first."""
        turn_at = self._line_at if known.turn_at is None else known.turn_at
        ready_at = site.ready_at(now, known.least)
        # When the bucket is full somebody misses his turn; what comes in would be lost, so that whoever asks may have
        # it.  There is enough left for those whose turn is next.
        if ready_at <= now and (turn_at <= now or site.full_at(now) <= now):
            known.turn_at = None
            return known.least if now < self._line_at else site.allowed(now)
        if known.turn_at is None or known.turn_at <= now:
            # A newcomer; or one who came to his turn late, and found that others had taken what was there.
            known.turn_at = max(ready_at, turn_at)
            self._line_at = max(self._line_at, known.turn_at + known.least / self._site_rate)
        return 0

    def _forget(self, now: float) -> None:
        """Those who are idle, and those who are too many."""
        clients = self._clients
        while clients:
            name, known = next(iter(clients.items()))
            if len(clients) < MOST_CLIENTS and not known.is_idle(now):
                break
            del clients[name]


def _chunk(rate: float) -> int:
    """The least that is granted at a rate."""
    return min(max(int(rate * _CHUNK_TIME), CHUNK), _MOST_CHUNK)


def _burst(rate: float) -> int:
    """What a bucket with this rate holds."""
    return max(int(rate * _BURST_TIME), _BURST_CHUNKS * _chunk(rate))
