"""The catalogue as machines and programs are shown it: the menu as a script, and all containers as JSON.

A site may have ten thousand containers, and every booting machine asks for the menu: megabytes that must not be written
anew each time, nor in one breath.  So the catalogue is cut into leaves of a few neighbours, by file name.  What is
written of a leaf is kept until one of its containers, or what the operator says of it, is another object; the whole is
a list of the leaves' texts, and is kept until catalogue or choices are other objects.  When much is to be written, the
reactor has its turns between the leaves.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Generic, TypeVar
from urllib.parse import quote

from pixelboot.boot.ipxe.menu import Entry, make_entry, make_menu
from pixelboot.boot.ipxe.script import menu_frame, obstacle, write_entry
from pixelboot.boot.seam import Choices, ContainerSettings, said
from pixelboot.library.catalog import Container
from pixelboot.payload import Payload, RopePayload

LEAF = 32
"""Containers in a leaf, about: it takes a millisecond to write one."""

LARGEST = 4 * LEAF
"""Containers that a leaf may come to have before all of them are cut anew."""

Turn = Callable[[], Awaitable[object]]
"""Lets the reactor do what else it has to do."""


class Shown:
    """Shows the catalogue of one site."""

    def __init__(self, default: str, timeout: float, turn: Turn) -> None:
        """`default` and `timeout` are what the settings file says of the menu: what boots, after how many seconds."""
        self.default, self.timeout = default, timeout
        self._turn = turn
        self._offers = _Leaves(_Offers, turn)
        self._rows = _Leaves(_rows, turn)
        self._menu: _Whole | None = None
        self._listing: _Whole | None = None

    async def menu(self, containers: Sequence[Container], choices: Choices) -> tuple[Payload, str | None]:
        """The script of the menu over `containers`, which come by file name, and what is to be told of it, if anything.

        Those that have an order come first.
        """
        kept = self._menu
        if kept is None or not kept.still(containers, choices):
            leaves = await self._offers.of(containers, choices)
            default = choices.default or self.default
            found = next((leaf.entries[default] for leaf in leaves if default in leaf.entries), None)
            menu = make_menu(found, default, self.timeout)
            if any(leaf.placed for leaf in leaves):
                await self._turn()
            before, between = menu_frame(menu, offered=any(leaf.entries for leaf in leaves))
            pieces = [
                _Piece.of(before),
                _in_order(leaves),
                *(leaf.items for leaf in leaves),
                _Piece.of(between),
                *(leaf.blocks for leaf in leaves),
            ]
            kept = self._menu = _Whole(containers, choices, _together(pieces, "text/plain"), menu.notice)
        return kept.payload, kept.notice

    async def listing(self, containers: Sequence[Container], choices: Choices) -> Payload:
        """All `containers` as JSON, a line each."""
        kept = self._listing
        if kept is None or not kept.still(containers, choices):
            leaves = await self._rows.of(containers, choices)
            comma = _Piece(",\n", b"")
            rows = [piece for row in leaves if row.text for piece in (comma, row)]
            first, last = _Piece.of('{"containers": [\n'), _Piece.of(f'\n], "count": {len(containers)}}}\n')
            payload = _together([first, *rows[1:], last], "application/json")
            kept = self._listing = _Whole(containers, choices, payload, None)
        return kept.payload


def described(container: Container, settings: ContainerSettings) -> dict[str, object]:
    """A container and what the operator says of it, as values that JSON can hold."""
    entry = make_entry(container, settings, obstacle)
    return {
        "id": container.id,
        "file": container.file_name,
        "name": container.name,
        "description": container.description,
        "size": container.size,
        "url": f"/containers/{quote(container.id, safe='')}",
        "state": container.state,
        "reason": container.reason,
        "format": container.format,
        "type": container.type,
        "signer": container.signer,
        "kernel_version": container.kernel_version,
        "distro": container.distro,
        "architecture": container.architecture,
        "cmdline": container.cmdline,
        "parts": [{"name": name, "size": size} for name, size in container.parts],
        "part_names": list(container.labels),
        "offered": entry is not None,
        "obstacle": None if entry is None else entry.obstacle,
        "settings": said(settings),
    }


Neighbours = Sequence[tuple[Container, ContainerSettings]]
"""The containers of a leaf, and what the operator says of each."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some text, and what stands for it in the entity tag: however a text is cut, its tag is the same."""

    text: str
    """ASCII."""

    digests: bytes
    """The digest of each of the texts that cannot be cut, one behind the other."""

    @classmethod
    def of(cls, *texts: str, between: str = "") -> _Piece:
        """Texts that cannot be cut, with something fixed between them."""
        return cls(between.join(texts), b"".join(map(_digest, texts)))


def _together(pieces: Sequence[_Piece], media_type: str) -> Payload:
    """All pieces as one payload."""
    digest = hashlib.blake2b(b"".join([piece.digests for piece in pieces]), digest_size=32).hexdigest()
    return RopePayload([piece.text for piece in pieces], media_type, digest)


class _Offers:
    """What the menu has of a leaf."""

    def __init__(self, neighbours: Neighbours) -> None:
        self.entries: dict[str, Entry] = {}
        self.orders: list[int] = []
        self.placed: list[str] = []
        self.digests: list[bytes] = []
        items, blocks = [], []
        for container, settings in neighbours:
            entry = make_entry(container, settings, obstacle)
            if entry is None:
                continue
            self.entries[entry.id] = entry
            written = write_entry(entry)
            blocks.append(written.block)
            if entry.order is None:
                items.append(written.item)
            else:
                self.orders.append(entry.order)
                self.placed.append(written.item)
                self.digests.append(_digest(written.item))
        self.items, self.blocks = _Piece.of(*items), _Piece.of(*blocks)


