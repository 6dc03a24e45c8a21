"""The file of what was chosen for single machines, and the store over it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Self

from pixelboot.boot.hosts import NOTHING, HostBoot, Hosts, amended, host_key
from pixelboot.boot.seam import ChoiceFailed
from pixelboot.outcome import Outcome
from pixelboot.state.database import SCHEMA, Kind
from pixelboot.state.rows import RowsFile, Table, Turns

FILE_NAME = "hosts.sqlite"
"""Its name in the state folder."""

HOSTS = Kind(
    os.path.join(SCHEMA, "hosts"),
    0x50584248,
    ": put back a copy, or move it away together with its -wal to start with nothing chosen for any machine",
)
"""What was chosen for machines (``PXBH``)."""

_TABLE = Table(
    "SELECT machine, boot, once, loader, token FROM host",
    """
    INSERT INTO host (machine, boot, once, loader, token) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (machine) DO UPDATE SET
        boot = excluded.boot, once = excluded.once, loader = excluded.loader, token = excluded.token
    """,
    "DELETE FROM host WHERE machine = ?",
)


class HostsFile:
    """What the file holds, in memory too.  It blocks: a server changes it through `SqliteHosts`.

    Who uses it has the `pixelboot.state.lock.StateLock` of the folder.
    """

    def __init__(self, file: RowsFile, settled: Mapping[str, HostBoot]) -> None:
        """Use `open`."""
        chosen = {key: HostBoot(boot, once, loader, token) for key, boot, once, loader, token in file.rows[0].values()}
        self.hosts = Hosts(MappingProxyType(chosen), settled)
        """What is on disk, over what the settings file says; replaced when a change is."""
        self._file = file

    @classmethod
    def open(cls, path: str, settled: Mapping[str, HostBoot]) -> Self:
        """Read the file, or make it (mode 0600); `settled` is what the settings file says.

        Raises `pixelboot.state.lock.StateUnusable`: it cannot be opened, is another program's, damaged, or of a newer
        version.
        """
        return cls(RowsFile(path, HOSTS, [_TABLE]), settled)

    @property
    def mended(self) -> str:
        """What had become of the file before the last change, which put it right; empty when it was as it was left."""
        return self._file.mended

    def change(self, key: str, said: Mapping[str, object]) -> tuple[HostBoot, HostBoot]:
        """See `pixelboot.boot.hosts.HostStore.change`."""
        before = self.hosts.chosen.get(host_key(key), NOTHING)
        after = amended(before, said, secrets.token_hex(8))
        self._become({host_key(key): after})
        return before, after

    def reset(self, key: str) -> tuple[HostBoot, HostBoot]:
        """See `pixelboot.boot.hosts.HostStore.reset`."""
        before = self.hosts.chosen.get(host_key(key), NOTHING)
        self._become({host_key(key): NOTHING})
        return before, NOTHING

    def take(self, tokens: Iterable[str]) -> dict[str, str]:
        """Let it be over what these tokens are of: the key of each machine by its token, of those that there were."""
        there = {said.token: (key, said) for key, said in self.hosts.chosen.items() if said.token}
        taken = {token: there[token] for token in tokens if token in there}
        if taken:
            self._become({key: amended(said, {"once": None}, "") for key, said in taken.values()})
        return {token: key for token, (key, _) in taken.items()}

    def _become(self, changes: Mapping[str, HostBoot]) -> None:
        hosts = self.hosts.having(changes)
        rows = {key: (key, said.boot, said.once, said.loader, said.token) for key, said in hosts.chosen.items()}
        self._file.become([rows])
        self.hosts = hosts


class SqliteHosts(Turns):
    """A `pixelboot.boot.hosts.HostStore`.  Of many machines that come at once all are taken in few changes."""

    name = "hosts"

    def __init__(self, file: HostsFile, reactor: Any, report: Callable[[Outcome], None]) -> None:
        """`report` is told when somebody else changed the file."""
        super().__init__(file, "what was chosen for machines", reactor, report)
        self._file = file
        self._come: set[str] = set()
        self._taken: dict[str, str] = {}

    async def hosts(self) -> Hosts:
        """See `HostStore.hosts`."""
        return self._file.hosts

    async def change(self, key: str, said: Mapping[str, object]) -> tuple[HostBoot, HostBoot]:
        """See `HostStore.change`."""
        return await self.in_turn(self._file.change, key, said)

    async def reset(self, key: str) -> tuple[HostBoot, HostBoot]:
        """See `HostStore.reset`."""
        return await self.in_turn(self._file.reset, key)

    async def take(self, token: str) -> str | None:
        """See `HostStore.take`."""
        self._come.add(token)
        return await self.in_turn(self._take, token)

    def _take(self, token: str) -> str | None:
        """In a thread: take all that have come by now, unless somebody before did."""
        if token in self._come:
            come = tuple(self._come)
            try:
                self._taken.update(self._file.take(come))
            except ChoiceFailed:
                self._come.discard(token)  # the others are tried again, each in its turn
                raise
            self._come.difference_update(come)
        return self._taken.pop(token, None)
