"""Replies of the address server as they are composed, without a store behind them."""

from __future__ import annotations

from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.server import compose
from pixelboot.dhcp.server.compose import Manner
from pixelboot.dhcp.settings.dhcp import SubnetSettings
from tests.dhcp.lan import SUBNET, address, exchange, settings

OFFER = MessageType.OFFER
GIVEN = address(100)
"""The address that is granted."""


def granted(
    request: Message,
    kind: MessageType = OFFER,
    boot_file: str | None = None,
    subnet: SubnetSettings = SUBNET,
    manner: Manner = compose.PLAIN,
) -> Message:
    """The OFFER or ACK of 10.77.0.100."""
    known = exchange(request, boot_file, site=settings(subnet))
    agreed = compose.terms(known, GIVEN)
    assert agreed is not None
    return compose.grant(known, agreed, kind, GIVEN, manner)


def offer(request: Message, boot_file: str | None = None, subnet: SubnetSettings = SUBNET) -> Message:
    """The OFFER of 10.77.0.100."""
    return granted(request, OFFER, boot_file, subnet)