def _in_order(leaves: Sequence[_Offers]) -> _Piece:
    """The items that have an order, from the lowest up.  Ten thousand are sorted without a step of Python for each."""
    orders = list(chain.from_iterable(leaf.orders for leaf in leaves))
    items = list(chain.from_iterable(leaf.placed for leaf in leaves))
    digests = list(chain.from_iterable(leaf.digests for leaf in leaves))
    ordered = sorted(range(len(items)), key=orders.__getitem__)
    return _Piece("".join(map(items.__getitem__, ordered)), b"".join(map(digests.__getitem__, ordered)))


def _rows(neighbours: Neighbours) -> _Piece:
    """What the listing has of a leaf."""
    return _Piece.of(*(json.dumps(described(*each)) for each in neighbours), between=",\n")


W = TypeVar("W")


class _Leaf(Generic[W]):
    """A few neighbours, and what was written of them."""

    def __init__(self, containers: tuple[Container, ...], choices: Choices, write: Callable[[Neighbours], W]) -> None:
        self._containers = containers
        self._ids = frozenset(container.id for container in containers)
        self._choices = choices
        self.written = write([(container, choices.of(container.id)) for container in containers])

    def still(self, containers: tuple[Container, ...], changes: _Changes) -> bool:
        """Whether that would be written again; what has not changed is the same object, which is seen at once."""
        if containers != self._containers:
            return False
        if changes.to is not self._choices:
            if not changes.since(self._choices).isdisjoint(self._ids):
                return False
            self._choices = changes.to
        return True


class _Changes:
    """Of which containers something else is said now than before.  Mostly all leaves ask about the same before."""

    def __init__(self, to: Choices) -> None:
        self.to = to
        self._before: Choices | None = None
        self._found: frozenset[str] = frozenset()

    def since(self, before: Choices) -> frozenset[str]:
        """Their ids."""
        if before is not self._before:
            old, new = before.containers, self.to.containers
            changed = [each for each, settings in new.items() if old.get(each) is not settings]
            self._found = frozenset([*changed, *(each for each in old if each not in new)])
            self._before = before
        return self._found


class _Leaves(Generic[W]):
    """The leaves of the catalogue.  Each has the containers from one file name up to the next leaf's."""

    def __init__(self, write: Callable[[Neighbours], W], turn: Turn) -> None:
        self._write = write
        self._turn = turn
        self._names: list[str] = []
        self._cuts: list[int] = []
        self._kept: dict[str, _Leaf[W]] = {}

    async def of(self, containers: Sequence[Container], choices: Choices) -> list[W]:
        """What is written of all leaves of this catalogue, in its order."""
        containers = tuple(containers)
        cuts = self._cut(containers)
        names, kept, written, began = self._names, self._kept, list[W](), False
        changes = _Changes(choices)
        for name, (start, end) in zip(names, pairwise(cuts), strict=True):
            neighbours = containers[start:end]
            leaf = kept.get(name)
            if began and (leaf is None or not leaf.still(neighbours, changes)):
                await self._turn()
                leaf = kept.get(name)  # somebody else may have wanted it meanwhile
            if leaf is None or not leaf.still(neighbours, changes):
                began = True
                leaf = kept[name] = _Leaf(neighbours, choices, self._write)
            written.append(leaf.written)
        return written

    def _cut(self, containers: tuple[Container, ...]) -> list[int]:
        """Where the leaves start, and the end of the last.

        They start where they did, by name, as long as none has become too large nor most of them too small.
        """
        cuts: list[int] = []
        shift = 0
        for name, before in zip(self._names, self._cuts, strict=False):
            # Mostly a leaf starts where it did, or as much further on as the one before it.
            at = before + shift if cuts else 0
            if cuts and not (at < len(containers) and containers[at].file_name == name):
                at = bisect_left(containers, name, cuts[-1], key=_file_name)
                shift = at - before
            cuts.append(at)
        cuts.append(len(containers))
        largest = max((end - start for start, end in pairwise(cuts)), default=LARGEST + 1)
        if largest > LARGEST or len(containers) < len(self._names) * LEAF // 4:
            cuts = [*range(0, len(containers), LEAF), len(containers)]
            self._names = [containers[start].file_name for start in cuts[:-1]]
            self._kept = {name: self._kept[name] for name in self._names if name in self._kept}
        self._cuts = cuts
        return cuts


@dataclass(frozen=True, slots=True)
class _Whole:
    """A whole text, and what it was made of."""

    containers: Sequence[Container]
    choices: Choices
    payload: Payload
    notice: str | None

    def still(self, containers: Sequence[Container], choices: Choices) -> bool:
        """Whether it would be the same again."""
        return containers is self.containers and choices is self.choices


def _digest(text: str) -> bytes:
    # Short, and of a kind that is fast without help of the processor: those of ten thousand items and blocks are hashed
    # again for every menu.
    return hashlib.blake2b(text.encode("ascii"), digest_size=16).digest()


def _file_name(container: Container) -> str:
    return container.file_name
