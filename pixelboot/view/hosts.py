"""The machines on the control channel: what each boots, who says so, and how that is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import unquote

from twisted.web.server import Request

from pixelboot.boot.hosts import LOCAL, MENU, SHELL, HostBoot, Hosts, HostStore, described, host_key, said_of
from pixelboot.boot.ipxe.menu import assigned_entry
from pixelboot.boot.ipxe.script import obstacle
from pixelboot.boot.seam import Choices
from pixelboot.http.routes import PATIENCE, ChoicesNow, Library
from pixelboot.outcome import Outcome
from pixelboot.state.outcomes import ChoiceMade
from pixelboot.view.reply import Answer, Told, body_of

WAY = "the control channel"
"""By which way a change came that was asked for here."""

ALL = b"/api/v1/hosts"


class HostsView:
    """Everything at ``/api/v1/hosts``."""

    def __init__(
        self, store: HostStore, library: Library, choices: ChoicesNow, report: Callable[[Outcome], None]
    ) -> None:
        """`choices` tells what the operator decided about containers; `report` is told of every change."""
        self._store = store
        self._library = library
        self._choices = choices
        self._report = report

    def at(self, path: bytes) -> Told | None:
        """What is at this path, if anything is."""
        if path == ALL:
            return Told(get=self._list)
        above, _, name = path.rpartition(b"/")
        if above != ALL or not name:
            return None
        of = unquote(name.decode("latin-1"), errors="replace")
        return Told(
            get=lambda _: self._one(of),
            patch=lambda request: self._change(of, request),
            delete=lambda _: self._reset(of),
        )

    async def _list(self, request: Request) -> Answer:
        await self._library.settled(PATIENCE)
        hosts, choices = await self._store.hosts(), await self._choices()
        keys = sorted({*hosts.chosen, *hosts.settled})
        return 200, {"hosts": [self._described(key, hosts, choices) for key in keys]}

    async def _one(self, of: str) -> Answer:
        await self._library.settled(PATIENCE)
        return 200, self._described(host_key(of), await self._store.hosts(), await self._choices())

    async def _change(self, of: str, request: Request) -> Answer:
        await self._library.settled(PATIENCE)
        key, wanted = host_key(of), body_of(request)
        if (request.args or {}).get(b"anyway") != [b"yes"]:
            for what in (wanted.get("boot"), wanted.get("once")):
                if isinstance(what, str) and what not in ("", LOCAL, MENU, SHELL) and self._library.find(what) is None:
                    return 404, {"error": f"there is no container {what!r}; ?anyway=yes takes one that is to come"}
        return await self._changed(key, *await self._store.change(key, wanted))

    async def _reset(self, of: str) -> Answer:
        await self._library.settled(PATIENCE)
        key = host_key(of)
        if key not in (await self._store.hosts()).chosen:
            return 404, {"error": f"nothing was chosen for {key}"}
        return await self._changed(key, *await self._store.reset(key))

    async def _changed(self, key: str, before: HostBoot, after: HostBoot) -> Answer:
        old, new = said_of(before), said_of(after)
        changes = tuple((name, old[name], new[name]) for name in old if old[name] != new[name])
        if changes:
            self._report(ChoiceMade(f"host {key}", changes, WAY))
        return 200, {"before": old, **self._described(key, await self._store.hosts(), await self._choices())}

    def _described(self, key: str, hosts: Hosts, choices: Choices) -> Mapping[str, object]:
        return described(key, hosts, lambda what: self._notice(what, choices))

    def _notice(self, what: str, choices: Choices) -> str | None:
        """Why a machine that shall boot this gets the menu; None when nothing is in the way."""
        if what in (LOCAL, MENU, SHELL):
            return None
        found = assigned_entry(what, self._library.find(what), choices.of(what), obstacle)
        return found if isinstance(found, str) else None
