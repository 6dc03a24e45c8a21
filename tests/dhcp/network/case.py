"""What the tests of the network share: a site as it is written, and requests that come in at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.datagram import Arrival
from pixelboot.dhcp.client import recognise
from pixelboot.dhcp.message import relay
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.network.network import Network
from pixelboot.dhcp.network.scope import Scope
from tests.dhcp.settings.case import read

NOWHERE = IPv4Address(0)
HWADDR = bytes.fromhex("02aa00000001")


def ip(text: str) -> IPv4Address:
    """An address."""
    return IPv4Address(text)


def site(document: str) -> Network:
    """The network of a settings file."""
    settings = read(document)
    return Network(settings.dhcp, settings.host)


def request(
    hwaddr: bytes = HWADDR, giaddr: str = "0.0.0.0", ciaddr: str = "0.0.0.0", options: Mapping[int, bytes] | None = None
) -> Message:
    """A DISCOVER with further options."""
    sent = {int(Option.MESSAGE_TYPE): bytes((MessageType.DISCOVER,)), **(options or {})}
    return Message(
        op=1,
        xid=7,
        chaddr=hwaddr.ljust(16, b"\0"),
        giaddr=IPv4Address(giaddr),
        ciaddr=IPv4Address(ciaddr),
        options=sent,
    )


def arrival(*addresses: str, source: str = "0.0.0.0", to_everybody: bool = True) -> Arrival:
    """How it came, at an interface with these addresses; by broadcast, unless it is said otherwise."""
    ours = tuple(map(IPv4Address, addresses))
    local = ours[0] if ours else NOWHERE
    return Arrival("eno1", local, 67, IPv4Address(source), 68, 0.0, to_everybody, ours)


class NetworkCase(SynchronousTestCase):
    """A test of a site's network."""

    def scope(self, network: Network, message: Message, came: Arrival) -> Scope | str:
        """What the network makes of a message; a relay's information in it is believed."""
        value = message.options.get(Option.RELAY_AGENT_INFORMATION)
        return network.scope(message, recognise(message), None if value is None else relay.read(value), came)

    def found(self, network: Network, message: Message, came: Arrival) -> Scope:
        """The same, where it makes a scope."""
        scope = self.scope(network, message, came)
        assert isinstance(scope, Scope), scope
        return scope

    def link(self, network: Network, message: Message, came: Arrival) -> str:
        """The name of the link, or why there is none."""
        scope = self.scope(network, message, came)
        return scope if isinstance(scope, str) else scope.link.name


def circuit(octets: bytes, *more: bytes) -> dict[int, bytes]:
    """A relay's information with a circuit-id and further sub-options."""
    parts: Sequence[bytes] = (bytes((1, len(octets))) + octets, *more)
    return {int(Option.RELAY_AGENT_INFORMATION): b"".join(parts)}
