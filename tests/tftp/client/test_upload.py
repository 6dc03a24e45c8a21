"""Tests of `pixelboot.tftp.client.upload`."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp import wire
from pixelboot.tftp.client.ending import Ending, Peer, Result
from pixelboot.tftp.client.terms import Wishes
from pixelboot.tftp.client.upload import Upload
from pixelboot.tftp.read.image import netascii
from tests.tftp.client.network import SERVER

PEER = (SERVER[0], 2000)
OCTETS = bytes(range(60))


class Faulty:
    """A file that cannot be read to its end."""

    def __init__(self, octets: bytes) -> None:
        self._octets = [octets]

    def read(self, size: int, /) -> bytes:
        if self._octets:
            return self._octets.pop()
        raise OSError(5, "Input/output error")


def begun(windowsize: int = 1, octets: bytes = OCTETS) -> tuple[Upload, list[int]]:
    """An upload with blocks of 8 octets, whose OACK has come at 0.1; and the first blocks."""
    client = Upload(SERVER, "a", io.BytesIO(octets), Wishes(8, windowsize))
    client.start(0.0)
    oack = wire.option_ack([("blksize", "8"), ("windowsize", str(windowsize))])
    return client, blocks(client.received(oack, PEER, 0.1))


def blocks(said: list[tuple[bytes, Peer]]) -> list[int]:
    """The blocks that are sent; each has the octets it should have."""
    numbers = []
    for octets, peer in said:
        packet = wire.decode(octets)
        assert isinstance(packet, wire.Data), packet
        assert packet.octets == OCTETS[(packet.block - 1) * 8 : packet.block * 8], packet
        assert peer == PEER
        numbers.append(packet.block)
    return numbers


class Case(SynchronousTestCase):
    """What comes, and what it is answered with."""

    def acked(self, client: Upload, now: float, *numbers: int) -> list[int]:
        """These are acknowledged; the blocks that are sent."""
        return [one for number in numbers for one in blocks(client.received(wire.ack(number), PEER, now))]

    def ended(self, client: Upload, result: Result) -> Ending:
        """It has this end."""
        assert client.ending is not None, "it goes on"
        self.assertEqual(client.ending.result, result, client.ending)
        self.assertEqual(client.deadline, None)
        return client.ending


class Sending(Case):
    """All goes well, or nearly."""

    def test_without_options(self) -> None:
        """Blocks of 512 octets, the last of which has fewer: also none."""
        for octets in (b"", b"x", bytes(512), bytes(1000)):
            client = Upload(SERVER, "a", io.BytesIO(octets), Wishes(tsize=False), size=len(octets))
            ((said, peer),) = client.start(0.0)
            self.assertEqual((wire.decode(said), peer), (wire.WriteRequest("a", "octet"), SERVER))
            got, answer = b"", wire.ack(0)
            for block in range(1, len(octets) // 512 + 2):
                ((said, peer),) = client.received(answer, PEER, 0.1)
                self.assertEqual((said[:4], peer), (wire.data(block, b""), PEER))
                got, answer = got + said[4:], wire.ack(block)
            self.assertEqual(client.received(answer, PEER, 0.3), [])
            self.assertEqual((got, self.ended(client, Result.COMPLETE).octets), (octets, len(octets)))

    def test_tsize(self) -> None:
        """The size is told where it is known and means something; the server may not grant another."""
        for size, text, told in ((60, False, "60"), (None, False, None), (60, True, None)):
            client = Upload(SERVER, "a", io.BytesIO(OCTETS), Wishes(netascii=text), size=size)
            packet = wire.decode(client.start(0.0)[0][0])
            assert isinstance(packet, wire.WriteRequest)
            self.assertEqual(dict(packet.options).get("tsize"), told)
        client = Upload(SERVER, "a", io.BytesIO(OCTETS), size=60)
        client.start(0.0)
        ((said, _),) = client.received(wire.option_ack([("tsize", "0")]), PEER, 0.1)
        self.assertEqual(said[:4], wire.error(8, "")[:4])
        self.assertEqual(self.ended(client, Result.BROKEN).reason, "it grants tsize 0, 60 was told")

    def test_lockstep(self) -> None:
        """A repeated ACK brings nothing, nor does one of what was not sent; the timer sends again, later each time."""
        client, said = begun()
        self.assertEqual((said, self.acked(client, 0.2, 0, 2, 7)), ([1], []))
        self.assertEqual(self.acked(client, 0.2, 1, 1, 1, 0), [2])
        waits = []
        now = 0.2
        for _ in range(3):
            assert client.deadline is not None
            waits.append(client.deadline - now)
            now = client.deadline
            self.assertEqual(blocks(client.expired(now)), [2])
        self.assertEqual([round(wait / waits[0]) for wait in waits], [1, 2, 4])
        self.assertEqual(self.acked(client, now, 2, 2), [3])
        self.assertEqual(self.acked(client, now, *range(3, 9)), [4, 5, 6, 7, 8])
        self.assertEqual(self.ended(client, Result.COMPLETE).retransmissions, 3)

    def test_windows(self) -> None:
        """An ACK inside a window brings what it leaves open, and the window beyond."""
        client, said = begun(4)
        self.assertEqual(said, [1, 2, 3, 4])
        self.assertEqual(self.acked(client, 0.2, 4), [5, 6, 7, 8])
        self.assertEqual(self.acked(client, 0.3, 6), [7, 8])
        self.assertEqual(self.acked(client, 0.4, 8), [])
        self.assertEqual(self.ended(client, Result.COMPLETE).octets, 60)

    def test_the_first_of_a_window_is_lost(self) -> None:
        """The ACK before it again brings the window again, once."""
        client, _ = begun(4)
        self.assertEqual(self.acked(client, 0.2, 0, 0, 0), [1, 2, 3, 4])
        self.assertEqual(self.acked(client, 0.3, 4), [5, 6, 7, 8])
        self.assertEqual(self.acked(client, 0.3, 4, 4), [], "the answer to the copies is no complaint")

    def test_silence(self) -> None:
        """The whole window once, then its first block only."""
        client, _ = begun(4)
        sent = []
        for _ in range(3):
            assert client.deadline is not None
            sent.append(blocks(client.expired(client.deadline)))
        self.assertEqual(sent, [[1, 2, 3, 4], [1], [1]])
        while client.deadline is not None:
            client.expired(client.deadline)
        self.ended(client, Result.TIMED_OUT)

    def test_rollover(self) -> None:
        """0 follows 65535, or 1."""
        for rollover in (0, 1):
            client = Upload(SERVER, "a", io.BytesIO(bytes(65600 * 8)), Wishes(8, 64), rollover=rollover)
            client.start(0.0)
            answer, numbers = wire.option_ack([("blksize", "8"), ("windowsize", "64")]), []
            while client.ending is None:
                said = client.received(answer, PEER, 0.1)
                numbers += [int.from_bytes(octets[2:4]) for octets, _ in said]
                answer = wire.ack(numbers[-1])
            self.assertEqual(numbers[65533:65537], [65534, 65535, rollover, rollover + 1])
            self.assertEqual(self.ended(client, Result.COMPLETE).octets, 65600 * 8)


class Failing(Case):
    """What ends it."""

    def test_what_no_server_sends(self) -> None:
        """It is told."""
        for octets, reason in (
            (wire.data(1, b""), "it sent Data, which no server sends in an upload"),
            (b"\0\7\0\0", "it sent opcode 7, 1 to 6 are known"),
        ):
            client, _ = begun()
            self.assertEqual(client.received(octets, PEER, 0.2), [(wire.error(4, reason), PEER)])
            self.assertEqual(self.ended(client, Result.BROKEN).reason, reason)

    def test_a_file_that_fails(self) -> None:
        """The server is told that no more comes, and is never led to take the beginning for the whole."""
        for source, size, reason in (
            (Faulty(bytes(8)), None, "the file cannot be read: Input/output error"),
            (io.BytesIO(bytes(8)), 9, "the file cannot be read: it has 8 octets, 9 were announced"),
            (io.BytesIO(bytes(10)), 9, "the file cannot be read: it has 10 octets or more, 9 were announced"),
        ):
            client = Upload(SERVER, "a", source, size=size)
            client.start(0.0)
            self.assertEqual(client.received(wire.ack(0), PEER, 0.1), [(wire.error(0, reason), PEER)])
            self.assertEqual(self.ended(client, Result.ABORTED).reason, reason)

    @given(st.lists(st.sampled_from([b"\r", b"\n", b"\0", b"abc"]), max_size=40).map(b"".join), st.integers(8, 11))
    def test_text(self, text: bytes, blksize: int) -> None:
        """A text goes as netascii, wherever its blocks are cut."""
        client = Upload(SERVER, "a", io.BytesIO(text), Wishes(blksize, netascii=True))
        client.start(0.0)
        answer, sent = wire.option_ack([("blksize", str(blksize))]), b""
        while client.ending is None:
            said = client.received(answer, PEER, 0.1)
            for octets, _ in said:
                sent += octets[4:]
                answer = wire.ack(int.from_bytes(octets[2:4]))
        self.assertEqual((sent, client.ending.octets), (netascii(text), len(sent)))
