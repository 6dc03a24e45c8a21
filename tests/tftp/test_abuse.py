"""Tests of `pixelboot.tftp.protocol`: datagrams that belong to nothing, and more requests than can be served."""

from __future__ import annotations

import errno
import gc
import os
import weakref

from pixelboot.library.tree import Asker
from pixelboot.tftp import wire
from pixelboot.tftp.exchanges import MOST_REMEMBERED, OPENING_TIME, QUIET_TIME
from pixelboot.tftp.limits.rate import ANSWERS_PER_SECOND
from pixelboot.tftp.negotiate import MOST_IN_FLIGHT
from pixelboot.tftp.settings import TftpSettings
from tests.tftp.network import LARGE, Kept, Network, NetworkCase, host, peer, rrq

ERROR = wire.error(0, "enough")
ACK = wire.ack


class StrangerTests(NetworkCase):
    """Datagrams at the data port that belong to no transfer."""

    def test_wrong_tid(self) -> None:
        """T06: who has no transfer is told so, from another address as from another port; the transfer goes on."""
        self.lan.request(rrq("small"), host(1))
        self.lan.say(ACK(1), host(2))
        self.lan.say(wire.data(1, b"x"), host(1), 2001)
        self.assert_error(5, host(2))
        self.assert_error(5, host(1), 2001)
        self.lan.say(ACK(1), host(1))
        self.assert_over("Ignored", "Ignored", "Served")

    def test_never_answered(self) -> None:
        """T07: no ERROR is ever answered, nor what is nothing at all: two servers could go on like that for ever."""
        for octets in (ERROR, b"\0\5", b"", b"\0", b"\0\4"[:1], rrq("small"), b"\0\7xx", b"\xff" * 40):
            self.lan.say(octets, host(2))
        self.assertEqual(self.lan.sent, [])

    def test_bounded(self) -> None:
        """However many come, few are answered, and a second later a few more."""
        for _ in range(2):
            self.lan.sent.clear()
            for number in range(3 * ANSWERS_PER_SECOND):
                self.lan.say(ACK(1), host(2), 3000 + number)
                self.lan.request(b"\0\7??", host(3), 3000 + number)
            # The fractions of a second that answers take do not add up to a whole one to the last bit.
            self.assertIn(len(self.lan.sent), (ANSWERS_PER_SECOND - 1, ANSWERS_PER_SECOND))
            self.lan.clock.advance(1.01)
        self.lan.request(rrq("absent"), host(1))
        self.assert_error(1, host(1))

    def test_last_ack_again(self) -> None:
        """After its transfer a client may repeat its last ACK without being told that it is unknown, for a while."""
        self.lan.request(rrq("small"), host(1))
        for _ in range(3):
            self.lan.say(ACK(1), host(1))
        self.assertEqual(len(self.lan.sent), 1)
        self.lan.clock.advance(QUIET_TIME)
        self.lan.say(ACK(1), host(1))
        self.assertEqual([type(packet).__name__ for packet in self.lan.said_to(host(1))], ["Data", "Error"])

    def test_memory(self) -> None:
        """Only so many of those whose transfers ended are remembered."""
        for number in range(MOST_REMEMBERED + 1):
            self.lan.request(rrq("absent"), host(number % 8), 1 + number)
        self.lan.sent.clear()
        for number in (0, 1, MOST_REMEMBERED):
            self.lan.say(ACK(1), host(number % 8), 1 + number)
        self.assertEqual([path.peer for path, _ in self.lan.sent], [peer(host(0), 1)])


