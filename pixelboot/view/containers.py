"""The containers on the control channel: what there is, what was decided about it, and how that is changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from twisted.web.server import Request

from pixelboot.boot.ipxe.menu import LOCAL, SHELL, make_entry, make_menu
from pixelboot.boot.ipxe.script import obstacle
from pixelboot.boot.seam import Choices, ContainerStore, checked_id, said
from pixelboot.http.routes import PATIENCE, Library
from pixelboot.http.shown import Shown, described
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome
from pixelboot.state.outcomes import ChoiceMade
from pixelboot.view.reply import Answer, Told, body_of

WAY = "the control channel"
"""By which way a change came that was asked for here."""


class Containers:
    """Everything at ``/api/v1/containers`` and ``/api/v1/default``."""

    def __init__(
        self, library: Library, store: ContainerStore, shown: Shown, report: Callable[[Outcome], None]
    ) -> None:
        """`report` is told of every change."""
        self._library = library
        self._store = store
        self._shown = shown
        self._report = report

    def at(self, path: bytes) -> Told | None:
        """What is at this path, if anything is."""
        if path == b"/api/v1/containers":
            return Told(get=self._list)
        if path == b"/api/v1/default":
            return Told(get=self._default, put=self._choose, delete=self._choose_nothing)
        above, _, name = path.rpartition(b"/")
        if above != b"/api/v1/containers" or not name:
            return None
        of = unquote(name.decode("latin-1"), errors="replace")
        return Told(
            get=lambda _: self._one(of),
            patch=lambda request: self._change(of, request),
            delete=lambda _: self._reset(of),
        )

    async def _list(self, request: Request) -> Answer:
        """All of them, in the JSON that machines are shown too; what has settings and is not there, beside them."""
        containers, choices = await self._library.settled(PATIENCE), await self._store.choices()
        absent = {each: said(choices.of(each)) for each in choices.containers if self._library.find(each) is None}
        beside = json.dumps({"default": self._booting(choices), "absent": absent}).encode()
        listing = await self._shown.listing(containers, choices)
        # Two objects become one; that of all containers is written already, and may have megabytes.
        return 200, beside[:-1] + b", " + listing.read(1, listing.size)

    async def _one(self, of: str) -> Answer:
        await self._library.settled(PATIENCE)
        container, choices = self._library.find(of), await self._store.choices()
        if container is not None:
            return 200, {**described(container, choices.of(of)), "present": True}
        if of in choices.containers:
            return 200, {"id": of, "settings": said(choices.of(of)), "present": False}
        return _missing(of)

    async def _change(self, of: str, request: Request) -> Answer:
        await self._library.settled(PATIENCE)
        wanted = body_of(request)
        if not await self._is_known(of, request):
            return _missing(of)
        before, after = await self._store.change(of, wanted)
        return self._changed(of, said(before), said(after), await self._store.choices())

    async def _reset(self, of: str) -> Answer:
        await self._library.settled(PATIENCE)
        if self._library.find(of) is None and of not in (await self._store.choices()).containers:
            return 404, {"error": f"there is no container {of!r}, nor are there settings for one"}
        before, after = await self._store.reset(of)
        return self._changed(of, said(before), said(after), await self._store.choices())

    def _changed(self, of: str, before: Mapping[str, object], after: Mapping[str, object], choices: Choices) -> Answer:
        changes = tuple((key, before[key], after[key]) for key in before if before[key] != after[key])
        if changes:
            self._report(ChoiceMade(f"container {of}", changes, WAY))
        present = self._library.find(of) is not None
        notice = self._booting(choices)["notice"] if of == (choices.default or self._shown.default) else None
        return 200, {"id": of, "before": before, "settings": after, "present": present, "notice": notice}

    async def _default(self, request: Request) -> Answer:
        await self._library.settled(PATIENCE)
        return 200, self._booting(await self._store.choices())

    async def _choose(self, request: Request) -> Answer:
        await self._library.settled(PATIENCE)
        body = body_of(request)
        if set(body) != {"choice"} or not isinstance(body["choice"], str):
            raise Malformed('the body must be {"choice": …}, with the id of a container, local or shell')
        wanted = body["choice"]
        if wanted not in (LOCAL, SHELL) and not await self._is_known(wanted, request):
            return _missing(wanted)
        return await self._chosen(wanted)

    async def _choose_nothing(self, request: Request) -> Answer:
        await self._library.settled(PATIENCE)
        return await self._chosen("")

    async def _chosen(self, wanted: str) -> Answer:
        before, after = await self._store.choose_default(wanted)
        if before != after:
            self._report(ChoiceMade("menu", (("default", before, after),), WAY))
        return 200, {"before": before, **self._booting(await self._store.choices())}

    async def _is_known(self, of: str, request: Request) -> bool:
        """Whether it is there, or was spoken of before, or whoever asks means one that is to come."""
        checked_id(of)
        anyway = (request.args or {}).get(b"anyway") == [b"yes"]
        return anyway or self._library.find(of) is not None or of in (await self._store.choices()).containers

    def _booting(self, choices: Choices) -> dict[str, object]:
        """What boots by itself: what was chosen, empty for nothing, and what the settings file says.

        ``notice`` is what menus say when something else boots; null when that does.
        """
        site, timeout = self._shown.default, self._shown.timeout
        default = choices.default or site
        container = self._library.find(default)
        entry = None if container is None else make_entry(container, choices.of(default), obstacle)
        notice = make_menu(entry, default, timeout).notice
        return {"choice": choices.default, "site": site, "timeout": timeout, "notice": notice}


def _missing(of: str) -> Answer:
    return 404, {"error": f"there is no container {of!r}; ?anyway=yes keeps settings for one that is to come"}
