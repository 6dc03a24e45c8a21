"""The kinds of values that settings have: what is allowed, how it is read, and how it is written back.

A kind reads a TOML value or the words of a command line, and raises ValueError for what will not do: `Malformed` with
the reason where what is allowed does not say enough, `Invalid` where only an entry of the value is wrong.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from pixelboot.config.spelling import key as spelled
from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

T = TypeVar("T")


class Invalid(ValueError):
    """Raised when values do not fit together, or an entry of one is wrong; `build` adds where it stands."""

    def __init__(self, key: str, value: object, allowed: str) -> None:
        self.key, self.value, self.allowed = key, value, allowed
        super().__init__(f"{key} = {value!r}: {allowed}")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """What values a setting can have."""

    allowed: str
    """In words, for error messages and the reference: ``a whole number from 1 to 65535``."""

    parse: Callable[[object], T]
    """From a TOML value to ours; raises ValueError (of which `Malformed` and `Invalid` are two)."""

    from_text: Callable[[str], object] = str
    """From the words of the command line to the TOML value that `parse` takes; raises ValueError."""

    show: Callable[[T], object] = lambda value: value
    """From our value back to a TOML value."""

    inner: type | None = None
    """The settings class of a `section` or of `tables`."""

    many: bool = False
    """True of `tables`."""

    flag: bool = False
    """True of `switch`: on the command line it takes no words, but has an opposite."""


class Entry(NamedTuple, Generic[T]):
    """One entry of a `mapping`."""

    key: str
    """As the file says it."""

    said: object
    """The value as the file says it."""

    value: T
    """What it means."""


def text(allowed: str = "a text", check: Callable[[str], object] | None = None) -> Kind[str]:
    """A string; `check` raises ValueError for one that will not do."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or "\0" in value:
            raise ValueError(allowed)
        value.encode()  # The environment's octets that are no UTF-8 stand in a str as lone surrogates: refused too.
        if check is not None:
            check(value)
        return value

    return Kind(allowed, parse)


def choice(*names: str) -> Kind[str]:
    """One of these words."""
    allowed = "one of " + ", ".join(f'"{name}"' for name in names)

    def parse(value: object) -> str:
        if value not in names:
            raise ValueError(allowed)
        return str(value)

    return Kind(allowed, parse)


