"""A lease: one address, who holds it, and until when; and the pool that addresses are taken from.

The life of an address, as a store tells it (RFC 2131 §4.3); ``free`` means that nothing is known of it::

    free                offer → offered;  bind → bound
    offered             bind, renew → bound;  decline, abandon → declined;
                        time-out, withdrawal, giving way → as before the offer
    bound               bind, renew → bound;  release → released;  time-out → expired;  decline → declined;
                        its holder is given another address → free
    released, expired   offer → offered;  bind, renew → bound;  who had it last is given another address → free
    declined            the quarantine is over, readmit → free
    anything free       adopt → what it was in another server
    expired             the clock is set back to before the end → bound

A released or expired lease keeps the address free for everybody and remembers who had it, so that the same machine
gets the same address again (§4.3.1).  An offer lies over what is known of an address: when it comes to nothing,
what was there before shows again.  `MOVES` is the same as a table; the tests hold every store against it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

IDENTITY_LIMIT = 1024
"""The longest identity, in characters: a client identifier of 255 octets in hexadecimal, with room."""

HOSTNAME_LIMIT = 255
"""The longest host name, in characters (RFC 1035 §2.3.4)."""

HWADDR_LIMIT = 64
"""The longest hardware address, in characters."""

OCTETS_LIMIT = 255
"""The longest client identifier or circuit that is kept, in octets: one option."""


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


OFFERED, BOUND, RELEASED, EXPIRED, DECLINED = State
"""The same under names that are found faster: a store looks at them ten times an exchange."""

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


class Lease(NamedTuple):
    """One address and its holder."""

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

    renewed_at: float = 0.0
    """When the holder was last given time (offered, leased, renewed).  Seconds since 1970."""

    client_id: bytes = b""
    """The client identifier (option 61) it gave when it was last given time; at most 255 octets."""

    circuit: bytes = b""
    """Where it was plugged in then, as its relay says (option 82, circuit-id); at most 255 octets."""


class Cause(enum.Enum):
    """What kind of reason there is to refuse an address."""

    TAKEN = enum.auto()
    """The address is not for this machine: another's, in quarantine, or not in the pool."""

    EXHAUSTED = enum.auto()
    """The pool is used up."""

    CROWDED = enum.auto()
    """Too many unknown machines where this one is plugged in were offered addresses and did not take them yet."""


class Refusal(NamedTuple):
    """An address is not given, for a reason a person can read."""

    reason: str
    """Why, as the rest of a sentence: "10.77.0.5 is held by another machine"."""

    cause: Cause = Cause.TAKEN
    """The kind of reason."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Pool:
    """The addresses of one link that may be handed out: of one network, or of several that share the link.

    Raises `Malformed` for no network, networks that overlap, a range that is inverted, lies in none of them, overlaps
    another, or holds a network's own address or its broadcast address.
    """

    networks: tuple[IPv4Network, ...]
    """The networks the machines are in; a machine has one address of all of them."""

    ranges: tuple[tuple[IPv4Address, IPv4Address], ...]
    """First and last address of each range; both are handed out."""

    reserved: frozenset[IPv4Address] = frozenset()
    """Never handed out, though a range may hold them: the server's own addresses, the router, those of one machine."""

    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        for network, after in pairwise(sorted(self.networks)):
            if network.overlaps(after):
                raise Malformed(f"the networks {network} and {after} overlap")
        before: IPv4Address | None = None
        for first, last in sorted(self.ranges):
            if last < first:
                raise Malformed(f"the range {first}-{last} ends before it starts")
            around = [network for network in self.networks if first in network and last in network]
            if not around:
                raise Malformed(f"the range {first}-{last} is not inside {self.name}")
            if before is not None and first <= before:
                raise Malformed(f"the range {first}-{last} overlaps another one")
            before = last
            if around[0].prefixlen < 31:
                for special in (around[0].network_address, around[0].broadcast_address):
                    if first <= special <= last:
                        raise Malformed(f"the range {first}-{last} holds {special}, which no machine can have")
        if not self.networks:
            raise Malformed("a pool has no network")
        # A store looks its pools up on every request, and hashing every address of it costs more than the rest.
        object.__setattr__(self, "_hash", hash((self.networks, self.ranges)))

    def __hash__(self) -> int:
        return self._hash

    def __contains__(self, address: IPv4Address) -> bool:
        """Whether this address may be handed out."""
        return address not in self.reserved and any(first <= address <= last for first, last in self.ranges)

    @property
    def name(self) -> str:
        """The networks, for people."""
        return ", ".join(map(str, self.networks)) or "no network"

    @property
    def size(self) -> int:
        """How many addresses can be handed out."""
        within = sum(int(last) - int(first) + 1 for first, last in self.ranges)
        return within - sum(any(first <= address <= last for first, last in self.ranges) for address in self.reserved)


class Claim(NamedTuple):
    """Who asks for an address, and where."""

    identity: str
    """Who asks: see `Lease.identity`."""

    hwaddr: str
    """Its hardware address, for people: see `Lease.hwaddr`."""

    pool: Pool
    """The link it is on."""

    fixed: IPv4Address | None = None
    """The address that is reserved for it; it need not be of the pool's ranges.  While another machine still has it,
    this one gets an address of the pool."""

    hostname: str = ""
    """The name it gives itself, as it came; it is cut and made printable."""

    port: str = ""
    """The port of a switch, or circuit, that it is plugged in at, as far as a relay says; empty when nobody says."""

    relay: str = ""
    """The relay, or our interface, that it is behind."""

    circuit: bytes = b""
    """See `Lease.circuit`; more than 255 octets are not kept."""

    client_id: bytes = b""
    """See `Lease.client_id`; more than 255 octets are not kept."""


def check(identity: str, hwaddr: str) -> None:
    """Raise `Malformed` for what no lease may hold."""
    if not (0 < len(identity) <= IDENTITY_LIMIT and identity.isascii() and identity.isprintable()):
        raise Malformed(f"an identity is 1 to {IDENTITY_LIMIT} printable ASCII characters, not {identity[:80]!r}")
    if len(hwaddr) > HWADDR_LIMIT or not hwaddr.isprintable():
        raise Malformed(f"a hardware address is at most {HWADDR_LIMIT} printable characters, not {hwaddr[:80]!r}")


def shown(hostname: str) -> str:
    """A host name from the network as a lease can have it."""
    if len(hostname) <= HOSTNAME_LIMIT and hostname.isprintable():
        return hostname
    text = printable(hostname, HOSTNAME_LIMIT)
    return text if len(text) <= HOSTNAME_LIMIT else text[: HOSTNAME_LIMIT - 1] + "…"


def kept(octets: bytes) -> bytes:
    """Octets from the network as a lease can have them."""
    return octets if len(octets) <= OCTETS_LIMIT else b""


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
