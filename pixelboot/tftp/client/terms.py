"""What a client asks for, and whether what it is granted is what it may be granted (RFC 2347, 2348, 2349, 7440)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pixelboot.tftp import wire
from pixelboot.tftp.negotiate import BLKSIZE, Terms
from pixelboot.tftp.wire import ErrorCode, Opcode, Options

LONGEST = 512
"""Octets of a request: the most that RFC 2347 lets a server expect."""

_NUMBER = re.compile("0|[1-9][0-9]{0,18}")
_RANGES = {"blksize": (8, 65464), "windowsize": (1, 65535), "timeout": (1, 255)}


class Violation(Exception):
    """The other side does what the protocol does not allow; the text says what."""

    def __init__(self, message: str, code: ErrorCode = ErrorCode.ILLEGAL_OPERATION) -> None:
        """`code` is what the other side is told with ERROR."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked for; raises ValueError where RFC 2348, 2349 or 7440 does not allow it."""

    blksize: int | None = None
    """Octets of a block, 8 to 65464; None does not ask, and a block has 512."""

    windowsize: int | None = None
    """Blocks of a window, 1 to 65535; None does not ask, and every block is acknowledged."""

    timeout: int | None = None
    """The interval of retransmission in seconds, 1 to 255, of both sides; None leaves it to each of them."""

    tsize: bool = True
    """Whether the file's size is asked for, or in an upload told, if it is known."""

    netascii: bool = False
    """Whether the file is a text whose line ends are translated on the way."""

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise ValueError(f"{name} is {value}: {least} to {most} are allowed")

    def options(self, size: int | None) -> Options:
        """The options of the request; `size` is the value of tsize, None leaves it out."""
        asked = {name: getattr(self, name) for name in _RANGES} | {"tsize": size if self.tsize else None}
        return tuple((name, str(value)) for name, value in asked.items() if value is not None)


def request(opcode: Opcode, name: str, wishes: Wishes, options: Options) -> bytes:
    """An RRQ or a WRQ; raises ValueError if the name cannot stand in one."""
    if not name or "\0" in name:
        raise ValueError(f"{name!r} cannot be asked for: a name is not empty and holds no NUL")
    # Both requests are the same but for what they begin with.
    octets = opcode.to_bytes(2) + wire.read_request(name, "netascii" if wishes.netascii else "octet", options)[2:]
    if len(octets) > LONGEST:
        raise ValueError(f"the request has {len(octets)} octets, {LONGEST} are allowed: the name is too long")
    return octets


def granted(asked: Options, answer: Options, *, netascii: bool = False) -> Terms:
    """The terms that an OACK makes; raises `Violation` unless each of its options was asked, and is within it."""
    wanted, numbers = dict(asked), dict[str, int]()
    for name, value in answer:
        if name not in wanted:
            raise _unacceptable(f"the OACK has {name!r}, which was not asked for")
        if name in numbers:
            raise _unacceptable(f"the OACK has {name} twice")
        if not _NUMBER.fullmatch(value):
            raise _unacceptable(f"the OACK has {name} {value!r}, which is no number")
        number = numbers[name] = int(value)
        most = int(wanted[name])
        if name in ("blksize", "windowsize"):
            least = _RANGES[name][0]
            if not least <= number <= most:
                raise _unacceptable(f"the OACK has {name} {number}: {least} to {most} were asked for")
        elif name == "timeout" and number != most:
            raise _unacceptable(f"the OACK has timeout {number}: {most} was asked for, and none else may be granted")
    return Terms(
        blksize=numbers.get("blksize", BLKSIZE),
        windowsize=numbers.get("windowsize", 1),
        timeout=numbers.get("timeout"),
        netascii=netascii,
        agreed=answer,
    )


def _unacceptable(message: str) -> Violation:
    return Violation(message, ErrorCode.OPTION_REFUSED)
