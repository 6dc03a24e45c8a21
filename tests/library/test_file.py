"""Tests of `pixelboot.library.file`."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.file import FilePayload
from pixelboot.library.folder.look import Stamp
from pixelboot.payload import Payload


class Later:
    """A hasher that takes its time."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, Stamp]] = []
        self.found: Deferred[str | None] = Deferred()
        self.sure: dict[Stamp, str] = {}

    def known(self, stamp: Stamp) -> str | None:
        return self.sure.get(stamp)

    async def of(self, descriptor: int, stamp: Stamp) -> str | None:
        self.asked.append((descriptor, stamp))
        return await self.found


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
        self.assertIs(payload.origin, payload)
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(payload.etag())), f'"{"ab" * 32}"')
        self.assertEqual((payload.known_etag, payload.is_final), (f'"{"ab" * 32}"', False))
        for offset, size, octets in ((0, 3, b"012"), (8, 5, b"89"), (10, 5, b""), (99, 5, b""), (4, 0, b"")):
            self.assertEqual(payload.read(offset, size), octets, f"{size} from {offset}")

    def test_a_digest_that_is_made_later(self) -> None:
        """It is asked for, of the open file in the state in which it was opened; what is sure is asked for once."""
        hasher = Later()
        descriptor, stamp = os.open(self.path, os.O_RDONLY), Stamp.of(os.stat(self.path))
        payload = FilePayload(descriptor, "image/png", 12.5, hasher)
        self.addCleanup(payload.close)
        first = Deferred.fromCoroutine(payload.etag())
        self.assertNoResult(first)
        hasher.found.callback("cd" * 32)
        self.assertEqual(self.successResultOf(first), f'"{"cd" * 32}"')
        self.assertIsNone(payload.known_etag)
        hasher.found = Deferred()
        hasher.found.callback(None)
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(payload.etag())))
        self.assertEqual(hasher.asked, [(descriptor, stamp)] * 2)
        hasher.sure[stamp] = "ef" * 32
        self.assertEqual(payload.known_etag, f'"{"ef" * 32}"')
        hasher.sure.clear()
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(payload.etag())), f'"{"ef" * 32}"')
        self.assertEqual(len(hasher.asked), 2)

    def test_a_replaced_file_is_another_one(self) -> None:
        other = Path(self.mktemp())
        other.write_bytes(b"abc")
        other.rename(self.path)
        self.assertEqual(self.payload.read(0, 10), b"0123456789")
        self.assertEqual(self.payload.read(5, 5), b"56789")
        self.payload.verify()

    def test_a_deleted_file_stays(self) -> None:
        second = Path(self.mktemp())
        os.link(self.path, second)
        payload = FilePayload(os.open(self.path, os.O_RDONLY), "image/png", 12.5, "ab" * 32)
        self.addCleanup(payload.close)
        for path in (self.path, second):
            path.unlink()
            payload.verify()
            self.assertEqual(payload.read(0, 10), b"0123456789")

    def test_a_file_that_is_written_into(self) -> None:
        """Nothing of it is handed out any more, even when length and times are as they were."""

        def in_place(path: Path) -> None:
            with path.open("r+b") as file:
                file.write(b"x")

        def in_place_and_hidden(path: Path) -> None:
            status = path.stat()
            in_place(path)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

        def grow(path: Path) -> None:
            with path.open("ab") as file:
                file.write(b"more")

        for change in (in_place, in_place_and_hidden, grow, lambda path: os.truncate(path, 4)):
            path = Path(self.mktemp())
            path.write_bytes(b"0123456789")
            os.utime(path, (1, 1))
            descriptor = os.open(path, os.O_RDONLY)
            stamp = Stamp.of(os.fstat(descriptor))
            while self.path.stat().st_ctime_ns <= stamp.ctime_ns:
                self.path.touch()  # until the kernel's clock of files has ticked: some milliseconds
            payload = FilePayload(descriptor, "image/png", 12.5, "ab" * 32, stamp)
            self.addCleanup(payload.close)
            self.assertEqual(payload.read(0, 5), b"01234")
            change(path)
            for _ in range(2):
                for what in (payload.verify, partial(payload.read, 5, 5)):
                    error = self.assertRaises(OSError, what)
                    self.assertEqual(error.errno, errno.ESTALE)
                    self.assertIn("the file was changed while it was read", str(error))
            self.assertEqual(payload.size, 10)

    def test_a_file_that_was_changed_before(self) -> None:
        """The digest belongs to the stamp, not to what the file is when the payload is made."""
        stamp = Stamp.of(self.path.stat())
        self.path.write_bytes(b"9876543210")
        os.utime(self.path, (1, 1))
        payload = FilePayload(os.open(self.path, os.O_RDONLY), "image/png", 12.5, "ab" * 32, stamp)
        self.addCleanup(payload.close)
        self.assertRaises(OSError, payload.read, 0, 1)

    def test_deleted_and_then_written_into(self) -> None:
        """That it was deleted explains nothing that happens later."""
        with self.path.open("r+b") as file:
            self.path.unlink()
            self.payload.verify()
            while True:
                file.write(b"x")
                file.flush()
                if os.fstat(file.fileno()).st_ctime_ns > self.payload._stamp.ctime_ns:
                    break  # the kernel's clock of files has ticked
            self.assertRaises(OSError, self.payload.verify)

    def test_close(self) -> None:
        descriptor = self.payload.fileno()
        assert descriptor is not None
        self.payload.close()
        self.payload.close()
        self.assertIsNone(self.payload.fileno())
        self.assertRaises(OSError, os.fstat, descriptor)
        self.assertRaises(OSError, self.payload.verify)
