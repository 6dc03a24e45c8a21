"""The values that options have: how each kind is written in the settings, stands in a message, and is shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address

from pixelboot.dhcp.message import domains
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
_NOWHERE = IPv4Address(0)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value."""

    allowed: str
    """What a setting of this kind must be, in words that follow "must be"."""

    encode: Callable[[object], bytes]
    """From a TOML value to octets, at least one; `Malformed` says what it met instead, beginning with "not"."""

    show: Callable[[bytes], str]
    """From octets to words for a person; `Malformed` if they are of another kind."""


def unfit(value: object, reason: str = "") -> Malformed:
    """The error of `Kind.encode`, naming the value and what is wrong with it beyond not being what is allowed."""
    words = printable(repr(value), 80)
    return Malformed(f"not {words}: {reason}" if reason else f"not {words}")


def several(value: object) -> list[object]:
    """The items of a list that has some, or the one value alone."""
    if value == []:
        raise unfit(value)
    return value if isinstance(value, list) else [value]


def chunks(octets: bytes, size: int) -> list[bytes]:
    """The octets in pieces of `size`; `Malformed` if there are none, or some are left over."""
    if not octets or len(octets) % size:
        raise Malformed(f"{len(octets)} octets are no multiple of {size}")
    return [octets[at : at + size] for at in range(0, len(octets), size)]


def whole(octets: int, least: int = 0, most: int | None = None, unit: str = "") -> Kind:
    """A number in so many octets, signed if `least` is negative; `unit` is written behind it."""
    signed = least < 0
    highest = (1 << 8 * octets - signed) - 1 if most is None else most

    def encode(value: object) -> bytes:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= highest:
            raise unfit(value)
        return value.to_bytes(octets, signed=signed)

    def show(value: bytes) -> str:
        if len(value) != octets:
            raise Malformed(f"{len(value)} octets, not {octets}")
        return f"{int.from_bytes(value, signed=signed)}{unit and ' ' + unit}"

    return Kind(f"a whole number from {least} to {highest}{unit and f' ({unit})'}", encode, show)


def among(*numbers: int) -> Kind:
    """One of these numbers, in one octet."""
    words = " or ".join((", ".join(map(str, numbers[:-1])), str(numbers[-1])))

    def encode(value: object) -> bytes:
        if not isinstance(value, int) or isinstance(value, bool) or value not in numbers:
            raise unfit(value)
        return bytes((value,))

    return Kind(words, encode, whole(1).show)


def list_of(kind: Kind, octets: int, plural: str) -> Kind:
    """One value of a kind that has so many octets, or a list of them; `plural` names them in words."""

    def encode(value: object) -> bytes:
        return b"".join(kind.encode(item) for item in several(value))

    def show(value: bytes) -> str:
        return ", ".join(kind.show(piece) for piece in chunks(value, octets))

    return Kind(f"{kind.allowed} or a list of {plural}", encode, show)


def read_address(value: object) -> IPv4Address:
    """An address as a setting; `unfit` for anything else."""
    if isinstance(value, str | IPv4Address):
        with suppress(ValueError):
            return IPv4Address(value)
    raise unfit(value)


def _encode_address(value: object) -> bytes:
    address = read_address(value)
    if address == _NOWHERE:
        raise unfit(value, "it stands for no machine")
    return address.packed


def _show_address(value: bytes) -> str:
    if len(value) != 4:
        raise Malformed(f"{len(value)} octets are no address")
    return str(IPv4Address(value))


def netmask_width(octets: bytes) -> int | None:
    """How many ones a netmask of four octets begins with; None if it has others."""
    bits = int.from_bytes(octets)
    width = bits.bit_count()
    return width if bits == (0xFFFFFFFF << 32 - width) & 0xFFFFFFFF else None


def _encode_netmask(value: object) -> bytes:
    octets = read_address(value).packed
    if netmask_width(octets) is None:
        raise unfit(value, "a netmask is ones followed by zeros")
    return octets


