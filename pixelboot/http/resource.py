"""The tree of what can be asked for, and the life of one exchange.

Every name is looked up in the catalogue; none ever becomes a path of the file system.  The routes:

===========================  ===========================================================================
``/``                        what this is, as JSON
``/boot.ipxe``               the first script of an iPXE machine
``/menu.ipxe``               its menu
``/containers``              the catalogue, as JSON (also with a slash behind it)
``/containers/ID``           a container's picture, whatever it holds
``/containers/ID/kernel``    its kernel, and ``initrd`` beside it: decoded and verified
``/files/NAME.rts.png``      a picture by its file's name
``/healthz``                 ``ok`` while the service answers
===========================  ===========================================================================
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import Protocol
from urllib.parse import quote

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.resource import Resource

from pixelboot import __version__
from pixelboot.boot.menu import make_menu
from pixelboot.boot.script import boot_script, menu_script, obstacle
from pixelboot.http.channel import BootRequest, address_text
from pixelboot.http.plan import (
    Aborted,
    Exchange,
    Failed,
    Header,
    MenuChanged,
    Refused,
    Representation,
    RequestHead,
    ResponsePlan,
    Served,
    plan,
    refusal,
    refused_method,
)
from pixelboot.http.send import Stalled, Transfer, Truncated
from pixelboot.hwaddr import HardwareAddress
from pixelboot.library.catalog import Container
from pixelboot.library.library import Unavailable
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome
from pixelboot.payload import Payload, TextPayload

PARTS = ("kernel", "initrd")
"""What can be fetched out of a container."""

PATIENCE = 5.0
"""Seconds that a request waits while the library is still being looked into for the first time."""

_RETRY: Header = ("Retry-After", "1")
# iPXE obeys whole seconds and takes anything else for 5.


class Library(Protocol):
    """What HTTP needs of the library; `pixelboot.library.library.Library` is one."""

    async def settled(self, patience: float) -> Sequence[Container]:
        """All there is, by file name; right after the start it waits for that, at most `patience` seconds."""

    def find(self, id: str) -> Container | None:  # noqa: A002
        """The container with this id."""

    async def part(self, id: str, name: str) -> Payload:  # noqa: A002
        """A verified part, when it is decoded; raises `Unavailable`."""

    async def picture(self, file_name: str) -> Payload:
        """A picture as it is; raises `Unavailable`."""


Provide = Callable[[BootRequest], Awaitable[Payload]]
"""How a page gets what it shows: a payload, or a `_NotHere`."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What every exchange of one service uses."""

    clock: IReactorTime
    """Measures durations."""

    wall: Callable[[], float]
    """The time of day, in seconds since 1970."""

    report: Callable[[Outcome], None]
    """Takes the outcome of every exchange."""

    machine_at: Callable[[IPv4Address], HardwareAddress | None]
    """Which machine has an address, as far as the DHCP service remembers."""


class _NotHere(Exception):
    """There is nothing to serve; the answer explains."""

    def __init__(self, status: int, reason: str, *headers: Header) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers


class Page(Resource):
    """One thing that can be asked for."""

    def __init__(self, shared: Shared, provide: Provide) -> None:
        super().__init__()
        self.shared = shared
        self._provide = provide

    def getChild(self, path: bytes, request: server.Request) -> Resource:
        """Below a page there is nothing, unless a derived class says otherwise."""
        return Page(self.shared, _nothing)

    def render(self, request: BootRequest) -> int:
        """Begin the exchange; the answer comes when there is one."""
        _Running(self.shared, request, self._provide).start()
        return server.NOT_DONE_YET


class BootRoot(Page):
    """The tree; resources of other parts are put beside with `putChild`."""

    def __init__(self, shared: Shared, library: Library, default: str = "local", timeout: float = 10.0) -> None:
        """`default` and `timeout` (seconds) are those of the menu, as `pixelboot.boot.menu` has them."""
        super().__init__(shared, _nothing)

        async def menu(request: BootRequest) -> Payload:
            found = await library.settled(PATIENCE)
            made = make_menu(found, default, timeout, obstacle)
            if made.notice is not None:
                shared.report(MenuChanged(made.notice))
            return TextPayload(menu_script(made))

        self.putChild(b"", Page(shared, _index))
        self.putChild(b"healthz", Page(shared, _healthy))
        self.putChild(b"boot.ipxe", Page(shared, _first_script))
        self.putChild(b"menu.ipxe", Page(shared, menu))
        self.putChild(b"containers", _Containers(shared, library))
        self.putChild(b"files", _Files(shared, library))


