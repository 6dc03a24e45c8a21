"""A proxy in memory: what clients say, and what is decided and sent back, read back from its octets."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any

from pixelboot.boot.policy import Assignment
from pixelboot.boot.pxe import PxeSettings
from pixelboot.boot.quirks import PROFILES
from pixelboot.config import build
from pixelboot.datagram import Arrival, Destination
from pixelboot.dhcp import client
from pixelboot.dhcp.exchange import Answer, Exchange
from pixelboot.dhcp.message import relay, wire
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.relay import RelayInformation
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.network.network import Network
from pixelboot.dhcp.network.scope import Scope
from pixelboot.dhcp.proxy.answer import NO_MENU, answer
from pixelboot.dhcp.settings.dhcp import DhcpSettings
from pixelboot.dhcp.settings.host import HostSettings
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome

OFFER, ACK, REQUEST, INFORM = MessageType.OFFER, MessageType.ACK, MessageType.REQUEST, MessageType.INFORM
NOWHERE, EVERYBODY = IPv4Address(0), IPv4Address("255.255.255.255")
SERVER, SECOND, RELAY, STRANGER, HAS = (IPv4Address(f"10.77.0.{last}") for last in (1, 2, 3, 9, 130))
PROXY_PORT = 4011
URL = "http://10.77.0.1:8080/boot.ipxe"

BIOS = {60: b"PXEClient:Arch:00000:UNDI:002001", 93: b"\0\0", 97: bytes(17)}
UEFI = {60: b"PXEClient:Arch:00007:UNDI:003000", 93: b"\0\7", 97: bytes(17)}
HTTP = {60: b"HTTPClient:Arch:00016:UNDI:003000", 93: b"\0\x10", 97: bytes(17)}
IPXE = {**BIOS, 77: b"iPXE"}
NEEDS_AN_ADDRESS_SERVER = {1, 3, 6, 28, 33, 51, 58, 59, 121, 249}
"""Options that make a client believe in a lease."""

AT_67 = Arrival("lan0", SECOND, 67, NOWHERE, 68, 0.0, True, (SERVER, SECOND))
AT_4011 = Arrival("lan0", SECOND, PROXY_PORT, HAS, 4011, 0.0, False, (SERVER, SECOND))
BY_RELAY = Arrival("lan0", SECOND, 67, RELAY, 67, 0.0, False, (SERVER, SECOND))


def say(kind: MessageType, options: Mapping[int, bytes] | None = None, **fields: Any) -> Message:
    """What the client with the link address 02:aa:00:00:00:01 sends."""
    first = {int(Option.MESSAGE_TYPE): bytes((kind,))}
    chaddr = b"\2\xaa\0\0\0\1".ljust(16, b"\0")
    return Message(op=wire.Op.REQUEST, xid=7, chaddr=chaddr, options=first | dict(options or {}))._replace(**fields)


def discover(options: Mapping[int, bytes] | None = None, **fields: Any) -> Message:
    """A DISCOVER."""
    return say(MessageType.DISCOVER, options, **fields)


def vendor(options: Mapping[int, bytes]) -> dict[int, bytes]:
    """Option 43 of a request with these sub-options."""
    return {43: b"".join(bytes((code, len(value))) + value for code, value in options.items()) + b"\xff"}


def added(request: Message) -> RelayInformation | None:
    """What a relay added to a request; one that cannot be read goes back all the same."""
    sent = request.options.get(Option.RELAY_AGENT_INFORMATION)
    if sent is None or not int(request.giaddr):
        return None
    try:
        return relay.read(sent)
    except Malformed:
        return RelayInformation()


class Proxy:
    """A proxy that tells everybody the same, and calls itself `SECOND`."""

    def __init__(
        self,
        boot_file: str | None = "snponly.efi",
        *,
        menu: Mapping[str, object] | None = None,
        profile: str = "",
        settings: Mapping[str, object] | None = None,
        hosts: tuple[HostSettings, ...] = (),
        own: tuple[IPv4Address, ...] = (SERVER, SECOND),
        **assigned: Any,
    ) -> None:
        """`menu` and `settings` are documents of ``[boot.pxe]`` and ``[dhcp]``; `profile` stands for what is found."""
        self.assignment = Assignment(boot_file, **assigned)
        self.pxe = build(PxeSettings, menu) if menu is not None else NO_MENU
        self.profile = profile
        self.network = Network(build(DhcpSettings, settings or {}), hosts)
        self.network.own(own)
        self.own = own

    def exchange(self, datagram: Message | bytes, come: Arrival = AT_67) -> Exchange:
        """What is known of a datagram; `Malformed` where it is not for us at all."""
        request = wire.decode(datagram if isinstance(datagram, bytes) else wire.encode(datagram))
        machine, profile = client.meet(request)
        information = added(request)
        scope = self.network.scope(request, machine, information, come)
        if not isinstance(scope, Scope):
            raise Malformed(scope)
        named = request.address(Option.SERVER_IDENTIFIER)
        server = named if named is not None and named in self.own else come.local
        quirks = PROFILES[self.profile or profile.name].quirks
        return Exchange(request, come, machine, server, self.assignment, scope, information, quirks, server)

    def answer(self, datagram: Message | bytes, come: Arrival = AT_67) -> Answer:
        """What is decided of a datagram."""
        return answer(self.exchange(datagram, come), PROXY_PORT, self.pxe)

    def ask(self, datagram: Message | bytes, come: Arrival = AT_67) -> tuple[Message, Destination]:
        """The reply to a request, and where it goes."""
        decided = self.answer(datagram, come)
        if decided.reply is None or decided.destination is None:
            raise AssertionError(decided.outcome.summary())
        return wire.decode(wire.encode(decided.reply)), decided.destination

    def silence(self, datagram: Message | bytes, come: Arrival = AT_67) -> Outcome:
        """What came of a request that has no reply."""
        decided = self.answer(datagram, come)
        if decided.reply is not None or decided.destination is not None:
            raise AssertionError(decided)
        return decided.outcome
