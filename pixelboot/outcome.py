"""What an exchange came to: one value, from which the log line and the counters are made.

Each protocol declares its outcomes beside the core that produces them, as frozen dataclasses
derived from `Outcome`.  The shell hands every one of them to `pixelboot.report`, once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

Severity = Literal["debug", "info", "warn", "error"]
"""``debug`` is what happens in every healthy boot and tells nothing: it is counted, and written where a site asks for
more (the setting ``verbose``)."""


@dataclass(frozen=True, slots=True)
class Outcome(ABC):
    """The end of one exchange with one machine."""

    service: ClassVar[str] = "pixelboot"
    """The part that speaks: ``dhcp``, ``http`` …; the first half of the counter's name."""

    severity: ClassVar[Severity] = "info"
    """How loudly it is logged."""

    rest: ClassVar[float] = 0.0
    """Seconds in which only so many lines of this kind are written, and further ones counted, so that hostile input
    cannot fill the log; 0 writes every one."""

    burst: ClassVar[int] = 1
    """How many lines are written in `rest` seconds."""

    @classmethod
    def counter(cls) -> str:
        """The name under which this kind of outcome is counted: ``dhcp.Offered``."""
        return f"{cls.service}.{cls.__name__}"

    @abstractmethod
    def summary(self) -> str:
        """One line, for a person: who, what, how much.  Untrusted text in it is already neutralised."""


def printable(text: str, limit: int = 200) -> str:
    """Untrusted text, made safe for a log line: control, bidi and line characters escaped, cut at `limit`."""
    cut = text[:limit]
    if cut.isprintable():
        return cut if len(text) <= limit else cut + "…"
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)
    return safe + "…" if len(text) > limit else safe


def quantity(octets: float) -> str:
    """An amount of octets for a person: ``512 octets``, ``14.2 MB`` (decimal prefixes)."""
    if octets < 1000:
        return f"{octets:.0f} octets"
    for unit, name in ((1e3, "kB"), (1e6, "MB")):
        if octets < 999.95 * unit:
            return f"{octets / unit:.1f} {name}"
    return f"{octets / 1e9:.1f} GB"


def pace(octets: int, seconds: float) -> str:
    """How much was sent, how long it took and how fast that was: ``14.2 MB in 0.82 s (17.2 MB/s)``."""
    amount = f"{quantity(octets)} in {seconds:.2f} s"
    # A rate over less than this would only measure our own clock.
    timed = octets and seconds >= 0.01
    return f"{amount} ({quantity(octets / seconds)}/s)" if timed else amount
