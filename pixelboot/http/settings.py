"""The settings of the HTTP service, ``[http]``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pixelboot.config import Invalid, Kind, listing, one_or_more, section, setting, switch, text
from pixelboot.http.connection.settings import LimitSettings
from pixelboot.http.endpoint.said import Endpoint
from pixelboot.malformed import Malformed

_ALLOWED = (
    'a Twisted endpoint like "tcp:8080", "tcp:80:interface=10.77.0.1" or '
    '"ssl:443:privateKey=/etc/pixelboot/key.pem:certKey=/etc/pixelboot/cert.pem"'
)


def endpoints() -> Kind[tuple[Endpoint, ...]]:
    """An endpoint, a list of them, or the empty string for none; no two of them take the same port or socket."""
    words = text()
    several = one_or_more(Kind(_ALLOWED, lambda value: Endpoint.parse(words.parse(value)), show=lambda each: each.text))

    def parse(value: object) -> tuple[Endpoint, ...]:
        if not isinstance(value, list) or len(value) < 2:
            return several.parse(value)
        found = list[Endpoint]()
        for number, item in enumerate(value, 1):
            try:
                found += several.parse([item])
            except ValueError as problem:
                why = f" ({problem})" if isinstance(problem, Malformed) else ""
                raise Invalid(f"[{number}]", item, f"must be {_ALLOWED}{why}") from None
            for place, other in enumerate(found[:-1], 1):
                if other.clashes(found[-1]):
                    raise Invalid(f"[{number}]", item, f"must be another than number {place}, which takes the same")
        return tuple(found)

    return replace(several, parse=parse)


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

    listen: tuple[Endpoint, ...] = setting(
        endpoints(),
        (Endpoint.parse("tcp:8080"),),
        help="The Twisted endpoints that HTTP is served on; none turns the service off. tcp: is a port at IPv4 "
        "addresses, tcp6: one at IPv6 addresses (at :: also IPv4, unless another endpoint has the port there), ssl: a "
        "port with TLS, whose key and certificate are read again when the files change, unix: a socket in the file "
        "system, systemd: one that systemd hands over. Machines are sent to the first that has a port and no TLS.",
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
    strict_ranges: bool = setting(
        switch(),
        False,
        help="Whether a range that cannot be read, as a 32-bit iPXE sends of a disk (bytes=u-u), is refused with 416. "
        "Else the whole file is sent, as HTTP asks for, and that machine fails some gigabytes later.",
    )
    limits: LimitSettings = setting(section(LimitSettings), help="What connections may take.")


def listening_port(listen: Iterable[Endpoint]) -> int | None:
    """The TCP port that machines are sent to: of the first endpoint that names one and has no TLS; None without."""
    return next((each.port for each in listen if each.port is not None and not each.is_secure), None)
