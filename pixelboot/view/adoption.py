"""Whether a lease of another server can be one of this site: its address, and the key of its machine."""

from __future__ import annotations

from collections.abc import Sequence

from pixelboot.dhcp.network.hosts import identity
from pixelboot.dhcp.network.network import Network
from pixelboot.dhcp.network.scope import Link
from pixelboot.dhcp.settings.host import HostSettings
from pixelboot.leases.lease import Lease

SHORTEST_CLIENT_ID = 2
"""Octets of a client identifier (RFC 2132 §9.14)."""


class Adoption:
    """The places of one site."""

    def __init__(self, network: Network, hosts: Sequence[HostSettings]) -> None:
        """`hosts` are those of the settings, for which addresses are kept."""
        self._network = network
        self._kept = {host.address: host for host in hosts if host.address is not None}

    def placed(self, lease: Lease) -> Lease | str:
        """The lease with the key that its machine has here; a text says why nobody can have its address here."""
        address = lease.address
        link = next((each for each in self._network.links if each.subnet_of(address) is not None), None)
        subnet = None if link is None else link.subnet_of(address)
        if link is None or subnet is None:
            return "it is outside every subnet"
        if link.mode != "server":
            return f"its subnet {subnet.network} is served by another server (mode {link.mode})"
        if address == subnet.settings.router:
            return "it is the router"
        host = self._kept.get(address)
        if host is not None:
            if _is_of(host, lease):
                return lease._replace(identity=identity(host))
            return f"it is kept for the host {host.name or host.mac or ''}".strip()
        if address in link.pool.reserved:
            return "it is an address of this server"
        if address not in link.pool:
            return f"it is in no pool of {subnet.network}"
        return lease._replace(identity=_key(link, lease))


def _key(link: Link, lease: Lease) -> str:
    """The key of a machine as its link has it, as far as the lease tells; one by its hardware address else."""
    by_client_id = link.identity == "client-id" and lease.identity.startswith("hw:")
    if by_client_id and len(lease.client_id) >= SHORTEST_CLIENT_ID:
        return f"id:{lease.client_id.hex()}"
    return lease.identity


def _is_of(host: HostSettings, lease: Lease) -> bool:
    """Whether a lease is that of a host, by any of its keys; only a lease that was given here tells of a UUID."""
    return (
        lease.identity == identity(host)
        or (host.mac is not None and str(host.mac) == lease.hwaddr)
        or (host.client_id is not None and host.client_id == lease.client_id)
        or (host.circuit is not None and host.circuit == lease.circuit)
    )
