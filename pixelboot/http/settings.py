"""The settings of the HTTP service, ``[http]``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pixelboot.config import Kind, listing, setting, switch, text
from pixelboot.malformed import Malformed


def _possible(listen: str) -> None:
    port = listening_port(listen)
    if port is not None and port > 65535:
        raise Malformed("a port is at most 65535")


def _not_empty(path: str) -> None:
    if not path:
        raise Malformed("not empty")


def folders() -> Kind[tuple[str, ...]]:
    """A folder, or a list of folders; none at all for the default."""
    several = listing(text("a folder", _not_empty))

    def parse(value: object) -> tuple[str, ...]:
        if isinstance(value, str):
            value = [value] if value else []
        return several.parse(value)

    return Kind("a folder, or a list of folders", parse, several.from_text, several.show)


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where HTTP is served, and what."""

    listen: str = setting(
        text('a Twisted endpoint like "tcp:8080" or "tcp:80:interface=10.77.0.1", or "" for none', _possible),
        "tcp:8080",
        help="The Twisted endpoint that HTTP is served on; empty turns the service off.",
    )
    root: tuple[str, ...] = setting(
        folders(),
        (),
        help="The folders of the containers (NAME.rts.png); where two have a file of the same name, the first counts. "
        "None means the folder containers in the state folder.",
    )
    ranges: bool = setting(
        switch(),
        True,
        help="Whether a client can have a part of a file (Range), as is needed to resume a download.",
    )


def listening_port(listen: str) -> int | None:
    """The TCP port that an endpoint string names, or None when it names none (a Unix socket, an inherited one)."""
    kind, *words = re.split(r"(?<!\\):", listen)
    ports = [word.removeprefix("port=") for word in words if word.startswith("port=") or "=" not in word]
    return int(ports[0]) if kind in ("tcp", "tcp6") and ports and re.fullmatch("[0-9]{1,5}", ports[0]) else None
