"""Transfers through a network that loses, doubles and delays, to an obedient client."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp import wire
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.patience import Patience
from pixelboot.tftp.read.ending import Result
from pixelboot.tftp.read.image import Image, NetasciiImage, netascii
from pixelboot.tftp.read.pool import Pool
from pixelboot.tftp.read.transfer import ReadTransfer
from tests.tftp.peer import LATENCY, Client, Fate, Held, dialogue, perfect, seeded

PATIENCE = Patience()
OCTETS = bytes(range(256)) * 2

NETWORKS = 5 * settings().max_examples
"""Networks that a transfer is sent through: 500 in every run, 10,000 with ``HYPOTHESIS_PROFILE=explore``."""


def pair(
    octets: bytes, blksize: int, windowsize: int, complaints: str = "once", *, oack: bool = True, text: bool = False
) -> tuple[ReadTransfer, Client]:
    """Both ends of a transfer."""
    agreed = (("blksize", str(blksize)), ("windowsize", str(windowsize))) if oack or windowsize > 1 else ()
    terms = Terms(blksize, windowsize, netascii=text, agreed=agreed)
    image = (NetasciiImage if text else Image)(Held(octets), blksize, Pool(1 << 20))
    return ReadTransfer("a", image, terms, PATIENCE), Client(blksize, windowsize, complaints=complaints)


def blocks(said: list[tuple[str, bytes]]) -> Counter[int]:
    """How often each block was sent."""
    packets = (wire.decode(octets) for who, octets in said if who == "server")
    return Counter(packet.block for packet in packets if isinstance(packet, wire.Data))


def once(sender: str, number: int, delays: list[float]) -> Fate:
    """A network in which one packet, the `number`-th of `sender`, has another fate than the others."""
    return lambda who, count, octets: delays if (who, count) == (sender, number) else perfect(who, count, octets)


def severed(sender: str) -> Fate:
    """A network in which nothing that `sender` says arrives."""
    return lambda who, count, octets: [] if who == sender else [LATENCY]


class Loss(SynchronousTestCase):
    """What the network can do, and what comes of it."""

    def delivered(self, one: ReadTransfer, client: Client, fate: Fate, name: object) -> list[tuple[str, bytes]]:
        """Let them talk; the client has exactly the octets, and the server knows."""
        said = dialogue(one, client, fate)
        self.assertEqual(bytes(client.octets), OCTETS, name)
        assert one.ending is not None
        self.assertIn(one.ending.result, (Result.DELIVERED, Result.UNCONFIRMED), name)
        self.assertEqual(one.ending.octets, len(OCTETS), name)
        return said

    def test_t10_t15_t19_t30_one_packet(self) -> None:
        """Every packet of a small transfer, lost, doubled, or late, in lock-step and in windows."""
        for windowsize, complaints in ((1, "once"), (4, "never"), (4, "once"), (4, "always")):
            for oack in (True, False):
                count = Counter(who for who, _ in dialogue(*pair(OCTETS, 64, windowsize, complaints, oack=oack)))
                for sender in ("server", "client"):
                    for number in range(count[sender]):
                        for delays in ([], [LATENCY, LATENCY], [LATENCY, 0.5], [0.013], [2.0]):
                            one, client = pair(OCTETS, 64, windowsize, complaints, oack=oack)
                            name = (windowsize, complaints, oack, sender, number, delays)
                            said = self.delivered(one, client, once(sender, number, delays), name)
                            # A client that is gone, or says nothing when asked, is asked as often as patience has it.
                            met = complaints != "never" and one.ending and one.ending.result is Result.DELIVERED
                            most = 4 if met else PATIENCE.retries + 2
                            self.assertLessEqual(max(blocks(said).values()), most, name)

    def test_t10_the_sorcerers_apprentice(self) -> None:
        """With every packet doubled, each block is sent once in lock-step.

        In a window it is sent twice at most, or, to clients that acknowledge every copy, once for each ACK inside it.
        """

        def doubled(sender: str, number: int, octets: bytes) -> list[float]:
            return [LATENCY, LATENCY]

        for windowsize, complaints, most in ((1, "once", 1), (4, "never", 2), (4, "once", 5), (4, "always", 5)):
            one, client = pair(OCTETS, 8, windowsize, complaints)
            said = self.delivered(one, client, doubled, (windowsize, complaints))
            self.assertEqual(len(blocks(said)), 65)
            self.assertLessEqual(max(blocks(said).values()), most, (windowsize, complaints))

    def test_t10_one_doubled_packet_does_not_linger(self) -> None:
        """Twice the same ACK or block costs a window at the most, and nothing in lock-step."""
        for windowsize, complaints in ((1, "once"), (4, "once"), (4, "always"), (16, "once"), (16, "always")):
            for sender, number in (("client", 0), ("client", 1), ("client", 2), ("server", 9), ("server", 0)):
                for delay in (0.0, 0.001, 0.006):
                    one, client = pair(OCTETS, 8, windowsize, complaints)
                    name = (windowsize, complaints, sender, number, delay)
                    self.delivered(one, client, once(sender, number, [LATENCY, LATENCY + delay]), name)
                    assert one.ending is not None
                    self.assertLessEqual(one.ending.retransmissions, windowsize if windowsize > 1 else 0, name)

    def test_t29_a_lost_first_block_does_not_cost_a_timeout(self) -> None:
        """A client that complains has its window again after a round trip."""
        for complaints, quick in (("once", True), ("always", True), ("never", False)):
            one, client = pair(OCTETS, 8, 16, complaints)
            self.delivered(one, client, once("server", 17, []), complaints)
            assert one.ending is not None
            self.assertEqual(one.ending.retransmissions, 16, complaints)
            self.assertEqual(one.ending.seconds < 0.09, quick, (complaints, one.ending.seconds))

    def test_t11_two_in_a_hundred(self) -> None:
        """Loss as on a bad link costs a tenth of a second a packet, and no transfer."""
        for windowsize in (1, 4, 16, 64):
            for seed in range(5):
                one, client = pair(OCTETS * 10, 64, windowsize, "always")
                dialogue(one, client, seeded(seed, 0.02, 0.0, 0.0))
                self.assertEqual(bytes(client.octets), OCTETS * 10)
                assert one.ending is not None
                self.assertEqual(one.ending.result, Result.DELIVERED, (windowsize, seed))
                self.assertLess(one.ending.seconds, 4.0, (windowsize, seed))

    def test_t11_nobody_there(self) -> None:
        """A client whose packets are all lost is given up, in bounded time and packets; one that hears nothing too."""
        for deaf in ("server", "client"):
            for windowsize in (1, 64):
                one, client = pair(OCTETS, 8, windowsize)
                said = dialogue(one, client, severed(deaf))
                assert one.ending is not None
                self.assertEqual((one.ending.result, one.ending.octets), (Result.TIMED_OUT, 0))
                self.assertEqual(len([who for who, _ in said if who == "server"]), PATIENCE.unheard + 2)
                self.assertTrue(15 <= one.ending.seconds < 60, one.ending)

    @given(
        st.integers(0, 2**32),
        st.integers(0, 700),
        st.sampled_from([8, 9, 16, 512]),
        st.sampled_from([1, 1, 2, 3, 4, 16]),
        st.sampled_from(["once", "always", "never"]),
        st.sampled_from([0.0, 0.02, 0.1, 0.3, 0.6]),
        st.sampled_from([0.0, 0.1, 0.5, 1.0]),
        st.sampled_from([0.0, 0.003, 0.05, 1.0]),
        st.booleans(),
        st.booleans(),
    )
    @settings(max_examples=NETWORKS)
    def test_t10_t30_any_network(
        self,
        seed: int,
        size: int,
        blksize: int,
        windowsize: int,
        complaints: str,
        loss: float,
        doubling: float,
        jitter: float,
        oack: bool,
        text: bool,
    ) -> None:
        """The client gets the exact octets or the ending says why not, after a bounded number of packets."""
        octets = (b"line\r\nand\n\r" * 70)[:size]
        expected = netascii(octets) if text else octets
        one, client = pair(octets, blksize, windowsize, complaints, oack=oack, text=text)
        said = dialogue(one, client, seeded(seed, loss, doubling, jitter))
        assert one.ending is not None
        got = bytes(client.octets)
        self.assertTrue(expected.startswith(got))
        self.assertLessEqual(one.acknowledged, len(expected))
        if one.ending.result is Result.DELIVERED:
            self.assertEqual((got, client.done, one.ending.octets), (expected, True, len(expected)))
        elif one.ending.result is Result.TIMED_OUT:
            self.assertGreater(loss, 0.0)
            self.assertGreaterEqual(one.ending.retransmissions, PATIENCE.retries if one.is_heard else PATIENCE.unheard)
            self.assertLessEqual(one.ending.octets, len(got))
        else:
            self.assertEqual(one.ending.result, Result.UNCONFIRMED)
        # Each step forward costs a resend for every try, one for a repeated ACK, and one for an ACK inside the window.
        steps = len(expected) // blksize + 2
        sent = len([who for who, _ in said if who == "server"])
        self.assertLessEqual(sent, steps * windowsize * (PATIENCE.retries + 3))
        self.assertEqual((one.deadline, one.expired(1e9), one.received(wire.ack(0), 1e9)), (None, [], []))
