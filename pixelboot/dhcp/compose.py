"""What every reply is made of: the fields it copies, its options as far as they fit, and what there is to boot."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address
from typing import NamedTuple

from pixelboot.boot.quirks import ServerName
from pixelboot.dhcp import route
from pixelboot.dhcp.exchange import Answer, Exchange
from pixelboot.dhcp.message.options import Option, encode, encoded_size
from pixelboot.dhcp.message.wire import Message, MessageType, Op
from pixelboot.outcome import Outcome

NOWHERE = IPv4Address(0)

_SMALLEST_DATAGRAM = 576
"""What every client takes (RFC 2132 §9.10)."""
_LARGEST_DATAGRAM = 1500
"""What fits into one Ethernet frame, whatever a client says: EDK2 says 65280."""
_AROUND_OPTIONS = 20 + 8 + 240 + 1
"""IP and UDP headers, the message up to its options, and END."""
_BOOTP_ROOM = 64 - 4 - 1
"""Octets of options in a BOOTP reply, whose vendor field has 64 octets with the cookie and END (RFC 951 §3)."""
_LEASE_TIME_SIZE = 6
"""Octets of option 51, which nothing that a client or relay wants back must crowd out."""
_OVERLOAD_SIZE = 3
_FILE_ROOM, _SNAME_ROOM = 128 - 1, 64 - 1
"""Octets of options in the two fields that may hold some, with END behind them (RFC 2132 §9.3)."""

# As plain numbers, which are found faster than the members of an enumeration.
_SUBNET_SELECTION = int(Option.SUBNET_SELECTION)
_OVERLOAD = int(Option.OVERLOAD)
_MESSAGE_TYPE = int(Option.MESSAGE_TYPE)
_SERVER_IDENTIFIER = int(Option.SERVER_IDENTIFIER)
_PARAMETER_REQUEST_LIST = int(Option.PARAMETER_REQUEST_LIST)
_MAXIMUM_MESSAGE_SIZE = int(Option.MAXIMUM_MESSAGE_SIZE)
_CLIENT_IDENTIFIER = int(Option.CLIENT_IDENTIFIER)
_RELAY_AGENT_INFORMATION = int(Option.RELAY_AGENT_INFORMATION)
_CLIENT_UUID = int(Option.CLIENT_UUID)
_KINDS = tuple(bytes((kind,)) for kind in range(256))
_NAK = MessageType.NAK
_REPLY = int(Op.REPLY)
_NO_NAME = ServerName.NONE
_END = bytes((Option.END,))


HEAD: Mapping[int, bytes] = {_MESSAGE_TYPE: b"", _SERVER_IDENTIFIER: b""}
"""The first options of every reply (RFC 2131 §4.3), each in its place."""
_UNUSUAL = frozenset({_CLIENT_UUID, _SUBNET_SELECTION})
"""What makes a reply special, beside a boot file."""


class Ready(NamedTuple):
    """Options that many replies have in common, and what they take."""

    values: Mapping[int, bytes]
    """By code, in their order; none is empty."""

    size: int
    """Octets on the wire."""


def ready(values: Mapping[int, bytes]) -> Ready:
    """`values` without those that are empty."""
    filled = {int(code): value for code, value in values.items() if value}
    return Ready(filled, sum(map(encoded_size, filled.values())))


class Options:
    """The options of one reply, most needful first: what does not fit into the client's datagram is left out."""

    __slots__ = ("_kept", "_last", "_left", "_values", "_wanted", "file", "sname")

    def __init__(self, exchange: Exchange, kind: MessageType | None, kept: int = 0) -> None:
        """`kind` is None in a BOOTP reply; `kept` octets are free for nothing but `fill`."""
        sent = exchange.request.options
        self.file = self.sname = b""
        """Options that have their place in these fields of the message (RFC 2132 §9.3); see `fill`."""
        self._wanted = sent.get(_PARAMETER_REQUEST_LIST)
        self._kept = kept
        self._last = b""
        if kind is None:
            self._values: dict[int, bytes] = {}
            self._left = _BOOTP_ROOM - kept
        else:
            self._values = {_MESSAGE_TYPE: _KINDS[kind], _SERVER_IDENTIFIER: exchange.server.packed}
            self._left = _room(sent.get(_MAXIMUM_MESSAGE_SIZE, b"")) - kept
        if exchange.relay is not None:
            value = sent[_RELAY_AGENT_INFORMATION]
            size = encoded_size(value)
            if size <= self._left - _LEASE_TIME_SIZE:
                self._last = value
                self._left -= size
        if kind is not None and _CLIENT_IDENTIFIER in sent:  # RFC 6842
            self.add(_CLIENT_IDENTIFIER, sent[_CLIENT_IDENTIFIER], _LEASE_TIME_SIZE)
        if _SUBNET_SELECTION in sent and kind is not _NAK:  # RFC 3011
            self.add(_SUBNET_SELECTION, sent[_SUBNET_SELECTION], _LEASE_TIME_SIZE)

    @property
    def values(self) -> dict[int, bytes]:
        """The options in their order; what a relay added to the request comes back as the last (RFC 3046 §2.2)."""
        if self._last:
            self._values[_RELAY_AGENT_INFORMATION] = self._values.pop(_RELAY_AGENT_INFORMATION, self._last)
        return self._values

    @property
    def wanted(self) -> bytes | None:
        """The codes that the client lists in option 55; None when it lists nothing at all."""
        return self._wanted

    def put(self, given: Ready) -> bool:
        """Add options if there is room for all of them."""
        if given.size > self._left:
            return False
        self._values.update(given.values)
        self._left -= given.size
        return True

    def add(self, code: int, value: bytes, spare: int = 0) -> bool:
        """Add an option that every client gets, unless it is empty or leaves fewer than `spare` octets."""
        size = len(value) + 2 if len(value) < 256 else encoded_size(value)
        if not value or size > self._left - spare:
            return False
        self._values[code] = value
        self._left -= size
        return True

    def add_if_wanted(self, code: int, value: bytes) -> bool:
        """Add an option for clients that list it in option 55, or list nothing at all."""
        return (self._wanted is None or code in self._wanted) and self.add(code, value)

    def fill(self, given: Ready, file: bool = False, sname: bool = False) -> None:
        """Add many options at once, in their order, except what is there already; to be called once.

        What does not fit is put into the message's `file` and `sname`, where these are free and the client can read
        them there (option 52), and otherwise left out.
        """
        self._left += self._kept
        values = self._values
        if given.size <= self._left and values.keys().isdisjoint(given.values):
            values.update(given.values)
            self._left -= given.size
        else:
            self._squeeze(given.values, _FILE_ROOM if file else 0, _SNAME_ROOM if sname else 0)

    def _squeeze(self, given: Mapping[int, bytes], file_room: int, sname_room: int) -> None:
        """Add as many of these options as fit."""
        more = {code: value for code, value in given.items() if code not in self._values}
        overload = (file_room or sname_room) and ready(more).size > self._left
        if overload:
            self._left -= _OVERLOAD_SIZE
        left_over = {code: value for code, value in more.items() if not self.add(code, value)}
        if overload:
            self.file, left_over = _fitting(left_over, file_room)
            self.sname, left_over = _fitting(left_over, sname_room)
            used = bool(self.file) | bool(self.sname) << 1
            if used:
                self._values[_OVERLOAD] = bytes((used,))


