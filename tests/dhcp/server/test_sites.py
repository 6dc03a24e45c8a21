"""Sites of several networks: relays, shared links, reservations, classes, and who is let in."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import build
from pixelboot.datagram import Arrival
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.options import encode
from pixelboot.dhcp.message.wire import BROADCAST, Message, MessageType
from pixelboot.dhcp.outcomes import Bound, Dropped, Ignored, Informed, NotReturned, Offered, Refused, Released
from pixelboot.dhcp.settings.client_class import ClassSettings
from pixelboot.dhcp.settings.dhcp import SubnetSettings
from pixelboot.dhcp.settings.host import HostSettings
from tests.dhcp.lan import (
    EVERYBODY,
    NOWHERE,
    OWN,
    SECOND,
    SERVER,
    SUBNET,
    Lan,
    address,
    arrival,
    discover,
    exchange,
    reboot,
    renew,
    say,
    select,
)

ACK, NAK, OFFER = MessageType.ACK, MessageType.NAK, MessageType.OFFER
FAR_RELAY, FAR = IPv4Address("198.51.100.1"), IPv4Address("198.51.100.100")
SPARE = IPv4Address("203.0.113.0")
STRAY_RELAY = IPv4Address("192.0.2.77")

REMOTE = SubnetSettings(
    network=IPv4Network("198.51.100.0/24"),
    pool=("198.51.100.100-198.51.100.150",),
    router=FAR_RELAY,
    relays=(STRAY_RELAY,),
    lease_time=900.0,
)
SELECTED = SubnetSettings(network=IPv4Network("203.0.113.0/24"), pool=("203.0.113.10-203.0.113.20",))


def by_relay(now: float = 1_000_000.0, source: IPv4Address = FAR_RELAY, port: int = 67) -> Arrival:
    """A relay sends by unicast."""
    return Arrival("lan0", SERVER, 67, source, port, now, False, OWN)


def relayed(host: int, options: dict[int, bytes] | None = None, **fields: Any) -> Message:
    """A DISCOVER that came by the relay of the remote subnet."""
    return discover(host, options, **{"giaddr": FAR_RELAY, "hops": 1, **fields})


def agent(**sub_options: bytes) -> dict[int, bytes]:
    """Option 82."""
    codes = {"circuit": 1, "remote": 2, "link": 5, "flags": 10, "override": 11, "port": 19}
    return {82: encode({codes[name]: value for name, value in sub_options.items()})}


class Relays(SynchronousTestCase):
    """Requests that others forward."""

    def setUp(self) -> None:
        self.lan = Lan(SUBNET, REMOTE, SELECTED)

    def ask(self, request: Message, come: Arrival | None = None) -> tuple[Message, Any]:
        return self.lan.ask(request, come=come or by_relay(self.lan.now))

    def test_d07_d17_the_subnet_of_the_relay(self) -> None:
        """D07, D17: an address of its network, with the parameters that belong to it, unicast to it."""
        reply, way = self.ask(relayed(1))
        self.assertEqual((reply.yiaddr, way.address, way.port, way.hwaddr), (FAR, FAR_RELAY, 67, None))
        self.assertEqual((reply.options[3], reply.number(51), reply.address(54)), (FAR_RELAY.packed, 900, SERVER))
        near, _ = self.lan.ask(discover(2))
        self.assertEqual((near.yiaddr, near.number(51)), (address(100), 600))

    def test_a_relay_outside_its_subnet(self) -> None:
        """One that the settings name stands for the subnet; another for none."""
        self.assertEqual(self.ask(relayed(1, giaddr=STRAY_RELAY))[0].yiaddr, FAR)
        outcome = self.lan.silence(relayed(2, giaddr=STRAY_RELAY + 1), by_relay())
        self.assertIsInstance(outcome, Ignored)
        self.assertIn("the relay 192.0.2.78, whose subnet is not served", outcome.summary())

    def test_r01_r02_information_comes_back(self) -> None:
        """R01, R02: the same octets, the last before END, in OFFER, ACK and NAK."""
        for options in (agent(circuit=b"\0\7", remote=b"sw1"), {82: b"\x97\4odd!"}, {82: b"\1\x7fcut"}):
            offer, _ = self.ask(relayed(1, options))
            ack, _ = self.ask(select(1, offer.yiaddr)._replace(giaddr=FAR_RELAY, options=self.taking(offer, options)))
            nak, _ = self.ask(
                reboot(1, address(100))._replace(
                    giaddr=FAR_RELAY, options={53: b"\3", 50: address(100).packed, **options}
                )
            )
            for reply, kind in ((offer, OFFER), (ack, ACK), (nak, NAK)):
                self.assertEqual((reply.message_type, reply.options[82]), (kind, options[82]), str(options))

    def taking(self, offer: Message, more: dict[int, bytes]) -> dict[int, bytes]:
        """The options of the REQUEST that takes an offer."""
        return {53: b"\3", 54: offer.options[54], 50: offer.yiaddr.packed, **more}

    def test_r03_no_room(self) -> None:
        """R03: left out of a message that it does not fit into, which is counted; never in another field."""
        reply, _ = self.ask(relayed(1, {82: b"\1\xfe" + bytes(254) + b"\2\x20" + bytes(32)}))
        self.assertNotIn(82, reply.options)
        self.assertEqual([type(outcome) for outcome in self.lan.outcomes], [Offered])
        [told] = self.lan.noticed
        self.assertIn("the relay 198.51.100.1 added", told.summary())
        self.assertEqual((type(told), told.severity, told.counter()), (NotReturned, "warn", "dhcp.NotReturned"))

    def test_r04_information_without_a_relay(self) -> None:
        """R04: dropped, unless the settings trust it; then it comes back like any other."""
        request = discover(1, agent(circuit=b"port7"))
        outcome = self.lan.silence(request)
        self.assertIsInstance(outcome, Dropped)
        self.assertIn("dhcp.trust_relay_information", outcome.summary())
        trusting = Lan(trust_relay_information=True)
        self.assertEqual(trusting.ask(request)[0].options[82], request.options[82])

    def test_r05_a_renewal_past_the_relay(self) -> None:
        """R05, D08: by unicast, without option 82, to the address itself; another network's broadcast is not heard."""
        offer, _ = self.ask(relayed(1, agent(circuit=b"x")))
        self.ask(select(1, offer.yiaddr, giaddr=FAR_RELAY))
        reply, way = self.ask(renew(1, FAR), by_relay(self.lan.now, FAR, 68))
        self.assertEqual((reply.message_type, way.address, way.port), (ACK, FAR, 68))
        self.assertNotIn(82, reply.options)
        self.assertEqual(reply.number(51), 900)
        outcome = self.lan.silence(renew(1, FAR))
        self.assertIn("of another network", outcome.summary())

    def test_r06_subnet_selection(self) -> None:
        """R06: option 118 before giaddr, and echoed; a subnet that is not served is not answered."""
        reply, way = self.ask(relayed(1, {118: SPARE.packed}))
        self.assertEqual((reply.yiaddr, reply.options[118]), (SPARE + 10, SPARE.packed))
        self.assertEqual(way.address, FAR_RELAY)
        for value in (STRAY_RELAY.packed, b"\1"):
            self.assertIsInstance(self.lan.silence(relayed(2, {118: value}), by_relay()), Ignored)
        refused, _ = self.ask(reboot(1, FAR)._replace(options={53: b"\3", 50: FAR.packed, 118: SPARE.packed}))
        self.assertEqual(refused.options.keys(), {53, 54, 56}, "D06")

    def test_r07_link_selection(self) -> None:
        """R07: sub-option 5 before 118 and giaddr; the reply goes to giaddr."""
        reply, way = self.ask(relayed(1, {**agent(link=SPARE.packed), 118: address(0).packed}))
        self.assertEqual((reply.yiaddr, way.address), (SPARE + 10, FAR_RELAY))
        self.assertIsInstance(self.lan.silence(relayed(2, agent(link=STRAY_RELAY.packed)), by_relay()), Ignored)

    def test_r08_server_identifier_override(self) -> None:
        """R08: the relay's address stands in option 54, and a REQUEST with it is for us; the files are still ours."""
        options = agent(override=FAR_RELAY.packed)
        offer, way = self.ask(relayed(1, options))
        self.assertEqual((offer.address(54), offer.siaddr, way.source), (FAR_RELAY, SERVER, SERVER))
        ack, _ = self.ask(say(MessageType.REQUEST, 1, self.taking(offer, options), giaddr=FAR_RELAY))
        self.assertEqual((ack.message_type, ack.address(54)), (ACK, FAR_RELAY))
        for mine in (SERVER, SECOND):
            own, _ = self.ask(
                say(MessageType.REQUEST, 1, {**self.taking(offer, options), 54: mine.packed}, giaddr=FAR_RELAY)
            )
            self.assertEqual((own.message_type, own.address(54)), (ACK, mine), "our own address is ours all the same")
        self.assertEqual(self.lan.noticed, [], "the relay is no other server")
        without = self.lan.silence(
            say(MessageType.REQUEST, 1, {**self.taking(offer, {}), 54: FAR_RELAY.packed}, giaddr=FAR_RELAY), by_relay()
        )
        self.assertIn("another server", without.summary())

    def test_r09_flags(self) -> None:
        """R09: echoed with the rest."""
        options = agent(flags=b"\x80", circuit=b"a")
        self.assertEqual(self.ask(relayed(1, options))[0].options[82], options[82])

    def test_r10_source_port(self) -> None:
        """R10: to the port that the relay sent from if it says so, else to 67."""
        for options, expected in ((agent(port=b""), 5000), (agent(circuit=b"a"), 67), (agent(port=b"x"), 67)):
            _, way = self.ask(relayed(1, options), by_relay(port=5000))
            self.assertEqual((way.address, way.port), (FAR_RELAY, expected), str(options))

    def test_d12_a_nak_behind_a_relay(self) -> None:
        """D12: to the relay, with the broadcast flag, whatever the client's was."""
        for flags in (0, BROADCAST):
            reply, way = self.ask(reboot(1, address(100), giaddr=FAR_RELAY, flags=flags))
            self.assertEqual((reply.message_type, reply.flags, way.address), (NAK, BROADCAST, FAR_RELAY))

    def test_d35_inform_behind_a_relay(self) -> None:
        """D35: by the relay, with the parameters of that network."""
        has = FAR + 60
        reply, way = self.ask(say(MessageType.INFORM, 1, ciaddr=has, giaddr=FAR_RELAY))
        self.assertEqual((reply.ciaddr, reply.yiaddr, way.address), (has, NOWHERE, FAR_RELAY))
        self.assertEqual(reply.options[3], FAR_RELAY.packed)
        self.assertIsInstance(self.lan.outcomes[-1], Informed)

    def test_d27_the_address_of_another_network(self) -> None:
        """D27: a machine that was moved is told so, wherever it is now."""
        has = self.lan.bound(1)
        reply, _ = self.ask(reboot(1, has, giaddr=FAR_RELAY))
        self.assertEqual(reply.message_type, NAK)
        self.assertIsInstance(self.lan.outcomes[-1], Refused)

    def test_a_relay_reaches_another_of_our_addresses(self) -> None:
        """One that we have elsewhere, or on no interface that is served: we call ourselves by what it reached."""
        elsewhere = IPv4Address("10.99.0.1")
        come = by_relay(self.lan.now)._replace(local=elsewhere)
        reply, way = self.ask(relayed(1), come)
        self.assertEqual((reply.address(54), reply.siaddr, way.source), (elsewhere,) * 3)
        ack, _ = self.ask(select(1, reply.yiaddr, elsewhere, giaddr=FAR_RELAY), come)
        self.assertEqual(ack.message_type, ACK)


