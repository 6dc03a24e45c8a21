"""The names under which ``twistd`` knows pixelboot.

twistd imports every plugin file to list it, so this one imports nothing of ours: it names modules of `pixelboot.tap` as
text, and they are imported only for the service that is asked for.  Neither this folder nor the one above has an
``__init__.py``: Twisted's own package takes them in.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from importlib import import_module
from typing import Any

from twisted.application.service import IService, IServiceMaker
from twisted.plugin import IPlugin
from twisted.python.usage import Options
from zope.interface import implementer


@implementer(IPlugin, IServiceMaker)
class Part:
    """One service of `pixelboot.tap`.  Twisted's own ``ServiceMaker`` has room for only one in a module."""

    def __init__(self, tapname: str, options: str, maker: str, description: str) -> None:
        self.tapname = tapname
        self.description = description
        self._options = options
        self._maker = maker

    @property
    def options(self) -> type[Options]:
        """The class that reads the command line."""
        options: type[Options] = _imported("pixelboot.tap.options", self._options)
        return options

    @property
    def makeService(self) -> Callable[[Options], IService]:
        """What makes the service of the options that were read."""
        maker: Callable[[Options], IService] = _imported("pixelboot.tap.twistd", self._maker)
        return maker


def _imported(module: str, name: str) -> Any:
    """What a module has under a name."""
    # Modules make hardly any garbage, and to look for it again and again is a twentieth of the time a start takes.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return getattr(import_module(module), name)
    finally:
        if collecting:
            gc.enable()


everything = Part("pixelboot", "Options", "makeService", "Boot machines from pictures: DHCP, TFTP and HTTP at once.")
dhcp = Part("pixelboot-dhcp", "DhcpOptions", "makeDhcpService", "The DHCP server of pixelboot, alone.")
tftp = Part("pixelboot-tftp", "TftpOptions", "makeTftpService", "The TFTP server of pixelboot, alone.")
http = Part("pixelboot-http", "HttpOptions", "makeHttpService", "The HTTP server of pixelboot, alone.")
