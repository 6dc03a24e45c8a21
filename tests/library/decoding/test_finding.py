"""Tests of `pixelboot.library.decoding.finding`."""

from __future__ import annotations

import json
from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.decoding.finding import LINE_LIMIT, ROLES, Finding, FoundPart
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
    (FoundPart("kernel", 5, HASH, "bzImage"), FoundPart("initrd", 0, HASH)),
    "PixelRTS-2.0",
    "boot",
    HASH,
    HASH,
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
AT = {field.name: number for number, field in enumerate(fields(Finding))}


class TestFinding(SynchronousTestCase):
    """The lines of a decoder."""

    def test_both_ways(self) -> None:
        for finding in (Finding(), Finding("damaged", reason="why"), Finding("unbootable"), READY):
            line = finding.write()
            self.assertEqual(Finding.read(line), finding)
            self.assertEqual((line[-1:], line.count(b"\n"), line.isascii()), (b"\n", 1, True), "one line")

    @given(TEXTS, TEXTS, TEXTS)
    def test_any_text_both_ways(self, name: str, reason: str, label: str) -> None:
        finding = Finding("damaged", name=name, reason=reason, parts=(FoundPart("disk", 1, "", label),))
        self.assertEqual(Finding.read(finding.write()), finding)

    def test_the_longest_is_a_line(self) -> None:
        text = "\U0001f600" * 1024
        parts = tuple(FoundPart(name, 1 << 61, HASH, text) for name in ROLES)
        labels = dict.fromkeys(
            ("name", "description", "distro", "architecture", "kernel_version", "format", "type"), text
        )
        hexes = dict.fromkeys(("sha256", "key", "signer", "payload_signer"), HASH)
        longest = Finding("ready", reason=text, cmdline=text * 4, parts=parts, **labels, **hexes)
        self.assertEqual(Finding.read(longest.write()), longest)

    def test_parts_by_name(self) -> None:
        self.assertEqual(READY.part("kernel"), FoundPart("kernel", 5, HASH, "bzImage"))
        self.assertIsNone(READY.part("dtb"))

    def test_nonsense(self) -> None:
        table = json.loads(READY.write())
        kernel = table[AT["parts"]][0]

        def with_field(name: str, *values: object) -> list[object]:
            return [[value if number == AT[name] else each for number, each in enumerate(table)] for value in values]

        def with_kernel(at: int, *values: object) -> list[object]:
            return with_field("parts", *([[*kernel[:at], value, *kernel[at + 1 :]]] for value in values))

        cases: list[object] = [
            *([], None, {}, 5, "", table[1:], [*table, ""], [[]] * len(table), [None] * len(table)),
            *with_field("state", "fine", 1, None, [], {}),
            *(case for name in ("name", "reason", "cmdline", "type") for case in with_field(name, None, 5, [], True)),
            *(
                case
                for name in ("sha256", "key", "signer")
                for case in with_field(name, "ab", HASH.upper(), f"{HASH}\n")
            ),
            *with_field("parts", {}, [5], [[]], [kernel[:-1]], [[*kernel, 1]], ""),
            *with_kernel(0, "../x", "", None, [], "KERNEL"),
            *with_kernel(1, -1, "5", 5.0, True, None, 1 << 62),
            *with_kernel(2, "x", None, 5),
            *with_kernel(3, None, 5, []),
        ]
        for case in cases:
            self.assertRaises(Malformed, Finding.read, json.dumps(case).encode())
        halves = (READY.write().replace(b"Demo", half) for half in (b"\\ud800", b"\\uDfff", b"\xc3\xbc"))
        for line in (b"", b"x", b"[" * 5000, b"\xff", b" " * (LINE_LIMIT + 1), *halves):
            self.assertRaises(Malformed, Finding.read, line)
        whole = READY.write()
        for size in range(len(whole) - 1):
            self.assertRaises(Malformed, Finding.read, whole[:size])

    @given(st.binary(max_size=200))
    def test_any_octets(self, line: bytes) -> None:
        for octets in (line, b'["ready",' + line):
            try:
                finding = Finding.read(octets)
            except Malformed:
                continue
            self.assertEqual(Finding.read(finding.write()), finding)
