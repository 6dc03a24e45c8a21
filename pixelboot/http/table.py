"""The table of routes: all that HTTP serves, and the manual's table of it is made from this one.  Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from pixelboot.container.table import Role

PARTS: tuple[str, ...] = get_args(Role)
"""What can be fetched out of a container."""

REMEMBERED = 4096
"""How many paths are remembered, of those that have at most `LONGEST_REMEMBERED` characters."""

LONGEST_REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that can be asked for."""

    path: str
    """Its path.  A segment in braces is any one name, or one of those between bars; with a star, any number of them."""

    about: str
    """What is there, for the manual (reStructuredText)."""

    provide: str
    """The method of `BootRoot` that provides it."""

    @property
    def shown(self) -> str:
        """The path for people: ``/containers/ID``."""
        return re.sub(r"\{(\w+)[^}]*\}", lambda found: found[1].upper(), self.path)


ROUTES = (
    Route(
        "/boot.ipxe",
        "The first script of an iPXE machine: what was chosen for it (:doc:`console`, ``pixelboot hosts``), else go on "
        "to the menu; when that fails, try again every 10 seconds.  ``?mac=`` and ``&uuid=`` name the machine.  Where "
        "something was chosen for some machine, one that does not say who it is gets a script that asks again and says "
        "it.  ``&once=TOKEN&boot=…`` ends what was chosen for once (:doc:`/explanation/once`).",
        "first_script",
    ),
    Route("/menu.ipxe", "The menu.", "menu"),
    Route(
        "/containers",
        'The catalogue as JSON, a line each: ``{"containers": […], "count": N}``.  An entry has ``id``, ``file``, '
        "``name``, ``description``, ``size`` (of the picture, octets), ``url``, ``state`` (``ready``, ``decoding``, "
        "``damaged``, ``unbootable``, ``untrusted``), ``reason`` (why it is not offered, or cannot be decoded yet), "
        "``format``, ``type``, ``signer`` (a public key, where its signature is right), ``kernel_version``, "
        "``distro``, ``architecture``, ``cmdline``, ``parts`` with their names in URLs and sizes, ``part_names`` (how "
        "the description spells these), ``offered`` (whether menus have it), ``obstacle`` (why it cannot boot although "
        "they have it, or null), and ``settings``, what the operator has chosen (:doc:`console`, ``pixelboot "
        "containers``).",
        "catalogue",
    ),
    Route("/containers/", "The same.", "catalogue"),
    Route(
        "/containers/{id}",
        "The picture as it is, sound or damaged.  A file above 2 GiB is not read: it is damaged, and 404.",
        "container",
    ),
    Route(
        f"/containers/{{id}}/{{part:{'|'.join(PARTS)}}}",
        "A part, verified.  While the picture is being decoded the request waits.  Of a container that is disabled, "
        "too; of one that is damaged, unbootable or untrusted, 404 with the reason.  ``?once=TOKEN`` of a kernel as "
        "above.",
        "part",
    ),
    Route(
        "/containers/{id}/SHA256SUMS",
        "The SHA-256 of its parts, as ``sha256sum --check`` reads it, of a container that is ``ready``.",
        "part_sums",
    ),
    Route(
        "/files/SHA256SUMS",
        "The SHA-256 of all pictures, as far as they have been read, as ``sha256sum --check`` reads it.",
        "picture_sums",
    ),
    Route("/files/{name}", "The picture ``NAME.rts.png`` by its file's name.", "file"),
    Route(
        "/loaders/{name*}",
        "What TFTP serves by that name, at any depth: a file of the folder ``tftp.root``, else a loader of the "
        "system's iPXE (below), else what is made for it (:doc:`tftp`).",
        "loader",
    ),
    Route("/healthz", "``ok`` while the service answers.", "healthy"),
    Route("/", "What this is, as JSON.", "index"),
)
"""Everything that HTTP serves."""

_OPEN = re.compile(r"\{(\w+)(\*?)(?::([\w|]+))?\}")
_Segment = tuple[str, str, "frozenset[str] | None"]
_Way = tuple[str, Mapping[str, str]]


class Table:
    """Finds the route of a path."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = [(_segments(route.path), route.provide) for route in routes]
        self._ways: dict[tuple[str, ...], _Way | None] = {}

    def way(self, path: tuple[str, ...]) -> _Way | None:
        """What provides what is at this path (`Route.provide`), and what stands there at the open segments, by names.

        None when nothing does.  It is remembered, for it cannot change.
        """
        try:
            return self._ways[path]
        except KeyError:
            pass
        found = ((provide, args) for route, provide in self._routes if (args := _match(route, path)) is not None)
        way = next(found, None)
        if len(self._ways) >= REMEMBERED:
            self._ways.clear()
        if sum(map(len, path)) <= LONGEST_REMEMBERED:
            self._ways[path] = way
        return way


def _segments(path: str) -> tuple[_Segment, ...]:
    """A route's path, segment by segment: the name of an open one and a star, if it has one, and what it may be."""
    segments = list[_Segment]()
    for segment in path[1:].split("/"):
        found = _OPEN.fullmatch(segment)
        if found is None:
            segments.append(("", "", frozenset({segment})))
        else:
            segments.append((found[1], found[2], frozenset(found[3].split("|")) if found[3] else None))
    return tuple(segments)


def _match(route: Sequence[_Segment], path: Sequence[str]) -> Mapping[str, str] | None:
    """What stands at a route's open segments in this path, or None if it is not this route's."""
    args = dict[str, str]()
    for at, (name, star, allowed) in enumerate(route):
        if star and at < len(path):
            return args | {name: "/".join(path[at:])}
        if at >= len(path) or (path[at] not in allowed if allowed is not None else not path[at]):
            return None
        if name:
            args[name] = path[at]
    return args if len(path) == len(route) else None
