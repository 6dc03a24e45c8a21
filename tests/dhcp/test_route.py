"""The ladder of RFC 2131 §4.1, rung by rung."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.datagram import Destination
from pixelboot.dhcp.message.relay import RelayInformation
from pixelboot.dhcp.message.wire import MessageType
from pixelboot.dhcp.route import back, destination
from pixelboot.hwaddr import HardwareAddress
from tests.dhcp.lan import EVERYBODY, NOWHERE, RELAY, SECOND, SERVER, address, arrival, say

OFFER, ACK, NAK = MessageType.OFFER, MessageType.ACK, MessageType.NAK
GIVEN = address(100)
HAS = address(123)
MAC = HardwareAddress.parse("02:aa:00:00:00:01")

LADDER: tuple[tuple[str, MessageType, IPv4Address, dict[str, Any], Destination], ...] = (
    ("D07 relay", OFFER, GIVEN, {"giaddr": RELAY}, Destination(RELAY, 67, SERVER, "lan0")),
    (
        "D07 relay before the flag",
        OFFER,
        GIVEN,
        {"giaddr": RELAY, "flags": 0x8000},
        Destination(RELAY, 67, SERVER, "lan0"),
    ),
    ("D07 relay before ciaddr", ACK, HAS, {"giaddr": RELAY, "ciaddr": HAS}, Destination(RELAY, 67, SERVER, "lan0")),
    ("D12 NAK by the relay", NAK, NOWHERE, {"giaddr": RELAY}, Destination(RELAY, 67, SERVER, "lan0")),
    ("D08 renewal", ACK, HAS, {"ciaddr": HAS}, Destination(HAS, 68, SERVER, "lan0")),
    ("D08 ciaddr before the flag", ACK, HAS, {"ciaddr": HAS, "flags": 0x8000}, Destination(HAS, 68, SERVER, "lan0")),
    ("D09 broadcast flag", OFFER, GIVEN, {"flags": 0x8000}, Destination(EVERYBODY, 68, SERVER, "lan0")),
    ("D09 all flags", ACK, GIVEN, {"flags": 0xFFFF}, Destination(EVERYBODY, 68, SERVER, "lan0")),
    ("D10 no flag", OFFER, GIVEN, {}, Destination(GIVEN, 68, SERVER, "lan0", MAC)),
    ("D10 only the reserved flags", ACK, GIVEN, {"flags": 0x7FFF}, Destination(GIVEN, 68, SERVER, "lan0", MAC)),
    ("D11 NAK", NAK, NOWHERE, {}, Destination(EVERYBODY, 68, SERVER, "lan0")),
    ("D11 NAK before ciaddr", NAK, NOWHERE, {"ciaddr": HAS}, Destination(EVERYBODY, 68, SERVER, "lan0")),
    ("D35 INFORM", ACK, NOWHERE, {"ciaddr": HAS}, Destination(HAS, 68, SERVER, "lan0")),
    ("D47 hlen 0", OFFER, GIVEN, {"hlen": 0}, Destination(EVERYBODY, 68, SERVER, "lan0")),
    ("D47 hlen 17", OFFER, GIVEN, {"hlen": 17}, Destination(EVERYBODY, 68, SERVER, "lan0")),
    ("D47 InfiniBand", ACK, GIVEN, {"htype": 32, "hlen": 0}, Destination(EVERYBODY, 68, SERVER, "lan0")),
    ("no address at all", ACK, NOWHERE, {}, Destination(EVERYBODY, 68, SERVER, "lan0")),
)
"""Clause, kind of the reply, its yiaddr, fields of the request, the way."""


class Ladder(SynchronousTestCase):
    """Which way."""

    def test_ladder(self) -> None:
        """D07, D08, D09, D10, D11, D12, D35, D47: each rung, and which of two comes first."""
        for name, kind, yiaddr, fields, expected in LADDER:
            request = say(MessageType.REQUEST, 1, **fields)
            self.assertEqual(destination(request, None if kind is NAK else yiaddr, arrival(), SERVER), expected, name)

    def test_d14_the_source_is_the_address_named_in_54(self) -> None:
        """The client checks that they agree; whatever address of ours the request came to."""
        request = say(MessageType.DISCOVER, 1)
        self.assertEqual(destination(request, GIVEN, arrival(local=SERVER), SECOND).source, SECOND)

    def test_r10_the_port_of_the_relay(self) -> None:
        """R10: if the relay says so, the port that it sent from."""
        request = say(MessageType.DISCOVER, 1, giaddr=RELAY)
        come = arrival(source=RELAY)._replace(source_port=5000)
        for relay, port in ((None, 67), (RelayInformation(b"a"), 67), (RelayInformation(source_port=True), 5000)):
            self.assertEqual(destination(request, GIVEN, come, SERVER, relay).port, port, str(relay))

    def test_firmware_that_does_not_answer_arp(self) -> None:
        """The ROM of a Pi 3 has an address and is deaf to ARP: at its link address, behind a relay the relay's way."""
        cases: tuple[tuple[dict[str, Any], Destination], ...] = (
            ({"ciaddr": HAS}, Destination(HAS, 68, SERVER, "lan0", MAC)),
            ({"ciaddr": HAS, "giaddr": RELAY}, Destination(RELAY, 67, SERVER, "lan0")),
            ({}, Destination(GIVEN, 68, SERVER, "lan0", MAC)),
        )
        for fields, expected in cases:
            request = say(MessageType.REQUEST, 1, **fields)
            self.assertEqual(destination(request, GIVEN, arrival(), SERVER, arp=False), expected, str(fields))


class Back(SynchronousTestCase):
    """The way back from port 4011."""

    def test_p05_to_where_it_came_from(self) -> None:
        """P05: the sender's own address and port before anything that it says; what it says where it shows none."""
        for source, ciaddr, expected in (
            (HAS, HAS, HAS),
            (HAS, GIVEN, HAS),
            (HAS, NOWHERE, HAS),
            (NOWHERE, HAS, HAS),
            (NOWHERE, NOWHERE, EVERYBODY),
        ):
            come = arrival(source=source, port=4011)
            request = say(MessageType.REQUEST, 1, ciaddr=ciaddr, giaddr=RELAY, flags=0x8000)
            self.assertEqual(back(request, come, SERVER), Destination(expected, 4011, SERVER, "lan0"), str(source))
