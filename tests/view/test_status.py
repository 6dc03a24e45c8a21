"""Tests of `pixelboot.view.status`: real services, asked how they are before, while and after they run."""

from __future__ import annotations

import json
import math
import os
import random
from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pixelboot import __version__
from pixelboot.config import build
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.wire import MessageType
from pixelboot.dhcp.network.network import Network
from pixelboot.dhcp.settings.dhcp import DhcpSettings
from pixelboot.dhcp.settings.host import HostSettings
from pixelboot.hwaddr import HardwareAddress
from pixelboot.leases.lease import Claim, Lease, State
from pixelboot.library.tree import Absent, Asker
from pixelboot.payload import Payload
from pixelboot.site import read
from pixelboot.tftp.service import TftpService
from pixelboot.udp.changes import PAUSE, POLL
from pixelboot.view import status as status_module
from pixelboot.view.status import (
    MOST_LEASES,
    SLICE,
    Status,
    describe_dhcp,
    describe_process,
    describe_tftp,
)
from tests.dhcp.lan import say
from tests.dhcp.test_service import HERE, ServiceCase, address
from tests.running import free_udp_port

reactor = cast("Any", _reactor)
NOW = 1_000_000.0


def lease(of: str | IPv4Address, state: State = State.BOUND, **others: Any) -> Lease:
    """The lease of an address."""
    made = Lease(IPv4Address(of), f"hw:01:{of}", "02:aa", state, NOW, NOW + 600, "", NOW)
    return made._replace(**others)


class ProcessTests(SynchronousTestCase):
    """`describe_process`."""

    def test_process(self) -> None:
        """Who runs, since when, and what it has counted; the lists are there to be added to."""
        counts = Counter({"dhcp.Bound": 2})
        status = describe_process("/s", 2.5, counts)
        self.assertEqual(
            status,
            {
                "version": __version__,
                "pid": os.getpid(),
                "state": "/s",
                "uptime": 2.5,
                "counts": {"dhcp.Bound": 2},
                "services": [],
                "containers": [],
                "container_counts": {},
                "leases": [],
                "lease_counts": {},
                "neighbours": [],
            },
        )
        counts["dhcp.Bound"] += 1
        self.assertEqual(status["counts"], {"dhcp.Bound": 2})
        self.assertEqual(json.loads(json.dumps(status)), status)
        status["leases"].append(1)
        self.assertEqual(describe_process("/s", 0.0, {})["leases"], [])


