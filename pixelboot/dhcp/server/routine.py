"""What is answered as a matter of routine: the reply that the machine before got, with other names filled in.

Machines of one make ask the same in the same place, by thousands, and are told the same but for who they are and which
address they get.  So of what is decided about one of them everything that holds for all is kept as a *case*, and its
reply as a *form*: octets with gaps for the transaction, the address, and what is given back to the client or its relay.

Nothing is decided here.  What is kept is what the decisions came to for a request that differs in nothing but the gaps;
whoever is known by name in the settings is not answered so, and where the store says anything but what it said before,
the decisions are made anew, with its word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from ipaddress import IPv4Address
from typing import NamedTuple

from pixelboot.boot.machine import Firmware, Machine
from pixelboot.boot.policy import Assignment
from pixelboot.boot.quirks import Quirks
from pixelboot.datagram import Arrival
from pixelboot.dhcp import route
from pixelboot.dhcp.exchange import Answer, Exchange
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.relay import RelayInformation
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.network.network import Network
from pixelboot.dhcp.network.scope import Scope, Subnet
from pixelboot.dhcp.outcomes import Bound, Offered
from pixelboot.dhcp.server.answer import on_offer
from pixelboot.dhcp.server.compose import Terms, terms, times
from pixelboot.leases.lease import Lease, Refusal

_REMEMBERED = 1024
"""How many cases are kept: a site has a few dozen."""

_MOST_OPTIONS = 48
"""No client sends as many; who does, to fill our memory, is answered each time anew."""

_MESSAGE_TYPE = int(Option.MESSAGE_TYPE)
_SERVER_IDENTIFIER = int(Option.SERVER_IDENTIFIER)
_REQUESTED_ADDRESS = int(Option.REQUESTED_ADDRESS)
_RELAY_AGENT_INFORMATION = int(Option.RELAY_AGENT_INFORMATION)
_DISCOVER, _REQUEST = bytes((MessageType.DISCOVER,)), bytes((MessageType.REQUEST,))
_IPXE = Firmware.IPXE

_APART = frozenset((int(Option.HOST_NAME), _REQUESTED_ADDRESS))
"""Options that a reply does not depend on, but for the address in it."""
_GIVEN_BACK = frozenset((int(Option.CLIENT_IDENTIFIER), _RELAY_AGENT_INFORMATION, int(Option.CLIENT_UUID)))
"""Options that come back as they were sent: their lengths alone say whether there is room for them."""
_ITS_OWN = _APART | _GIVEN_BACK
_PLAIN = RelayInformation()[2:]
"""Of a relay that says where a machine is, and asks for nothing."""
_TIMES = frozenset((int(Option.LEASE_TIME), int(Option.RENEWAL_TIME), int(Option.REBINDING_TIME)))
_LONGEST_IN_ONE = 255
"""Octets of a value that is not split on the wire."""
_CHADDR = 16
"""Octets of that field."""

_Key = tuple[object, ...]

Rest = tuple[bytes, tuple[tuple[int, bytes], ...]]
"""Octets up to the first gap; the code of the option that goes into each, and the octets behind it."""


class Form(NamedTuple):
    """A reply with gaps."""

    assignment: Assignment
    """What the machine is told to boot."""

    terms: Terms
    """What goes with the address, in full."""

    first: bytes
    """Its octets in front of the xid, …"""

    second: bytes
    """… between that and yiaddr, …"""

    third: bytes
    """… between that and chaddr, …"""

    rest: Rest
    """… and what is behind that, with the usual times, …"""

    timed: Rest
    """… or with gaps for the times, too, …"""

    times: frozenset[int]
    """… which are these options."""

    def filled(self, request: Message, yiaddr: bytes, times: Mapping[int, bytes] | None) -> bytes:
        """The datagram that answers `request` with the address `yiaddr`, in four octets; None are the usual times."""
        sent = request.options
        behind, gaps = self.rest if times is None else self.timed
        parts = [self.first, request.xid.to_bytes(4), self.second, yiaddr, self.third, request.chaddr, behind]
        for code, after in gaps:
            parts += (sent[code] if times is None or code not in times else times[code], after)
        return b"".join(parts)


def _form(exchange: Exchange, reply: Message) -> Form | None:
    """The form of a reply; None of one that has anything else of the machine's in it, or lacks what the relay sent."""
    sent, given = exchange.request.options, reply.options
    back = _GIVEN_BACK & sent.keys() & given.keys()
    lost = _RELAY_AGENT_INFORMATION in sent and _RELAY_AGENT_INFORMATION not in given
    agreed = terms(exchange, reply.yiaddr)
    whole = Option.OVERLOAD not in given and all(len(value) <= _LONGEST_IN_ONE for value in given.values())
    if agreed is None or lost or not whole or any(given[code] != sent[code] for code in back):
        return None
    usual, timed = times(agreed).values, _TIMES & given.keys()
    if usual.keys() != timed:
        return None
    octets = wire.encode(reply._replace(options={**given, **usual}))
    return Form(
        exchange.assignment,
        agreed,
        octets[: wire.XID_AT],
        octets[wire.XID_AT + 4 : wire.YIADDR_AT],
        octets[wire.YIADDR_AT + 4 : wire.CHADDR_AT],
        _cut(octets, given, back),
        _cut(octets, given, back | timed),
        timed,
    )


