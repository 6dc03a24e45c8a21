"""The machinery of settings: one declaration becomes a TOML key, a ``twistd`` option and a row of the reference.

A subject declares its settings as a frozen dataclass whose fields are made by `setting`.  A field of kind
`section` is a TOML table, one of kind `tables` an array of tables (for the file alone); every other field is a
plain setting, which is also an option on the command line.  `build` turns a parsed TOML document into such a
value, or raises `ConfigError` with the key, the value and what is allowed.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Generic, TypeVar, cast

from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

T = TypeVar("T")

_REQUIRED: Any = object()
"""The default of a setting that has none."""


class ConfigError(Malformed):
    """A setting that cannot be used: which key, which value, and what is allowed there."""

    def __init__(self, key: str, value: object, allowed: str) -> None:
        self.key, self.value, self.allowed = key, value, allowed
        said = "is missing" if value is _REQUIRED else f"= {_shown(value)}"
        super().__init__(f"{key} {said}: {allowed}")


class Invalid(ValueError):
    """Raised by a settings class's ``__post_init__`` when values do not fit together; `build` adds where it stands."""

    def __init__(self, key: str, value: object, allowed: str) -> None:
        self.key, self.value, self.allowed = key, value, allowed
        super().__init__(f"{key} = {value!r}: {allowed}")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """What values a setting can have."""

    allowed: str
    """In words, for error messages and the reference: ``a whole number from 1 to 65535``."""

    parse: Callable[[object], T]
    """From a TOML value to ours; raises ValueError (of which `Malformed` is one)."""

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


@dataclass(frozen=True, slots=True)
class Declared:
    """One setting as the command line and the reference show it."""

    path: tuple[str, ...]
    """Keys from the top of the file: ``("http", "listen")``."""

    kind: Kind[Any]
    """What is allowed."""

    default: object
    """The default as a TOML value; None when there is none."""

    required: bool
    """Whether the setting must be given."""

    help: str
    """A sentence for people."""

    @property
    def key(self) -> str:
        """The name in messages and the reference: ``http.listen``."""
        return ".".join(self.path)

    @property
    def option(self) -> str:
        """The name on the command line of ``twistd pixelboot``, without dashes in front: ``http-listen``."""
        return "-".join(self.path).replace("_", "-")


def setting(kind: Kind[T], default: T = _REQUIRED, *, help: str, name: str = "") -> T:
    """Declare one field of a settings class, given by its name; without `default` the setting is required.

    `name` stands in for the field's name where that is not what the file shall say (``uefi-x64``).
    """
    metadata = {"kind": kind, "help": help, "name": name}
    if default is _REQUIRED:
        return cast("T", dataclasses.field(metadata=metadata, kw_only=True))
    return dataclasses.field(default=default, metadata=metadata, kw_only=True)


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

    def parse(value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError
        return float(value)

    return Kind(f"seconds, from {low:.10g} to {high:.10g}", parse, float)


def address() -> Kind[IPv4Address]:
    """An IPv4 address."""
    return Kind("an IPv4 address like 10.77.0.1", lambda value: IPv4Address(_string(value)), show=str)


def network() -> Kind[IPv4Network]:
    """An IPv4 network without host bits."""
    return Kind("an IPv4 network like 10.77.0.0/24", lambda value: IPv4Network(_string(value)), show=str)


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


def section(settings: type[T]) -> Kind[T]:
    """A table of further settings, declared by the class `settings`."""
    return Kind("a table", _never, inner=settings)


def tables(settings: type[T]) -> Kind[tuple[T, ...]]:
    """An array of tables, each declared by the class `settings`."""
    return Kind("an array of tables", _never, inner=settings, many=True)


def build(settings: type[T], document: Mapping[str, object], prefix: str = "") -> T:
    """Make a value of the class `settings` out of a parsed TOML table; raises `ConfigError`.

    Values of the command line stand in the document as `Words` (see `override`).
    """
    fields = {_name(field): field for field in dataclasses.fields(cast("Any", settings))}
    for key in document:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            hint = f"did you mean {prefix}{near[0]}?" if near else "there are: " + ", ".join(fields)
            raise ConfigError(prefix + printable(key), document[key], f"there is no such setting; {hint}")
    values = {}
    for name, field in fields.items():
        kind: Kind[Any] = field.metadata["kind"]
        key = prefix + name
        if name in document:
            values[field.name] = _value(kind, key, document[name])
        elif kind.inner is not None and not kind.many and field.default is dataclasses.MISSING:
            values[field.name] = build(kind.inner, {}, f"{key}.")
        elif field.default is dataclasses.MISSING:
            raise ConfigError(key, _REQUIRED, f"it must be given: {kind.allowed}")
    try:
        return settings(**values)
    except Invalid as problem:
        raise ConfigError(prefix + problem.key, problem.value, problem.allowed) from None


@dataclass(frozen=True, slots=True)
class Words:
    """The value of a setting as it was typed on the command line."""

    text: str
    """As typed, nothing parsed."""


def override(document: Mapping[str, object], path: Sequence[str], words: str) -> dict[str, object]:
    """The document with the plain setting at `path` replaced by what the command line says."""
    result = dict(document)
    if len(path) == 1:
        result[path[0]] = Words(words)
        return result
    inner = result.get(path[0], {})
    if not isinstance(inner, Mapping):
        raise ConfigError(path[0], inner, "must be a table")
    result[path[0]] = override(inner, path[1:], words)
    return result


def declared(settings: type, path: tuple[str, ...] = ()) -> Iterator[Declared]:
    """Every plain setting of a class and of its sections, in the order of their declaration."""
    for field in dataclasses.fields(settings):
        kind: Kind[Any] = field.metadata["kind"]
        if kind.inner is None:
            required = field.default is dataclasses.MISSING
            default = None if required else kind.show(field.default)
            yield Declared((*path, _name(field)), kind, default, required, field.metadata["help"])
        elif not kind.many:
            yield from declared(kind.inner, (*path, _name(field)))


def arrays(settings: type, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str, tuple[Declared, ...]]]:
    """Every array of tables: its key, its help, and the settings of one entry."""
    for field in dataclasses.fields(settings):
        kind: Kind[Any] = field.metadata["kind"]
        if kind.inner is not None and kind.many:
            here = (*path, _name(field))
            yield ".".join(here), field.metadata["help"], tuple(declared(kind.inner, here))
        elif kind.inner is not None:
            yield from arrays(kind.inner, (*path, _name(field)))