class Shared(SynchronousTestCase):
    """Two subnets on one wire."""

    def test_each_address_with_its_own_mask_and_router(self) -> None:
        """D17, D24: when the first is used up the second is taken, and what is told belongs to the address."""
        first = replace(SUBNET, pool=("10.77.0.100",), shared="hall")
        second = replace(REMOTE, shared="hall", network=IPv4Network("198.51.100.0/25"), pool=("198.51.100.100",))
        lan = Lan(first, second)
        given = {}
        for host in (1, 2):
            reply, _ = lan.ask(discover(host))
            ack, _ = lan.ask(select(host, reply.yiaddr))
            self.assertEqual({**ack.options, 53: b"\2"}, reply.options)
            given[reply.yiaddr] = (reply.options[1], reply.options[3], reply.number(51))
        self.assertEqual(
            given,
            {
                address(100): (b"\xff\xff\xff\0", address(254).packed, 600),
                FAR: (b"\xff\xff\xff\x80", FAR_RELAY.packed, 900),
            },
        )
        for host, has in ((1, address(100)), (2, FAR)):
            self.assertEqual(lan.ask(reboot(host, has))[0].message_type, ACK, "either is of this wire")
        self.assertEqual(lan.ask(reboot(3, SPARE + 10))[0].message_type, NAK)


