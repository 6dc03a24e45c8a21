"""What is served by name and is no file: scripts for iPXE, and the parts of containers, named as HTTP names them.

===============================  ==================================================================================
``autoexec.ipxe``                what an iPXE runs that was not told anything else: the first script of who asks
``boot/52-54-00-12-34-56.ipxe``  the first script of the machine with that network card, however it is written
``containers/ID/kernel``         a part of a container (``initrd``, ``dtb``, ``disk``, ``rootfs``)
===============================  ==================================================================================

The scripts name the server's URLs, for what fetches them may go on by HTTP.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from typing import Protocol, get_args

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from pixelboot.boot.ipxe.first import PATIENCE, FirstScripts, NotReady
from pixelboot.boot.ipxe.script import Query
from pixelboot.container.table import Role
from pixelboot.hwaddr import HardwareAddress
from pixelboot.library.catalog import Container
from pixelboot.library.library import Unavailable
from pixelboot.library.names.asker import Asker
from pixelboot.library.names.components import Absent
from pixelboot.library.names.meant import Parts
from pixelboot.library.sharing.once import Joined
from pixelboot.library.sharing.shelf import Opened, Shelf
from pixelboot.payload import Payload, TextPayload

AUTOEXEC = "autoexec.ipxe"

_PARTS = frozenset(get_args(Role))
_MAC = re.compile(
    r"(?:01-)?((?:[0-9a-f]{2}[:-]?){5}[0-9a-f]{2}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4})\.ipxe", re.IGNORECASE
)


class Library(Protocol):
    """What is needed of the library; `pixelboot.library.library.Library` is one."""

    async def settled(self, patience: float) -> object:
        """Returns when what there is at the start is known, after at most `patience` seconds."""

    def find(self, id: str) -> Container | None:  # noqa: A002
        """The container with this id; as long as nothing about it changes, it is the same object."""

    async def part(self, id: str, name: str) -> Payload:  # noqa: A002
        """A verified part, when it is decoded; raises `Unavailable`."""


class Generated:
    """Makes it."""

    def __init__(
        self,
        library: Library,
        scripts: FirstScripts,
        base: Callable[[str], str],
        clock: IReactorTime,
        *,
        ignore_case: bool = True,
    ) -> None:
        """`base` tells what our URLs begin with for the machine with an address, as text; OSError if it cannot.

        `ignore_case` is whether the names may be in upper case, too, but for the id of a container.
        """
        self._ignore_case = ignore_case
        self._library = library
        self._scripts = scripts
        self._base = base
        self._shelf = Shelf(clock)
        self._opening: Joined[_Part, Opened] = Joined(self._shelf.release)

    def knows(self, parts: Parts) -> bool:
        """Whether there may be something of that name."""
        match self._folded(parts):
            case (name,):
                return name == AUTOEXEC
            case ("boot", name):
                return _MAC.fullmatch(name) is not None
            case ("containers", _, name):
                return name in _PARTS
        return False

    async def open(self, parts: Parts, asker: Asker) -> Payload:
        """What has that name, which is one of those that it `knows`.

        :raises Absent: if there is no such container, or it has no such part, or is not offered.
        :raises OSError: if it cannot be had now, and perhaps can be later.
        """
        parts = self._folded(parts)
        if len(parts) == 3:
            return await self._part(parts[1], parts[2])
        return await self._script(named_machine(parts[1]) if len(parts) == 2 else asker.hwaddr, asker)

    def _folded(self, parts: Parts) -> Parts:
        """In lower case, as the names are here, if it does not matter; the id of a container is whatever it is."""
        if not self._ignore_case:
            return parts
        return tuple(part if len(parts) == 3 and at == 1 else part.lower() for at, part in enumerate(parts))

    async def _script(self, machine: HardwareAddress | None, asker: Asker) -> Payload:
        query = Query(machine, base=self._base(asker.address))
        try:
            return TextPayload(await self._scripts.first(query, told=machine is not None, told_uuid=False))
        except NotReady as problem:
            raise OSError(errno.EAGAIN, str(problem)) from None

    async def _part(self, id: str, name: str) -> Payload:  # noqa: A002
        """A part, which all who are sent it at once have open once."""
        await self._library.settled(PATIENCE)
        container = self._library.find(id)
        if container is None:
            raise Absent("there is no such container")
        key = _Part(container, name)
        opened = self._shelf.get(key)
        if opened is None:
            opened = await self._opening.get(key, lambda: Deferred.fromCoroutine(self._opened(key)))
        return self._shelf.lend(opened)

    async def _opened(self, key: _Part) -> Opened:
        id = key.container.id  # noqa: A001
        try:
            payload = await self._library.part(id, key.name)
        except Unavailable as error:
            now = self._library.find(id)
            if now is None or now.state not in ("ready", "decoding"):
                raise Absent(str(error)) from None
            if now.state == "ready" and key.name not in dict(now.parts):
                raise Absent(str(error)) from None
            raise OSError(errno.EAGAIN, str(error)) from None
        return self._shelf.put(key, payload)


class _Part:
    """A part of this very container: what has replaced it is another object."""

    __slots__ = ("container", "name")

    def __init__(self, container: Container, name: str) -> None:
        self.container = container
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Part) and self.container is other.container and self.name == other.name

    def __hash__(self) -> int:
        return hash((id(self.container), self.name))


def named_machine(name: str) -> HardwareAddress | None:
    """The machine of ``52-54-00-12-34-56.ipxe``, with other separators or none; None of any other name."""
    found = _MAC.fullmatch(name)
    return HardwareAddress(bytes.fromhex(re.sub("[^0-9A-Fa-f]", "", found[1]))) if found else None
