"""Ten thousand containers with bits turned over, read in a process that may take little memory and time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import tests

PROGRAM = '''
import io, random, resource, sys, time

from pixelboot.container import reader
from pixelboot.container.table import Damaged
from tests.container import pictures

ROOM = 128 << 20
CASES = 5000

parts = {"kernel": random.Random(1).randbytes(101), "initrd": random.Random(2).randbytes(67)}
payload = b"".join(parts.values())
whole = sorted(pictures.variants(parts).items())
chance = random.Random(99)


def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))


def outcome(octets, sidecar):
    """0 for damaged, 1 for the payload as it was; anything else is an error."""
    file = io.BytesIO(octets)
    sink = io.BytesIO()
    try:
        reader.unpack(file, reader.examine(file, 1024, sidecar), {}, sink)
    except Damaged as error:
        assert str(error)
        return 0
    assert sink.getvalue() == payload, sink.getvalue()
    return 1


for _, (octets, sidecar) in whole:
    assert outcome(octets, sidecar)
with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, now + ROOM))
before, seconds, read = peak(), time.process_time(), 0
for case in range(CASES):
    name, (octets, sidecar) = whole[case % len(whole)]
    flipped = pictures.flipped(octets, chance, 1 + case % 3)
    if flipped != octets:
        assert not outcome(flipped, sidecar), (case, name)
for case in range(CASES):
    _, octets, sidecar = pictures.tampered(parts, chance)
    read += outcome(octets, sidecar)
print(2 * CASES, read, (peak() - before) >> 20, round(time.process_time() - seconds))
'''


class FlipTests(SynchronousTestCase):
    """The reader lives, stays small, and never hands out another payload."""

    def test_ten_thousand(self) -> None:
        """Half of them are bits of the file, half are bits of the description and the rows under right CRCs."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env=os.environ | {"PYTHONPATH": str(Path(tests.__file__).parents[1])},
        )
        self.assertEqual((done.stderr, done.returncode), ("", 0))
        cases, read, grown, seconds = (int(word) for word in done.stdout.split())
        self.assertEqual(cases, 10_000)
        self.assertGreater(read, 0, "some bits are only labels or unused pixels")
        self.assertLess(grown, 64, "MiB more than for sound pictures")
        self.assertLess(seconds, 120)
