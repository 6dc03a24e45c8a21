"""Keeps a server's decoders busy: pictures of 256 MiB, one behind the other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from lab import picture
from lab.servers.pixelboot import PixelbootServer

TOGETHER = 2
"""Pictures that are in the folder at a time, so that one is there when another is done."""


class BusyDecoders:
    """Drops pictures into a server's folder of containers, and takes them out again when they are decoded."""

    def __init__(self, folder: Path, server: PixelbootServer, first: Path) -> None:
        """The pictures dropped into `folder` are those in `first`, with a comment that makes each another file."""
        self._folder = folder
        self._server = server
        self._first = first
        self._names: Iterator[str] = (f"heavy-{number}" for number in count(1))
        self._prepared: list[tuple[str, Path]] = []
        self._there: set[str] = set()

    def prepare(self, number: int) -> None:
        """Write so many pictures beside the folder, so that dropping them costs nothing."""
        while len(self._prepared) < number:
            name = next(self._names)
            aside = self._folder.parent / f"{name}.aside"
            picture.variant(self._first, aside, name)
            self._prepared.append((name, aside))

    def keep_on(self) -> bool:
        """Whether the server says that it decodes one; those that are ready make room for others."""
        shown = {each["id"]: each["state"] for each in self._server.status()["containers"]}
        for name in [name for name in self._there if shown.get(name) == "ready"]:
            self._take(name)
        while len(self._there) < TOGETHER:
            self.prepare(1)
            name, aside = self._prepared.pop(0)
            aside.rename(self._folder / f"{name}.rts.png")
            self._there.add(name)
        return any(shown.get(name) == "decoding" for name in self._there)

    def remove(self) -> None:
        """Leave none of them."""
        for name in list(self._there):
            self._take(name)

    def _take(self, name: str) -> None:
        (self._folder / f"{name}.rts.png").unlink()
        self._there.remove(name)
