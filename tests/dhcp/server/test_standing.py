"""Standing fast: crowds, storms, clocks that are set, disks that are full, and what operators decide for such days."""

from __future__ import annotations

import math
from dataclasses import replace
from ipaddress import IPv4Address

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.dhcp import reception
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.wire import MessageType
from pixelboot.dhcp.outcomes import Bound, Crowded, Declined, Dropped, Ignored, NotStored, Offered, Refused
from pixelboot.dhcp.server import protocol
from pixelboot.leases.crowd import Ceilings
from pixelboot.leases.lease import Lease, State
from pixelboot.leases.memory import MemoryLeases
from pixelboot.leases.seam import StoreFailed
from tests.dhcp.lan import (
    DECLINE_TIME,
    OFFER_TIME,
    RELAY,
    SERVER,
    SUBNET,
    Gate,
    Lan,
    address,
    arrival,
    discover,
    reboot,
    renew,
    say,
    select,
)

ACK, NAK, OFFER = MessageType.ACK, MessageType.NAK, MessageType.OFFER
WIDE = replace(SUBNET, pool=("10.77.0.20-10.77.0.250",), router=None)


class Decided(SynchronousTestCase):
    """What the settings say for the whole site."""

    def test_o07_rapid_commit(self) -> None:
        """O07: one ACK with an empty option 80, and the lease is there; off, or not so asked, an OFFER without it."""
        lan = Lan(rapid_commit=True)
        reply, way = lan.ask(discover(1, {80: b""}))
        self.assertEqual((reply.message_type, reply.options[80], reply.number(51)), (ACK, b"", 600))
        self.assertEqual((reply.yiaddr, str(way.hwaddr)), (address(100), "02:aa:00:00:00:01"))
        self.assertIsInstance(lan.outcomes[-1], Bound)
        lease = lan.table.records()[int(reply.yiaddr)]
        self.assertEqual(lease.expires_at, lan.now + 600)
        for server, options in ((lan, {}), (lan, {80: b"\0"}), (Lan(), {80: b""})):
            reply, _ = server.ask(discover(2, options))
            self.assertEqual((reply.message_type, 80 in reply.options), (OFFER, False), str(options))

    def test_o07_nothing_left(self) -> None:
        """O07: silence, as without it; nor is anything sent before it is durable."""
        gate = Gate()
        lan = Lan(replace(SUBNET, pool=("10.77.0.100",)), rapid_commit=True, turn=gate)
        lan.arrive(discover(1, {80: b""}))
        self.assertEqual(lan.sent, [])
        gate.waiting.pop().errback(StoreFailed("no space"))
        self.assertIsInstance(lan.outcomes[-1], NotStored)
        lan.arrive(discover(1, {80: b""}))
        gate.waiting.pop().callback(None)
        self.assertEqual(lan.sent[-1][0].message_type, ACK)
        self.assertIn("gets no address", lan.silence(discover(2, {80: b""})).summary())

    def test_o08_in_a_request(self) -> None:
        """O08: it means nothing there."""
        lan = Lan(rapid_commit=True)
        reply, _ = lan.ask(say(MessageType.REQUEST, 1, {54: SERVER.packed, 50: address(100).packed, 80: b""}))
        self.assertEqual((reply.message_type, 80 in reply.options), (ACK, False))

    def test_d26_authoritative(self) -> None:
        """D26: who is not known, and asks for its address of last time, is refused; D30: not who uses one."""
        lan = Lan(authoritative=True)
        reply, _ = lan.ask(reboot(1, address(123)))
        self.assertEqual(reply.message_type, NAK)
        self.assertIsInstance(lan.outcomes[-1], Refused)
        self.assertIsInstance(lan.silence(renew(1, address(123))), Ignored)
        self.assertIsInstance(Lan().silence(reboot(1, address(123))), Ignored)


