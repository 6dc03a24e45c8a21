"""Addresses that somebody uses already: asked before they are first offered, and never twice."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.dhcp.message.wire import MessageType
from pixelboot.dhcp.outcomes import Bound, Exhausted, Ignored, NotStored, Offered
from pixelboot.dhcp.server import probe
from pixelboot.dhcp.server.outcomes import InUse
from pixelboot.dhcp.server.protocol import MOST_IN_USE
from pixelboot.hwaddr import HardwareAddress
from pixelboot.leases.lease import State
from pixelboot.leases.seam import StoreFailed
from tests.dhcp.lan import (
    DECLINE_TIME,
    RELAY,
    SUBNET,
    Gate,
    Lan,
    address,
    at_once,
    discover,
    reboot,
    renew,
    say,
    select,
)

WITHIN = 0.1


class Asked:
    """Who asks the link: answers when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[IPv4Address, Deferred[bool]]] = []
        self.asked: list[tuple[str, IPv4Address, float, HardwareAddress | None]] = []

    def in_use(
        self, interface: str, address: IPv4Address, within: float, but: HardwareAddress | None = None
    ) -> Deferred[bool]:
        """See `Prober.in_use`."""
        self.asked.append((interface, address, within, but))
        self.waiting.append((address, Deferred()))
        return self.waiting[-1][1]

    def say(self, used: bool) -> IPv4Address:
        """Answer the question that was asked first; of which address it was."""
        asked, answer = self.waiting.pop(0)
        answer.callback(used)
        return asked