def _cut(octets: bytes, given: Mapping[int, bytes], out: Set[int]) -> Rest:
    """What is behind chaddr in a datagram with the options `given`, without the values of `out`."""
    pieces: list[tuple[int, bytes]] = []
    before, start, at = 0, wire.CHADDR_AT + _CHADDR, wire.OPTIONS_AT
    for code, value in given.items():
        if code in out:
            pieces.append((before, octets[start : at + 2]))
            before, start = code, at + 2 + len(value)
        at += 2 + len(value)
    (_, first), *others = [*pieces, (before, octets[start:])]
    return first, tuple(others)


class Case:
    """What was decided about one exchange, and holds for all that differ from it in nothing but the gaps."""

    __slots__ = ("_link", "_scope", "forms", "here", "offers", "quirks")

    def __init__(self, exchange: Exchange) -> None:
        """`exchange` is the first of them."""
        self._scope = exchange.scope
        self._link = exchange.scope.link
        self.offers = exchange.request.options.get(_MESSAGE_TYPE) == _DISCOVER
        """Whether such a machine looks for an address; else it takes one."""
        self.quirks = exchange.quirks
        """What the firmware of such machines needs."""
        self.here = exchange.here
        """Our address, which stands in option 54, too."""
        self.forms: dict[Subnet, Form] = {}
        """The replies, by the subnet of the address that they give."""

    def exchange(
        self,
        request: Message,
        arrival: Arrival,
        machine: Machine,
        assignment: Assignment,
        relay: RelayInformation | None,
    ) -> Exchange:
        """The exchange with another machine."""
        link, host, classes, _, fixed, refusal = self._scope
        scope = Scope(link, host, classes, machine.identity, fixed, refusal)
        return Exchange(request, arrival, machine, self.here, assignment, scope, relay, self.quirks, self.here)

    def is_of(self, request: Message, machine: Machine, relay: RelayInformation | None, network: Network) -> bool:
        """Whether it is the case of a machine, as far as that does not show in what it says of its kind."""
        return network.is_alike(self._scope, request, machine, relay)

    def form(self, address: IPv4Address) -> Form | None:
        """The reply that gives an address; None if none like it was given yet."""
        subnet = self._link.subnet_of(address)
        return None if subnet is None else self.forms.get(subnet)

    def answer(self, exchange: Exchange, result: Lease | Refusal, reuse: float) -> Answer | None:
        """What follows from the word of the store; None if no such reply was given yet.  `reuse` is in `Rules`."""
        if not isinstance(result, Lease):
            return None
        form, assignment = self.form(result.address), exchange.assignment
        if form is None or (assignment is not form.assignment and assignment != form.assignment):
            return None
        request, arrival, machine = exchange.request, exchange.arrival, exchange.machine
        outcome: Offered | Bound
        if self.offers:
            agreed = on_offer(form.terms, result, arrival.now, reuse)
            outcome = Offered(machine, result, assignment)
        else:
            agreed = form.terms.until(result.expires_at, arrival.now)
            outcome = Bound(machine, result, agreed.seconds, False, assignment)
        given = None if agreed is form.terms else times(agreed).values
        if given is not None and given.keys() != form.times:
            return None
        way = route.destination(request, result.address, arrival, self.here, exchange.relay, arp=self.quirks.arp)
        return Answer(outcome, None, way, self.quirks.delay, form.filled(request, result.address.packed, given))

    def learn(self, exchange: Exchange, answer: Answer) -> None:
        """Keep the form of an answer, if it is one as it would be given to any machine."""
        reply, subnet = answer.reply, None
        if isinstance(answer.outcome, Offered if self.offers else Bound) and reply is not None:
            subnet = self._link.subnet_of(reply.yiaddr)
        made = None if reply is None or subnet is None else _form(exchange, reply)
        if made is not None and subnet is not None:
            self.forms[subnet] = made


