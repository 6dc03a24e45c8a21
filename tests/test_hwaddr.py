"""Tests of `pixelboot.hwaddr`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed

GOOD = [
    ("02:aa:00:00:00:01", b"\x02\xaa\0\0\0\x01"),
    ("02:AA:00:00:00:01", b"\x02\xaa\0\0\0\x01"),
    ("02-aa-00-00-00-01", b"\x02\xaa\0\0\0\x01"),
    ("07", b"\x07"),
    (":".join(["ff"] * 16), b"\xff" * 16),
]

BAD = [
    "",
    ":",
    "2:aa:00:00:00:01",
    "02aa00000001",
    "02:aa:00:00:00:01:",
    ":02:aa:00:00:00:01",
    "02::aa",
    "02:aa:00:00:00:0g",
    " 02:aa:00:00:00:01",
    "02:aa:00:00:00:01\n",
    "02:aa:00:00:00:0١",  # a digit, but not one of ours
    ":".join(["ff"] * 17),
    "ff:" * 100_000,
]


class ParseTests(SynchronousTestCase):
    """From text."""

    def test_good(self) -> None:
        """Either separator and either case, of 1 to 16 octets."""
        for text, octets in GOOD:
            self.assertEqual(HardwareAddress.parse(text).octets, octets, text)

    def test_bad(self) -> None:
        """Anything else is refused, in words that show it."""
        for text in BAD:
            error = self.assertRaises(Malformed, HardwareAddress.parse, text)
            self.assertIn("02:aa:00:00:00:01", str(error), repr(text[:40]))
            self.assertLess(len(str(error)), 300, repr(text[:40]))

    @given(st.text(max_size=60))
    def test_any_text(self, text: str) -> None:
        """Whatever is typed is a value or `Malformed`."""
        try:
            parsed = HardwareAddress.parse(text)
        except Malformed:
            return
        self.assertEqual(str(parsed), text.lower().replace("-", ":"))

    @given(st.binary(min_size=1, max_size=16))
    def test_round_trip(self, octets: bytes) -> None:
        """What is shown is read back, and it can stand in a path or a query as it is."""
        shown = str(HardwareAddress(octets))
        self.assertEqual(HardwareAddress.parse(shown).octets, octets)
        self.assertRegex(shown, r"\A[0-9a-f:]+\Z")


class ValueTests(SynchronousTestCase):
    """As a value."""

    def test_length(self) -> None:
        """1 to 16 octets, as ``hlen`` can say."""
        for size in (0, 17, 255):
            self.assertRaises(Malformed, HardwareAddress, bytes(size))

    def test_is_a_key(self) -> None:
        """Equal octets are one key; order is that of the octets."""
        first, same, last = (HardwareAddress(octets) for octets in (b"\x02\x01", b"\x02\x01", b"\x0a"))
        self.assertEqual(len({first, same, last}), 2)
        self.assertEqual(sorted([last, first]), [first, last])
