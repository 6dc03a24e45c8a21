"""Reception: what comes in is decoded or dropped, answered once, and one client does not hurt the next."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.machine import Machine
from pixelboot.boot.memory import Looping
from pixelboot.boot.policy import Assignment
from pixelboot.datagram import Destination
from pixelboot.dhcp import reception
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.wire import MessageType
from pixelboot.dhcp.outcomes import Dropped, Failed, NotSent, Released, Strayed
from pixelboot.leases.seam import StoreFailed
from tests.dhcp import captures
from tests.dhcp.lan import (
    NOWHERE,
    SERVER,
    STRANGER,
    URL,
    AnyPolicy,
    Gate,
    Lan,
    ProxyLan,
    Wire,
    address,
    arrival,
    discover,
    renew,
    say,
    select,
)

PXE = {60: b"PXEClient:Arch:00007:UNDI:003000"}


class FailingPolicy:
    """Fails for one machine."""

    async def assign(self, machine: Machine, server: IPv4Address) -> Assignment:
        """See `Policy.assign`."""
        if str(machine) == "02:aa:00:00:00:01":
            raise ZeroDivisionError("by\nnothing")
        return Assignment()


class NoNetwork:
    """What the system says when the cable is out."""

    def post(self, octets: bytes, destination: Destination, told: Callable[[OSError | None], None]) -> None:
        """See `pixelboot.dhcp.reception.Sender.post`."""
        told(OSError(101, "Network is unreachable\nreally"))


class Seen:
    """Remembers by which address of ours a policy was asked."""

    def __init__(self) -> None:
        self.servers: list[IPv4Address] = []

    async def assign(self, machine: Machine, server: IPv4Address) -> Assignment:
        """See `Policy.assign`."""
        self.servers.append(server)
        return Assignment(URL)


class Dropping(SynchronousTestCase):
    """What is no request of a client."""

    def test_d02_d43_dropped(self) -> None:
        """D02, D43, D47: no reply, one outcome with the sender's address and the reason, and the server lives."""
        good = wire.encode(discover(1))
        cases = (
            ("nothing", b"", "too short"),
            ("239 octets", good[:239], "too short"),
            ("another cookie", good[:236] + b"\x63\x82\x53\x64" + good[240:], "cookie"),
            ("a reply", b"\2" + good[1:], "reply"),
            ("our own kind of reply", captures.REFERENCE_OFFER, "reply"),
            ("a length past the end", good[:240] + b"\x35\x01\x01\x0c\x40abc", "64 octets"),
            ("type 0", wire.encode(say(None, 1, {53: b"\0"})), "message type"),
            ("type 9", wire.encode(say(None, 1, {53: b"\x09"})), "message type"),
            ("two types", wire.encode(say(None, 1, {53: b"\1\1"})), "message type"),
            ("nobody", wire.encode(discover(1, hlen=0)), "client identifier"),
        )
        servers: tuple[Wire, ...] = (Lan(), ProxyLan())
        for lan in servers:
            for name, datagram, reason in cases:
                outcome = lan.silence(datagram)
                self.assertIsInstance(outcome, Dropped, name)
                self.assertIn(reason, outcome.summary(), name)
                self.assertIn("from 0.0.0.0", outcome.summary(), name)
                self.assertEqual(outcome.counter(), "dhcp.Dropped")
                self.assertGreater(outcome.rest, 0, "hostile input does not fill the log")
            self.assertEqual(lan.ask(discover(1, PXE))[0].message_type, MessageType.OFFER)

    def test_an_address_that_is_not_ours(self) -> None:
        """We have it elsewhere, or have it anew: one client is not answered, the others are."""
        for lan in (Lan(), ProxyLan()):
            outcome = lan.silence(discover(1, PXE), arrival(local=STRANGER))
            self.assertIsInstance(outcome, Strayed)
            self.assertEqual(
                outcome.summary(),
                "a request to 10.77.0.9 came in by lan0, which has 10.77.0.1, 10.77.0.2: not answered",
            )
            self.assertEqual((outcome.counter(), outcome.severity, outcome.rest), ("dhcp.Strayed", "warn", 60.0))
            self.assertEqual(lan.ask(discover(1, PXE))[0].message_type, MessageType.OFFER)

    def test_a_renewal_by_another_interface(self) -> None:
        """What a machine that has an address says to us alone may take any way to us: it is answered."""
        lan = Lan()
        has = lan.bound(1)
        lan.reception.own((SERVER, STRANGER))
        come = arrival(lan.now, source=has)._replace(local=STRANGER)
        reply, way = lan.ask(renew(1, has), come=come)
        self.assertEqual((reply.message_type, reply.address(54), way.address), (MessageType.ACK, STRANGER, has))
        for other in (
            come._replace(source=address(140)),
            come._replace(to_everybody=True),
            come._replace(local=address(99)),
        ):
            self.assertIsInstance(lan.silence(renew(1, has), come=other), Strayed)
        self.assertIsInstance(lan.silence(discover(1), come=come), Strayed)
        gone = say(MessageType.RELEASE, 1, {54: STRANGER.packed}, ciaddr=has)
        self.assertIsInstance(lan.silence(gone, come=come), Released)

    def test_nobody_is_answered_at_port_0(self) -> None:
        """The system would refuse to send there, once for every datagram that somebody makes so."""
        for lan in (Lan(), ProxyLan()):
            for port in (67, 4011):
                outcome = lan.silence(discover(1, PXE), arrival(source=STRANGER, port=port)._replace(source_port=0))
                self.assertEqual(outcome, Dropped(STRANGER, "it comes from UDP port 0, to which nothing can be sent"))


