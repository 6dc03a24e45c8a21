"""Options inside options: user classes, what makers of devices put into 43, 124 and 125, and values without a type."""

from __future__ import annotations

import re
from collections.abc import Callable

from pixelboot.dhcp.message import options
from pixelboot.dhcp.message.values import ADDRESSES, Kind, several, show_hex, unfit
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}[:\s-]?)*[0-9A-Fa-f]{2}")


def from_hex(value: object) -> bytes | None:
    """The octets of ``hex:0a0b`` or ``hex:0a:0b``; None of any other value.  `Malformed` without pairs of digits."""
    if not isinstance(value, str) or not value.startswith("hex:"):
        return None
    digits = value.removeprefix("hex:").strip()
    if not _HEX.fullmatch(digits):
        raise unfit(value, "behind hex: stand pairs of hexadecimal digits")
    return bytes.fromhex(re.sub(r"[:\s-]", "", digits))


def encode_octets(value: object) -> bytes:
    """A value whose type nobody knows: octets as hex, a text (as UTF-8), or addresses in a list."""
    octets = from_hex(value)
    if octets is not None:
        return octets
    if isinstance(value, list):
        return ADDRESSES.encode(value)
    if not isinstance(value, str) or not value or not value.isprintable():
        raise unfit(value)
    return value.encode()


def show_octets(value: bytes) -> str:
    """A text in quotes if it can be one, hex otherwise."""
    text = value.rstrip(b"\0")
    if text and all(0x20 <= octet < 0x7F for octet in text):
        return f'"{printable(text.decode("ascii"), 1000)}"'
    return show_hex(value)


def user_classes(value: bytes) -> tuple[bytes, ...]:
    """The classes in option 77 as RFC 3004 §4 has it, a list of texts; an ill-formed tail is left out."""
    classes = []
    at = 0
    while at < len(value) and (end := at + 1 + value[at]) <= len(value):
        classes.append(value[at + 1 : end])
        at = end
    return tuple(classes)


def decode_classes(value: bytes) -> dict[int, tuple[bytes, ...]]:
    """The vendor classes of option 124 by enterprise number (RFC 3925 §3); `Malformed` if a length leads out of it."""
    classes: dict[int, tuple[bytes, ...]] = {}
    for enterprise, data in _blocks(value):
        found = []
        at = 0
        while at < len(data):
            end = at + 1 + data[at]
            if end > len(data):
                raise Malformed(f"a vendor class of enterprise {enterprise} runs past its block")
            found.append(data[at + 1 : end])
            at = end
        classes[enterprise] = classes.get(enterprise, ()) + tuple(found)
    return classes


def decode_options(value: bytes) -> dict[int, dict[int, bytes]]:
    """The options in option 125 by enterprise number (RFC 3925 §4); `Malformed` if a length leads out of it."""
    joined: dict[int, bytes] = {}
    for enterprise, data in _blocks(value):
        joined[enterprise] = joined.get(enterprise, b"") + data
    return {enterprise: options.decode(data) for enterprise, data in joined.items()}


def _blocks(value: bytes) -> list[tuple[int, bytes]]:
    """Enterprise numbers and what follows each."""
    blocks = []
    at = 0
    while at < len(value):
        start = at + 5
        end = start + value[at + 4] if start <= len(value) else start
        if end > len(value):
            raise Malformed("a block of an enterprise runs past the end")
        blocks.append((int.from_bytes(value[at : at + 4]), value[start:end]))
        at = end
    return blocks


def _keyed(value: object, least: int, most: int) -> list[tuple[int, object]]:
    """The entries of a table whose keys are numbers in words, in the order of these."""
    if not isinstance(value, dict) or not value:
        raise unfit(value)
    entries: dict[int, object] = {}
    for key, inner in value.items():
        number = int(key) if isinstance(key, str) and re.fullmatch(r"[0-9]{1,10}", key) else -1
        if not least <= number <= most:
            raise unfit(key, f"a key is a number from {least} to {most}")
        if number in entries:
            raise unfit(key, "it stands there twice")
        entries[number] = inner
    return sorted(entries.items())


def _encode_sub_options(value: object) -> bytes:
    found = {code: encode_octets(inner) for code, inner in _keyed(value, 1, 254)}
    for code, octets in found.items():
        if len(octets) > 255:
            raise unfit(value, f"sub-option {code} takes {len(octets)} octets, 255 fit")
    return options.encode(found)


def _show_sub_options(value: bytes) -> str:
    found = options.decode(value)
    if not found:
        raise Malformed("no sub-option")
    return ", ".join(f"{code}: {show_octets(inner)}" for code, inner in found.items())


def _encode_class_list(value: object) -> bytes:
    classes = [encode_octets(name) for name in several(value)]
    for octets in classes:
        if len(octets) > 254:
            raise unfit(value, f"a class takes {len(octets)} octets, 254 fit")
    return b"".join(bytes((len(octets),)) + octets for octets in classes)


def _by_enterprise(encode: Callable[[object], bytes]) -> Callable[[object], bytes]:
    """The encoder of blocks, each an enterprise number, a length and what `encode` makes of the enterprise's value."""

    def encode_blocks(value: object) -> bytes:
        field = bytearray()
        for enterprise, inner in _keyed(value, 0, 0xFFFFFFFF):
            data = encode(inner)
            if len(data) > 255:  # an enterprise SHOULD occur once, so that there is no second block for the rest
                raise unfit(value, f"enterprise {enterprise} takes {len(data)} octets, 255 fit")
            field += enterprise.to_bytes(4) + bytes((len(data),)) + data
        return bytes(field)

    return encode_blocks


def _show_classes(value: bytes) -> str:
    return "; ".join(
        f"{enterprise}: {', '.join(map(show_octets, names))}" for enterprise, names in decode_classes(value).items()
    )


def _show_vendor_options(value: bytes) -> str:
    return "; ".join(
        f"{enterprise}: ({', '.join(f'{code}: {show_octets(inner)}' for code, inner in found.items())})"
        for enterprise, found in decode_options(value).items()
    )


UNTYPED = Kind('a text, octets as "hex:0a0b" or a list of IPv4 addresses', encode_octets, show_octets)
SUB_OPTIONS = Kind(
    'a table of sub-options like { "1" = "text", "2" = "hex:0a0b", "3" = ["10.0.0.1"] }',
    _encode_sub_options,
    _show_sub_options,
)
CLASSES = Kind(
    'a table of enterprise numbers and their classes like { "4491" = ["first", "hex:0a0b"] }',
    _by_enterprise(_encode_class_list),
    _show_classes,
)
VENDOR_OPTIONS = Kind(
    'a table of enterprise numbers and their options like { "4491" = { "2" = "hex:0a0b" } }',
    _by_enterprise(_encode_sub_options),
    _show_vendor_options,
)
