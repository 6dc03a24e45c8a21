"""The replies: which fields and options they carry, and how many of them fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from pixelboot.boot.machine import Firmware, Machine
from pixelboot.boot.policy import Assignment
from pixelboot.datagram import Arrival
from pixelboot.dhcp.options import IpxeOption, Option, encode, encoded_size
from pixelboot.dhcp.settings import SubnetSettings
from pixelboot.dhcp.wire import BROADCAST, Message, MessageType, Op
from pixelboot.leases.lease import Pool

_NOWHERE = IPv4Address(0)
_SMALLEST_DATAGRAM = 576
"""What every client takes (RFC 2132 §9.10)."""
_LARGEST_DATAGRAM = 1500
"""What fits into one Ethernet frame, whatever a client says: EDK2 says 65280."""
_AROUND_OPTIONS = 20 + 8 + 240 + 1
"""IP and UDP headers, the message up to its options, and END."""
_BEHIND_IDENTIFIER = 5 * 6
"""Octets of options 51, 58, 59, 1 and 3, which a client identifier of any length must not crowd out."""
_BEHIND_BOOT_FILE = 2 * 6
"""Octets of options 1 and 3, which stand behind the boot file in every message, however little room there is."""
_SHORTEST_LEASE = 60.0


@dataclass(frozen=True, slots=True)
class Scope:
    """One subnet as this server serves it."""

    subnet: SubnetSettings
    """What the operator wrote."""

    pool: Pool
    """The addresses that can be given out."""

    servers: frozenset[IPv4Address]
    """Our own addresses on the interface: a client may call us by any of them."""

    def may_hold(self, address: IPv4Address) -> bool:
        """Whether a machine or relay of this subnet can have this address; 0.0.0.0 is none, which may be."""
        network = self.subnet.network
        ends = (network.network_address, network.broadcast_address)
        return address == _NOWHERE or (address in network and address not in ends)

    def server(self, local: IPv4Address) -> IPv4Address:
        """What we call ourselves to who reached us at `local`: that, if it is of the subnet, else our address there."""
        near = [address for address in sorted(self.servers) if address in self.subnet.network]
        return local if local in near or not near else near[0]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and all that is known when it is answered."""

    request: Message
    """What was asked."""

    arrival: Arrival
    """How it came."""

    machine: Machine
    """Who asks."""

    scope: Scope
    """The subnet it is served from."""

    assignment: Assignment
    """What it shall boot."""

    @property
    def server(self) -> IPv4Address:
        """Our address in this exchange, option 54: the one that the client named, else the one it reached."""
        named = self.request.address(Option.SERVER_IDENTIFIER)
        return named if named is not None and named in self.scope.servers else self.scope.server(self.arrival.local)

    @property
    def lease_time(self) -> float:
        """The lease the sender gets, in seconds: what it asks for (option 51), between a minute and the configured."""
        asked = self.request.number(Option.LEASE_TIME)
        configured = self.scope.subnet.lease_time
        return configured if asked is None else min(max(float(asked), _SHORTEST_LEASE), configured)


