"""Tests of `pixelboot.tap.dhcp`: DHCP put together, and whether machines reach what they are sent to."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pixelboot.boot.memory import Memory
from pixelboot.boot.policy import BootPolicy
from pixelboot.config import ConfigError
from pixelboot.dhcp import listening
from pixelboot.dhcp.listening import Missing
from pixelboot.dhcp.network.network import Network
from pixelboot.dhcp.service import DhcpService
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome
from pixelboot.site import Site, read
from pixelboot.tap import examine
from pixelboot.tap.dhcp import check_reachable, dhcp_service, name_servers
from pixelboot.udp.interfaces import Interface
from tests.running import free_udp_port, is_free

reactor = cast("Any", _reactor)
EVERYWHERE = "0.0.0.0"
"""Where HTTP and TFTP listen unless they are told otherwise."""
LOOPBACK = {"network": "127.0.0.0/24", "mode": "server", "pool": ["127.0.0.100-127.0.0.199"]}


class ReachTests(SynchronousTestCase):
    """`check_reachable`."""

    def setUp(self) -> None:
        machine = {
            name: Interface(name, number, tuple(map(IPv4Address, addresses)))
            for number, (name, *addresses) in enumerate(
                (("eno1", "10.77.0.1"), ("eno2", "10.88.0.1", "192.0.2.1"), ("eno3",)), 1
            )
        }
        self.patch(examine, "interfaces", lambda: machine)
        self.patch(examine, "default_interface", lambda: "eno1")

    def said(self, dhcp: Mapping[str, object], http: str | None, tftp: str) -> str:
        """What is wrong; empty if machines reach HTTP at its address `http` and TFTP at `tftp`."""
        site = read({"dhcp": dhcp, "tftp": {"address": tftp}})
        try:
            check_reachable(site, http)
        except ConfigError as problem:
            self.assertIn(problem.key, ("http.listen", "tftp.address"))
            return str(problem).partition(": must be at every address")[2]
        return ""

    def test_table(self) -> None:
        """With one address that machines are told it may be that; with more, or an unknown one, it must be all."""
        one = ", or at the one of {} that machines are told"
        several = f"{one.format('eno2')}; there are several, so dhcp.address has to name it"
        none = f"{one}; it has none yet, so dhcp.address has to name it"
        both = ": machines on {} are each told the one of their interface"
        subnet = {"network": "192.0.2.0/24", "mode": "proxy"}
        cases: list[tuple[dict[str, object], str, str]] = [
            ({}, "10.77.0.1", ""),
            ({}, "10.88.0.1", one.format("eno1")),
            ({"interface": "eno2"}, "10.88.0.1", several),
            ({"interface": "eno2", "address": "192.0.2.1"}, "192.0.2.1", ""),
            (
                {"interface": "eno2", "address": "192.0.2.1"},
                "10.88.0.1",
                ", or at the one of eno2 that machines are told",
            ),
            # In a subnet of the settings machines are told the address that is in it.
            ({"interface": "eno2", "subnet": [subnet]}, "192.0.2.1", ""),
            ({"subnet": [subnet]}, "192.0.2.1", ""),
            ({"interface": "eno3"}, "10.88.0.1", none.format("eno3")),
            ({"interface": "eno9"}, "10.88.0.1", none.format("eno9")),
            ({"interface": "eno9", "address": "192.0.2.9"}, "192.0.2.9", ""),
            ({"interface": ["eno1", "eno2"]}, "10.77.0.1", both.format("eno1, eno2")),
            ({"interface": ["eno1", "eno2"], "address": "10.77.0.1"}, "10.77.0.1", both.format("eno1, eno2")),
            ({"interface": ["eno1", "eno9"]}, "10.77.0.1", both.format("eno1, eno9")),
        ]
        for dhcp, host, told in cases:
            for http, tftp in ((host, EVERYWHERE), (EVERYWHERE, host), (None, host), ("::", host)):
                self.assertEqual(self.said(dhcp, http, tftp), told, f"{dhcp} {http} {tftp}")
            self.assertEqual(self.said(dhcp, EVERYWHERE, EVERYWHERE), "", str(dhcp))
            self.assertEqual(self.said(dhcp, None, EVERYWHERE), "", str(dhcp))


class NameServerTests(SynchronousTestCase):
    """`name_servers`."""

    def test_table(self) -> None:
        """All subnets of the address server need one, of whatever setting; a proxy's machines have another's."""
        dns, option = {"dns": ["10.77.0.53"]}, {"options": {"domain-name-servers": ["10.77.0.53"]}}
        other = {"network": "127.0.1.0/24", "mode": "server", "pool": ["127.0.1.100-127.0.1.199"]}
        proxy = {"network": "127.0.2.0/24", "mode": "proxy"}
        cases: list[tuple[dict[str, object], bool]] = [
            ({}, True),
            ({"subnet": [proxy]}, True),
            ({"subnet": [LOOPBACK]}, False),
            ({"subnet": [{**LOOPBACK, **dns}, proxy]}, True),
            ({"subnet": [{**LOOPBACK, **dns}, other]}, False),
            ({"subnet": [{**LOOPBACK, **dns}, {**other, **option}]}, True),
            ({"subnet": [LOOPBACK, other], **option}, True),
        ]
        for dhcp, named in cases:
            self.assertIs(name_servers(Network(read({"dhcp": dhcp}).dhcp)), named, str(dhcp))


class ServiceTests(TestCase):
    """`dhcp_service`."""

    def setUp(self) -> None:
        self.outcomes: list[Outcome] = []
        self.ports = [free_udp_port(), free_udp_port()]

    def site(self, **dhcp: object) -> Site:
        """A site that serves the loopback, if it is not told otherwise."""
        usual = {"interface": "lo", "port": self.ports[0], "proxy_port": self.ports[1], "subnet": [LOOPBACK]}
        return read({"dhcp": usual | dhcp, "state": self.mktemp()})

    def make(self, site: Site, opened: Callable[[], None] | None = None) -> DhcpService:
        """The service, which was not started; it is stopped in the end."""

        async def holds(name: str) -> bool:
            return False

        def policy(network: Network) -> BootPolicy:
            return BootPolicy(site.boot, None, False, holds)

        service = dhcp_service(site, self.fail, policy, Memory(), self.outcomes.append, reactor, opened or self.fail)
        self.addCleanup(service.stopService)
        return service

    def test_modes(self) -> None:
        """Each subnet as it says, and whatever it does not say as ``dhcp.mode``; leases are for servers alone."""
        proxy = {"network": "127.0.0.0/24", "mode": "proxy"}
        for mode, subnet, gives in (
            ("proxy", LOOPBACK, True),
            ("off", LOOPBACK, True),
            ("server", LOOPBACK, True),
            ("server", proxy, False),
            ("off", proxy, False),
        ):
            service = self.make(self.site(mode=mode, subnet=[subnet]))
            self.assertIs(service.gives_addresses, gives, f"{mode} {subnet}")
            self.assertEqual([port.number for port in service.listening.ports], self.ports)
            service.listening.stop()

    async def test_the_garbage_collector_is_the_programs(self) -> None:
        """It is off while leases are read, and when they may be put aside for good; and then as it was before."""
        self.addCleanup(gc.enable)
        for set_to, on in ((gc.disable, False), (gc.enable, True)):
            set_to()
            seen: Deferred[bool] = Deferred()

            def opened(seen: Deferred[bool] = seen) -> None:
                seen.callback(gc.isenabled())

            site = self.site(mode="server")
            os.makedirs(site.state)
            service = self.make(site, opened)
            service.startService()
            self.assertFalse(await seen)
            await deferLater(reactor, 0)
            self.assertIs(gc.isenabled(), on)
            await service.stopService()

    def test_both_ports_or_none(self) -> None:
        """A port that is taken, the first or the second, is told by its key; the other is given back."""
        for at, key in enumerate(("dhcp.port", "dhcp.proxy_port")):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind(("", self.ports[at]))
                error = self.assertRaises(ConfigError, self.make, self.site())
                self.assertEqual((error.key, error.value), (key, self.ports[at]))
                self.assertIn("cannot be bound on lo: Address already in use", str(error))
                self.assertTrue(is_free(self.ports[1 - at], socket.SOCK_DGRAM))

    def test_an_interface_that_is_not_there(self) -> None:
        """It is told, and no hindrance."""
        service = self.make(self.site(interface=["gone0", "lo"]))
        self.assertEqual(self.outcomes, [Missing("gone0", "there is no such interface")])
        self.assertEqual(list(service.listening.interfaces), ["lo"])

    def test_a_system_that_does_not_tell_of_interfaces(self) -> None:
        """One line for the operator."""

        def broken() -> dict[str, Interface]:
            raise FileNotFoundError(2, "No such file or directory", "/proc/net/dev")

        self.patch(listening, "interfaces", broken)
        error = self.assertRaises(Malformed, self.make, self.site())
        self.assertIn("the interfaces of this machine cannot be read: [Errno 2]", str(error))
        self.assertNotIsInstance(error, ConfigError)

    def test_an_interface_in_no_subnet(self) -> None:
        """Its machines get nothing: that is told at the start, for the subnet may be misspelt."""
        elsewhere = {"network": "198.51.100.0/24", "pool": ["198.51.100.7"], "mode": "server"}
        told = "on lo relays alone are answered: it has no address in a subnet of the settings"
        for mode, lines in (("server", [told]), ("proxy", [])):
            with capturedLogs() as events:
                self.make(self.site(mode=mode, subnet=[elsewhere])).listening.stop()
            warned = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
            self.assertEqual(warned, lines)