class _Containers(Page):
    """``/containers`` and everything below."""

    def __init__(self, shared: Shared, library: Library) -> None:
        async def listing(request: BootRequest) -> Payload:
            found = [_described(container) for container in await library.settled(PATIENCE)]
            return _json({"containers": found, "count": len(found)})

        super().__init__(shared, listing)
        self.putChild(b"", Page(shared, listing))
        self._library = library

    def getChild(self, path: bytes, request: server.Request) -> Resource:
        return _Container(self.shared, self._library, path.decode())


class _Container(Page):
    """``/containers/ID`` and its parts."""

    def __init__(self, shared: Shared, library: Library, id: str) -> None:  # noqa: A002
        async def found() -> Container:
            await library.settled(PATIENCE)
            container = library.find(id)
            if container is None:
                raise _NotHere(404, "there is no such container")
            return container

        async def picture(request: BootRequest) -> Payload:
            return await _available(library, id, library.picture((await found()).file_name))

        super().__init__(shared, picture)
        for name in PARTS:
            self.putChild(name.encode(), Page(shared, self._part(library, id, found, name)))

    @staticmethod
    def _part(library: Library, id: str, found: Callable[[], Awaitable[Container]], name: str) -> Provide:  # noqa: A002
        async def part(request: BootRequest) -> Payload:
            container = await found()
            if container.state == "damaged":
                raise _NotHere(404, f"the container is damaged: {container.reason}")
            if name not in dict(container.parts) and container.state == "ready":
                raise _NotHere(404, f"the container has no {name}")
            return await _available(library, id, library.part(id, name))

        return part


class _Files(Page):
    """``/files/NAME.rts.png``."""

    def __init__(self, shared: Shared, library: Library) -> None:
        super().__init__(shared, _nothing)
        self._library = library

    def getChild(self, path: bytes, request: server.Request) -> Resource:
        async def picture(request: BootRequest) -> Payload:
            name = path.decode()
            for container in await self._library.settled(PATIENCE):
                if container.file_name == name:
                    return await _available(self._library, container.id, self._library.picture(name))
            raise _NotHere(404, "there is no such file")

        return Page(self.shared, picture)