class Probing(SynchronousTestCase):
    """One server that asks."""

    def setUp(self) -> None:
        self.prober = Asked()
        self.lan = Lan(prober=self.prober, probe_time=WITHIN)

    def test_a_free_address_is_offered_when_nobody_answers(self) -> None:
        """It is asked for once, on the interface of the request, for a bounded time, and not of the client itself."""
        self.lan.arrive(discover(1))
        self.assertEqual((self.lan.sent, self.lan.outcomes), ([], []))
        mac = HardwareAddress.parse("02:aa:00:00:00:01")
        self.assertEqual(self.prober.asked, [("lan0", address(100), WITHIN, mac)])
        self.assertEqual(self.prober.say(False), address(100))
        self.assertEqual([reply.yiaddr for reply, _ in self.lan.sent], [address(100)])
        self.assertIsInstance(self.lan.outcomes[-1], Offered)

    def test_one_in_use_rests_and_the_next_is_asked_for(self) -> None:
        """D31: nobody is given it until its rest is over, though who asked for it had named it."""
        self.lan.arrive(discover(1, {50: address(130).packed}))
        self.assertEqual(self.prober.say(True), address(130))
        self.assertEqual(self.prober.say(False), address(100))
        reply, _ = self.lan.sent[-1]
        self.assertEqual((len(self.lan.sent), reply.yiaddr), (1, address(100)))
        told = self.lan.outcomes[0]
        self.assertIsInstance(told, InUse)
        self.assertEqual(
            (told.severity, told.summary()),
            (
                "warn",
                "10.77.0.130 not offered to 02:aa:00:00:00:01: somebody answers at it, so it rests for 3600 s",
            ),
        )
        self.assertGreater(told.rest, 0)
        lease = self.lan.table.at(address(130))
        assert lease is not None
        self.assertEqual((lease.state, lease.expires_at), (State.DECLINED, self.lan.now + DECLINE_TIME))

    def test_it_gives_up_after_a_few(self) -> None:
        """The machine asks again, and gets others."""
        self.lan.arrive(discover(1))
        for _ in range(MOST_IN_USE):
            self.prober.say(True)
        self.assertEqual((self.prober.waiting, self.lan.sent), ([], []))
        self.assertIsInstance(self.lan.outcomes[-1], Exhausted)
        self.assertIn("3 addresses, one after the other", self.lan.outcomes[-1].summary())
        self.lan.arrive(discover(1))
        self.assertEqual(self.prober.say(False), address(103))

    def test_d46_a_repeated_discover_meanwhile(self) -> None:
        """D46: it is answered once; the next one, when the answer was lost, gets the same without another question."""
        self.lan.arrive(discover(1))
        self.assertIsInstance(self.lan.silence(discover(1, secs=4)), Ignored)
        self.lan.arrive(discover(2))
        self.prober.say(False)
        self.prober.say(False)
        self.assertEqual([reply.yiaddr for reply, _ in self.lan.sent], [address(100), address(101)])
        self.assertEqual(self.lan.offered(1), address(100))
        self.assertEqual(len(self.prober.asked), 2)

    def test_known_addresses_are_not_asked_for(self) -> None:
        """Bound, renewed, given back, run out, remembered: its own machine might be the one that answers."""
        self.lan.arrive(discover(1))
        has = self.prober.say(False)
        self.lan.ask(select(1, has))
        for request in (discover(1), renew(1, has), reboot(1, has), select(1, has)):
            self.lan.ask(request)
        self.lan.now += 601
        self.assertEqual(self.lan.offered(1), has)
        self.lan.ask(select(1, has))
        self.lan.silence(say(MessageType.RELEASE, 1, {54: address(1).packed}, ciaddr=has))
        self.assertEqual(self.lan.offered(1), has)
        self.assertEqual(len(self.prober.asked), 1)

    def test_where_it_cannot_be_asked(self) -> None:
        """Behind a relay; where the settings say no; where there is nobody to ask; in a crowd."""
        self.lan.offered(1, giaddr=RELAY)
        Lan(prober=self.prober, probe_time=0.0).offered(1)
        Lan(probe_time=WITHIN).offered(1)
        self.assertEqual(self.prober.asked, [])
        self.patch(probe, "MOST_AT_ONCE", 2)
        for host in (2, 3):
            self.lan.arrive(discover(host))
        self.assertEqual(self.lan.offered(4), address(103))
        self.assertEqual(len(self.prober.asked), 2)

    def test_o07_rapid_commit(self) -> None:
        """O07: nothing is committed before the answer."""
        lan = Lan(prober=self.prober, probe_time=WITHIN, rapid_commit=True)
        lan.arrive(discover(1, {80: b""}))
        self.assertIsNone(lan.table.records().get(int(address(100))))
        self.prober.say(False)
        self.assertEqual([reply.message_type for reply, _ in lan.sent], [MessageType.ACK])
        self.assertIsInstance(lan.outcomes[-1], Bound)

    def test_a_store_that_fails_meanwhile(self) -> None:
        """Nothing is offered, the machine can ask again."""
        gate = Gate()
        lan = Lan(prober=self.prober, probe_time=WITHIN, turn=gate)
        lan.arrive(discover(1))
        self.prober.say(True)
        gate.waiting.pop().errback(StoreFailed("no space"))
        self.assertIsInstance(lan.outcomes[-1], NotStored)
        lan.leases.turn = at_once
        lan.arrive(discover(1))
        self.assertEqual(self.prober.say(False), address(101))

    def test_a_mistake_of_the_prober(self) -> None:
        """It ends that exchange; the machine is not shut out."""
        self.lan.arrive(discover(1))
        self.prober.waiting.pop()[1].errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.lan.now += 100
        self.lan.arrive(discover(1))
        self.prober.say(False)
        self.assertEqual(len(self.lan.sent), 1)

    def test_a_pool_that_runs_out_of_free_addresses(self) -> None:
        """Said so, however many were in use."""
        lan = Lan(replace(SUBNET, pool=("10.77.0.100-10.77.0.101",)), prober=self.prober, probe_time=WITHIN)
        lan.arrive(discover(1))
        self.prober.say(True)
        self.prober.say(True)
        self.assertIn("0 leased, 0 offered, 2 in quarantine", lan.outcomes[-1].summary())
