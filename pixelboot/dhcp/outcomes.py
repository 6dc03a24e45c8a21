"""What an exchange can come to, told in one line each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar

from pixelboot.boot.machine import Machine
from pixelboot.boot.policy import Assignment
from pixelboot.leases.lease import Lease
from pixelboot.outcome import Outcome, Severity, printable

_NEVER_ANSWERED = frozenset({"RELEASE", "DECLINE"})
"""Messages that have no reply, whatever becomes of them (RFC 2131 §4.3.3, §4.3.4)."""


@dataclass(frozen=True, slots=True)
class DhcpOutcome(Outcome):
    """The end of one DHCP exchange."""

    service: ClassVar[str] = "dhcp"

    machine: Machine
    """Who asked."""


@dataclass(frozen=True, slots=True)
class Offered(DhcpOutcome):
    """An OFFER was made."""

    lease: Lease
    """What is held for the machine."""

    assignment: Assignment
    """What it was told to boot."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        boots = _to_boot(self.assignment)
        return f"{self.machine} ({self.machine.kind}) offered {self.lease.address}{boots}"


@dataclass(frozen=True, slots=True)
class Bound(DhcpOutcome):
    """An ACK gave or prolonged a lease."""

    lease: Lease
    """The lease, which is on disk."""

    seconds: float
    """How long it lasts; `math.inf` for ever."""

    renewed: bool
    """Whether the machine had the address before."""

    assignment: Assignment
    """What it was told to boot."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        verb = "keeps" if self.renewed else "has"
        name = f" as {printable(self.lease.hostname, 64)}" if self.lease.hostname else ""
        boots = _to_boot(self.assignment)
        time = f"{self.seconds:.0f} s" if self.seconds != math.inf else "ever"
        return f"{self.machine} {verb} {self.lease.address} for {time}{name}{boots}"


@dataclass(frozen=True, slots=True)
class Refused(DhcpOutcome):
    """A NAK was sent."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = 20

    reason: str
    """Why."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} refused: {self.reason}"


@dataclass(frozen=True, slots=True)
class Exhausted(DhcpOutcome):
    """There was no address left to offer."""

    severity: ClassVar[Severity] = "error"
    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = 5

    reason: str
    """What the store says of the pool: of which networks, and how many have what."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} gets no address: {self.reason}"


@dataclass(frozen=True, slots=True)
class Crowded(DhcpOutcome):
    """There are too many like it: a DISCOVER of a machine that is not known was left unanswered."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = 5

    reason: str
    """Of what there is too much."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} not answered, known machines come first: {self.reason}"


@dataclass(frozen=True, slots=True)
class Declined(DhcpOutcome):
    """A machine found its address in use; it rests now."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = 20

    lease: Lease
    """The address and until when it rests."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} declined {self.lease.address}: somebody else uses it; it is not given out for a while"


@dataclass(frozen=True, slots=True)
class Released(DhcpOutcome):
    """A machine gave its address back."""

    lease: Lease
    """The lease that ended."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} released {self.lease.address}"


@dataclass(frozen=True, slots=True)
class Informed(DhcpOutcome):
    """A machine with an address of its own was told the parameters."""

    address: IPv4Address
    """Its address."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} at {self.address} informed"


@dataclass(frozen=True, slots=True)
class Ignored(DhcpOutcome):
    """There was no reply, as the protocol asks."""

    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = 20

    what: str
    """The message: ``DISCOVER``, ``REQUEST`` …"""

    reason: str
    """Why it was not answered."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        came_to = "ignored" if self.what in _NEVER_ANSWERED else "not answered"
        return f"{self.machine} {self.what} {came_to}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Proxied(DhcpOutcome):
    """A machine that has its address from another server was told what to boot."""

    boot_file: str
    """What it was told to boot."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} ({self.machine.kind}) told to boot {self.boot_file}"


@dataclass(frozen=True, slots=True)
class Overheard(DhcpOutcome):
    """A request that is for other servers was heard by the proxy."""

    severity: ClassVar[Severity] = "debug"

    what: str
    """The message: ``DISCOVER``, ``REQUEST`` …"""

    reason: str
    """Why it is not for the proxy."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} {self.what} left to other servers: {self.reason}"


@dataclass(frozen=True, slots=True)
class Dropped(Outcome):
    """A datagram was no request of a client."""

    service: ClassVar[str] = "dhcp"
    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 60.0

    source: IPv4Address
    """Who sent it."""

    reason: str
    """What is wrong with it."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"datagram from {self.source} dropped: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class Failed(Outcome):
    """A mistake of ours ended an exchange; the log has it in full."""

    service: ClassVar[str] = "dhcp"
    severity: ClassVar[Severity] = "error"
    rest: ClassVar[float] = 60.0

    source: IPv4Address
    """Who sent the datagram: 0.0.0.0 where the machine has no address yet."""

    reason: str
    """The exception, and what it says."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"datagram from {self.source} not answered, by a mistake in pixelboot: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class Strayed(Outcome):
    """A request came in by the interface that we serve, to an address that is not one of those we serve there."""

    service: ClassVar[str] = "dhcp"
    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 60.0

    address: IPv4Address
    """Where it came to: an address that the machine has elsewhere, or has had only since the server started."""

    interface: str
    """By which interface."""

    servers: tuple[IPv4Address, ...]
    """The addresses that are served there."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        served = ", ".join(map(str, sorted(self.servers)))
        return f"a request to {self.address} came in by {self.interface}, which has {served or 'none'}: not answered"


@dataclass(frozen=True, slots=True)
class NotStored(DhcpOutcome):
    """The lease could not be made durable, so nothing was answered."""

    severity: ClassVar[Severity] = "error"
    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = 5

    reason: str
    """What the store said."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} not answered, its lease could not be written: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class NotSent(Outcome):
    """The network did not take the reply."""

    service: ClassVar[str] = "dhcp"
    severity: ClassVar[Severity] = "error"
    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = 5

    destination: IPv4Address
    """Where it was to go."""

    machine: Machine | None
    """Who asked; None where no machine did, but a relay."""

    reason: str
    """What the system said."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        who = self.machine or self.destination
        return f"{who} not answered, the reply could not be sent: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class NotReturned(DhcpOutcome):
    """What a relay added to a request was not in the reply, beside this exchange's own outcome."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 60.0

    relay: IPv4Address
    """The relay, which may not know now where to send the reply."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} answered without what the relay {self.relay} added: the message has no room for it"


def _to_boot(assignment: Assignment) -> str:
    """What a machine was told to boot; what it wanted and did not get is told too."""
    if assignment.boot_file:
        return f", boots {assignment.boot_file}"
    return f", boots nothing from here: {assignment.obstacle}" if assignment.obstacle else ""
