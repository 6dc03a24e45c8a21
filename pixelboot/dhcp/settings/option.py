"""The DHCP options that an operator writes down: a table of names and typed values, or of numbers and octets."""

from __future__ import annotations

from collections.abc import Mapping

from pixelboot.config import Entry, Invalid, Kind, mapping
from pixelboot.dhcp.message import names
from pixelboot.dhcp.message.options import Option
from pixelboot.malformed import Malformed

Options = tuple[Entry[tuple[int, bytes]], ...]
"""Options as they were written, each with the code and octets it comes to."""


def _parse(name: str, value: object) -> tuple[int, bytes]:
    code, found = names.parse(name, value)
    if code == Option.SUBNET_MASK:
        raise Malformed("option 1, the mask, is that of the subnet's network")
    return code, found


def options() -> Kind[Options]:
    """A table of options; `pixelboot.dhcp.message.names` knows their names and values."""
    kind = mapping("a table of DHCP options, name = value", _parse)

    def parse(value: object) -> Options:
        entries = kind.parse(value)
        known: dict[int, str] = {}
        for entry in entries:
            code = entry.value[0]
            if code in known:
                raise Invalid(entry.key, entry.said, f"{known[code]} is the same option, {code}; give one of them")
            known[code] = entry.key
        return entries

    return Kind(kind.allowed, parse, kind.from_text, kind.show)


def octets(options: Options) -> Mapping[int, bytes]:
    """The octets of the options by their codes."""
    return {code: value for _, _, (code, value) in options}
