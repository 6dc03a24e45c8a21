"""The DHCP message on the wire (RFC 2131 §2)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

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

_HEADER = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")
_NOWHERE = IPv4Address(0)


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


@dataclass(frozen=True, slots=True)
class Message:
    """One DHCP message, in either direction, with its options decoded from wherever they stood."""

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

    options: Mapping[int, bytes] = field(default_factory=dict)
    """The options by code, in order."""

    @property
    def message_type(self) -> MessageType | None:
        """Option 53; None when it is missing (BOOTP) or no type that a server knows."""
        value = self.options.get(Option.MESSAGE_TYPE, b"")
        try:
            return MessageType(value[0]) if len(value) == 1 else None
        except ValueError:
            return None

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
    """
    if len(octets) < _HEADER.size:
        raise Malformed(f"{len(octets)} octets are too short for a DHCP message")
    if len(octets) > MAXIMUM_SIZE:
        raise Malformed(f"more than {MAXIMUM_SIZE} octets are too long for a DHCP message")
    (op, htype, hlen, hops, xid, secs, flags, ci, yi, si, gi, chaddr, sname, file, cookie) = _HEADER.unpack_from(octets)
    if cookie != COOKIE:
        raise Malformed("the magic cookie is missing")
    if op not in (Op.REQUEST, Op.REPLY):
        raise Malformed(f"op is {op}, neither request nor reply")
    options = tlv.decode(octets[_HEADER.size :])
    overload = options.pop(Option.OVERLOAD, b"\0")
    if len(overload) != 1 or overload[0] > 3:
        raise Malformed(f"option 52 is {overload.hex()}, not 1, 2 or 3")
    if overload[0] & 1:
        _join(options, tlv.decode(file))
        file = b""
    if overload[0] & 2:
        _join(options, tlv.decode(sname))
        sname = b""
    return Message(
        op=op,
        xid=xid,
        chaddr=chaddr,
        htype=htype,
        hlen=hlen,
        hops=hops,
        secs=secs,
        flags=flags,
        ciaddr=IPv4Address(ci),
        yiaddr=IPv4Address(yi),
        siaddr=IPv4Address(si),
        giaddr=IPv4Address(gi),
        sname=sname.split(b"\0", 1)[0],
        file=file.split(b"\0", 1)[0],
        options=options,
    )


def encode(message: Message) -> bytes:
    """The datagram of a message: options ended by END and padded with zeros to `MINIMUM_SIZE` octets.

    `sname` and `file` are cut to nothing but NUL-padded to their fields; longer ones raise ValueError, as only a
    mistake of ours can bring them here.
    """
    if len(message.sname) > 64 or len(message.file) > 128 or len(message.chaddr) != 16:
        raise ValueError("sname, file or chaddr does not fit its field")
    header = _HEADER.pack(
        message.op,
        message.htype,
        message.hlen,
        message.hops,
        message.xid,
        message.secs,
        message.flags,
        message.ciaddr.packed,
        message.yiaddr.packed,
        message.siaddr.packed,
        message.giaddr.packed,
        message.chaddr,
        message.sname,
        message.file,
        COOKIE,
    )
    return (header + tlv.encode(message.options) + bytes((Option.END,))).ljust(MINIMUM_SIZE, b"\0")


def _join(options: dict[int, bytes], more: Mapping[int, bytes]) -> None:
    """Append options found in another field; a nested option 52 means nothing there."""
    for code, value in more.items():
        if code != Option.OVERLOAD:
            options[code] = options.get(code, b"") + value
