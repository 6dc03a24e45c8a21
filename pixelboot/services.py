"""pixelboot in your own Twisted program: a function a service.

Each takes the reactor and the settings, in the shape of the settings file, and returns a service of Twisted's whose
ports are bound already.  It answers from the moment its parent runs, or `startService` is called::

    from twisted.application.service import MultiService
    from twisted.internet import reactor
    from pixelboot import services

    program = MultiService()
    tftp = services.tftp(reactor, {"tftp": {"root": "/srv/tftp", "port": 6969}, "state": "/var/lib/mine"})
    tftp.setServiceParent(program)

``stopService`` (or `disownServiceParent`) ends transfers, closes ports and writes what has to be kept; its Deferred
fires when that is done.  A service that was stopped cannot be started again: make another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pixelboot.site import read
from pixelboot.tap.examine import EVERYTHING
from pixelboot.tap.parts import build
from pixelboot.tap.server import Server

Settings = Mapping[str, object]
"""Settings as TOML has them: ``{"dhcp": {"mode": "server", "subnet": [{"network": "10.77.0.0/24", …}]}}``."""


def everything(reactor: Any, settings: Settings) -> Server:
    """The whole of pixelboot, as ``twistd pixelboot`` runs it.

    :raises pixelboot.malformed.Malformed: with a text for people, if a setting will not do (then it is a
        `pixelboot.config.ConfigError`, which names it) or something cannot be opened; nothing is left open then.
    """
    return build(read(settings), EVERYTHING, reactor)


def dhcp(reactor: Any, settings: Settings) -> Server:
    """DHCP alone, address server or proxy as ``dhcp.mode`` says; raises as `everything`.

    Machines are sent to TFTP and HTTP at the ports that the settings name, on this machine, whoever serves them.
    """
    return build(read(settings), frozenset({"dhcp"}), reactor)


def tftp(reactor: Any, settings: Settings) -> Server:
    """TFTP alone; raises as `everything`."""
    return build(read(settings), frozenset({"tftp"}), reactor)


def http(reactor: Any, settings: Settings) -> Server:
    """HTTP alone: scripts, containers, loaders; raises as `everything`."""
    return build(read(settings), frozenset({"http"}), reactor)
