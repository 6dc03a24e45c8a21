"""What came of a TFTP request: the outcomes, and how the end of a transfer becomes one."""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from pixelboot.hwaddr import HardwareAddress
from pixelboot.outcome import Outcome, Severity, pace, printable, quantity
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.read.ending import Ending, Result
from pixelboot.tftp.write.transfer import Ending as WriteEnding
from pixelboot.tftp.write.transfer import Result as WriteResult

_MANY = 200
"""Lines of a kind in ten seconds: more than a room full of machines brings about, and less than would fill a disk."""

_PLAIN = 512
"""Octets of a block that nobody asked to be larger (RFC 1350)."""


@dataclass(frozen=True, slots=True)
class _TftpOutcome(Outcome):
    service: ClassVar[str] = "tftp"

    machine: HardwareAddress | None
    """Whose request it was, as far as anybody knows."""

    peer: str
    """The client's address as text."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.machine} {self.peer} {self._what()}" if self.machine else f"{self.peer} {self._what()}"

    @abstractmethod
    def _what(self) -> str:
        """What came of it."""


@dataclass(frozen=True, slots=True)
class _Asked(_TftpOutcome):
    name: str
    """The file's name as the client wrote it; untrusted."""

    looked_for: tuple[str, ...] = field(default=(), kw_only=True)
    """The names that were looked for instead, if that was told: what rules, aliases and folders made of it."""

    def _what(self) -> str:
        return f"{printable(self.name)}{self._as()} {self._end()}"

    def _as(self) -> str:
        if not self.looked_for:
            return ""
        said = "/".join(part for part in re.split(r"[/\\]", self.name) if part not in ("", "."))
        if self.looked_for == (said,):
            return ""
        return f" (looked for as {', '.join(map(printable, self.looked_for))})"

    @abstractmethod
    def _end(self) -> str:
        """What came of the file that was asked for."""


@dataclass(frozen=True, slots=True)
class _Transferred(_Asked):
    octets: int
    """What the client acknowledged, in octets as sent."""

    seconds: float
    """From the request to the end."""

    blksize: int
    """Octets of a block."""

    windowsize: int
    """Blocks sent before an ACK."""

    retransmissions: int
    """How many packets were sent again."""

    because: str = field(default="", kw_only=True)
    """Why the blocks are no larger than these; empty where the client asked for no larger ones."""

    def _amount(self) -> str:
        return pace(self.octets, self.seconds)

    def _terms(self) -> str:
        window = f", windowsize {self.windowsize}" if self.windowsize > 1 else ""
        again = f", {self.retransmissions} sent again" if self.retransmissions else ""
        because = f" because {self.because}" if self.because else ""
        return f"blksize {self.blksize}{because}{window}{again}"


@dataclass(frozen=True, slots=True)
class Served(_Transferred):
    """The client has the whole file."""

    def _end(self) -> str:
        return f"{self._amount()}, {self._terms()}"


@dataclass(frozen=True, slots=True)
class Unconfirmed(_Transferred):
    """All was sent, but the client never acknowledged the last of it: it has gone on, or away.

    `octets` and `seconds` are of all that was sent, and of the time until no more was expected.
    """

    def _end(self) -> str:
        return f"{quantity(self.octets)} sent, the end not confirmed, {self._terms()}"


@dataclass(frozen=True, slots=True)
class Probed(_Asked):
    """The client wanted to know the options, most of all the size, and no more: every EDK2 does that."""

    severity: ClassVar[Severity] = "debug"

    def _end(self) -> str:
        return "asked for its size only"


@dataclass(frozen=True, slots=True)
class TimedOut(_Transferred):
    """The client fell silent."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = _MANY

    def _end(self) -> str:
        # It asked for large blocks, and not one of them came through: a tunnel or VLAN on the way takes smaller ones.
        narrow = not self.octets and self.blksize > _PLAIN
        hint = ": perhaps the network takes no blocks of this size (tftp.blksize)" if narrow else ""
        return f"given up, the machine is silent; it had {self._amount()}, {self._terms()}{hint}"


@dataclass(frozen=True, slots=True)
class Aborted(_Transferred):
    """The client broke off."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = _MANY

    code: int
    """The error code it sent."""

    reason: str
    """Its words; untrusted."""

    def _end(self) -> str:
        words = f" ({printable(self.reason)})" if self.reason else ""
        return f"broken off by the machine with error {self.code}{words}; it had {self._amount()}, {self._terms()}"


@dataclass(frozen=True, slots=True)
class Broken(_Asked):
    """The file could not be read; the client was told that there is no more."""

    severity: ClassVar[Severity] = "error"

    octets: int
    """What the client had by then, in octets as sent."""

    reason: str
    """Why."""

    def _end(self) -> str:
        return f"cannot be read after {quantity(self.octets)}: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class Uploaded(_Transferred):
    """The client has left a file here, and it is complete; `octets` are as they came."""

    def _end(self) -> str:
        return f"received and kept, {self._amount()}, {self._terms()}"


