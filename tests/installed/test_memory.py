"""What packing and unpacking take, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import tests


class MemoryTests(SynchronousTestCase):
    """The pixels are there once."""

    def test_peak(self) -> None:
        """Of a payload of 16 MiB."""
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
            env=os.environ | {"PYTHONPATH": str(Path(tests.__file__).parents[1])},
        )
        self.assertEqual(done.stderr, "")
        before, packed, unpacked = (int(word) for word in done.stdout.split())
        size = 16 << 20
        self.assertLess(packed - before, 1.5 * size, "packing")
        self.assertLess(unpacked - before, 2.5 * size, "packing and unpacking in one process")
