"""Tests of `pixelboot.tftp.exchanges`: the network does not take what is to be sent, and tells so sooner or later."""

from __future__ import annotations

from collections.abc import Sequence

from pixelboot.tftp import wire
from pixelboot.tftp.outcomes import NotSent
from pixelboot.tftp.settings import TftpSettings
from pixelboot.udp.batch.path import Path
from tests.tftp.network import LARGE, Network, NetworkCase, host, peer, rrq

ACK = wire.ack


class AtOnce(Network):
    """A network that tells at once what cannot be sent, as a socket does when its batch is full."""

    def send(self, datagrams: Sequence[bytes], path: Path) -> None:
        """Not together with what else is sent."""
        gathers, self._gathers = self._gathers, False
        super().send(datagrams, path)
        self._gathers = gathers


class NotSentTests(NetworkCase):
    """Who is out of reach."""

    def test_whenever(self) -> None:
        """At the first packet, or later, to an ACK or by the clock: it is over, and nothing is done for it any more."""
        for kind in (Network, AtOnce):
            for acks in range(3):
                for by_clock in (False, True):
                    self.lan = kind()
                    if not acks and not by_clock:
                        self.lan.unreachable.add(host(1))
                    self.lan.request(rrq("large"), host(1))
                    for block in range(1, acks + 1):
                        if block == acks and not by_clock:
                            self.lan.unreachable.add(host(1))
                        self.lan.say(ACK(block), host(1))
                    self.lan.unreachable.add(host(1))
                    self.assert_over("NotSent")
                    [outcome] = self.lan.outcomes
                    assert isinstance(outcome, NotSent)
                    self.assertEqual((outcome.octets, outcome.reason), (512 * acks, "Network is unreachable"))
                    self.assertEqual([payload.closed for payload in self.lan.payloads], [1])

    def test_last_words(self) -> None:
        """What has ended has ended so, whether or not the ERROR about it can be sent."""
        for kind in (Network, AtOnce):
            for name, outcome in (("absent", "NotFound"), ("forbidden", "Refused"), ("unreadable", "Broken")):
                self.lan = kind()
                self.lan.unreachable.add(host(1))
                self.lan.request(rrq(name), host(1))
                self.lan.settle()
                self.assertEqual((set(self.lan.kinds()), self.lan.leftovers()), ({"Ignored", outcome}, []), name)
            self.lan = kind(TftpSettings(retries=1))
            self.lan.request(rrq("large"), host(1))
            self.lan.settle(until=1.5)
            self.lan.unreachable.add(host(1))
            self.assert_over("TimedOut", "Ignored")
            self.lan = kind()
            self.lan.request(rrq("large"), host(1))
            self.lan.unreachable.add(host(1))
            self.lan.protocol.stop()
            self.lan.settle()
            self.assertEqual((set(self.lan.kinds()), self.lan.leftovers()), ({"CutShort", "Ignored"}, []))

    def test_one_of_many(self) -> None:
        """It is nobody else's loss, not even his who asks anew from there."""
        client = self.lan.download("large", host(2))
        self.lan.unreachable.add(host(1))
        self.lan.request(rrq("large"), host(1))
        self.lan.unreachable.clear()
        again = self.lan.download("large", host(1))
        self.assert_over("NotSent", "Served", "Served")
        self.assertEqual([bytes(client.octets), bytes(again.octets)], [LARGE, LARGE])

    def test_a_late_word_of_an_earlier_way(self) -> None:
        """What was not sent for an exchange that is over does not end the one that has begun there since."""
        self.lan.request(rrq("large"), host(1))
        [(former, _)] = self.lan.sent
        self.lan.request(rrq("small"), host(1))
        self.lan.protocol.not_sent(former, OSError(101, "Network is unreachable"))
        self.assertEqual((self.lan.kinds(), self.lan.protocol.transfers()), (["CutShort", "Ignored"], 1))
        self.assertEqual({path.peer for path, _ in self.lan.sent}, {peer(host(1))})
        self.lan.say(ACK(1), host(1))
        self.assert_over("CutShort", "Ignored", "Served")
