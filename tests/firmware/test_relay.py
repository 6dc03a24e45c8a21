"""Machines behind a router and a relay agent: clients that people run, and firmware; dhcrelay and dnsmasq as agents."""

from __future__ import annotations

from collections.abc import Sequence

from lab import needs
from lab.clients.message import NOWHERE, RELAY
from lab.clients.programs import NEEDS, Dhclient, Udhcpc
from lab.machine import qemu
from lab.machine.firmware import Firmware
from lab.network import router_advertisement
from lab.network.capture import Capture, Step
from lab.network.namespace import SERVER_ADDRESS, Segment
from lab.network.router import FAR_ADDRESS, FAR_BRIDGE, Router
from lab.servers.relay import RELAYS, dhcrelay
from tests.firmware.case import BootCase, LabCase
from tests.firmware.test_dhcp_clients import PATIENCE, remember_another_network

SITE = """\
state = "{folder}/state"

[dhcp]
mode = "server"
interface = ["br0"]

[[dhcp.subnet]]
network = "10.77.0.0/24"
pool = ["10.77.0.100-10.77.0.199"]

[[dhcp.subnet]]
network = "10.78.0.0/24"
pool = ["10.78.0.100-10.78.0.199"]
router = "10.78.0.1"
lease_time = 600

[boot]
default = "demo"
timeout = 0.3

[http]
listen = "tcp:8080"
root = "{folder}/containers"
"""

SEVERAL = SITE.replace('["br0"]', '["br0", "br1"]').replace('router = "10.78.0.1"\n', "")
"""The same two networks, and the server has an interface in each."""


class ClientTests(LabCase):
    """One server, one router, one relay agent after the other."""

    programs = (*needs.NETWORK, *NEEDS, *RELAYS, "tcpdump")

    def setUp(self) -> None:
        """Start a server, and make a router."""
        super().setUp()
        self.log = self.running(self.serve(config=SITE.format(folder=self.network.folder)).start())
        self.router = Router(self.network)

    def test_relays(self) -> None:
        """D07, D12, D27, R01: a lease by way of the agent, renewed past it; who comes from elsewhere is refused."""
        for name, relay in RELAYS.items():
            capture = Capture(self.network.segment, name)
            with relay(self.router):
                self.leased_and_renewed(name)
                self.refused(name)
            self.judge(name, capture.stop())

    def leased_and_renewed(self, name: str) -> None:
        """udhcpc gets an address of its own network, and goes straight to the server to keep it."""
        client = Udhcpc(self.router.segment.client(), self.network.folder)
        process = self.running(client.start())
        bound = client.wait("BOUND", PATIENCE)
        self.assertRegex(bound["address"], r"^10\.78\.0\.1\d\d$", name)
        self.assertEqual((bound["router"], bound["lease"]), (FAR_ADDRESS, "600"), name)
        client.renew()
        self.assertEqual(client.wait("RENEW", PATIENCE)["address"], bound["address"], name)
        client.release()
        self.log.wait_for(rf"dhcp#info\] .* released {bound['address']}", PATIENCE)
        process.stop()

    def refused(self, name: str) -> None:
        """dhclient, which holds an address of another network, hears so from the server, and gets another."""
        client = Dhclient(self.router.segment.client(), self.network.folder)
        remember_another_network(client)
        process = self.running(client.start())
        process.wait_for("DHCPNAK", PATIENCE)
        self.assertRegex(client.wait("BOUND", PATIENCE)["address"], r"^10\.78\.0\.1\d\d$", name)
        process.stop()

    def judge(self, name: str, steps: Sequence[Step]) -> None:
        """What was relayed is answered to the agent, with its octets; what was not, to the machine (D07, D12, R01)."""
        relayed = {step.message.xid: step.message for step in steps if step.message.giaddr != NOWHERE}
        self.assertEqual({str(message.giaddr) for message in relayed.values()}, {FAR_ADDRESS}, name)
        for step in steps:
            message = step.message
            if message.op == 2 and message.xid in relayed and message.giaddr != NOWHERE:
                self.assertEqual((str(step.destination), step.ports), (FAR_ADDRESS, (67, 67)), f"{name}: {step.what}")
                self.assertEqual(message.server, b"\x0a\x4d\x00\x01", f"{name}: {step.what}")
                if step.what == "NAK":
                    self.assertTrue(message.flags & 0x8000, f"{name}: the agent shall broadcast a NAK")
        asked = [step for step in steps if step.message.op == 1 and step.message.giaddr != NOWHERE]
        circuits = {step.message.options.get(RELAY, b"") for step in asked}
        answered = {step.message.options.get(RELAY, b"") for step in steps if step.message.op == 2}
        if name == "dhcrelay":
            self.assertIn(FAR_BRIDGE.encode(), b"".join(circuits), "dhcrelay says where a machine is plugged in")
            self.assertEqual(answered, circuits | {b""}, "and hears it again; renewals are without")
        said = {(step.what, step.message.giaddr != NOWHERE) for step in steps}
        for what in ("OFFER", "ACK", "NAK"):
            self.assertIn((what, True), said, name)
        self.assertIn(("ACK", False), said, f"{name}: a renewal is answered to the machine itself")


class FirmwareTests(BootCase):
    """Machines on other networks than the server's first."""

    programs = (*BootCase.programs, *Firmware.UEFI.needs, "dhcrelay")

    def boot_at_once(self, machines: Sequence[tuple[int, Segment, Firmware]]) -> None:
        """Boot machines side by side; each runs what was packed."""
        powered = [
            self.running(qemu.power_on(segment, qemu.identity(number), firmware))
            for number, segment, firmware in machines
        ]
        for each in powered:
            self.assert_booted(each)

    def test_relayed(self) -> None:
        """A BIOS with iPXE and UEFI boot through a router, whose relay agent says where they are."""
        log = self.running(self.serve(self.containers, SITE.format(folder=self.network.folder)).start())
        router = Router(self.network)
        self.enterContext(router_advertisement.answering(router.home, FAR_BRIDGE))
        self.enterContext(dhcrelay(router))
        self.boot_at_once([(1, router.segment, Firmware.IPXE), (2, router.segment, Firmware.UEFI)])
        for number in (1, 2):
            log.wait_for(rf"{qemu.identity(number).hwaddr} .*has 10\.78\.0\.1\d\d", 1.0)

    def test_two_interfaces(self) -> None:
        """A machine on each of two networks: each is sent to the server's address on its own."""
        other = Segment(self.network.server, "br1", "10.78.0.1/24", self.network)
        self.enterContext(router_advertisement.answering(self.network.server, "br1"))
        log = self.running(self.serve(self.containers, SEVERAL.format(folder=self.network.folder)).start())
        self.boot_at_once([(1, self.network.segment, Firmware.IPXE), (2, other, Firmware.IPXE)])
        for number, network, address in ((1, "10.77.0", SERVER_ADDRESS), (2, "10.78.0", FAR_ADDRESS)):
            hwaddr = qemu.identity(number).hwaddr
            log.wait_for(rf"{hwaddr} .*offered {network}\.1\d\d, boots http://{address}:8080/", 1.0)
            log.wait_for(rf"{hwaddr} .*has {network}\.1\d\d", 1.0)
