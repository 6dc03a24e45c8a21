"""The DHCP message on the wire (RFC 2131 §2), which a BOOTP message is, too (RFC 951)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import NamedTuple

from pixelboot.dhcp.message import options as tlv
from pixelboot.dhcp.message.options import Option
from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed

SERVER_PORT = 67
CLIENT_PORT = 68

COOKIE = b"\x63\x82\x53\x63"
"""The magic cookie in front of the options (RFC 1497)."""

BROADCAST = 0x8000
"""The flag by which a client says that it cannot receive unicast yet."""

MAXIMUM_SIZE = 2048
"""No client or relay sends more: it would not fit into a frame.  What is longer is not worth the time to read it."""

MINIMUM_SIZE = 300
"""Replies are padded to this many octets, the size of a BOOTP message: old clients and relays drop shorter ones."""

INFINIBAND = 32
"""The link type whose addresses do not fit into ``chaddr`` (RFC 4390)."""

XID_AT, YIADDR_AT, CHADDR_AT, OPTIONS_AT = 4, 16, 28, 240
"""Where these fields, and the options, begin in a datagram."""

_HEADER = struct.Struct("!BBBBIHHIIII16s64s128s4s")
_NOWHERE = IPv4Address(0)
_END = bytes((Option.END,))
_OVERLOAD = int(Option.OVERLOAD)  # as a plain number it is found faster


class Op(enum.IntEnum):
    """Who speaks."""

    REQUEST = 1
    REPLY = 2


class MessageType(enum.IntEnum):
    """Option 53."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8
    LEASEQUERY = 10
    LEASEUNASSIGNED = 11
    LEASEUNKNOWN = 12
    LEASEACTIVE = 13


_TYPES = {bytes((kind,)): kind for kind in MessageType}


class Message(NamedTuple):
    """One DHCP message, in either direction, with its options decoded from wherever they stood.

    A changed copy is made by `_replace`.
    """

    op: int
    """1 from a client, 2 from a server."""

    xid: int
    """The transaction, chosen by the client."""

    chaddr: bytes
    """The client's link address, 16 octets, padded with zeros."""

    htype: int = 1
    """Link type; 1 is Ethernet."""

    hlen: int = 6
    """How many octets of `chaddr` count."""

    hops: int = 0
    """Relays passed."""

    secs: int = 0
    """Seconds since the client began, or whatever the client puts there."""

    flags: int = 0
    """0x8000 asks for broadcast."""

    ciaddr: IPv4Address = _NOWHERE
    """The address that the client has and answers at."""

    yiaddr: IPv4Address = _NOWHERE
    """The address that the client is given."""

    siaddr: IPv4Address = _NOWHERE
    """The server to boot from next."""

    giaddr: IPv4Address = _NOWHERE
    """The relay that forwarded the message."""

    sname: bytes = b""
    """Server name, at most 64 octets; empty when the field held options."""

    file: bytes = b""
    """Boot file name, at most 128 octets; empty when the field held options."""

    options: Mapping[int, bytes] = MappingProxyType({})
    """The options by code, in order."""

    @property
    def message_type(self) -> MessageType | None:
        """Option 53; None when it is missing (BOOTP) or no type that a server knows."""
        return _TYPES.get(self.options.get(Option.MESSAGE_TYPE, b""))

    @property
    def is_bootp(self) -> bool:
        """Whether option 53 is missing, so that RFC 951 holds and not RFC 2131."""
        return Option.MESSAGE_TYPE not in self.options

    @property
    def name(self) -> str:
        """The kind of message for a person, ``DISCOVER`` and so on."""
        kind = self.message_type
        return kind.name if kind else "message"

    @property
    def hwaddr(self) -> HardwareAddress | None:
        """The client's link address; None when the link has none that fits (RFC 4390)."""
        if not 1 <= self.hlen <= 16 or self.htype == INFINIBAND:
            return None
        return HardwareAddress(self.chaddr[: self.hlen])

    def address(self, code: int) -> IPv4Address | None:
        """The option `code` as one IPv4 address; None when it is absent or not four octets."""
        value = self.options.get(code, b"")
        return IPv4Address(value) if len(value) == 4 else None

    def number(self, code: int) -> int | None:
        """The option `code` as an unsigned number of 1, 2 or 4 octets; None when it is absent or of another size."""
        value = self.options.get(code, b"")
        return int.from_bytes(value) if len(value) in (1, 2, 4) else None


