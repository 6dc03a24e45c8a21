"""One request, and what comes of it: the values that pass between the shell and the two services' decisions."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from pixelboot.boot.machine import Machine
from pixelboot.boot.policy import Assignment
from pixelboot.datagram import Arrival, Destination
from pixelboot.dhcp.message.wire import Message
from pixelboot.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and all that is known when it is answered."""

    request: Message
    """What was asked."""

    arrival: Arrival
    """How it came."""

    machine: Machine
    """Who asks."""

    server: IPv4Address
    """Our address in this exchange, option 54: the one that the client named, else the one that it shall be told."""

    assignment: Assignment
    """What it shall boot."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the shell shall do at the end of an exchange."""

    outcome: Outcome
    """What it came to."""

    reply: Message | None = None
    """The reply; None for silence."""

    destination: Destination | None = None
    """Where the reply goes."""
