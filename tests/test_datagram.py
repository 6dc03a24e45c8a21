"""Tests of `pixelboot.datagram`."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.datagram import Arrival, Destination

ARRIVAL = Arrival("eno1", IPv4Address("10.77.0.1"), 67, IPv4Address("0.0.0.0"), 68, 1e9)
DESTINATION = Destination(IPv4Address("10.77.0.100"), 68, ARRIVAL.local, ARRIVAL.interface)


class ValueTests(SynchronousTestCase):
    """Cores compare and keep them."""

    def test_values(self) -> None:
        """Equal fields are equal values and one key; nothing changes them afterwards."""
        for value in (ARRIVAL, DESTINATION):
            self.assertEqual(len({value, replace(value)}), 1)
            self.assertRaises(FrozenInstanceError, setattr, value, "interface", "eno2")

    def test_answers_arp(self) -> None:
        """Unless a link address is given, the destination is reached as the system reaches anybody."""
        self.assertIsNone(DESTINATION.hwaddr)