class BoundsTests(NetworkCase):
    """More than can be done at once."""

    def test_busy(self) -> None:
        """Beyond the number of the settings nobody is answered; he asks again, and is when there is room."""
        self.lan = Network(TftpSettings(transfers=2))
        for number in (1, 2, 101):
            self.lan.request(rrq("small"), host(number))
        self.assertEqual((self.lan.kinds(), self.lan.protocol.transfers()), (["Busy"], 2))
        self.lan.say(ACK(1), host(1))
        self.lan.request(rrq("small"), host(101))
        self.lan.say(ACK(1), host(101))
        self.lan.say(ACK(1), host(2))
        self.assert_over("Busy", "Served", "Served", "Served")

    def test_share(self) -> None:
        """One address cannot take all places; what it gives back it can take again."""
        self.lan = Network(TftpSettings(transfers=6))
        for _ in range(2):
            for port in range(5):
                self.lan.request(rrq("small"), host(1), 2000 + port)
            self.lan.request(rrq("small"), host(2))
            self.assertEqual(self.lan.protocol.transfers(), 4)
            for port in range(3):
                self.lan.say(ACK(1), host(1), 2000 + port)
            self.lan.say(ACK(1), host(2))
        self.assert_over(*(["Busy"] * 2 + ["Served"] * 4) * 2)

    def test_which_limit(self) -> None:
        """Who is not answered can be told why, by the name of the limit."""
        self.lan = Network(TftpSettings(transfers=4))
        for number, port in ((1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (4, 1)):
            self.lan.request(rrq("small"), host(number), port)
        self.assertEqual(
            [outcome.summary().partition(": ")[2] for outcome in self.lan.outcomes],
            [
                "2 transfers to its address run already (tftp.transfers_per_client)",
                "4 transfers run already (tftp.transfers)",
            ],
        )
        self.lan.protocol.stop()

    def test_no_descriptor(self) -> None:
        """While the system lacks what it takes to open a file nobody is told so: he asks again, and has it then."""
        problems = [errno.EMFILE, errno.ENFILE, errno.ENOMEM]
        found = self.lan.open

        async def opened(name: str, asker: Asker) -> Kept:
            if problems:
                number = problems.pop()
                raise OSError(number, os.strerror(number))
            return await found(name, asker)

        self.patch(self.lan, "open", opened)
        client = self.lan.download("large", host(1))
        self.assert_over("Busy", "Busy", "Busy", "Served")
        self.assertEqual(bytes(client.octets), LARGE)
        self.assertIn("cannot be opened now: Too many open files", self.lan.outcomes[2].summary())

    def test_t28_the_widest_window(self) -> None:
        """It is bounded in octets; two hundred of them are sent from the packets of one, and take no more memory."""
        self.lan = Network(TftpSettings(blksize=65464, windowsize=4096))
        ask = {"blksize": 65464, "windowsize": 4096}
        for number in range(200):
            self.lan.request(rrq("small", **ask), host(number), 3000)
            [said] = self.lan.said_to(host(number), 3000)
            assert isinstance(said, wire.OptionAck)
            self.assertEqual(dict(said.options)["windowsize"], str(MOST_IN_FLIGHT // 65464))
            self.lan.say(ACK(0), host(number), 3000)
        self.assertEqual(len({id(octets) for _, octets in self.lan.sent if octets[1] == 3}), 1)
        self.assertEqual(len(self.lan.shared["small"].reads), 1)
        self.lan.protocol.stop()

    def test_an_exchange_that_is_over_is_forgotten(self) -> None:
        """What was asked for and refused, or cut, is not kept until its time would have come."""
        self.lan.request(rrq("slow"), host(1))  # Something to wait for, or else there was nothing to forget.
        kept: list[weakref.ref[Kept]] = []
        for _ in range(300):
            self.lan.request(rrq("absent"), host(2))
            self.lan.request(rrq("large", windowsize=64), host(3))
            self.lan.say(ACK(0), host(3))
            self.lan.request(rrq("small", windowsize=64), host(3))
            kept += [weakref.ref(payload) for payload in self.lan.payloads]
            self.lan.payloads.clear()
        gc.collect()
        self.assertEqual(len(kept), 600)
        self.assertEqual(len([payload for payload in kept if payload() is not None]), 1, "the one that is running")
        self.lan.protocol.stop()

    def test_opening_takes_a_place(self) -> None:
        """A file that is being opened counts, and so its number is bounded as well."""
        self.lan = Network(TftpSettings(transfers=2))
        for number in range(5):
            self.lan.request(rrq("slow"), host(number))
        self.assertEqual((len(self.lan.asked), self.lan.kinds()), (2, ["Busy"] * 3))
        self.lan.protocol.stop()
        self.assert_over(*["Busy"] * 3, *["CutShort"] * 2)

    def test_opening_takes_too_long(self) -> None:
        """A file that cannot be had in time is given up, whether or not that can be called off."""
        for name in ("slow", "stubborn"):
            self.lan = Network()
            self.lan.request(rrq(name), host(1))
            self.lan.settle()
            self.assertEqual(round(self.lan.clock.seconds()), OPENING_TIME)
            self.assert_error(0, host(1))
            self.lan.arrive()
            self.assert_over("Broken")

    def test_opening_takes_a_while(self) -> None:
        """The time that the opening took is not held against the client."""
        self.lan.request(rrq("slow"), host(1))
        self.lan.clock.advance(OPENING_TIME - 1)
        self.lan.arrive()
        self.lan.clock.advance(0.9)
        self.assertEqual(len(self.lan.said_to(host(1))), 1)
        self.lan.say(ACK(1), host(1))
        self.assert_over("Served")

    def test_client_gives_up_meanwhile(self) -> None:
        """A client that wants the file no more while it is being opened is not sent it; an early ACK is nothing."""
        self.lan.request(rrq("slow"), host(1))
        self.lan.say(ACK(0), host(1))
        self.lan.say(ERROR, host(1))
        self.assertEqual(self.lan.sent, [])
        self.assert_over("CutShort")
