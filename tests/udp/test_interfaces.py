"""Tests of `pixelboot.udp.interfaces`."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.udp.interfaces import interfaces


class InterfacesTests(SynchronousTestCase):
    """What the kernel says of this machine."""

    def test_loopback(self) -> None:
        """The loopback interface has its address, as the primary one."""
        found = interfaces()["lo"]
        self.assertEqual((found.name, found.index), ("lo", socket.if_nametoindex("lo")))
        self.assertEqual(found.addresses[0], IPv4Address("127.0.0.1"))

    def test_all(self) -> None:
        """Every interface is there, also one without an address, under its own name."""
        found = interfaces()
        self.assertEqual({one.index: name for name, one in found.items()}, dict(socket.if_nameindex()))
        self.assertEqual([name for name, one in found.items() if one.name != name], [])

    def test_addresses_are_ours(self) -> None:
        """Each address is one that this machine can send from, and each is told once."""
        found = [address for one in interfaces().values() for address in one.addresses]
        self.assertEqual(len(found), len(set(found)))
        for address in found:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((str(address), 0))
