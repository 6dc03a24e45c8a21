"""Tests of `pixelboot.view.status`: real services, asked how they are before, while and after they run."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pixelboot import __version__
from pixelboot.dhcp.proxy.service import ProxyService
from pixelboot.dhcp.server.service import DhcpService, OpenStore
from pixelboot.http.service import HttpService
from pixelboot.library.library import Library
from pixelboot.library.tree import Absent
from pixelboot.outcome import Outcome
from pixelboot.payload import Payload
from pixelboot.site import Site, load, read
from pixelboot.state.containers import ChoicesFile, SqliteChoices
from pixelboot.tftp.service import TftpService
from pixelboot.udp.interfaces import interfaces
from pixelboot.udp.port import UdpPort, open_socket
from pixelboot.view import status as status_module
from pixelboot.view.status import (
    Status,
    describe_dhcp,
    describe_http,
    describe_process,
    describe_proxy,
    describe_tftp,
)
from tests.dhcp.lan import SUBNET, Lan, address, scope
from tests.dhcp.server.test_service import OpenLeases
from tests.http.shelf import Shelf
from tests.http.shelf import site as boot_site
from tests.running import free_udp_port

reactor = cast("Any", _reactor)


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
            },
        )
        counts["dhcp.Bound"] += 1
        self.assertEqual(status["counts"], {"dhcp.Bound": 2})
        self.assertEqual(json.loads(json.dumps(status)), status)
        status["leases"].append(1)
        self.assertEqual(describe_process("/s", 0.0, {})["leases"], [])


class DhcpTests(TestCase):
    """`describe_dhcp`."""

    def setUp(self) -> None:
        self.lan = Lan()
        self.leases = self.lan.leases = OpenLeases()
        self.lan.table = self.leases.table
        self.lan.protocol = self.lan.protocol_over(self.leases)
        self.opening: Deferred[OpenStore] = Deferred()
        lo = interfaces()["lo"]
        self.port = UdpPort(reactor, open_socket(lo, 0), lo, lambda: self.lan.now)
        self.service = DhcpService(
            self.port,
            lambda: self.opening,
            lambda store: self.lan.protocol,
            self.fail,
            self.fail,
            Clock(),
            lambda: self.lan.now,
        )
        self.leases.closing.callback(None)
        self.addCleanup(self.service.stopService)

    async def describe(self) -> tuple[str, list[dict[str, Any]]]:
        """What is said of the service, and its leases; all of it can be JSON."""
        status = await describe_dhcp(self.service, scope())
        self.assertEqual(json.loads(json.dumps(status, allow_nan=False)), status)
        (line,) = status["services"]
        self.assertEqual((line["name"], line["listening"]), ("dhcp", f"lo udp {self.port.number}"))
        return line["about"], status["leases"]

    async def test_leases(self) -> None:
        """First they are being opened; then they stand in the order of their addresses; only what is bound counts."""
        self.service.startService()
        self.assertEqual(await self.describe(), ("opening its leases", []))
        self.opening.callback(self.leases)
        free = "0 of 51 addresses of 10.77.0.0/24 leased"
        self.assertEqual(await self.describe(), (free, []))
        for host in (3, 2, 1):
            self.lan.bound(host)
        self.lan.offered(4)
        about, leases = await self.describe()
        self.assertEqual(about, "3 of 51 addresses of 10.77.0.0/24 leased")
        self.assertEqual([each["address"] for each in leases], [str(address(last)) for last in (100, 101, 102, 103)])
        self.assertEqual([each["state"] for each in leases], ["bound"] * 3 + ["offered"])
        self.assertEqual(
            leases[0],
            {
                "address": "10.77.0.100",
                "identity": "hw:01:02:aa:00:00:00:03",
                "hwaddr": "02:aa:00:00:00:03",
                "hostname": "",
                "state": "bound",
                "started_at": self.lan.now,
                "expires_at": self.lan.now + SUBNET.lease_time,
            },
        )

    async def test_endless_lease(self) -> None:
        """Infinity is no JSON."""
        self.service.startService()
        self.opening.callback(self.leases)
        self.lan.bound(1)
        lease = self.leases.table.at(address(100))
        assert lease is not None
        endless = replace(lease, expires_at=float("inf"))
        self.patch(self.leases, "list", lambda: self.listed(endless))
        _, leases = await self.describe()
        self.assertEqual([each["expires_at"] for each in leases], [None])

    async def listed(self, *leases: object) -> list[object]:
        """What a store lists."""
        return list(leases)


class ProxyTests(TestCase):
    """`describe_proxy`."""

    async def test_ports(self) -> None:
        """Both ports stand in the line; why nothing can arrive there, too."""
        lo = interfaces()["lo"]
        ports = [UdpPort(reactor, open_socket(lo, 0), lo, lambda: 0.0) for _ in range(2)]
        service = ProxyService(ports, lambda *_: self.fail(), self.fail, Clock())
        service.startService()
        self.addCleanup(service.stopService)
        listening = f"lo udp {ports[0].number}, {ports[1].number}"
        (line,) = (await describe_proxy(service))["services"]
        about = "says what to boot, gives no addresses"
        self.assertEqual(line, {"name": "proxydhcp", "listening": listening, "about": about})
        self.patch(UdpPort, "problem", "lo is gone")
        (line,) = (await describe_proxy(service))["services"]
        self.assertEqual(line["about"], "answers nobody: lo is gone")


class TftpTests(TestCase):
    """`describe_tftp`."""

    async def test_transfers(self) -> None:
        """What is served; the port is the one that is listened on."""

        async def nothing(name: str) -> Payload:
            raise Absent(name)

        settings = read({"tftp": {"port": free_udp_port(), "address": "127.0.0.1"}}).tftp
        service = TftpService(reactor, settings, nothing, self.fail, lambda address: None, lambda: 0.0)
        service.listen()
        service.startService()
        self.addCleanup(service.stopService)
        for root, serves in (("/r", "/r and the packaged loaders"), ("", "the packaged loaders")):
            (line,) = (await describe_tftp(service, root))["services"]
            about = f"0 transfers, serves {serves}"
            self.assertEqual(line, {"name": "tftp", "listening": f"udp {settings.port}", "about": about})


class HttpTests(TestCase):
    """`describe_http`."""

    timeout = 30

    def setUp(self) -> None:
        self.root = os.path.abspath(self.mktemp())
        os.makedirs(self.root)
        self.outcomes: list[Outcome] = []
        self.library = Library([self.root], os.path.abspath(self.mktemp()), reactor, self.outcomes.append)
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        self.service = HttpService(endpoint, boot_site(Shelf(), self.outcomes, Clock()))
        self.site: Site = load(None, {("http", "root"): self.root, ("http", "listen"): "tcp:0"}, {})

    async def describe(self) -> Status:
        """What is said; all of it can be JSON."""
        status = await describe_http(self.service, self.library, self.site)
        self.assertEqual(json.loads(json.dumps(status, allow_nan=False)), status)
        return status

    async def test_service(self) -> None:
        """The port is the one that is really listened on; when there is none, the setting stands for it."""
        about = f"0 connections, serves {self.root}"
        line = {"name": "http", "listening": "tcp:0", "about": about}
        idle = {"services": [line], "containers": [], "container_counts": {}}
        self.assertEqual(await self.describe(), idle)
        await self.service.listen()
        self.service.startService()
        (line,) = (await self.describe())["services"]
        self.assertEqual(line, {"name": "http", "listening": f"tcp {self.service.port}", "about": about})
        await self.service.stopService()
        self.assertEqual(await self.describe(), idle)

    async def test_containers(self) -> None:
        """Every file is told of, with the reason if it cannot be booted, whatever it is called."""
        hostile = "a\nb\x1b[2J$.rts.png"
        for name in ("pipe.rts.png", hostile):
            os.mkfifo(os.path.join(self.root, name))
        self.library.startService()
        self.addCleanup(self.library.stopService)
        await self.library.settled(30)
        status = await self.describe()
        self.assertEqual(status["container_counts"], {"damaged": 2})
        containers = {each["file"]: each for each in status["containers"]}
        self.assertEqual(sorted(containers), [hostile, "pipe.rts.png"])
        for each in containers.values():
            self.assertEqual((each["state"], each["name"], each["size"]), ("damaged", "", 0))
            self.assertIs(each["enabled"], True)
            self.assertRegex(each["id"], r"\A[A-Za-z0-9][A-Za-z0-9._~-]*\Z")
            self.assertNotEqual(each["reason"], "")
        store = SqliteChoices(ChoicesFile.open(os.path.abspath(self.mktemp())), reactor, self.fail)
        await store.change("pipe", {"enabled": False, "name": "Rohr"})
        told = await describe_http(self.service, self.library, self.site, store)
        self.assertEqual(
            {each["id"]: each["name"] for each in told["containers"] if not each["enabled"]}, {"pipe": "Rohr"}
        )
        self.patch(status_module, "MOST_CONTAINERS", 1)
        status = await self.describe()
        self.assertEqual([each["file"] for each in status["containers"]], [hostile])
        self.assertEqual(status["container_counts"], {"damaged": 2})
