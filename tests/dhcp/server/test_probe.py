"""Addresses that somebody uses already: asked before they are first offered, and never twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.outcomes import Bound, Declined, Exhausted, Ignored, NotStored, Offered, Released
from pixelboot.dhcp.server import probe
from pixelboot.dhcp.server.outcomes import Disbelieved, InUse, Passed, StillUsed
from pixelboot.dhcp.server.probe import REST
from pixelboot.dhcp.server.protocol import MOST_IN_USE
from pixelboot.hwaddr import HardwareAddress
from pixelboot.leases.lease import State
from pixelboot.leases.seam import StoreFailed
from tests.dhcp.lan import (
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
        self.waiting: list[tuple[IPv4Address, Deferred[HardwareAddress | None]]] = []
        self.asked: list[tuple[str, IPv4Address, float, HardwareAddress | None]] = []

    def in_use(
        self, interface: str, address: IPv4Address, within: float, but: HardwareAddress | None = None
    ) -> Deferred[HardwareAddress | None]:
        """See `Prober.in_use`."""
        self.asked.append((interface, address, within, but))
        self.waiting.append((address, Deferred()))
        return self.waiting[-1][1]

    def say(self, used: bool, user: HardwareAddress | None = None) -> IPv4Address:
        """Answer the question that was asked first, as a stranger if not as `user`; of which address it was."""
        asked, answer = self.waiting.pop(0)
        answer.callback(user or HardwareAddress(b"\2\xbb" + asked.packed) if used else None)
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
                "10.77.0.130 not offered to 02:aa:00:00:00:01: 02:bb:0a:4d:00:82 answers at it, so it rests for 300 s",
            ),
        )
        self.assertGreater(told.rest, 0)
        lease = self.lan.table.at(address(130))
        assert lease is not None
        self.assertEqual((lease.state, lease.expires_at), (State.DECLINED, self.lan.now + REST))

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

    def test_what_a_machine_has_is_not_asked_for(self) -> None:
        """Offered, bound, renewed; what it had last is: somebody else may use it by now, and its own answer is none."""
        self.lan.arrive(discover(1))
        has = self.prober.say(False)
        self.lan.ask(select(1, has))
        for request in (discover(1), renew(1, has), reboot(1, has), select(1, has)):
            self.lan.ask(request)
        self.assertEqual(len(self.prober.asked), 1)
        self.lan.now += 601
        self.lan.arrive(discover(1))
        self.assertEqual(self.prober.say(False), has)
        self.lan.ask(select(1, has))
        self.lan.silence(say(MessageType.RELEASE, 1, {54: address(1).packed}, ciaddr=has))
        self.lan.arrive(discover(1))
        self.assertEqual(self.prober.say(True), has)
        self.assertEqual(self.prober.say(False), address(101))
        self.assertEqual(self.lan.sent[-1][0].yiaddr, address(101))

    def test_one_who_answers_for_everything(self) -> None:
        """It keeps a few addresses from being given out, and not the pool; who has one of his own is believed."""
        liar = HardwareAddress.parse("52:54:00:00:00:66")
        self.lan.arrive(discover(1))
        for _ in range(MOST_IN_USE):
            self.prober.say(True, liar)
        self.lan.arrive(discover(1))
        self.assertEqual(self.prober.say(True, liar), address(103))
        self.assertEqual(self.lan.sent[-1][0].yiaddr, address(103))
        [told] = [outcome for outcome in self.lan.outcomes if isinstance(outcome, Disbelieved)]
        self.assertEqual((told.hwaddr, told.severity), (liar, "warn"))
        self.lan.arrive(discover(2))
        self.prober.say(True)
        self.assertEqual(self.prober.say(False), address(105))
        self.lan.now += REST
        self.lan.arrive(discover(3))
        self.prober.say(True, liar)
        self.assertEqual(len(self.prober.waiting), 1, "it is believed again after a while")

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


UUID = {97: b"\0" + bytes(range(16))}
FIRST = HardwareAddress.parse("02:aa:00:00:00:01")
STILL_USED = "10.77.0.100 is still used by 02:aa:00:00:00:01; 02:aa:00:00:00:02 has the same UUID and is not answered"


def take(host: int, options: Mapping[int, bytes] = UUID, **fields: Any) -> Message:
    """The REQUEST that takes the first address."""
    return say(MessageType.REQUEST, host, {54: address(1).packed, 50: address(100).packed, **options}, **fields)


class Twins(SynchronousTestCase):
    """Two machines that are known by the same."""

    def setUp(self) -> None:
        self.prober = Asked()
        self.lan = Lan(replace(SUBNET, identity="uuid"), prober=self.prober, probe_time=WITHIN, rapid_commit=True)

    def arrive(self, request: Message, used: bool) -> None:
        """A request that is answered when it is known whether the first machine uses the address."""
        self.lan.arrive(request)
        self.assertEqual(self.prober.say(used, FIRST), address(100))

    def test_the_first_one_uses_it(self) -> None:
        """The other is not answered, whatever it asks, and the log names both; the first one renews."""
        self.arrive(discover(1, UUID), used=False)
        self.lan.ask(take(1))
        for request in (
            discover(2, UUID),
            discover(2, {**UUID, 80: b""}),
            take(2),
            say(MessageType.REQUEST, 2, {50: address(100).packed, **UUID}),
        ):
            before = len(self.lan.sent)
            self.arrive(request, used=True)
            self.assertEqual(len(self.lan.sent), before, request.name)
            told = self.lan.outcomes[-1]
            self.assertIsInstance(told, StillUsed)
            self.assertEqual((told.severity, told.summary()), ("warn", STILL_USED))
        lease = self.lan.table.at(address(100))
        assert lease is not None
        self.assertEqual((lease.state, lease.hwaddr), (State.BOUND, str(FIRST)))
        reply, _ = self.lan.ask(renew(1, address(100), options={53: b"\3", **UUID}))
        self.assertEqual(reply.message_type, MessageType.ACK)

    def test_both_were_offered_it(self) -> None:
        """They start at the same time: who takes it first has it."""
        self.arrive(discover(1, UUID), used=False)
        self.assertEqual(self.lan.offered(2, UUID), address(100))
        self.lan.ask(take(1))
        self.arrive(take(2), used=True)
        self.assertEqual(self.lan.outcomes[-1].summary(), STILL_USED)

    def test_the_first_one_is_gone(self) -> None:
        """A card was changed: the address goes over, which is told once."""
        self.arrive(discover(1, UUID), used=False)
        self.lan.ask(take(1))
        self.arrive(discover(2, UUID), used=False)
        self.arrive(take(2), used=False)
        self.assertEqual(self.lan.sent[-1][0].message_type, MessageType.ACK)
        self.lan.ask(take(2))
        told = [outcome.summary() for outcome in self.lan.outcomes if isinstance(outcome, Passed)]
        self.assertEqual(
            told, ["10.77.0.100 passes from 02:aa:00:00:00:01 to 02:aa:00:00:00:02, which has the same UUID"]
        )

    def test_behind_a_relay(self) -> None:
        """Nobody can be asked: that the address goes over is told."""
        for host in (1, 2):
            for request in (discover(host, UUID, giaddr=RELAY), take(host, giaddr=RELAY)):
                self.lan.ask(request)
            passed = [outcome for outcome in self.lan.outcomes if isinstance(outcome, Passed)]
            self.assertEqual(len(passed), host - 1)
        self.lan.ask(discover(3, {**UUID, 80: b""}, giaddr=RELAY))
        self.assertEqual(sum(isinstance(outcome, Passed) for outcome in self.lan.outcomes), 2)
        self.assertEqual(self.prober.asked, [])

    def test_what_a_system_does_not_repeat(self) -> None:
        """Its firmware sent the UUID: with its link address the system keeps the lease and gives it back."""
        self.arrive(discover(1, UUID), used=False)
        self.lan.ask(take(1))
        self.assertEqual(self.lan.ask(renew(1, address(100)))[0].message_type, MessageType.ACK)
        lease = self.lan.table.at(address(100))
        assert lease is not None
        self.assertTrue(lease.identity.startswith("uuid:"))
        gone = {54: address(1).packed}
        self.assertIsInstance(self.lan.silence(renew(2, address(100))), Ignored, "it is another machine")
        told = self.lan.silence(say(MessageType.RELEASE, 2, gone, ciaddr=address(100)))
        self.assertEqual(told.summary(), "02:aa:00:00:00:02 RELEASE ignored: 10.77.0.100 is not its own")
        self.assertIsInstance(self.lan.silence(say(MessageType.RELEASE, 1, gone, ciaddr=address(100))), Released)
        self.lan.now += 1
        self.arrive(discover(1, UUID), used=False)
        self.lan.ask(take(1))
        declined = self.lan.silence(say(MessageType.DECLINE, 1, {**gone, 50: address(100).packed}))
        self.assertIsInstance(declined, Declined)
