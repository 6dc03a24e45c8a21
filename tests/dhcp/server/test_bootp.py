"""BOOTP: an address for ever, or none."""

from __future__ import annotations

import math
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import build
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.outcomes import Bound, Exhausted, Ignored, Informed
from pixelboot.dhcp.settings.host import HostSettings
from pixelboot.leases.lease import State
from tests.dhcp.lan import EVERYBODY, NOWHERE, RELAY, SERVER, SUBNET, URL, Gate, Lan, address, discover, say, select

HOST = build(HostSettings, {"mac": "02:aa:00:00:00:01", "address": "10.77.0.50"})
FOR_EVER = replace(SUBNET, infinite=True)


class Bootp(SynchronousTestCase):
    """Requests without option 53."""

    def test_d43_a_reserved_address(self) -> None:
        """D43: a reply of BOOTP, whose options are those of its vendor field of 64 octets, and a lease without end."""
        lan = Lan(bootp=True, hosts=(HOST,))
        reply, way = lan.ask(say(None, 1))
        self.assertEqual((reply.yiaddr, reply.siaddr, reply.file), (address(50), SERVER, URL.encode()))
        self.assertEqual(list(reply.options), [1, 3, 6, 15])
        self.assertFalse({51, 53, 54} & reply.options.keys())
        self.assertEqual((way.address, str(way.hwaddr)), (address(50), "02:aa:00:00:00:01"))
        self.assertEqual(len(lan.octets[-1]), 300)
        self.assertEqual(lan.octets[-1][240:].rstrip(b"\0")[-1], 255)
        self.assertLessEqual(len(lan.octets[-1][236:].rstrip(b"\0")), 64)
        lease = lan.table.at(address(50))
        assert lease is not None
        self.assertEqual((lease.state, lease.expires_at), (State.BOUND, math.inf))
        self.assertEqual(lan.outcomes[-1].summary(), f"02:aa:00:00:00:01 has 10.77.0.50 for ever, boots {URL}")

    def test_d43_without_a_cookie(self) -> None:
        """D43: RFC 951 knew no options."""
        lan = Lan(bootp=True, hosts=(HOST,))
        octets = bytearray(wire.encode(say(None, 1)))
        octets[236:] = bytes(64)
        self.assertEqual(lan.ask(bytes(octets))[0].yiaddr, address(50))

    def test_d43_off(self) -> None:
        """D43: silence, as it is unless the settings say otherwise."""
        lan = Lan(hosts=(HOST,))
        self.assertIn("BOOTP, which is off", lan.silence(say(None, 1)).summary())
        self.assertEqual(list(lan.table.list()), [])

    def test_no_address_is_reserved(self) -> None:
        """One of the pool only where leases may be without end; else it would be lost with every such machine."""
        lan = Lan(bootp=True)
        self.assertIn("no address is reserved for it", lan.silence(say(None, 2)).summary())
        self.assertEqual(list(lan.table.list()), [])
        lan = Lan(FOR_EVER, bootp=True)
        given = lan.ask(say(None, 2))[0].yiaddr
        self.assertIn(given, lan.link.pool)
        lan.now += 1e8
        self.assertNotEqual(lan.offered(3, {50: given.packed}), given)

    def test_it_asks_again(self) -> None:
        """The same address each time, and one write for all of them."""
        gate = Gate()
        lan = Lan(FOR_EVER, bootp=True, turn=gate)
        lan.arrive(say(None, 2))
        self.assertEqual(lan.sent, [], "commit, then send")
        gate.waiting.pop().callback(None)
        first = lan.sent[-1][0].yiaddr
        lan.now += 86400
        self.assertEqual(lan.ask(say(None, 2))[0].yiaddr, first)
        self.assertEqual(gate.waiting, [])

    def test_a_finite_lease_becomes_one_for_ever(self) -> None:
        """A machine that spoke DHCP before, and does again: as long as it spoke last."""
        lan = Lan(FOR_EVER, bootp=True)
        has = lan.bound(2)
        lan.ask(say(None, 2))
        lan.now += 10_000
        self.assertEqual(lan.ask(select(2, has))[0].number(51), 600)
        lan.now += 601
        self.assertEqual(lan.offered(3, {50: has.packed}), address(101))

    def test_its_reserved_address_is_anothers(self) -> None:
        """It is given none for ever that is not its own, and what was set aside for it is free again."""
        lan = Lan(bootp=True)
        lan.bound(2, address(120))
        kept = Lan(bootp=True, hosts=(replace(HOST, address=address(120)),))
        kept.reception = kept.reception_over(lan.leases)
        self.assertIn("is not for ever", kept.silence(say(None, 1)).summary())
        self.assertIsNone(lan.table.at(address(100)))

    def test_used_up(self) -> None:
        """Said like any other."""
        lan = Lan(replace(FOR_EVER, pool=("10.77.0.100",)), bootp=True)
        lan.ask(say(None, 1))
        self.assertIsInstance(lan.silence(say(None, 2)), Exhausted)

    def test_who_has_an_address(self) -> None:
        """It wants to know what to boot: no lease, no other address; nor is a far one answered."""
        lan = Lan(bootp=True)
        reply, way = lan.ask(say(None, 2, ciaddr=address(60)))
        self.assertEqual((reply.ciaddr, reply.yiaddr, reply.file), (address(60), NOWHERE, URL.encode()))
        self.assertEqual((way.address, type(lan.outcomes[-1])), (address(60), Informed))
        self.assertIsInstance(lan.silence(say(None, 2, ciaddr=RELAY + 256)), Ignored)
        self.assertEqual(list(lan.table.list()), [])

    def test_d09_the_ladder_is_the_same(self) -> None:
        """D09: RFC 1542 §4.1.2: broadcast, or by the relay."""
        lan = Lan(bootp=True, hosts=(HOST,))
        self.assertEqual(lan.ask(say(None, 1, flags=0x8000))[1].address, EVERYBODY)
        self.assertEqual(lan.ask(say(None, 1, giaddr=RELAY))[1].address, RELAY)
        self.assertIsInstance(lan.outcomes[-1], Bound)
        lan.offered(2)
        self.assertNotIn(address(50), {lan.ask(discover(number))[0].yiaddr for number in range(3, 9)})
