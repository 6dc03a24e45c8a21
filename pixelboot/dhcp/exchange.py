"""One request, and what comes of it: the values that pass between the shell and the two services' decisions."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import NamedTuple

from pixelboot.boot.machine import Machine
from pixelboot.boot.policy import Assignment
from pixelboot.boot.quirks import Quirks
from pixelboot.datagram import Arrival, Destination
from pixelboot.dhcp.message.relay import RelayInformation
from pixelboot.dhcp.message.wire import Message
from pixelboot.dhcp.network.scope import Scope
from pixelboot.outcome import Outcome


class Exchange(NamedTuple):
    """One request and all that is known when it is answered."""

    request: Message
    """What was asked."""

    arrival: Arrival
    """How it came."""

    machine: Machine
    """Who asks."""

    server: IPv4Address
    """Option 54 of the reply: our address as the client named it, else the one that it shall be told.  A relay may
    have asked for one of its own to stand there (RFC 5107); see `here`."""

    assignment: Assignment
    """What it shall boot."""

    scope: Scope
    """What it is entitled to: its link, and its host or classes in the settings."""

    relay: RelayInformation | None
    """What the relay that forwarded it has added (option 82); None without a relay, or one that is believed."""

    quirks: Quirks
    """What its firmware needs."""

    here: IPv4Address
    """Our own address in this exchange: where the reply comes from, and what there is to boot."""


class Answer(NamedTuple):
    """What the shell shall do at the end of an exchange."""

    outcome: Outcome
    """What it came to."""

    reply: Message | None = None
    """The reply; None for silence."""

    destination: Destination | None = None
    """Where the reply goes."""

    delay: float = 0.0
    """Seconds to wait before it is sent, for firmware that is not ready to hear it at once."""

    octets: bytes = b""
    """The reply as it goes out, where it was made so; `reply` is None then."""
