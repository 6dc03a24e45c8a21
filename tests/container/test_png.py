"""Tests of `pixelboot.container.png`."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.container import png
from pixelboot.container.table import Damaged
from tests.container.pictures import SIGNATURE, chunk, header, picture, rows, text

END = chunk(b"IEND", b"")
LINES = rows(bytes(range(1, 65)), 4)
STREAM = zlib.compress(LINES)
PIXELS = chunk(b"IDAT", STREAM)


def layout(octets: bytes, side_limit: int = 64) -> png.Layout:
    """What stands before the pixels of this picture."""
    return png.layout(io.BytesIO(octets), ("PixelRTS", "PixelRTS-Blueprint"), side_limit)


def load(octets: bytes) -> object:
    """The pixels of this picture, row by row."""
    return png.load(io.BytesIO(octets), layout(octets)).tolist()


class TestLayout(SynchronousTestCase):
    """What is read without inflating a pixel."""

    def test_texts_are_found_by_keyword(self) -> None:
        blueprint = text(b"PixelRTS{}", b"PixelRTS-Blueprint")
        plan = "PixelRTS-Blueprint"
        cases: dict[bytes, dict[str, tuple[bytes, ...]]] = {
            b"": {},
            blueprint: {plan: (b"PixelRTS{}",)},
            text(b""): {"PixelRTS": (b"",)},
            text(b"one\0two"): {"PixelRTS": (b"one\0two",)},
            blueprint + text(b"x") + blueprint: {plan: (b"PixelRTS{}", b"PixelRTS{}"), "PixelRTS": (b"x",)},
            text(b"x") + text(b"y"): {"PixelRTS": (b"x", b"y")},
            chunk(b"zTXt", b"PixelRTS\0\0x") + text(b"y"): {"PixelRTS": (b"y",)},
            chunk(b"tEXt", b"PixelRTS") + text(b"z", b"Pixel") + text(b"z", b"\xff\xfe"): {},
        }
        for chunks, expected in cases.items():
            found = layout(SIGNATURE + header(4) + chunks + PIXELS + END)
            self.assertEqual(found, png.Layout(4, expected, 33 + len(chunks)), repr(chunks))

    def test_headers(self) -> None:
        cases = [
            (header(3), "3×3 pixels are not a square whose side is a power of two"),
            (header(0), "0×0 pixels"),
            (header(8, 4), "8×4 pixels"),
            (header(128), "the side of 128 pixels is above the limit of 64"),
            (header(1 << 31), "above the limit"),
            (header(65535), "65535×65535 pixels are not"),
            (header(0xFFFFFFFF), "are not a square"),
            (header(4, depth=16), "not 8-bit RGBA (colour type 6, 16 bits)"),
            (header(1, colour=0), "not 8-bit RGBA (colour type 0, 8 bits)"),
            (header(4, colour=2), "not 8-bit RGBA"),
            (header(4, colour=3), "not 8-bit RGBA"),
            (header(4, interlace=1), "interlaced"),
            (chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 6, 1, 0, 0)), "compressed in an unknown way"),
            (chunk(b"IHDR", bytes(12)), "does not begin with its header"),
            (text(b"{}") + header(4), "does not begin with its header"),
            (header(4) + header(4), "two headers"),
        ]
        for octets, reason in cases:
            error = self.assertRaises(Damaged, layout, SIGNATURE + octets + PIXELS + END)
            self.assertIn(reason, str(error))

    def test_chunks(self) -> None:
        self.patch(png, "BEFORE_LIMIT", 32 << 10)
        before = SIGNATURE + header(4)
        broken = text(b"{}")[:-1] + b"\0"
        cases = [
            (b"", "not a PNG"),
            (b"\xff\xd8\xff\xe0JFIF", "not a PNG"),
            (SIGNATURE, "ends too early"),
            (before, "ends too early"),
            (before + END, "ends before its pixels"),
            (before + broken + PIXELS + END, "the CRC of a chunk tEXt is wrong"),
            (SIGNATURE + header(4)[:-1] + b"\0" + PIXELS + END, "the CRC of a chunk IHDR is wrong"),
            (before + struct.pack(">I", 1 << 31) + b"tEXtPixelRTS\0", "the chunk tEXt claims 2147483648 octets"),
            (before + struct.pack(">I", 1000) + b"tEXtPixelRTS\0", "the file ends within a chunk tEXt"),
            (before + struct.pack(">I", 1000) + b"IDATxx", "the file ends within a chunk IDAT"),
            (before + chunk(b"IDA\0", b""), "a chunk has no valid name"),
            (before + chunk(b"ID\xc3\xa4", b""), "a chunk has no valid name"),
            (before + chunk(b"QQQQ", b"") + PIXELS + END, "the chunk QQQQ is unknown, and necessary"),
            (before + chunk(b"acTL", bytes(8)) + PIXELS + END, "animated"),
            (before + chunk(b"teSt", b"") * 1025 + PIXELS + END, "more than 1024 chunks"),
            (before + chunk(b"teSt", bytes(11 << 10)) * 4 + PIXELS + END, "octets before its pixels"),
        ]
        for octets, reason in cases:
            self.assertIn(reason, str(self.assertRaises(Damaged, layout, octets)), repr(octets[:60]))

    def test_a_side_the_file_is_too_short_for(self) -> None:
        octets = SIGNATURE + header(16384) + PIXELS + END
        error = self.assertRaises(Damaged, layout, octets, side_limit=16384)
        self.assertIn("too short for 16384×16384 pixels", str(error))


class TestLoad(SynchronousTestCase):
    """The pixels."""

    def test_filters_and_chunks_of_every_size(self) -> None:
        payload = bytes(range(1, 65))
        expected = load(picture([header(4)], b"".join(b"\0" + _row(payload, y) for y in range(4))))
        for cut in (1, 7, 1000):
            self.assertEqual(load(picture([header(4)], LINES, cut)), expected, f"cut {cut}")

    def test_all_five_filters(self) -> None:
        line = bytes(range(0, 160, 10))
        for kind in range(5):
            found = load(picture([header(4)], (bytes([kind]) + line) * 4))
            self.assertEqual(found, _unfiltered(kind, line), f"filter {kind}")

    def test_what_stands_between_and_behind(self) -> None:
        whole = load(SIGNATURE + header(4) + PIXELS + END)
        cases = {
            "no octets in a chunk": chunk(b"IDAT", b"") + PIXELS + chunk(b"IDAT", b"") + END,
            "texts behind the pixels": PIXELS + text(b"later") + END,
            "octets behind the end": PIXELS + END + b"more",
            "octets behind the stream": chunk(b"IDAT", STREAM + bytes(99)) + END,
            "more rows than there are": chunk(b"IDAT", zlib.compress(LINES + bytes(1000))) + END,
            "a stream without its check sum": chunk(b"IDAT", STREAM[:-4]) + END,
        }
        for case, chunks in cases.items():
            self.assertEqual(load(SIGNATURE + header(4) + chunks), whole, case)

    def test_damage(self) -> None:
        bad = bytearray(PIXELS)
        bad[20] ^= 1
        many = b"".join(chunk(b"IDAT", b"") for _ in range(4200))
        cases = [
            ("wrong octets", bytes(bad) + END, "the pixels cannot be read"),
            ("wrong CRC behind all rows", PIXELS[:-1] + b"\0" + END, "the CRC of a chunk IDAT is wrong"),
            ("no end", PIXELS, "ends too early"),
            ("half a stream", chunk(b"IDAT", STREAM[:30]) + END, "the pixels cannot be read"),
            ("nothing", chunk(b"IDAT", b"") + END + bytes(9), "the pixels cannot be read"),
            ("not a stream", chunk(b"IDAT", b"garbage" * 9) + END, "the pixels cannot be read"),
            ("too few rows", chunk(b"IDAT", zlib.compress(LINES[:-17])) + END, "fewer rows than its header says"),
            ("half a row missing", chunk(b"IDAT", zlib.compress(LINES[:-1])) + END, "the pixels cannot be read"),
            ("no rows", chunk(b"IDAT", zlib.compress(b"")) + END, "the pixels cannot be read"),
            ("an unknown filter", chunk(b"IDAT", zlib.compress(b"\x09" * 68)) + END, "the pixels cannot be read"),
            ("cut into dust", many + PIXELS + END, "too many chunks"),
            ("cut short", PIXELS + chunk(b"teXt", b"12345")[:-3], "ends within a chunk teXt"),
        ]
        for case, chunks, reason in cases:
            error = self.assertRaises(Damaged, load, SIGNATURE + header(4) + chunks)
            self.assertIn(reason, str(error), case)

    def test_a_file_that_shrinks_while_it_is_read(self) -> None:
        octets = SIGNATURE + header(4) + PIXELS + END
        limit = 0

        class Shrinking(io.BytesIO):
            """The file on a disk where somebody truncates it after its length was asked for."""

            def read(self, size: int | None = -1) -> bytes:
                return b"" if self.tell() > limit else super().read(size)

        for limit, reason in ((40, "became shorter"), (41, "became shorter"), (32, "ends too early")):
            error = self.assertRaises(Damaged, png.load, Shrinking(octets), layout(octets))
            self.assertIn(reason, str(error), f"no octet behind {limit}")

    def test_a_bomb_takes_no_more_than_its_pixels(self) -> None:
        deflated = zlib.compressobj(9)
        bomb = b"".join(deflated.compress(bytes(1 << 20)) for _ in range(16)) + deflated.flush()
        octets = SIGNATURE + header(64) + chunk(b"IDAT", bomb) + END
        tracemalloc.start()
        try:
            grid = png.load(io.BytesIO(octets), layout(octets))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.assertFalse(grid.any())
        self.assertLess(peak, 1 << 20)


def _row(payload: bytes, y: int) -> bytes:
    """Row `y` of the 4×4 picture with this payload, without its filter."""
    order = {0: (0, 1, 14, 15), 1: (3, 2, 13, 12), 2: (4, 7, 8, 11), 3: (5, 6, 9, 10)}[y]
    return b"".join(payload[4 * i : 4 * i + 4] for i in order)


def _unfiltered(kind: int, line: bytes) -> list[list[int]]:
    """Four rows that were all filtered into `line` by this filter, undone as PNG §9 says, as pixels in memory."""
    above = [0] * 16
    grid = []
    for _ in range(4):
        row: list[int] = []
        for i, octet in enumerate(line):
            left, corner = (row[i - 4], above[i - 4]) if i >= 4 else (0, 0)
            row.append(
                (octet + (0, left, above[i], (left + above[i]) // 2, _paeth(left, above[i], corner))[kind]) & 255
            )
        grid.append([int(pixel) for pixel in np.frombuffer(bytes(row), np.uint32)])
        above = row
    return grid


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))
