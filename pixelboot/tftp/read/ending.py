"""What comes of sending a file."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Result(StrEnum):
    """What came of a transfer."""

    DELIVERED = "delivered"
    UNCONFIRMED = "unconfirmed"
    PROBED = "probed"
    TIMED_OUT = "timed out"
    ABORTED = "aborted"
    BROKEN = "broken"


class Ending(NamedTuple):
    """The end of a transfer."""

    result: Result
    """Delivered: the client has the whole file.  Unconfirmed: all was sent, but the last ACK never came.  Probed: the
    client took the OACK and wanted no more.  Timed out: the client is silent.  Aborted: the client sent an ERROR.
    Broken: the file could not be read."""

    octets: int
    """What the client has acknowledged, in octets as sent (netascii has more than the file); of an unconfirmed transfer
    all of them."""

    seconds: float
    """From the request to the end."""

    retransmissions: int
    """How many packets were sent again."""

    code: int = 0
    """The error code that the client sent; 0 also where it sent none."""

    reason: str = ""
    """The client's words, untrusted, or why the file could not be read; empty where neither is the case."""
