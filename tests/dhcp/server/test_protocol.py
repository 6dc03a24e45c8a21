"""The shell: commit, then send; and whatever happens to one client, the next is served."""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.machine import Machine
from pixelboot.boot.policy import Assignment, BootPolicy
from pixelboot.boot.pxe import PxeSettings
from pixelboot.boot.settings import BootSettings, LoaderSettings
from pixelboot.config import build
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.outcomes import Bound, Declined, Failed, NotStored, Released
from pixelboot.dhcp.settings.dhcp import SubnetSettings
from pixelboot.hwaddr import HardwareAddress
from pixelboot.leases.lease import State
from pixelboot.leases.seam import StoreFailed
from tests.dhcp import captures
from tests.dhcp.lan import (
    NOWHERE,
    RELAY,
    SERVER,
    STRANGER,
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
from tests.dhcp.mutations import mutated

ACK, NAK, REQUEST = MessageType.ACK, MessageType.NAK, MessageType.REQUEST


class SlowPolicy:
    """Waits."""

    def __init__(self) -> None:
        self.gate = Gate()

    async def assign(self, machine: Machine, server: IPv4Address) -> Assignment:
        """See `Policy.assign`."""
        await self.gate()
        return Assignment()


def hostile_site() -> Lan:
    """A server of two networks that does all that it can."""
    remote = SubnetSettings(
        network=IPv4Network("198.51.100.0/24"), pool=("198.51.100.10-198.51.100.99",), shared="all", infinite=True
    )
    options = build(SubnetSettings, {"network": "10.0.0.0/24", "options": {"224": "hex:" + "ab" * 250}}).options
    near = replace(SUBNET, shared="all", options=options, ipv6_mostly=60)
    return Lan(
        near,
        remote,
        reuse=0.25,
        authoritative=True,
        rapid_commit=True,
        bootp=True,
        trust_relay_information=True,
        echo_client_system=True,
        leasequery=(IPv4Network("10.77.0.0/16"),),
    )


async def held(name: str) -> bool:
    """Every loader is there."""
    return True


class Boots(SynchronousTestCase):
    """Whole dialogues, as firmware has them."""

    def test_ipxe(self) -> None:
        """DISCOVER twice, REQUEST, renewal, RELEASE: every reply, every line of the log."""
        lan = Lan(policy=BootPolicy(BootSettings(loaders=LoaderSettings(), pxe=PxeSettings()), 8080, True, held))
        lan.ask(captures.IPXE_DISCOVER)
        lan.now += 1
        offer, _ = lan.ask(captures.IPXE_DISCOVER)
        asked = wire.decode(captures.IPXE_DISCOVER)
        options = {**asked.options, 53: b"\3", 54: offer.options[54], 50: offer.yiaddr.packed}
        ack, _ = lan.ask(say(REQUEST, 1, options, chaddr=asked.chaddr, xid=asked.xid))
        self.assertEqual((ack.xid, ack.chaddr), (asked.xid, asked.chaddr))
        self.assertTrue(ack.file.startswith(b"http://10.77.0.1:8080/boot.ipxe?mac=52"), ack.file)
        lan.now += 300
        lan.ask(say(REQUEST, 1, chaddr=asked.chaddr, ciaddr=ack.yiaddr))
        lan.silence(say(MessageType.RELEASE, 1, {54: SERVER.packed}, chaddr=asked.chaddr, ciaddr=ack.yiaddr))
        boots = f", boots {ack.file.decode()}"
        self.assertEqual(
            [outcome.summary() for outcome in lan.outcomes],
            [
                f"52:54:00:77:00:01 (iPXE, bios) offered 10.77.0.100{boots}",
                f"52:54:00:77:00:01 (iPXE, bios) offered 10.77.0.100{boots}",
                f"52:54:00:77:00:01 has 10.77.0.100 for 600 s{boots}",
                "52:54:00:77:00:01 keeps 10.77.0.100 for 600 s",
                "52:54:00:77:00:01 released 10.77.0.100",
            ],
        )

    def test_a_request_for_an_offer_we_never_made(self) -> None:
        """A captured REQUEST that names us, without a DISCOVER before it: we may have been restarted in between."""
        ack, _ = Lan().ask(captures.IPXE_REQUEST)
        self.assertEqual((ack.message_type, ack.yiaddr, ack.options[175]), (ACK, address(130), b"\xb0\1\1"))

    def test_dhclient(self) -> None:
        """Unknown at first, then the whole life of a lease."""
        lan = Lan()
        lan.silence(captures.DHCLIENT_RENEW)
        lan.ask(captures.DHCLIENT_DISCOVER)
        asked = wire.decode(captures.DHCLIENT_DISCOVER)
        options = {**asked.options, 53: b"\3", 54: SERVER.packed, 50: address(138).packed}
        lan.ask(say(REQUEST, 1, options, chaddr=asked.chaddr))
        reply, way = lan.ask(captures.DHCLIENT_RENEW)
        self.assertEqual((reply.yiaddr, way.address), (address(138), address(138)))
        self.assertIn("keeps 10.77.0.138 for 600 s as labdhclient", lan.outcomes[-1].summary())
        self.assertEqual(lan.silence(captures.DHCLIENT_RELEASE).summary(), "52:54:00:77:08:11 released 10.77.0.138")

    def test_who_has_which_address_is_told_to_the_other_protocols(self) -> None:
        """After an ACK, and not after an OFFER or a NAK."""
        lan = Lan()
        given = lan.offered(1)
        self.assertIsNone(lan.memory.holder(given))
        lan.ask(select(1, given))
        lan.ask(select(2, given))
        self.assertEqual(lan.memory.holder(given), HardwareAddress.parse("02:aa:00:00:00:01"))


class Hostile(SynchronousTestCase):
    """What no client sends."""

    @given(st.binary(max_size=400), st.binary(max_size=64))
    def test_any_octets(self, octets: bytes, options: bytes) -> None:
        """Whatever arrives comes to one outcome and at most one reply."""
        lan = Lan()
        good = wire.encode(discover(1))
        for datagram in (octets, good[:240] + octets, good[:240] + b"\x35\x01\x03" + options, good[:243] + options):
            before = len(lan.outcomes), len(lan.sent)
            lan.arrive(datagram)
            self.assertEqual(len(lan.outcomes), before[0] + 1)
            self.assertLessEqual(len(lan.sent), before[1] + 1)
            self.assertTrue(lan.outcomes[-1].summary().isprintable())
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_d02_mutated_captures(self) -> None:
        """D02: real packets with something done to them: one outcome each, no error, and no reply but a sound one.

        Every reply on a `Lan` has to keep to the clauses; here, with all that can be switched on.
        """
        lan = hostile_site()
        for octets in mutated(68, 1000):
            lan.arrive(octets, come=arrival(lan.now)._replace(source=RELAY))
            lan.now += 1
        self.assertEqual(len(lan.outcomes), 1000)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertFalse(lan.table.check())
        kinds = {type(outcome).__name__ for outcome in lan.outcomes}
        self.assertLessEqual({"Offered", "Bound", "Refused", "Ignored", "Dropped", "QueryRefused"}, kinds)
        self.assertTrue(all(outcome.summary().isprintable() for outcome in lan.outcomes))
        lan.now += 7200
        self.assertIn(lan.offered(1), lan.link.pool)

    def test_names_of_machines_are_neutralised(self) -> None:
        """A host name cannot write lines of its own into the log, nor colours."""
        lan = Lan()
        lan.ask(say(REQUEST, 1, {54: SERVER.packed, 50: address(100).packed, 12: b"a\nb\x1b[31m\xe2\x80\xae\xff"}))
        line = lan.outcomes[-1].summary()
        self.assertTrue(line.isprintable(), line)
        self.assertIn(r"a\nb\x1b[31m", line)


class Committing(SynchronousTestCase):
    """Commit, then send."""

    def test_nothing_is_promised_before_it_is_durable(self) -> None:
        """P13: the ACK leaves when the store has answered, and not before."""
        gate = Gate()
        lan = Lan(turn=gate)
        lan.arrive(select(1, address(100)))
        self.assertEqual((lan.sent, lan.outcomes), ([], []))
        self.assertIsNone(lan.memory.holder(address(100)))
        gate.waiting.pop().callback(None)
        self.assertEqual([reply.message_type for reply, _ in lan.sent], [ACK])
        self.assertIsInstance(lan.outcomes[-1], Bound)

    def test_clients_do_not_wait_for_each_other(self) -> None:
        """Commits that end in another order than they began, and offers in between."""
        gate = Gate()
        lan = Lan(turn=gate)
        for host in (1, 2, 3):
            lan.arrive(select(host, address(100 + host)))
        self.assertEqual(lan.offered(4), address(100))
        for turn in reversed(gate.waiting):
            turn.callback(None)
        self.assertEqual([reply.yiaddr for reply, _ in lan.sent], [address(last) for last in (100, 103, 102, 101)])

    def test_a_store_that_fails(self) -> None:
        """No reply, an outcome that says so; the same client is served when it asks again."""
        gate = Gate()
        lan = Lan(turn=gate)
        for request in (select(1, address(100)), renew(1, address(100)), reboot(1, address(100))):
            lan.arrive(request)
            gate.waiting.pop().errback(StoreFailed("no space\nleft"))
            outcome = lan.outcomes[-1]
            self.assertIsInstance(outcome, NotStored)
            self.assertEqual(
                (outcome.severity, outcome.summary()),
                ("error", r"02:aa:00:00:00:01 not answered, its lease could not be written: no space\nleft"),
            )
        self.assertEqual(lan.sent, [])
        self.assertIsNone(lan.memory.holder(address(100)))
        lan.arrive(select(1, address(100)))
        gate.waiting.pop().callback(None)
        self.assertEqual(lan.sent[-1][0].message_type, ACK)

    def test_a_decline_that_is_not_durable(self) -> None:
        """D31: it is told, and in force all the same."""
        gate = Gate()
        lan = Lan(turn=gate)
        given = lan.offered(1)
        lan.arrive(say(MessageType.DECLINE, 1, {54: SERVER.packed, 50: given.packed}))
        gate.waiting.pop().errback(StoreFailed("no space"))
        self.assertIsInstance(lan.outcomes[-1], NotStored)
        self.assertNotEqual(lan.offered(2), given)

    def test_a_mistake_in_the_store(self) -> None:
        """Told in full and counted, and the next client is served."""
        gate = Gate()
        lan = Lan(turn=gate)
        lan.arrive(select(1, address(100)))
        lan.arrive(select(2, address(101)))
        gate.waiting[0].errback(RuntimeError("not foreseen"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual([type(outcome) for outcome in lan.outcomes], [Failed])
        gate.waiting[1].callback(None)
        self.assertEqual([reply.yiaddr for reply, _ in lan.sent], [address(101)])

    def test_a_slow_policy(self) -> None:
        """A policy may wait too; the time of the arrival counts, not that of its answer."""
        policy = SlowPolicy()
        lan = Lan(policy=policy)
        arrived = lan.now
        lan.arrive(select(1, address(100)))
        lan.now += 50
        self.assertEqual(lan.sent, [])
        policy.gate.waiting.pop().callback(None)
        lease = lan.table.at(lan.sent[-1][0].yiaddr)
        assert lease is not None
        self.assertEqual(lease.expires_at, arrived + 600)


class Chance(SynchronousTestCase):
    """Many clients, nothing in order."""

    def test_no_address_has_two_holders(self) -> None:
        """Ten clients on six addresses say whatever comes to their mind, for hours.

        What was acknowledged to one is not given to another before its time is over, or it is given back.
        """
        chance = random.Random(67)
        lan = Lan(SubnetSettings(network=SUBNET.network, pool=("10.77.0.100-10.77.0.105",), lease_time=600.0))
        promised: dict[IPv4Address, tuple[bytes, float]] = {}
        resting: dict[IPv4Address, float] = {}
        kinds = set()
        for _ in range(600):
            lan.now += chance.choice((0, 0, 1, 30, chance.uniform(0, 200)))
            host = chance.randrange(10)
            mine = bytes((2, 0xAA, 0, 0, 0, host)).ljust(16, b"\0")
            own = [at for at, (holder, _) in promised.items() if holder == mine]
            last = chance.choice((*own, address(chance.randrange(99, 107))))
            server = chance.choice((SERVER, SERVER, SERVER, STRANGER))
            lan.sent.clear()
            lan.arrive(self.anything(chance, host, last, server))
            outcome = lan.outcomes[-1]
            kinds.add(type(outcome).__name__)
            if isinstance(outcome, Released | Declined):
                holder, until = promised.pop(outcome.lease.address, (mine, 0.0))
                self.assertTrue(holder == mine or until <= lan.now, outcome.summary())
                if isinstance(outcome, Declined):
                    resting[outcome.lease.address] = lan.now + 3600
            for reply, _ in lan.sent:
                if reply.yiaddr == NOWHERE or reply.message_type is NAK:
                    continue
                holder, until = promised.get(reply.yiaddr, (mine, 0.0))
                self.assertTrue(holder == mine or until <= lan.now, outcome.summary())
                self.assertLessEqual(resting.get(reply.yiaddr, 0.0), lan.now, outcome.summary())
                if reply.message_type is ACK:
                    # What it had before it gives up by taking another.
                    promised = {at: other for at, other in promised.items() if other[0] != mine}
                    promised[reply.yiaddr] = (mine, lan.now + (reply.number(51) or 0))
            self.assertFalse(lan.table.check())
        self.assertLessEqual(
            {"Offered", "Bound", "Refused", "Exhausted", "Declined", "Released", "Ignored"}, kinds, "all was tried"
        )
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertNotIn(State.OFFERED, {lease.state for lease in lan.table.records().values()})

    def anything(self, chance: random.Random, host: int, last: IPv4Address, server: IPv4Address) -> Message:
        """A message that a client may send."""
        gone = {54: server.packed, 50: last.packed}
        return chance.choice(
            (
                discover(host),
                discover(host, {50: last.packed, 51: b"\0\0\0\x78"}),
                select(host, last, server),
                select(host, last, server),
                reboot(host, last),
                renew(host, last),
                renew(host, last),
                say(MessageType.RELEASE, host, {54: server.packed}, ciaddr=last),
                say(MessageType.DECLINE, host, gone) if chance.random() < 0.2 else discover(host),
            )
        )
