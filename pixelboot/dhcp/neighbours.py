"""Other DHCP servers on the wire: which there are, what they give, and when it is worth a word.

They are noticed in two ways: a client's broadcast names the server whose offer it takes (option 54), and replies of
others are overheard where the privileges allow it.  Beside a proxy a server that gives addresses is what belongs there;
a second one that says what to boot is not, and beside an address server none is.  Advisory and bounded: what is known
here decides nothing.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar, TypeVar

from pixelboot.datagram import Arrival
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome, Severity

LIMIT = 64
"""Servers remembered; the one that was not heard for the longest time makes room."""

AGAIN = 3600.0
"""Seconds after which a server that is still there is told again."""

_T = TypeVar("_T", str, HardwareAddress)
_FEW = 4
"""Link addresses and places that are remembered of one server: a second one that calls itself so shows by them."""
_NOWHERE = IPv4Address(0)
_REPLIES = frozenset((MessageType.OFFER, MessageType.ACK, MessageType.NAK))
_TO_A_SERVER = frozenset((MessageType.REQUEST, MessageType.DECLINE, MessageType.RELEASE))
"""What a client says to a server that it has heard of; in other messages option 54 has no place (RFC 2131 table 5)."""


class Gives(enum.StrEnum):
    """What a server was seen to give."""

    ADDRESSES = "addresses"
    """An address was offered, given, or taken from it."""

    BOOT_FILE = "boot files"
    """A reply of it names a file to boot."""

    PROXY = "proxyDHCP"
    """It answers boot clients without giving them an address."""

    REFUSALS = "refusals"
    """It has refused an address (NAK)."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One server that is not ours."""

    address: IPv4Address
    """What it calls itself (option 54)."""

    cards: tuple[HardwareAddress, ...]
    """The link addresses its replies were seen to come from; none if only clients have named it."""

    places: tuple[str, ...]
    """The interfaces it was noticed on, and the relays behind which: ``eno1``, ``eno1 by 10.0.0.3``."""

    gives: frozenset[Gives]
    """What it was seen to give."""

    first_seen_at: float
    """When it was noticed first, in seconds of the wall clock since 1970."""

    last_seen_at: float
    """When it was noticed last."""

    times: int
    """How often it was noticed."""

    expected: bool
    """Whether such a server belongs beside ours: one that only gives addresses, beside a proxy."""

    def __str__(self) -> str:
        cards = f" ({', '.join(map(str, self.cards))})" if self.cards else ""
        given = ", ".join(sorted(self.gives)) or "nothing known"
        return f"{self.address}{cards} on {', '.join(self.places)}, which gives {given}"


