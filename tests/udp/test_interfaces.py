"""Tests of `pixelboot.udp.interfaces`."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, IPv4Network

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.udp import interfaces as interfaces_module
from pixelboot.udp.interfaces import ETHERNET_MTU, MOST_MTUS, MTU_KEPT, Mtus, default_interface, interfaces


class InterfacesTests(SynchronousTestCase):
    """What the kernel says of this machine."""

    def test_loopback(self) -> None:
        """The loopback interface has its address, as the primary one."""
        found = interfaces()["lo"]
        self.assertEqual((found.name, found.index), ("lo", socket.if_nametoindex("lo")))
        self.assertEqual(found.addresses[0], IPv4Address("127.0.0.1"))
        self.assertEqual((found.networks[0], found.hwaddr), (IPv4Network("127.0.0.0/8"), None))

    def test_all(self) -> None:
        """Every interface is there, also one without an address, under its own name."""
        found = interfaces()
        self.assertEqual({one.index: name for name, one in found.items()}, dict(socket.if_nameindex()))
        self.assertEqual([name for name, one in found.items() if one.name != name], [])

    def test_addresses_are_ours(self) -> None:
        """Each address is one that this machine can send from, and each is told once."""
        found = [address for one in interfaces().values() for address in one.addresses]
        self.assertEqual(len(found), len(set(found)))
        for one in interfaces().values():
            pairs = zip(one.addresses, one.networks, strict=True)
            self.assertTrue(all(address in network for address, network in pairs), one)
        for address in found:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((str(address), 0))


class MtuTests(SynchronousTestCase):
    """The longest packet of an interface."""

    def test_asked_now_and_then(self) -> None:
        """The kernel's answer is kept for a while, and then asked for again."""
        mtus = Mtus()
        loopback = interfaces()["lo"].mtu
        self.assertEqual(mtus.of("lo", 10.0), loopback)
        self.patch(interfaces_module, "_ask", lambda *question: struct.pack("@i20x", 1234))
        self.assertEqual(mtus.of("lo", 10.0 + MTU_KEPT - 0.1), loopback)
        self.assertEqual(mtus.of("lo", 10.0 + MTU_KEPT), 1234)

    def test_no_interface(self) -> None:
        """What has gone meanwhile is taken for Ethernet; whatever comes and goes takes no memory in the end."""
        mtus = Mtus()
        for number in range(2 * MOST_MTUS):
            self.assertEqual(mtus.of(f"gone{number}", 0.0), ETHERNET_MTU)
        self.assertLessEqual(len(mtus._known), MOST_MTUS)

    def test_renamed(self) -> None:
        """Who keeps the names of interfaces is told that one is not right any more."""
        gone: list[str] = []
        mtus = Mtus(lambda: gone.append("gone"))
        mtus.of("lo", 0.0)
        self.assertEqual(gone, [])
        mtus.of("lo-that-was", 0.0)
        self.assertEqual(gone, ["gone"])


class DefaultTests(SynchronousTestCase):
    """The interface of the default route."""

    HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

    def routed(self, *rows: str) -> str:
        """The answer, if the kernel's table had these rows."""
        path = self.mktemp()
        with open(path, "w", encoding="ascii") as table:
            table.write(self.HEAD + "".join(f"{row}\t0\t0\t0\n" for row in rows))
        self.patch(interfaces_module, "ROUTES", path)
        return default_interface()

    def test_the_lowest_metric(self) -> None:
        """Of several; a route that is down, or leads to some network only, is none."""
        near = "br0\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF"
        slow, quick = (
            f"{name}\t00000000\t0100000A\t0003\t0\t0\t{m}\t00000000" for name, m in (("wl0", 600), ("e0", 100))
        )
        down = "ppp0\t00000000\t00000000\t0000\t0\t0\t0\t00000000"
        self.assertEqual(self.routed(near, slow, down, quick), "e0")
        self.assertEqual(self.routed(near, down), "")
        self.assertEqual(self.routed(), "")

    def test_this_machine(self) -> None:
        """The kernel's table can be read, and names an interface that there is, or none."""
        self.assertIn(default_interface(), {"", *interfaces()})

    def test_no_table(self) -> None:
        """A kernel without one has no default route."""
        self.patch(interfaces_module, "ROUTES", "/nonexistent")
        self.assertEqual(default_interface(), "")
