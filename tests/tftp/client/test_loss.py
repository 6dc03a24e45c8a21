"""Downloads and uploads between the client and the server's own transfers, through a bad network."""

from __future__ import annotations

import io
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp import wire
from pixelboot.tftp.client.conversation import PATIENCE, Conversation
from pixelboot.tftp.client.download import Download
from pixelboot.tftp.client.ending import Result
from pixelboot.tftp.client.terms import Wishes
from pixelboot.tftp.client.upload import Upload
from pixelboot.tftp.write import transfer as write
from tests.tftp.client.network import SERVER, Keeper, Network, Transfer, reading, writing
from tests.tftp.peer import LATENCY, seeded

TEXT = b"line\r\nand\n\r"
OCTETS = bytes(range(256)) * 4

WISHES = st.builds(
    Wishes,
    blksize=st.sampled_from([None, 8, 9, 64, 1468]),
    windowsize=st.sampled_from([None, 1, 2, 4, 16, 64]),
    tsize=st.booleans(),
    netascii=st.booleans(),
)
NETWORKS = st.tuples(
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.02, 0.1, 0.3]),
    st.sampled_from([0.0, 0.1, 1.0]),
    st.sampled_from([0.0, 0.003, 0.05, 1.0]),
)
"""Arguments of `seeded`."""

Weather = tuple[int, float, float, float]


class Careless(Transfer):
    """A server that answers every ACK with the block behind it: the sorcerer's apprentice."""

    deadline = None

    def start(self, now: float) -> list[bytes]:
        return self._block(0)

    def received(self, octets: bytes, now: float) -> list[bytes]:
        block = wire.ack_block(octets)
        return self._block(block) if block is not None else []

    def expired(self, now: float) -> list[bytes]:
        return []

    def _block(self, after: int) -> list[bytes]:
        at = after * 512
        return [wire.data(after + 1, (OCTETS * 20)[at : at + 512])] if at <= len(OCTETS) * 20 else []


class Loss(SynchronousTestCase):
    """Octets arrive as they are, and both ends end."""

    def bounded(self, network: Network, client: Conversation, weather: Weather) -> None:
        """Only loss can bring another end than a good one, and every step costs so many packets."""
        assert client.ending is not None
        if client.ending.result is Result.REFUSED:  # The server lost its patience first, and its word for it arrived.
            self.assertIn("in time", client.ending.reason)
            ends = [cast("Any", getattr(one, "transfer", one)).ending for one in network.transfers.values()]
            self.assertIn("timed out", [str(end.result) for end in ends])
        elif client.ending.result is not Result.COMPLETE:
            self.assertEqual(client.ending.result, Result.TIMED_OUT)
        if client.ending.result is not Result.COMPLETE:
            self.assertGreater(weather[1], 0.0)
        self.assertTrue(all(transfer.deadline is None for transfer in network.transfers.values()))
        self.assertIsNone(client.deadline)
        terms = client.ending.terms
        steps = client.ending.octets // terms.blksize + 3
        sent = len([who for who, _, _ in network.said if who == "client"])
        width = terms.windowsize if isinstance(client, Upload) else 1
        self.assertLessEqual(sent, steps * width * (PATIENCE.retries + 3))

    @settings(max_examples=2 * settings().max_examples)
    @given(st.integers(0, 900), WISHES, NETWORKS, st.booleans(), st.sampled_from([0.0, 0.25, 20.0]))
    def test_downloads(self, size: int, wishes: Wishes, weather: Weather, doubles: bool, dally: float) -> None:
        """The exact octets in order, or a beginning of them and a time-out."""
        octets = (TEXT * 100)[:size]
        client = Download(SERVER, "a", wishes, dally=dally)
        got = bytearray()
        network = Network(client, reading(octets), seeded(*weather), doubles=doubles)
        network.run(lambda: got.extend(client.take()))
        self.bounded(network, client, weather)
        assert client.ending is not None
        if client.ending.result is Result.COMPLETE:
            self.assertEqual(got, octets)
        else:
            self.assertTrue(octets.startswith(bytes(got)))

    @settings(max_examples=2 * settings().max_examples)
    @given(st.integers(0, 900), WISHES, NETWORKS, st.booleans(), st.booleans())
    def test_uploads(self, size: int, wishes: Wishes, weather: Weather, doubles: bool, told: bool) -> None:
        """What is complete here is kept there, exactly."""
        octets = (TEXT * 100)[:size]
        client = Upload(SERVER, "a", io.BytesIO(octets), wishes, size=size if told else None)
        network = Network(client, writing(), seeded(*weather), doubles=doubles)
        network.run()
        self.bounded(network, client, weather)
        assert client.ending is not None
        kept = []
        for keeper in network.transfers.values():
            assert isinstance(keeper, Keeper)
            assert keeper.transfer.ending is not None
            if keeper.transfer.ending.result is write.Result.KEPT:
                kept.append(bytes(keeper.octets))
        self.assertEqual(set(kept), {octets} if kept else set())
        if client.ending.result is Result.COMPLETE:
            self.assertEqual(len(kept), 1)

    def test_a_good_network(self) -> None:
        """Not one packet more than there must be, and no wait."""
        for windowsize, count in ((1, 129), (16, 9), (64, 3)):
            for up in (False, True):
                wishes = Wishes(8, windowsize)
                client = Upload(SERVER, "a", io.BytesIO(OCTETS), wishes) if up else Download(SERVER, "a", wishes)
                network = Network(client, writing() if up else reading(OCTETS))
                network.run()
                said = [octets for who, _, octets in network.said if (who == "server") is up]
                self.assertEqual(len(said), 1 + count if up else 2 + count)
                assert client.ending is not None
                self.assertEqual(client.ending.octets, len(OCTETS))
                self.assertLess(client.ending.seconds, 2 * LATENCY * (count + 2))

    def test_a_careless_server(self) -> None:
        """One doubled packet leaves a trace of one packet, and every packet doubled doubles no answer."""

        def one(sender: str, number: int, octets: bytes) -> list[float]:
            return [LATENCY, LATENCY] if (sender, number) == ("server", 3) else [LATENCY]

        def all_(sender: str, number: int, octets: bytes) -> list[float]:
            return [LATENCY, LATENCY] if sender == "server" else [LATENCY]

        for fate in (one, all_):
            client = Download(SERVER, "a", Wishes(tsize=False))
            network = Network(client, lambda request: Careless(), fate)
            network.run()
            self.assertEqual(client.take(), OCTETS * 20)
            self.assertEqual(len([who for who, _, _ in network.said if who == "client"]), 1 + 41)

    def test_a_server_that_begins_twice(self) -> None:
        """The request was slow, not lost: the second transfer is told that it is not wanted."""

        def late(sender: str, number: int, octets: bytes) -> list[float]:
            return [1.5] if (sender, number) == ("client", 0) else [LATENCY]

        client = Download(SERVER, "a", Wishes(8))
        network = Network(client, reading(OCTETS), late, doubles=True)
        network.run()
        self.assertEqual((client.take(), len(network.transfers)), (OCTETS, 2))
        assert client.ending is not None
        self.assertEqual((client.ending.strangers, client.ending.peer), (1, (SERVER[0], 1025)))
