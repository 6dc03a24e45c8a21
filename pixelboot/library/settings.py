"""The settings of the containers, ``[containers]``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from pixelboot.config import Kind, listing, setting, switch, text, whole
from pixelboot.malformed import Malformed

LARGEST_SIDE = 16384
"""Pixels; a picture of this side holds 1 GiB."""

SMALLEST_CACHE = 64 << 20
"""Octets; a kernel and an initrd of a common distribution must fit."""

LARGEST_CACHE = 1 << 50

_UNITS = {
    "B": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("kMGTP", 1)},
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGTP", 1)},
}
_AMOUNT = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,20})?) ?([A-Za-z]{1,3})")


def size_in_octets(low: int, high: int) -> Kind[int]:
    """An amount of octets from `low` to `high`: a number with its unit as a text, or a bare whole number of octets."""

    def parse(value: object) -> int:
        octets = _octets(value) if isinstance(value, str) else value
        if not isinstance(octets, int) or isinstance(octets, bool) or not low <= octets <= high:
            raise ValueError
        return octets

    allowed = 'a size like "20 GiB" or "500 MB", or a whole number of octets'
    return Kind(
        f"{allowed}, from {spelled(low)} to {spelled(high)}",
        parse,
        lambda words: int(words) if words.isascii() and words.isdecimal() and len(words) <= 30 else words,
        spelled,
    )


def spelled(octets: int) -> str | int:
    """The size with the largest binary unit of which it is a whole number, as a setting says it."""
    for unit, factor in sorted(_UNITS.items(), key=lambda each: -each[1]):
        if factor % 1024 == 0 and octets and octets % factor == 0:
            return f"{octets // factor} {unit}"
    return octets


def worded(octets: int) -> str:
    """The same in a sentence: ``64 MiB``, or ``1001 octets``."""
    said = spelled(octets)
    return said if isinstance(said, str) else f"{said} octets"


def _octets(words: str) -> int:
    if words == "0":  # of whatever
        return 0
    amount = _AMOUNT.fullmatch(words)
    if amount is None:
        raise ValueError
    if amount[2] not in _UNITS:
        raise Malformed("the units are " + ", ".join(_UNITS))
    octets = Fraction(amount[1]) * _UNITS[amount[2]]
    if octets.denominator != 1:
        raise Malformed("that is no whole number of octets")
    return int(octets)


def _key(words: str) -> None:
    if not re.fullmatch(r"[0-9A-Fa-f]{64}|ssh-ed25519 [A-Za-z0-9+/]{68}( [^\n\r]*)?|/[^\n\r]+", words):
        raise Malformed("it is none of these")


@dataclass(frozen=True, slots=True)
class ContainersSettings:
    """Which containers are served, and how much room they may take."""

    side_limit: int = setting(
        whole(4, LARGEST_SIDE),
        LARGEST_SIDE,
        help="The side, in pixels, of the largest picture that is decoded; a picture of side 8192 holds 256 MiB.",
    )
    cache_size: int = setting(
        size_in_octets(SMALLEST_CACHE, LARGEST_CACHE),
        20 << 30,
        help="How much room the decoded parts may take in the state folder; beyond it, those go first that were used "
        "the longest ago.",
    )
    trusted_keys: tuple[str, ...] = setting(
        listing(
            text(
                "an Ed25519 public key: 64 hex digits, a line ssh-ed25519 …, or the absolute path of a file with one",
                _key,
            )
        ),
        (),
        help="If there are any, only containers that are signed by one of these keys are served to machines.",
    )
    poll: bool = setting(
        switch(),
        False,
        help="Whether the folders are looked through every second although the kernel would tell of changes.  Folders "
        "on network file systems always are.",
    )
