"""Tests of `pixelboot.tftp.read.image`."""

from __future__ import annotations

import gc
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp.read.image import PIECE, UNKNOWN, Image, Images, NetasciiImage, netascii
from pixelboot.tftp.read.pool import ENTRY, OBJECT, Pool
from tests.tftp.peer import POOL, Held

TEXTS = st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"a", b"bcdefghi", b"\0", b"\xff" * 30, b"\n" * 50])).map(
    b"".join
)


def image(octets: bytes | Held, blksize: int, *, text: bool = False, room: int = POOL, period: int = 65536) -> Image:
    """An image alone in its pool."""
    payload = Held(octets) if isinstance(octets, bytes) else octets
    return (NetasciiImage if text else Image)(payload, blksize, Pool(room), period)


def taken(one: Image, count: int = 3) -> list[bytes]:
    """All packets, `count` at a time."""
    packets: list[bytes] = []
    while some := one.packets(len(packets), count):
        assert len(some) <= count, some
        packets += some
    assert one.blocks == len(packets)
    return packets


def blocks(packets: list[bytes]) -> list[bytes]:
    """The packets without their heads."""
    return [packet[4:] for packet in packets]


class ImageTests(SynchronousTestCase):
    """Payloads, cut."""

    def test_t02_t03_sizes(self) -> None:
        """The last block is short, or empty after a full one and in an empty file."""
        for size, lengths in (
            (0, [0]), (1, [1]), (7, [7]), (8, [8, 0]), (9, [8, 1]), (15, [8, 7]), (16, [8, 8, 0]), (24, [8, 8, 8, 0]),
            (8 * 128, [8] * 128 + [0]), (8 * 128 - 1, [8] * 127 + [7]), (8 * 128 + 1, [8] * 128 + [1]),
        ):  # fmt: skip
            for count in (1, 2, 3, 9, 1000):
                for text in (False, True):
                    one = image(b"x" * size, 8, text=text)
                    self.assertEqual([len(block) for block in blocks(taken(one, count))], lengths, (size, count))
                    self.assertEqual([one.octets(done) for done in (0, len(lengths))], [0, size])

    def test_pieces(self) -> None:
        """They have a power of two of blocks, few octets, and few packets."""
        for blksize in (8, 511, 512, 513, 1428, 1468, 8192, 32767, 32769, 65464):
            one = image(b"", blksize)
            self.assertLessEqual(1 << one.shift, 128)
            self.assertLessEqual(blksize << one.shift, PIECE)
            self.assertTrue(1 << one.shift == 128 or blksize << (one.shift + 1) > PIECE, blksize)

    def test_t05_netascii(self) -> None:
        """The table of line ends, and pairs that a block border parts."""
        for text, sent in (
            (b"", b""), (b"a\nb", b"a\r\nb"), (b"a\rb", b"a\r\0b"), (b"\r\n", b"\r\0\r\n"), (b"\n\n", b"\r\n\r\n"),
            (b"\0", b"\0"), (b"\r\r", b"\r\0\r\0"), (b"\xff\n", b"\xff\r\n"),
        ):  # fmt: skip
            self.assertEqual(netascii(text), sent, text)
        for text, sent_blocks in (
            (b"1234567\nX", [b"1234567\r", b"\nX"]),
            (b"1234567\rX", [b"1234567\r", b"\0X"]),
            (b"123456\n", [b"123456\r\n", b""]),
        ):
            self.assertEqual(blocks(taken(image(text, 8, text=True))), sent_blocks)

    def test_t05_pairs_that_a_piece_border_parts(self) -> None:
        """As the last of the text and before others; at once, and when the piece is read a second time."""
        for filler in (8 * 128 - 2, 8 * 128 - 1, 8 * 128):
            for end in (b"\n", b"\r", b"\nX", b"\r\n\r", b"\n" * 2000):
                octets = b"a" * filler + end
                one = image(octets, 8, text=True, room=1)
                for _ in range(2):
                    self.assertEqual(b"".join(blocks(taken(one))), netascii(octets), (filler, end))
                self.assertEqual(one.octets(one.blocks), len(netascii(octets)))

    @given(st.binary(max_size=200), st.integers(8, 20), st.integers(1, 5), st.booleans())
    def test_t02_t05_nothing_is_lost(self, octets: bytes, blksize: int, count: int, text: bool) -> None:
        """Joined again they are the payload, and only the last is short."""
        found = blocks(taken(image(octets, blksize, text=text), count))
        joined = b"".join(found)
        self.assertEqual(joined.replace(b"\r\n", b"\n").replace(b"\r\0", b"\r") if text else joined, octets)
        self.assertTrue(all(len(block) == blksize for block in found[:-1]))
        self.assertLess(len(found[-1]), blksize)

    @given(
        TEXTS,
        st.integers(1, 40),
        st.integers(8, 100),
        st.booleans(),
        st.sampled_from([1, 30_000, POOL]),
        st.lists(st.tuples(st.integers(0, 5), st.integers(1, 300), st.integers(0, 300)), min_size=1, max_size=40),
    )
    def test_t05_t13_any_order(
        self, octets: bytes, times: int, blksize: int, text: bool, room: int, steps: list[tuple[int, int, int]]
    ) -> None:
        """Several transfers, each of which goes on and back within its window, are sent the one text in order.

        Whatever was forgotten meanwhile is the same when it is made again, under the right numbers.
        """
        octets *= times
        whole = netascii(octets) if text else octets
        expected = [whole[at : at + blksize] for at in range(0, len(whole) + 1, blksize)]
        one = image(octets, blksize, text=text, room=room)
        done = [0] * 6
        for who, count, acknowledged in steps:
            packets = one.packets(done[who], count)
            self.assertEqual(blocks(packets), expected[done[who] : done[who] + count])
            numbers = [int.from_bytes(packet[2:4]) for packet in packets]
            self.assertEqual(numbers, list(range(done[who] + 1, done[who] + 1 + len(packets))))
            done[who] += min(acknowledged, len(packets))
            self.assertEqual(one.octets(done[who]), len(b"".join(expected[: done[who]])))

    def test_t05_long_texts(self) -> None:
        """Line ends wherever a read ends, and reads that stay small."""
        octets = b"\n\r" * PIECE
        payload = Held(octets)
        self.assertEqual(b"".join(blocks(taken(image(payload, 512, text=True), 1))), netascii(octets))
        self.assertLessEqual(max(size for _, size in payload.reads), PIECE)

    def test_every_octet_is_read_once(self) -> None:
        """A piece at a time, whatever the window, and however many clients follow."""
        for blksize, count in ((1468, 64), (512, 1), (65464, 4), (8, 1)):
            payload = Held(bytes(300_000))
            one = image(payload, blksize, room=POOL * 16)
            for _ in range(3):
                taken(one, count)
            self.assertLessEqual(max(size for _, size in payload.reads), PIECE)
            self.assertEqual(len(payload.reads), -(-300_000 // (blksize << one.shift)), blksize)
            self.assertEqual(sum(size for _, size in payload.reads), 300_000)

    def test_what_was_forgotten_is_read_again(self) -> None:
        """Only that, and what is in use is not what is forgotten first."""
        payload = Held(bytes(8 * 128 * 4))
        one = image(payload, 8, room=3 * (128 * (12 + OBJECT) + ENTRY))
        taken(one)
        self.assertEqual([offset for offset, _ in payload.reads], [0, 1024, 2048, 3072])
        # The empty last block has a piece of its own, so that two others have gone.
        self.assertEqual(set(one._pieces), {2, 3, 4})
        one.packets(128 * 2, 1)
        one.packets(0, 1)
        self.assertEqual((set(one._pieces), payload.reads[4:]), ({0, 2, 4}, [(0, 1024)]))

    def test_many_small_ones(self) -> None:
        """What an image takes beside its packets is counted: a million small texts take no more than large files."""
        pool = Pool(2 << 20)
        images = Images(pool)
        tracemalloc.start()
        try:
            for number in range(6000):
                images.of(Held(b"%d" % number), 512, netascii=False).packets(0, 1)
            taken_up, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(taken_up, 1.5 * (2 << 20))
        self.assertLessEqual(pool.held, 2 << 20)

    def test_t13_t33_numbers(self) -> None:
        """After 65535 comes 0, or 1; in pieces that were made in order, and in one that was made alone."""
        for text in (False, True):
            for period, after in ((65536, [65534, 65535, 0, 1]), (65535, [65534, 65535, 1, 2])):
                one = image(bytes(8 * 140_000), 8, text=text, period=period)
                packets: list[bytes] = []
                for round_ in (0, 1):
                    packets = one.packets(65533 + round_ * period, 4)
                    self.assertEqual([int.from_bytes(packet[2:4]) for packet in packets], after, (text, round_))
                self.assertEqual([packet[:2] for packet in packets], [b"\0\3"] * 4)

    def test_unreadable(self) -> None:
        """Errors of the payload pass, and an end before the end is one; a piece that is at hand stays good."""
        for text in (False, True):
            for bad, words in (
                (Held(bytes(200_000), fails_at=100_000), "the file was changed while it was read"),
                (Held(bytes(200_000), ends_at=100_000), "it ended after 100000 of 200000 octets"),
            ):
                one = image(bad, 512, text=text)
                with self.assertRaises(OSError) as caught:
                    taken(one)
                self.assertIn(words, str(caught.exception))
                self.assertEqual(len(one.packets(0, 64)), 64)

    def test_changed_between_pieces(self) -> None:
        """What is not what it was is not sent on: shorter by now, or the payload says so."""
        for text in (False, True):
            payload = Held(b"a\n" * 4000)
            one = image(payload, 8, text=text, room=1)
            self.assertEqual(len(one.packets(0, 400)), 400)
            payload.cut(1000)
            for done in (0, 500):
                with self.assertRaises(OSError) as caught:
                    one.packets(done, 200)
                self.assertIn("of 8000 octets", str(caught.exception))


class Lent(Held):
    """A payload that shares its octets with others."""

    def __init__(self, source: Held) -> None:
        super().__init__(b"")
        self._source = source

    @property
    def size(self) -> int:
        return self._source.size

    @property
    def origin(self) -> Held:
        return self._source


class ImagesTests(SynchronousTestCase):
    """Which clients share."""

    def test_shared(self) -> None:
        """All who are sent the same octets in the same blocks, and nobody else; read once for them all."""
        source, another = Held(bytes(1000)), Held(bytes(1000))
        images = Images(Pool(POOL))
        one = images.of(Lent(source), 512, netascii=False)
        self.assertIs(images.of(Lent(source), 512, netascii=False), one)
        self.assertIs(images.of(source, 512, netascii=False), one)
        for payload, blksize, text in ((another, 512, False), (source, 513, False), (source, 512, True)):
            self.assertIsNot(images.of(Lent(payload), blksize, netascii=text), one)
        for _ in range(3):
            images.of(Lent(source), 512, netascii=False).packets(0, 2)
        self.assertEqual(source.reads, [(0, 1000)])

    def test_kept_between_transfers(self) -> None:
        """The packets of one whose transfers are over are there for the next, while the pool has room for them."""
        source = Held(bytes(1000))
        images = Images(Pool(3000))
        for _ in range(2):
            images.of(Lent(source), 512, netascii=False).packets(0, 2)
            gc.collect()
        self.assertEqual(source.reads, [(0, 1000)])
        images.of(Held(bytes(3000)), 512, netascii=False).packets(0, 6)
        gc.collect()
        images.of(Lent(source), 512, netascii=False).packets(0, 2)
        self.assertEqual(len(source.reads), 2)

    def test_not_another_s(self) -> None:
        """Objects that come and go at one place in memory are not taken for each other."""
        images = Images(Pool(1))
        for number in range(200):
            octets = number.to_bytes(2) * 40
            self.assertEqual(b"".join(blocks(taken(images.of(Held(octets), 8, netascii=False)))), octets)

    def test_t33_rollover(self) -> None:
        """As the settings have it."""
        one = Images(Pool(POOL), 65535).of(Held(bytes(8 * 65540)), 8, netascii=False)
        self.assertEqual([packet[2:4] for packet in one.packets(65534, 2)], [b"\xff\xff", b"\0\1"])
        self.assertEqual(one.blocks, 65541)
        self.assertEqual(Images(Pool(1)).of(Held(b"a"), 8, netascii=True).blocks, UNKNOWN)