def dump(settings: object, path: tuple[str, ...] = ()) -> str:
    """The settings as a TOML document that `build` reads back to the same value."""
    plain: list[str] = []
    nested: list[str] = []
    for field in dataclasses.fields(cast("Any", settings)):
        kind: Kind[Any] = field.metadata["kind"]
        value = getattr(settings, field.name)
        here = (*path, _name(field))
        if kind.inner is None:
            plain.append(f"{_name(field)} = {_toml(kind.show(value))}\n")
        elif kind.many:
            nested.extend(f"\n[[{'.'.join(here)}]]\n{dump(entry, here)}" for entry in value)
        else:
            nested.append(f"\n[{'.'.join(here)}]\n{dump(value, here)}")
    return "".join(plain + nested)


def encodable(document: str, encoding: str) -> str:
    """What `dump` made, with TOML's escapes for the characters that `encoding` lacks: they all stand in strings."""

    def escaped(character: str) -> str:
        try:
            character.encode(encoding)
        except UnicodeEncodeError:
            return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"
        return character

    return "".join(map(escaped, document))


def _name(field: dataclasses.Field[Any]) -> str:
    """What the file calls a field."""
    name: str = field.metadata["name"] or field.name
    return name


def _value(kind: Kind[Any], key: str, raw: object) -> object:
    """One value of the document, parsed by its kind."""
    if kind.inner is not None:
        if kind.many:
            if not isinstance(raw, list) or not all(isinstance(entry, Mapping) for entry in raw):
                raise ConfigError(key, raw, f"must be {kind.allowed}")
            return tuple(build(kind.inner, entry, f"{key}[{i}].") for i, entry in enumerate(raw, 1))
        if not isinstance(raw, Mapping):
            raise ConfigError(key, raw, f"must be {kind.allowed}")
        return build(kind.inner, raw, f"{key}.")
    try:
        return kind.parse(kind.from_text(raw.text) if isinstance(raw, Words) else raw)
    except ValueError as problem:
        why = str(problem) if isinstance(problem, Malformed) else ""
        allowed = f"must be {kind.allowed}"
        raise ConfigError(key, raw, f"{allowed} ({why})" if why else allowed) from None


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _never(value: object) -> Any:
    raise AssertionError("tables are built, not parsed")


def _shown(value: object) -> str:
    """A value as it stood in the file or on the command line, cut to a readable length."""
    return printable(_toml(value.text if isinstance(value, Words) else value), 120)


def _toml(value: object, levels: int = 8) -> str:
    """A value in TOML's spelling; what is nested deeper than `levels` (no setting is) is left out."""
    if not levels:
        return "…"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item, levels - 1) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 64 else hex(value)  # Python spells no huge number in decimal.
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(item, levels - 1)}" for key, item in value.items()) + "}"
    # JSON's escapes are TOML's too, but for the surrogate pairs and DEL, hence the characters as they are.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
