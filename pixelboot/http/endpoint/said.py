"""What an endpoint string says, as far as that can be known without a reactor.

Twisted reads the strings; here the same is understood for the settings, which are checked, shown and compared before
there is anything that could listen (a test holds the two against each other).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pixelboot.malformed import Malformed

PARAMETERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "tcp": ("port", "interface", "backlog"),
        "tcp6": ("port", "backlog", "interface"),
        "ssl": (
            "port",
            "privateKey",
            "certKey",
            "sslmethod",
            "interface",
            "backlog",
            "extraCertChain",
            "dhParameters",
        ),
        "unix": ("address", "mode", "backlog", "lockfile"),
        "systemd": ("domain", "index", "name"),
    }
)
"""The parameters of each kind of endpoint, in the order in which they may be given without their names."""

LARGEST_PORT = 65535

_WITH_PORT = frozenset({"tcp", "tcp6", "ssl"})

_EVERYWHERE = frozenset({"0.0.0.0", "::"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint string."""

    text: str
    """As it was written."""

    kind: str
    """The word at its beginning: ``tcp``, ``ssl``, ``unix`` …, or one of another package's."""

    parameters: Mapping[str, str] = field(compare=False)
    """By name; of a kind that is not in `PARAMETERS` those alone that were given with their names."""

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read a string; `Malformed` for what cannot be one."""
        words, parameters = _split(text)
        if not words or not words[0]:
            raise Malformed("it does not begin with its kind, as tcp")
        kind, *given = words
        known = PARAMETERS.get(kind, ())
        if known and len(given) > len(known):
            raise Malformed(f"{kind} takes {', '.join(known)}, and no more")
        for name, value in zip(known, given, strict=False):
            if name in parameters:
                raise Malformed(f"{name} is there twice")
            parameters[name] = value
        found = cls(text, kind, MappingProxyType(parameters))
        if (found.port or 0) > LARGEST_PORT:
            raise Malformed(f"a port is at most {LARGEST_PORT}")
        return found

    @property
    def port(self) -> int | None:
        """The TCP port, 0 for any; None of an endpoint that names none (a Unix socket, an inherited one)."""
        digits = self.parameters.get("port", "") if self.kind in _WITH_PORT else ""
        return int(digits) if re.fullmatch("[0-9]{1,5}", digits) else None

    @property
    def address(self) -> str:
        """The IP address of an endpoint with a port; ``0.0.0.0`` and ``::`` are all."""
        return self.parameters.get("interface", "") or ("::" if self.kind == "tcp6" else "0.0.0.0")

    @property
    def is_secure(self) -> bool:
        """Whether TLS is spoken there."""
        return self.kind == "ssl"

    @property
    def is_ipv6(self) -> bool:
        """Whether it has a port at an IPv6 address."""
        return self.port is not None and ":" in self.address

    def clashes(self, other: Endpoint) -> bool:
        """Whether only one of the two can be had.

        A port at every address leaves none at a single one of the same family.
        """
        if self.port is None or other.port is None:
            path = self.parameters.get("address") if self.kind == "unix" else None
            return self.text == other.text or (path is not None and path == other.parameters.get("address"))
        if self.port != other.port or self.is_ipv6 != other.is_ipv6:
            return False
        addresses = {self.address, other.address}
        return self.text == other.text or (self.port > 0 and (len(addresses) == 1 or bool(addresses & _EVERYWHERE)))

    def shares_port(self, other: Endpoint) -> bool:
        """Whether the other has the same port in the other family of addresses."""
        return bool(self.port) and self.port == other.port and self.is_ipv6 != other.is_ipv6

    def __str__(self) -> str:
        if self.port is not None:
            return url(self.address, self.port, is_secure=self.is_secure)
        if self.kind == "unix" and (path := self.parameters.get("address")):
            return f"unix:{path}"
        return self.text


def url(address: str, port: int, *, is_secure: bool) -> str:
    """What is served at this IP address and TCP port."""
    host = f"[{address}]" if ":" in address else address
    return f"http{'s' if is_secure else ''}://{host}:{port}/"


def _split(text: str) -> tuple[list[str], dict[str, str]]:
    """The words of a string and its parameters with names, as ``twisted.internet.endpoints`` splits it."""
    piece = [""]
    pieces = [piece]
    for escaped, plain in re.findall(r"\\(.)|(.)", text, re.DOTALL):
        if plain == ":":
            pieces.append(piece := [""])
        elif plain == "=" and len(piece) == 1:
            piece.append("")
        elif plain == "\\":
            raise Malformed("it ends in a backslash")
        else:
            piece[-1] += escaped or plain
    return [each[0] for each in pieces if len(each) == 1], {each[0]: each[1] for each in pieces if len(each) == 2}
