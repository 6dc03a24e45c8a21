"""Which ``[[host]]`` sent a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pixelboot.boot.machine import Machine
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.relay import RelayInformation
from pixelboot.dhcp.message.wire import Message
from pixelboot.dhcp.settings.host import HostSettings

_CLIENT_IDENTIFIER = int(Option.CLIENT_IDENTIFIER)
"""A plain number is looked up faster than the member of an enumeration."""


class Known(NamedTuple):
    """A host that a request is from."""

    number: int
    """Where it stands in the settings, from 0."""

    host: HostSettings
    """What they say of it."""

    identity: str
    """The key of the lease of the address that is kept for it: the same by whichever of its keys it is told."""


class Hosts:
    """All hosts by their keys.  Where one request fits several, it is from the first in the settings."""

    def __init__(self, hosts: Sequence[HostSettings]) -> None:
        self._by_mac: dict[bytes, Known] = {}
        self._by_client_id: dict[bytes, Known] = {}
        self._by_uuid: dict[bytes, Known] = {}
        self._by_circuit: dict[bytes, Known] = {}
        for number, host in enumerate(hosts):
            known = Known(number, host, identity(host))
            if host.mac is not None:
                self._by_mac[host.mac.octets] = known
            if host.client_id is not None:
                self._by_client_id[host.client_id] = known
            if host.uuid is not None:
                # Firmware sends the first three parts in either order of octets (SMBIOS 2.6 §7.2.1).
                self._by_uuid[host.uuid.bytes] = self._by_uuid[host.uuid.bytes_le] = known
            if host.circuit is not None:
                self._by_circuit[host.circuit] = known

    def find(self, request: Message, machine: Machine, relay: RelayInformation | None) -> Known | None:
        """The host that sent `request`, by what `machine` and `relay` make of it; None for a stranger."""
        known = None
        if self._by_mac and machine.hwaddr is not None:
            known = self._by_mac.get(machine.hwaddr.octets)
        if self._by_client_id and _CLIENT_IDENTIFIER in request.options:
            known = _first(known, self._by_client_id.get(request.options[_CLIENT_IDENTIFIER]))
        if self._by_uuid and machine.uuid is not None:
            known = _first(known, self._by_uuid.get(machine.uuid))
        if self._by_circuit and relay is not None:
            known = _first(known, self._by_circuit.get(relay.circuit_id))
        return known


def _first(one: Known | None, other: Known | None) -> Known | None:
    """Which of the two stands first in the settings."""
    if one is None or other is None:
        return one or other
    return min(one, other, key=lambda known: known.number)


def identity(host: HostSettings) -> str:
    """The key of a host's own lease.  One by its hardware address is that which strangers have."""
    if host.mac is not None:
        return f"hw:01:{host.mac}"
    if host.client_id is not None:
        return f"id:{host.client_id.hex()}"
    if host.uuid is not None:
        return f"uuid:{host.uuid.hex}"
    return f"circuit:{host.circuit.hex()}" if host.circuit is not None else ""
