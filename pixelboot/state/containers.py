"""The file of what the operator decided about containers, and the store over it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Self

from pixelboot.boot.seam import (
    PLAIN,
    Choices,
    ContainerSettings,
    amended,
    checked_default,
    checked_id,
)
from pixelboot.outcome import Outcome
from pixelboot.state.database import SCHEMA, Kind
from pixelboot.state.rows import Row, RowsFile, Table, Turns

FILE_NAME = "containers.sqlite"
"""Its name in the state folder."""

CONTAINERS = Kind(
    os.path.join(SCHEMA, "containers"),
    0x50584243,
    ": put back a copy, or move it away together with its -wal to start without settings of containers",
)
"""The settings of containers (``PXBC``)."""

_CONTAINER = Table(
    "SELECT id, enabled, name, description, position, timeout, arguments FROM container",
    """
    INSERT INTO container (id, enabled, name, description, position, timeout, arguments) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        enabled = excluded.enabled, name = excluded.name, description = excluded.description,
        position = excluded.position, timeout = excluded.timeout, arguments = excluded.arguments
    """,
    "DELETE FROM container WHERE id = ?",
)
_DEFAULT = Table(
    "SELECT id FROM default_entry",
    "INSERT INTO default_entry (id) VALUES (?)",
    "DELETE FROM default_entry WHERE id = ?",
)


class ChoicesFile:
    """What the file holds, in memory too.  It blocks: a server changes it through `SqliteChoices`.

    Who uses it has the `pixelboot.state.lock.StateLock` of the folder.
    """

    def __init__(self, file: RowsFile) -> None:
        """Use `open`."""
        containers, default = file.rows
        said = {name: _settings(row) for name, row in containers.items()}
        self.choices = Choices(next(iter(default), ""), MappingProxyType(said))
        """What is on disk; replaced when a change is."""
        self._file = file

    @classmethod
    def open(cls, path: str) -> Self:
        """Read the file, or make it (mode 0600).

        Raises `pixelboot.state.lock.StateUnusable`: it cannot be opened, is another program's, damaged, or of a newer
        version.
        """
        return cls(RowsFile(path, CONTAINERS, [_CONTAINER, _DEFAULT]))

    @property
    def mended(self) -> str:
        """What had become of the file before the last change, which put it right; empty when it was as it was left."""
        return self._file.mended

    def change(self, id: str, said: Mapping[str, object]) -> tuple[ContainerSettings, ContainerSettings]:  # noqa: A002
        """See `ContainerStore.change`."""
        before = self.choices.of(checked_id(id))
        after = amended(before, said)
        self._become(self.choices.having(id, after))
        return before, after

    def reset(self, id: str) -> tuple[ContainerSettings, ContainerSettings]:  # noqa: A002
        """See `ContainerStore.reset`."""
        before = self.choices.of(checked_id(id))
        self._become(self.choices.having(id, PLAIN))
        return before, PLAIN

    def choose_default(self, default: str) -> tuple[str, str]:
        """See `ContainerStore.choose_default`."""
        before, after = self.choices.default, checked_default(default)
        self._become(Choices(after, self.choices.containers))
        return before, after

    def _become(self, choices: Choices) -> None:
        rows = {
            each: (each, int(said.enabled), said.name, said.description, said.order, said.timeout, said.arguments)
            for each, said in choices.containers.items()
        }
        self._file.become([rows, {choices.default: (choices.default,)} if choices.default else {}])
        self.choices = choices


class SqliteChoices(Turns):
    """A `pixelboot.boot.seam.ContainerStore`."""

    name = "choices"

    def __init__(self, file: ChoicesFile, reactor: Any, report: Callable[[Outcome], None]) -> None:
        """`report` is told when somebody else changed the file."""
        super().__init__(file, "settings of containers", reactor, report)
        self._file = file

    async def choices(self) -> Choices:
        """See `ContainerStore.choices`."""
        return self._file.choices

    async def change(self, id: str, said: Mapping[str, object]) -> tuple[ContainerSettings, ContainerSettings]:  # noqa: A002
        """See `ContainerStore.change`."""
        return await self.in_turn(self._file.change, id, said)

    async def reset(self, id: str) -> tuple[ContainerSettings, ContainerSettings]:  # noqa: A002
        """See `ContainerStore.reset`."""
        return await self.in_turn(self._file.reset, id)

    async def choose_default(self, default: str) -> tuple[str, str]:
        """See `ContainerStore.choose_default`."""
        return await self.in_turn(self._file.choose_default, default)


def _settings(row: Row) -> ContainerSettings:
    _, enabled, name, description, position, timeout, arguments = row
    return ContainerSettings(bool(enabled), name, description, position, timeout, arguments)
