"""Tests of `pixelboot.http.message.response`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.message.response import compose_head

NOW = 1_750_000_000.5


class HeadTest(SynchronousTestCase):
    """`compose_head`."""

    def test_octets(self) -> None:
        """Status line, date and fields as GRUB and EDK2 read them."""
        head = compose_head(206, (("Content-Length", "5"), ("ETag", '"x"')), NOW, closes=False)
        self.assertEqual(
            head,
            b"HTTP/1.1 206 Partial Content\r\nDate: Sun, 15 Jun 2025 15:06:40 GMT\r\n"
            b'Content-Length: 5\r\nETag: "x"\r\n\r\n',
        )
        self.assertIn(b"\r\nConnection: close\r\n", compose_head(404, (), NOW, closes=True))

    @given(st.text(max_size=20), st.text(max_size=20))
    def test_one_field_stays_one(self, name: str, value: str) -> None:
        """What would be more than a line is refused, whoever it came from."""
        try:
            head = compose_head(200, ((name, value),), NOW, closes=False)
        except ValueError:
            return
        self.assertEqual(len(head.split(b"\n")), 5)
        self.assertEqual(head.count(b"\r"), head.count(b"\r\n"))
