"""Tests of `pixelboot.container.writer`."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

import pixelboot
from pixelboot.container import reader, writer
from pixelboot.container.manifest import Damaged, Labels
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
        for size in (1, 63, 64, 65, 256, 257, 16384, 16385, 65536, 65537, 1 << 20, (1 << 20) + 1, 4 << 20):
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

    def test_a_source_that_is_not_as_long_as_it_said(self) -> None:
        for size, reason in ((9, "4 octets shorter"), (3, "longer than it was")):
            sources = [Source("kernel", size, io.BytesIO(b"12345"))]
            out = io.BytesIO()
            self.assertIn(reason, str(self.assertRaises(Damaged, writer.pack, out, sources, Labels())))
            self.assertEqual(out.getvalue(), b"", "nothing was written")


class TestMemory(SynchronousTestCase):
    """What packing and unpacking 16 MiB takes, in a process of its own."""

    def test_peak(self) -> None:
        program = (
            "import io\n"
            "from pixelboot.container import reader, writer\n"
            "class Octets(io.RawIOBase):\n"
            "    def read(self, size=-1):\n"
            "        given, self.left = min(size, self.left), self.left - min(size, self.left)\n"
            "        return bytes(given)\n"
            "def peak():\n"
            "    with open('/proc/self/status') as status:\n"
            "        return next(int(line.split()[1]) << 10 for line in status if line.startswith('VmHWM'))\n"
            "source = Octets()\n"
            "source.left = size = 16 << 20\n"
            "before = peak()\n"
            "file = io.BytesIO()\n"
            "writer.pack(file, [writer.Source('kernel', size, source)], writer.Labels())\n"
            "packed = peak()\n"
            "with open('/dev/null', 'wb') as sink:\n"
            "    reader.unpack(file, reader.examine(file), {'kernel': sink}, sink)\n"
            "print(before, packed, peak())\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ | {"PYTHONPATH": str(Path(pixelboot.__file__).parents[1])},
        )
        self.assertEqual(done.stderr, "")
        before, packed, unpacked = (int(word) for word in done.stdout.split())
        size = 16 << 20
        self.assertLess(packed - before, 1.5 * size, "packing")
        self.assertLess(unpacked - before, 2.5 * size, "packing and unpacking in one process")
