"""RFC 2131 §4.3 as dialogues: octets in, octets out, over the real lease table, time moved by hand."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.outcomes import Bound, Declined, Exhausted, Ignored, Informed, Offered, Refused, Released
from pixelboot.dhcp.server.answer import (
    Bind,
    Bootp,
    Decline,
    Nothing,
    Offer,
    Release,
    Renew,
    Rules,
    Wish,
    Withdraw,
    answer,
    ask,
)
from pixelboot.dhcp.server.compose import Terms
from pixelboot.dhcp.settings.dhcp import SubnetSettings
from pixelboot.leases.lease import Claim, State
from tests.dhcp.lan import (
    DECLINE_TIME,
    EVERYBODY,
    NOWHERE,
    RELAY,
    SECOND,
    SERVER,
    STRANGER,
    SUBNET,
    URL,
    Lan,
    address,
    discover,
    exchange,
    parameters,
    pool,
    reboot,
    renew,
    say,
    select,
)

OFFER, ACK, NAK = MessageType.OFFER, MessageType.ACK, MessageType.NAK
ELSEWHERE = address(1) + 256
"""10.77.1.1, not of this network."""
SMALL = SubnetSettings(network=SUBNET.network, pool=("10.77.0.100-10.77.0.101",), lease_time=600.0)


def decline(host: int, wanted: Any, server: Any = SERVER) -> Message:
    """A DECLINE; without option 50 or 54 where they are None."""
    sent = {50: wanted, 54: server}
    return say(MessageType.DECLINE, host, {code: value.packed for code, value in sent.items() if value is not None})


def release(host: int, has: Any, server: Any = SERVER) -> Message:
    """A RELEASE."""
    return say(MessageType.RELEASE, host, {} if server is None else {54: server.packed}, ciaddr=has)


TERMS = Terms(parameters(), 600.0)

WISHES: tuple[tuple[str, Message, Wish], ...] = (
    ("DISCOVER", discover(1), Offer(None)),
    ("DISCOVER with a wish", discover(1, {50: address(130).packed}), Offer(address(130))),
    ("DISCOVER with half an address", discover(1, {50: b"\x0a\x4d"}), Offer(None)),
    ("DISCOVER by a relay of this subnet", discover(1, giaddr=RELAY), Offer(None)),
    ("SELECTING", select(1, address(100)), Bind(address(100), TERMS)),
    ("D13 SELECTING our other address", select(1, address(100), SECOND), Bind(address(100), TERMS)),
    ("D23 SELECTING another server", select(1, address(100), STRANGER), Withdraw()),
    ("SELECTING nobody", say(MessageType.REQUEST, 1, {50: address(100).packed, 54: b""}), Withdraw()),
    (
        "SELECTING by ciaddr",
        say(MessageType.REQUEST, 1, {54: SERVER.packed}, ciaddr=address(100)),
        Bind(address(100), TERMS),
    ),
    ("INIT-REBOOT", reboot(1, address(123)), Renew(address(123), TERMS, rebooting=True)),
    ("RENEWING", renew(1, address(123)), Renew(address(123), TERMS)),
    ("RENEWING, and 50 too", reboot(1, address(124), ciaddr=address(123)), Renew(address(123), TERMS)),
    ("RELEASE", release(1, address(123)), Release(address(123))),
    ("DECLINE", decline(1, address(123)), Decline(address(123))),
    ("INFORM", say(MessageType.INFORM, 1, ciaddr=address(200)), Nothing()),
)
"""What is said, what is asked of the store."""

SILENT: tuple[tuple[str, Message, str], ...] = (
    ("D29 neither 50 nor ciaddr", say(MessageType.REQUEST, 1), "asks for no address"),
    ("D29 the same, to us", say(MessageType.REQUEST, 1, {54: SERVER.packed}), "asks for no address"),
    ("D29 half an address", say(MessageType.REQUEST, 1, {50: b"\x0a\x4d\0"}), "asks for no address"),
    ("D30 ciaddr of another network", renew(1, ELSEWHERE), "of another network"),
    ("D17 relay of another network", discover(1, giaddr=ELSEWHERE), "relay 10.77.1.1"),
    ("D32 DECLINE without 54", decline(1, address(100), None), "for another server"),
    ("D32 DECLINE of another's", decline(1, address(100), STRANGER), "for another server"),
    ("D32 RELEASE without 54", release(1, address(100), None), "for another server"),
    ("D32 RELEASE of another's", release(1, address(100), STRANGER), "for another server"),
    ("DECLINE of nothing", decline(1, None), "which address"),
    ("INFORM of nothing", say(MessageType.INFORM, 1), "its address"),
    ("INFORM from another network", say(MessageType.INFORM, 1, ciaddr=ELSEWHERE), "of another network"),
    ("DISCOVER that claims a far address", say(MessageType.DISCOVER, 1, ciaddr=ELSEWHERE), "of another network"),
    ("INFORM from the whole world", say(MessageType.INFORM, 1, ciaddr=EVERYBODY), "of another network"),
    ("OFFER from a client", say(OFFER, 1), "no client sends"),
    ("ACK from a client", say(ACK, 1), "no client sends"),
    ("NAK from a client", say(NAK, 1), "no client sends"),
)
"""What is said, why nobody answers."""


class Decisions(SynchronousTestCase):
    """What one message means."""

    def test_wishes(self) -> None:
        """The table at the head of the module, with its neighbours."""
        for name, request, wish in WISHES:
            wished = ask(exchange(request), Rules())
            self.assertEqual((type(wished), wished), (type(wish), wish), name)

    def test_silence(self) -> None:
        """D17, D29, D30, D32, D35: no reply, no lease, and an outcome that says why."""
        for name, request, reason in SILENT:
            lan = Lan()
            outcome = lan.silence(request)
            self.assertIsInstance(outcome, Ignored, name)
            self.assertIn(reason, outcome.summary(), name)
            self.assertEqual(list(lan.table.list()), [], name)

    def test_every_reply_has_a_way(self) -> None:
        """A reply and its destination come together; D43: without option 53 there is neither."""
        for name, request, wish in WISHES:
            for result in (None, Lan().table.offer(Claim("a", "", pool()), None, 0.0, 9.0)):
                decided = answer(exchange(request), Rules(), wish, result)
                self.assertEqual(decided.reply is None, decided.destination is None, name)

    def test_d43_bootp(self) -> None:
        """D43: without option 53 it is another protocol, which may be off."""
        self.assertIsInstance(ask(exchange(say(None, 1)), Rules(bootp=True)), Bootp)
        wished = ask(exchange(say(None, 1)), Rules())
        self.assertEqual(wished, Nothing(ignored="it speaks BOOTP, which is off (dhcp.bootp)"))


class Discovering(SynchronousTestCase):
    """DISCOVER and what is offered."""

    def test_d04_d10_d24_d46_a_whole_dialogue(self) -> None:
        """D24: OFFER and ACK say the same; D46: a repeated DISCOVER is offered the same; D10: to who it is."""
        lan = Lan()
        offer, way = lan.ask(discover(1, {77: b"iPXE"}))
        self.assertEqual((way.address, way.port, str(way.hwaddr)), (offer.yiaddr, 68, "02:aa:00:00:00:01"))
        lan.now += 4
        again, _ = lan.ask(discover(1, {77: b"iPXE"}, secs=4))
        self.assertEqual(again, offer)
        taken = {53: b"\3", 54: SERVER.packed, 50: offer.yiaddr.packed, 77: b"iPXE"}
        ack, _ = lan.ask(say(MessageType.REQUEST, 1, taken))
        self.assertEqual({**ack.options, 53: b"\2"}, offer.options)
        self.assertEqual((ack.yiaddr, ack.siaddr, ack.file), (offer.yiaddr, offer.siaddr, offer.file))
        self.assertEqual(ack.file, URL.encode())
        self.assertEqual([type(outcome) for outcome in lan.outcomes], [Offered, Offered, Bound])
        lease = lan.table.at(ack.yiaddr)
        assert lease is not None
        self.assertEqual((lease.state, lease.expires_at), (State.BOUND, lan.now + 600))

    def test_d15_the_address_of_last_time(self) -> None:
        """D15, D33: after a RELEASE, and after the end of the lease, while it is free."""
        for ends in ("release", "expiry"):
            lan = Lan()
            had = lan.bound(1, address(123))
            if ends == "release":
                lan.silence(release(1, had))
            else:
                lan.now += 601
            self.assertEqual(lan.offered(2), address(100), ends)
            self.assertEqual(lan.offered(1), had, ends)

    def test_d16_the_address_asked_for(self) -> None:
        """D16: if it is free and of the pool."""
        lan = Lan()
        self.assertEqual(lan.bound(1, address(130)), address(130))
        self.assertNotEqual(lan.offered(2, {50: address(130).packed}), address(130))
        for foreign in (address(99), address(151), SERVER, ELSEWHERE, NOWHERE, EVERYBODY):
            self.assertIn(lan.offered(3, {50: foreign.packed}), lan.link.pool, str(foreign))

    def test_d18_an_offer_is_kept(self) -> None:
        """D18: two clients are never offered one address in 30 s, however few there are."""
        lan = Lan(SMALL)
        self.assertNotEqual(lan.offered(1), lan.offered(2))
        self.assertIsInstance(lan.silence(discover(3)), Exhausted)
        lan.now += 29.5
        self.assertEqual(
            lan.silence(discover(3)).summary(),
            "02:aa:00:00:00:03 gets no address: all 2 addresses of 10.77.0.0/24 are used up: 0 leased, 2 offered, "
            "0 in quarantine",
        )
        lan.now += 1
        self.assertEqual(lan.offered(3), address(100))

    def test_reserved_addresses_are_never_offered(self) -> None:
        """D16: the server's own addresses and the router, though the pool may hold them; not to who asks, either."""
        lan = Lan(SubnetSettings(network=SUBNET.network, pool=("10.77.0.1-10.77.0.4",), router=address(4)))
        for taken in (SERVER, address(4)):
            self.assertEqual(lan.offered(1, {50: taken.packed}), address(3))
        lan.silence(discover(2))
        reply, _ = lan.ask(select(2, SERVER))
        self.assertEqual(reply.message_type, NAK)

    def test_d07_d17_a_relay_of_this_subnet(self) -> None:
        """D07, D17: the answer goes to the relay and nowhere else."""
        lan = Lan()
        reply, way = lan.ask(discover(1, giaddr=RELAY, hops=1))
        self.assertEqual((way.address, way.port, way.hwaddr), (RELAY, 67, None))
        self.assertEqual((reply.giaddr, reply.hops), (RELAY, 0))

    def test_d09_the_broadcast_flag(self) -> None:
        """D09."""
        _, way = Lan().ask(discover(1, flags=0x8000))
        self.assertEqual((way.address, way.port), (EVERYBODY, 68))

    def test_d42_d47_infiniband(self) -> None:
        """D42, D47: a client without a link address, its identifier inside `sname`, is served by broadcast."""
        lan = Lan()
        for host, number in ((1, 100), (2, 101), (1, 100)):
            octets = bytearray(wire.encode(discover(1, {52: b"\2", 53: b"\1"}, htype=32, hlen=0, chaddr=bytes(16))))
            octets[44:51] = bytes((61, 4, 0, 0, 0, host, 255))
            reply, way = lan.ask(bytes(octets))
            self.assertEqual((reply.yiaddr, way.address), (address(number), EVERYBODY))
            self.assertEqual(reply.options[61], bytes((0, 0, 0, host)))


