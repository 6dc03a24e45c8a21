"""What becomes of what the operator decided."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

from pixelboot.outcome import Outcome, Severity, printable


@dataclass(frozen=True, slots=True)
class ChoicesMended(Outcome):
    """A file of what the operator decided was not as it was left, and has been written again."""

    what: str
    """What had become of it; names the file."""

    held: str
    """What is in it: ``settings of containers``."""

    service: ClassVar[str] = "state"
    severity: ClassVar[Severity] = "warn"

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{printable(self.what, 1000)}; all of it ({self.held}) was written again"


@dataclass(frozen=True, slots=True)
class ChoiceMade(Outcome):
    """The operator decided something about a container, or what boots by itself; it is on disk."""

    about: str
    """What it is about: ``container debian``, ``menu``."""

    changes: tuple[tuple[str, object, object], ...]
    """What was changed: the name of each setting, and its values before and after."""

    who: str
    """By which way it came."""

    service: ClassVar[str] = "state"

    def summary(self) -> str:
        """See `Outcome.summary`."""
        told = ", ".join(f"{name} {_value(before)} → {_value(after)}" for name, before, after in self.changes)
        return f"{printable(self.about)}: {told} (by {self.who})"


def _value(value: object) -> str:
    return "none" if value is None else printable(json.dumps(value, ensure_ascii=False), 80)
