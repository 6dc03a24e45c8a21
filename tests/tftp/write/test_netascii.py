"""Tests of `pixelboot.tftp.write.netascii`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp.write.netascii import NetasciiDecoder


def decoded(octets: bytes, sizes: list[int]) -> bytes:
    """What becomes of it in pieces of these sizes, the last of which is the rest."""
    decoder, text = NetasciiDecoder(), b""
    for size in sizes:
        text += decoder.decode(octets[:size])
        octets = octets[size:]
    return text + decoder.decode(octets, last=True)


class NetasciiTests(SynchronousTestCase):
    """Text that arrives."""

    def test_t05_table(self) -> None:
        """What each sequence means, wherever it is cut; what is no netascii is not lost."""
        for octets, text in (
            (b"", b""),
            (b"a\r\nb", b"a\nb"),
            (b"a\r\0b", b"a\rb"),
            (b"\r\0\n", b"\r\n"),
            (b"\r\r\n", b"\r\n"),
            (b"\r\r\0", b"\r\r"),
            (b"\r\n\0", b"\n\0"),
            (b"a\rb\nc\0d\r", b"a\rb\nc\0d\r"),
        ):
            for at in range(len(octets) + 1):
                self.assertEqual(decoded(octets, [at]), text, (octets, at))

    @given(st.lists(st.sampled_from([b"\r", b"\n", b"\0", b"a"])), st.lists(st.integers(0, 5)))
    def test_t05_the_way_back(self, pieces: list[bytes], sizes: list[int]) -> None:
        """What netascii made of a text becomes that text again, however it was cut."""
        text = b"".join(pieces)
        self.assertEqual(decoded(text.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n"), sizes), text)
