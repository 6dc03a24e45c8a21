"""What becomes of a certificate, and of connections that it was of no use for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pixelboot.outcome import Outcome, Severity, printable


@dataclass(frozen=True, slots=True)
class _CertificateOutcome(Outcome):
    service: ClassVar[str] = "http"
    rest: ClassVar[float] = 60.0
    burst: ClassVar[int] = 10

    file: str
    """The path of the certificate."""


@dataclass(frozen=True, slots=True)
class CertificateReplaced(_CertificateOutcome):
    """There is a new certificate; connections from now on get it."""

    names: tuple[str, ...]
    """The host names and addresses that it is for."""

    until: str
    """The day on which it expires, in UTC: ``2027-08-01``."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        names = printable(", ".join(self.names) or "no name")
        return f"the certificate {printable(self.file)} was replaced: it is for {names}, until {self.until}"


@dataclass(frozen=True, slots=True)
class CertificateRefused(_CertificateOutcome):
    """What was put in the place of a certificate or its key will not do; the old ones stay in use."""

    severity: ClassVar[Severity] = "error"

    reason: str
    """Why; names the file that is at fault."""

    until: str
    """The day on which the old one expires, in UTC."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        old = f"the old one stays in use, until {self.until}"
        return f"the new certificate {printable(self.file)} is not taken, {old}: {printable(self.reason, 1000)}"


@dataclass(frozen=True, slots=True)
class CertificateExpiring(_CertificateOutcome):
    """A certificate wants to be replaced soon."""

    severity: ClassVar[Severity] = "warn"

    days: int
    """How many whole days it is valid still."""

    until: str
    """The day on which it expires, in UTC."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        days = "less than a day" if not self.days else "a day" if self.days == 1 else f"{self.days} days"
        return f"the certificate {printable(self.file)} expires in {days}, on {self.until}: put a new one in its place"


@dataclass(frozen=True, slots=True)
class CertificateNotValid(_CertificateOutcome):
    """Machines refuse a certificate because of the time."""

    severity: ClassVar[Severity] = "error"

    reason: str
    """Why: ``it expired on 2026-11-20``."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"machines refuse the certificate {printable(self.file)}: {self.reason}"


@dataclass(frozen=True, slots=True)
class HandshakeFailed(Outcome):
    """A client and this server could not agree on a TLS connection."""

    service: ClassVar[str] = "http"
    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = 20

    peer: str
    """The client's address."""

    alert: int
    """The number of the TLS alert with which it ended (RFC 8446 §6)."""

    is_ours: bool
    """Whether this server broke it off, and not the client."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        words = ALERTS.get(self.alert, f"alert {self.alert}")
        if self.is_ours:
            return f"{self.peer}: no TLS connection, this server broke it off: {words}"
        return f"{self.peer}: no TLS connection, the client broke it off: {words}"


@dataclass(frozen=True, slots=True)
class HungUp(Outcome):
    """A client was gone when it had seen the certificate, and said nothing: so does EDK2 with one it does not trust."""

    service: ClassVar[str] = "http"
    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = 20

    peer: str
    """The client's address."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        perhaps = "perhaps it does not trust the certificate"
        return f"{self.peer}: no TLS connection, the client hung up in the middle of the handshake: {perhaps}"


ALERTS = {
    10: "unexpected message",
    20: "a record is damaged",
    22: "a record is too long",
    40: "no cipher suite in common",
    42: "the certificate is damaged",
    43: "a certificate of that kind is not known",
    44: "the certificate was revoked",
    45: "the certificate has expired, or the clock is wrong",
    46: "the certificate is not accepted",
    47: "illegal parameter",
    48: "the certificate's issuer (CA) is not trusted",
    49: "access denied",
    50: "a message cannot be decoded",
    51: "a signature or a key is wrong",
    70: "no version of TLS in common",
    71: "no cipher suite that is safe enough",
    80: "internal error",
    112: "the name is not known",
    120: "no protocol in common (ALPN)",
}
"""What the alerts mean that a boot server may see, by their numbers."""