def decode(octets: bytes) -> Message:
    """Read a datagram; `Malformed` when it is no DHCP message or an option runs past its field.

    Options in ``file`` and ``sname`` are honoured where option 52 says so (RFC 2132 §9.3) and stand in `options`
    joined with the others in the order of RFC 3396 §5: options, file, sname.

    The magic cookie may be missing in one case: a BOOTP request whose vendor field is all zeros, as RFC 951 §3 knew
    no cookie.  It is a message without options.
    """
    if len(octets) < _HEADER.size:
        raise Malformed(f"{len(octets)} octets are too short for a DHCP message")
    if len(octets) > MAXIMUM_SIZE:
        raise Malformed(f"more than {MAXIMUM_SIZE} octets are too long for a DHCP message")
    (op, htype, hlen, hops, xid, secs, flags, ci, yi, si, gi, chaddr, sname, file, cookie) = _HEADER.unpack_from(octets)
    if op != 1 and op != 2:
        raise Malformed(f"op is {op}, neither request nor reply")
    field = octets[_HEADER.size :]
    if cookie != COOKIE and (op == Op.REPLY or any(cookie) or any(field)):
        raise Malformed("the magic cookie is missing")
    options = tlv.decode(field)
    if _OVERLOAD in options:
        overload = options.pop(_OVERLOAD)
        if len(overload) != 1 or overload[0] > 3:
            raise Malformed(f"option 52 is {overload.hex()}, not 1, 2 or 3")
        if overload[0] & 1:
            _join(options, tlv.decode(file))
            file = b""
        if overload[0] & 2:
            _join(options, tlv.decode(sname))
            sname = b""
    return Message(  # the fields in their order: by name they would take twice as long
        op,
        xid,
        chaddr,
        htype,
        hlen,
        hops,
        secs,
        flags,
        IPv4Address(ci) if ci else _NOWHERE,
        IPv4Address(yi) if yi else _NOWHERE,
        IPv4Address(si) if si else _NOWHERE,
        _relay(gi) if gi else _NOWHERE,
        sname.partition(b"\0")[0] if sname[:1] != b"\0" else b"",
        file.partition(b"\0")[0] if file[:1] != b"\0" else b"",
        options,
    )


@lru_cache(maxsize=256)
def _relay(giaddr: int) -> IPv4Address:
    """There are few relays, and many machines behind each."""
    return IPv4Address(giaddr)


def encode(message: Message) -> bytes:
    """The datagram of a message: options ended by END and padded with zeros to `MINIMUM_SIZE` octets.

    `sname` and `file` are cut to nothing but NUL-padded to their fields; longer ones raise ValueError, as only a
    mistake of ours can bring them here.
    """
    op, xid, chaddr, htype, hlen, hops, secs, flags, ciaddr, yiaddr, siaddr, giaddr, sname, file, options = message
    if len(sname) > 64 or len(file) > 128 or len(chaddr) != 16:
        raise ValueError("sname, file or chaddr does not fit its field")
    addresses = int(ciaddr), int(yiaddr), int(siaddr), int(giaddr)
    header = _HEADER.pack(op, htype, hlen, hops, xid, secs, flags, *addresses, chaddr, sname, file, COOKIE)
    return (header + tlv.encode(options) + _END).ljust(MINIMUM_SIZE, b"\0")


def _join(options: dict[int, bytes], more: Mapping[int, bytes]) -> None:
    """Append options found in another field; a nested option 52 means nothing there."""
    for code, value in more.items():
        if code != Option.OVERLOAD:
            options[code] = options.get(code, b"") + value