def _encode_text(value: object) -> bytes:
    if not isinstance(value, str) or not value:
        raise unfit(value)
    if not (value.isascii() and value.isprintable()):
        raise unfit(value, "other characters can only be given as hex:…")
    return value.encode("ascii")


def _show_text(value: bytes) -> str:
    text = value.rstrip(b"\0")  # written by some, wanted by nobody (RFC 2132 §2)
    if not text.isascii():
        raise Malformed("no ASCII")
    return printable(text.decode("ascii"), 1000)


def _encode_flag(value: object) -> bytes:
    if not isinstance(value, bool):
        raise unfit(value)
    return bytes((value,))


def _show_flag(value: bytes) -> str:
    if value not in (b"\0", b"\1"):
        raise Malformed("neither 0 nor 1")
    return "true" if value == b"\1" else "false"


def _encode_uri(value: object) -> bytes:
    octets = _encode_text(value)
    if not _URI.fullmatch(octets.decode("ascii")):
        raise unfit(value)
    return octets


def _read_name(value: object) -> str:
    if not isinstance(value, str):
        raise unfit(value)
    try:
        return domains.check(value)
    except Malformed as error:
        raise unfit(value, str(error)) from None


def _encode_names(value: object, compressed: bool) -> bytes:
    return domains.encode((_read_name(name) for name in several(value)), compressed)


def _show_names(value: bytes) -> str:
    return ", ".join(domains.decode(value))


def _encode_sip(value: object) -> bytes:
    """Addresses behind a 1, or names behind a 0 (RFC 3361 §3); never both."""
    try:
        return b"\1" + ADDRESSES.encode(value)
    except Malformed:
        return b"\0" + _encode_names(value, compressed=False)


def _show_sip(value: bytes) -> str:
    if value[:1] not in (b"\0", b"\1"):
        raise Malformed("neither names nor addresses")
    return ADDRESSES.show(value[1:]) if value[0] else _show_names(value[1:])


def _encode_uris(value: object) -> bytes:
    uris = [_encode_uri(uri) for uri in several(value)]
    return b"".join(len(uri).to_bytes(2) + uri for uri in uris)


def _show_uris(value: bytes) -> str:
    uris = []
    at = 0
    while at < len(value):
        end = at + 2 + int.from_bytes(value[at : at + 2])
        if end > len(value):
            raise Malformed("a URI runs past the end")
        uris.append(_show_text(value[at + 2 : end]))
        at = end
    return ", ".join(uris)


def _no_setting(value: object) -> bytes:
    raise unfit(value)


def show_hex(value: bytes) -> str:
    """Octets of any kind."""
    return value.hex(":")


BINARY = Kind("octets as hex:0a0b", _no_setting, show_hex)
ADDRESS = Kind("an IPv4 address like 10.0.0.1", _encode_address, _show_address)
ADDRESSES = list_of(ADDRESS, 4, "them")
NETMASK = Kind("a netmask like 255.255.255.0", _encode_netmask, _show_address)
TEXT = Kind("a text of printable ASCII characters", _encode_text, _show_text)
FLAG = Kind("true or false", _encode_flag, _show_flag)
MAGIC = Kind("true", lambda value: b"\xf1\x00\x74\x7e" if value is True else _no_setting(value), show_hex)
URI = Kind("a URI like https://example.org/portal", _encode_uri, _show_text)
URIS = Kind("a URI like https://example.org/ or a list of them", _encode_uris, _show_uris)
NAME = Kind("a domain name like example.org", lambda value: _read_name(value).encode("ascii"), _show_text)
ENCODED_NAME = Kind(NAME.allowed, lambda value: _encode_names([value], compressed=False), _show_names)
NAMES = Kind(f"{NAME.allowed} or a list of them", lambda value: _encode_names(value, compressed=True), _show_names)
PLAIN_NAMES = Kind(NAMES.allowed, lambda value: _encode_names(value, compressed=False), _show_names)
SIP = Kind("IPv4 addresses or domain names, one or a list of one of both", _encode_sip, _show_sip)
