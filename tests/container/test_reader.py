"""Tests of `pixelboot.container.reader`."""

from __future__ import annotations

import hashlib
import io
import random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.container import reader
from pixelboot.container.manifest import Damaged
from tests.container.pictures import SIGNATURE, chunk, container, description, header, picture, rows, text

KERNEL = random.Random(1).randbytes(101)
INITRD = random.Random(2).randbytes(67)
PARTS = {"kernel": KERNEL, "initrd": INITRD}


def unpack(octets: bytes) -> dict[str, bytes]:
    """All parts of this container by name, and its payload under no name; compared with every digest."""
    file = io.BytesIO(octets)
    found = reader.examine(file)
    sinks = {part.name: io.BytesIO() for part in found.manifest.parts}
    payload = io.BytesIO()
    reader.unpack(file, found, sinks, payload)
    return {name: sink.getvalue() for name, sink in sinks.items()} | {"": payload.getvalue()}


class TestReader(SynchronousTestCase):
    """Containers that were made by hand."""

    def test_the_payload_of_the_specification(self) -> None:
        lines = "0001020304050607" + "00" * 8, "0c0d0e0f08090a0b" + "00" * 8, "00" * 16, "00" * 16
        grid = b"".join(b"\0" + bytes.fromhex(line) for line in lines)
        octets = picture([header(4), text(b'{"data_size":16}')], grid)
        self.assertEqual(unpack(octets), {"": bytes(range(16))})

    def test_parts_and_payload(self) -> None:
        octets = container(PARTS, name="demo", cmdline="quiet")
        self.assertEqual(unpack(octets), PARTS | {"": KERNEL + INITRD})
        labels = reader.examine(io.BytesIO(octets)).manifest.labels
        self.assertEqual((labels.name, labels.cmdline), ("demo", "quiet"))

    def test_a_grid_larger_than_needed(self) -> None:
        for side in (16, 128):
            self.assertEqual(unpack(container(PARTS, side)), PARTS | {"": KERNEL + INITRD}, f"side {side}")

    def test_a_payload_of_many_pieces(self) -> None:
        payload = random.Random(3).randbytes(260_001)
        octets = container({"kernel": payload[:130_000], "initrd": payload[130_000:]}, 256)
        self.patch(reader, "PIECE", 1 << 16)
        file = io.BytesIO(octets)
        pieces = [bytes(piece) for piece in reader.octets(file, reader.examine(file))]
        self.assertEqual([len(piece) for piece in pieces], [65536, 65536, 65536, 63393])
        self.assertEqual(b"".join(pieces), payload)
        self.assertEqual(unpack(octets)["initrd"], payload[130_000:])

    def test_only_what_is_asked_for_is_written_and_all_is_compared(self) -> None:
        file = io.BytesIO(container(PARTS))
        sink = io.BytesIO()
        digests = reader.unpack(file, reader.examine(file), {"initrd": sink})
        self.assertEqual(sink.getvalue(), INITRD)
        self.assertEqual(digests, {name: hashlib.sha256(octets).hexdigest() for name, octets in PARTS.items()})
        wrong = "ab" * 32
        cases: list[tuple[dict[str, Any], str]] = [
            ({"hashes": {"kernel": wrong}}, "part 'kernel' does not have the SHA-256"),
            ({"hashes": {"initrd": wrong}}, "part 'initrd' does not have the SHA-256"),
            ({"data_hash": wrong}, "the payload does not have the SHA-256"),
        ]
        for fields, reason in cases:
            file = io.BytesIO(container(PARTS, **fields))
            error = self.assertRaises(Damaged, reader.unpack, file, reader.examine(file), {})
            self.assertIn(reason, str(error))

    def test_a_table_without_digests(self) -> None:
        self.assertEqual(unpack(container(PARTS, hashes=None, data_hash=None))["kernel"], KERNEL)

    def test_no_description(self) -> None:
        for chunks in ([header(4)], [header(4), text(b"PixelRTS{}", b"PixelRTS-Blueprint")]):
            error = self.assertRaises(Damaged, unpack, picture(chunks, rows(b"x", 4)))
            self.assertIn("no description", str(error))


class TestHostile(SynchronousTestCase):
    """Nothing but a value or `Damaged`, whatever the octets are."""

    def test_every_truncation(self) -> None:
        octets = container(PARTS)
        for size in range(len(octets)):
            self.assertRaises(Damaged, unpack, octets[:size])

    def test_bit_flips(self) -> None:
        octets = container(PARTS)
        chance = random.Random(20)
        for case in range(600):
            flipped = bytearray(octets)
            for _ in range(1 + case % 3):
                flipped[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)
            if flipped != octets:
                self.assertRaises(Damaged, unpack, bytes(flipped))

    def test_bit_flips_under_right_check_sums(self) -> None:
        described = description(PARTS)
        lines = rows(KERNEL + INITRD, 8)
        chance = random.Random(21)
        read = 0
        for case in range(400):
            texts, scanlines = bytearray(described), bytearray(lines)
            target = (texts, scanlines)[case % 2]
            target[chance.randrange(len(target))] ^= 1 << chance.randrange(8)
            try:
                found = unpack(picture([header(8), text(bytes(texts))], bytes(scanlines)))
            except Damaged:
                continue
            read += 1
            self.assertEqual(found[""], KERNEL + INITRD, f"case {case}: what passes is the payload")
        self.assertGreater(read, 0, "some flips hit only labels or unused pixels")

    def test_garbage_behind_a_good_start(self) -> None:
        chance = random.Random(22)
        start = SIGNATURE + header(8) + text(description(PARTS))
        for case in range(200):
            garbage = chance.randbytes(chance.randrange(100))
            self.assertRaises(Damaged, unpack, start + garbage)
            self.assertRaises(Damaged, unpack, start + chunk(b"IDAT", garbage) + chunk(b"IEND", b""))
            self.assertRaises(Damaged, unpack, garbage + start[case % 40 :])
