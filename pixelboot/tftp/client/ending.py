"""How a download or an upload ends, and what can be told of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pixelboot.tftp.negotiate import Terms

Peer = tuple[str, int]
"""An address, as text, and a UDP port."""


class Result(StrEnum):
    """What came of it."""

    COMPLETE = "complete"
    REFUSED = "refused"
    CLOSED = "closed"
    TIMED_OUT = "timed out"
    BROKEN = "broken"
    TOO_LARGE = "too large"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a download or an upload."""

    result: Result
    """Complete: all octets are where they should be.  Refused: the server sent an ERROR, first or later.  Closed:
    nobody listens at the port that was asked.  Timed out: it is silent.  Broken: it did what the protocol does not
    allow.  Too large: the file has more octets than were to be taken.  Aborted: this side broke off."""

    seconds: float
    """From the first request to the end."""

    octets: int
    """What was received in order, or was acknowledged, in octets as sent (netascii has more than the file)."""

    first: float | None
    """Seconds from the first request to the first block, or to its ACK; None when there was none."""

    terms: Terms
    """How the file was sent; its `agreed` are the options that were granted."""

    size: int | None
    """The size of the file as the server told it (tsize), in octets; None when it did not."""

    peer: Peer | None
    """The address and port that answered; None when nobody did."""

    retransmissions: int
    """Packets that were sent again from here."""

    duplicates: int
    """Packets that came though they had come before: the network doubled them, or the server sent them again."""

    discarded: int
    """Blocks of a window that came behind a gap, and had to be sent again by the server."""

    strangers: int
    """Packets that came from others, or belong to another transfer."""

    without_options: bool
    """Whether the server refused the options (ERROR 8), and was asked again without."""

    code: int = 0
    """The error code that a server refused with."""

    reason: str = ""
    """The words it refused with, untrusted; what it did wrong; or why this side broke off.  Empty of a complete one."""
