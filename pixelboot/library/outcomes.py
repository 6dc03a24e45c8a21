"""What became of the containers: one outcome for every change that a person would want to know of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pixelboot.outcome import Outcome, Severity, printable


@dataclass(frozen=True, slots=True)
class _ContainerOutcome(Outcome):
    service: ClassVar[str] = "library"

    file_name: str
    """The picture's name in the folder."""


@dataclass(frozen=True, slots=True)
class ContainerReady(_ContainerOutcome):
    """A container can be booted: it was decoded and verified, or the cache still has it."""

    id: str
    """Its name in URLs."""

    parts: tuple[tuple[str, int], ...]
    """Name and size in octets of each part."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        parts = ", ".join(f"{name} of {size} octets" for name, size in self.parts)
        return f"{printable(self.file_name)} is ready as {self.id}: {parts}"


@dataclass(frozen=True, slots=True)
class ContainerDamaged(_ContainerOutcome):
    """A container is listed but not offered to machines."""

    severity: ClassVar[Severity] = "warn"

    reason: str
    """Why; untrusted text may be in it."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{printable(self.file_name)} is damaged: {printable(self.reason, 400)}"


@dataclass(frozen=True, slots=True)
class ContainerPostponed(_ContainerOutcome):
    """A container could not be decoded, perhaps for no fault of its own; it is tried again."""

    severity: ClassVar[Severity] = "warn"

    reason: str
    """Why; untrusted text may be in it."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{printable(self.file_name)} cannot be decoded now, later again: {printable(self.reason, 400)}"


@dataclass(frozen=True, slots=True)
class ContainerGone(_ContainerOutcome):
    """A container's file was deleted or renamed."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{printable(self.file_name)} is gone"


@dataclass(frozen=True, slots=True)
class ContainerShadowed(_ContainerOutcome):
    """A file has the name of one in a folder that comes first, and is not offered."""

    severity: ClassVar[Severity] = "warn"

    folder: str
    """The path of its folder."""

    first: str
    """The path of the folder whose file counts."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        name = printable(self.file_name)
        return f"{name} in {printable(self.folder)} is not offered: there is one in {printable(self.first)}"


@dataclass(frozen=True, slots=True)
class FolderUnreadable(Outcome):
    """A folder of containers cannot be read; what was known of it stays on offer."""

    service: ClassVar[str] = "library"
    severity: ClassVar[Severity] = "error"

    folder: str
    """The folder's path."""

    reason: str
    """What the system says."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"the folder {printable(self.folder)} cannot be read: {printable(self.reason)}"
