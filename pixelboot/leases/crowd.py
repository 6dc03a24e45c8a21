"""How many unknown machines may be offered addresses at a time, where they are plugged in.

An offer costs memory and an address, and whoever can send packets can be any number of machines.  So the offers to
machines of which nothing is known (no lease, no remembered one, no reservation) are counted by port and by relay, and
have ceilings:

* Memory is bounded by the ceiling of each relay or interface, and those are configured.
* A machine that has or had a lease is not counted, so that no flood stands in its way.
* One port cannot use up what its relay may have; so a flood at one leaves the others be, as far as relays tell ports.
* Below its ceiling nobody's offer is cut short.  At the ceiling the oldest gives way, but not before `PATIENCE`, in
  which every obedient machine has chosen; so, under a flood, machines get addresses more slowly, but they do.
* A pool that is smaller than the ceilings is used up before they are reached: then its oldest gives way likewise, after
  `LONG_PATIENCE`, as nobody can tell a flood from a hall of machines there.

What gives way is not lost: a REQUEST that comes late is granted if the address is still free.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

PATIENCE = 10.0
"""Seconds for which an offer stands whatever happens: firmware chooses 4 to 8 s after its first DISCOVER."""

LONG_PATIENCE = 30.0
"""Seconds for which an offer stands where a pool is used up, though no ceiling is reached."""


class Ceilings(NamedTuple):
    """The most offers to unknown machines at a time."""

    per_port: int = 64
    """At one port of a switch, or circuit."""

    per_relay: int = 4096
    """Behind one relay, or on one interface of ours."""


CEILINGS = Ceilings()
"""The usual ones."""

_Key = TypeVar("_Key")

_Offers = OrderedDict[int, float]
"""Which addresses are on offer, and since when, the oldest first."""


class Crowd:
    """The offers to unknown machines, by where these are."""

    def __init__(self, ceilings: Ceilings) -> None:
        self._ceilings = ceilings
        self._ports: dict[tuple[str, str], _Offers] = {}
        self._relays: dict[str, _Offers] = {}
        self._links: dict[str, _Offers] = {}
        self._where: dict[int, tuple[str, str, str]] = {}

    def __contains__(self, number: int) -> bool:
        """Whether the address is on offer to an unknown machine."""
        return number in self._where

    def __iter__(self) -> Iterator[int]:
        """The addresses that are on offer to unknown machines."""
        return iter(self._where)

    def __len__(self) -> int:
        """How many are."""
        return len(self._where)

    def full(self, port: str, relay: str) -> tuple[int, float] | None:
        """The oldest offer, and since when, where one more would be one too many; None where there is room."""
        if port:
            offers = self._ports.get((relay, port))
            if offers is not None and len(offers) >= self._ceilings.per_port:
                return next(iter(offers.items()))
        offers = self._relays.get(relay)
        if offers is not None and len(offers) >= self._ceilings.per_relay:
            return next(iter(offers.items()))
        return None

    def oldest(self, link: str, now: float) -> int | None:
        """The oldest offer on a link, if it has stood for `LONG_PATIENCE`."""
        offers = self._links.get(link)
        if offers is None:
            return None
        number, since = next(iter(offers.items()))
        return None if 0 <= now - since < LONG_PATIENCE else number

    def join(self, number: int, port: str, relay: str, link: str, now: float) -> None:
        """The address is offered to an unknown machine; `link` is the name of its pool."""
        self._where[number] = (relay, port, link)
        _put(self._relays, relay, number, now)
        _put(self._links, link, number, now)
        if port:
            _put(self._ports, (relay, port), number, now)

    def leave(self, number: int) -> None:
        """The address is not on offer any more, or was never."""
        where = self._where.pop(number, None)
        if where is None:
            return
        relay, port, link = where
        if port:
            _take(self._ports, (relay, port), number)
        _take(self._relays, relay, number)
        _take(self._links, link, number)


def _put(offers_at: dict[_Key, _Offers], where: _Key, number: int, now: float) -> None:
    offers = offers_at.get(where)
    if offers is None:
        offers = offers_at[where] = OrderedDict()
    offers[number] = now


def _take(offers_at: dict[_Key, _Offers], where: _Key, number: int) -> None:
    offers = offers_at[where]
    del offers[number]
    if not offers:
        del offers_at[where]