class Reuse(SynchronousTestCase):
    """Early in a lease it is not written again."""

    def test_what_is_left_is_told(self) -> None:
        """In its first quarter; D24: by OFFER and ACK alike, D37: T1 and T2 of that; then it is prolonged."""
        gate = Gate()
        lan = Lan(reuse=0.25, turn=gate)
        lan.arrive(select(1, address(100)))
        gate.waiting.pop().callback(None)
        for later in (0, 60, 149):
            lan.now = 1_000_000.0 + later
            offer, _ = lan.ask(discover(1))
            for request in (select(1, address(100)), reboot(1, address(100)), renew(1, address(100))):
                reply, _ = lan.ask(request)
                self.assertEqual(reply.number(51), 600 - later, str(later))
                self.assertEqual((reply.message_type, offer.number(51)), (ACK, 600 - later), str(later))
                self.assertEqual((reply.number(58), reply.number(59)), ((600 - later) // 2, (600 - later) * 7 // 8))
        self.assertEqual(gate.waiting, [])
        lan.now = 1_000_000.0 + 150
        self.assertEqual(lan.ask(discover(1))[0].number(51), 600)
        lan.arrive(renew(1, address(100)))
        gate.waiting.pop().callback(None)
        self.assertEqual(lan.sent[-1][0].number(51), 600)

    def test_who_asks_for_less_is_given_less(self) -> None:
        """Whatever is left of the lease it has; never more than the settings allow now."""
        lan = Lan(reuse=0.25)
        lan.bound(1)
        reply, _ = lan.ask(say(MessageType.REQUEST, 1, {51: b"\0\0\0\x78"}, ciaddr=address(100)))
        self.assertEqual(reply.number(51), 120)


class Crowds(SynchronousTestCase):
    """More than can be served at once."""

    def test_known_machines_come_first(self) -> None:
        """When half of the places are taken, machines that are not known wait; at the end everybody does."""
        self.patch(reception, "MOST_AT_ONCE", 4)
        self.patch(reception, "MANY_AT_ONCE", 2)
        gate = Gate()
        lan = Lan(WIDE, turn=gate)
        lan.arrive(select(1, address(100)))
        gate.waiting.pop().callback(None)
        lan.offered(2)
        for host in (11, 12):
            lan.arrive(select(host, address(100 + host)))
        outcome = lan.silence(discover(3))
        self.assertIsInstance(outcome, Crowded)
        self.assertIn("known machines come first", outcome.summary())
        self.assertEqual([lan.offered(1), lan.offered(2)], [address(100), address(20)], "bound, and offered before")
        for host in (13, 14):
            lan.arrive(select(host, address(100 + host)))
        self.assertIsInstance(lan.silence(discover(1)), Dropped)
        for turn in gate.waiting:
            turn.callback(None)
        lan.offered(3)

    def test_ceilings(self) -> None:
        """One port of a switch, or one relay, cannot have more on offer than the settings allow; others are served."""
        lan = Lan(WIDE)
        lan.reception = lan.reception_over(MemoryLeases(Ceilings(per_port=2, per_relay=4)))
        port, other = {82: b"\1\1a"}, {82: b"\1\1b"}
        for host in (1, 2):
            lan.offered(host, port, giaddr=RELAY)
        outcome = lan.silence(discover(3, port, giaddr=RELAY))
        self.assertIsInstance(outcome, Crowded)
        self.assertIn("at /61 of 10.77.0.3", outcome.summary())
        for host in (4, 5):
            lan.offered(host, other, giaddr=RELAY)
        self.assertIsInstance(lan.silence(discover(6, giaddr=RELAY)), Crowded)
        lan.offered(7)

    def test_d31_declines_of_a_crowd(self) -> None:
        """D31: machines that nobody has heard of cannot put a whole pool to rest, each its three addresses."""
        self.patch(protocol, "MOST_DECLINES_HERE", 5)
        lan = Lan(WIDE)
        kinds = []
        for host in range(1, 8):
            gone = lan.offered(host)
            kinds.append(type(lan.silence(say(MessageType.DECLINE, host, {54: SERVER.packed, 50: gone.packed}))))
        self.assertEqual(kinds, [Declined] * 5 + [Ignored] * 2)
        self.assertIn("where it is", lan.outcomes[-1].summary())
        gone = lan.offered(9, giaddr=RELAY)
        there = say(MessageType.DECLINE, 9, {54: SERVER.packed, 50: gone.packed}, giaddr=RELAY)
        self.assertIsInstance(lan.silence(there), Declined)

    def test_a_storm(self) -> None:
        """A thousand machines after a power cut: each gets the address it had, though none remembers it."""
        hall = replace(WIDE, network=SUBNET.network.supernet(new_prefix=16), pool=("10.77.4.0-10.77.7.255",))
        lan = Lan(hall)
        links = [bytes((2, 0xBB, 0, 0, number >> 8, number & 255)) for number in range(1000)]
        had = dict(zip(links, (IPv4Address("10.77.4.0") + number for number in range(1000)), strict=True))
        lan.table.load({int(each): self.lease(link, each, lan.now) for link, each in had.items()})
        come = arrival(lan.now)
        for kind in (MessageType.DISCOVER, MessageType.REQUEST):
            for link in reversed(links):
                sent = {54: SERVER.packed, 50: had[link].packed} if kind is MessageType.REQUEST else {}
                request = say(kind, 1, sent, chaddr=link.ljust(16, b"\0"))
                lan.reception.received(wire.encode(request), come, lan)
        replies = [(reply.message_type, reply.chaddr[:6], reply.yiaddr) for reply, _ in lan.sent]
        self.assertEqual(replies[:1000], [(OFFER, link, had[link]) for link in reversed(links)])
        self.assertEqual(replies[1000:], [(ACK, link, had[link]) for link in reversed(links)])
        self.assertEqual({type(outcome) for outcome in lan.outcomes}, {Offered, Bound})

    def lease(self, link: bytes, held: IPv4Address, now: float) -> Lease:
        """A lease that ran out while there was no power."""
        mac = link.hex(":")
        return Lease(held, f"hw:01:{mac}", mac, State.EXPIRED, now - 9000, now - 600, "", now - 1200)


class Clocks(SynchronousTestCase):
    """The wall clock is set."""

    def test_hours_back(self) -> None:
        """Nobody is told of more time than the settings allow, no lease is doubled, and all goes on."""
        lan = Lan(reuse=0.25)
        has, offered = lan.bound(1), lan.offered(2)
        lan.now -= 7200
        for request in (renew(1, has), reboot(1, has), discover(1), select(2, offered), discover(2)):
            reply, _ = lan.ask(request)
            self.assertEqual((reply.number(51), reply.number(58), reply.number(59)), (600, 300, 525), str(request))
        self.assertEqual(lan.bound(3), address(102))
        lan.now += 599
        self.assertEqual(lan.ask(renew(1, has))[0].number(51), 600)

    def test_hours_forward(self) -> None:
        """What was leased has run out for us; who asks for it still gets it, as long as nobody else has."""
        lan = Lan(reuse=0.25)
        has, offered = lan.bound(1), lan.offered(2)
        lan.now += 7200
        self.assertEqual(lan.ask(renew(1, has))[0].number(51), 600)
        self.assertEqual(lan.ask(select(2, offered))[0].message_type, ACK)
        self.assertEqual(lan.bound(3), address(102))

    def test_rests_and_counts(self) -> None:
        """D31: a count of declines from the future counts for nothing; an address that rests is not offered."""
        lan = Lan()
        for _ in range(protocol.MOST_DECLINES + 1):
            gone = lan.offered(1)
            lan.silence(say(MessageType.DECLINE, 1, {54: SERVER.packed, 50: gone.packed}))
        self.assertIsInstance(lan.outcomes[-1], Ignored)
        lan.now -= 2 * DECLINE_TIME
        gone = lan.offered(1)
        self.assertIsInstance(lan.silence(say(MessageType.DECLINE, 1, {54: SERVER.packed, 50: gone.packed})), Declined)
        self.assertNotIn(lan.offered(2), [address(100), address(101), address(102), gone])

    def test_a_commit_that_takes_longer_than_the_lease(self) -> None:
        """What is told is counted from when it was asked: never less than nothing."""
        gate = Gate()
        lan = Lan(turn=gate)
        lan.arrive(select(1, address(100)))
        lan.now += 1e6
        gate.waiting.pop().callback(None)
        self.assertEqual(lan.sent[-1][0].number(51), 600)

    def test_for_ever_is_told_as_such(self) -> None:
        """D38: whatever the clock says."""
        lan = Lan(replace(SUBNET, infinite=True), reuse=0.25)
        asked = {51: b"\xff" * 4}
        has = lan.offered(1, asked)
        for step in (0.0, -1e5, 1e8):
            lan.now += step
            taking = {53: b"\3", 54: SERVER.packed, 50: has.packed, **asked}
            self.assertEqual(lan.ask(say(MessageType.REQUEST, 1, taking))[0].number(51), 0xFFFFFFFF)
            self.assertEqual(lan.table.records()[int(has)].expires_at, math.inf)


class Disks(SynchronousTestCase):
    """A disk that takes nothing."""

    def test_it_recovers_by_itself(self) -> None:
        """No ACK as long as it lasts, said loudly but not with every machine; then all is as before."""
        full = True

        async def turn() -> None:
            if full:
                raise StoreFailed("no space left on device")

        lan = Lan(turn=turn)
        for host in range(1, 6):
            self.assertIsInstance(lan.silence(select(host, lan.offered(host))), NotStored)
        self.assertEqual((NotStored.severity, NotStored.burst), ("error", 5))
        self.assertGreater(NotStored.rest, 0)
        full = False
        for host in range(1, 6):
            self.assertEqual(lan.ask(select(host, lan.offered(host)))[0].message_type, ACK)
        lan.now += OFFER_TIME
        self.assertFalse(lan.table.check())

    def test_what_waits_for_the_disk_is_not_asked_for_again(self) -> None:
        """A client that repeats its REQUEST meanwhile is answered when the disk has answered, each time."""
        waits: list[Deferred[None]] = []

        def turn() -> Deferred[None]:
            waits.append(Deferred())
            return waits[-1]

        lan = Lan(turn=turn)
        for _ in range(3):
            lan.arrive(select(1, address(100)))
        self.assertEqual(lan.sent, [])
        for each in waits:
            each.callback(None)
        self.assertEqual({reply.yiaddr for reply, _ in lan.sent}, {address(100)})
        self.assertEqual(len(lan.sent), 3)