class Reserved(SynchronousTestCase):
    """Addresses that are kept for one machine."""

    def test_one_outside_the_pool(self) -> None:
        """It is offered and bound, to that machine alone, whoever asks for it by name."""
        lan = Lan(hosts=(host(mac="02:aa:00:00:00:01", address="10.77.0.50", name="node1"),))
        self.assertEqual(lan.offered(2, {50: address(50).packed}), address(100))
        self.assertEqual(lan.bound(1), address(50))
        self.assertEqual(lan.ask(select(2, address(50)))[0].message_type, NAK)
        reply, _ = lan.ask(discover(1, {55: b"\x0c"}))
        self.assertEqual((reply.yiaddr, reply.options[12]), (address(50), b"node1"))

    def test_a_bound_lease_moves(self) -> None:
        """It is not renewed, so that the machine asks anew and gets what is kept for it; what it had is free."""
        lan = Lan()
        had = lan.bound(1)
        moved = Lan(hosts=(host(mac="02:aa:00:00:00:01", address="10.77.0.50"),))
        moved.leases = lan.leases
        moved.reception = moved.reception_over(lan.leases)
        self.assertEqual(moved.ask(renew(1, had))[0].message_type, NAK)
        self.assertEqual(moved.bound(1), address(50))
        self.assertEqual(moved.offered(2, {50: had.packed}), had)

    def test_r11_by_circuit(self) -> None:
        """R11: whatever machine is plugged in there has the address; the one before it has it no more."""
        lan = Lan(REMOTE, hosts=(host(circuit="hex:0007", address="198.51.100.60"),))
        there = agent(circuit=b"\0\7")
        for number in (1, 2):
            offer, _ = lan.ask(relayed(number, there), come=by_relay(lan.now))
            taking = {53: b"\3", 54: SERVER.packed, 50: offer.yiaddr.packed, **there}
            ack, _ = lan.ask(say(MessageType.REQUEST, number, taking, giaddr=FAR_RELAY), come=by_relay(lan.now))
            self.assertEqual((offer.yiaddr, ack.yiaddr, ack.message_type), (FAR - 40, FAR - 40, ACK), str(number))
        self.assertEqual(lan.ask(relayed(3, agent(circuit=b"\0\x08")), come=by_relay(lan.now))[0].yiaddr, FAR)

    def test_r11_by_circuit_past_the_relay(self) -> None:
        """R05, R11: a renewal and a RELEASE do not say the circuit: it is the machine that was plugged in there."""
        kept = FAR - 40
        lan = Lan(REMOTE, hosts=(host(name="far", circuit="hex:0007", address=str(kept)),))
        taking = {53: b"\3", 54: SERVER.packed, 50: kept.packed, **agent(circuit=b"\0\7")}
        lan.ask(say(MessageType.REQUEST, 1, taking, giaddr=FAR_RELAY), come=by_relay(lan.now))
        come = arrival(lan.now, source=kept)
        for _ in range(2):
            reply, _ = lan.ask(renew(1, kept)._replace(options={53: b"\3", 55: b"\x0c"}), come=come)
            self.assertEqual((reply.message_type, reply.yiaddr, reply.options[12]), (ACK, kept, b"far"))
        lease = lan.table.at(kept)
        assert lease is not None
        self.assertEqual(lease.identity, "circuit:0007")
        self.assertIsInstance(lan.silence(renew(2, kept), come=come), Ignored)
        gone = say(MessageType.RELEASE, 1, {54: SERVER.packed}, ciaddr=kept)
        self.assertIsInstance(lan.silence(gone, come=come), Released)

    def test_another_machine_still_has_it(self) -> None:
        """The one it is kept for gets one of the pool meanwhile, and its own when it is free."""
        lan = Lan()
        lan.bound(2, address(140))
        kept = Lan(hosts=(host(mac="02:aa:00:00:00:01", address="10.77.0.140"),))
        kept.reception = kept.reception_over(lan.leases)
        self.assertEqual(kept.bound(1), address(100))
        kept.silence(say(MessageType.RELEASE, 2, {54: SERVER.packed}, ciaddr=address(140)))
        self.assertEqual(kept.bound(1), address(140))

    def test_d36_by_client_identifier(self) -> None:
        """D36, D51: the policy of the RFC: one lease by option 61, octet for octet, whatever the link address."""
        lan = Lan(replace(SUBNET, identity="client-id"))
        duid = b"\xff\0\0\0\1\0\4" + bytes(16)
        self.assertEqual(lan.offered(1, {61: duid}), lan.offered(2, {61: duid}))
        self.assertNotEqual(lan.offered(1, {61: duid}), lan.offered(1, {61: duid[:-1] + b"\1"}))
        self.assertNotEqual(lan.offered(1, {61: duid}), lan.offered(1))