class Names(SynchronousTestCase):
    """By which address we call ourselves."""

    def test_d13_the_policy_is_asked_by_the_address_that_is_told(self) -> None:
        """D13: the one that the client names, else the one that it reached, else what the settings say."""
        second = address(2)
        for told, named, reached, expected in (
            (None, None, SERVER, SERVER),
            (None, None, second, second),
            (None, second, SERVER, second),
            (None, STRANGER, second, second),
            (second, None, SERVER, second),
            (second, SERVER, SERVER, SERVER),
        ):
            policy = Seen()
            options = PXE if named is None else {**PXE, 54: named.packed}
            reply, way = ProxyLan(policy, told).ask(discover(1, options), reached)
            case = f"{told} {named} {reached}"
            self.assertEqual(policy.servers, [expected], case)
            self.assertEqual((reply.address(54), reply.siaddr, way.source), (expected,) * 3, case)


class Circles(SynchronousTestCase):
    """Machines that boot the same thing without end."""

    def test_they_are_told_of(self) -> None:
        """After a few OFFERs of one file to one machine; what asks as a system has got through."""
        for system, expected in ((False, 1), (True, 0)):
            lan = Lan(policy=AnyPolicy(Assignment("undionly.kpxe")))
            for xid in range(3):
                for request in (discover(1, PXE, xid=xid), discover(1, PXE, xid=xid, secs=4)):
                    lan.ask(request)
                lan.ask(select(1, address(100), xid=xid))
                if system:
                    lan.ask(discover(1, xid=77 + xid))
            self.assertEqual([type(outcome) for outcome in lan.noticed], [Looping] * expected, str(system))


class Sound(SynchronousTestCase):
    """Whatever happens to one exchange, the next is served."""

    def test_a_mistake_in_the_policy(self) -> None:
        """It has its traceback and its outcome; the store is asked nothing, and the next client is served."""
        lan = Lan(policy=FailingPolicy())
        for attached in (lan, ProxyLan(FailingPolicy())):
            outcome = attached.silence(discover(1, PXE))
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertEqual(outcome, Failed(NOWHERE, "ZeroDivisionError: by\nnothing"))
            self.assertEqual((outcome.counter(), outcome.severity), ("dhcp.Failed", "error"))
            self.assertIn(r"mistake in pixelboot: ZeroDivisionError: by\nnothing", outcome.summary())
        self.assertEqual(lan.table.list(), ())
        self.assertEqual(lan.offered(2), address(100))

    def test_the_network_does_not_take_it(self) -> None:
        """The lease stays, the client asks again; one outcome says what the system said."""
        lan = Lan()
        for request in (discover(1), select(1, address(100))):
            lan.reception.received(wire.encode(request), arrival(lan.now), NoNetwork())
        self.assertEqual([type(outcome) for outcome in lan.outcomes], [NotSent, NotSent])
        self.assertIn(r"Network is unreachable\nreally", lan.outcomes[-1].summary())
        self.assertGreater(NotSent.rest, 0, "a network that takes nothing does not fill the log")
        self.assertEqual(lan.ask(renew(1, address(100)))[0].message_type, MessageType.ACK)

    def test_a_flood(self) -> None:
        """So many may wait for the store; more are dropped and counted, and when it answers all goes on."""
        self.patch(reception, "MOST_AT_ONCE", 64)
        gate = Gate()
        lan = Lan(turn=gate)
        datagram = wire.encode(select(1, address(100)))
        for _ in range(64 + 3):
            lan.arrive(datagram)
        self.assertEqual([type(outcome) for outcome in lan.outcomes], [Dropped] * 3)
        self.assertEqual(len(gate.waiting), 64)
        waiting, gate.waiting = gate.waiting, []
        for number, turn in enumerate(waiting):
            if number % 2:
                turn.callback(None)
            else:
                turn.errback(StoreFailed("no"))
        self.assertEqual(len(lan.sent), 64 // 2)
        for _ in range(64):
            lan.arrive(b"")
        self.assertEqual(lan.offered(2), address(101))