def switch() -> Kind[bool]:
    """On or off; on the command line ``--name`` and ``--no-name``."""
    words = {"true": True, "false": False}

    def parse(value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    def from_text(text: str) -> bool:
        if text not in words:
            raise ValueError
        return words[text]

    return Kind("true or false", parse, from_text, flag=True)


def whole(low: int, high: int) -> Kind[int]:
    """A whole number from `low` to `high`."""

    def parse(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError
        return value

    return Kind(f"a whole number from {low} to {high}", parse, int)


def seconds(low: float, high: float) -> Kind[float]:
    """A duration in seconds, from `low` to `high`; fractions are allowed."""
    return Kind(f"seconds, from {low:.10g} to {high:.10g}", _number(low, high), float)


def fraction(low: float, high: float) -> Kind[float]:
    """A part of something, from `low` to `high`, of which 1 is the whole."""
    return Kind(f"a fraction from {low:.10g} to {high:.10g}", _number(low, high), float)


def _number(low: float, high: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError
        return float(value)

    return parse


def address() -> Kind[IPv4Address]:
    """An IPv4 address."""
    return Kind("an IPv4 address like 10.77.0.1", lambda value: IPv4Address(_string(value)), show=str)


def network() -> Kind[IPv4Network]:
    """An IPv4 network without host bits."""
    return Kind("an IPv4 network like 10.77.0.0/24", lambda value: IPv4Network(_string(value)), show=str)


def hardware_address(shortest: int = 6) -> Kind[HardwareAddress]:
    """A hardware address of at least `shortest` octets; with 1, the octets that such addresses begin with."""
    example = "a hardware address like 02:aa:00:00:00:01"
    if shortest == 1:
        example = "the first octets of hardware addresses, like 02:aa:bb"

    def parse(value: object) -> HardwareAddress:
        found = HardwareAddress.parse(_string(value))
        if len(found.octets) < shortest:
            raise ValueError
        return found

    return Kind(example, parse, show=str)


def uuid() -> Kind[UUID]:
    """A UUID, as it is printed on machines and shown by them."""
    form = re.compile(r"[0-9A-Fa-f]{8}-?(?:[0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}")

    def parse(value: object) -> UUID:
        if not form.fullmatch(_string(value)):
            raise ValueError
        return UUID(str(value))

    return Kind("a UUID like 4c4c4544-0035-5a10-8051-b7c04f563358", parse, show=str)


def hexadecimal(shortest: int, longest: int) -> Kind[bytes]:
    """Octets in hexadecimal, from `shortest` to `longest` of them, with or without colons."""
    form = re.compile(r"[0-9A-Fa-f]{2}(?::?[0-9A-Fa-f]{2})*")

    def parse(value: object) -> bytes:
        words = _string(value)
        if len(words) > 3 * longest or not form.fullmatch(words):
            raise ValueError
        octets = bytes.fromhex(words.replace(":", ""))
        if not shortest <= len(octets) <= longest:
            raise ValueError
        return octets

    return Kind(f"{shortest} to {longest} octets in hexadecimal, like 01:02:aa", parse, show=lambda v: v.hex(":"))


def octets(longest: int) -> Kind[bytes]:
    """A text, or ``hex:`` and octets in hexadecimal; at least one and at most `longest` octets."""
    raw = hexadecimal(1, longest)

    def parse(value: object) -> bytes:
        words = _string(value)
        found = raw.parse(words[4:]) if words.startswith("hex:") else words.encode()
        if not 1 <= len(found) <= longest:
            raise ValueError
        return found

    def show(value: bytes) -> str:
        is_text = value.isascii() and value.decode("ascii").isprintable() and not value.startswith(b"hex:")
        return value.decode("ascii") if is_text else f"hex:{value.hex()}"

    return Kind(f"a text, or octets like hex:0a0b, {longest} octets at most", parse, show=show)


def optional(kind: Kind[T]) -> Kind[T | None]:
    """The same, or the empty string for none."""

    def parse(value: object) -> T | None:
        return None if value == "" else kind.parse(value)

    def from_text(words: str) -> object:
        return "" if words == "" else kind.from_text(words)

    return Kind(f'{kind.allowed}, or "" for none', parse, from_text, lambda v: "" if v is None else kind.show(v))


def listing(kind: Kind[T]) -> Kind[tuple[T, ...]]:
    """A list of such values; on the command line separated by commas."""

    def parse(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise ValueError
        return tuple(kind.parse(item) for item in value)

    def from_text(words: str) -> object:
        return [kind.from_text(word.strip()) for word in words.split(",") if word.strip()]

    return Kind(f"a list, each {kind.allowed}", parse, from_text, lambda items: [kind.show(item) for item in items])


def one_or_more(kind: Kind[T]) -> Kind[tuple[T, ...]]:
    """One such value, a list of them, or the empty string for none."""
    many = listing(kind)

    def parse(value: object) -> tuple[T, ...]:
        if isinstance(value, list):
            return many.parse(value)
        return () if value == "" else (kind.parse(value),)

    def show(values: tuple[T, ...]) -> object:
        if len(values) > 1:
            return many.show(values)
        return kind.show(values[0]) if values else ""

    return Kind(f'{kind.allowed}, a list of such, or "" for none', parse, many.from_text, show)


def mapping(allowed: str, check: Callable[[str, object], T]) -> Kind[tuple[Entry[T], ...]]:
    """A table whose keys are free; on the command line the inside of an inline table: ``a = 1, b = ["x"]``.

    `check` makes of key and value what they mean, or raises `Malformed` with what is allowed there.
    """

    def parse(value: object) -> tuple[Entry[T], ...]:
        if not isinstance(value, Mapping):
            raise ValueError
        return tuple(entry(key, said) for key, said in value.items())

    def entry(key: str, said: object) -> Entry[T]:
        try:
            return Entry(key, said, check(key, said))
        except Malformed as problem:
            raise Invalid(printable(spelled(key), 80), said, str(problem)) from None

    def from_text(words: str) -> object:
        try:
            document = tomllib.loads("it = {" + words + "}")
        except RecursionError:
            raise ValueError from None
        if len(document) != 1:
            raise ValueError  # The words had a closing brace and went on behind it.
        return document["it"]

    return Kind(allowed, parse, from_text, lambda entries: {each.key: each.said for each in entries})


def section(settings: type[T]) -> Kind[T]:
    """A table of further settings, declared by the class `settings`."""
    return Kind("a table", _never, inner=settings)


def tables(settings: type[T]) -> Kind[tuple[T, ...]]:
    """An array of tables, each declared by the class `settings`."""
    return Kind("an array of tables", _never, inner=settings, many=True)


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _never(value: object) -> Any:
    raise AssertionError("tables are built, not parsed")
