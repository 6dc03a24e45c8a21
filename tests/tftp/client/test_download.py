"""Tests of `pixelboot.tftp.client.download`."""

from __future__ import annotations

import copy
from functools import cache

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp import wire
from pixelboot.tftp.client.download import DALLY, Download
from pixelboot.tftp.client.ending import Ending, Peer, Result
from pixelboot.tftp.client.terms import Wishes
from pixelboot.tftp.read.image import netascii
from tests.tftp.client.network import SERVER

PEER = (SERVER[0], 2000)
FULL = bytes(range(8))


def begun(windowsize: int | None = 1, **more: str) -> Download:
    """A download with blocks of 8 octets, whose OACK has come at 0.1."""
    agreed = {"blksize": "8", **({"windowsize": str(windowsize)} if windowsize else {}), **more}
    client = Download(SERVER, "a", Wishes(8, windowsize, tsize="tsize" in more), dally=DALLY)
    client.start(0.0)
    assert acks(client.received(wire.option_ack(agreed.items()), PEER, 0.1)) == [0]
    return client


def acks(said: list[tuple[bytes, Peer]]) -> list[int | None]:
    """The blocks that are acknowledged; None for anything else that is said."""
    return [wire.ack_block(octets) for octets, _ in said]


class Case(SynchronousTestCase):
    """What comes, and what it is answered with."""

    def comes(self, client: Download, now: float, *blocks: int, octets: bytes = FULL) -> list[int | None]:
        """These blocks come; what is acknowledged."""
        return [one for block in blocks for one in acks(client.received(wire.data(block, octets), PEER, now))]

    def ended(self, client: Download, result: Result) -> Ending:
        """It has this end."""
        assert client.ending is not None, "it goes on"
        self.assertEqual(client.ending.result, result, client.ending)
        return client.ending


class Lockstep(Case):
    """One block at a time."""

    def test_without_options(self) -> None:
        """Blocks of 512 octets, the last of which has fewer: also none."""
        for last in (b"", b"x" * 511):
            client = Download(SERVER, "a", Wishes(tsize=False))
            self.assertEqual(client.start(7.0), [(wire.read_request("a"), SERVER)])
            self.assertEqual(self.comes(client, 7.5, 1, octets=bytes(512)), [1])
            self.assertEqual(self.comes(client, 8.0, 2, octets=last), [2])
            self.assertEqual(client.take(), bytes(512) + last)
            ending = self.ended(client, Result.COMPLETE)
            told = ending.seconds, ending.octets, ending.first, ending.peer, ending.terms.agreed, ending.size
            self.assertEqual(told, (1.0, 512 + len(last), 0.5, PEER, (), None))

    def test_an_empty_file(self) -> None:
        """One block without octets."""
        client = Download(SERVER, "a")
        client.start(0.0)
        self.assertEqual(self.comes(client, 0.1, 1, octets=b""), [1])
        self.assertEqual((client.take(), self.ended(client, Result.COMPLETE).octets), (b"", 0))

    def test_copies(self) -> None:
        """One that comes at once is not answered; one that comes after a while is, once."""
        client = begun()
        self.assertEqual(self.comes(client, 0.2, 1, 1, 1), [1])
        self.assertEqual(self.comes(client, 0.201, 2, 1, 2, 1), [2])
        wait = (client.deadline or 0.0) - 0.201
        self.assertEqual(self.comes(client, 0.201 + 0.6 * wait, 2, 2, 2), [2])
        self.assertEqual(self.comes(client, 0.9, 3, octets=b""), [3])
        self.assertEqual(client.take(), FULL * 2)
        ending = self.ended(client, Result.COMPLETE)
        self.assertEqual((ending.duplicates, ending.retransmissions), (8, 1))

    def test_the_timer(self) -> None:
        """The last ACK again, and no later for copies that come meanwhile."""
        client = begun()
        self.comes(client, 0.2, 1)
        deadline = client.deadline
        assert deadline is not None
        self.comes(client, deadline - 0.001, 1)
        self.assertEqual(client.deadline, deadline)
        self.assertEqual(acks(client.expired(deadline)), [1])
        self.assertEqual(self.comes(client, deadline + 0.1, 2), [2])

    def test_karns_rule(self) -> None:
        """What answers an ACK that was sent twice measures nothing: the wait stays long until something else does."""
        client = begun()
        self.comes(client, 0.2, 1)
        deadline = client.deadline
        assert deadline is not None
        client.expired(deadline)
        assert client.deadline is not None
        long = client.deadline - deadline
        self.comes(client, deadline + 0.01, 2)
        self.assertAlmostEqual((client.deadline or 0.0) - (deadline + 0.01), long)
        self.comes(client, deadline + 0.02, 3)
        self.assertLess((client.deadline or 0.0) - (deadline + 0.02), long)

    def test_the_oack_again(self) -> None:
        """ACK 0 was lost, perhaps; once a block has come it was not."""
        client = begun()
        oack = wire.option_ack([("blksize", "8"), ("windowsize", "1")])
        self.assertEqual(client.received(oack, PEER, 0.11), [])
        self.assertEqual(acks(client.received(oack, PEER, 1.0)), [0])
        self.comes(client, 1.1, 1)
        self.assertEqual(client.received(oack, PEER, 3.0), [])

    def test_dallying(self) -> None:
        """The last block again has its ACK again for a while; the ending stays."""
        client = begun()
        self.assertEqual(self.comes(client, 0.2, 1, octets=b"end"), [1])
        ending = self.ended(client, Result.COMPLETE)
        self.assertEqual(client.deadline, 0.2 + DALLY)
        self.assertEqual(self.comes(client, 0.21, 1, octets=b"end"), [])
        self.assertEqual(self.comes(client, 0.44, 1, octets=b"end"), [1])
        self.assertEqual(self.comes(client, 0.44, 2, 7), [])
        self.assertEqual(client.received(wire.error(0, "now"), PEER, 0.44), [])
        self.assertEqual((client.expired(0.2 + DALLY), client.deadline, client.ending), ([], None, ending))
        self.assertEqual(self.comes(client, 0.5, 1, octets=b"end"), [])
        self.assertEqual(client.take(), b"end")


