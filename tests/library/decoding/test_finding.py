"""Tests of `pixelboot.library.decoding.finding`."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.decoding.finding import LINE_LIMIT, Finding, FoundPart
from pixelboot.malformed import Malformed

HASH = "ab" * 32
READY = Finding(
    "ready",
    HASH,
    "",
    "Demo",
    "a\nb",
    "debian",
    "x86_64",
    "6.1.0",
    "quiet ü",
    (FoundPart("kernel", 5, HASH), FoundPart("initrd", 0, HASH)),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


class TestFinding(SynchronousTestCase):
    """The lines of a decoder."""

    def test_both_ways(self) -> None:
        for finding in (Finding(), Finding("damaged", reason="why"), READY):
            line = finding.write()
            self.assertEqual(Finding.read(line), finding)
            self.assertEqual((line[-1:], line.count(b"\n"), line.isascii()), (b"\n", 1, True), "one line")

    @given(TEXTS, TEXTS)
    def test_any_text_both_ways(self, name: str, reason: str) -> None:
        finding = Finding("damaged", name=name, reason=reason)
        self.assertEqual(Finding.read(finding.write()), finding)

    def test_the_longest_is_a_line(self) -> None:
        text = "\U0001f600" * 1024
        longest = Finding("ready", HASH, text, text, text, text, text, text, text * 4)
        self.assertLess(len(longest.write()), LINE_LIMIT)

    def test_parts_by_name(self) -> None:
        self.assertEqual(READY.part("kernel"), FoundPart("kernel", 5, HASH))
        self.assertIsNone(READY.part("dtb"))

    def test_nonsense(self) -> None:
        table = json.loads(READY.write())
        kernel = table["parts"][0]
        cases: list[object] = [
            *([], None, {}, {"state": "ready"}, table | {"more": 1}),
            *(table | {"state": "fine"}, table | {"state": 1}, table | {"name": None}, table | {"reason": 5}),
            *(
                table | {"sha256": "ab"},
                table | {"sha256": HASH.upper()},
                table | {"parts": {}},
                table | {"parts": [5]},
            ),
            *(table | {"parts": [kernel | changed]} for changed in ({"name": "../x"}, {"size": -1}, {"size": "5"})),
            *(table | {"parts": [kernel | changed]} for changed in ({"sha256": "x"}, {"more": 1}, {"sha256": None})),
        ]
        for case in cases:
            self.assertRaises(Malformed, Finding.read, json.dumps(case).encode())
        for line in (b"", b"x", b"[" * 5000, b"\xff", b" " * (LINE_LIMIT + 1)):
            self.assertRaises(Malformed, Finding.read, line)
        whole = READY.write()
        for size in range(len(whole) - 1):
            self.assertRaises(Malformed, Finding.read, whole[:size])
