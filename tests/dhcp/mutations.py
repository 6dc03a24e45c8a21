"""Real requests with something wrong in them: the same ones for the same seed, for whatever reads a datagram."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.dhcp import captures

REQUESTS = tuple(value for value in vars(captures).values() if isinstance(value, bytes) and value[0] == 1)
"""What the real clients sent."""

_OPTIONS = 240
_SNAME, _FILE = slice(44, 108), slice(108, 236)
_HOPS, _FLAGS = 3, 10
_RELAYED = bytes.fromhex("c6336401")

_SPECIAL = tuple(
    bytes.fromhex(option)
    for option in (
        "5000",  # rapid commit
        "520a0104000100060202aabb",  # relay agent information: circuit and remote
        "520e0503cb007105040a4d00010b0400",  # the same with sub-options that lie about their length
        "52111300050401020304" + "0b04c6336401" + "0a0180",  # source port, link selection, override, flags
        "7604cb007100",  # subnet selection
        "2b07470400000000ff",  # a boot item of a PXE menu
        "2b0447ff0000",
        "7c09000000090401610162",  # vendor classes
        "7d0a0000118b05020361ff62",
        "7707016103c000c000",  # names whose pointers go round
        "3d00",
        "3dff" + "01" * 255,
        "5d03000700",
        "6111" + "00ffffffffffffffffffffffffffffffff",
        "4d06046950584500",
        "3704ffffffff",
        "3304ffffffff",
        "39020000",
        "350100",
        "35010a",  # LEASEQUERY
        "5b0400000000",
    )
)
"""Options with a meaning of their own, right and wrong."""

_ODD = (0, 1, 2, 3, 5, 6, 7, 16, 17, 52, 53, 64, 82, 127, 128, 254, 255)


def mutated(seed: int, count: int) -> Iterator[bytes]:
    """`count` datagrams, each a real one with one to five things done to it; some are still right."""
    chance = random.Random(seed)
    for _ in range(count):
        octets = bytearray(chance.choice(REQUESTS))
        for _ in range(chance.randint(1, 5)):
            chance.choice(_DEEDS)(octets, chance)
        yield bytes(octets)


def _places(octets: bytearray) -> list[int]:
    """Where the options begin, as far as they can be told."""
    places = []
    at = _OPTIONS
    while at + 1 < len(octets) and octets[at] != 255:
        places.append(at)
        at += 2 + octets[at + 1] if octets[at] else 1
    return places


def _flip_bits(octets: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 8)):
        if octets:
            octets[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)


def _set_octet(octets: bytearray, chance: random.Random) -> None:
    if octets:
        octets[chance.randrange(len(octets))] = chance.choice(_ODD)


def _set_header(octets: bytearray, chance: random.Random) -> None:
    """op, htype, hlen, hops and one of the addresses, which may make it a relayed message or a renewal."""
    if len(octets) < _OPTIONS:
        return
    if chance.random() < 0.5:
        octets[chance.randint(0, _HOPS)] = chance.choice(_ODD)
    octets[_FLAGS] = chance.choice((0, 0x80))
    field = 12 + 4 * chance.randrange(4)
    address = chance.choice((_RELAYED, bytes(4), b"\xff" * 4, bytes((10, 77, 0, chance.randrange(256)))))
    octets[field : field + 4] = address


def _cut(octets: bytearray, chance: random.Random) -> None:
    if chance.random() < 0.3:  # more of them end among the options than in the header
        del octets[chance.randint(0, len(octets)) :]
    else:
        del octets[chance.randint(min(_OPTIONS, len(octets)), len(octets)) :]


def _insert(octets: bytearray, chance: random.Random) -> None:
    at = chance.randint(min(_OPTIONS, len(octets)), len(octets))
    octets[at:at] = chance.choice((chance.randbytes(chance.randint(1, 40)), bytes(chance.randint(1, 9)), b"\xff"))


def _lengthen(octets: bytearray, chance: random.Random) -> None:
    """Behind END, or beyond what any datagram may hold."""
    octets.extend(bytes(chance.choice((1, 60, 300, 1800))))


def _lie_about_length(octets: bytearray, chance: random.Random) -> None:
    if places := _places(octets):
        octets[chance.choice(places) + 1] = chance.choice((*_ODD, chance.randrange(256)))


def _resize_option(octets: bytearray, chance: random.Random) -> None:
    """Another value of any length from 0 to 255, of which the length tells the truth."""
    if places := _places(octets):
        at = chance.choice(places)
        size = chance.choice((0, 1, 2, 3, 4, 5, 16, 17, 255, chance.randrange(256)))
        octets[at + 1 : at + 2 + octets[at + 1]] = bytes((size,)) + chance.randbytes(size)


def _rename_option(octets: bytearray, chance: random.Random) -> None:
    if places := _places(octets):
        octets[chance.choice(places)] = chance.choice((*_ODD, chance.randrange(256)))


def _swap_options(octets: bytearray, chance: random.Random) -> None:
    """Two of them change places, or one stands there twice."""
    places = _places(octets)
    if len(places) < 2:
        return
    first, second = sorted(chance.sample(places, 2))
    one = octets[first : first + 2 + octets[first + 1]]
    other = octets[second : second + 2 + octets[second + 1]]
    octets[second : second + len(other)] = one
    if chance.random() < 0.7:
        octets[first : first + len(one)] = other


def _take_option(octets: bytearray, chance: random.Random) -> None:
    if places := _places(octets):
        at = chance.choice(places)
        del octets[at : at + 2 + octets[at + 1]]


def _add_option(octets: bytearray, chance: random.Random) -> None:
    """One with a meaning of its own, in front of another."""
    at = chance.choice([*_places(octets), min(_OPTIONS, len(octets))])
    octets[at:at] = chance.choice(_SPECIAL)


def _overload(octets: bytearray, chance: random.Random) -> None:
    """Option 52, with options, pieces of them, or garbage in the fields."""
    if len(octets) < _OPTIONS:
        return
    octets[_OPTIONS:_OPTIONS] = bytes((52, 1, chance.randrange(5)))
    for field in (_SNAME, _FILE):
        size = field.stop - field.start
        held = b"".join(chance.choices(_SPECIAL, k=3)) + b"\xff"
        octets[field] = chance.choice((held, chance.randbytes(size), b"\x3d\x02ab\xff", b"")).ljust(size, b"\0")[:size]


_DEEDS = (
    _flip_bits,
    _set_octet,
    _set_header,
    _cut,
    _insert,
    _lengthen,
    _lie_about_length,
    _resize_option,
    _rename_option,
    _swap_options,
    _take_option,
    _add_option,
    _overload,
)
