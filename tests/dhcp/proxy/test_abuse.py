"""Requests that are made up so that the proxy answers somebody who did not ask."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.datagram import Arrival
from pixelboot.dhcp.message.wire import Message
from pixelboot.dhcp.outcomes import Ignored
from pixelboot.dhcp.proxy.protocol import ProxyProtocol
from tests.dhcp.lan import NOWHERE, PROXY_PORT, RELAY, address, arrival, discover, say
from tests.dhcp.proxy.test_answer import AT_4011, BY_RELAY, REQUEST, UEFI, lan


class Reflection(SynchronousTestCase):
    """The ways by which a reply could be sent to a third."""

    def test_nobody_is_sent_what_he_did_not_ask_for(self) -> None:
        """P05: the address that is answered to is the sender's own, and one that a machine can have."""
        multicast, future = IPv4Address("224.0.1.2"), IPv4Address("255.255.255.255")
        near = replace(arrival(), source=RELAY)
        cases: tuple[tuple[str, Message, Arrival | None], ...] = (
            ("another's ciaddr", say(REQUEST, 1, UEFI, ciaddr=address(7)), AT_4011),
            ("another's ciaddr at 67", discover(1, UEFI, ciaddr=address(7)), near),
            ("everybody", discover(1, UEFI, ciaddr=future), None),
            ("multicast", discover(1, UEFI, ciaddr=multicast), None),
            ("a source of that name", say(REQUEST, 1, UEFI), replace(AT_4011, source=multicast)),
            ("a relay that asks as a client does", discover(1, UEFI, giaddr=RELAY), near),
            ("the same from any port", discover(1, UEFI, giaddr=RELAY), replace(BY_RELAY, source_port=40000)),
            ("the same at 4011", say(REQUEST, 1, UEFI, giaddr=RELAY), AT_4011),
        )
        for name, request, come in cases:
            self.assertIsInstance(lan().silence(request, come), Ignored, name)
        for text in ("127.0.0.1", "127.255.255.255", "0.0.0.1", "0.255.255.255", "169.254.1.1", "224.0.0.1"):
            far = IPv4Address(text)
            for request, come in (
                (discover(1, UEFI, giaddr=far), BY_RELAY),
                (discover(1, UEFI, ciaddr=far), None),
                (say(REQUEST, 1, UEFI, ciaddr=far), replace(AT_4011, source=NOWHERE)),
                (say(REQUEST, 1, UEFI), replace(AT_4011, source=far)),
            ):
                outcome = lan().silence(request, come)
                self.assertEqual((type(outcome), text in outcome.summary()), (Ignored, True), text)
        for text in ("240.0.0.1", "255.255.255.255"):
            outcome = lan().silence(discover(1, UEFI, giaddr=IPv4Address(text)), BY_RELAY)
            self.assertIn(f"no machine has the address {text}", outcome.summary())

    def test_a_network_of_such_addresses(self) -> None:
        """Where we have a loopback or link-local address ourselves, so may the machines."""
        for ours, theirs in (("127.0.0.1", "127.0.0.9"), ("169.254.7.1", "169.254.9.9")):
            has, servers = IPv4Address(theirs), frozenset({IPv4Address(ours)})
            proxy = lan()
            proxy.protocol = ProxyProtocol(proxy.policy, proxy.memory, proxy.outcomes.append, servers, PROXY_PORT)
            come = replace(AT_4011, local=IPv4Address(ours), source=has)
            _, way = proxy.ask(say(REQUEST, 1, UEFI, ciaddr=has), come=come)
            self.assertEqual(way.address, has)