def grant(exchange: Exchange, kind: MessageType, yiaddr: IPv4Address) -> Message:
    """An OFFER or ACK that gives the address `yiaddr` for `Exchange.lease_time`."""
    options = _Options(exchange, kind)
    seconds = int(exchange.lease_time)
    options.add(Option.LEASE_TIME, seconds.to_bytes(4))
    options.add(Option.RENEWAL_TIME, (seconds // 2).to_bytes(4))
    options.add(Option.REBINDING_TIME, (seconds * 7 // 8).to_bytes(4))
    _add_parameters(exchange, options)
    # An ACK repeats the client's own address, an OFFER does not (RFC 2131 §4.3.1, table 3).
    ciaddr = exchange.request.ciaddr if kind is MessageType.ACK else _NOWHERE
    return replace(_reply(exchange, options), ciaddr=ciaddr, yiaddr=yiaddr)


def inform(exchange: Exchange) -> Message:
    """The ACK to an INFORM: parameters without an address and without times (RFC 2131 §4.3.5)."""
    options = _Options(exchange, MessageType.ACK)
    _add_parameters(exchange, options)
    return replace(_reply(exchange, options), ciaddr=exchange.request.ciaddr)


def refuse(exchange: Exchange, reason: str) -> Message:
    """A NAK: no address, no parameters, only who says so and why (RFC 2131 §4.3.1, table 3).

    Behind a relay it carries the broadcast flag, whatever the client's was (RFC 2131 §4.3.2).
    """
    options = _Options(exchange, MessageType.NAK)
    options.add(Option.MESSAGE, reason.encode("ascii", "replace")[:255])
    request = exchange.request
    flags = request.flags if request.giaddr == _NOWHERE else request.flags | BROADCAST
    return replace(_copied(request, options), flags=flags)


class _Options:
    """The options of one reply, most needful first: what does not fit into the client's datagram is left out."""

    def __init__(self, exchange: Exchange, kind: MessageType) -> None:
        request = exchange.request
        limit = request.number(Option.MAXIMUM_MESSAGE_SIZE) or 0
        self._left = min(max(limit, _SMALLEST_DATAGRAM), _LARGEST_DATAGRAM) - _AROUND_OPTIONS
        self.values: dict[int, bytes] = {}
        wanted = request.options.get(Option.PARAMETER_REQUEST_LIST)
        self._wanted = None if wanted is None else frozenset(wanted)
        self.add(Option.MESSAGE_TYPE, bytes((kind,)))
        self.add(Option.SERVER_IDENTIFIER, exchange.server.packed)
        if Option.CLIENT_IDENTIFIER in request.options:  # RFC 6842
            self.add(Option.CLIENT_IDENTIFIER, request.options[Option.CLIENT_IDENTIFIER], _BEHIND_IDENTIFIER)

    def add(self, code: Option, value: bytes, spare: int = 0) -> None:
        """Add an option that every client gets, unless it is empty or leaves fewer than `spare` octets."""
        size = encoded_size(value)
        if value and size <= self._left - spare:
            self.values[code] = value
            self._left -= size

    def add_if_wanted(self, code: Option, value: bytes) -> None:
        """Add an option for clients that list it in option 55, or list nothing at all."""
        if self._wanted is None or code in self._wanted:
            self.add(code, value)


def _add_parameters(exchange: Exchange, options: _Options) -> None:
    """The parameters of the subnet, and what there is to boot."""
    subnet = exchange.scope.subnet
    if boot_file := _boot_file(exchange):
        # EDK2 ends option 67 in place by overwriting the octet behind it: hence the NUL, and more options behind.
        options.add(Option.BOOT_FILE, boot_file + b"\0", _BEHIND_BOOT_FILE)
    options.add(Option.SUBNET_MASK, subnet.network.netmask.packed)
    options.add(Option.ROUTER, subnet.router.packed if subnet.router else b"")
    if Option.CLIENT_UUID in exchange.request.options:
        options.add(Option.CLIENT_UUID, exchange.request.options[Option.CLIENT_UUID])
    if boot_file and exchange.machine.firmware is Firmware.IPXE:
        # Nobody else gives boot files on this subnet: iPXE need not wait for a proxyDHCP server.
        options.add(Option.IPXE, encode({IpxeOption.NO_PROXYDHCP: b"\x01"}))
    options.add_if_wanted(Option.DOMAIN_NAME_SERVER, b"".join(each.packed for each in subnet.dns))
    options.add_if_wanted(Option.DOMAIN_NAME, subnet.domain.encode("ascii"))


def _boot_file(exchange: Exchange) -> bytes:
    return (exchange.assignment.boot_file or "").encode("ascii")


def _reply(exchange: Exchange, options: _Options) -> Message:
    """A reply that names the boot file in the header too: shim, GRUB and U-Boot read it there and nowhere else."""
    copied = _copied(exchange.request, options)
    boot_file = _boot_file(exchange)
    if not boot_file:
        return copied
    return replace(copied, siaddr=exchange.server, file=boot_file if len(boot_file) < 128 else b"")


def _copied(request: Message, options: _Options) -> Message:
    """A reply with the fields that every one copies from its request (RFC 2131 §4.3.1, table 3)."""
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
