"""What became of the containers: one outcome for every change that a person would want to know of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pixelboot.outcome import Outcome, Severity, printable, quantity


@dataclass(frozen=True, slots=True)
class _ContainerOutcome(Outcome):
    service: ClassVar[str] = "library"
    # Somebody may copy thousands of pictures at once.
    rest: ClassVar[float] = 1.0
    burst: ClassVar[int] = 100

    file_name: str
    """The picture's name in the folder."""


@dataclass(frozen=True, slots=True)
class LibraryOpened(Outcome):
    """The folders were looked into for the first time; what changes later is told one by one."""

    service: ClassVar[str] = "library"

    states: tuple[tuple[str, int], ...]
    """How many containers are in each state."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        count = sum(number for _, number in self.states)
        # "decoding" says of a list that something is going on; of a number, what is to be done.
        states = ((number, "to be verified" if state == "decoding" else state) for state, number in self.states)
        told = ", ".join(f"{number} {state}" for number, state in states)
        return f"{count} {'container' if count == 1 else 'containers'}{told and f': {told}'}"


@dataclass(frozen=True, slots=True)
class ContainerFound(_ContainerOutcome):
    """There is a new picture; it is examined now."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{printable(self.file_name)} is new"


@dataclass(frozen=True, slots=True)
class ContainerReplaced(_ContainerOutcome):
    """A file holds other octets than before."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{printable(self.file_name)} was replaced"


@dataclass(frozen=True, slots=True)
class ContainerBusy(_ContainerOutcome):
    """A file has been written to for a long time, or is held open for writing; it is not offered until that is over."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{printable(self.file_name)} is still being written, and not offered until that is over"


@dataclass(frozen=True, slots=True)
class ContainerReady(_ContainerOutcome):
    """A container can be booted: all of it was verified."""

    id: str
    """Its name in URLs."""

    parts: tuple[tuple[str, int], ...]
    """Name and size in octets of each part."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        parts = ", ".join(f"{name} of {size} octets" for name, size in self.parts)
        return f"{printable(self.file_name)} is ready as {self.id}: {parts}"


@dataclass(frozen=True, slots=True)
class ContainerRecalled(_ContainerOutcome):
    """What an earlier run found out about a picture still holds."""

    severity: ClassVar[Severity] = "debug"

    state: str
    """As `pixelboot.library.catalog.Container.state`."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{printable(self.file_name)} is {self.state}, as before"


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
class ContainerUnbootable(_ContainerOutcome):
    """A sound picture holds nothing that a machine could boot; it is listed."""

    reason: str
    """Why; untrusted text may be in it."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{printable(self.file_name)} is not bootable: {printable(self.reason, 400)}"


@dataclass(frozen=True, slots=True)
class ContainerUntrusted(_ContainerOutcome):
    """A sound container is not offered to machines, because of who signed it, or did not."""

    severity: ClassVar[Severity] = "warn"

    reason: str
    """Why."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{printable(self.file_name)} is not offered: {printable(self.reason, 400)}"


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
class PartsEvicted(Outcome):
    """Decoded parts made room for others, or were too many; they are decoded anew when a machine asks for them."""

    service: ClassVar[str] = "library"
    severity: ClassVar[Severity] = "debug"

    pictures: int
    """Of how many pictures."""

    size: int
    """How many octets they were."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        pictures = "one picture" if self.pictures == 1 else f"{self.pictures} pictures"
        return f"the decoded parts of {pictures}, {quantity(self.size)}, were removed to make room"


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
class CacheUnusable(Outcome):
    """The folder of decoded parts cannot be used: nothing new is offered until it can."""

    service: ClassVar[str] = "library"
    severity: ClassVar[Severity] = "error"

    path: str
    """What could not be read or written."""

    reason: str
    """What the system says."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        where = printable(self.path)
        return f"no container can be taken in, as the cache cannot be used: {where}: {printable(self.reason)}"


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
