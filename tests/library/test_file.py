"""Tests of `pixelboot.library.file`."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.file import FilePayload
from pixelboot.payload import Payload


class TestFilePayload(SynchronousTestCase):
    """A file that is served."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_bytes(b"0123456789")
        descriptor = os.open(self.path, os.O_RDONLY)
        self.payload = FilePayload(descriptor, "image/png", 12.5, "ab" * 32)
        self.addCleanup(self.payload.close)

    def test_a_payload(self) -> None:
        payload: Payload = self.payload
        self.assertEqual((payload.size, payload.media_type, payload.modified_at), (10, "image/png", 12.5))
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(payload.etag())), f'"{"ab" * 32}"')
        for offset, size, octets in ((0, 3, b"012"), (8, 5, b"89"), (10, 5, b""), (99, 5, b""), (4, 0, b"")):
            self.assertEqual(payload.read(offset, size), octets, f"{size} from {offset}")

    def test_a_replaced_file_is_another_one(self) -> None:
        other = Path(self.mktemp())
        other.write_bytes(b"abc")
        other.rename(self.path)
        self.assertEqual(self.payload.read(0, 10), b"0123456789")

    def test_a_file_that_shrinks_or_grows(self) -> None:
        with self.path.open("ab") as file:
            file.write(b"more")
        self.assertEqual(self.payload.read(8, 10), b"89", "nothing beyond the size that was announced")
        os.truncate(self.path, 4)
        self.assertEqual((self.payload.read(2, 8), self.payload.size), (b"23", 10))

    def test_close(self) -> None:
        descriptor = self.payload.fileno()
        assert descriptor is not None
        self.payload.close()
        self.payload.close()
        self.assertIsNone(self.payload.fileno())
        self.assertRaises(OSError, os.fstat, descriptor)
