"""Are the loaders there that the settings name?  It is said at the start, before the first machine asks for one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pixelboot.boot.architecture import Architecture
from pixelboot.boot.settings import LoaderSettings, split_url

USUAL = (Architecture.BIOS, Architecture.UEFI_X64)
"""The machines that nearly every site has; a site that has others finds out by their lines in the log."""

_log = Logger(namespace="pixelboot.boot")


class LoaderCheck(Service):
    """Looks once, when it is started, and warns."""

    name = "loaders"

    def __init__(
        self, loaders: LoaderSettings, holds: Callable[[str], Awaitable[bool]], remedy: Callable[[str], str]
    ) -> None:
        """`holds` tells whether there is a loader of a name, `remedy` how a person gets one that is not there."""
        self._loaders = loaders
        self._holds = holds
        self._remedy = remedy

    def startService(self) -> None:
        """Look."""
        super().startService()
        looking = Deferred.fromCoroutine(self._look())
        looking.addErrback(lambda failure: _log.failure("the loaders could not be looked for", failure))

    async def _look(self) -> None:
        for architecture in USUAL:
            name = self._loaders.pxe(architecture)
            if name and split_url(name) is None and not await self._holds(name):
                remedy = self._remedy(name) or "put it into tftp.root"
                _log.warn(
                    "no loader for {architecture} machines: there is no file {name}; {remedy}",
                    architecture=str(architecture),
                    name=name,
                    remedy=remedy,
                )
