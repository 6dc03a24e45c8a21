"""The replies of the address server: what a subnet gives to its machines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from pixelboot.boot.machine import Firmware
from pixelboot.dhcp.compose import NOWHERE, Options, add_boot_file, add_boot_server, add_uuid, copy, reply
from pixelboot.dhcp.exchange import Exchange
from pixelboot.dhcp.message.options import IpxeOption, Option, encode
from pixelboot.dhcp.message.wire import BROADCAST, Message, MessageType
from pixelboot.dhcp.settings.dhcp import SubnetSettings
from pixelboot.leases.lease import Pool

_HTTP_CLIENT = b"HTTPClient"
"""What UEFI HTTP boot wants to read in option 60 of a reply (UEFI 2.10 §24.7)."""
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

    address: IPv4Address | None = None
    """The one of them that clients are told; None for the one that they reach."""

    def may_hold(self, address: IPv4Address) -> bool:
        """Whether a machine or relay of this subnet can have this address; 0.0.0.0 is none, which may be."""
        network = self.subnet.network
        ends = (network.network_address, network.broadcast_address)
        return address == NOWHERE or (address in network and address not in ends)

    def server(self, local: IPv4Address) -> IPv4Address:
        """What we call ourselves to who reached us at `local`: that, if it is of the subnet, else our address there."""
        if self.address is not None:
            return self.address
        near = [address for address in sorted(self.servers) if address in self.subnet.network]
        return local if local in near or not near else near[0]

    def lease_time(self, request: Message) -> float:
        """The lease the sender gets, in seconds: what it asks for (option 51), between a minute and the configured."""
        asked = request.number(Option.LEASE_TIME)
        configured = self.subnet.lease_time
        return configured if asked is None else min(max(float(asked), _SHORTEST_LEASE), configured)


def grant(exchange: Exchange, scope: Scope, kind: MessageType, yiaddr: IPv4Address) -> Message:
    """An OFFER or ACK that gives the address `yiaddr` for `Scope.lease_time`."""
    options = Options(exchange, kind)
    seconds = int(scope.lease_time(exchange.request))
    options.add(Option.LEASE_TIME, seconds.to_bytes(4))
    options.add(Option.RENEWAL_TIME, (seconds // 2).to_bytes(4))
    options.add(Option.REBINDING_TIME, (seconds * 7 // 8).to_bytes(4))
    _add_parameters(exchange, scope.subnet, options)
    # An ACK repeats the client's own address, an OFFER does not (RFC 2131 §4.3.1, table 3).
    ciaddr = exchange.request.ciaddr if kind is MessageType.ACK else NOWHERE
    return replace(reply(exchange, options), ciaddr=ciaddr, yiaddr=yiaddr)


def inform(exchange: Exchange, scope: Scope) -> Message:
    """The ACK to an INFORM: parameters without an address and without times (RFC 2131 §4.3.5)."""
    options = Options(exchange, MessageType.ACK)
    _add_parameters(exchange, scope.subnet, options)
    return replace(reply(exchange, options), ciaddr=exchange.request.ciaddr)


def refuse(exchange: Exchange, reason: str) -> Message:
    """A NAK: no address, no parameters, only who says so and why (RFC 2131 §4.3.1, table 3).

    Behind a relay it carries the broadcast flag, whatever the client's was (RFC 2131 §4.3.2).
    """
    options = Options(exchange, MessageType.NAK)
    options.add(Option.MESSAGE, reason.encode("ascii", "replace")[:255])
    request = exchange.request
    flags = request.flags if request.giaddr == NOWHERE else request.flags | BROADCAST
    return replace(copy(exchange, options), flags=flags)


def _add_parameters(exchange: Exchange, subnet: SubnetSettings, options: Options) -> None:
    """The parameters of the subnet, and what there is to boot.

    Option 60 is for UEFI HTTP boot, which does not see a reply without it.  To PXE firmware it would say that there is
    more to ask at port 4011, where this reply says it all.
    """
    firmware = exchange.machine.firmware
    by_http = firmware is Firmware.HTTP
    boots = add_boot_file(exchange, options, _BEHIND_BOOT_FILE + (2 + len(_HTTP_CLIENT) if by_http else 0))
    if boots and by_http:
        options.add(Option.VENDOR_CLASS, _HTTP_CLIENT)
    options.add(Option.SUBNET_MASK, subnet.network.netmask.packed)
    options.add(Option.ROUTER, subnet.router.packed if subnet.router else b"")
    add_uuid(exchange, options)
    if exchange.assignment.boot_file and firmware is Firmware.IPXE:
        # Nobody else gives boot files on this subnet: iPXE need not wait for a proxyDHCP server.
        options.add(Option.IPXE, encode({IpxeOption.NO_PROXYDHCP: b"\x01"}))
    add_boot_server(exchange, options)
    add_name_servers = options.add if by_http else options.add_if_wanted
    add_name_servers(Option.DOMAIN_NAME_SERVER, b"".join(each.packed for each in subnet.dns))
    options.add_if_wanted(Option.DOMAIN_NAME, subnet.domain.encode("ascii"))
