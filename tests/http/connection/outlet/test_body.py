"""Tests of `pixelboot.http.connection.outlet.body`."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.connection.outlet.body import WINDOW, Body, Broken, fetch, in_memory
from pixelboot.http.ranges import Piece, Span
from pixelboot.library.file import FilePayload
from pixelboot.payload import TextPayload

TEXT = bytes(range(256)) * 4


class OrderTests(SynchronousTestCase):
    """Pieces in their order."""

    @given(
        st.lists(st.binary(max_size=20) | st.builds(Span, st.integers(0, 900), st.integers(0, 100)), max_size=8),
        st.lists(st.integers(1, 60), min_size=1, max_size=50),
    )
    def test_any_pieces(self, pieces: list[Piece], steps: list[int]) -> None:
        """However much is taken at a time, the octets are those of the pieces."""
        payload = TextPayload(TEXT.decode("latin-1"))
        payload._octets = TEXT
        wanted = b"".join(p if isinstance(p, bytes) else TEXT[p.offset : p.offset + p.size] for p in pieces)
        body, got, at = Body(payload, pieces), b"", 0
        self.assertEqual(body.size, len(wanted))
        while body.pieces:
            self.assertEqual(body.left, len(wanted) - len(got))
            taken = body.take(steps[at % len(steps)])
            assert taken is not None
            self.assertTrue(0 < len(taken) <= steps[at % len(steps)])
            got, at = got + taken, at + 1
        self.assertEqual((got, body.left), (wanted, 0))


class FileTests(SynchronousTestCase):
    """Spans of files."""

    def body(self, size: int, *pieces: Piece) -> Body:
        """A body of a file of so many octets."""
        self.path = Path(self.mktemp())
        self.path.write_bytes(TEXT * (size // len(TEXT)))
        payload = FilePayload(os.open(self.path, os.O_RDONLY), "x/y", 1.0, "ab" * 32)
        self.addCleanup(payload.close)
        return Body(payload, pieces or (Span(0, size),))

    def test_shorter(self) -> None:
        """A file that became shorter is no body any more, found at the latest where its end was."""
        body = self.body(4096)
        os.truncate(self.path, 2048)
        with self.assertRaises(Broken):
            while body.take(1024) is None:
                body.fetcher()()

    def test_not_in_memory(self) -> None:
        """What is not there is fetched: once, for all that is next, and then taken."""
        body = self.body(8192)
        with mock.patch("os.preadv", side_effect=BlockingIOError(errno.EAGAIN, "")):
            self.assertIsNone(body.take(100))
            self.assertFalse(body.is_here(100))
        self.assertEqual(body.left, 8192)
        before = os.listdir("/proc/self/fd")
        body.fetcher()()
        self.assertEqual(os.listdir("/proc/self/fd"), before)
        with mock.patch("os.preadv", side_effect=BlockingIOError(errno.EAGAIN, "")):
            self.assertTrue(body.is_here(8192))
            self.assertEqual(body.take(8192), TEXT * 8)

    def test_no_such_question(self) -> None:
        """A file system that cannot say what is in memory is read in a thread."""
        body = self.body(8192)
        with mock.patch("os.preadv", side_effect=OSError(errno.EOPNOTSUPP, "")):
            self.assertIsNone(body.take(100))
            body.fetcher()()
            self.assertEqual(body.take(100), TEXT[:100])

    def test_broken_disk(self) -> None:
        """The error is told when octets are taken, not when they are fetched."""
        body = self.body(8192)
        with mock.patch("os.preadv", side_effect=OSError(errno.EIO, "Input/output error")):
            body.fetcher()()
            body._here_until = 0
            self.assertTrue(body.is_here(1))
            with self.assertRaises(Broken) as caught:
                body.take(1)
        self.assertIn("Input/output error", str(caught.exception))

    def test_the_window(self) -> None:
        """No more than a window is fetched at a time."""
        body = self.body(WINDOW + 1024 * 1024)
        body.fetcher()()
        self.assertEqual(body._here_until, WINDOW)

    def test_fetch(self) -> None:
        """It closes the descriptor in any case."""
        body = self.body(2048)
        descriptor = os.dup(body.descriptor or -1)
        self.assertTrue(in_memory(descriptor, 0))
        fetch(descriptor, 0, 10 * WINDOW)
        with self.assertRaises(OSError):
            os.fstat(descriptor)