def host(**said: Any) -> HostSettings:
    """A ``[[host]]``."""
    return build(HostSettings, said)


class Admission(SynchronousTestCase):
    """Who gets nothing, and who gets something else."""

    def test_denied_and_ignored(self) -> None:
        """Not answered, whatever they say, and the log tells why."""
        mac = "02:aa:00:00:00:01"
        for lan, reason in (
            (Lan(replace(SUBNET, deny=("known",)), hosts=(host(mac=mac),)), 'denies "known"'),
            (Lan(allow=("known",)), 'allows "known" alone'),
            (Lan(hosts=(host(mac=mac, ignore=True),)), "is to be ignored"),
        ):
            for request in (discover(1), select(1, address(100)), renew(1, address(100)), say(None, 1)):
                outcome = lan.silence(request)
                self.assertIsInstance(outcome, Ignored, reason)
                self.assertIn(reason, outcome.summary())
            self.assertEqual(list(lan.table.list()), [], reason)

    def test_a_class_has_its_own_time_and_options(self) -> None:
        """Site, subnet, class and host: the nearer word counts."""
        phones = build(
            ClassSettings,
            {"name": "phones", "vendor": "acme*", "lease_time": 120.0, "options": {"ntp-servers": ["10.77.0.9"]}},
        )
        lan = Lan(replace(SUBNET, min_lease_time=60.0), classes=(phones,))
        reply, _ = lan.ask(discover(1, {60: b"acme phone", 55: b"\x2a"}))
        self.assertEqual((reply.options[42], reply.number(51)), (address(9).packed, 120))
        reply, _ = lan.ask(discover(2, {55: b"\x2a"}))
        self.assertEqual((42 in reply.options, reply.number(51)), (False, 600))

    def test_nobody_serves_this_network(self) -> None:
        """A request on an interface that no subnet is on."""
        lan = Lan(REMOTE)
        outcome = lan.silence(discover(1))
        self.assertIsInstance(outcome, Ignored)
        self.assertIn("lan0 is not served", outcome.summary())

    def test_one_network_by_proxy_beside_one_with_addresses(self) -> None:
        """Each link as its subnet says."""
        lan = Lan(replace(SUBNET, mode="proxy", pool=()), REMOTE)
        pxe = {60: b"PXEClient:Arch:00007:UNDI:003000", 93: b"\0\7"}
        near, far = discover(1, pxe), relayed(2, pxe)
        lan.reception.received(*_datagram(near, lan))
        reply, _ = lan.sent[-1]
        self.assertEqual((reply.yiaddr, reply.options[60]), (NOWHERE, b"PXEClient"))
        reply, _ = lan.ask(far, come=by_relay(lan.now))
        self.assertEqual((reply.yiaddr, 60 in reply.options), (FAR, False))
        self.assertIsInstance(lan.silence(discover(3)), type(lan.outcomes[-1]))
        self.assertEqual(len(list(lan.table.list())), 1)


