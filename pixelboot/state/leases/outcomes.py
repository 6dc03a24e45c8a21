"""What becomes of the lease store while the server runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pixelboot.outcome import Outcome, Severity, printable


@dataclass(frozen=True, slots=True)
class StoreLost(Outcome):
    """Leases cannot be made durable for now."""

    path: str
    """The database."""

    reason: str
    """What happened."""

    pause: float
    """Seconds until the next attempt."""

    service: ClassVar[str] = "state"
    severity: ClassVar[Severity] = "error"
    rest: ClassVar[float] = 60.0

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"no lease can be given: {self.path}: {self.reason}; trying again in {self.pause:g} s"


@dataclass(frozen=True, slots=True)
class StoreRecovered(Outcome):
    """Leases are made durable again."""

    path: str
    """The database."""

    after: float
    """Seconds since they were not."""

    reason: str
    """Why they were not; the log may have kept that to itself when it had just said something like it."""

    service: ClassVar[str] = "state"
    severity: ClassVar[Severity] = "warn"

    def summary(self) -> str:
        """See `Outcome.summary`."""
        now = f"{self.path} is written and holds every one of them"
        return f"leases are given again after {self.after:.1f} s ({self.reason}): {now}"


@dataclass(frozen=True, slots=True)
class ClockSet(Outcome):
    """The wall clock jumped; leases keep what they had left."""

    seconds: float
    """By how many, negative for back."""

    service: ClassVar[str] = "state"
    severity: ClassVar[Severity] = "warn"

    def summary(self) -> str:
        """See `Outcome.summary`."""
        way = "forward, or the machine slept" if self.seconds > 0 else "back"
        return f"the clock was set by {abs(self.seconds):.0f} s, {way}: every lease lasts as long as it had left"


@dataclass(frozen=True, slots=True)
class StoreComplaint(Outcome):
    """The helper process said something on standard error."""

    line: str
    """What it said, made printable."""

    service: ClassVar[str] = "state"
    severity: ClassVar[Severity] = "error"

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"the helper of the lease store says: {self.line}"


@dataclass(frozen=True, slots=True)
class StoreUnsaved(Outcome):
    """The server ends, and not everything is on disk."""

    path: str
    """The database."""

    count: int
    """Addresses whose last change was not written; none of them was promised to a machine."""

    service: ClassVar[str] = "state"
    severity: ClassVar[Severity] = "error"

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.path} could not be written: {self.count} changes of leases are lost"


@dataclass(frozen=True, slots=True)
class StoreMended(Outcome):
    """The database was damaged, was set aside, and was made anew."""

    what: str
    """What had become of it, what was saved, and where the damaged one is now; names the file."""

    service: ClassVar[str] = "state"
    severity: ClassVar[Severity] = "error"

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"CRITICAL: {printable(self.what, 1000)}"