class Windows(Case):
    """Several blocks at a time (RFC 7440)."""

    def test_whole_windows(self) -> None:
        """One ACK for each, and one for the end."""
        client = begun(4)
        self.assertEqual(self.comes(client, 0.2, *range(1, 10)), [4, 8])
        self.assertEqual(self.comes(client, 0.3, 10, octets=b""), [10])
        self.assertEqual(client.take(), FULL * 9)

    def test_a_gap(self) -> None:
        """One ACK at once, whatever else of the window comes; then on from there."""
        client = begun(8)
        self.assertEqual(self.comes(client, 0.2, 1, 2, 4, 5, 6, 7, 8), [2])
        self.assertEqual(self.comes(client, 0.21, 3, 4, 6, 7), [4])
        self.assertEqual(self.comes(client, 0.22, 5, 6, 7, 8, 9, 10, 11, 12), [12])
        self.assertEqual((client.take(), len(self.comes(client, 0.3, 13, octets=b""))), (FULL * 12, 1))
        self.assertEqual(self.ended(client, Result.COMPLETE).discarded, 7)

    def test_a_gap_that_stays(self) -> None:
        """It is told again only after a while."""
        client = begun(8)
        self.assertEqual(self.comes(client, 0.2, 2, 3), [0])
        self.assertEqual(self.comes(client, 0.21, 2, 3), [])
        self.assertEqual(self.comes(client, 1.0, 2, 3), [0])

    def test_a_window_sent_again(self) -> None:
        """Copies say nothing: whoever answered them would have the next window twice as well."""
        client = begun(4)
        self.assertEqual(self.comes(client, 0.2, 1, 2, 3, 4), [4])
        self.assertEqual(self.comes(client, 0.21, 1, 2, 3, 4), [])
        self.assertEqual(self.comes(client, 0.22, 5, 6, 7, 8), [8])

    def test_the_rest_of_a_window_is_lost(self) -> None:
        """The timer says how far it came."""
        client = begun(4)
        self.comes(client, 0.2, 1, 2)
        assert client.deadline is not None
        self.assertEqual(acks(client.expired(client.deadline)), [2])
        self.assertEqual(self.comes(client, 2.0, 3, 4, 5, 6), [6])


