"""Tests of `pixelboot.view.adoption`: whose addresses can be whose."""

from __future__ import annotations

from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import build
from pixelboot.dhcp.network.network import Network
from pixelboot.dhcp.settings.dhcp import DhcpSettings
from pixelboot.dhcp.settings.host import HostSettings
from pixelboot.leases.lease import Lease, State
from pixelboot.view.adoption import Adoption

MAC = "02:aa:00:00:00:01"
UUID = "4c4c4544-0035-5a10-8051-b7c04f563358"
SETTINGS = {
    "mode": "server",
    "interface": "lo",
    "subnet": [
        {"network": "10.77.0.0/24", "pool": ["10.77.0.10-10.77.0.199"], "router": "10.77.0.1"},
        {"network": "10.78.0.0/24", "pool": ["10.78.0.10-10.78.0.199"], "identity": "client-id"},
        {"network": "10.79.0.0/24", "mode": "proxy"},
    ],
}
HOSTS = (
    {"name": "node1", "mac": MAC, "address": "10.77.0.5"},
    {"name": "node2", "client_id": "00:6e:32", "address": "10.77.0.20"},
    {"name": "node3", "circuit": "hex:01", "address": "10.77.0.21"},
    {"name": "node4", "uuid": UUID, "address": "10.77.0.22"},
    {"name": "node5", "mac": "02:aa:00:00:00:05", "client_id": "00:6e:35", "address": "10.77.0.23"},
)


def lease(address: str, mac: str = MAC, client_id: bytes = b"") -> Lease:
    """A lease of another server."""
    identity = f"hw:01:{mac}" if mac else f"id:{client_id.hex()}"
    return Lease(IPv4Address(address), identity, mac, State.BOUND, 1.0, 9.0, "", 1.0, client_id)


class AdoptionTests(SynchronousTestCase):
    """`Adoption`."""

    def setUp(self) -> None:
        hosts = tuple(build(HostSettings, each) for each in HOSTS)
        network = Network(build(DhcpSettings, SETTINGS), hosts)
        network.own([IPv4Address("10.77.0.30")])
        self.adoption = Adoption(network, hosts)

    def test_key(self) -> None:
        """That which the machine will have when it comes again."""
        for brought, identity in (
            (lease("10.77.0.50"), f"hw:01:{MAC}"),
            (lease("10.77.0.50", client_id=b"\1x"), f"hw:01:{MAC}"),
            (lease("10.78.0.50", client_id=b"\1x"), "id:0178"),
            (lease("10.78.0.50", client_id=b"\1"), f"hw:01:{MAC}"),
            (lease("10.78.0.50"), f"hw:01:{MAC}"),
            (lease("10.77.0.50", mac="", client_id=b"\1x"), "id:0178"),
            (lease("10.77.0.5"), f"hw:01:{MAC}"),
            (lease("10.77.0.20", client_id=b"\0n2"), "id:006e32"),
            (lease("10.77.0.21")._replace(circuit=b"\1"), "circuit:01"),
            (lease("10.77.0.22")._replace(identity=f"uuid:{UUID.replace('-', '')}"), f"uuid:{UUID.replace('-', '')}"),
            (lease("10.77.0.23", client_id=b"\0n5"), "hw:01:02:aa:00:00:00:05"),
        ):
            placed = self.adoption.placed(brought)
            assert not isinstance(placed, str), placed
            self.assertEqual(placed, brought._replace(identity=identity))

    def test_nobody_s(self) -> None:
        for brought, why in (
            (lease("192.0.2.1"), "it is outside every subnet"),
            (lease("10.79.0.5"), "its subnet 10.79.0.0/24 is served by another server (mode proxy)"),
            (lease("10.77.0.1"), "it is the router"),
            (lease("10.77.0.30"), "it is an address of this server"),
            (lease("10.77.0.200"), "it is in no pool of 10.77.0.0/24"),
            (lease("10.77.0.255"), "it is in no pool of 10.77.0.0/24"),
            (lease("10.77.0.5", "02:aa:00:00:00:02"), "it is kept for the host node1"),
            (lease("10.77.0.20"), "it is kept for the host node2"),
            (lease("10.77.0.21"), "it is kept for the host node3"),
            (lease("10.77.0.22"), "it is kept for the host node4"),
        ):
            self.assertEqual(self.adoption.placed(brought), why, brought.address)
