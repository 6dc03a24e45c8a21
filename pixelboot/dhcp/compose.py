"""What every reply is made of: the fields it copies, its options as far as they fit, and what there is to boot."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from pixelboot.boot.machine import Firmware
from pixelboot.dhcp.exchange import Exchange
from pixelboot.dhcp.message.options import Option, encoded_size
from pixelboot.dhcp.message.wire import Message, MessageType, Op

NOWHERE = IPv4Address(0)

_SMALLEST_DATAGRAM = 576
"""What every client takes (RFC 2132 §9.10)."""
_LARGEST_DATAGRAM = 1500
"""What fits into one Ethernet frame, whatever a client says: EDK2 says 65280."""
_AROUND_OPTIONS = 20 + 8 + 240 + 1
"""IP and UDP headers, the message up to its options, and END."""
_BEHIND_IDENTIFIER = 5 * 6
"""Octets of options 51, 58, 59, 1 and 3, which a client identifier of any length must not crowd out."""
_NEEDFUL = 3 + 6 + _BEHIND_IDENTIFIER
"""Octets of these and of options 53 and 54, which a relay's information must not crowd out."""


class Options:
    """The options of one reply, most needful first: what does not fit into the client's datagram is left out."""

    def __init__(self, exchange: Exchange, kind: MessageType) -> None:
        request = exchange.request
        limit = request.number(Option.MAXIMUM_MESSAGE_SIZE) or 0
        self._left = min(max(limit, _SMALLEST_DATAGRAM), _LARGEST_DATAGRAM) - _AROUND_OPTIONS
        self._values: dict[int, bytes] = {}
        wanted = request.options.get(Option.PARAMETER_REQUEST_LIST)
        self._wanted = None if wanted is None else frozenset(wanted)
        self._relay = request.options.get(Option.RELAY_AGENT_INFORMATION, b"") if request.giaddr != NOWHERE else b""
        if encoded_size(self._relay) > self._left - _NEEDFUL:
            self._relay = b""
        if self._relay:
            self._left -= encoded_size(self._relay)
        self.add(Option.MESSAGE_TYPE, bytes((kind,)))
        self.add(Option.SERVER_IDENTIFIER, exchange.server.packed)
        if Option.CLIENT_IDENTIFIER in request.options:  # RFC 6842
            self.add(Option.CLIENT_IDENTIFIER, request.options[Option.CLIENT_IDENTIFIER], _BEHIND_IDENTIFIER)

    @property
    def values(self) -> dict[int, bytes]:
        """The options in their order; what a relay added to the request comes back as the last (RFC 3046 §2.2)."""
        relay = {int(Option.RELAY_AGENT_INFORMATION): self._relay} if self._relay else {}
        return self._values | relay

    def add(self, code: Option, value: bytes, spare: int = 0) -> bool:
        """Add an option that every client gets, unless it is empty or leaves fewer than `spare` octets."""
        size = encoded_size(value)
        if not value or size > self._left - spare:
            return False
        self._values[code] = value
        self._left -= size
        return True

    def add_if_wanted(self, code: Option, value: bytes) -> bool:
        """Add an option for clients that list it in option 55, or list nothing at all."""
        return (self._wanted is None or code in self._wanted) and self.add(code, value)


def add_boot_file(exchange: Exchange, options: Options, spare: int) -> bool:
    """Name the boot file, if there is one and it leaves `spare` octets for what has to stand behind it.

    EDK2 ends option 67 in place by overwriting the octet behind it: hence the NUL, and never the last place.
    """
    boot_file = _boot_file(exchange)
    return bool(boot_file) and options.add(Option.BOOT_FILE, boot_file + b"\0", spare)


def add_boot_server(exchange: Exchange, options: Options) -> None:
    """Name the TFTP server as text to PXE firmware that asks for it so; the Raspberry Pi's bears no NUL behind it."""
    if exchange.assignment.boot_file and exchange.machine.firmware is Firmware.PXE:
        options.add_if_wanted(Option.TFTP_SERVER_NAME, str(_next_server(exchange)).encode("ascii"))


def add_uuid(exchange: Exchange, options: Options) -> None:
    """Give the client's UUID back as it was sent (RFC 4578 §2.3)."""
    options.add(Option.CLIENT_UUID, exchange.request.options.get(Option.CLIENT_UUID, b""))


def reply(exchange: Exchange, options: Options) -> Message:
    """A reply that names the boot file in the header too: shim, GRUB and U-Boot read it there and nowhere else."""
    copied = copy(exchange, options)
    boot_file = _boot_file(exchange)
    if not boot_file:
        return copied
    return replace(copied, siaddr=_next_server(exchange), file=boot_file if len(boot_file) < 128 else b"")


def copy(exchange: Exchange, options: Options) -> Message:
    """A reply with the fields that every one copies from its request (RFC 2131 §4.3.1, table 3)."""
    request = exchange.request
    return Message(
        op=Op.REPLY,
        xid=request.xid,
        chaddr=request.chaddr,
        htype=request.htype,
        hlen=request.hlen,
        flags=request.flags,
        giaddr=request.giaddr,
        options=options.values,
    )


def _boot_file(exchange: Exchange) -> bytes:
    return (exchange.assignment.boot_file or "").encode("ascii")


def _next_server(exchange: Exchange) -> IPv4Address:
    """Where the boot file lies; iPXE does not believe a proxy that leaves it out, even with a URL."""
    return exchange.assignment.next_server or exchange.server
