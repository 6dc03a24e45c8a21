"""The largest block that a client may be granted now, and why that is the largest.

A tunnel or a VLAN on the way may take less than the networks at its two ends, and nobody says so: small packets pass,
and of the first large one nothing is ever heard again.  The client asks anew, and would be granted the same.  So a
first block that was sent and not acknowledged makes the next one smaller, for that address and for a while.

This learns from first blocks alone.  That one is sent only after the client has acknowledged the options, so it is
there and hears small packets; and what is lost of later blocks is lost by chance.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from pixelboot.tftp.limits.sources import plain
from pixelboot.tftp.settings import NetworkSettings

LADDER = (1468, 1428, 1024, 512)
"""Octets that are tried: all that Ethernet takes; within one tunnel; within several; what every network takes."""

LEAST_STEP = 20
"""Octets that the next smaller block is smaller by, at the least: no tunnel takes less, for this is an IP header."""

KEPT = 60.0
"""Seconds for which it is remembered of an address; every first block of that size that arrives renews it."""

ANOTHER = 1.0
"""Seconds after its first block within which a request for the same file is not the client's next try, but a copy, or
that of another machine behind the same address."""

MOST_REMEMBERED = 4096
"""Addresses of which it is remembered; the oldest are forgotten."""

LARGEST = 65464
"""Octets of the largest block there is (RFC 2348)."""

_SMALLEST = 8
_OVERHEAD = {4: 20 + 8 + 4, 16: 40 + 8 + 4}
"""Octets of the headers of IP, UDP and TFTP, by those of an address."""


class Cause(StrEnum):
    """What bounds a block."""

    SETTING = "setting"
    NETWORK = "network"
    MTU = "MTU"
    REMEMBERED = "remembered"


class Cap(NamedTuple):
    """The largest block, and why."""

    blksize: int
    """In octets."""

    cause: Cause
    """Where that comes from: ``tftp.blksize``, a ``[[tftp.network]]``, the interface's MTU, or what was learned."""

    because: str
    """The same in words that follow upon *because*: ``1468 was not acknowledged``."""


class _Remembered(NamedTuple):
    blksize: int
    failed: int
    until: float


class Blksizes:
    """The largest blocks of all clients.  Addresses are 4 or 16 octets."""

    def __init__(self, blksize: int | None, networks: Sequence[NetworkSettings] = ()) -> None:
        """`blksize` and `networks` are those of the settings; without either the interface decides."""
        self._common = None if blksize is None else Cap(blksize, Cause.SETTING, "tftp.blksize says so")
        # By length of address and prefix, the longest prefixes first, so that the first that is found is the narrowest.
        self._networks: dict[tuple[int, int], dict[int, Cap]] = {}
        for each in sorted(networks, key=lambda each: -each.network.prefixlen):
            network = each.network
            octets = network.max_prefixlen // 8
            beyond = network.max_prefixlen - network.prefixlen
            cap = Cap(each.blksize, Cause.NETWORK, f"tftp.network {network} says so")
            self._networks.setdefault((octets, beyond), {})[int(network.network_address) >> beyond] = cap
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()

    def __len__(self) -> int:
        """Of how many addresses something is remembered."""
        return len(self._remembered)

    def most(self, address: bytes, mtu: int, now: float) -> Cap:
        """The largest block for a client at this address, whose request came by an interface with this MTU."""
        if len(address) == 16:
            address = plain(address)
        cap = (self._of_network(address) if self._networks else None) or self._common or _of_mtu(mtu, len(address))
        remembered = self._still(address, now) if self._remembered else None
        if remembered is None or remembered.blksize >= cap.blksize:
            return cap
        return Cap(remembered.blksize, Cause.REMEMBERED, f"{remembered.failed} was not acknowledged")

    def unheard(self, address: bytes, octets: int, now: float) -> None:
        """A first block of `octets` was sent, and the transfer was given up without an acknowledgement of it."""
        smaller = next((rung for rung in LADDER if rung <= octets - LEAST_STEP), None)
        if smaller is None:
            return  # This passes everywhere: the machine has gone.
        address = plain(address)
        former = self._still(address, now)
        if former is not None and former.blksize <= smaller:
            smaller, octets = former.blksize, former.failed
        self._remember(address, _Remembered(smaller, octets, now + KEPT))

    def again(self, address: bytes, octets: int, sent_at: float, now: float) -> None:
        """The client asks for the same file again, of which a first block of `octets` is not acknowledged yet."""
        if now - sent_at >= ANOTHER:
            self.unheard(address, octets, now)

    def heard(self, address: bytes, octets: int, now: float) -> None:
        """A first block of `octets` was acknowledged: a larger one than we thought, or just what we thought."""
        if not self._remembered:
            return
        address = plain(address)
        remembered = self._still(address, now)
        if remembered is None or octets < remembered.blksize:
            return  # A short file: it says nothing of larger blocks.
        if octets > remembered.blksize:
            del self._remembered[address]
        else:
            self._remember(address, remembered._replace(until=now + KEPT))

    def _still(self, address: bytes, now: float) -> _Remembered | None:
        """What is remembered of an address and not too old."""
        found = self._remembered.get(address)
        if found is not None and found.until <= now:
            del self._remembered[address]
            return None
        return found

    def _remember(self, address: bytes, what: _Remembered) -> None:
        self._remembered[address] = what
        self._remembered.move_to_end(address)
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)

    def _of_network(self, address: bytes) -> Cap | None:
        """What the settings say of the narrowest network that the address is in."""
        number = int.from_bytes(address)
        for (octets, beyond), networks in self._networks.items():
            if octets == len(address) and (found := networks.get(number >> beyond)) is not None:
                return found
        return None


@lru_cache(maxsize=64)
def _of_mtu(mtu: int, octets: int) -> Cap:
    """What one packet of the interface has room for."""
    room = mtu - _OVERHEAD[octets]
    return Cap(max(_SMALLEST, min(room, LARGEST)), Cause.MTU, f"the interface's MTU is {mtu}")
