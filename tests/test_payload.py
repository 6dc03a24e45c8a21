"""Tests of `pixelboot.payload`."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.payload import Payload, TextPayload, strong_etag


class TextPayloadTests(SynchronousTestCase):
    """A generated text."""

    def test_octets(self) -> None:
        """Size counts octets, not characters; a text has neither age nor descriptor."""
        payload: Payload = TextPayload("#!ipxe\necho größer\n", "text/plain")
        octets = "#!ipxe\necho größer\n".encode()
        self.assertEqual(payload.size, len(octets))
        self.assertEqual(payload.read(0, 1000), octets)
        self.assertEqual(payload.media_type, "text/plain")
        self.assertIsNone(payload.modified_at)
        self.assertIsNone(payload.fileno())

    def test_etag(self) -> None:
        """The tag is strong, is the SHA-256 of the octets, and so the same for the same text."""
        for text in ("", "a", "é"):
            tag = self.successResultOf(Deferred.fromCoroutine(TextPayload(text).etag()))
            self.assertEqual(tag, f'"{hashlib.sha256(text.encode()).hexdigest()}"', repr(text))

    def test_strong_etag(self) -> None:
        """A tag is opaque characters in quotes, without the mark of weakness (RFC 9110 §8.8.3)."""
        self.assertEqual(strong_etag("ab" * 32), '"' + "ab" * 32 + '"')

    @given(st.text(max_size=50), st.integers(0, 300), st.integers(0, 300))
    def test_read(self, text: str, offset: int, size: int) -> None:
        """Any window, also one beyond the end, holds the octets that stand there."""
        self.assertEqual(TextPayload(text).read(offset, size), text.encode()[offset : offset + size])

    def test_close(self) -> None:
        """Closing twice is allowed."""
        payload = TextPayload("text")
        payload.close()
        payload.close()
