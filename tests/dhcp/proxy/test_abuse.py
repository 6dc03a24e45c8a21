"""Requests that are made up so that the proxy answers somebody who did not ask."""

from __future__ import annotations

from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.datagram import Arrival
from pixelboot.dhcp.message.wire import Message
from pixelboot.dhcp.outcomes import Ignored
from pixelboot.malformed import Malformed
from tests.dhcp.proxy.lan import AT_67, AT_4011, BY_RELAY, NOWHERE, RELAY, REQUEST, UEFI, Proxy, discover, say

OTHER = IPv4Address("10.77.0.7")


class Reflection(SynchronousTestCase):
    """The ways by which a reply could be sent to a third."""

    def test_nobody_is_sent_what_he_did_not_ask_for(self) -> None:
        """P05: the address that is answered to is the sender's own, and one that a machine can have."""
        multicast, future = IPv4Address("224.0.1.2"), IPv4Address("255.255.255.255")
        near = AT_67._replace(source=RELAY)
        cases: tuple[tuple[str, Message, Arrival], ...] = (
            ("another's ciaddr", say(REQUEST, UEFI, ciaddr=OTHER), AT_4011),
            ("another's ciaddr at 67", discover(UEFI, ciaddr=OTHER), near),
            ("everybody", discover(UEFI, ciaddr=future), AT_67),
            ("multicast", discover(UEFI, ciaddr=multicast), AT_67),
            ("a source of that name", say(REQUEST, UEFI), AT_4011._replace(source=multicast)),
            ("a relay that asks as a client does", discover(UEFI, giaddr=RELAY), near),
            ("the same from any port", discover(UEFI, giaddr=RELAY), BY_RELAY._replace(source_port=40000)),
            ("the same at 4011", say(REQUEST, UEFI, giaddr=RELAY), AT_4011),
        )
        for name, request, come in cases:
            self.assertIsInstance(Proxy().silence(request, come), Ignored, name)
        for text in ("127.0.0.1", "127.255.255.255", "0.0.0.1", "0.255.255.255", "169.254.1.1", "224.0.0.1"):
            far = IPv4Address(text)
            if far.is_loopback or far.is_link_local:
                outcome = Proxy().silence(discover(UEFI, giaddr=far), BY_RELAY)
                self.assertEqual(outcome.summary().split(": ")[-1], f"{text} is not of this network")
            for request, come in (
                (discover(UEFI, ciaddr=far), AT_67),
                (say(REQUEST, UEFI, ciaddr=far), AT_4011._replace(source=NOWHERE)),
                (say(REQUEST, UEFI), AT_4011._replace(source=far)),
            ):
                outcome = Proxy().silence(request, come)
                self.assertEqual((type(outcome), text in outcome.summary()), (Ignored, True), text)
        for text in ("0.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"):
            request = discover(UEFI, giaddr=IPv4Address(text))
            refusal = self.assertRaises(Malformed, Proxy().silence, request, BY_RELAY)
            self.assertEqual(str(refusal), f"it came by the relay {text}, which no machine can be")

    def test_a_network_of_such_addresses(self) -> None:
        """Where we have a loopback or link-local address ourselves, so may the machines."""
        for ours, theirs in (("127.0.0.1", "127.0.0.9"), ("169.254.7.1", "169.254.9.9")):
            has, local = IPv4Address(theirs), IPv4Address(ours)
            come = AT_4011._replace(local=local, source=has, addresses=(local,))
            _, way = Proxy(own=(local,)).ask(say(REQUEST, UEFI, ciaddr=has), come)
            self.assertEqual(way.address, has)