class _Running:
    """One exchange from its request to its outcome."""

    def __init__(self, shared: Shared, request: BootRequest, provide: Provide) -> None:
        self._shared = shared
        self._request = request
        self._provide = provide
        self._began_at = shared.clock.seconds()
        self._status = 0
        self._transfer: Transfer | None = None
        self._over = False

    def start(self) -> None:
        """Answer; a client that goes away meanwhile cancels what is being done for it."""
        gone = self._request.notifyFinish()
        running = Deferred.fromCoroutine(self._answer())
        running.addErrback(self._broken)

        def cancel(_: Failure) -> None:
            if not self._over:
                self._over = True
                running.cancel()

        gone.addErrback(cancel)

    async def _answer(self) -> None:
        payload: Payload | None = None
        try:
            method = self._request.method.decode("latin-1")
            head = RequestHead.read(method, lambda name: self._request.requestHeaders.getRawHeaders(name, []))
            decided = refused_method(head)
            if decided is None:
                try:
                    payload = await self._provide(self._request)
                    decided = await self._plan(head, payload)
                except _NotHere as error:
                    decided = refusal(head, error.status, error.reason, error.headers)
            await self._send(decided, payload)
            self._end(Served if decided.status < 400 else Refused if decided.status < 500 else Failed, decided.reason)
        except CancelledError:
            self._end(Aborted, "the client went away")
        except (Truncated, Stalled, OSError) as error:
            # The length is promised: only breaking off says that it was not kept.
            self._end(Aborted, str(error) or error.__class__.__name__)
            self._request.channel.abort()
        finally:
            if payload is not None:
                payload.close()

    async def _plan(self, head: RequestHead, payload: Payload) -> ResponsePlan:
        about = Representation(payload.size, await payload.etag(), payload.modified_at, payload.media_type)
        return plan(head, about, self._shared.wall())

    async def _send(self, decided: ResponsePlan, payload: Payload | None) -> None:
        if self._over:
            # The client went while somebody who cannot be cancelled worked for it.
            raise CancelledError
        request = self._request
        self._status = decided.status
        request.setResponseCode(decided.status)
        for name, value in decided.headers:
            request.responseHeaders.addRawHeader(name, value)
        if payload is not None and decided.spans:
            self._transfer = Transfer(request, payload, decided.spans, self._shared.clock)
            await self._transfer.run()
        elif decided.text:
            request.write(decided.text.encode())
        self._over = True
        request.finish()

    def _end(self, kind: type[Exchange], reason: str = "") -> None:
        self._over = True
        request = self._request
        seconds = self._shared.clock.seconds() - self._began_at
        self._shared.report(
            kind(
                machine=_machine(request, self._shared),
                peer=address_text(request.client),
                method=request.method.decode("latin-1"),
                target=request.uri.decode("latin-1"),
                status=self._status,
                octets=self._transfer.taken if self._transfer else request.sentLength,
                seconds=seconds,
                reason=reason,
            )
        )

    def _broken(self, failure: Failure) -> None:
        """A fault of ours: the log gets the traceback, the client five words."""
        self._over = True
        self._request.processingFailed(failure)
        self._status = 500
        self._end(Failed, failure.getErrorMessage())


async def _nothing(request: BootRequest) -> Payload:
    raise _NotHere(404, "there is nothing here")


async def _index(request: BootRequest) -> Payload:
    routes = ("/boot.ipxe", "/menu.ipxe", "/containers", "/healthz")
    return _json({"name": "pixelboot", "version": __version__, "routes": routes})


async def _healthy(request: BootRequest) -> Payload:
    return TextPayload("ok\n")


async def _first_script(request: BootRequest) -> Payload:
    return TextPayload(boot_script(_named_machine(request)))


async def _available(library: Library, id: str, asked: Awaitable[Payload]) -> Payload:  # noqa: A002
    """What was asked for; where there is a sound container that cannot give it now, the client may come again."""
    try:
        return await asked
    except Unavailable as error:
        container = library.find(id)
        if container is None or container.state == "damaged":
            raise _NotHere(404, str(error)) from None
        raise _NotHere(503, str(error), _RETRY) from None


def _described(container: Container) -> dict[str, object]:
    return {
        "id": container.id,
        "file": container.file_name,
        "name": container.name,
        "description": container.description,
        "size": container.size,
        "url": f"/containers/{quote(container.id, safe='')}",
        "state": container.state,
        "reason": container.reason,
        "kernel_version": container.kernel_version,
        "distro": container.distro,
        "architecture": container.architecture,
        "cmdline": container.cmdline,
        "parts": [{"name": name, "size": size} for name, size in container.parts],
    }


def _json(value: object) -> Payload:
    return TextPayload(json.dumps(value, indent=1) + "\n", "application/json")


def _named_machine(request: BootRequest) -> HardwareAddress | None:
    """The machine that the query of the request's URL names."""
    named = (request.args or {}).get(b"mac", [])
    try:
        return HardwareAddress.parse(named[0].decode("latin-1")) if named else None
    except Malformed:
        return None


def _machine(request: BootRequest, shared: Shared) -> HardwareAddress | None:
    """Whose request it is: the machine that has the address, else the one that the query names."""
    try:
        address = ip_address(address_text(request.client))
    except ValueError:
        return _named_machine(request)
    if not isinstance(address, IPv4Address):
        mapped = address.ipv4_mapped
        if mapped is None:
            return _named_machine(request)
        address = mapped
    return shared.machine_at(address) or _named_machine(request)
