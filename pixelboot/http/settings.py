"""The settings of the HTTP service, ``[http]``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pixelboot.config import setting, text
from pixelboot.malformed import Malformed


def _possible(listen: str) -> None:
    port = listening_port(listen)
    if port is not None and port > 65535:
        raise Malformed("a port is at most 65535")


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where HTTP is served, and what."""

    listen: str = setting(
        text('a Twisted endpoint like "tcp:8080" or "tcp:80:interface=10.77.0.1", or "" for none', _possible),
        "tcp:8080",
        help="The Twisted endpoint that HTTP is served on; empty turns the service off.",
    )
    root: str = setting(
        text('a folder, or "" for the folder containers in the state folder'),
        "",
        help="The folder of the containers (NAME.rts.png); empty means the folder containers in the state folder.",
    )


def listening_port(listen: str) -> int | None:
    """The TCP port that an endpoint string names, or None when it names none (a Unix socket, an inherited one)."""
    kind, *words = re.split(r"(?<!\\):", listen)
    ports = [word.removeprefix("port=") for word in words if word.startswith("port=") or "=" not in word]
    return int(ports[0]) if kind in ("tcp", "tcp6") and ports and re.fullmatch("[0-9]{1,5}", ports[0]) else None
