"""A lease: one address, who holds it, and until when; and the pool that addresses are taken from.

The life of an address, as a store tells it (RFC 2131 §4.3); ``free`` means that nothing is known of it::

    free                offer → offered;  bind → bound
    offered             bind, renew → bound;  decline → declined;  time-out, withdrawal → as before the offer
    bound               bind, renew → bound;  release → released;  time-out → expired;  decline → declined;
                        its holder is given another address → free
    released, expired   offer → offered;  bind, renew → bound;  who had it last is given another address → free
    declined            the quarantine is over → free

A released or expired lease keeps the address free for everybody and remembers who had it, so that the same machine
gets the same address again (§4.3.1).  An offer lies over what is known of an address: when it comes to nothing,
what was there before shows again.  `MOVES` is the same as a table; the tests hold every store against it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from types import MappingProxyType

from pixelboot.malformed import Malformed

IDENTITY_LIMIT = 1024
"""The longest identity, in characters: a client identifier of 255 octets in hexadecimal, with room."""

HOSTNAME_LIMIT = 255
"""The longest host name, in characters (RFC 1035 §2.3.4)."""


class State(enum.StrEnum):
    """What an address is to its holder."""

    OFFERED = "offered"
    """Held for a short while, until the machine asks for it; forgotten when the server stops."""

    BOUND = "bound"
    """Leased: a machine uses the address."""

    RELEASED = "released"
    """Given back by its holder (RFC 2131 §4.4.6)."""

    EXPIRED = "expired"
    """Bound once; the time ran out."""

    DECLINED = "declined"
    """In quarantine: a machine found the address in use by somebody else (RFC 2131 §4.3.3)."""


_FREE_AGAIN = frozenset({State.RELEASED, State.EXPIRED})

MOVES: Mapping[State | None, frozenset[State | None]] = MappingProxyType(
    {
        None: frozenset({State.OFFERED, State.BOUND}),
        State.OFFERED: frozenset({State.BOUND, State.DECLINED, None}) | _FREE_AGAIN,
        State.BOUND: frozenset({State.BOUND, State.DECLINED, None}) | _FREE_AGAIN,
        State.RELEASED: frozenset({State.OFFERED, State.BOUND, None}),
        State.EXPIRED: frozenset({State.OFFERED, State.BOUND, None}),
        State.DECLINED: frozenset({None}),
    }
)
"""The legal moves of an address, one operation at a time; None is an address of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Lease:
    """One address and its holder.

    Raises `Malformed` for a text that is too long or does not print, and for an instant that is no number.
    """

    address: IPv4Address
    """The address that is held."""

    identity: str
    """Who holds it, as printable ASCII; opaque here, compared letter by letter.  At most 1024 characters."""

    hwaddr: str
    """The holder's hardware address, for people; at most 64 printable characters."""

    state: State
    """What the address is to its holder."""

    started_at: float
    """When the holder was offered or leased the address, or declined it; a renewal and the end of the lease leave
    it as it is.  Seconds since 1970."""

    expires_at: float
    """When the state ends (`math.inf` of an infinite lease); of a released or expired lease, when it ended.
    Seconds since 1970."""

    hostname: str = ""
    """The name the machine gave itself, made printable; at most 255 characters, empty when it gave none."""

    def __post_init__(self) -> None:
        identity = self.identity
        if not (0 < len(identity) <= IDENTITY_LIMIT and identity.isascii() and identity.isprintable()):
            raise Malformed(f"an identity is 1 to {IDENTITY_LIMIT} printable ASCII characters, not {identity[:80]!r}")
        if len(self.hwaddr) > 64 or not self.hwaddr.isprintable():
            raise Malformed(f"a hardware address is at most 64 printable characters, not {self.hwaddr[:80]!r}")
        if len(self.hostname) > HOSTNAME_LIMIT or not self.hostname.isprintable():
            raise Malformed(f"a host name is at most {HOSTNAME_LIMIT} printable characters, not {self.hostname[:80]!r}")
        if self.started_at != self.started_at or self.expires_at != self.expires_at:
            raise Malformed(f"the lease of {self.address} starts or ends at no number")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An address is not given, for a reason a person can read."""

    reason: str
    """Why, as the rest of a sentence: "10.77.0.5 is held by another machine"."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The addresses of one network that may be handed out.

    Raises `Malformed` for a range that is inverted, lies outside the network, overlaps another, or holds the
    network's own address or its broadcast address.
    """

    network: IPv4Network
    """The network the machines are in; a machine has one address of it."""

    ranges: tuple[tuple[IPv4Address, IPv4Address], ...]
    """First and last address of each range; both are handed out."""

    reserved: frozenset[IPv4Address] = frozenset()
    """Never handed out, though a range may hold them: the server's own addresses, the router."""

    def __post_init__(self) -> None:
        before: IPv4Address | None = None
        for first, last in sorted(self.ranges):
            if last < first:
                raise Malformed(f"the range {first}-{last} ends before it starts")
            if first not in self.network or last not in self.network:
                raise Malformed(f"the range {first}-{last} is not inside {self.network}")
            if before is not None and first <= before:
                raise Malformed(f"the range {first}-{last} overlaps another one")
            before = last
            if self.network.prefixlen < 31:
                for special in (self.network.network_address, self.network.broadcast_address):
                    if first <= special <= last:
                        raise Malformed(f"the range {first}-{last} holds {special}, which no machine can have")

    def __hash__(self) -> int:
        # A store looks its pools up on every request, and hashing every address of it costs more than the rest.
        return hash(self.network)

    def __contains__(self, address: IPv4Address) -> bool:
        """Whether this address may be handed out."""
        return address not in self.reserved and any(first <= address <= last for first, last in self.ranges)

    @property
    def size(self) -> int:
        """How many addresses can be handed out."""
        within = sum(int(last) - int(first) + 1 for first, last in self.ranges)
        return within - sum(any(first <= address <= last for first, last in self.ranges) for address in self.reserved)


_RANGE = re.compile(r"\s*([0-9.]{7,15})\s*(?:-\s*([0-9.]{7,15})\s*)?")


def parse_range(text: str) -> tuple[IPv4Address, IPv4Address]:
    """Read ``10.77.0.100-10.77.0.199`` (both ends belong to it), or one address; anything else is `Malformed`."""
    match = _RANGE.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        first = IPv4Address(match[1])
        last = IPv4Address(match[2] or match[1])
    except ValueError:
        raise Malformed(f"{text[:80]!r} is not a range of addresses like 10.77.0.100-10.77.0.199") from None
    if last < first:
        raise Malformed(f"the range {first}-{last} ends before it starts")
    return first, last
