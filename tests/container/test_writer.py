"""Tests of `pixelboot.container.writer`."""

from __future__ import annotations

import io
import json
import random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.container import reader, writer
from pixelboot.container.manifest import Labels
from pixelboot.container.table import Damaged
from pixelboot.container.writer import Source
from tests.container.pictures import d2xy

NONE = Labels()


def pack(parts: list[tuple[str, bytes]], labels: Labels = NONE, side_limit: int = 16384) -> bytes:
    """A container with these parts."""
    out = io.BytesIO()
    sources = [Source(name, len(octets), io.BytesIO(octets)) for name, octets in parts]
    description = writer.pack(out, sources, labels, side_limit)
    file = io.BytesIO(out.getvalue())
    assert reader.examine(file).manifest == description
    return out.getvalue()


def unpack(octets: bytes) -> dict[str, bytes]:
    """Its parts, compared with every digest."""
    file = io.BytesIO(octets)
    found = reader.examine(file)
    sinks = {part.name: io.BytesIO() for part in found.manifest.parts}
    reader.unpack(file, found, sinks)
    return {name: sink.getvalue() for name, sink in sinks.items()}


class TestPack(SynchronousTestCase):
    """What is packed unpacks."""

    @settings(max_examples=60)
    @given(
        st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.text(st.characters(exclude_categories=["Cs"]))
    )
    def test_round_trip(self, contents: list[bytes], name: str) -> None:
        parts = [(f"part{index}", octets) for index, octets in enumerate(contents)]
        if not any(contents):
            self.assertRaises(Damaged, pack, parts)
            return
        octets = pack(parts, Labels(name=name))
        self.assertEqual(unpack(octets), dict(parts))
        self.assertEqual(reader.examine(io.BytesIO(octets)).manifest.labels.name, name)

    def test_sizes_at_the_borders(self) -> None:
        for size in (1, 63, 64, 65, 256, 257, 16384, 16385, 65536, 65537, 1 << 20, (1 << 20) + 1):
            kernel = bytes(range(251)) * (size // 251 + 1)
            parts = [("kernel", kernel[: size - size // 3]), ("initrd", kernel[: size // 3])]
            self.assertEqual(unpack(pack(parts)), dict(parts), f"{size} octets")

    def test_anybody_can_read_the_picture(self) -> None:
        kernel, initrd = bytes(range(100)), b"initrd"
        octets = pack([("kernel", kernel), ("initrd", initrd)], Labels("demo", cmdline="console=ttyS0 ü"))
        with Image.open(io.BytesIO(octets)) as image:
            self.assertEqual((image.format, image.mode, image.size), ("PNG", "RGBA", (8, 8)))
            found = b"".join(bytes(image.getpixel(d2xy(8, i))) for i in range(64))  # type: ignore[arg-type]
            self.assertEqual(found, (kernel + initrd).ljust(256, b"\0"))
            table = json.loads(str(image.info["PixelRTS"]).removeprefix("PixelRTS"))
        self.assertEqual(table["cmdline"], "console=ttyS0 ü")
        for name, part in (("kernel", kernel), ("initrd", initrd)):
            entry = table["offsets"][name]
            self.assertEqual((found[entry["start"] : entry["end"]], entry["size"]), (part, len(part)))

    def test_parts_have_roles_and_a_payload_has_no_table(self) -> None:
        parts = [("kernel", b"k" * 9), ("initrd", b"i" * 7), ("dtb", b"d" * 5)]
        out = io.BytesIO()
        sources = [Source(name, len(octets), io.BytesIO(octets)) for name, octets in parts]
        packed = writer.pack(out, sources, Labels(type="bootable", content_version="3"))
        self.assertEqual(
            [(part.role, part.offset) for part in packed.parts], [("kernel", 0), ("initrd", 9), ("dtb", 16)]
        )
        self.assertEqual(reader.examine(out).manifest, packed)
        raw = io.BytesIO()
        packed = writer.pack_payload(raw, 9, io.BytesIO(b"any octet"), NONE)
        self.assertEqual(reader.examine(raw).manifest, packed)
        self.assertEqual(unpack(raw.getvalue()), {"payload": b"any octet"})
        with Image.open(raw) as image:
            table = json.loads(str(image.info["PixelRTS"]).removeprefix("PixelRTS"))
        self.assertEqual((table["segments"], table["data_size"]), ({}, 9))

    def test_signing(self) -> None:
        key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        out = io.BytesIO()
        writer.pack(out, [Source("kernel", 6, io.BytesIO(b"octets"))], Labels("é", cmdline="quiet"), sign=key)
        found = reader.unpack(out, reader.examine(out), {})
        self.assertEqual(found.signer, key.public_key().public_bytes_raw().hex())
        with Image.open(out) as image:
            table = json.loads(str(image.info["PixelRTS"]).removeprefix("PixelRTS"))
        value = bytes.fromhex(table["signature"]["value"])
        key.public_key().verify(value, bytes.fromhex(table["data_hash"]))  # as the original tools check it
        changed = io.BytesIO(out.getvalue().replace(b'"quiet"', b'"debug"'))
        self.assertRaises(Damaged, reader.examine, changed)  # its CRC

    def test_progress(self) -> None:
        done: list[float] = []
        octets = random.Random(4).randbytes(1 << 20)
        out = io.BytesIO()
        writer.pack(out, [Source("kernel", len(octets), io.BytesIO(octets))], NONE, progress=done.append)
        self.assertEqual((done, done[-1]), (sorted(done), 1.0))
        self.assertLess(10, len(done))
        self.assertLess(len(done), 520)
        self.assertEqual(unpack(out.getvalue()), {"kernel": octets})
        silent = io.BytesIO()
        writer.pack(silent, [Source("kernel", len(octets), io.BytesIO(octets))], NONE)
        self.assertEqual(silent.getvalue(), out.getvalue(), "watched or not, the same picture")

    def test_what_cannot_be_packed(self) -> None:
        cases: list[tuple[list[tuple[str, bytes]], Labels, str]] = [
            ([], Labels(), "nothing to pack"),
            ([("kernel", b"")], Labels(), "nothing to pack"),
            ([("kernel", b"x" * 257)], Labels(), "257 octets do not fit into a picture of side 8"),
            ([("kernel", b"x"), ("kernel", b"y")], Labels(), "same name"),
            ([("kernel", b"x")], Labels(cmdline="x" * 5000), "5000 characters"),
        ]
        for parts, labels, reason in cases:
            self.assertIn(reason, str(self.assertRaises(Damaged, pack, parts, labels, side_limit=8)))
        for limit, size in ((100, 100 * 100 * 4), (3, 36), (1, 1)):
            error = self.assertRaises(Damaged, pack, [("kernel", bytes(size))], side_limit=limit)
            self.assertIn(f"do not fit into a picture of side {limit}", str(error))

    def test_a_source_that_is_not_as_long_as_it_said(self) -> None:
        for size, reason in ((9, "4 octets shorter"), (3, "longer than it was")):
            sources = [Source("kernel", size, io.BytesIO(b"12345"))]
            out = io.BytesIO()
            self.assertIn(reason, str(self.assertRaises(Damaged, writer.pack, out, sources, Labels())))
            self.assertEqual(out.getvalue(), b"", "nothing was written")
