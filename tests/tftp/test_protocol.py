"""Tests of `pixelboot.tftp.protocol`: the shell between a network in memory and the transfers."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from pixelboot.library.tree import Asker
from pixelboot.tftp import wire
from pixelboot.tftp.outcomes import Broken, CutShort, NotFound, NotSent, Refused, Served
from pixelboot.tftp.patience import Patience
from pixelboot.tftp.protocol import REPEAT_TIME
from pixelboot.tftp.settings import TftpSettings
from tests.tftp.network import CARD, FILES, LARGE, SECOND, SERVER, SMALL, Network, NetworkCase, host, rrq, source
from tests.tftp.peer import seeded

ERROR = wire.error(0, "enough")
ACK = wire.ack


class DownloadTests(NetworkCase):
    """Files that are there."""

    def test_files(self) -> None:
        """A file arrives whole, from the address that was asked, and the outcome says who has it and how much."""
        for (name, octets), remembers, mixed, options in product(
            FILES.items(),
            (False, True),
            (False, True),
            ({}, {"blksize": 64}, {"blksize": 512, "windowsize": 3, "tsize": 0}),
        ):
            lan = Network(remembers=remembers, mixed=mixed)
            client = lan.download(name, host(101), **options)
            self.assert_over("Served", lan=lan)
            self.assertEqual(bytes(client.octets), octets, (name, options))
            [outcome] = lan.outcomes
            assert isinstance(outcome, Served)
            self.assertEqual((outcome.machine, outcome.peer, outcome.name), (CARD, host(101), name))
            self.assertEqual((outcome.octets, outcome.retransmissions), (len(octets), 0))
            self.assertEqual((outcome.blksize, outcome.windowsize), (client.blksize, client.windowsize))
            self.assertEqual({source(path) for path, _ in lan.sent}, {SERVER})
            self.assertEqual((lan.asked, lan.askers), ([name], [Asker(CARD, host(101))]))

    def test_address_asked(self) -> None:
        """T01: everything comes from the address that the request was sent to; here a second one of ours."""
        self.lan.request(rrq("small"), host(5), local=SECOND)
        self.lan.say(ACK(1), host(5))
        self.lan.request(rrq("absent"), host(5), local=SECOND)
        self.assert_over("Served", "NotFound")
        self.assertEqual([source(path) for path, _ in self.lan.sent], [SECOND, SECOND])

    def test_one_address(self) -> None:
        """A socket that has one address only is not told which to send from."""
        self.lan = Network(pinned=False)
        self.lan.request(rrq("small"), host(5))
        self.lan.request(rrq("absent"), host(5), 2001)
        self.lan.say(ACK(1), host(5))
        self.assertEqual([source(path) for path, _ in self.lan.sent], [None, None])
        self.assert_over("NotFound", "Served")

    def test_one_port(self) -> None:
        """What comes to a port for everything is told apart by what it is, and by whose it is."""
        self.lan = Network(mixed=True)
        self.lan.request(rrq("large"), host(1))
        self.lan.request(rrq("large", windowsize=2), host(2))
        for octets in (ACK(1), wire.data(1, b"x"), ERROR, b"", b"\0\7??"):
            self.lan.say(octets, host(3))
        said = [packet.code if isinstance(packet, wire.Error) else None for packet in self.lan.said_to(host(3))]
        self.assertEqual(said, [5, 5, 4, 4])
        self.lan.say(ERROR, host(2))
        self.assertEqual(self.lan.kinds(), ["Ignored", "Ignored", "Dropped", "Dropped", "Dropped", "Probed"])
        self.lan.outcomes.clear()
        for block in range(1, 12):
            for octets in (b"", b"\0", b"\0\7??", b"\xff" * 2100):
                self.lan.say(octets, host(1))  # Who is sent a file is not told of it: he might give up.
            self.lan.say(ACK(block), host(1))
        self.lan.say(ACK(11), host(1))
        self.assertEqual({type(packet) for packet in self.lan.said_to(host(1))}, {wire.Data})
        self.assert_over("Served")

    def test_many_in_one_moment(self) -> None:
        """A thousand machines that ask at once are all served, and one timer is enough for them."""
        for number in range(1000):
            self.lan.request(rrq("large"), host(number % 200), 2000 + number)
        self.assertEqual((self.lan.protocol.transfers(), len(self.lan.clock.getDelayedCalls())), (1000, 1))
        for block in range(1, 12):
            for number in range(1000):
                self.lan.say(ACK(block), host(number % 200), 2000 + number)
        self.assertEqual(self.lan.leftovers(), [])
        self.assert_over(*["Served"] * 1000)
        self.assertEqual(len(self.lan.sent), 11_000)

    def test_loss(self) -> None:
        """Whatever is lost, doubled or late, every client has its file in the end."""
        lan = Network(fate=seeded(7, 0.1, 0.05, 0.02))
        clients = [lan.download("large", host(number), windowsize=1 + number % 4) for number in range(1, 31)]
        lan.settle()
        self.assertEqual([bytes(client.octets) == LARGE for client in clients], [True] * len(clients))
        self.assertEqual(set(lan.kinds()) - {"Served", "Unconfirmed", "Ignored"}, set())
        self.assertEqual(lan.leftovers(), [])

    def test_silence(self) -> None:
        """A client that is never heard of again costs a bounded number of packets and a bounded time."""
        self.lan.request(rrq("large"), host(1))
        self.assert_over("TimedOut")
        self.assertLess(self.lan.clock.seconds(), 60)
        self.assertEqual(len(self.lan.sent), 1 + Patience().unheard + 1)
        self.lan.sent.clear()
        self.lan.request(rrq("large"), host(1))
        self.lan.say(ACK(1), host(1))
        self.assert_over("TimedOut", "TimedOut")
        self.assertEqual(len(self.lan.sent), 2 + TftpSettings().retries + 1)

    def test_probe(self) -> None:
        """T20, T36: EDK2 asks for the size, breaks off with ERROR 8, and asks again from another port at once."""
        self.lan.request(rrq("small", tsize=0, blksize=1468), host(1))
        self.lan.say(wire.error(8, "only the size"), host(1))
        client = self.lan.download("small", host(1), 2001, blksize=1468)
        self.assert_over("Probed", "Served")
        self.assertEqual(bytes(client.octets), SMALL)
        self.assertEqual(len(self.lan.said_to(host(1))), 1)


class RefusedTests(NetworkCase):
    """What is not sent."""

    def test_table(self) -> None:
        """T04, T08, T09, T37: each has its error code and its outcome; T07: an ERROR is never answered."""
        for octets, code, kind in (
            (rrq("absent"), 1, "NotFound"),
            (rrq("forbidden"), 2, "Refused"),
            (rrq("unreadable"), 0, "Broken"),
            (wire.read_request("small", "mail"), 4, "Refused"),
            (b"\0\2small\0octet\0", 2, "Refused"),
            (b"\0\7small\0octet\0", 4, "Dropped"),
            (b"\0\1small\0octet", 4, "Dropped"),
            (b"\0\1\0octet\0", 4, "Dropped"),
            (b"\0\1small\0", 4, "Dropped"),
            (b"", 4, "Dropped"),
            (b"\xff" * 4000, 4, "Dropped"),
            (ERROR, None, "Dropped"),
            (b"\0\5", None, "Dropped"),
            (ACK(1), None, "Dropped"),
            (wire.data(1, b"x"), None, "Dropped"),
        ):
            self.lan = Network()
            self.lan.request(octets, host(101))
            if code is None:
                self.assertEqual(self.lan.sent, [], octets[:20])
            else:
                self.assert_error(code, host(101))
            self.assert_over(kind)

    def test_words(self) -> None:
        """The log knows the reason, the client is told no more than it must know."""
        for self.lan in (Network(), Network(remembers=True)):
            self.words()

    def words(self) -> None:
        """Whether or not the files have to be looked for."""
        for name in ("absent", "forbidden", "unreadable"):
            self.lan.request(rrq(name), host(101))
        self.assertEqual(
            self.lan.outcomes,
            [
                NotFound(CARD, host(101), "absent"),
                Refused(CARD, host(101), "forbidden", 2, "it is outside"),
                Broken(CARD, host(101), "unreadable", 0, "Input/output error"),
            ],
        )
        told = [packet.message for packet in self.lan.said_to(host(101)) if isinstance(packet, wire.Error)]
        self.assertEqual(told, ["there is no such file", "this file is not served", "the file cannot be read"])

    def test_t37_writing(self) -> None:
        """It is refused, and nothing is opened for it."""
        self.lan.request(b"\0\2new\0octet\0tsize\x005\0", host(101))
        self.assert_error(2, host(101))
        self.assert_over("Refused")
        self.assertEqual((self.lan.asked, self.lan.outcomes[0].summary()),
                         ([], f"{CARD} {host(101)} new refused with error 2: nothing can be written here"))  # fmt: skip

    def test_to_everybody(self) -> None:
        """T12: a request by broadcast is not answered, whatever is in it."""
        for octets in (rrq("small"), b"\0\2small\0octet\0", b"\0\7"):
            self.lan.request(octets, host(1), to_everybody=True)
        self.assertEqual((self.lan.sent, self.lan.asked), ([], []))
        self.assert_over("Ignored", "Ignored", "Ignored")

    def test_nobody(self) -> None:
        """Who cannot be answered is not, nor does his request do anything."""
        for address, port in (("0.0.0.0", 2000), ("224.0.0.1", 2000), (host(1), 0)):
            self.lan.request(rrq("small"), address, port)
        self.assertEqual((self.lan.sent, self.lan.asked), ([], []))
        self.assert_over("Dropped", "Dropped", "Dropped")


class RepeatedTests(NetworkCase):
    """A second request from the same address and port."""

    def test_copy(self) -> None:
        """T14: the same request again is the same transfer: while the file is opened, before the first ACK, soon."""
        self.lan.request(rrq("slow"), host(1))
        self.lan.request(rrq("slow"), host(1))
        self.lan.arrive()
        self.lan.clock.advance(0.5)
        self.lan.request(rrq("slow"), host(1))
        self.assertEqual(len(self.lan.said_to(host(1))), 1)
        self.lan.say(ACK(1), host(1))
        self.assert_over("Ignored", "Ignored", "Served")
        self.assertEqual(self.lan.asked, ["slow"])

    def test_late_copy(self) -> None:
        """T14: a copy that was long on its way does not disturb the transfer; later the client has begun anew."""
        for wait, kinds in ((REPEAT_TIME - 0.1, ["Ignored"]), (REPEAT_TIME + 0.1, ["CutShort"])):
            lan = Network()
            lan.request(rrq("large"), host(1))
            lan.say(ACK(1), host(1))
            lan.clock.advance(wait)
            lan.request(rrq("large"), host(1))
            self.assertEqual((lan.kinds(), lan.protocol.transfers()), (kinds, 1), wait)
            lan.protocol.stop()
            self.assertEqual(lan.leftovers(), [])

    def test_a_copy_that_comes_in_the_middle(self) -> None:
        """T14: however long ago the transfer began, a client that goes on has not begun anew."""
        self.lan.request(rrq("large"), host(1))
        for block in (1, 2, 3):
            self.lan.say(ACK(block), host(1))
            self.lan.clock.advance(REPEAT_TIME - 0.1)
            self.lan.request(rrq("large"), host(1))
        self.assertEqual((self.lan.kinds(), self.lan.protocol.transfers()), (["Ignored"] * 3, 1))
        self.lan.protocol.stop()

    def test_begun_anew_before_the_first_block(self) -> None:
        """T14: a ROM whose first DATA never came through asks again from the same port, and is answered."""
        self.lan.request(rrq("large", blksize=1468), host(1))
        self.lan.say(ACK(0), host(1))
        self.lan.clock.advance(REPEAT_TIME + 0.1)
        self.lan.request(rrq("large", blksize=1468), host(1))
        self.assertEqual((self.lan.kinds(), self.lan.protocol.transfers()), (["CutShort"], 1))
        self.lan.protocol.stop()

    def test_another(self) -> None:
        """Another request ends what was sent there before, and its payload is given back."""
        self.lan.request(rrq("large"), host(101))
        self.lan.say(ACK(1), host(101))
        self.lan.request(rrq("small"), host(101))
        self.assertEqual([payload.closed for payload in self.lan.payloads], [1, 0])
        self.lan.say(ACK(1), host(101))
        self.assert_over("CutShort", "Served")
        outcome = self.lan.outcomes[0]
        assert isinstance(outcome, CutShort)
        self.assertEqual((outcome.machine, outcome.name, outcome.octets), (CARD, "large", 512))

    def test_another_while_opening(self) -> None:
        """So it does while the file is still being opened, whether or not that can be called off."""
        for name in ("slow", "stubborn"):
            self.lan = Network()
            self.lan.request(rrq(name), host(1))
            self.lan.request(rrq("small"), host(1))
            self.lan.arrive()
            self.lan.say(ACK(1), host(1))
            self.assert_over("CutShort", "Served")
            self.assertEqual(len(self.lan.said_to(host(1))), 1, name)

    def test_other_options(self) -> None:
        """The same name with other options is another request."""
        self.lan.request(rrq("large", blksize=1024), host(1))
        self.lan.request(rrq("large", blksize=512), host(1))
        self.assertEqual(self.lan.said_to(host(1))[-1], wire.OptionAck((("blksize", "512"),)))
        self.lan.protocol.stop()
        self.assert_over("CutShort", "CutShort")


class TroubleTests(NetworkCase):
    """What goes wrong with one does not reach another."""

    def test_not_sent(self) -> None:
        """Where the network does not take a packet that transfer ends, at its first packet or later."""
        client = self.lan.download("large", host(2))
        self.lan.unreachable.add(host(1))
        self.lan.request(rrq("small"), host(1))
        self.lan.request(rrq("absent"), host(1))
        self.lan.request(rrq("large"), host(3))
        self.lan.unreachable.add(host(3))
        self.lan.say(ACK(1), host(3))
        self.assert_over("NotSent", "NotFound", "Ignored", "NotSent", "Served")
        self.assertEqual(bytes(client.octets), LARGE)
        outcome = self.lan.outcomes[3]
        assert isinstance(outcome, NotSent)
        self.assertEqual((outcome.octets, outcome.reason), (512, "Network is unreachable"))

    def test_last_words_not_sent(self) -> None:
        """A transfer that has ended has ended so, whether or not its last ERROR can be sent."""
        self.lan = Network(TftpSettings(retries=1))
        self.lan.request(rrq("large"), host(1))
        self.lan.settle(until=1.5)
        self.assertEqual(len(self.lan.sent), 2)
        self.lan.unreachable.add(host(1))
        self.assert_over("TimedOut", "Ignored")

    def test_mistakes(self) -> None:
        """A mistake of ours, in opening or in reading, is told in full, and others go on."""
        for self.lan in (Network(), Network(remembers=True)):
            client = self.lan.download("large", host(2))
            for name in ("bug", "wrong"):
                self.lan.request(rrq(name), host(1))
            self.assert_over("Broken", "Broken", "Served")
            self.assertEqual(bytes(client.octets), LARGE)
            self.assertEqual([getattr(packet, "code", None) for packet in self.lan.said_to(host(1))], [0, 0])
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_payload_that_cannot_be_closed(self) -> None:
        """Nor does one that cannot be given back keep its transfer alive."""
        self.lan.request(rrq("small"), host(1))
        self.patch(self.lan.payloads[0], "close", lambda: 1 / 0)
        self.lan.say(ACK(1), host(1))
        self.assertEqual((self.lan.kinds(), self.lan.protocol.transfers()), (["Served"], 0))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_stop(self) -> None:
        """A stop ends everything at once: clients are told, payloads given back, openings called off."""
        for number, name in enumerate(("small", "large", "slow", "stubborn"), 101):
            self.lan.request(rrq(name), host(number))
        self.lan.say(ACK(1), host(102))
        self.lan.protocol.stop()
        self.lan.protocol.stop()
        self.assertEqual(self.lan.leftovers(), [])
        for number in range(101, 105):
            self.assertEqual(self.lan.said_to(host(number))[-1], wire.Error(0, "the server is stopping"))
        sent = len(self.lan.sent)
        self.lan.arrive()
        self.assert_over(*["CutShort"] * 4)
        self.assertEqual(len(self.lan.sent), sent)
        expected = CutShort(CARD, host(101), "small", 0, "the server is stopping")
        self.assertEqual(self.lan.outcomes[0], expected)
        self.assertEqual(
            expected.summary(), f"{CARD} {host(101)} small cut short after 0 octets: the server is stopping"
        )
        self.assertNotIn("\n", replace(expected, machine=None, name="a\nb").summary())

    @given(st.lists(st.tuples(st.booleans(), st.integers(1, 3), st.binary(max_size=40)), max_size=30))
    def test_anything(self, datagrams: list[tuple[bool, int, bytes]]) -> None:
        """No datagram at either port is ever an error, and nothing is left behind."""
        lan = Network()
        lan.request(rrq("large", windowsize=4), host(1))
        for to_data_port, number, octets in datagrams:
            (lan.say if to_data_port else lan.request)(octets, host(number))
        lan.settle()
        self.assertEqual(lan.leftovers(), [])
