"""Who has which lease, for relays that were restarted and have forgotten it (RFC 4388).

A relay asks by address, by hardware address or by client identifier, and is told of one lease.  Where machines are
known again by something else (``identity``), there is nothing to be found under what they are not known by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from pixelboot.datagram import Arrival, Destination
from pixelboot.dhcp.exchange import Answer
from pixelboot.dhcp.message.options import Option, RelayOption, encode
from pixelboot.dhcp.message.wire import SERVER_PORT, Message, MessageType, Op
from pixelboot.dhcp.network.network import Network
from pixelboot.dhcp.server.compose import INFINITE
from pixelboot.dhcp.server.outcomes import Queried, QueryRefused
from pixelboot.hwaddr import HardwareAddress
from pixelboot.leases.lease import Lease, State
from pixelboot.leases.seam import LeaseStore
from pixelboot.malformed import Malformed


class LeaseQuery:
    """Answers LEASEQUERY to those who may ask."""

    def __init__(self, allowed: Sequence[IPv4Network], network: Network, store: LeaseStore) -> None:
        """`allowed` are the networks of relays that may ask; none turns it off."""
        self._allowed = tuple(allowed)
        self._network = network
        self._store = store

    async def answer(self, request: Message, arrival: Arrival) -> Answer:
        """What is answered to a LEASEQUERY; it goes to giaddr, which has to be allowed as much as the sender."""
        if refusal := self._refusal(request, arrival):
            return Answer(QueryRefused(arrival.source, refusal))
        about, lease = await self._find(request)
        if not about:
            return Answer(QueryRefused(arrival.source, "it does not say whose lease it asks for"))
        if lease is not None and lease.state is State.BOUND and lease.expires_at > arrival.now:
            kind, options = MessageType.LEASEACTIVE, _told(request, lease, arrival.now)
        elif int(request.ciaddr) and self._is_served(request.ciaddr):
            kind, options, lease = MessageType.LEASEUNASSIGNED, {}, None
        else:
            kind, options, lease = MessageType.LEASEUNKNOWN, {}, None
        first = {int(Option.MESSAGE_TYPE): bytes((kind,)), int(Option.SERVER_IDENTIFIER): arrival.local.packed}
        asked = request._replace(op=Op.REPLY, hops=0, secs=0, sname=b"", file=b"", options=first | options)
        reply = asked if lease is None else _of(lease, asked)
        way = Destination(request.giaddr, SERVER_PORT, arrival.local, arrival.interface)
        return Answer(Queried(request.giaddr, about, kind.name), reply, way)

    def _refusal(self, request: Message, arrival: Arrival) -> str:
        """Why nothing is told; empty if it is."""
        if not self._allowed:
            return "it is off (dhcp.leasequery)"
        if not int(request.giaddr):
            return "it does not say to which relay the answer goes"
        for address in (arrival.source, request.giaddr):
            if not any(address in network for network in self._allowed):
                return f"{address} is not one that may ask (dhcp.leasequery)"
        return ""

    async def _find(self, request: Message) -> tuple[str, Lease | None]:
        """What is asked for, and the lease; an empty text for nothing."""
        if int(request.ciaddr):
            return str(request.ciaddr), await self._store.at(request.ciaddr)
        client_identifier = request.options.get(Option.CLIENT_IDENTIFIER)
        if client_identifier:
            return client_identifier.hex(), await self._store.find(f"id:{client_identifier.hex()}")
        hwaddr = request.hwaddr
        if hwaddr is None:
            return "", None
        return str(hwaddr), await self._store.find(f"hw:{request.htype:02x}:{hwaddr}")

    def _is_served(self, address: IPv4Address) -> bool:
        """Whether this server gives out addresses of that network."""
        return any(link.mode == "server" and link.subnet_of(address) is not None for link in self._network.links)


def _told(request: Message, lease: Lease, now: float) -> dict[int, bytes]:
    """The options that tell of an active lease (RFC 4388 §6.4.2)."""
    left = INFINITE if lease.expires_at == math.inf else min(int(lease.expires_at - now), INFINITE - 1)
    since = min(max(int(now - lease.renewed_at), 0), INFINITE)
    options = {int(Option.LEASE_TIME): left.to_bytes(4)}
    if lease.client_id:
        options[Option.CLIENT_IDENTIFIER] = lease.client_id
    options[Option.CLIENT_LAST_TRANSACTION_TIME] = since.to_bytes(4)
    wanted = request.options.get(Option.PARAMETER_REQUEST_LIST)
    if lease.circuit and (wanted is None or Option.RELAY_AGENT_INFORMATION in wanted):
        options[Option.RELAY_AGENT_INFORMATION] = encode({RelayOption.CIRCUIT_ID: lease.circuit})
    return options


def _of(lease: Lease, reply: Message) -> Message:
    """`reply` with the fields that name a lease and its holder."""
    try:
        octets = HardwareAddress.parse(lease.hwaddr).octets
    except Malformed:  # It has none that fits (RFC 4390).
        return reply._replace(ciaddr=lease.address, htype=0, hlen=0, chaddr=bytes(16))
    kind = int(lease.identity[3:5], 16) if lease.identity.startswith("hw:") else 1
    chaddr = octets.ljust(16, b"\0")
    return reply._replace(ciaddr=lease.address, htype=kind, hlen=len(octets), chaddr=chaddr)
