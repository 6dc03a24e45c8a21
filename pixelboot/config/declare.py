"""The machinery of settings: one declaration becomes a TOML key, a ``twistd`` option and a row of the reference.

A subject declares its settings as a frozen dataclass whose fields are made by `setting`.  A field of kind
`section` is a TOML table, one of kind `tables` an array of tables (for the file alone); every other field is a
plain setting, which is also an option on the command line.  `build` turns a parsed TOML document into such a
value, or raises `ConfigError` with the key, the value and what is allowed.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from pixelboot.config.kinds import Invalid, Kind
from pixelboot.config.spelling import shown, toml
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
            plain.append(f"{_name(field)} = {toml(kind.show(value))}\n")
        elif kind.many:
            nested.extend(f"\n[[{'.'.join(here)}]]\n{dump(entry, here)}" for entry in value)
        else:
            nested.append(f"\n[{'.'.join(here)}]\n{dump(value, here)}")
    return "".join(plain + nested)


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
    except Invalid as problem:
        joint = "" if problem.key.startswith("[") else "."  # the number of an entry, or the key of one
        raise ConfigError(f"{key}{joint}{problem.key}", problem.value, problem.allowed) from None
    except ValueError as problem:
        why = str(problem) if isinstance(problem, Malformed) else ""
        allowed = f"must be {kind.allowed}"
        raise ConfigError(key, raw, f"{allowed} ({why})" if why else allowed) from None


def _shown(value: object) -> str:
    """A value as it stood in the file or on the command line, cut to a readable length."""
    return shown(value.text if isinstance(value, Words) else value)
