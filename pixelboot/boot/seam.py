"""What the operator decides about containers, and what a store of it must do.  Pure.

Settings belong to the name of a container, not to its file: they stay when a picture is replaced or goes away, and
hold for the next one of that name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Final, Protocol

from pixelboot.boot.ipxe.arguments import COMMAND_LINE_LIMIT, unpassable
from pixelboot.malformed import Malformed

NAME_LIMIT, DESCRIPTION_LIMIT = 100, 300
"""Characters of a name and a description."""

ORDER_LIMIT = 1_000_000
"""The highest order; the lowest is this below zero."""

TIMEOUT_LIMIT = 3600.0
"""Seconds that a menu may wait."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,99}")


@dataclass(frozen=True, slots=True)
class ContainerSettings:
    """What the operator says of one container."""

    enabled: bool = True
    """Whether menus offer it."""

    name: str = ""
    """What menus call it; empty for the name that its maker gave it."""

    description: str = ""
    """What menus say of it; empty for what its maker says."""

    order: int | None = None
    """Menus show the containers that have one first, from the lowest up; None of those that follow, by file name."""

    timeout: float | None = None
    """Seconds that a menu waits before it boots this container by itself (0: for ever); None for the site's."""

    arguments: str = ""
    """What is put behind its kernel's command line."""


PLAIN: Final = ContainerSettings()
"""What holds for a container of which nothing was said."""


@dataclass(frozen=True, slots=True)
class Choices:
    """All that the operator has decided.  A store gives the same object until something changes."""

    default: str = ""
    """What boots by itself: the id of a container, ``local`` or ``shell``; empty for what the settings file says."""

    containers: Mapping[str, ContainerSettings] = field(default_factory=lambda: MappingProxyType({}))
    """By the ids of containers; it has those alone of which something was said."""

    def of(self, id: str) -> ContainerSettings:  # noqa: A002
        """What holds for this container."""
        return self.containers.get(id, PLAIN)

    def having(self, id: str, settings: ContainerSettings) -> Choices:  # noqa: A002
        """These choices with other settings for one container."""
        others = {each: said for each, said in self.containers.items() if each != id}
        said = others if settings == PLAIN else {**others, id: settings}
        return replace(self, containers=MappingProxyType(said))


class ChoiceFailed(Exception):
    """A change could not be made durable, and nothing has changed; the text says why."""


class ContainerStore(Protocol):
    """Keeps the choices.  What a change returns is durable; changes are made one at a time, in the order asked."""

    async def choices(self) -> Choices:
        """What holds now."""

    async def change(self, id: str, said: Mapping[str, object]) -> tuple[ContainerSettings, ContainerSettings]:  # noqa: A002
        """Change the settings of a container as `amended` does: those before and after.

        Raises `Malformed` for what cannot be, `ChoiceFailed` when it could not be written.
        """

    async def reset(self, id: str) -> tuple[ContainerSettings, ContainerSettings]:  # noqa: A002
        """Forget what was said of a container: the settings before and after; raises as `change` does."""

    async def choose_default(self, default: str) -> tuple[str, str]:
        """Say what boots by itself, empty for what the settings file says: before and after.  Raises as `change`."""


def amended(settings: ContainerSettings, said: Mapping[str, object]) -> ContainerSettings:
    """`settings` with what was `said` in the place of some: values as JSON has them, None for what holds unsaid.

    Raises `Malformed`, which names the setting and what is allowed.
    """
    known = [each.name for each in fields(ContainerSettings)]
    for key, value in said.items():
        if key not in known:
            raise Malformed(f"there is no setting {key!r}, only {', '.join(known)}")
        checked: Any = getattr(PLAIN, key) if value is None else _CHECKS[key](key, value)
        settings = replace(settings, **{key: checked})
    return settings


def said(settings: ContainerSettings) -> dict[str, object]:
    """Settings as values that JSON can hold: what `amended` takes."""
    return {each.name: getattr(settings, each.name) for each in fields(ContainerSettings)}


def checked_id(text: object) -> str:
    """The id of a container, there or not; `Malformed` when none can be called so."""
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise Malformed("the id of a container has letters, digits, and . _ ~ - after the first, at most 100 in all")
    return text


def checked_default(text: object) -> str:
    """What can boot by itself: an id, ``local`` or ``shell``, or empty; `Malformed` else."""
    return "" if text in (None, "") else checked_id(text)


def _switch(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise Malformed(f"{key} must be true or false")
    return value


def _text(key: str, value: object, limit: int) -> str:
    if not isinstance(value, str):
        raise Malformed(f"{key} must be a text")
    text = value.strip(" ")
    if len(text) > limit:
        raise Malformed(f"{key} must have at most {limit} characters; this has {len(text)}")
    if not text.isprintable():
        raise Malformed(f"{key} must be one line without control characters")
    return text


def _order(key: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -ORDER_LIMIT <= value <= ORDER_LIMIT:
        raise Malformed(f"{key} must be a whole number from {-ORDER_LIMIT} to {ORDER_LIMIT}, or none")
    return value


def _timeout(key: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= TIMEOUT_LIMIT:
        raise Malformed(f"{key} must be seconds from 0 (for ever) to {TIMEOUT_LIMIT:g}, or none")
    return float(value)


def _arguments(key: str, value: object) -> str:
    text = _text(key, value, COMMAND_LINE_LIMIT)
    if (reason := unpassable(text)) is not None:
        raise Malformed(f"{key} cannot be passed on: the command line {reason}")
    return text


_CHECKS: Final[Mapping[str, Callable[[str, object], object]]] = {
    "enabled": _switch,
    "name": lambda key, value: _text(key, value, NAME_LIMIT),
    "description": lambda key, value: _text(key, value, DESCRIPTION_LIMIT),
    "order": _order,
    "timeout": _timeout,
    "arguments": _arguments,
}