class DhcpTests(ServiceCase):
    """`describe_dhcp`."""

    def setUp(self) -> None:
        super().setUp()
        self.turns = 0

    async def turn(self) -> None:
        """Let others have a turn."""
        self.turns += 1

    def describe(self, mode: str = "server") -> Status:
        """What is said of the service; all of it can be JSON."""
        status = self.successResultOf(Deferred.fromCoroutine(describe_dhcp(self.service, mode, self.turn)))
        self.assertEqual(json.loads(json.dumps(status, allow_nan=False)), status)
        return status

    def lines(self, mode: str = "server") -> list[tuple[str, str, str]]:
        """The lines of the services."""
        return [(each["name"], each["listening"], each["about"]) for each in self.describe(mode)["services"]]

    def give(self, *leases: Lease) -> None:
        """Let these leases be known."""
        adopting = Deferred.fromCoroutine(self.leases.adopt(leases, NOW))
        self.assertEqual(self.successResultOf(adopting), len(leases))

    def test_life(self) -> None:
        """The leases are being opened; then the interface is served; after the stop nothing is."""
        ports = f"lo udp {self.numbers[0]}, {self.numbers[1]}"
        free = ("dhcp server", "127.0.0.0/24", "0 of 42 addresses leased")
        self.service.startService()
        self.assertEqual(self.lines(), [("dhcp", ports, "opening its leases"), free])
        self.opening.callback(self.leases)
        self.assertEqual(self.lines(), [("dhcp", ports, "as 127.0.0.1"), free])
        self.machine["lo"] = replace(self.machine["lo"], addresses=(HERE, address(60)))
        self.readers.pump([PAUSE, POLL])
        self.assertEqual(self.lines()[0], ("dhcp", ports, "as 127.0.0.1, 127.0.0.60"))
        self.stop()
        self.assertEqual(self.lines()[0], ("dhcp", "nowhere", "no interface has an address in a subnet"))

    def test_an_interface_that_is_waited_for(self) -> None:
        """It is told why."""
        self.start()
        lo = self.machine.pop("lo")
        for there, reason in (
            ({}, "there is no such interface"),
            ({"lo": replace(lo, addresses=())}, "it has no IPv4 address"),
        ):
            self.machine.update(there)
            self.readers.pump([PAUSE, POLL])
            self.assertEqual(self.lines()[0], ("dhcp", "lo", f"waiting: {reason}"))
        self.stop()

    def test_networks(self) -> None:
        """A line each: what is leased of the pool, and what is not of the pool; a proxy gives none."""
        office = {"mode": "server", "shared": "office"}
        subnets: list[dict[str, object]] = [
            {"network": "10.1.0.0/24", "pool": ["10.1.0.10-10.1.0.19"], **office},
            {"network": "10.2.0.0/24", "pool": ["10.2.0.10", "10.2.0.20-10.2.0.29"], **office},
            {"network": "10.3.0.0/24"},
            {"network": "10.4.0.0/24", "mode": "off"},
            {"network": "10.5.0.0/24", "pool": ["10.5.0.10-10.5.0.19"], "mode": "server"},
        ]
        site = build(DhcpSettings, {"subnet": subnets})
        hosts = [HostSettings(name="printer", mac=HardwareAddress(b"\2\0\0\0\0\1"), address=IPv4Address("10.1.0.11"))]
        self.service.listening.stop()
        self.service = self.serving(site)
        self.service.network = Network(site, hosts)
        self.start()
        bound = ("10.1.0.9", "10.1.0.10", "10.1.0.11", "10.1.0.19", "10.1.0.20", "10.2.0.10", "10.2.0.25", "10.2.0.30")
        self.give(*(lease(each) for each in (*bound, "10.3.0.10", "10.5.0.19", "10.6.0.10")))
        self.give(*(lease(each, State.EXPIRED) for each in ("10.1.0.12", "10.5.0.10")))
        shared = "office: 10.1.0.0/24, 10.2.0.0/24"
        for size in (status_module.SLICE, 1, 3):
            self.patch(status_module, "SLICE", size)
            self.assertEqual(
                self.lines("proxy")[1:],
                [
                    ("dhcp server", shared, "4 of 20 addresses leased, and 4 outside the pool"),
                    ("dhcp proxy", "10.3.0.0/24", "says what to boot, gives no addresses"),
                    ("dhcp server", "10.5.0.0/24", "1 of 10 addresses leased"),
                    ("dhcp proxy", "every other network", "says what to boot, gives no addresses"),
                ],
            )
        self.stop()

    def test_what_else_uses_a_pool(self) -> None:
        """Offers and quarantines are told where there are any; those outside the pool are none of its."""
        self.start()
        free = [str(address(n)) for n in range(256) if address(n) in self.service.network.links[0].pool]
        outside = next(str(address(n)) for n in range(1, 255) if str(address(n)) not in free)
        self.give(*(lease(each) for each in free[:2]), *(lease(each, State.EXPIRED) for each in free[2:4]))
        self.assertEqual(self.lines()[-1][2], "2 of 42 addresses leased")
        self.give(*(lease(each, State.DECLINED) for each in (*free[4:11], outside)))
        self.assertEqual(self.lines()[-1][2], "2 of 42 addresses leased; 7 in quarantine")
        claim = Claim("hw:new", "mac", self.service.network.links[0].pool)
        self.successResultOf(Deferred.fromCoroutine(self.leases.offer(claim, None, NOW, 60.0)))
        self.assertEqual(self.lines()[-1][2], "2 of 42 addresses leased; 1 offered, 7 in quarantine")
        self.stop()

    def test_trouble_comes_first(self) -> None:
        """While no lease can be given, that is the first thing said of the service."""
        self.start()
        well = self.lines()
        trouble = "for 12 s: /s/leases.sqlite: database or disk is full"
        self.patch(type(self.leases), "trouble", trouble)
        self.assertEqual(self.lines(), [("dhcp", "no leases", f"gives no leases {trouble}"), *well])
        self.stop()

    def test_a_proxy_without_settings(self) -> None:
        """It has no leases and serves whatever network there is."""
        self.service.listening.stop()
        self.service = self.serving(DhcpSettings())
        self.service.startService()
        ports = f"lo udp {self.numbers[0]}, {self.numbers[1]}"
        told = ("dhcp proxy", "", "says what to boot, gives no addresses")
        self.assertEqual(self.lines("proxy"), [("dhcp", ports, "as 127.0.0.1"), told])
        status = self.describe("proxy")
        self.assertEqual((status["leases"], status["lease_counts"], status["neighbours"]), ([], {}, []))
        self.successResultOf(self.service.stopService())

    def test_leases(self) -> None:
        """They stand in the order of their addresses, each with all that there is to say of it."""
        self.start()
        self.give(
            lease("127.0.0.20", expires_at=math.inf),
            lease("127.0.0.9", hostname="node"),
            lease("127.0.0.100", State.RELEASED),
        )
        status = self.describe()
        self.assertEqual([each["address"] for each in status["leases"]], ["127.0.0.9", "127.0.0.20", "127.0.0.100"])
        self.assertEqual([each["expires_at"] for each in status["leases"]], [NOW + 600, None, NOW + 600])
        self.assertEqual(status["lease_counts"], {"bound": 2, "released": 1})
        self.assertEqual(
            status["leases"][0],
            {
                "address": "127.0.0.9",
                "identity": "hw:01:127.0.0.9",
                "hwaddr": "02:aa",
                "hostname": "node",
                "state": "bound",
                "started_at": NOW,
                "expires_at": NOW + 600,
            },
        )
        self.stop()

    def test_very_many_leases(self) -> None:
        """The first are told one by one, all are counted, and others have a turn again and again."""
        self.start()
        numbers = list(range(int(IPv4Address("10.0.0.0")), int(IPv4Address("10.0.0.0")) + 3 * SLICE))
        random.Random(7).shuffle(numbers)
        states = [State.BOUND, State.EXPIRED]
        self.give(*(lease(IPv4Address(number), states[number % 2]) for number in numbers))
        status = self.describe()
        first = [str(IPv4Address("10.0.0.0") + number) for number in range(MOST_LEASES)]
        self.assertEqual([each["address"] for each in status["leases"]], first)
        self.assertEqual(status["lease_counts"], {"bound": 1.5 * SLICE, "expired": 1.5 * SLICE})
        self.assertEqual(self.turns, 3)
        self.stop()

    def test_other_servers(self) -> None:
        """What was noticed of them."""
        self.start()
        offer = say(MessageType.OFFER, 1, {54: address(2).packed}, op=wire.Op.REPLY, yiaddr=address(40), xid=7)
        for _ in range(2):
            self.service.overheard(wire.encode(offer), "lo", address(2), HardwareAddress(b"\2\0\0\0\0\2"))
        self.assertEqual(
            self.describe()["neighbours"],
            [
                {
                    "address": "127.0.0.2",
                    "cards": ["02:00:00:00:00:02"],
                    "places": ["lo"],
                    "gives": ["addresses"],
                    "first_seen_at": self.now,
                    "last_seen_at": self.now,
                    "times": 2,
                    "expected": False,
                }
            ],
        )
        self.stop()


