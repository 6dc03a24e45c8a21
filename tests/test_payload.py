"""Tests of `pixelboot.payload`."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.payload import Payload, RopePayload, TextPayload, strong_etag


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
            payload: Payload = TextPayload(text)
            tag = self.successResultOf(Deferred.fromCoroutine(payload.etag()))
            self.assertEqual(tag, f'"{hashlib.sha256(text.encode()).hexdigest()}"', repr(text))
            self.assertIs(payload.known_etag, payload.known_etag, "it is made once")
            self.assertEqual(payload.known_etag, tag)

    def test_final(self) -> None:
        """A text does not change."""
        payload: Payload = TextPayload("text")
        payload.verify()
        self.assertTrue(payload.is_final)

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
        self.assertIs(payload.origin, payload)
        payload.close()
        payload.close()


class RopePayloadTests(SynchronousTestCase):
    """A text in pieces."""

    @given(
        st.lists(st.text(st.characters(codec="ascii"), max_size=9), max_size=9), st.integers(0, 90), st.integers(0, 90)
    )
    def test_read(self, pieces: list[str], offset: int, size: int) -> None:
        """Any window holds what stands there, wherever the pieces end."""
        rope: Payload = RopePayload(pieces, "text/plain", "ab" * 32)
        octets = "".join(pieces).encode("ascii")
        self.assertEqual(rope.size, len(octets))
        self.assertEqual(rope.read(offset, size), octets[offset : offset + size])

    def test_about(self) -> None:
        """Its tag is made of the digest that it was given; it has neither age nor descriptor, and can be closed."""
        rope: Payload = RopePayload(["a", "b"], "application/json", "ab" * 32)
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(rope.etag())), strong_etag("ab" * 32))
        self.assertEqual((rope.known_etag, rope.is_final), (strong_etag("ab" * 32), True))
        rope.verify()
        self.assertEqual((rope.media_type, rope.modified_at), ("application/json", None))
        self.assertIsNone(rope.fileno())
        self.assertIs(rope.origin, rope)
        rope.close()
        self.assertEqual(rope.read(0, 9), b"ab")
