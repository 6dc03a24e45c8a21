"""Tests of `pixelboot.library.sharing.remembered`."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.folder.look import Stamp
from pixelboot.library.sharing import remembered as module
from pixelboot.library.sharing.remembered import Remembered, write

STAMP = Stamp(1, 2, 3, -4, 5)
ROW = [1, 2, 3, -4, 5, "ab" * 32]


class RememberedTests(SynchronousTestCase):
    """In memory, and in a file."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "cache" / "digests.json"

    def read(self, *logged: str) -> Remembered:
        """What there is after a restart, at which something is logged."""
        with capturedLogs() as events:
            found = Remembered(str(self.path))
        self.assertEqual([formatEvent(event) for event in events], list(logged))
        return found

    def test_written_and_read(self) -> None:
        kept = self.read()
        self.assertIsNone(kept.get(STAMP))
        kept.add(STAMP, "ab" * 32)
        write(str(self.path), kept.rows)
        self.assertEqual(self.read().get(STAMP), "ab" * 32)
        self.assertEqual([each.name for each in self.path.parent.iterdir()], ["digests.json"])
        kept.add(STAMP, "cd" * 32)
        write(str(self.path), kept.rows)
        self.assertEqual((self.read().rows), [(1, 2, 3, -4, 5, "cd" * 32)])

    def test_bounded(self) -> None:
        """The last are kept."""
        self.patch(module, "LIMIT", 3)
        kept = Remembered()
        for number in range(9):
            kept.add(Stamp(0, number, 0, 0, 0), "ab" * 32)
        kept.add(Stamp(0, 7, 0, 0, 0), "cd" * 32)
        self.assertEqual([row[1] for row in kept.rows], [6, 7, 8])
        write(str(self.path), [[0, number, 0, 0, 0, "ab" * 32] for number in range(9)])
        self.assertEqual([row[1] for row in self.read().rows], [6, 7, 8])

    def test_damaged(self) -> None:
        """It is ignored as a whole, and the log says so."""
        self.path.parent.mkdir(parents=True)
        for octets in (
            *(b"", b"\xff", b"[" * 100_000, b"{}", b"[1]", b"[[]]", json.dumps([ROW]).encode()[:-1]),
            *(json.dumps([ROW, row]).encode() for row in ([*ROW, 1], ROW[:5], [True, *ROW[1:]], [1.5, *ROW[1:]])),
            *(json.dumps([ROW, [*ROW[:5], text]]).encode() for text in (None, "", "AB" * 32, "ab" * 33)),
        ):
            self.path.write_bytes(octets)
            with capturedLogs() as events:
                self.assertEqual(Remembered(str(self.path)).rows, [], repr(octets[:200]))
            (event,) = events
            self.assertIn(f"{self.path} is ignored, and digests are made anew: ", formatEvent(event))

    def test_not_to_be_written(self) -> None:
        """What hinders it is in the log; nothing else comes of it."""
        self.path.mkdir(parents=True)
        with capturedLogs() as events:
            write(str(self.path), [])
        self.assertEqual(
            [formatEvent(event) for event in events], [f"digests cannot be kept in {self.path}: Is a directory"]
        )
        self.read(f"{self.path} is ignored, and digests are made anew: [Errno 21] Is a directory: '{self.path}'")
