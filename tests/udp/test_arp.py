"""Tests of `pixelboot.udp.arp`; with machines that answer in `tests.firmware.test_frames`."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.hwaddr import HardwareAddress
from pixelboot.udp import arp as arp_module
from pixelboot.udp.arp import REMEMBERED, Prober
from pixelboot.udp.frame import arp_probe
from pixelboot.udp.interfaces import Interface
from pixelboot.udp.link import Link
from tests.udp.test_frame import ARP_REPLY, CLIENT, GIVEN, OURS, offer

OTHER = HardwareAddress.parse("52:54:00:00:00:99")
WITHIN = 0.1


def reply(address: IPv4Address, hwaddr: HardwareAddress = CLIENT) -> bytes:
    """A machine says that it has an address."""
    return ARP_REPLY[:22] + hwaddr.octets + address.packed + ARP_REPLY[32:]


class Wire:
    """Takes frames, as a `Link` does, or does not."""

    def __init__(self, name: str, hwaddr: HardwareAddress | None = OURS) -> None:
        self.interface = Interface(name, 1, (), hwaddr=hwaddr)
        self.frames: list[bytes] = []
        self.is_open = True

    def send(self, frame: bytes) -> bool:
        """Take it."""
        if self.is_open:
            self.frames.append(frame)
        return self.is_open


class ProberTests(SynchronousTestCase):
    """Questions and answers."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.wire, self.second = Wire("lan0"), Wire("lan1", HardwareAddress.parse("02:aa:00:00:00:02"))
        self.links = {"lan0": self.wire, "lan1": self.second}
        self.prober = Prober(self.clock, cast("dict[str, Link]", self.links))

    def ask(self, address: IPv4Address = GIVEN, but: HardwareAddress | None = None) -> Deferred[HardwareAddress | None]:
        """Who on lan0 has it."""
        return self.prober.in_use("lan0", address, WITHIN, but)

    def test_free(self) -> None:
        """Nobody answers: that is known when the time is over, and nothing is left then."""
        asked = self.ask()
        self.assertEqual(self.wire.frames, [arp_probe(GIVEN, OURS)])
        self.clock.advance(WITHIN - 0.01)
        self.assertNoResult(asked)
        self.clock.advance(0.01)
        self.assertIsNone(self.successResultOf(asked))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_used(self) -> None:
        """The first answer decides."""
        asked = self.ask()
        for _ in range(3):
            self.prober.heard("lan0", reply(GIVEN))
        self.assertEqual(self.successResultOf(asked), CLIENT)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_does_not_count(self) -> None:
        """Another address, another link, no ARP reply, one of our own cards, the machine that is to get it."""
        asked = self.ask(but=CLIENT)
        for interface, frame in (
            ("lan0", reply(GIVEN + 1, OTHER)),
            ("lan1", reply(GIVEN, OTHER)),
            ("gone0", reply(GIVEN, OTHER)),
            ("lan0", arp_probe(GIVEN, OTHER)),
            ("lan0", offer(b"")),
            ("lan0", b""),
            ("lan0", reply(GIVEN, OURS)),
            ("lan0", reply(GIVEN, HardwareAddress.parse("02:aa:00:00:00:02"))),
            ("lan0", reply(GIVEN, CLIENT)),
        ):
            self.prober.heard(interface, frame)
            self.assertNoResult(asked)
        self.clock.advance(WITHIN)
        self.assertIsNone(self.successResultOf(asked))

    def test_two_ask(self) -> None:
        """For one address, with one frame; the one who has it is no obstacle to himself alone."""
        mine, other, third = self.ask(but=CLIENT), self.ask(but=OTHER), self.ask()
        self.assertEqual(len(self.wire.frames), 1)
        self.prober.heard("lan0", reply(GIVEN))
        self.assertNoResult(mine)
        self.assertEqual([self.successResultOf(each) for each in (other, third)], [CLIENT, CLIENT])
        self.clock.advance(WITHIN)
        self.assertIsNone(self.successResultOf(mine))

    def test_asked_anew(self) -> None:
        """An answer in time was heard by who asked; who asks later wants to know whether it still is so."""
        asked = self.ask()
        self.prober.heard("lan0", reply(GIVEN))
        self.assertEqual(self.successResultOf(asked), CLIENT)
        again = self.ask()
        self.assertEqual(len(self.wire.frames), 2)
        self.clock.advance(WITHIN)
        self.assertIsNone(self.successResultOf(again))

    def test_late(self) -> None:
        """An answer that nobody waited for any more counts for a while: the next one is told at once."""
        self.assertNoResult(self.ask())
        self.clock.advance(WITHIN)
        self.prober.heard("lan0", reply(GIVEN))
        self.assertEqual(self.successResultOf(self.ask()), CLIENT)
        self.assertEqual(len(self.wire.frames), 1)
        self.assertNoResult(self.ask(but=CLIENT))
        self.clock.advance(WITHIN)
        self.clock.advance(REMEMBERED)
        self.assertNoResult(self.ask())
        self.assertEqual(len(self.wire.frames), 3)
        self.clock.advance(WITHIN)
        self.clock.advance(REMEMBERED)
        self.prober.heard("lan0", reply(GIVEN))
        self.assertNoResult(self.ask())

    def test_nobody_to_ask(self) -> None:
        """No such interface, no Ethernet, no privilege, no time: nothing is waited for."""
        self.links["ib0"] = Wire("ib0", None)
        for interface, is_open, within in (
            ("gone0", True, 1.0),
            ("ib0", True, 1.0),
            ("lan0", False, 1.0),
            ("lan0", True, 0),
        ):
            self.wire.is_open = is_open
            self.assertIsNone(self.successResultOf(self.prober.in_use(interface, GIVEN, within)), interface)
        self.assertEqual((self.wire.frames, self.clock.getDelayedCalls()), ([], []))

    def test_bounds(self) -> None:
        """So many at one time, and as many are remembered: the oldest of them is forgotten."""
        self.patch(arp_module, "MOST_PROBES", 10)
        for _ in range(2):
            asked = [self.ask(GIVEN + number) for number in range(12)]
            self.assertEqual([each.called for each in asked], [False] * 10 + [True] * 2)
            self.clock.advance(WITHIN)
            self.assertEqual([self.successResultOf(each) for each in asked], [None] * 12)
        asked = [self.ask(GIVEN + 100)]
        self.clock.advance(WITHIN)
        for number in (0, 1, 100):
            self.prober.heard("lan0", reply(GIVEN + number))
        answers = [self.ask(GIVEN + number).called for number in (0, 1, 100)]
        self.assertEqual(answers, [False, True, True])

    def test_an_answer_under_many_link_addresses(self) -> None:
        """One who answers without an end is remembered for a few of them."""
        asked = self.ask(but=CLIENT)
        for number in range(1000):
            self.prober.heard("lan0", reply(GIVEN, HardwareAddress(b"\2\2" + number.to_bytes(4, "big"))))
        self.assertEqual(self.successResultOf(asked), HardwareAddress(b"\2\2\0\0\0\0"))

    def test_given_up(self) -> None:
        """Who asked may lose interest; the others hear all the same."""
        first, second = self.ask(), self.ask()
        first.cancel()
        self.failureResultOf(first)
        self.prober.heard("lan0", reply(GIVEN))
        self.assertEqual(self.successResultOf(second), CLIENT)

    def test_stop(self) -> None:
        """Who waits is told that it is over; nothing is left, and nothing known."""
        asked = [self.ask(GIVEN + number) for number in range(3)]
        self.prober.stop()
        self.assertEqual([self.successResultOf(each) for each in asked], [None] * 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.prober.heard("lan0", reply(GIVEN))
        self.assertNoResult(self.ask())
        self.prober.stop()
