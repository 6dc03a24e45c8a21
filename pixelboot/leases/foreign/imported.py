"""What comes out of a file of leases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pixelboot.leases.lease import Lease

LATEST = 253_402_300_799.0
"""The last second that a calendar has, of the year 9999; what is later is no instant."""


class Imported(NamedTuple):
    """The leases of a file, as far as they are any of ours."""

    leases: tuple[Lease, ...]
    """One an address, in the order of the file."""

    notes: tuple[str, ...]
    """What in the file was passed over, for a person; a line each."""


def identity(htype: int, hwaddr: bytes, client_id: bytes) -> str:
    """The key of a machine: by its network card, else by its client identifier (see `pixelboot.dhcp.client`)."""
    if hwaddr:
        return f"hw:{htype:02x}:{hwaddr.hex(':')}"
    return f"id:{client_id.hex()}" if client_id else ""


def latest(leases: Iterable[Lease]) -> tuple[Lease, ...]:
    """One lease an address: of several, the last."""
    by_address: dict[int, Lease] = {}
    for lease in leases:
        number = int(lease.address)
        by_address.pop(number, None)
        by_address[number] = lease
    return tuple(by_address.values())
