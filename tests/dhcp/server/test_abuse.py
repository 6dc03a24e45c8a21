"""What a broken or malicious neighbour tries, and what a changed network does."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.wire import MAXIMUM_SIZE, MessageType
from pixelboot.dhcp.outcomes import Crowded, Declined, Dropped, Exhausted, Ignored, NotStored, Refused, Strayed
from pixelboot.dhcp.server.protocol import MOST_DECLINES
from tests.dhcp.lan import (
    DECLINE_TIME,
    OWN,
    SECOND,
    SERVER,
    SUBNET,
    Lan,
    address,
    arrival,
    discover,
    renew,
    say,
    select,
)

ELSEWHERE = IPv4Address("192.168.5.1")


class Abuse(SynchronousTestCase):
    """Each costs the neighbour more than it costs us."""

    def test_no_machine_empties_the_pool_by_declining(self) -> None:
        """D31: one that is broken is believed a few times alone."""
        lan = Lan()
        declined = []
        for _ in range(MOST_DECLINES + 2):
            offered = lan.offered(1)
            decline = say(MessageType.DECLINE, 1, {54: SERVER.packed, 50: offered.packed})
            declined.append(type(lan.silence(decline)))
        self.assertEqual(declined, [Declined] * MOST_DECLINES + [Ignored] * 2)
        self.assertIn("has declined 3 addresses lately", lan.outcomes[-1].summary())
        lan.now += DECLINE_TIME
        offered = lan.offered(1)
        self.assertIsInstance(
            lan.silence(say(MessageType.DECLINE, 1, {54: SERVER.packed, 50: offered.packed})), Declined
        )

    def test_nobody_is_sent_what_he_did_not_ask_for(self) -> None:
        """Neither a far address nor everybody on the subnet can be named as the one to answer."""
        lan = Lan()
        for last in (0, 255):
            for request in (discover(1, giaddr=address(last)), discover(1, ciaddr=address(last))):
                self.assertIsInstance(lan.silence(request), Ignored, str(request))
        others = lan.bound(2)
        stranger = select(1, lan.offered(1))._replace(ciaddr=others)
        self.assertIn("says that it has", lan.silence(stranger).summary())

    def test_long_datagrams_are_not_read(self) -> None:
        lan = Lan()
        whole = wire.encode(discover(1))
        self.assertEqual(lan.ask(whole.ljust(MAXIMUM_SIZE, b"\0"))[0].message_type, MessageType.OFFER)
        lan.arrive(whole.ljust(MAXIMUM_SIZE + 1, b"\0"))
        self.assertIsInstance(lan.outcomes[-1], Dropped)

    def test_machines_that_get_nothing_are_named(self) -> None:
        """The first few; the log says how many more there were, and a flood does not fill it."""
        lan = Lan(replace(SUBNET, pool=("10.77.0.100",)))
        lan.bound(1)
        for host in (2, 3):
            outcome = lan.silence(discover(host))
            self.assertEqual((type(outcome), outcome.severity), (Exhausted, "error"))
            self.assertEqual(
                outcome.summary(),
                f"02:aa:00:00:00:{host:02x} gets no address: all 1 addresses of 10.77.0.0/24 are used up: 1 leased, "
                "0 offered, 0 in quarantine",
            )
        for kind in (Exhausted, Crowded, Refused, Ignored, Declined, NotStored, Dropped, Strayed):
            self.assertGreater(kind.rest, 0, kind.__name__)


class Change(SynchronousTestCase):
    """The interface is not what it was at the start."""

    def test_an_address_that_is_not_ours(self) -> None:
        """An offer from it could never be taken: the REQUEST that names it would not be for us."""
        lan = Lan()
        for local in (IPv4Address("0.0.0.0"), ELSEWHERE, address(2 + 40)):
            lan.arrive(discover(1), local)
            self.assertEqual(lan.outcomes[-1], Strayed(local, "lan0", OWN))
        self.assertEqual(lan.sent, [])

    def test_we_call_ourselves_by_an_address_of_the_subnet(self) -> None:
        """D14: though the interface may have others, and a broadcast arrive at one of them."""
        lan = Lan()
        addresses = (ELSEWHERE, SERVER, SECOND)
        for local, ours in ((SERVER, SERVER), (SECOND, SECOND), (ELSEWHERE, SERVER)):
            come = arrival(lan.now, local)._replace(addresses=addresses)
            reply, way = lan.ask(discover(1), come=come)
            self.assertEqual((reply.options[Option.SERVER_IDENTIFIER], way.source), (ours.packed, ours), str(local))
            self.assertIn(str(reply.siaddr), {str(ours)})
        held = lan.bound(1)
        come = arrival(lan.now, ELSEWHERE)._replace(addresses=addresses)
        self.assertEqual(lan.ask(renew(1, held), come=come)[0].message_type, MessageType.ACK)
