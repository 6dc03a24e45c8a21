"""What can be asked for.

Names of containers are looked up in the catalogue, and never become paths of the file system; names of loaders are
those of the tree that TFTP serves too.  The routes:

===========================  ===========================================================================
``/``                        what this is, as JSON
``/boot.ipxe``               the first script of an iPXE machine
``/menu.ipxe``               its menu
``/containers``              the catalogue, as JSON (also with a slash behind it)
``/containers/ID``           a container's picture, whatever it holds
``/containers/ID/kernel``    its kernel, and ``initrd``, ``dtb``, ``disk``, ``rootfs``: decoded and verified
``/files/NAME.rts.png``      a picture by its file's name
``/loaders/NAME``            a file of the tree, at any depth
``/healthz``                 ``ok`` while the service answers
===========================  ===========================================================================
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address
from typing import Protocol, get_args

from twisted.internet.task import deferLater
from twisted.web import server
from twisted.web.resource import Resource

from pixelboot import __version__
from pixelboot.boot.hosts import LOCAL, MENU, SHELL, Boot, HostStore, HostTook, TakeFailed, host_key
from pixelboot.boot.ipxe import first
from pixelboot.boot.ipxe.first import FirstScripts, NotReady
from pixelboot.boot.ipxe.script import Query
from pixelboot.boot.seam import ChoiceFailed, Choices
from pixelboot.container.table import Role
from pixelboot.http.channel import BootRequest, address_text
from pixelboot.http.exchange import RETRY, NotHere, Page, Provide, Shared, named_machine, nothing
from pixelboot.http.plan import MenuChanged
from pixelboot.http.shown import Shown
from pixelboot.library.catalog import Container
from pixelboot.library.library import Unavailable
from pixelboot.library.tree import Absent, Asker, Forbidden
from pixelboot.malformed import Malformed
from pixelboot.payload import Payload, TextPayload

PARTS: tuple[str, ...] = get_args(Role)
"""What can be fetched out of a container."""

SERVED = frozenset({"ready", "decoding"})
"""The states of containers whose parts can be had, now or soon."""

PATIENCE = first.PATIENCE
"""Seconds that a request waits while the library is still being looked into for the first time."""

ChoicesNow = Callable[[], Awaitable[Choices]]
"""Tells what the operator has decided about containers: `pixelboot.boot.seam.ContainerStore.choices`."""


UUID_LENGTH = 36
"""Characters of a UUID as it is written."""

_UNDECIDED = Choices()


class Library(Protocol):
    """What HTTP needs of the library; `pixelboot.library.library.Library` is one."""

    async def settled(self, patience: float) -> Sequence[Container]:
        """All there is, by file name; right after the start it waits for that, at most `patience` seconds.

        It is the same object, with the same objects in it, as long as nothing has changed.
        """

    def find(self, id: str) -> Container | None:  # noqa: A002
        """The container with this id."""

    async def part(self, id: str, name: str) -> Payload:  # noqa: A002
        """A verified part, when it is decoded; raises `Unavailable`."""

    async def picture(self, file_name: str) -> Payload:
        """A picture as it is; raises `Unavailable`."""


class Tree(Protocol):
    """What HTTP needs of the tree of files; `pixelboot.library.tree.Tree` is one."""

    async def open(self, name: str, asker: Asker) -> Payload:
        """What this name means to who asks; raises `Absent`, `Forbidden`, or OSError when it cannot be had now."""


async def undecided() -> Choices:
    """The choices of an operator who has decided nothing."""
    return _UNDECIDED


class BootRoot(Page):
    """The tree; resources of other parts are put beside with `putChild`."""

    def __init__(
        self,
        shared: Shared,
        library: Library,
        tree: Tree,
        default: str = "local",
        timeout: float = 10.0,
        choices: ChoicesNow = undecided,
        hosts: HostStore | None = None,
    ) -> None:
        """`default` and `timeout` (seconds) are what the settings file says of the menu.

        `choices` tells what the operator has decided about containers since, `hosts` what single machines boot.
        """
        super().__init__(shared, nothing)
        self.shown = shown = Shown(default, timeout, lambda: deferLater(shared.clock, 0))
        """Shows the catalogue."""

        async def menu(request: BootRequest) -> Payload:
            payload, notice = await shown.menu(await library.settled(PATIENCE), await choices())
            if notice is not None:
                shared.report(MenuChanged(notice))
            return payload

        async def listing(request: BootRequest) -> Payload:
            return await shown.listing(await library.settled(PATIENCE), await choices())

        self.putChild(b"", Page(shared, _index))
        self.putChild(b"healthz", Page(shared, _healthy))
        self.scripts = FirstScripts(library, choices, hosts, shared.report)
        """Writes the first scripts of machines."""
        assigned = _Assigned(shared, self.scripts, hosts)
        self.putChild(b"boot.ipxe", Page(shared, assigned.first_script))
        self.putChild(b"menu.ipxe", Page(shared, menu))
        self.putChild(b"containers", _Containers(shared, library, listing, assigned))
        self.putChild(b"files", _Files(shared, library))
        self.putChild(b"loaders", _Loaders(shared, tree))


class _Assigned:
    """What single machines boot: their first script, and what they come for once."""

    def __init__(self, shared: Shared, scripts: FirstScripts, hosts: HostStore | None) -> None:
        self._shared = shared
        self._scripts = scripts
        self._hosts = hosts

    async def first_script(self, request: BootRequest) -> Payload:
        """``/boot.ipxe``: what this machine boots, or the menu."""
        query, args = Query(named_machine(request), _named_uuid(request)), request.args or {}
        once = args.get(b"boot", [b""])[0].decode("latin-1")
        try:
            if once in (LOCAL, SHELL, MENU) and b"once" in args:
                # It is given what it comes for even where it has come before, and the answer was lost.
                await self.take(request, once)
                return TextPayload(await self._scripts.of(Boot(once, "once"), query))
            return TextPayload(await self._scripts.first(query, told=b"mac" in args, told_uuid=b"uuid" in args))
        except NotReady as problem:
            raise NotHere(503, str(problem), RETRY) from None

    async def take(self, request: BootRequest, what: str) -> None:
        """Whoever asks has come for `what`; if that was for once, it is over, which is durable when this returns."""
        token = (request.args or {}).get(b"once", [b""])[0].decode("latin-1")
        if self._hosts is None or request.method != b"GET":
            return
        told = (await self._hosts.hosts()).once(token)
        if told is None or told[1] != what:
            return
        try:
            key = await self._hosts.take(token)
        except ChoiceFailed as problem:
            # Without this the machine would do again what it was to do once, such as to install itself.
            self._shared.report(TakeFailed(str(problem)))
            raise NotHere(503, "it cannot be noted that this is taken", RETRY) from None
        if key is not None:
            then = (await self._hosts.hosts()).boot([key])
            self._shared.report(HostTook(key, what, "the menu" if then.what == MENU else then.what))


class _Containers(Page):
    """``/containers`` and everything below."""

    def __init__(self, shared: Shared, library: Library, listing: Provide, assigned: _Assigned) -> None:
        super().__init__(shared, listing)
        self.putChild(b"", Page(shared, listing))
        self._library = library
        self._assigned = assigned

    def getChild(self, path: bytes, request: server.Request) -> Resource:
        return _Container(self.shared, self._library, path.decode(), self._assigned)


class _Container(Page):
    """``/containers/ID`` and its parts."""

    def __init__(self, shared: Shared, library: Library, id: str, assigned: _Assigned) -> None:  # noqa: A002
        async def found() -> Container:
            await library.settled(PATIENCE)
            container = library.find(id)
            if container is None:
                raise NotHere(404, "there is no such container")
            return container

        async def picture(request: BootRequest) -> Payload:
            return await _available(library, id, library.picture((await found()).file_name))

        super().__init__(shared, picture)
        for name in PARTS:
            self.putChild(name.encode(), Page(shared, self._part(library, id, found, name, assigned)))

    @staticmethod
    def _part(
        library: Library,
        id: str,  # noqa: A002
        found: Callable[[], Awaitable[Container]],
        name: str,
        assigned: _Assigned,
    ) -> Provide:
        async def part(request: BootRequest) -> Payload:
            container = await found()
            if container.state not in SERVED:
                raise NotHere(404, f"the container is {container.state}: {container.reason}")
            if name not in dict(container.parts) and container.state == "ready":
                raise NotHere(404, f"the container has no {name}")
            payload = await _available(library, id, library.part(id, name))
            if name == "kernel":
                try:
                    await assigned.take(request, id)
                except BaseException:  # whatever it is, it goes on; nobody else would close this
                    payload.close()
                    raise
            return payload

        return part


class _Files(Page):
    """``/files/NAME.rts.png``."""

    def __init__(self, shared: Shared, library: Library) -> None:
        super().__init__(shared, nothing)
        self._library = library

    def getChild(self, path: bytes, request: server.Request) -> Resource:
        async def picture(request: BootRequest) -> Payload:
            name = path.decode()
            for container in await self._library.settled(PATIENCE):
                if container.file_name == name:
                    return await _available(self._library, container.id, self._library.picture(name))
            raise NotHere(404, "there is no such file")

        return Page(self.shared, picture)


class _Loaders(Page):
    """``/loaders/NAME``; everything below is one name."""

    isLeaf = True

    def __init__(self, shared: Shared, tree: Tree) -> None:
        async def loader(request: BootRequest) -> Payload:
            try:
                return await tree.open(b"/".join(request.postpath or []).decode(), _asker(request, shared))
            except (Absent, Forbidden) as error:
                raise NotHere(404, str(error)) from None
            except OSError as error:
                raise NotHere(503, f"it cannot be read now: {error.strerror}", RETRY) from None

        super().__init__(shared, loader)


async def _index(request: BootRequest) -> Payload:
    routes = ("/boot.ipxe", "/menu.ipxe", "/containers", "/loaders/NAME", "/healthz")
    return _json({"name": "pixelboot", "version": __version__, "routes": routes})


async def _healthy(request: BootRequest) -> Payload:
    return TextPayload("ok\n")


def _asker(request: BootRequest, shared: Shared) -> Asker:
    """Who asks for a file: the machine that has the address, as far as that is known."""
    address = address_text(request.client).removeprefix("::ffff:")
    try:
        machine = shared.machine_at(IPv4Address(address))
    except ValueError:  # of IPv6, or a client without an address
        machine = None
    return Asker(machine, address)


def _named_uuid(request: BootRequest) -> str:
    """The UUID that the query of the request's URL names; empty where it names none, or that of no board."""
    named = (request.args or {}).get(b"uuid", [b""])[0].decode("latin-1").lower()
    meaningless = len(set(named) - {"-"}) <= 1  # all 0, or all f: its maker never wrote one
    try:
        return host_key(named) if len(named) == UUID_LENGTH and not meaningless else ""
    except Malformed:
        return ""


async def _available(library: Library, id: str, asked: Awaitable[Payload]) -> Payload:  # noqa: A002
    """What was asked for; where there is a sound container that cannot give it now, the client may come again."""
    try:
        return await asked
    except Unavailable as error:
        container = library.find(id)
        if container is None or container.state not in SERVED:
            raise NotHere(404, str(error)) from None
        raise NotHere(503, str(error), RETRY) from None


def _json(value: object) -> Payload:
    return TextPayload(json.dumps(value, indent=1) + "\n", "application/json")
