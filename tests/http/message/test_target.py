"""Tests of `pixelboot.http.message.target`: paths that are names, and queries."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.message.target import MOST_VALUES, parse_target
from pixelboot.malformed import Malformed

LATIN = st.text(st.characters(max_codepoint=255), max_size=60)


class TargetTest(SynchronousTestCase):
    """The path."""

    def test_good(self) -> None:
        cases: dict[str, tuple[str, ...]] = {
            "/": ("",),
            "/boot.ipxe?mac=02:aa:00:00:00:01": ("boot.ipxe",),
            "/containers/": ("containers", ""),
            "//boot.ipxe": ("", "boot.ipxe"),
            "/a%20b/%C3%A9": ("a b", "é"),
            "/a?b/../c": ("a",),
            "/a%3Fb": ("a?b",),
            "/...": ("...",),
            "http://10.77.0.1:8080/menu.ipxe": ("menu.ipxe",),
            "HTTP://name": ("",),
            "http://name?x": ("",),
        }
        for target, segments in cases.items():
            self.assertEqual(parse_target(target).path, segments, target)

    def test_hostile(self) -> None:
        """H33."""
        for target in (
            "", "*", "boot.ipxe", "name:80", "ftp://name/a", "http:///a", "http:/a", "file:///etc/passwd",
            "/..", "/../etc/passwd", "/containers/../../etc/passwd", "/./a", "/%2e%2e/a", "/%2E%2e/a", "/.%2e/a",
            "/..%2fetc", "/a%2Fb", "/%5c..", "/..\\a", "/a%00.png", "/a\x00", "/%0d%0aX:%20y", "/%7f",
            "/%", "/%2", "/%zz", "/%c0%ae%c0%ae/a", "/%e0%80%ae", "/%ed%a0%80", "/%ff", "/\xff", "http://name/..",
        ):  # fmt: skip
            with self.assertRaises(Malformed, msg=target):
                parse_target(target)


class QueryTest(SynchronousTestCase):
    """The query."""

    def test_values(self) -> None:
        query = parse_target("/boot.ipxe?mac=02%3aaa&uuid=&mac=x&%e9=%E9").query
        self.assertEqual(query, {"mac": ["02:aa", "x"], "uuid": [""], "\xe9": ["\xe9"]})
        self.assertEqual(parse_target("/").query, {})
        self.assertEqual(parse_target("http://a/b?c=d").query, {"c": ["d"]})

    def test_too_many(self) -> None:
        """A query that nobody means is none."""
        self.assertEqual(len(parse_target("/?" + "a&" * (MOST_VALUES - 1) + "a").query["a"]), MOST_VALUES)
        self.assertEqual(parse_target("/?" + "a&" * MOST_VALUES + "a").query, {})


class AnythingTest(SynchronousTestCase):
    """Whatever the text."""

    @given(LATIN | st.text(max_size=40))
    def test_any_text(self, text: str) -> None:
        for target in (text, "/" + text, "/?" + text):
            with contextlib.suppress(Malformed):
                self.assertIsInstance(parse_target(target).query, dict)

    @given(LATIN)
    def test_segments_are_names(self, text: str) -> None:
        """What gets through cannot leave a folder, end a line or end a string."""
        try:
            segments = parse_target("/" + text).path
        except Malformed:
            return
        for segment in segments:
            self.assertNotIn(segment, (".", ".."))
            self.assertFalse(set(segment) & set("/\\\0\r\n"))