def _fitting(options: Mapping[int, bytes], room: int) -> tuple[bytes, dict[int, bytes]]:
    """The octets of those options that fit into a field, with END behind them, and the others."""
    inside: dict[int, bytes] = {}
    outside: dict[int, bytes] = {}
    for code, value in options.items():
        size = encoded_size(value)
        (inside if size <= room else outside)[code] = value
        room -= size if size <= room else 0
    return (encode(inside) + _END if inside else b""), outside


_USUAL_ROOM = _SMALLEST_DATAGRAM - _AROUND_OPTIONS - 3 - 6


@lru_cache(maxsize=256)
def _room(asked: bytes) -> int:
    """Octets of options behind 53 and 54 in a datagram of the size that option 57 says; `asked` is its value."""
    limit = int.from_bytes(asked) if len(asked) in (1, 2, 4) else 0
    return min(max(limit, _SMALLEST_DATAGRAM), _LARGEST_DATAGRAM) - _AROUND_OPTIONS - 3 - 6


def add_boot_file(exchange: Exchange, options: Options, spare: int) -> bool:
    """Name the boot file, if there is one and it leaves `spare` octets for what has to stand behind it.

    EDK2 ends option 67 in place by overwriting the octet behind it: hence the NUL, and never the last place.
    """
    boot_file = _boot_file(exchange)
    nul = b"\0" if exchange.quirks.boot_file_nul else b""
    return bool(boot_file) and options.add(Option.BOOT_FILE, boot_file + nul, spare)


