"""TFTP packets (RFC 1350 §5, RFC 2347) as octets and as values.

opcode  packet             octets after the opcode
1, 2    RRQ, WRQ           name NUL mode NUL, then option NUL value NUL as often as there are options
3       DATA               block number (2 octets), 0 to blksize octets
4       ACK                block number (2 octets)
5       ERROR              error code (2 octets), message NUL
6       OACK               option NUL value NUL as often as there are options
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from pixelboot.malformed import Malformed

Options = tuple[tuple[str, str], ...]
"""Options and their values, in their order; the names in lower case."""

LONGEST_REQUEST = 2048
"""Octets of a request.  RFC 2347 says 512; clients with long names and many options send more."""

_LONGEST_MESSAGE = 512
_NUMBERED = struct.Struct("!HH")


class Opcode(IntEnum):
    """What a packet is."""

    RRQ = 1
    WRQ = 2
    DATA = 3
    ACK = 4
    ERROR = 5
    OACK = 6


class ErrorCode(IntEnum):
    """Why a transfer cannot go on (RFC 1350 appendix, RFC 2347)."""

    UNDEFINED = 0
    FILE_NOT_FOUND = 1
    ACCESS_VIOLATION = 2
    DISK_FULL = 3
    ILLEGAL_OPERATION = 4
    UNKNOWN_TID = 5
    FILE_EXISTS = 6
    NO_SUCH_USER = 7
    OPTION_REFUSED = 8


# Plain values for the packets that come and go most: to look up a member of an enumeration takes its time.
_DATA = int(Opcode.DATA)
ACK = Opcode.ACK.to_bytes(2)
"""What an ACK begins with."""


@dataclass(frozen=True, slots=True)
class _Request:
    name: str
    """The file's name as sent.  Octets that are no UTF-8 stand in it as lone surrogates (``surrogateescape``, PEP 383),
    so that the operating system gets back the same octets; a log shows it through `pixelboot.outcome.printable`."""

    mode: str
    """The mode in lower case: ``octet``, ``netascii``, or what else was sent."""

    options: Options = ()
    """The options asked for, names in lower case, in the order asked; of one asked twice only the first."""


@dataclass(frozen=True, slots=True)
class ReadRequest(_Request):
    """RRQ: the client wants a file."""


@dataclass(frozen=True, slots=True)
class WriteRequest(_Request):
    """WRQ: the client wants to leave a file here."""


@dataclass(frozen=True, slots=True)
class Data:
    """DATA: one block of a file."""

    block: int
    """The block's number on the wire, 0 to 65535."""

    octets: bytes
    """What is in it."""


@dataclass(frozen=True, slots=True)
class Ack:
    """ACK: a block has arrived, and all before it."""

    block: int
    """The block's number on the wire, 0 to 65535; 0 also acknowledges an OACK."""


@dataclass(frozen=True, slots=True)
class Error:
    """ERROR: the other side gives up; never answered."""

    code: int
    """An `ErrorCode`, or any other number up to 65535."""

    message: str
    """For a person; untrusted."""


@dataclass(frozen=True, slots=True)
class OptionAck:
    """OACK: which of the options asked for are granted, and with which value."""

    options: Options
    """Granted options."""


Packet = ReadRequest | WriteRequest | Data | Ack | Error | OptionAck


def decode(octets: bytes) -> Packet:
    """The packet that these octets are; raises `Malformed`.

    Forgiving where firmware is known to be careless and nothing can be mistaken: NULs behind a request, an option
    without a value at its end, octets behind an ACK, an ERROR without message or NUL.
    """
    if len(octets) < 4:
        raise Malformed(f"a packet of {len(octets)} octets, 4 is the least")
    kind, number = _NUMBERED.unpack_from(octets)
    match kind:
        case Opcode.RRQ:
            return ReadRequest(*_request(octets))
        case Opcode.WRQ:
            return WriteRequest(*_request(octets))
        case Opcode.DATA:
            return Data(number, octets[4:])
        case Opcode.ACK:
            return Ack(number)
        case Opcode.ERROR:
            return Error(number, _text(octets[4 : 4 + _LONGEST_MESSAGE].split(b"\0", 1)[0]))
        case Opcode.OACK:
            return OptionAck(_granted(octets))
    raise Malformed(f"opcode {kind}, 1 to 6 are known")


def opcode(octets: bytes) -> int:
    """The `Opcode`, or another number, that a datagram begins with; 0 of one that is too short for any."""
    return int.from_bytes(octets[:2]) if len(octets) >= 2 else 0


def ack_block(octets: bytes) -> int | None:
    """The block number of an ACK, None of anything else: `decode` for the packet that comes most."""
    if octets[:2] == ACK and len(octets) >= 4:
        return octets[2] << 8 | octets[3]
    return None


def read_request(name: str, mode: str = "octet", options: Iterable[tuple[str, str]] = ()) -> bytes:
    """An RRQ."""
    return b"\0\1" + _strings((name, mode)) + b"".join(map(_strings, options))


def data(block: int, octets: bytes) -> bytes:
    """A DATA packet; `block` is its number on the wire."""
    return _NUMBERED.pack(_DATA, block) + octets


def ack(block: int) -> bytes:
    """An ACK; `block` is its number on the wire."""
    return _NUMBERED.pack(Opcode.ACK, block)


def error(code: int, message: str) -> bytes:
    """An ERROR; what follows a NUL in the message is left out."""
    return _NUMBERED.pack(Opcode.ERROR, code) + _octets(message).split(b"\0", 1)[0][:_LONGEST_MESSAGE] + b"\0"


def option_ack(options: Iterable[tuple[str, str]]) -> bytes:
    """An OACK: exactly name NUL value NUL for each option, because there are clients that stumble over more."""
    return b"\0\6" + b"".join(map(_strings, options))


def _request(octets: bytes) -> tuple[str, str, Options]:
    """Name, mode and options of a request."""
    if len(octets) > LONGEST_REQUEST:
        raise Malformed(f"a request of {len(octets)} octets, {LONGEST_REQUEST} is the most")
    if octets[-1]:
        raise Malformed("a request that does not end with NUL")
    name, *rest = octets[2:].rstrip(b"\0").split(b"\0")
    if not name:
        raise Malformed("a request without a name")
    if not rest or not rest[0]:
        raise Malformed("a request without a mode")
    options: dict[str, str] = {}
    for option, value in zip(rest[1::2], rest[2::2], strict=False):
        options.setdefault(_folded(option), _text(value))
    return _text(name), _folded(rest[0]), tuple(options.items())


def _granted(octets: bytes) -> Options:
    """The options of an OACK."""
    *strings, end = octets[2:].split(b"\0")
    if end or len(strings) % 2 or not all(strings[::2]):
        raise Malformed("an OACK that is not pairs of name NUL value NUL")
    return tuple((_folded(option), _text(value)) for option, value in zip(strings[::2], strings[1::2], strict=True))


def _folded(octets: bytes) -> str:
    """A name that is the same in upper and lower case, folded as octets: to Unicode, a Kelvin sign is a k as well."""
    return _text(octets.lower())


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _strings(texts: Iterable[str]) -> bytes:
    return b"".join(_octets(text) + b"\0" for text in texts)