class Nothing:
    """No files."""

    def at_hand(self, name: str, asker: Asker, asked_at: float) -> Payload | None:
        """There are none."""
        raise Absent(name)

    async def open(self, name: str, asker: Asker) -> Payload:
        """As above."""
        raise Absent(name)


class TftpTests(TestCase):
    """`describe_tftp`."""

    async def test_transfers(self) -> None:
        """What is served, where, from which ports it is sent, and where files may be left."""
        tftp = {"port": free_udp_port(), "address": "127.0.0.1", "address6": "::1"}
        tftp["write"] = [{"folder": "dumps"}, {"path": "/srv/crash"}]
        settings = read({"tftp": tftp}).tftp
        service = TftpService(reactor, settings, Nothing(), self.fail, lambda address: None, "/r")
        service.listen()
        service.startService()
        self.addCleanup(service.stopService)
        for root, serves in (("/r", "/r and the packaged loaders"), ("", "the packaged loaders")):
            ipv4, ipv6 = service.listening
            lines = (await describe_tftp(service, root))["services"]
            self.assertEqual([line["listening"] for line in lines[:2]],
                             [f"127.0.0.1 udp {settings.port}", f"::1 udp {settings.port}"])  # fmt: skip
            self.assertEqual(lines[0]["about"], f"files from udp {ipv4.data_port}, 0 transfers, serves {serves}")
            self.assertEqual(lines[1]["about"], f"files from udp {ipv6.data_port}")
            self.assertEqual(
                [line["about"] for line in lines[2:]],
                ["names in dumps, kept in /r/dumps", "names without a folder, kept in /srv/crash"],
            )
