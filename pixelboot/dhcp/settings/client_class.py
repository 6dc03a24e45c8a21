"""Classes of machines, ``[[dhcp.class]]``: by what a request says of its sender."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pixelboot.boot.architecture import Architecture
from pixelboot.config import Invalid, Kind, hardware_address, listing, optional, seconds, setting, text
from pixelboot.dhcp.settings.option import Options, options
from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed

KNOWN = "known"
UNKNOWN = "unknown"
"""What ``allow`` and ``deny`` call the machines that a ``[[host]]`` names, and all others."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


def _name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Malformed("letters, digits, dashes and underscores, at most 40")


def class_name() -> Kind[str]:
    """The name of a class."""
    return text("the name of a class", _name)


def architecture() -> Kind[Architecture | int]:
    """A kind of machine by its name in ``[boot.loaders]``, or by the number of DHCP option 93."""
    names = ", ".join(f'"{each}"' for each in Architecture)

    def parse(value: object) -> Architecture | int:
        if isinstance(value, str):
            return Architecture(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 0xFFFF:
            raise ValueError
        return value

    def from_text(words: str) -> object:
        return int(words) if words.isdecimal() else words

    return Kind(
        f"one of {names}, or a number from 0 to 65535",
        parse,
        from_text,
        lambda value: str(value) if isinstance(value, Architecture) else value,
    )


@dataclass(frozen=True, slots=True)
class ClassSettings:
    """One ``[[dhcp.class]]``: machines that fulfil all of its conditions."""

    name: str = setting(class_name(), help="What ``allow`` and ``deny`` call the class.")
    architecture: tuple[Architecture | int, ...] = setting(
        listing(architecture()), (), help="Machines of one of these kinds."
    )
    vendor: str = setting(
        text(),
        "",
        help="Machines whose vendor class (option 60) is this text, in which * stands for any text and ? for any "
        "character.",
    )
    user_class: str = setting(
        text(), "", help="Machines one of whose user classes (option 77) is this text, with * and ? as above."
    )
    mac: tuple[HardwareAddress, ...] = setting(
        listing(hardware_address(1)), (), help="Machines whose hardware address begins with one of these."
    )
    options: Options = setting(options(), (), help="Options of these machines, before those of their subnet.")
    lease_time: float | None = setting(
        optional(seconds(10, 31536000)), None, help="How long their leases last, instead of their subnet's time."
    )

    def __post_init__(self) -> None:
        if self.name in (KNOWN, UNKNOWN):
            raise Invalid("name", self.name, "must not be known or unknown, which mean hosts and all others")
        if not (self.architecture or self.vendor or self.user_class or self.mac):
            raise Invalid("name", self.name, "must have a condition: architecture, vendor, user_class or mac")
