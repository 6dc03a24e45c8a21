"""LEASEQUERY: what a relay that was restarted is told (RFC 4388)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.datagram import Arrival
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.outcomes import NotSent
from pixelboot.dhcp.server.outcomes import Queried, QueryRefused
from tests.dhcp.lan import OWN, RELAY, SERVER, SUBNET, Lan, address, say, select

ACTIVE, UNASSIGNED, UNKNOWN = MessageType.LEASEACTIVE, MessageType.LEASEUNASSIGNED, MessageType.LEASEUNKNOWN
CIRCUIT = {82: b"\1\5port7"}


def query(options: dict[int, bytes] | None = None, **fields: Any) -> Message:
    """A LEASEQUERY of a relay, by nothing yet."""
    asked = {"giaddr": RELAY, "htype": 0, "hlen": 0, "chaddr": bytes(16), **fields}
    return say(MessageType.LEASEQUERY, 0, options, **asked)


class LeaseQueries(SynchronousTestCase):
    """Asked and answered."""

    def setUp(self) -> None:
        self.lan = Lan(SUBNET, leasequery=(IPv4Network("10.77.0.3/32"), IPv4Network("10.77.5.0/24")))

    def come(self, source: IPv4Address = RELAY) -> Arrival:
        """From the relay."""
        return Arrival("lan0", SERVER, 67, source, 67, self.lan.now, False, OWN)

    def ask(self, request: Message) -> Message:
        """The answer, which goes to the relay."""
        reply, way = self.lan.ask(request, come=self.come())
        self.assertEqual((way.address, way.port, way.source), (RELAY, 67, SERVER))
        self.assertEqual((reply.op, reply.xid, reply.giaddr, reply.address(54)), (2, request.xid, RELAY, SERVER))
        return reply

    def test_r12_by_address(self) -> None:
        """R12: an active lease with what is left of it, its holder and when it was heard; a free one; a foreign one."""
        has = self.lan.offered(1, {61: b"\1abc"})
        self.lan.ask(select(1, has)._replace(options={53: b"\3", 54: SERVER.packed, 50: has.packed, 61: b"\1abc"}))
        self.lan.now += 100.5
        reply = self.ask(query(ciaddr=has))
        self.assertEqual((reply.message_type, reply.ciaddr, reply.yiaddr), (ACTIVE, has, IPv4Address(0)))
        self.assertEqual((reply.htype, reply.hlen, reply.chaddr), (1, 6, b"\2\xaa\0\0\0\1".ljust(16, b"\0")))
        self.assertEqual((reply.number(51), reply.number(91), reply.options[61]), (499, 100, b"\1abc"))
        free = self.ask(query(ciaddr=address(140)))
        self.assertEqual((free.message_type, free.ciaddr, set(free.options)), (UNASSIGNED, address(140), {53, 54}))
        self.assertEqual(self.ask(query(ciaddr=IPv4Address("192.0.2.1"))).message_type, UNKNOWN)
        told = [outcome.summary() for outcome in self.lan.outcomes if isinstance(outcome, Queried)]
        self.assertEqual(told[0], "10.77.0.3 asked for the lease of 10.77.0.100: LEASEACTIVE")

    def test_r12_what_is_no_lease(self) -> None:
        """R12: an offer is none yet, one that ran out or was given back none any more."""
        offered = self.lan.offered(1)
        self.assertEqual(self.ask(query(ciaddr=offered)).message_type, UNASSIGNED)
        self.lan.ask(select(1, offered))
        self.lan.now += 601
        self.assertEqual(self.ask(query(ciaddr=offered)).message_type, UNASSIGNED)

    def test_by_hardware_address_and_by_client_identifier(self) -> None:
        """Under what the machine is known by; nobody is unknown."""
        has = self.lan.bound(1)
        mine: dict[str, Any] = {"htype": 1, "hlen": 6, "chaddr": b"\2\xaa\0\0\0\1".ljust(16, b"\0")}
        reply = self.ask(query(**mine))
        self.assertEqual((reply.message_type, reply.ciaddr), (ACTIVE, has))
        self.assertEqual(self.ask(query(**{**mine, "chaddr": bytes(16)})).message_type, UNKNOWN)
        self.assertEqual(self.ask(query({61: b"\1abc"})).message_type, UNKNOWN)
        strict = Lan(replace(SUBNET, identity="client-id"), leasequery=(IPv4Network("10.77.0.3/32"),))
        has = strict.offered(1, {61: b"\1abc"})
        strict.ask(say(MessageType.REQUEST, 1, {61: b"\1abc", 54: SERVER.packed, 50: has.packed}))
        reply, _ = strict.ask(query({61: b"\1abc"}), come=self.come())
        self.assertEqual((reply.message_type, reply.ciaddr), (ACTIVE, has))

    def test_where_it_is_plugged_in(self) -> None:
        """Option 82 as far as it is kept, for who lists it, or nothing."""
        lan = self.lan
        request = say(MessageType.REQUEST, 1, {54: SERVER.packed, 50: address(100).packed, **CIRCUIT}, giaddr=RELAY)
        lan.ask(request, come=self.come())
        for wanted, expected in (({}, CIRCUIT[82]), ({55: b"\x33\x52"}, CIRCUIT[82]), ({55: b"\x33"}, None)):
            self.assertEqual(self.ask(query(wanted, ciaddr=address(100))).options.get(82), expected, str(wanted))

    def test_who_may_not(self) -> None:
        """Neither a stranger, nor in its name, nor for nobody; and nobody at all unless the settings say so."""
        has = self.lan.bound(1)
        stranger = IPv4Address("10.77.0.9")
        for name, request, come in (
            ("a stranger", query(ciaddr=has), self.come(stranger)),
            ("for a stranger", query(ciaddr=has, giaddr=stranger), self.come()),
            ("for nobody", query(ciaddr=has, giaddr=IPv4Address(0)), self.come()),
            ("about nothing", query(), self.come()),
        ):
            outcome = self.lan.silence(request, come)
            self.assertIsInstance(outcome, QueryRefused, name)
            self.assertGreater(outcome.rest, 0, name)
        self.assertEqual(self.ask(query(ciaddr=has)).message_type, ACTIVE)
        off = Lan(SUBNET)
        self.assertIn("is off (dhcp.leasequery)", off.silence(query(ciaddr=has), self.come()).summary())

    def test_the_network_does_not_take_it(self) -> None:
        """Said of the relay: no machine has asked."""

        class NoNetwork:
            def post(self, octets: bytes, destination: object, told: Callable[[OSError | None], None]) -> None:
                told(OSError(101, "Network is unreachable"))

        self.lan.reception.received(wire.encode(query(ciaddr=address(100))), self.come(), NoNetwork())
        outcome = self.lan.outcomes[-1]
        self.assertIsInstance(outcome, NotSent)
        self.assertIn("10.77.0.3 not answered", outcome.summary())
