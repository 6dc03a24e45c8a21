"""udhcpc, dhclient and dhcpcd through the whole life of a lease, against the real server: all three at once.

What each asks for is read off the wire, for the programs say less than they do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby

from lab import needs
from lab.clients.message import NOWHERE, REQUEST
from lab.clients.programs import NEEDS, PROGRAMS, Client, Dhclient
from lab.network.capture import Capture, Step
from lab.network.namespace import BRIDGE, SERVER_ADDRESS
from lab.process import Process
from lab.servers.pixelboot import PixelbootServer
from tests.firmware.case import LabCase, addresses

MOVED = "10.77.0.9"
"""The server's address after it has moved."""

SITE = """\
state = "{folder}/state"

[dhcp]
mode = "server"
interface = "br0"

[[dhcp.subnet]]
network = "10.77.0.0/24"
pool = ["10.77.0.100-10.77.0.199"]
router = "10.77.0.2"
lease_time = 60
renewal = 0.1
rebinding = 0.2
"""
"""Leases are renewed after 6 s and rebound after 12 s, so that nobody waits for long."""

PATIENCE = 30.0

_FOREIGN_LEASE = """\
lease {{
  interface "eth0";
  fixed-address 192.168.99.5;
  option subnet-mask 255.255.255.0;
  option dhcp-lease-time 86400;
  option dhcp-message-type 5;
  option dhcp-server-identifier 192.168.99.1;
  renew epoch {later};
  rebind epoch {later};
  expire epoch {later};
}}
"""
"""What dhclient remembers of another network, where it was a moment ago; `later` in seconds since 1970."""


def remember_another_network(client: Dhclient) -> None:
    """Let dhclient hold a lease of a network that it is not on any more."""
    client.leases.write_text(_FOREIGN_LEASE.format(later=int(time.time()) + 86400))


def state(step: Step) -> str:
    """What a client's message is; a REQUEST is named after the client's state (RFC 2131 §4.3.2)."""
    message = step.message
    if message.kind != REQUEST:
        return step.what
    if message.server:
        return "SELECTING"
    if message.requested is not None:
        return "INIT-REBOOT"
    return "REBINDING" if str(step.destination) == "255.255.255.255" else "RENEWING"


