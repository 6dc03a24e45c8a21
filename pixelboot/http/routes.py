"""What can be asked for.

Names of containers are looked up in the catalogue, and never become paths of the file system; names of loaders are
those of the tree that TFTP serves too.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from twisted.internet.task import deferLater

from pixelboot import __version__
from pixelboot.boot.hosts import LOCAL, MENU, SHELL, Boot, HostStore, HostTook, TakeFailed, host_key
from pixelboot.boot.ipxe import first
from pixelboot.boot.ipxe.first import FirstScripts, NotReady
from pixelboot.boot.ipxe.script import Query
from pixelboot.boot.seam import ChoiceFailed, Choices
from pixelboot.http.connection.channel import Answerer, BootChannel
from pixelboot.http.exchange import RETRY, Exchange, NotHere, Provide, Shared, ipv4
from pixelboot.http.message.request import Request
from pixelboot.http.outcomes import MenuChanged, Unreadable
from pixelboot.http.shown import Shown
from pixelboot.http.table import ROUTES, Table
from pixelboot.library.catalog import Container
from pixelboot.library.library import Unavailable
from pixelboot.library.tree import Absent, Asker, Forbidden
from pixelboot.malformed import Malformed
from pixelboot.payload import Payload, TextPayload

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

    def part_at_hand(self, id: str, name: str) -> Payload | None:  # noqa: A002
        """The same, if it can be had without waiting; None is no answer."""

    async def picture(self, file_name: str) -> Payload:
        """A picture as it is; raises `Unavailable`."""

    def picture_at_hand(self, file_name: str) -> Payload | None:
        """The same, if it can be had without waiting; None is no answer."""

    def part_digests(self, id: str) -> Mapping[str, str]:  # noqa: A002
        """The SHA-256 of each part by its name, in hex, as far as they are known."""

    def picture_digest(self, file_name: str) -> str | None:
        """The SHA-256 of a picture, in hex, if it is known."""


class Tree(Protocol):
    """What HTTP needs of the tree of files; `pixelboot.library.tree.Tree` is one."""

    async def open(self, name: str, asker: Asker) -> Payload:
        """What this name means to who asks; raises `Absent`, `Forbidden`, or OSError when it cannot be had now."""

    def at_hand(self, name: str, asker: Asker, asked_at: float) -> Payload | None:
        """The same, if it can be had without waiting; None is no answer.

        Of many who ask at the instant `asked_at` the first has it looked at for all.
        """


async def undecided() -> Choices:
    """The choices of an operator who has decided nothing."""
    return _UNDECIDED


class BootRoot:
    """Answers requests by `ROUTES`, and hands those that are in none of them on to others."""

    def __init__(
        self,
        shared: Shared,
        library: Library,
        tree: Tree,
        default: str = "local",
        timeout: float = 10.0,
        choices: ChoicesNow = undecided,
        hosts: HostStore | None = None,
        others: Answerer | None = None,
    ) -> None:
        """`default` and `timeout` (seconds) are what the settings file says of the menu.

        `choices` tells what the operator has decided about containers since, `hosts` what single machines boot.
        """
        self._shared = shared
        self._library = library
        self._tree = tree
        self._choices = choices
        self._hosts = hosts
        self._others = others
        self._table = Table(ROUTES)
        self.shown = Shown(default, timeout, lambda: deferLater(shared.clock, 0))
        """Shows the catalogue."""
        self.scripts = FirstScripts(library, choices, hosts, shared.report)
        """Writes the first scripts of machines."""

    def answer(self, request: Request, channel: BootChannel) -> None:
        """See `Answerer.answer`."""
        try:
            path = request.parsed.path
        except Malformed as problem:
            self._shared.report(Unreadable(channel.peer, f"{problem}: {request.method} {request.target}"))
            channel.refuse(400, str(problem))
            return
        way = self._table.way(path)
        if way is not None:
            provide: Provide = getattr(self, way[0])
            Exchange(self._shared, request, channel, way[1]).run(provide)
        elif self._others is not None:
            self._others.answer(request, channel)
        else:
            Exchange(self._shared, request, channel, {}).run(_nothing)

    async def menu(self, asked: Exchange) -> Payload:
        """The menu's script."""
        payload, notice = await self.shown.menu(await self._library.settled(PATIENCE), await self._choices())
        if notice is not None:
            self._shared.report(MenuChanged(notice))
        return payload

    async def catalogue(self, asked: Exchange) -> Payload:
        """All containers."""
        return await self.shown.listing(await self._library.settled(PATIENCE), await self._choices())

    async def first_script(self, asked: Exchange) -> Payload:
        """What this machine boots, or the menu."""
        args = asked.request.parsed.query
        query = Query(asked.named_machine, _uuid(args.get("uuid", ("",))[0]))
        once = args.get("boot", ("",))[0]
        try:
            if once in (LOCAL, SHELL, MENU) and "once" in args:
                # It is given what it comes for even where it has come before, and the answer was lost.
                await self._take(asked, once)
                return TextPayload(await self.scripts.of(Boot(once, "once"), query))
            return TextPayload(await self.scripts.first(query, told="mac" in args, told_uuid="uuid" in args))
        except NotReady as problem:
            raise NotHere(503, str(problem), RETRY) from None

    async def _take(self, asked: Exchange, what: str) -> None:
        """Whoever asks has come for `what`; if that was for once, it is over, which is durable when this returns."""
        token = asked.request.parsed.query.get("once", ("",))[0]
        if self._hosts is None or asked.request.method != "GET":
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

    async def _found(self, id: str) -> Container:  # noqa: A002
        """The container with this id."""
        await self._library.settled(PATIENCE)
        container = self._library.find(id)
        if container is None:
            raise NotHere(404, "there is no such container")
        return container

    def container(self, asked: Exchange) -> Payload | Awaitable[Payload]:
        """A container's picture."""
        container = self._library.find(asked.args["id"])
        at_hand = None if container is None else self._library.picture_at_hand(container.file_name)
        return self._picture(asked.args["id"]) if at_hand is None else at_hand

    async def _picture(self, id: str) -> Payload:  # noqa: A002
        return await self._available(id, self._library.picture((await self._found(id)).file_name))

    def part(self, asked: Exchange) -> Payload | Awaitable[Payload]:
        """A part of a container."""
        id, name = asked.args["id"], asked.args["part"]  # noqa: A001
        if name != "kernel" or self._hosts is None or "once=" not in asked.request.target:
            at_hand = self._library.part_at_hand(id, name)
            if at_hand is not None:
                return at_hand
        return self._part(asked, id, name)

    async def _part(self, asked: Exchange, id: str, name: str) -> Payload:  # noqa: A002
        container = await self._found(id)
        if container.state not in SERVED:
            raise NotHere(404, f"the container is {container.state}: {container.reason}")
        if name not in dict(container.parts) and container.state == "ready":
            raise NotHere(404, f"the container has no {name}")
        payload = await self._available(id, self._library.part(id, name))
        if name == "kernel":
            try:
                await self._take(asked, id)
            except BaseException:  # whatever it is, it goes on; nobody else would close this
                payload.close()
                raise
        return payload

    def file(self, asked: Exchange) -> Payload | Awaitable[Payload]:
        """A picture by its file's name."""
        at_hand = self._library.picture_at_hand(asked.args["name"])
        return self._file(asked.args["name"]) if at_hand is None else at_hand

    async def _file(self, name: str) -> Payload:
        for container in await self._library.settled(PATIENCE):
            if container.file_name == name:
                return await self._available(container.id, self._library.picture(name))
        raise NotHere(404, "there is no such file")

    async def _available(self, id: str, asked: Awaitable[Payload]) -> Payload:  # noqa: A002
        """What was asked for; where there is a sound container that cannot give it now, the client may come again."""
        try:
            return await asked
        except Unavailable as error:
            container = self._library.find(id)
            if container is None or container.state not in SERVED:
                raise NotHere(404, str(error)) from None
            raise NotHere(503, str(error), RETRY) from None

    async def part_sums(self, asked: Exchange) -> Payload:
        """The digests of a container's parts."""
        container = await self._found(asked.args["id"])
        sums = self._library.part_digests(container.id)
        if not sums:
            raise NotHere(404, f"the container is {container.state}, only of one that is ready there are sums")
        return TextPayload("".join(_sum(digest, name) for name, digest in sorted(sums.items())))

    async def picture_sums(self, asked: Exchange) -> Payload:
        """The digests of all pictures."""
        names = [container.file_name for container in await self._library.settled(PATIENCE)]
        sums = ((name, self._library.picture_digest(name)) for name in names)
        return TextPayload("".join(_sum(digest, name) for name, digest in sums if digest))

    def loader(self, asked: Exchange) -> Payload | Awaitable[Payload]:
        """A file of the tree."""
        address = ipv4(asked.peer)
        asker = Asker(None if address is None else self._shared.machine_at(address), str(address or asked.peer))
        try:
            at_hand = self._tree.at_hand(asked.args["name"], asker, asked.began_at)
        except (Absent, Forbidden) as error:
            raise NotHere(404, str(error)) from None
        return self._loader(asked.args["name"], asker) if at_hand is None else at_hand

    async def _loader(self, name: str, asker: Asker) -> Payload:
        try:
            return await self._tree.open(name, asker)
        except (Absent, Forbidden) as error:
            raise NotHere(404, str(error)) from None
        except OSError as error:
            raise NotHere(503, f"it cannot be read now: {error.strerror}", RETRY) from None

    def index(self, asked: Exchange) -> Payload:
        """What this is."""
        about = {"name": "pixelboot", "version": __version__, "routes": [route.shown for route in ROUTES]}
        return TextPayload(json.dumps(about, indent=1) + "\n", "application/json")

    def healthy(self, asked: Exchange) -> Payload:
        """Whether the service answers."""
        return TextPayload("ok\n")


def _sum(digest: str, name: str) -> str:
    """A line as sha256sum writes and reads it."""
    if not {"\\", "\n", "\r"} & set(name):
        return f"{digest}  {name}\n"
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"\\{digest}  {escaped}\n"


def _nothing(asked: Exchange) -> Payload:
    """What a path provides under which there is nothing."""
    raise NotHere(404, "there is nothing here")


def _uuid(named: str) -> str:
    """The UUID that the query of a URL names; empty where it names none, or that of no board."""
    named = named.lower()
    meaningless = len(set(named) - {"-"}) <= 1  # all 0, or all f: its maker never wrote one
    try:
        return host_key(named) if len(named) == UUID_LENGTH and not meaningless else ""
    except Malformed:
        return ""
