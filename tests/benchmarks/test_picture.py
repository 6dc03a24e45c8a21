"""The pictures that measurements and tests of the whole server use are containers like any other."""

from __future__ import annotations

import io
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from lab import picture
from pixelboot.container import reader


class Pictures(SynchronousTestCase):
    """`lab.picture`."""

    def read(self, octets: bytes) -> tuple[str, dict[str, bytes]]:
        """The name, and the parts."""
        file = io.BytesIO(octets)
        found = reader.examine(file)
        sinks = {part.name: io.BytesIO() for part in found.manifest.parts}
        reader.unpack(file, found, sinks)
        return found.manifest.labels.name, {name: sink.getvalue() for name, sink in sinks.items()}

    def test_light(self) -> None:
        """Whatever the size, what went in comes out."""
        for size in (1, 60, 70_000):
            parts = {"kernel": bytes(range(256)) * (size // 256 + 1), "initrd": b"i" * size}
            self.assertEqual(self.read(picture.light(parts, name="a name")), ("a name", parts), str(size))

    def test_heavy(self) -> None:
        """It has a kernel that fills it; a variant has the same, and is another file."""
        first, other = Path(self.mktemp()), Path(self.mktemp())
        picture.heavy(first, "heavy", side=64)
        picture.variant(first, other, "another")
        name, parts = self.read(first.read_bytes())
        self.assertEqual((name, list(parts), len(parts["kernel"])), ("heavy", ["kernel"], 64 * 64 * 4))
        self.assertGreater(len(set(parts["kernel"])), 200, "it is no picture of one colour")
        self.assertEqual(self.read(other.read_bytes()), (name, parts))
        self.assertNotEqual(first.read_bytes(), other.read_bytes())