class Requesting(SynchronousTestCase):
    """REQUEST in its four states."""

    def test_d13_our_other_address(self) -> None:
        """D13: accepted, and answered under that name and from there."""
        reply, way = Lan().ask(select(1, address(100), SECOND))
        self.assertEqual((reply.message_type, reply.address(54), way.source), (ACK, SECOND, SECOND))

    def test_d14_the_address_it_arrived_at(self) -> None:
        """D14: option 54 lies in the subnet of the arrival."""
        reply, way = Lan().ask(discover(1), SECOND)
        self.assertEqual((reply.address(54), way.source), (SECOND, SECOND))

    def test_d14_the_address_that_machines_are_told(self) -> None:
        """D14: of several addresses the one in the settings, whichever a request came to; D13: unless it is named."""
        lan = Lan(address=SECOND)
        reply, way = lan.ask(discover(1), SERVER)
        self.assertEqual((reply.address(54), reply.siaddr, way.source), (SECOND, SECOND, SECOND))
        self.assertEqual(lan.ask(select(1, reply.yiaddr, SERVER))[0].address(54), SERVER)

    def test_d23_another_server(self) -> None:
        """D23: silence, and our offer is free at once."""
        lan = Lan()
        given = lan.offered(1)
        self.assertIn("another server", lan.silence(select(1, address(9), STRANGER)).summary())
        self.assertEqual(lan.offered(2, {50: given.packed}), given)

    def test_d25_anothers_address(self) -> None:
        """D25, D11: held by or offered to another: a NAK to everybody."""
        lan = Lan()
        for taken in (lan.bound(1), lan.offered(2)):
            reply, way = lan.ask(select(3, taken))
            self.assertEqual((reply.message_type, way.address, way.port), (NAK, EVERYBODY, 68))
            self.assertIsInstance(lan.outcomes[-1], Refused)
        self.assertIn("held by another machine", lan.outcomes[-2].summary())
        self.assertEqual(lan.sent[-1][0].options[56].decode(), f"{taken} is offered to another machine")

    def test_d12_a_nak_by_the_relay(self) -> None:
        """D12: to the relay, which is told to broadcast."""
        lan = Lan()
        reply, way = lan.ask(select(2, lan.bound(1), giaddr=RELAY))
        self.assertEqual((reply.message_type, reply.flags, way.address, way.port), (NAK, 0x8000, RELAY, 67))

    def test_d26_init_reboot_of_a_stranger(self) -> None:
        """D26: who is not known is not answered, another server may know it."""
        lan = Lan()
        self.assertIn("not known here", lan.silence(reboot(1, address(123))).summary())

    def test_d27_init_reboot_from_another_network(self) -> None:
        """D27: a NAK, for who is known and who is not, so that it starts anew."""
        lan = Lan()
        lan.bound(1)
        for host in (1, 2):
            reply, way = lan.ask(reboot(host, ELSEWHERE))
            self.assertEqual((reply.message_type, way.address), (NAK, EVERYBODY))

    def test_d28_init_reboot_with_the_wrong_address(self) -> None:
        """D28: a NAK, and the lease stays; with the right address an ACK."""
        lan = Lan()
        has = lan.bound(1, address(123))
        reply, _ = lan.ask(reboot(1, address(124)))
        self.assertEqual((reply.message_type, reply.yiaddr), (NAK, NOWHERE))
        lan.now += 100
        reply, way = lan.ask(reboot(1, has))
        self.assertEqual((reply.message_type, reply.yiaddr, way.address), (ACK, has, has))
        self.assertEqual(str(way.hwaddr), "02:aa:00:00:00:01", "it cannot answer ARP yet")

    def test_init_reboot_after_the_end(self) -> None:
        """D26: the lease ran out: granted again while it is free; forgotten, so no answer, once another has it."""
        lan = Lan(SMALL)
        has = lan.bound(1)
        lan.now += 601
        self.assertEqual(lan.ask(reboot(1, has))[0].message_type, ACK)
        lan.now += 601
        self.assertIn(has, (lan.bound(2), lan.bound(3)))
        self.assertIsInstance(lan.silence(reboot(1, has)), Ignored)

    def test_d08_renewing(self) -> None:
        """D08: unicast to the client, for another full time, said to be the same lease."""
        lan = Lan()
        has = lan.bound(1)
        for _ in range(5):
            lan.now += 300
            reply, way = lan.ask(renew(1, has))
            self.assertEqual((reply.message_type, reply.ciaddr, reply.yiaddr), (ACK, has, has))
            self.assertEqual((way.address, way.port, way.hwaddr, way.source), (has, 68, None, SERVER))
        self.assertIn("keeps", lan.outcomes[-1].summary())
        self.assertEqual(lan.offered(2), address(101), "it is still the first one's")

    def test_d30_rebinding(self) -> None:
        """D30: known, an ACK to ciaddr; unknown, silence; D11: with another's address, a NAK to everybody."""
        lan = Lan()
        has = lan.bound(1, address(123))
        self.assertEqual(lan.ask(renew(1, has, flags=0x8000))[1].address, has)
        self.assertIsInstance(lan.silence(renew(2, has)), Ignored)
        reply, way = lan.ask(renew(1, address(124)))
        self.assertEqual((reply.message_type, reply.ciaddr, way.address), (NAK, NOWHERE, EVERYBODY))


