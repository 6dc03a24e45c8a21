"""Tests of `pixelboot.datagram`."""

from __future__ import annotations

from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.datagram import Arrival, Destination

ARRIVAL = Arrival("eno1", IPv4Address("10.77.0.1"), 67, IPv4Address("0.0.0.0"), 68, 1e9)
DESTINATION = Destination(IPv4Address("10.77.0.100"), 68, ARRIVAL.local, ARRIVAL.interface)


class ValueTests(SynchronousTestCase):
    """Cores compare and keep them."""

    def test_values(self) -> None:
        """Equal fields are equal values and one key; nothing changes them afterwards."""
        for value, other in ((ARRIVAL, ARRIVAL._replace(port=4011)), (DESTINATION, DESTINATION._replace(port=67))):
            self.assertEqual(len({value, value._replace(), other}), 2)
            self.assertRaises(AttributeError, setattr, value, "interface", "eno2")

    def test_answers_arp(self) -> None:
        """Unless a link address is given, the destination is reached as the system reaches anybody."""
        self.assertIsNone(DESTINATION.hwaddr)

    def test_addresses(self) -> None:
        """A port that belongs to no interface tells none."""
        self.assertEqual(ARRIVAL.addresses, ())
