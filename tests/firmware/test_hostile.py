"""A hundred thousand mutated requests to a server that runs."""

from __future__ import annotations

import json
import struct
import sys
from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from lab.clients import message
from lab.clients.message import ACK, DISCOVER, NAK, OFFER
from lab.network.namespace import BRIDGE
from tests.firmware.case import LabCase
from tests.firmware.hostile import wrong
from tests.firmware.test_storm import memory

COUNT = 100_000

SITE = """\
state = "{folder}/state"

[dhcp]
mode = "server"
interface = "br0"
trust_relay_information = true
rapid_commit = true
bootp = false
leasequery = ["10.77.0.0/24"]
decline_time = 60
offer_time = 30

[[dhcp.subnet]]
network = "10.77.0.0/24"
pool = ["10.77.0.64-10.77.0.254"]
router = "10.77.0.1"
dns = ["10.77.0.1"]
domain = "lab.example"

[[dhcp.subnet]]
network = "198.51.100.0/24"
pool = ["198.51.100.64-198.51.100.254"]
router = "198.51.100.1"
"""


class HostileTests(LabCase):
    """Whatever comes, the server lives, answers those who keep the rules, and says nothing that it must not."""

    def test_mutations(self) -> None:
        """D01, D02, D06: replies are sound; no exchange ends in an error; the memory stays what it was."""
        server = self.serve(config=SITE.format(folder=self.network.folder))
        log = self.running(server.start())
        client = self.network.client()
        # The relay agent of the captures is at the client's; nobody answers ARP there.
        hwaddr = client.run("cat", "/sys/class/net/eth0/address").strip()
        home = self.network.server
        home.ip("route", "add", "198.51.100.0/24", "via", "10.77.0.50", "dev", BRIDGE)
        home.ip("neighbour", "replace", "10.77.0.50", "lladdr", hwaddr, "dev", BRIDGE)
        attack = [sys.executable, "-m", "tests.firmware.hostile", "eth0"]
        client.run(*attack, "1", "2000", timeout=60.0)
        before = memory(log)
        attacking = self.running(client.start("hostile", *attack, "2132", str(COUNT)))
        self.assertEqual(attacking.wait(240.0), 0, f"{attacking.tail()}\n{log.tail()}")
        heard = json.loads(attacking.lines[-1].text)
        self.assertEqual(heard.pop("errors"), 0, attacking.tail())
        for kind in (OFFER, ACK, NAK):
            self.assertGreater(heard.get(str(kind), 0), COUNT // 1000, f"{heard}: most are not even answered")
        self.assertLess(memory(log) - before, 32 << 20)
        wrong = [line.text for line in log.lines if "Traceback" in line.text or "#critical" in line.text]
        self.assertEqual(wrong, [], log.tail())
        self.assertEqual(server.status()["counts"].get("dhcp.Failed", 0), 0)


class VerdictTests(SynchronousTestCase):
    """The judge itself: a reply that breaks a rule is found out."""

    def reply(self, kind: int, address: str, options: dict[int, bytes], op: int = 2) -> message.Message:
        """A server's message, read back."""
        octets = bytearray(message.request(kind, 1, b"\2\0\0\0\0\1", {54: b"\x0a\x4d\0\1", **options}))
        octets[0] = op
        octets[16:20] = IPv4Address(address).packed
        return message.decode(bytes(octets))

    def test_wrong(self) -> None:
        """Each breach is named; what is none is not."""
        lease = {51: struct.pack("!I", 600)}
        cases = [
            ("an OFFER", self.reply(OFFER, "10.77.0.100", lease), 300, 0),
            ("an ACK of INFORM", self.reply(ACK, "0.0.0.0", {}), 300, 0),
            ("a NAK", self.reply(NAK, "0.0.0.0", {56: b"why"}), 300, 0),
            ("short", self.reply(OFFER, "10.77.0.100", lease), 299, 1),
            ("a request", self.reply(OFFER, "10.77.0.100", lease, op=1), 300, 1),
            ("a machine's message", self.reply(DISCOVER, "10.77.0.100", lease), 300, 1),
            ("an address without a lease", self.reply(ACK, "10.77.0.100", {}), 300, 1),
            ("a lease without an address", self.reply(ACK, "0.0.0.0", lease), 300, 1),
            ("of another network", self.reply(OFFER, "10.9.0.1", lease), 300, 1),
            ("a machine's option", self.reply(OFFER, "10.77.0.100", {**lease, 50: bytes(4)}), 300, 1),
            ("a NAK with an address", self.reply(NAK, "10.77.0.100", {}), 300, 1),
            ("a NAK with a mask", self.reply(NAK, "0.0.0.0", {1: b"\xff\xff\xff\0"}), 300, 1),
            ("no server", self.reply(OFFER, "10.77.0.100", {**lease, 54: b""}), 300, 1),
        ]
        for name, reply, size, breaches in cases:
            self.assertEqual(len(list(wrong(reply, size, frozenset({bytes((0, 0, 0, 1))})))), breaches, name)
        offer = self.reply(OFFER, "10.77.0.100", lease)
        self.assertEqual(len(list(wrong(offer, 300, frozenset()))), 1, "nobody asked")
