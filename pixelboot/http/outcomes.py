"""What a request over HTTP can come to, told in one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pixelboot.hwaddr import HardwareAddress
from pixelboot.outcome import Outcome, Severity, pace, printable


@dataclass(frozen=True, slots=True)
class Exchange(Outcome):
    """What one request came to; the base of those below."""

    service: ClassVar[str] = "http"

    machine: HardwareAddress | None
    """Whose request it was, as far as anybody knows."""

    peer: str
    """The client's address as text."""

    method: str
    """The request's method; untrusted."""

    target: str
    """The request's target; untrusted."""

    status: int
    """The status answered with; 0 when there was no answer."""

    octets: int
    """Octets of the body that the kernel took to send."""

    seconds: float
    """From the request to the end of the answer."""

    reason: str = ""
    """Why it did not end with what was asked for; empty when it did."""

    hint: str = ""
    """What whoever reads the log should know of this client; empty when there is nothing."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        who = f"{self.machine} {self.peer}" if self.machine else self.peer
        what = f"{printable(self.method, 20)} {printable(self.target)}"
        hint = f" ({printable(self.hint)})" if self.hint else ""
        return f"{who} {what} {self._end()}{hint}"

    def _end(self) -> str:
        status = f"{self.status} " if self.status else ""
        return f"{status}{printable(self.reason)}"

    def _amount(self) -> str:
        return pace(self.octets, self.seconds)


@dataclass(frozen=True, slots=True)
class Served(Exchange):
    """Everything asked for was sent."""

    def _end(self) -> str:
        return f"{self.status} {self._amount()}"


@dataclass(frozen=True, slots=True)
class Refused(Exchange):
    """The request could not be met, and the client was told why (4xx)."""

    severity: ClassVar[Severity] = "warn"


@dataclass(frozen=True, slots=True)
class Aborted(Exchange):
    """The answer ended early, and with it the connection."""

    severity: ClassVar[Severity] = "warn"

    def _end(self) -> str:
        status = f"{self.status} " if self.status else ""
        return f"{status}broken off after {self._amount()}: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class Failed(Exchange):
    """The fault was ours (5xx)."""

    severity: ClassVar[Severity] = "error"


@dataclass(frozen=True, slots=True)
class Unreadable(Outcome):
    """What came was no HTTP request, or none within the time and size allowed; the connection was closed."""

    service: ClassVar[str] = "http"
    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0

    peer: str
    """The client's address as text."""

    reason: str
    """What was wrong."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.peer} sent no request that can be answered: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class TurnedAway(Outcome):
    """A connection too many: its request is answered with 503, and it is closed."""

    service: ClassVar[str] = "http"
    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0

    peer: str
    """The client's address as text."""

    reason: str
    """Which limit was reached."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.peer} is turned away: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class MenuChanged(Outcome):
    """A menu was not what the settings say."""

    service: ClassVar[str] = "http"
    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 60.0

    notice: str
    """What the menu tells the person before the machine."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"menu: {printable(self.notice)}"
