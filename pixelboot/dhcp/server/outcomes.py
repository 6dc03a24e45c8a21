"""What else the address server has to tell: of addresses that two machines are after, and of who asks for leases."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar

from pixelboot.dhcp.outcomes import DhcpOutcome
from pixelboot.hwaddr import HardwareAddress
from pixelboot.leases.lease import Lease
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

    hwaddr: HardwareAddress
    """Who answers."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        rests = f"it rests for {self.seconds:.0f} s"
        return f"{self.address} not offered to {self.machine}: {self.hwaddr} answers at it, so {rests}"


@dataclass(frozen=True, slots=True)
class Disbelieved(DhcpOutcome):
    """Somebody says of one address after the other that he has it: it does not count, or he would empty the pool."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 60.0
    burst: ClassVar[int] = 3

    address: IPv4Address
    """The address that was asked for last."""

    hwaddr: HardwareAddress
    """Who answers."""

    most: int
    """Of how many addresses it is believed."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        at = f"{self.hwaddr} answers at more than {self.most} addresses, now at {self.address}"
        return f"{at}, which {self.machine} is to have: its answers do not count"


@dataclass(frozen=True, slots=True)
class StillUsed(DhcpOutcome):
    """A machine was not answered, because another one that is taken to be the same uses its address."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = 20

    address: IPv4Address
    """The address."""

    hwaddr: HardwareAddress
    """Who answers at it."""

    identity: str
    """The key of the lease."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        same = f"{self.machine} has the same {_kind(self.identity)}"
        return f"{self.address} is still used by {self.hwaddr}; {same} and is not answered"


@dataclass(frozen=True, slots=True)
class Passed(DhcpOutcome):
    """A lease that had not run out went from one machine to another that is taken to be the same."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = 20

    lease: Lease
    """The lease as it was."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        same = _kind(self.lease.identity)
        return f"{self.lease.address} passes from {self.lease.hwaddr} to {self.machine}, which has the same {same}"


def _kind(identity: str) -> str:
    """What makes two machines the same, for people."""
    kind = identity.partition(":")[0]
    return {"id": "client id", "uuid": "UUID"}.get(kind, kind)


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
