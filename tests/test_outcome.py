"""Tests of `pixelboot.outcome`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.outcome import Outcome, pace, printable, quantity


@dataclass(frozen=True, slots=True)
class Sunk(Outcome):
    """An outcome of a service that there is not."""

    service: ClassVar[str] = "navy"

    ship: str

    def summary(self) -> str:
        return f"{self.ship} sunk"


class OutcomeTests(SynchronousTestCase):
    """The base of all outcomes."""

    def test_counter(self) -> None:
        """The counter is named by service and kind, whatever the outcome holds."""
        self.assertEqual(Sunk.counter(), "navy.Sunk")
        self.assertEqual(Sunk("Vasa").counter(), "navy.Sunk")

    def test_needs_a_summary(self) -> None:
        """An outcome that says nothing cannot be made."""
        self.assertRaises(TypeError, cast("Any", Outcome))


class PrintableTests(SynchronousTestCase):
    """Untrusted text on its way to a log line."""

    def test_table(self) -> None:
        """What could move the cursor, begin a line or turn the direction of writing is escaped."""
        for text, safe in [
            ("", ""),
            ("node 1, größer, 機械", "node 1, größer, 機械"),
            ("two\nlines\r", "two\\nlines\\r"),
            ("\x1b[2J", "\\x1b[2J"),
            ("\0\x7f\x9b", "\\x00\\x7f\\x9b"),
            ("\u202eevil\u2066", "\\u202eevil\\u2066"),
            ("\u2028\u2029\x85", "\\u2028\\u2029\\x85"),
            ("\ud800", "\\ud800"),
            ("\U000e0041", "\\U000e0041"),
            ("{braces} %s", "{braces} %s"),
        ]:
            self.assertEqual(printable(text), safe, ascii(text))

    def test_cut(self) -> None:
        """Text beyond the limit is left out, visibly."""
        self.assertEqual(printable("abcdef", 5), "abcde…")
        self.assertEqual(printable("abcde", 5), "abcde")
        self.assertLess(len(printable("\U000e0041" * 1_000_000)), 200 * 10 + 2)

    @given(st.text(st.characters(), max_size=300), st.integers(0, 300))
    def test_any_text(self, text: str, limit: int) -> None:
        """Whatever comes in, what goes out is one printable line that UTF-8 can write."""
        safe = printable(text, limit)
        self.assertTrue(safe.isprintable(), ascii(safe))
        self.assertLessEqual(len(safe.splitlines()), 1)
        self.assertEqual(safe.encode("utf-8").decode("utf-8"), safe)


class QuantityTests(SynchronousTestCase):
    """Amounts, for a person to read."""

    def test_quantity(self) -> None:
        """Decimal prefixes, one digit behind the point, and never 1000 of anything but the largest."""
        for octets, text in (
            (0, "0 octets"),
            (999, "999 octets"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (2.5e12, "2500.0 GB"),
        ):
            self.assertEqual(quantity(octets), text)

    def test_pace(self) -> None:
        """There is no rate where the time is too short to tell one."""
        for octets, seconds, text in (
            (14_200_000, 0.8, "14.2 MB in 0.80 s (17.8 MB/s)"),
            (14_200_000, 0.009, "14.2 MB in 0.01 s"),
            (0, 5.0, "0 octets in 5.00 s"),
            (0, 0.0, "0 octets in 0.00 s"),
        ):
            self.assertEqual(pace(octets, seconds), text)