def add_boot_server(exchange: Exchange, options: Options, spare: int = 0) -> None:
    """Name the TFTP server as text to firmware that asks for it so, with a NUL behind it where that does no harm."""
    form = exchange.quirks.tftp_server_name
    if exchange.assignment.boot_file and form is not _NO_NAME:
        wanted = options.wanted
        if wanted is None or Option.TFTP_SERVER_NAME in wanted:
            nul = b"\0" if form is ServerName.QUAD_NUL else b""
            options.add(Option.TFTP_SERVER_NAME, str(_next_server(exchange)).encode("ascii") + nul, spare)


def add_uuid(exchange: Exchange, options: Options) -> None:
    """Give the client's UUID back as it was sent (RFC 4578 §2.3)."""
    sent = exchange.request.options
    if _CLIENT_UUID in sent:
        options.add(_CLIENT_UUID, sent[_CLIENT_UUID])


def usual_reply(
    exchange: Exchange,
    kind: MessageType,
    options: dict[int, bytes],
    size: int,
    ciaddr: IPv4Address,
    yiaddr: IPv4Address,
) -> Message | None:
    """What `Options` and `reply` come to where there is nothing to boot and room for all: most of what is ever sent.

    `options` are all of them, of `size` octets, but with nothing in those of `HEAD`; what the client or relay sent to
    get back is added behind them.  None where there is more to it.
    """
    request = exchange.request
    sent = request.options
    if exchange.assignment.boot_file or not _UNUSUAL.isdisjoint(sent):
        return None
    values = options.copy()
    values[_MESSAGE_TYPE] = _KINDS[kind]
    values[_SERVER_IDENTIFIER] = exchange.server.packed
    if identifier := sent.get(_CLIENT_IDENTIFIER):
        values[_CLIENT_IDENTIFIER] = identifier
        size += len(identifier) + 4
    if exchange.relay is not None:
        information = values[_RELAY_AGENT_INFORMATION] = sent[_RELAY_AGENT_INFORMATION]
        size += len(information) + 4
    if size > _USUAL_ROOM:
        return None
    return Message(  # the fields in their order: by name they would take twice as long
        _REPLY,
        request.xid,
        request.chaddr,
        request.htype,
        request.hlen,
        0,
        0,
        request.flags,
        ciaddr,
        yiaddr,
        NOWHERE,
        request.giaddr,
        b"",
        b"",
        values,
    )


def reply(
    exchange: Exchange, options: Options, ciaddr: IPv4Address = NOWHERE, yiaddr: IPv4Address = NOWHERE
) -> Message:
    """A reply that names the boot file in the header too: shim, GRUB and U-Boot read it there and nowhere else."""
    boot_file = _boot_file(exchange)
    if not boot_file:
        return _message(exchange, options, ciaddr, yiaddr, NOWHERE, options.file)
    in_header = boot_file if len(boot_file) < 128 else b""
    return _message(exchange, options, ciaddr, yiaddr, _next_server(exchange), in_header)


def copy(exchange: Exchange, options: Options) -> Message:
    """A reply with the fields that every one copies from its request (RFC 2131 §4.3.1, table 3)."""
    return _message(exchange, options, NOWHERE, NOWHERE, NOWHERE, b"")


def answered(exchange: Exchange, reply: Message, outcome: Outcome) -> Answer:
    """`reply` by the way of RFC 2131 §4.1, at the moment at which the client's firmware can hear it."""
    request, quirks = exchange.request, exchange.quirks
    yiaddr = None if reply.options.get(_MESSAGE_TYPE) == _KINDS[_NAK] else reply.yiaddr
    way = route.destination(request, yiaddr, exchange.arrival, exchange.here, exchange.relay, arp=quirks.arp)
    return Answer(outcome, reply, way, quirks.delay)


def _message(
    exchange: Exchange,
    options: Options,
    ciaddr: IPv4Address,
    yiaddr: IPv4Address,
    siaddr: IPv4Address,
    file: bytes,
) -> Message:
    request = exchange.request
    return Message(  # the fields in their order: by name they would take twice as long
        _REPLY,
        request.xid,
        request.chaddr,
        request.htype,
        request.hlen,
        0,
        0,
        request.flags,
        ciaddr,
        yiaddr,
        siaddr,
        request.giaddr,
        options.sname,
        file,
        options.values,
    )


def _boot_file(exchange: Exchange) -> bytes:
    return (exchange.assignment.boot_file or "").encode("ascii")


def _next_server(exchange: Exchange) -> IPv4Address:
    """Where the boot file lies; iPXE does not believe a proxy that leaves it out, even with a URL."""
    return exchange.assignment.next_server or exchange.here
