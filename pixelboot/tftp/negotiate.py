"""Which options of a read request are granted, and with which value (RFC 2347, 2348, 2349, 7440).

    =============  ==================  =========================================================
    option         asked               granted
    =============  ==================  =========================================================
    blksize        8 to 65464          the same or less
    windowsize     1 to 65535          the same or less
    timeout        1 to 255 (seconds)  the same
    tsize          any number          the file's size, unless it is sent as netascii
    =============  ==================  =========================================================

What cannot be granted is left out of the answer, and so is every option that is not known here (multicast,
utimeout, rollover): the client then goes on as if it had not asked.  An option that was not asked for is never
granted, for there is firmware that gives up on that.  With nothing to grant there is no OACK at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from pixelboot.tftp.wire import ErrorCode, Options, ReadRequest, option_ack

BLKSIZE = 512
"""Octets of a block where nothing else is agreed (RFC 1350 §2)."""

MOST_IN_FLIGHT = 4 * 1024 * 1024
"""Octets of one window: what is sent in one moment, and read for that."""

WIDEST_WINDOW = 32767
"""Blocks of one window: with half of the block numbers or less in flight, a late ACK cannot be taken for a new one."""

_NUMBER = re.compile("0|[1-9][0-9]{0,18}")
"""A number as RFC 2347 has it, in ASCII digits; what has a sign, blanks or zeros in front is not one of them."""


class Refusal(Exception):
    """A request that is answered with ERROR and nothing else."""

    looked_for: tuple[str, ...] = ()
    """What the name was found to mean, if it came to that."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        """The error code and the text that the client is sent."""
        self.code, self.message = code, message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the site grants at the most."""

    blksize: int
    """Octets of a block, 8 to 65464."""

    windowsize: int
    """Blocks of a window, 1 to 65535."""

    refused: frozenset[str] = frozenset()
    """Names of options that are never granted."""

    in_flight: int = MOST_IN_FLIGHT
    """Octets of a window of several blocks."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How one file is sent."""

    blksize: int = BLKSIZE
    """Octets of every block but the last, which has fewer."""

    windowsize: int = 1
    """How many blocks are sent before an ACK is waited for."""

    timeout: float | None = None
    """The interval of retransmission in seconds that the client asked for; None when that is left to us."""

    netascii: bool = False
    """Whether line ends are translated."""

    agreed: Options = ()
    """The options of the OACK, in the order asked; empty when there is none to send."""

    oack: bytes = field(init=False, repr=False, compare=False, default=b"")
    """The OACK."""

    def __post_init__(self) -> None:
        if self.agreed:
            object.__setattr__(self, "oack", option_ack(self.agreed))

    @property
    def in_flight(self) -> int:
        """Octets of a whole window."""
        return self.blksize * self.windowsize


def negotiate(request: ReadRequest, size: int, limits: Limits) -> Terms:
    """The terms on which a file of `size` octets is sent; raises `Refusal`."""
    return _negotiated(request.mode, request.options, size, limits)


@lru_cache(maxsize=1024)
def _negotiated(mode: str, options: Options, size: int, limits: Limits) -> Terms:
    """Machines of one kind ask for the same."""
    if mode not in ("octet", "netascii"):
        raise Refusal(ErrorCode.ILLEGAL_OPERATION, "only the modes octet and netascii are known here")
    netascii = mode == "netascii"
    asked = {name: int(value) for name, value in options if name not in limits.refused and _NUMBER.fullmatch(value)}
    blksize = min(asked["blksize"], limits.blksize) if 8 <= asked.get("blksize", 0) <= 65464 else None
    room = min(limits.windowsize, WIDEST_WINDOW, max(1, limits.in_flight // (blksize or BLKSIZE)))
    windowsize = min(asked["windowsize"], room) if 1 <= asked.get("windowsize", 0) <= 65535 else None
    granted = {
        "blksize": blksize,
        "windowsize": windowsize,
        "timeout": asked.get("timeout") if 1 <= asked.get("timeout", 0) <= 255 else None,
        "tsize": None if netascii else size,
    }
    return Terms(
        blksize=blksize or BLKSIZE,
        windowsize=windowsize or 1,
        timeout=granted["timeout"],
        netascii=netascii,
        agreed=tuple((name, str(granted[name])) for name in asked if granted.get(name) is not None),
    )