@dataclass(frozen=True, slots=True)
class UploadTimedOut(_Transferred):
    """The client fell silent before it had sent all of the file; nothing of it is kept."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = _MANY

    def _end(self) -> str:
        return f"not kept, the machine is silent; it had sent {self._amount()}, {self._terms()}"


@dataclass(frozen=True, slots=True)
class UploadAborted(Aborted):
    """The client broke off before its file was complete; nothing of it is kept."""

    def _end(self) -> str:
        words = f" ({printable(self.reason)})" if self.reason else ""
        return (
            f"not kept, broken off by the machine with error {self.code}{words}; "
            f"it had sent {self._amount()}, {self._terms()}"
        )


@dataclass(frozen=True, slots=True)
class NotStored(Broken):
    """The disk did not take what the client sent, who was told so; nothing of it is kept."""

    def _end(self) -> str:
        return f"cannot be stored, {quantity(self.octets)} had come: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class NotFound(_Asked):
    """There is no such file.  PXELINUX and GRUB ask for a dozen before they ask for one that is there."""

    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = _MANY

    def _end(self) -> str:
        return "is not there"


@dataclass(frozen=True, slots=True)
class Refused(_Asked):
    """The request was answered with an ERROR: a file that is not served, a mode that is not known, a write."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = 20

    code: int
    """The error code sent."""

    reason: str
    """Why."""

    def _end(self) -> str:
        return f"refused with error {self.code}: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class Busy(_Asked):
    """It cannot be served at this moment: the request was not answered, and will be repeated."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0

    reason: str
    """Which limit was met."""

    def _end(self) -> str:
        return f"not answered: {self.reason}"


@dataclass(frozen=True, slots=True)
class Throttled(_TftpOutcome):
    """Too many requests come from there: this one was not even read, and will be repeated."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0

    per_second: int
    """How many are answered."""

    def _what(self) -> str:
        return f"not answered: more than {self.per_second} requests a second (tftp.requests_per_client)"


@dataclass(frozen=True, slots=True)
class GaveWay(_Asked):
    """A transfer whose client was not heard yet, and which had to leave its place to another one."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0

    reason: str
    """Which limit was met."""

    def _end(self) -> str:
        return f"given up for another one, its client has not answered: {self.reason}"


@dataclass(frozen=True, slots=True)
class CutShort(_Asked):
    """A transfer that neither the client nor the file ended."""

    rest: ClassVar[float] = 10.0
    burst: ClassVar[int] = _MANY

    octets: int
    """What the client had by then, in octets as sent."""

    reason: str
    """What ended it."""

    def _end(self) -> str:
        return f"cut short after {quantity(self.octets)}: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class NotSent(CutShort):
    """The network did not take what was to be sent."""

    severity: ClassVar[Severity] = "error"
    burst: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Dropped(_TftpOutcome):
    """What came was no request that could be answered."""

    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 60.0
    burst: ClassVar[int] = 5

    reason: str
    """What was wrong."""

    def _what(self) -> str:
        return f"sent no request: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class Ignored(_TftpOutcome):
    """A datagram that is not to be answered, or asked for what is being done already."""

    severity: ClassVar[Severity] = "debug"
    rest: ClassVar[float] = 10.0

    reason: str
    """Why nothing came of it."""

    def _what(self) -> str:
        return f"ignored: {self.reason}"


class _Ended(Protocol):
    """A transfer that is over."""

    @property
    def name(self) -> str:
        """As the client wrote it."""

    @property
    def terms(self) -> Terms:
        """What was negotiated."""


def concluded(
    transfer: _Ended, ending: Ending, machine: HardwareAddress | None, peer: str, *, because: str = ""
) -> Outcome:
    """The outcome of a transfer that has ended so; `because` is why its blocks are no larger, if they are not."""
    name, terms = transfer.name, transfer.terms
    account = (ending.octets, ending.seconds, terms.blksize, terms.windowsize, ending.retransmissions)
    match ending.result:
        case Result.DELIVERED:
            return Served(machine, peer, name, *account, because=because)
        case Result.PROBED:
            return Probed(machine, peer, name)
        case Result.BROKEN:
            return Broken(machine, peer, name, ending.octets, ending.reason)
        case Result.UNCONFIRMED:
            return Unconfirmed(machine, peer, name, *account, because=because)
        case Result.TIMED_OUT:
            return TimedOut(machine, peer, name, *account, because=because)
        case Result.ABORTED:
            return Aborted(machine, peer, name, *account, ending.code, ending.reason, because=because)


def concluded_write(
    name: str, meant: str, terms: Terms, ending: WriteEnding, machine: HardwareAddress | None, peer: str
) -> Outcome:
    """The outcome of a file that was to be left here by this name, by which another is `meant`, on these terms."""
    looked_for = (meant,)
    if ending.result is WriteResult.REFUSED:
        return Refused(machine, peer, name, ending.code, ending.reason, looked_for=looked_for)
    if ending.result is WriteResult.BROKEN:
        return NotStored(machine, peer, name, ending.octets, ending.reason, looked_for=looked_for)
    account = (ending.octets, ending.seconds, terms.blksize, terms.windowsize, ending.retransmissions)
    match ending.result:
        case WriteResult.KEPT:
            return Uploaded(machine, peer, name, *account, looked_for=looked_for)
        case WriteResult.TIMED_OUT:
            return UploadTimedOut(machine, peer, name, *account, looked_for=looked_for)
        case WriteResult.ABORTED:
            return UploadAborted(machine, peer, name, *account, ending.code, ending.reason, looked_for=looked_for)
