"""The first script of a machine: what it boots, as far as anything is said of it.  Every protocol asks here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from pixelboot.boot.hosts import LOCAL, MENU, SHELL, Boot, HostHindered, HostStore
from pixelboot.boot.ipxe.menu import Bootable, assigned_entry
from pixelboot.boot.ipxe.script import (
    OWN_UUID,
    Query,
    asking_script,
    boot_script,
    container_script,
    local_script,
    obstacle,
    shell_script,
)
from pixelboot.boot.seam import Choices
from pixelboot.outcome import Outcome

PATIENCE = 5.0
"""Seconds that a request waits while the library is still being looked into for the first time."""


class Library(Protocol):
    """What is needed of the library; `pixelboot.library.library.Library` is one."""

    async def settled(self, patience: float) -> object:
        """Returns when what there is at the start is known, after at most `patience` seconds."""

    def find(self, id: str) -> Bootable | None:  # noqa: A002
        """The container with this id."""


class NotReady(Exception):
    """What the machine shall boot is not known well enough yet; the text says why."""


class FirstScripts:
    """Writes first scripts."""

    def __init__(
        self,
        library: Library,
        choices: Callable[[], Awaitable[Choices]],
        hosts: HostStore | None,
        report: Callable[[Outcome], None],
    ) -> None:
        """`choices` tells what the operator has decided about containers, `hosts` what single machines boot."""
        self._library = library
        self._choices = choices
        self._hosts = hosts
        self._report = report

    async def first(self, query: Query, *, told: bool, told_uuid: bool) -> str:
        """What this machine boots, or the menu.

        Where something is said of some machine, one that does not say who it is has to come again and say it: `told`
        and `told_uuid` are whether it has said all that it can of its network card, and of its UUID.

        :raises NotReady: if that cannot be said yet.
        """
        if self._hosts is None or not (hosts := await self._hosts.hosts()):
            return boot_script(query)
        if not told or (hosts.by_uuid and not told_uuid):
            return asking_script(Query(query.machine, OWN_UUID, query.base))
        keys = [str(query.machine)] if query.machine else []
        return await self.of(hosts.boot([*keys, query.uuid]), query)

    async def of(self, boot: Boot, query: Query) -> str:
        """The script by which a machine boots that; raises `NotReady`."""
        if boot.what == MENU and not boot.token:
            return boot_script(query)
        if boot.what in (LOCAL, SHELL, MENU) and boot.token:
            return asking_script(query, f"once={boot.token}&boot={boot.what}")
        if boot.what in (LOCAL, SHELL):
            return local_script(query) if boot.what == LOCAL else shell_script(query)
        return await self._container(boot, query)

    async def _container(self, boot: Boot, query: Query) -> str:
        await self._library.settled(PATIENCE)
        found, choices = self._library.find(boot.what), await self._choices()
        if found is not None and found.state == "decoding" and not found.parts:
            raise NotReady(f"the container {boot.what} is still being read")
        entry = assigned_entry(boot.what, found, choices.of(boot.what), obstacle)
        if not isinstance(entry, str):
            return container_script(entry, query, boot.token)
        self._report(HostHindered(str(query.machine or query.uuid), entry))
        return boot_script(query, f"this machine shall boot {boot.what}, but {entry}")
