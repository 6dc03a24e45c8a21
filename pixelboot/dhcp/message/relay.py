"""Option 82, the relay agent information: where a client is plugged in, and how its relay wants to be answered.

The option goes back to the relay as it came (RFC 3046 §2.2); here it is only read.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import NamedTuple

from pixelboot.dhcp.message.options import RelayOption
from pixelboot.malformed import Malformed

_UNICAST = 0x80


class RelayInformation(NamedTuple):
    """What the relay next to the client said of it, and what it asks of the server."""

    circuit_id: bytes = b""
    """The port or circuit that the request came from, in the relay's own terms (RFC 3046 §3.1); empty if not said."""

    remote_id: bytes = b""
    """The other end of the circuit, in terms the relay's operator can trust (RFC 3046 §3.2); empty if not said."""

    link_selection: IPv4Address | None = None
    """An address of the link that the client is on, which then decides, not giaddr (RFC 3527)."""

    server_override: IPv4Address | None = None
    """What to send as option 54, so that renewals pass the relay, too (RFC 5107)."""

    flags: int | None = None
    """One octet; see `unicast` (RFC 5010)."""

    source_port: bool = False
    """Whether answers go to the port that the request came from, instead of 67 (RFC 8357)."""

    @property
    def unicast(self) -> bool | None:
        """Whether the relay received the request by unicast; None if it did not say (RFC 5010 §3)."""
        return None if self.flags is None else bool(self.flags & _UNICAST)


def read(value: bytes) -> RelayInformation:
    """Read option 82; sub-options that mean nothing to us are skipped.

    :raises Malformed: a length runs past the end, a sub-option that we follow has another size than its RFC says, or
        stands there twice: then nobody knows which of the two the relay wrote.
    """
    found: dict[int, bytes] = {}
    end = len(value)
    at = 0
    while at < end:  # unlike in a list of options, codes 0 and 255 mean nothing of their own (RFC 3046 §2.0)
        code = value[at]
        start = at + 2
        at = start + value[at + 1] if start <= end else end + 1
        if at > end:
            raise Malformed(f"sub-option {code} of option 82 runs past its end")
        if code in _SIZES:
            size = _SIZES[code]
            if code in found or (size is not None and at - start != size):
                raise Malformed(f"sub-option {code} of option 82 stands there twice or has a wrong size")
            found[code] = value[start:at]
    return RelayInformation(
        found.get(RelayOption.CIRCUIT_ID, b""),
        found.get(RelayOption.REMOTE_ID, b""),
        _address(found.get(RelayOption.LINK_SELECTION)),
        _address(found.get(RelayOption.SERVER_IDENTIFIER_OVERRIDE)),
        found[RelayOption.FLAGS][0] if RelayOption.FLAGS in found else None,
        RelayOption.SOURCE_PORT in found,
    )


_SIZES: dict[int, int | None] = {
    RelayOption.CIRCUIT_ID: None,
    RelayOption.REMOTE_ID: None,
    RelayOption.LINK_SELECTION: 4,
    RelayOption.FLAGS: 1,
    RelayOption.SERVER_IDENTIFIER_OVERRIDE: 4,
    RelayOption.SOURCE_PORT: 0,
}
"""How many octets the sub-options have that are followed; None for any number."""


def _address(octets: bytes | None) -> IPv4Address | None:
    return None if octets is None else IPv4Address(octets)
