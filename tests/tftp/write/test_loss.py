"""Uploads through a network that loses, doubles and delays, from an obedient client."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp import wire
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.patience import Patience
from pixelboot.tftp.read.image import netascii
from pixelboot.tftp.write.transfer import Result, WriteTransfer
from tests.tftp.peer import LATENCY, Fate, perfect, seeded
from tests.tftp.write.peer import Client, Disk, dialogue

PATIENCE = Patience()
OCTETS = bytes(range(160))


def pair(
    octets: bytes, blksize: int, windowsize: int = 1, *, text: bool = False, apprentice: bool = False, oack: bool = True
) -> tuple[WriteTransfer, Client]:
    """Both ends of an upload."""
    agreed = (("blksize", str(blksize)), ("windowsize", str(windowsize))) if oack or windowsize > 1 else ()
    terms = Terms(blksize, windowsize, netascii=text, agreed=agreed)
    client = Client(netascii(octets) if text else octets, blksize, windowsize, apprentice=apprentice)
    return WriteTransfer("a", terms, PATIENCE, most=1 << 20), client


def blocks(said: list[tuple[str, bytes]]) -> Counter[int]:
    """How often each block was sent."""
    packets = (wire.decode(octets) for who, octets in said if who == "client")
    return Counter(packet.block for packet in packets if isinstance(packet, wire.Data))


def once(sender: str, number: int, delays: list[float]) -> Fate:
    """A network in which one packet, the `number`-th of `sender`, has another fate than the others."""
    return lambda who, count, octets: delays if (who, count) == (sender, number) else perfect(who, count, octets)


def doubled(later: float) -> Fate:
    """A network in which every packet arrives twice."""
    return lambda who, count, octets: [LATENCY, LATENCY + later]


class Loss(SynchronousTestCase):
    """What the network can do, and what comes of it."""

    def kept(self, one: WriteTransfer, client: Client, fate: Fate, name: object) -> tuple[Disk, Counter[int]]:
        """Let them talk; exactly the octets are here, and both know."""
        disk, said = dialogue(one, client, fate)
        self.assertEqual((disk.octets, client.done), (OCTETS, True), name)
        assert one.ending is not None
        self.assertEqual((one.ending.result, one.ending.octets), (Result.KEPT, len(OCTETS)), name)
        return disk, blocks(said)

    def test_t37_one_packet(self) -> None:
        """Every packet of a small upload, lost, doubled, or late, in lock-step and in windows."""
        for windowsize in (1, 4, 16):
            for sender in ("server", "client"):
                for number in range(24):
                    for delays in ([], [LATENCY, LATENCY], [LATENCY, LATENCY + 0.001], [2.0]):
                        one, client = pair(OCTETS, 8, windowsize)
                        name = (windowsize, sender, number, delays)
                        _, sent = self.kept(one, client, once(sender, number, delays), name)
                        self.assertLessEqual(sum(sent.values()), 21 + 3 * windowsize, name)

    def test_t37_the_sorcerers_apprentice(self) -> None:
        """With every packet doubled a block is sent once, or twice by who heeds every copy of an ACK, and no more."""
        for windowsize, apprentice, most in ((1, False, 1), (1, True, 2), (4, False, 2), (16, False, 2)):
            for later in (0.0, 0.001):
                one, client = pair(OCTETS, 8, windowsize, apprentice=apprentice)
                name = (windowsize, apprentice, later)
                _, sent = self.kept(one, client, doubled(later), name)
                self.assertEqual((len(sent), max(sent.values()) <= most), (21, True), name)

    def test_t37_a_gap_does_not_cost_a_timeout(self) -> None:
        """The ACK of the last block before it comes at once, and once."""
        for lost in range(16, 20):
            one, client = pair(OCTETS, 8, 16)
            self.kept(one, client, once("client", lost, []), lost)
            assert one.ending is not None
            self.assertEqual(one.ending.retransmissions, 1, lost)
            self.assertLess(one.ending.seconds, 0.25, lost)

    def test_t37_nobody_there(self) -> None:
        """A client that is never heard is given up, in bounded time and packets."""
        one, client = pair(OCTETS, 8)
        _, said = dialogue(one, client, lambda who, count, octets: [] if who == "client" else [LATENCY])
        assert one.ending is not None
        self.assertEqual((one.ending.result, one.ending.octets), (Result.TIMED_OUT, 0))
        self.assertEqual(len([who for who, _ in said if who == "server"]), PATIENCE.unheard + 2)
        self.assertEqual(one.ending.seconds, 15.0)

    @given(
        st.integers(0, 2**32),
        st.integers(0, 700),
        st.sampled_from([8, 9, 16, 512]),
        st.sampled_from([1, 1, 2, 3, 4, 16]),
        st.sampled_from([0.0, 0.02, 0.1, 0.3, 0.6]),
        st.sampled_from([0.0, 0.1, 0.5, 1.0]),
        st.sampled_from([0.0, 0.003, 0.05, 1.0]),
        st.booleans(),
        st.booleans(),
    )
    def test_t37_any_network(
        self,
        seed: int,
        size: int,
        blksize: int,
        windowsize: int,
        loss: float,
        doubling: float,
        jitter: float,
        oack: bool,
        text: bool,
    ) -> None:
        """The exact octets are here or the ending says why not, after a bounded number of packets."""
        octets = (b"line\r\nand\n\r" * 70)[:size]
        one, client = pair(octets, blksize, windowsize, text=text, oack=oack)
        disk, said = dialogue(one, client, seeded(seed, loss, doubling, jitter))
        assert one.ending is not None
        self.assertTrue(octets.startswith(disk.octets))
        if one.ending.result is Result.KEPT:
            self.assertEqual(disk.octets, octets)
        else:
            self.assertEqual((one.ending.result, client.done), (Result.TIMED_OUT, False))
            self.assertGreater(loss, 0.0)
            tries = PATIENCE.retries if one.ending.octets else PATIENCE.unheard
            self.assertGreaterEqual(one.ending.retransmissions, tries)
        if client.done:
            self.assertIs(one.ending.result, Result.KEPT)
        # An ACK for every block at the most, and again: by the timer, or for what the client sent again.
        server = len([who for who, _ in said if who == "server"])
        heard = len(said) - server
        self.assertLessEqual(server, 2 * heard + (len(client.blocks) + 2) * (PATIENCE.retries + 2))
        self.assertEqual((one.deadline, one.expired(1e9), one.received(wire.data(1, b""), 1e9)), (None, [], []))
