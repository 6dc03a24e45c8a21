"""What else the address server has to tell: of addresses in use by strangers, and of who asks for leases."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar

from pixelboot.dhcp.outcomes import DhcpOutcome
from pixelboot.outcome import Outcome, Severity, printable


@dataclass(frozen=True, slots=True)
class InUse(DhcpOutcome):
    """An address was not offered, because somebody answers at it; it rests now.  The machine is offered another."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = 20

    address: IPv4Address
    """The address."""

    seconds: float
    """How long it rests."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        rests = f"it rests for {self.seconds:.0f} s"
        return f"{self.address} not offered to {self.machine}: somebody answers at it, so {rests}"


@dataclass(frozen=True, slots=True)
class Queried(Outcome):
    """Somebody asked what is known of a lease (RFC 4388)."""

    service: ClassVar[str] = "dhcp"
    severity: ClassVar[Severity] = "debug"

    requester: IPv4Address
    """Who asked: giaddr."""

    about: str
    """What was asked for: an address, a hardware address or a client identifier."""

    told: str
    """The answer: ``LEASEACTIVE`` and so on."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.requester} asked for the lease of {printable(self.about, 80)}: {self.told}"


@dataclass(frozen=True, slots=True)
class QueryRefused(Outcome):
    """Somebody asked for a lease who may not, or who did not say where to send the answer."""

    service: ClassVar[str] = "dhcp"
    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 60.0

    source: IPv4Address
    """Who sent it."""

    reason: str
    """Why it was not answered."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"LEASEQUERY from {self.source} not answered: {self.reason}"