class Broken(Case):
    """What no server may do."""

    def refused(self, client: Download, octets: bytes, code: int, result: Result = Result.BROKEN) -> str:
        """It is told the server, and is the end."""
        ((said, peer),) = client.received(octets, PEER, 0.2)
        ending = self.ended(client, result)
        self.assertEqual((said, peer), (wire.error(code, ending.reason), PEER))
        self.assertEqual(client.deadline, None)
        return ending.reason

    def test_what_is_no_data(self) -> None:
        """Other packets, too long blocks, and what is no packet."""
        for octets, reason in (
            (wire.data(1, bytes(9)), "it sent a block of 9 octets, 8 were agreed"),
            (wire.ack(0), "it sent Ack, which no server sends in a download"),
            (wire.read_request("a"), "it sent ReadRequest, which no server sends in a download"),
            (b"\0\7\0\0", "it sent opcode 7, 1 to 6 are known"),
            (b"\0", "it sent a packet of 1 octets, 4 is the least"),
        ):
            self.assertEqual(self.refused(begun(), octets, 4), reason)

    def test_another_size_than_told(self) -> None:
        """More than tsize, or an end before it; of a text nobody knows which size is told."""
        reason = self.refused(begun(tsize="7"), wire.data(1, FULL), 4)
        self.assertEqual(reason, "the file has 8 octets or more, tsize was 7")
        reason = self.refused(begun(tsize="7"), wire.data(1, b"short"), 4)
        self.assertEqual(reason, "the file has 5 octets, tsize was 7")
        client = Download(SERVER, "a", Wishes(netascii=True))
        client.start(0.0)
        client.received(wire.option_ack([("tsize", "1")]), PEER, 0.1)
        self.comes(client, 0.2, 1, octets=b"\r\n\r\n")
        self.assertEqual((client.take(), self.ended(client, Result.COMPLETE).size), (b"\n\n", 1))

    def test_too_large(self) -> None:
        """As soon as it is known: by tsize, or by what comes."""
        client = Download(SERVER, "a", largest=512)
        client.start(0.0)
        reason = self.refused(client, wire.option_ack([("tsize", "513")]), 3, Result.TOO_LARGE)
        self.assertEqual(reason, "512 octets are taken at the most, and it has 513 octets")
        client = Download(SERVER, "a", largest=512)
        client.start(0.0)
        self.comes(client, 0.1, 1, octets=bytes(512))
        reason = self.refused(client, wire.data(2, b"x"), 3, Result.TOO_LARGE)
        self.assertEqual(reason, "512 octets are taken at the most, and it does not end there")
        self.assertEqual(client.take(), bytes(512))


class Text(SynchronousTestCase):
    """Netascii."""

    @given(st.lists(st.sampled_from([b"\r", b"\n", b"\0", b"abc"]), max_size=40).map(b"".join), st.integers(8, 11))
    def test_across_blocks(self, text: bytes, blksize: int) -> None:
        """Every text comes back, wherever its blocks were cut."""
        client = Download(SERVER, "a", Wishes(blksize, netascii=True))
        client.start(0.0)
        client.received(wire.option_ack([("blksize", str(blksize))]), PEER, 0.0)
        sent, got = netascii(text), b""
        for block in range(len(sent) // blksize + 1):
            client.received(wire.data(block + 1, sent[block * blksize : (block + 1) * blksize]), PEER, 0.0)
            got += client.take()
        self.assertEqual(got, text)
        assert client.ending is not None
        self.assertEqual((client.ending.result, client.ending.octets), (Result.COMPLETE, len(sent)))


@cache
def at_the_wrap(windowsize: int) -> Download:
    """A download that has come to block 65535."""
    client = begun(windowsize)
    for block in range(1, 65536):
        client.received(wire.data(block, FULL), PEER, 0.2)
    client.take()
    return client


class Rollover(Case):
    """What follows block 65535."""

    def test_lockstep(self) -> None:
        """The server shows it, and it stays so."""
        for number in (0, 1):
            client = copy.deepcopy(at_the_wrap(1))
            self.assertEqual(self.comes(client, 0.21, number, number + 1), [number, number + 1])
            self.assertEqual(self.comes(client, 0.21, 1 - number), [])
            self.assertEqual(len(client.take()), 16)

    def test_windows(self) -> None:
        """Where the window ends with the wrap, 0 shows what follows, and so does a number that 0 does not lead to."""
        client = copy.deepcopy(at_the_wrap(15))
        self.assertEqual(self.comes(client, 0.21, *range(15)), [14])
        client = copy.deepcopy(at_the_wrap(15))
        self.assertEqual(self.comes(client, 0.21, *range(1, 16)), [65535, 65535])
        self.assertEqual(self.comes(client, 0.22, *range(1, 16)), [15])
        self.assertEqual(client.take(), FULL * 15)

    def test_a_lost_zero(self) -> None:
        """To take 1 for the next block then would leave a hole in the file."""
        client = copy.deepcopy(at_the_wrap(15))
        self.assertEqual(self.comes(client, 0.21, *range(1, 15)), [65535])
        self.assertEqual(self.comes(client, 0.22, *range(15)), [14])
        self.assertEqual(client.take(), FULL * 15)

    def test_the_wrap_inside_a_window(self) -> None:
        """The server goes no further than its window, which tells what its last number means."""
        for number in (0, 1):
            client = copy.deepcopy(at_the_wrap(16))
            self.assertEqual(self.comes(client, 0.21, number), [number])
            self.assertEqual(self.comes(client, 0.22, number + 1, octets=b""), [number + 1])
            self.assertEqual(client.take(), FULL)

    def test_the_end_near_the_wrap(self) -> None:
        """With nothing else to go by, 1 is believed when 0 never comes."""
        client = copy.deepcopy(at_the_wrap(15))
        for turn in range(1, 6):
            self.assertEqual(self.comes(client, float(turn), 1), [65535])
        self.assertEqual(self.comes(client, 6.0, 1, octets=b"end"), [1])
        self.assertEqual((client.take(), self.ended(client, Result.COMPLETE).octets), (b"end", 65535 * 8 + 3))