@dataclass(frozen=True, slots=True)
class OtherServer(Outcome):
    """A server that gives addresses is beside our proxy, as it should be."""

    service: ClassVar[str] = "dhcp"
    rest: ClassVar[float] = 60.0
    burst: ClassVar[int] = 4

    neighbour: Neighbour
    """What is known of it."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"beside this proxy there is the server {self.neighbour}"


@dataclass(frozen=True, slots=True)
class RivalServer(OtherServer):
    """A server gives what ours gives: a machine takes whichever is faster."""

    severity: ClassVar[Severity] = "warn"

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"another DHCP server gives what this one gives: {self.neighbour}"


class _Seen:
    """What is known of one server, as it grows."""

    __slots__ = ("cards", "expected", "first", "gives", "last", "places", "times", "told")

    def __init__(self, now: float) -> None:
        self.cards: list[HardwareAddress] = []
        self.places: list[str] = []
        self.gives: set[Gives] = set()
        self.first = self.last = now
        self.told: float | None = None
        self.times = 0
        self.expected = True


class Neighbours:
    """The servers that were noticed."""

    def __init__(self, own: Callable[[IPv4Address], bool], limit: int = LIMIT) -> None:
        """`own` tells whether an address is ours."""
        self._own = own
        self._limit = limit
        self._seen: OrderedDict[IPv4Address, _Seen] = OrderedDict()

    def heard(self, request: Message, arrival: Arrival, mode: str) -> OtherServer | None:
        """A client's message came, on a link served in `mode` (``proxy`` or ``server``).

        What is to be told: a server that is new, or of which something new is known, or that is still there after an
        hour.  None otherwise, and where the message names no server but ours.
        """
        named = request.address(Option.SERVER_IDENTIFIER)
        kind = request.message_type
        if named is None or request.op != wire.Op.REQUEST or kind not in _TO_A_SERVER or not self._another(named):
            return None
        takes = kind is MessageType.REQUEST and Option.REQUESTED_ADDRESS in request.options
        gives = (Gives.ADDRESSES,) if takes else ()
        return self._notice(named, None, _place(arrival.interface, request), gives, arrival.now, mode)

    def overheard(
        self, octets: bytes, interface: str, source: IPv4Address, hwaddr: HardwareAddress | None, now: float, mode: str
    ) -> OtherServer | None:
        """A datagram from a server's port was overheard, sent by `source` at `hwaddr`; as `heard`, but of the sender.

        One that is no reply of a DHCP server says nothing.
        """
        try:
            reply = wire.decode(octets)
        except Malformed:
            return None
        if reply.op != wire.Op.REPLY or not (reply.is_bootp or reply.message_type in _REPLIES):
            return None
        server = reply.address(Option.SERVER_IDENTIFIER) or source
        if self._own(source) or not self._another(server):
            return None
        return self._notice(server, hwaddr, _place(interface, reply), _given(reply), now, mode)

    def list(self) -> tuple[Neighbour, ...]:
        """Every server that is remembered, the one noticed last at the end."""
        return tuple(_told(address, seen) for address, seen in self._seen.items())

    def _another(self, address: IPv4Address) -> bool:
        """Whether a machine can have the address, and it is none of ours."""
        impossible = address.packed[0] == 0 or address.is_multicast or address.is_reserved
        return not impossible and not self._own(address)

    def _notice(
        self,
        address: IPv4Address,
        hwaddr: HardwareAddress | None,
        place: str,
        gives: tuple[Gives, ...],
        now: float,
        mode: str,
    ) -> OtherServer | None:
        seen = self._seen.get(address)
        if seen is None:
            seen = self._seen[address] = _Seen(now)
            if len(self._seen) > self._limit:
                self._seen.popitem(last=False)
        self._seen.move_to_end(address)
        seen.last = now
        seen.times += 1
        new = _learn(seen.cards, hwaddr) | _learn(seen.places, place)
        new |= not seen.gives.issuperset(gives)
        seen.gives.update(gives)
        # What is one too many on one link stays so, though it may be seen on others where it belongs.
        expected = seen.expected and mode == "proxy" and seen.gives.isdisjoint((Gives.BOOT_FILE, Gives.PROXY))
        new |= expected is not seen.expected
        seen.expected = expected
        if not new and seen.told is not None and 0 <= now - seen.told < AGAIN:
            return None
        seen.told = now
        return (OtherServer if expected else RivalServer)(_told(address, seen))


def _learn(known: list[_T], item: _T | None) -> bool:
    """Remember one more of a few; whether it is new."""
    if item is None or item in known or len(known) >= _FEW:
        return False
    known.append(item)
    return True


def _place(interface: str, message: Message) -> str:
    return interface if message.giaddr == _NOWHERE else f"{interface} by {message.giaddr}"


def _given(reply: Message) -> tuple[Gives, ...]:
    """What a reply shows that its server gives."""
    if reply.message_type is MessageType.NAK:
        return (Gives.REFUSALS,)
    boots = (Gives.BOOT_FILE,) if reply.file or reply.options.get(Option.BOOT_FILE) else ()
    if reply.yiaddr != _NOWHERE:
        return (Gives.ADDRESSES, *boots)
    vendor_class = reply.options.get(Option.VENDOR_CLASS, b"")
    return (Gives.PROXY, *boots) if vendor_class.startswith((b"PXEClient", b"HTTPClient")) else boots


def _told(address: IPv4Address, seen: _Seen) -> Neighbour:
    return Neighbour(
        address,
        tuple(seen.cards),
        tuple(seen.places),
        frozenset(seen.gives),
        seen.first,
        seen.last,
        seen.times,
        seen.expected,
    )
