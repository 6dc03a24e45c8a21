"""Tests of `pixelboot.tftp.blocks`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp.blocks import READ_AHEAD, Blocks, netascii
from tests.tftp.peer import Held


def taken(blocks: Blocks, count: int = 3) -> list[bytes]:
    """Everything there is, `count` blocks at a time."""
    result = []
    while not blocks.ended:
        some = blocks.take(count)
        assert 1 <= len(some) <= count, some
        result += some
    assert blocks.take(count) == []
    return result


class BlocksTests(SynchronousTestCase):
    """Payloads, cut."""

    def test_t02_t03_sizes(self) -> None:
        """The last block is short, or empty after a full one and in an empty file."""
        for size, lengths in (
            (0, [0]), (1, [1]), (7, [7]), (8, [8, 0]), (9, [8, 1]), (15, [8, 7]), (16, [8, 8, 0]), (24, [8, 8, 8, 0]),
        ):  # fmt: skip
            for count in (1, 2, 3, 9):
                blocks = taken(Blocks(Held(b"x" * size), 8), count)
                self.assertEqual([len(block) for block in blocks], lengths, (size, count))

    def test_t05_netascii(self) -> None:
        """The table of line ends, and pairs that a block border parts."""
        for text, sent in (
            (b"", b""), (b"a\nb", b"a\r\nb"), (b"a\rb", b"a\r\0b"), (b"\r\n", b"\r\0\r\n"), (b"\n\n", b"\r\n\r\n"),
            (b"\0", b"\0"), (b"\r\r", b"\r\0\r\0"), (b"\xff\n", b"\xff\r\n"),
        ):  # fmt: skip
            self.assertEqual(netascii(text), sent, text)
        self.assertEqual(taken(Blocks(Held(b"1234567\nX"), 8, netascii=True)), [b"1234567\r", b"\nX"])
        self.assertEqual(taken(Blocks(Held(b"1234567\rX"), 8, netascii=True)), [b"1234567\r", b"\0X"])
        self.assertEqual(taken(Blocks(Held(b"123456\n"), 8, netascii=True)), [b"123456\r\n", b""])

    @given(st.binary(max_size=200), st.integers(8, 20), st.integers(1, 5), st.booleans())
    def test_t02_t05_nothing_is_lost(self, octets: bytes, blksize: int, count: int, text: bool) -> None:
        """Joined again they are the payload, and only the last is short."""
        blocks = taken(Blocks(Held(octets), blksize, netascii=text), count)
        joined = b"".join(blocks)
        self.assertEqual(joined.replace(b"\r\n", b"\n").replace(b"\r\0", b"\r") if text else joined, octets)
        self.assertTrue(all(len(block) == blksize for block in blocks[:-1]))
        self.assertLess(len(blocks[-1]), blksize)

    def test_t05_long_texts(self) -> None:
        """Line ends wherever a read ends, and reads that stay small."""
        octets = b"\n\r" * READ_AHEAD
        payload = Held(octets)
        self.assertEqual(b"".join(taken(Blocks(payload, 512, netascii=True), 1)), netascii(octets))
        self.assertLessEqual(max(size for _, size in payload.reads), READ_AHEAD)

    def test_a_window_costs_one_read(self) -> None:
        """And small blocks fewer; every octet is read once."""
        for blksize, count, most in ((1468, 64, 1468 * 64), (512, 1, READ_AHEAD), (65464, 4, 65464 * 4)):
            payload = Held(bytes(1_000_000))
            taken(Blocks(payload, blksize, netascii=False), count)
            self.assertLessEqual(max(size for _, size in payload.reads), most)
            self.assertLessEqual(len(payload.reads), 2 + 1_000_000 // (most - blksize), blksize)
            self.assertEqual(sum(size for _, size in payload.reads), 1_000_000)

    def test_unreadable(self) -> None:
        """Errors of the payload pass, and an end before the end is one."""
        with self.assertRaises(OSError) as caught:
            taken(Blocks(Held(bytes(100_000), fails_at=50_000), 512))
        self.assertEqual(caught.exception.errno, 116)
        with self.assertRaises(OSError) as caught:
            taken(Blocks(Held(bytes(100_000), ends_at=50_000), 512))
        self.assertIn("it ended after 50000 of 100000 octets", str(caught.exception))