def _datagram(request: Message, lan: Lan) -> tuple[bytes, Arrival, Lan]:
    """What `Reception.received` takes; a proxy's reply is not one that an address server's clauses allow."""
    return wire.encode(request), arrival(lan.now), lan


class Firmware(SynchronousTestCase):
    """A profile that the settings name."""

    def test_the_profile_of_a_host(self) -> None:
        """GRUB's wants option 66 without a NUL; found out, it would be UEFI's, with one."""
        pxe = {60: b"PXEClient:Arch:00007:UNDI:003000", 93: b"\0\7"}
        for firmware, expected in (("", b"10.77.0.1\0"), ("grub", b"10.77.0.1")):
            lan = Lan(hosts=(host(mac="02:aa:00:00:00:01", firmware=firmware),))
            self.assertEqual(lan.ask(discover(1, pxe))[0].options[66], expected, firmware)


class Broadcasts(SynchronousTestCase):
    """What stays as it is."""

    def test_d09_d11_without_a_relay(self) -> None:
        """D09, D11: by broadcast, on the interface that the request came by."""
        lan = Lan(SUBNET, REMOTE)
        _, way = lan.ask(discover(1, flags=BROADCAST))
        self.assertEqual((way.address, way.interface), (EVERYBODY, "lan0"))
        _, way = lan.ask(reboot(1, FAR))
        self.assertEqual((way.address, way.port), (EVERYBODY, 68))
        self.assertIsInstance(lan.outcomes[-1], Refused)
        self.assertEqual(exchange(discover(1)).scope.link.name, "10.77.0.0/24")
        self.assertIsInstance(lan.silence(renew(2, address(123))), Ignored)
        lan.bound(3)
        self.assertIsInstance(lan.outcomes[-1], Bound)
