"""Field values: each form of RFC 9110 and 9112, and anything else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.message.fields import (
    EntityTag,
    RangeSpec,
    check_host,
    format_date,
    parse_date,
    parse_entity_tag,
    parse_entity_tags,
    parse_range,
)
from pixelboot.malformed import Malformed

NOW = 1_750_000_000.0
LATIN = st.text(st.characters(max_codepoint=255), max_size=60)


class RangeTest(SynchronousTestCase):
    """`parse_range`."""

    def test_good(self) -> None:
        cases: dict[str, tuple[RangeSpec, ...]] = {
            "bytes=0-0": (RangeSpec(0, 0),),
            "bytes=995-": (RangeSpec(995, None),),
            "bytes=-5": (RangeSpec(None, 5),),
            "Bytes=1-2": (RangeSpec(1, 2),),
            "bytes=0001-0002": (RangeSpec(1, 2),),
            "bytes=, 0-0 ,\t5-9,": (RangeSpec(0, 0), RangeSpec(5, 9)),
            "bytes=-0": (RangeSpec(None, 0),),
            f"bytes=5-{'9' * 30}": (RangeSpec(5, 10**20),),
            f"bytes={'9' * 6000}-": (RangeSpec(10**20, None),),
        }
        for text, specs in cases.items():
            self.assertEqual(parse_range(text), specs, text)

    def test_malformed(self) -> None:
        digits = "9" * 30
        cases = (
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=a-b",
            "bytes=u-u",
            "bytes=5-4",
            "bytes=-",
            "bytes=1",
            "items=0-1",
        )
        for text in (
            *cases,
            "bytes =0-1",
            "bytes=0 -1",
            "bytes=0-1;",
            "bytes=٣-٤",
            f"bytes={digits}1-{digits}0",
            "bytes=+1-2",
        ):
            with self.assertRaises(Malformed, msg=text):
                parse_range(text)


class EntityTagTest(SynchronousTestCase):
    """`parse_entity_tags` and the two comparisons."""

    def test_good(self) -> None:
        cases: dict[str, tuple[EntityTag, ...] | None] = {
            "*": None,
            " * ": None,
            '"a"': (EntityTag("a", False),),
            'W/"a"': (EntityTag("a", True),),
            '""': (EntityTag("", False),),
            '"a,b", "c"': (EntityTag("a,b", False), EntityTag("c", False)),
            ', "a" ,, W/"b" ,': (EntityTag("a", False), EntityTag("b", True)),
            '"\xff!#"': (EntityTag("\xff!#", False),),
        }
        for text, tags in cases.items():
            self.assertEqual(parse_entity_tags(text), tags, text)

    def test_malformed(self) -> None:
        for text in (
            "",
            ",",
            "a",
            '"a',
            'w/"a"',
            '"a" "b"',
            '"a""b"',
            '"a" x',
            '"a", *',
            '"a b"',
            'W/ "a"',
            '"a"\t"b"',
        ):
            with self.assertRaises(Malformed, msg=text):
                parse_entity_tags(text)
        for text in ("*", '"a", "b"', ""):
            with self.assertRaises(Malformed, msg=text):
                parse_entity_tag(text)

    def test_comparison(self) -> None:
        # RFC 9110 §8.8.3.2, the table there.
        cases = (
            ('W/"1"', 'W/"1"', False, True),
            ('W/"1"', 'W/"2"', False, False),
            ('W/"1"', '"1"', False, True),
            ('"1"', '"1"', True, True),
        )
        for one, other, strong, weak in cases:
            a, b = parse_entity_tag(one), parse_entity_tag(other)
            self.assertEqual((a.strongly_equals(b), a.weakly_equals(b)), (strong, weak), (one, other))


class DateTest(SynchronousTestCase):
    """`parse_date` and `format_date`."""

    def test_three_forms(self) -> None:
        # RFC 9110 §5.6.7 gives this moment in all of them.
        for text in ("Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"):
            self.assertEqual(parse_date(text, NOW), 784111777, text)
        self.assertEqual(format_date(784111777.9), "Sun, 06 Nov 1994 08:49:37 GMT")

    def test_century(self) -> None:
        """A two-digit year more than 50 years ahead is in the past; `NOW` is in 2025."""
        for year, full in (("74", 2074), ("75", 2075), ("76", 1976), ("99", 1999), ("00", 2000)):
            at = parse_date(f"Monday, 01-Jan-{year} 00:00:00 GMT", NOW)
            self.assertIn(f" {full} ", format_date(at), year)

    def test_leap_second(self) -> None:
        last = parse_date("Sat, 31 Dec 2016 23:59:59 GMT", NOW)
        self.assertEqual(parse_date("Sat, 31 Dec 2016 23:59:60 GMT", NOW), last)

    def test_malformed(self) -> None:
        for text in (
            "",
            "0",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "sun, 06 nov 1994 08:49:37 gmt",
            "Sun, 06 Nov 0000 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sunday, 00-Nov-94 08:49:37 GMT",
            "Sun Nov 06 8:49:37 1994",
        ):
            with self.assertRaises(Malformed, msg=text):
                parse_date(text, NOW)

    @given(st.integers(0, 253_402_300_799))
    def test_round_trip(self, at: int) -> None:
        self.assertEqual(parse_date(format_date(at), NOW), at)


class HostTest(SynchronousTestCase):
    """`check_host`."""

    def test_h22_host(self) -> None:
        good: tuple[tuple[str, tuple[str, ...]], ...] = (
            ("HTTP/1.1", ("name",)),
            ("HTTP/1.1", ("10.77.0.1:8080",)),
            ("HTTP/1.1", ("[fd77::1]:80",)),
            ("HTTP/1.1", ("",)),
            ("HTTP/1.0", ()),
        )
        for version, hosts in good:
            check_host(version, hosts)
        bad: tuple[tuple[str, tuple[str, ...]], ...] = (
            ("HTTP/1.1", ()),
            ("HTTP/1.1", ("a", "a")),
            ("HTTP/1.0", ("a", "b")),
            ("HTTP/1.1", ("a b",)),
            ("HTTP/1.1", ("a/b",)),
            ("HTTP/1.1", ("u@a",)),
            ("HTTP/1.1", ("a:80:81",)),
        )
        for version, hosts in bad:
            with self.assertRaises(Malformed, msg=hosts):
                check_host(version, hosts)


class AnythingTest(SynchronousTestCase):
    """Whatever the text, a parser returns or raises `Malformed`."""

    @given(LATIN | st.text(max_size=40))
    def test_any_text(self, text: str) -> None:
        parsers: tuple[Callable[[str], object], ...] = (
            parse_range,
            lambda t: parse_range("bytes=" + t),
            parse_entity_tag,
            parse_entity_tags,
            lambda t: parse_date(t, NOW),
            lambda t: check_host("HTTP/1.1", (t,)),
        )
        for parse in parsers:
            with contextlib.suppress(Malformed):
                parse(text)
