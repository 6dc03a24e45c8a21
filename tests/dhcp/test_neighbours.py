"""Tests of `pixelboot.dhcp.neighbours`."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.datagram import Arrival
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.neighbours import Gives, Neighbours, OtherServer, RivalServer
from pixelboot.hwaddr import HardwareAddress
from tests.dhcp import captures

OURS, ROUTER, RELAY = (IPv4Address(f"10.77.0.{last}") for last in (2, 1, 3))
NOWHERE, EVERYBODY = IPv4Address(0), IPv4Address("255.255.255.255")
CARD, OTHER_CARD = HardwareAddress(b"\2\xbb\0\0\0\1"), HardwareAddress(b"\2\xbb\0\0\0\2")
HOUR = 3600.0
CHADDR = b"\2\xaa\0\0\0\1".ljust(16, b"\0")


def arrival(now: float = 0.0, interface: str = "lan0") -> Arrival:
    """How a client's broadcast came in."""
    return Arrival(interface, OURS, 67, NOWHERE, 68, now, True)


def said(
    op: int, kind: int, server: IPv4Address, options: dict[int, bytes] | None = None, giaddr: IPv4Address = NOWHERE
) -> Message:
    """A message that names a server."""
    return Message(
        op,
        7,
        CHADDR,
        giaddr=giaddr,
        options={53: bytes((kind,)), 54: server.packed, 50: b"\x0a\x4d\0\x82"} | (options or {}),
    )


class Case(SynchronousTestCase):
    """With what one server knows of the others."""

    def setUp(self) -> None:
        """Nothing."""
        self.neighbours = Neighbours({OURS, IPv4Address("192.0.2.2")}.__contains__)

    def heard(
        self, octets: bytes, now: float = 0.0, mode: str = "proxy", interface: str = "lan0"
    ) -> OtherServer | None:
        """A client's datagram."""
        return self.neighbours.heard(wire.decode(octets), arrival(now, interface), mode)

    def overheard(
        self,
        octets: bytes,
        source: IPv4Address = ROUTER,
        hwaddr: HardwareAddress | None = CARD,
        now: float = 0.0,
        mode: str = "proxy",
    ) -> OtherServer | None:
        """A datagram of a server."""
        return self.neighbours.overheard(octets, "lan0", source, hwaddr, now, mode)

    def told(self, outcome: OtherServer | None) -> tuple[str, str]:
        """How loudly, and what."""
        assert outcome is not None
        return outcome.severity, outcome.summary()


class Captured(Case):
    """Real firmware and a real server."""

    def test_beside_a_router(self) -> None:
        """Firmware takes the address of the router: a server that belongs there, and is told once."""
        told = self.told(self.heard(captures.EDK2_TAKES_ANOTHERS))
        line = "beside this proxy there is the server 10.77.0.1 on lan0, which gives addresses"
        self.assertEqual(told, ("info", line))
        self.assertIsNone(self.heard(captures.EDK2_TAKES_ANOTHERS, 10.0))
        self.assertIsNone(self.heard(captures.IPXE_DISCOVER), "names nobody")
        self.assertIsNone(self.heard(captures.IPXE_AT_4011), "names us")

    def test_one_that_boots_too(self) -> None:
        """An address server that names a boot file is one too many beside a proxy, as soon as that is seen."""
        self.heard(captures.EDK2_TAKES_ANOTHERS)
        severity, summary = self.told(self.overheard(captures.REFERENCE_OFFER, now=1.0))
        self.assertEqual(severity, "warn")
        self.assertEqual(
            summary,
            "another DHCP server gives what this one gives: 10.77.0.1 (02:bb:00:00:00:01) on lan0, "
            "which gives addresses, boot files",
        )
        (neighbour,) = self.neighbours.list()
        self.assertEqual((neighbour.times, neighbour.first_seen_at, neighbour.last_seen_at), (2, 0.0, 1.0))
        self.assertFalse(neighbour.expected)

    def test_a_second_proxy(self) -> None:
        """That of dnsmasq, heard by a proxy with another address, and by an address server."""
        for mode in ("proxy", "server"):
            neighbours = Neighbours({RELAY}.__contains__)
            outcome = neighbours.overheard(captures.PROXY_OFFER_TO_EDK2, "lan0", OURS, CARD, 0.0, mode)
            self.assertIsInstance(outcome, RivalServer, mode)
            assert outcome is not None
            self.assertEqual(outcome.neighbour.gives, {Gives.PROXY})
        self.assertIsNone(self.overheard(captures.PROXY_OFFER_TO_EDK2, source=OURS), "our own")