class Cases:
    """The cases that are remembered, as long as our addresses are what they are."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._known: dict[_Key, Case] = {}

    def recall(
        self,
        request: Message,
        arrival: Arrival,
        machine: Machine,
        quirks: Quirks,
        relay: RelayInformation | None,
    ) -> Case | None:
        """The case of which this request is one more; None if there was none like it."""
        if int(request.ciaddr) or machine.firmware is _IPXE or (relay is not None and relay[2:] != _PLAIN):
            return None
        case = self._known.get(_key(request, arrival))
        if case is None or case.quirks is not quirks or not case.is_of(request, machine, relay, self._network):
            return None
        return case

    def keep(self, exchange: Exchange, answer: Answer) -> None:
        """Remember what was decided and answered, if there may be more of its kind.

        That is the search for an address, and taking it, of a machine that no settings name and that is known by its
        link address.  iPXE is not of these: every machine has a URL of its own.
        """
        request, scope, relay = exchange.request, exchange.scope, exchange.relay
        kind, outcome = request.options.get(_MESSAGE_TYPE), answer.outcome
        found = kind == _DISCOVER and isinstance(outcome, Offered)  # and not more at once (RFC 4039)
        taken = (
            kind == _REQUEST
            and isinstance(outcome, Bound)
            and len(request.options.get(_REQUESTED_ADDRESS, b"")) == 4
            and request.options.get(_SERVER_IDENTIFIER) == exchange.here.packed
        )
        if (
            not (found or taken)
            or len(request.options) > _MOST_OPTIONS
            or int(request.ciaddr)
            or exchange.machine.firmware is _IPXE
            or exchange.machine.hwaddr is None
            or (relay is not None and relay[2:] != _PLAIN)
            or exchange.server != exchange.here
            or scope.link.identity != "chaddr"
            or scope.host is not None
            or scope.refusal
        ):
            return
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        case = self._known[_key(request, exchange.arrival)] = Case(exchange)
        case.learn(exchange, answer)


def _key(request: Message, arrival: Arrival) -> _Key:
    """All that a request says and that is known of its way, but for what differs from machine to machine."""
    sent = request.options
    said: Iterable[object] = sent.items()
    if not _ITS_OWN.isdisjoint(sent):
        said = [
            (code, len(value) if code in _GIVEN_BACK else value) for code, value in sent.items() if code not in _APART
        ]
    return (
        arrival.interface,
        int(arrival.local),
        arrival.port,
        arrival.to_everybody,
        request.htype,
        request.hlen,
        request.flags,
        int(request.giaddr),
        *said,
    )
