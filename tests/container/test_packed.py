"""Tests of `pixelboot.container.packed`."""

from __future__ import annotations

import base64
import random
import tracemalloc
import zlib

import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.container import packed
from pixelboot.container.table import Damaged

PAYLOAD = random.Random(5).randbytes(60) + bytes(3000) + b"text " * 30
BIG = 16 << 20


def zstd(octets: bytes, **parameters: int) -> bytes:
    """One zstd frame with a check sum."""
    chosen = zstandard.ZstdCompressionParameters(write_checksum=1, write_content_size=1, **parameters)
    return zstandard.ZstdCompressor(compression_params=chosen).compress(octets)


STREAMS = {
    "zlib": zlib.compress(PAYLOAD),
    "zlib, stored": zlib.compress(PAYLOAD, 0),
    "zlib, small window": zlib.compress(PAYLOAD, wbits=9),
    "zstd": zstd(PAYLOAD),
    "zstd, long window": zstd(PAYLOAD, window_log=27),
}


def inflated(stream: bytes, limit: int = len(PAYLOAD), padded: bool = False, cut: int = 1000) -> bytes:
    """What a stream becomes that comes in pieces of `cut` octets."""
    view = memoryview(stream)
    pieces = iter([view[i : i + cut] for i in range(0, len(view), cut)])
    return b"".join(bytes(piece) for piece in packed.inflated(pieces, limit, padded))


class TestInflated(SynchronousTestCase):
    """Compressed payloads."""

    def test_whatever_the_pieces(self) -> None:
        for case, stream in STREAMS.items():
            for cut in (4, 5, 333, 1 << 20):
                self.assertEqual(inflated(stream, cut=cut), PAYLOAD, f"{case}, in pieces of {cut}")
                self.assertEqual(inflated(stream + bytes(99), padded=True, cut=cut), PAYLOAD, f"{case}, padded")

    @settings(max_examples=60)
    @given(st.binary(max_size=2000), st.sampled_from([zlib.compress, zstd]), st.integers(4, 3000))
    def test_round_trip(self, payload: bytes, compress: object, cut: int) -> None:
        assert callable(compress)
        self.assertEqual(inflated(compress(payload), len(payload), cut=cut), payload)

    def test_damage(self) -> None:
        behind = "there is more behind the end"
        for case, stream in STREAMS.items():
            flipped = bytearray(stream)
            flipped[-2] ^= 1
            for what, octets, padded, reason in [
                ("octets behind it", stream + b"x", False, behind),
                ("zeros behind it", stream + bytes(9), False, behind),
                ("more than zeros behind it", stream + bytes(5000) + b"x", True, behind),
                ("a second stream behind it", stream + stream, True, behind),
                ("a wrong check sum", bytes(flipped), False, "cannot be read"),
                ("cut", stream[:-1], False, "cut short"),
                ("cut and padded", stream[:-1] + bytes(50), True, ""),
            ]:
                error = self.assertRaises(Damaged, inflated, octets, padded=padded)
                self.assertIn(reason, str(error), f"{case}, {what}")
            for limit in (0, 1, len(PAYLOAD) - 1):
                error = self.assertRaises(Damaged, inflated, stream, limit)
                self.assertIn(f"longer than {limit} octets", str(error), case)

    def test_every_truncation(self) -> None:
        for case, stream in STREAMS.items():
            if case == "zlib, stored":
                continue
            for size in range(len(stream)):
                error = self.assertRaises(Damaged, inflated, stream[:size])
                self.assertIsInstance(error, Damaged, f"{case}, {size} octets")

    def test_what_it_is_not(self) -> None:
        other = "neither zlib nor zstd"
        for octets, reason in [
            (b"", "cut short"),
            (b"\x78", other),
            (b"\x78\x9d" + bytes(9), other),
            (b"\x1f\x8b\x08\0" + bytes(9), other),
            (b"\x28\xb5\x2f", other),
            (b"PK\x03\x04", other),
            (zstd(PAYLOAD, window_log=28)[:4] + b"\x00\x98" + bytes(20), "cannot be read"),
            (zlib.compressobj(zdict=b"abc").compress(b"") + b"\x78\xbb" + bytes(8), "cannot be read"),
        ]:
            self.assertIn(reason, str(self.assertRaises(Damaged, inflated, octets)), repr(octets[:9]))

    def test_bombs_end_at_the_bound(self) -> None:
        """A stream of zeros becomes a thousand (zlib) or thirty thousand times as long, in the memory of a step."""
        deflate = zlib.compressobj(9)
        bombs = {
            "zlib": b"".join(deflate.compress(bytes(1 << 20)) for _ in range(16)) + deflate.flush(),
            "zstd": zstd(bytes(BIG)),
        }
        for case, bomb in bombs.items():
            self.assertLess(len(bomb), BIG // 900, case)
            tracemalloc.start()
            try:
                pieces = packed.inflated(iter([memoryview(bomb)]), 3 << 20, False)
                error = self.assertRaises(Damaged, lambda found: sum(map(len, found)), pieces)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            self.assertIn("longer than", str(error), case)
            self.assertLess(peak, 80 << 20, case)

    @given(st.binary(max_size=60), st.integers(0, 200), st.booleans())
    def test_any_octets_are_octets_or_damaged(self, octets: bytes, limit: int, padded: bool) -> None:
        for start in (b"", b"\x78\x9c", b"\x28\xb5\x2f\xfd", STREAMS["zlib"][:40], STREAMS["zstd"][:40]):
            try:
                self.assertLessEqual(len(inflated(start + octets, limit, padded)), limit)
            except Damaged as error:
                self.assertTrue(str(error))


class TestWrittenOut(SynchronousTestCase):
    """Payloads in code mode."""

    @given(st.binary(max_size=99), st.sampled_from(["", "\n", " \r\n"]))
    def test_base64(self, payload: bytes, gap: str) -> None:
        text = base64.b64encode(payload).decode("ascii")
        self.assertEqual(packed.written_out(gap.join(text[i : i + 76] for i in range(0, len(text), 76))), payload)

    def test_a_text_full_of_gaps_takes_little(self) -> None:
        value = "AA " * 200_000
        tracemalloc.start()
        try:
            self.assertEqual(len(packed.written_out(value)), 300_000)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.assertLess(peak, 4 * len(value))

    @settings(max_examples=50)
    @given(st.text(max_size=40) | st.none() | st.integers() | st.lists(st.text()))
    def test_anything(self, value: object) -> None:
        try:
            self.assertIsInstance(packed.written_out(value), bytes)
        except Damaged as error:
            self.assertIn("original_data_b64", str(error))


class TestMemory(SynchronousTestCase):
    """Too little memory is not the picture's fault."""

    def test_not_damaged(self) -> None:
        self.patch(packed, "WINDOW_LIMIT", 1 << 20)
        stream = zstandard.ZstdCompressor(level=19, write_content_size=False).compressobj()
        far = stream.compress(PAYLOAD) + stream.flush()
        self.assertIn("cannot be read: ", str(self.assertRaises(Damaged, lambda: len(inflated(far)))))
        for error in (
            zstandard.ZstdError("Allocation error : not enough memory"),
            zlib.error("Error -4 while inflating"),
        ):
            self.assertIsInstance(packed._reason(error), MemoryError, str(error))