class Told(Case):
    """When, and how loudly."""

    def test_by_mode(self) -> None:
        """A server that gives addresses: beside a proxy info, beside an address server a warning; change is told."""
        offer = wire.encode(said(2, MessageType.OFFER, ROUTER)._replace(yiaddr=RELAY))
        self.assertEqual(self.told(self.overheard(offer))[0], "info")
        self.assertEqual(self.told(self.overheard(offer, now=1.0, mode="server"))[0], "warn")
        self.assertIsNone(self.overheard(offer, now=2.0, mode="server"))
        self.assertIsNone(self.overheard(offer, now=3.0), "it may be on two links, of which one is served")
        self.assertEqual(self.told(self.overheard(offer, now=HOUR + 3.0))[0], "warn")

    def test_at_most_hourly(self) -> None:
        """New, then silent for an hour; what is new of it at once; a clock that is set back does not silence it."""
        request = wire.encode(said(1, MessageType.REQUEST, ROUTER))
        for now, expected in ((0.0, True), (1.0, False), (HOUR - 1, False), (HOUR, True), (HOUR + 1, False)):
            self.assertEqual(self.heard(request, now) is not None, expected, str(now))
        self.assertIsNotNone(self.heard(request, HOUR + 2, interface="lan1"), "on another interface")
        offer = wire.encode(said(2, MessageType.OFFER, ROUTER)._replace(yiaddr=RELAY))
        self.assertIsNotNone(self.overheard(offer, now=HOUR + 3), "its link address")
        self.assertIsNone(self.overheard(offer, now=HOUR + 4))
        self.assertIsNotNone(self.overheard(offer, hwaddr=OTHER_CARD, now=HOUR + 5), "a second machine of that address")
        self.assertIsNotNone(self.overheard(wire.encode(said(2, MessageType.NAK, ROUTER)), now=HOUR + 6), "it refuses")
        self.assertIsNotNone(self.heard(request, 5.0), "time went back")
        self.assertEqual(self.neighbours.list()[0].places, ("lan0", "lan1"))

    def test_behind_a_relay(self) -> None:
        """Where it was noticed is told with the relay."""
        request = wire.encode(said(1, MessageType.REQUEST, ROUTER, giaddr=RELAY))
        self.assertIn("10.77.0.1 on lan0 by 10.77.0.3", self.told(self.heard(request))[1])

    def test_bootp(self) -> None:
        """A BOOTP server has no option 54: its address is that of the datagram."""
        reply = Message(2, 7, CHADDR, yiaddr=RELAY, file=b"x")
        self.assertIsNotNone(self.overheard(wire.encode(reply)))
        self.assertEqual(self.neighbours.list()[0].gives, {Gives.ADDRESSES, Gives.BOOT_FILE})


class Bounded(Case):
    """Hostile input."""

    def test_the_oldest_makes_room(self) -> None:
        """Any number of servers may be named; 64 are remembered, those noticed last."""
        for number in range(1, 300):
            server = IPv4Address("10.78.0.0") + number
            self.assertIsNotNone(self.heard(wire.encode(said(1, MessageType.REQUEST, server)), number))
            self.heard(wire.encode(said(1, MessageType.REQUEST, ROUTER)), number)
        known = self.neighbours.list()
        self.assertEqual((len(known), known[-1].address, known[0].address), (64, ROUTER, IPv4Address("10.78.0.237")))

    def test_few_cards_and_places(self) -> None:
        """Of one server too much is not remembered, nor told."""
        offer = wire.encode(said(2, MessageType.OFFER, ROUTER)._replace(yiaddr=RELAY))
        told = [self.overheard(offer, hwaddr=HardwareAddress(bytes((2, number)))) for number in range(50)]
        self.assertEqual(sum(outcome is not None for outcome in told), 4)
        self.assertEqual(len(self.neighbours.list()[0].cards), 4)

    def test_nobody(self) -> None:
        """What names none, us, or an address that no machine has."""
        for server in ("0.0.0.0", "0.0.0.1", "224.0.0.1", "255.255.255.255", str(OURS), "192.0.2.2"):
            address = IPv4Address(server)
            self.assertIsNone(self.heard(wire.encode(said(1, MessageType.REQUEST, address))), server)
            reply = wire.encode(said(2, MessageType.OFFER, address))
            self.assertIsNone(self.overheard(reply), server)
        request = wire.encode(said(1, MessageType.REQUEST, ROUTER))
        self.assertIsNone(self.overheard(request), "a client's")
        self.assertIsNone(self.heard(wire.encode(said(2, MessageType.OFFER, ROUTER))), "a server's")
        self.assertIsNone(self.overheard(wire.encode(said(2, MessageType.LEASEACTIVE, ROUTER))), "no kind that matters")
        for kind in set(MessageType) - {MessageType.REQUEST, MessageType.DECLINE, MessageType.RELEASE}:
            self.assertIsNone(self.heard(wire.encode(said(1, kind, ROUTER))), kind.name)
        self.assertEqual(self.neighbours.list(), ())
        for kind in (MessageType.DECLINE, MessageType.RELEASE):
            self.neighbours = Neighbours(lambda address: False)
            self.assertIsNotNone(self.heard(wire.encode(said(1, kind, ROUTER))), kind.name)

    @given(
        st.binary(max_size=300)
        | st.builds(
            lambda message, at, octet: message[:at] + bytes((octet,)) + message[at + 1 :],
            st.sampled_from((captures.REFERENCE_OFFER, captures.PROXY_ACK_TO_EDK2, captures.HTTP_OFFER)),
            st.integers(0, 330),
            st.integers(0, 255),
        )
    )
    def test_anything(self, octets: bytes) -> None:
        """No octets are too strange; what is told can be read."""
        outcome = self.overheard(octets)
        if outcome is not None:
            self.assertTrue(outcome.summary().isprintable())