class Leaving(SynchronousTestCase):
    """DECLINE, RELEASE and INFORM."""

    def test_d31_decline(self) -> None:
        """D31: no reply; nobody is given the address until its rest is over, not even who asks for it by name."""
        for how in ("bound", "offered"):
            lan = Lan(SMALL)
            bad = lan.bound(1) if how == "bound" else lan.offered(1)
            outcome = lan.silence(decline(1, bad))
            self.assertIsInstance(outcome, Declined, how)
            self.assertEqual((outcome.severity, outcome.counter()), ("warn", "dhcp.Declined"))
            self.assertEqual(lan.offered(1, {50: bad.packed}), address(101), how)
            lan.now += DECLINE_TIME - 1
            self.assertEqual(lan.ask(select(2, bad))[0].message_type, NAK, how)
            self.assertEqual(lan.offered(2), address(101), how)
            lan.silence(discover(3))
            lan.now += 2
            self.assertEqual(lan.offered(3), bad, how)

    def test_decline_of_anothers_address(self) -> None:
        """Only who holds an address can make it rest."""
        lan = Lan()
        has = lan.bound(1)
        for bad in (has, address(140), SERVER):
            self.assertIn("not its own", lan.silence(decline(2, bad)).summary())
        self.assertEqual(lan.ask(renew(1, has))[0].message_type, ACK)
        self.assertEqual(lan.offered(3, {50: address(140).packed}), address(140))

    def test_d33_release(self) -> None:
        """D33: no reply, free at once for others, but kept in mind for who had it."""
        lan = Lan(SMALL)
        first, _ = lan.bound(1), lan.bound(2)
        lan.silence(discover(3))
        self.assertIsInstance(lan.silence(release(1, first)), Released)
        self.assertEqual(lan.offered(3), first)

    def test_d34_release_of_anothers_address(self) -> None:
        """D34: nothing happens; nor when an offer, which is no lease yet, is released, or a lease twice."""
        lan = Lan()
        has = lan.bound(1)
        offered = lan.offered(2)
        for host, what in ((2, has), (2, offered), (3, NOWHERE)):
            self.assertIn("not its own", lan.silence(release(host, what)).summary())
        self.assertIn("of another network", lan.silence(release(3, ELSEWHERE)).summary())
        self.assertEqual(lan.ask(renew(1, has))[0].message_type, ACK)
        self.assertIsInstance(lan.silence(release(1, has)), Released)
        self.assertIsInstance(lan.silence(release(1, has)), Ignored)

    def test_d35_inform(self) -> None:
        """D35: an ACK to ciaddr, and no lease, whoever holds the address."""
        lan = Lan()
        reply, way = lan.ask(say(MessageType.INFORM, 1, ciaddr=address(200)))
        self.assertEqual((reply.message_type, reply.yiaddr, way.address, way.port), (ACK, NOWHERE, address(200), 68))
        self.assertEqual(list(lan.table.list()), [])
        self.assertIsInstance(lan.outcomes[-1], Informed)
        self.assertEqual(lan.outcomes[-1].summary(), "02:aa:00:00:00:01 at 10.77.0.200 informed")