class LifeTests(LabCase):
    """One network, one server, three clients."""

    programs = (*needs.NETWORK, *NEEDS, "tcpdump")

    def setUp(self) -> None:
        """Start a server, and prepare the clients."""
        super().setUp()
        self.server: PixelbootServer = self.serve(config=SITE.format(folder=self.network.folder))
        self.log = self.running(self.server.start())
        # dhcpcd runs scripts as root, but its own files are those of an unprivileged user.
        self.network.folder.chmod(0o711)
        self.clients = [each(self.network.client(), self.network.folder) for each in PROGRAMS]
        self.capture = Capture(self.network.segment, "clients")

    def start(self, client: Client) -> None:
        """Start a client; it is stopped at the test's end."""
        self.running(client.start())

    def test_life(self) -> None:
        """D05, D08, D30, D31, D33: lease, renewal, restart, rebinding, somebody else at the address, release."""
        held = self.bound()
        self.renewed(held)
        self.restarted(held)
        self.rebound(held)
        held = self.declined(held)
        self.released(held)
        self.judge(self.capture.stop())

    def bound(self) -> dict[Client, str]:
        """Each gets an address of its own, with what belongs to it."""
        for client in self.clients:
            self.start(client)
        held = {}
        for client in self.clients:
            event = client.wait("BOUND", PATIENCE)
            self.assertRegex(event["address"], r"^10\.77\.0\.1\d\d$", client.name)
            self.assertEqual((event["router"], event["lease"]), ("10.77.0.2", "60"), client.name)
            held[client] = event["address"]
        self.assertEqual(len(set(held.values())), len(held), f"{held}")
        return held

    def renewed(self, held: dict[Client, str]) -> None:
        """Each keeps its address, when it is told to renew or at T1."""
        for client in held:
            client.renew()
        for client, address in held.items():
            self.assertEqual(client.wait("RENEW", PATIENCE)["address"], address, client.name)

    def restarted(self, held: dict[Client, str]) -> None:
        """Who remembers an address asks for it after a power cut."""
        remembering = [client for client in held if client.remembers]
        for client in remembering:
            assert client.process is not None
            client.process.kill()
            self.start(client)
        for client in remembering:
            self.assertEqual(client.wait("REBOOT", PATIENCE)["address"], held[client], client.name)

    def rebound(self, held: dict[Client, str]) -> None:
        """The server is gone, and another address answers with the same leases: whoever asks everybody is heard."""
        self.log.stop()
        self.network.server.ip("address", "del", f"{SERVER_ADDRESS}/24", "dev", BRIDGE)
        self.network.server.ip("address", "add", f"{MOVED}/24", "broadcast", "+", "dev", BRIDGE)
        for client in held:
            client.pass_over()
            client.renew()
        self.log = self.running(self.server.start())
        for client, address in held.items():
            self.assertEqual(client.wait("RENEW|REBIND", PATIENCE)["address"], address, client.name)

    def declined(self, held: dict[Client, str]) -> dict[Client, str]:
        """Somebody has taken their addresses while they were off: each declines it, and gets another."""
        squatter = self.network.client()
        for client, address in held.items():
            assert client.process is not None
            client.process.kill()
            client.namespace.ip("-4", "address", "flush", "dev", "eth0")
            squatter.ip("address", "add", f"{address}/24", "dev", "eth0")
        for client in held:
            self.start(client)
        others = {}
        for client, address in held.items():
            self.log.wait_for(rf"dhcp#warn\] .*{address}", PATIENCE)
            others[client] = client.wait("BOUND", PATIENCE)["address"]
        self.assertEqual(set(others.values()) & set(held.values()), set(), "what was declined rests")
        return others

    def released(self, held: dict[Client, str]) -> None:
        """Each gives its address back."""
        for client in held:
            client.release()
        for client, address in held.items():
            self.log.wait_for(rf"dhcp#info\] .* released {address}", PATIENCE)
            self.assertEqual(addresses(client.namespace), [], client.name)

    def judge(self, steps: Sequence[Step]) -> None:
        """All asked in all the ways that were meant, and were answered by the way that the standard says."""
        expected = "DISCOVER SELECTING RENEWING {}REBINDING {} DECLINE DISCOVER SELECTING RELEASE"
        for client in self.clients:
            hwaddr = bytes.fromhex(client.namespace.run("cat", "/sys/class/net/eth0/address").strip().replace(":", ""))
            mine = [step for step in steps if step.message.hwaddr == hwaddr]
            asked = [what for what, _ in groupby(state(step) for step in mine if step.message.op == 1)]
            reboot = "INIT-REBOOT" if client.remembers else ""
            missing = not_in_order(expected.format(f"{reboot} ", reboot or "DISCOVER SELECTING").split(), asked)
            self.assertEqual(missing, [], f"{client.name} asked {asked}")
            self.assertEqual([step.what for step in mine if step.what == "NAK"], [], client.name)
            for step in mine:
                if step.what == "ACK" and step.message.ciaddr != NOWHERE:
                    self.assertEqual(step.destination, step.message.ciaddr, f"{client.name}: an ACK of a renewal")
                if step.message.op == 2:
                    self.assertIn(step.message.server, (b"\x0a\x4d\x00\x01", b"\x0a\x4d\x00\x09"), client.name)


class ForeignTests(LabCase):
    """A machine that was carried from one network to another."""

    programs = (*needs.NETWORK, *NEEDS)

    def test_from_another_network(self) -> None:
        """D27: a client that holds an address of another network is refused it, and gets one of ours at once."""
        log: Process = self.running(self.serve().start())
        client = Dhclient(self.network.client(), self.network.folder)
        remember_another_network(client)
        dhclient = self.running(client.start())
        dhclient.wait_for(r"DHCPNAK", PATIENCE)
        self.assertRegex(client.wait("BOUND", PATIENCE)["address"], r"^10\.77\.0\.1\d\d$")
        log.wait_for(r"dhcp#warn\] .* refused: 192\.168\.99\.5", 5.0)


def not_in_order(wanted: Sequence[str], seen: Sequence[str]) -> list[str]:
    """What of `wanted` does not come in `seen`, one behind the other."""
    rest = iter(seen)
    for at, each in enumerate(wanted):
        if each not in rest:
            return list(wanted[at:])
    return []
