"""Tests of `pixelboot.container.table`."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.container import table
from pixelboot.container.table import Damaged, Part

HASH = "ab" * 32
OTHER = "cd" * 32

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def parts(room: int | None = 256, **fields: Any) -> tuple[Part, ...]:
    """The parts that these fields name in a payload of this size."""
    return table.parts(fields, room)


class TestRead(SynchronousTestCase):
    """The text as a JSON object."""

    def test_with_the_letters_and_without(self) -> None:
        for text, expected in [
            (b'PixelRTS{"a":1}', {"a": 1}),
            (b'PixelRTS  {"a":1}', {"a": 1}),
            (b'{\n  "a": 1\n}\n', {"a": 1}),
            (b'\xef\xbb\xbf{"a":"\xc3\xa9"}', {"a": "é"}),
            (b'{"a":"\xe9"}', {"a": "é"}),
            (b"{}", {}),
        ]:
            self.assertEqual(table.read(text), expected, repr(text))

    def test_hostile_json(self) -> None:
        cases = [
            (b"", "not JSON"),
            (b"PixelRTS", "not JSON"),
            (b"PixelRTS[]", "not a JSON object"),
            (b"PixelRTS{}x", "not JSON"),
            (b"\xff\xfe{", "not JSON"),
            (b'{"data_size":NaN}', "NaN is not a number"),
            (b'{"cmdline":"quiet","cmdline":"init=/bin/sh"}', "says 'cmdline' twice"),
            (b'{"segments":{"a":{"size":1,"\\u0073ize":2}}}', "says 'size' twice"),
            (b'{"data_size":-Infinity}', "-Infinity is not a number"),
            (b'{"data_size":' + b"9" * 5000 + b"}", "5000 digits"),
            (b'{"x":' + b"[" * 50_000, "nested too deeply"),
            (b'{"segments":' * 80_000, "nested too deeply"),
            (b'{"x":' + b"[" * 4_000_000, "more than 100000 values"),
            (b'{"a":{},' * 500_000, "more than 100000 values"),
            (b'{"x":"' + b"a" * table.TEXT_LIMIT + b'"}', "at most 4194304 are read"),
        ]
        for text, reason in cases:
            self.assertIn(reason, str(self.assertRaises(Damaged, table.read, text)), repr(text[:40]))

    def test_the_worst_text_takes_little(self) -> None:
        """As many values as are read, of the kind that takes the most memory for its text, and long texts."""
        values = b'{"x":[' + b"[],[]," * 24_990 + b'0],"y":"'
        text = values + b"\\u1234" * ((table.TEXT_LIMIT - len(values) - 2) // 6) + b'"}'
        tracemalloc.start()
        started_at = time.process_time()
        try:
            self.assertEqual(len(table.read(text)["x"]), 49_981)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.assertLess(peak, 32 << 20)
        self.assertLess(time.process_time() - started_at, 5)

    @given(st.binary(max_size=60))
    def test_any_octets_are_a_value_or_damaged(self, octets: bytes) -> None:
        for text in (octets, b"PixelRTS" + octets, b'PixelRTS{"name":"' + octets + b'"}'):
            try:
                self.assertIsInstance(table.read(text), dict)
            except Damaged as error:
                self.assertTrue(str(error))

    def test_canonical(self) -> None:
        found = {"b": [1, {"z": None, "a": "é"}], "signature": {"x": 1}, "a": {"signature": 2.5}}
        self.assertEqual(table.canonical(found), b'{"a":{"signature":2.5},"b":[1,{"a":"\\u00e9","z":null}]}')
        deep: Any = {}
        for _ in range(5000):
            deep = {"a": deep}
        self.assertIn("nested", str(self.assertRaises(Damaged, table.canonical, deep)))


class TestParts(SynchronousTestCase):
    """Every spelling of the table of parts."""

    def test_spellings(self) -> None:
        kernel, initrd = Part("kernel", 0, 100, HASH, "kernel"), Part("initrd", 100, 50, OTHER, "initrd")
        two = {"offset": 0, "size": 9}
        cases: list[tuple[str, dict[str, Any], int | None, tuple[Part, ...]]] = [
            ("no table", {}, 256, ()),
            ("null tables", {"offsets": None, "segments": None, "hashes": None}, 7, ()),
            ("no position", {"segments": {"x": {"type": "kernel"}}}, 256, (Part("x", 0, 256, role="kernel"),)),
            ("only a size", {"segments": {"x": {"size": 9}}}, 9, (Part("x", 0, 9),)),
            ("start and end", {"offsets": {"x": {"start": 3, "end": 9}}}, 9, (Part("x", 3, 6),)),
            ("upper-case hash", {"segments": {"x": {"sha256": HASH.upper()}}}, 8, (Part("x", 0, 8, HASH),)),
            ("to be measured", {"segments": {"x": {"type": "initrd"}}}, None, (Part("x", 0, 0, role="initrd"),)),
            ("no room known", {"offsets": {"x": {"start": 3, "end": 1 << 40}}}, None, (Part("x", 3, (1 << 40) - 3),)),
            (
                "both tables, each saying half, the later part first",
                {
                    "offsets": {"initrd": {"start": 100, "end": 150}, "kernel": {"start": 0, "end": 100, "size": 100}},
                    "segments": {"kernel": {"offset": 0, "sha256": HASH}},
                    "hashes": {"initrd": OTHER, "elsewhere": 5},
                },
                150,
                (kernel, initrd),
            ),
            (
                "a gap, and octets behind the last part",
                {"segments": {"a": {"offset": 4, "size": 4}, "b": {"offset": 10, "size": 2}}},
                99,
                (Part("a", 4, 4), Part("b", 10, 2)),
            ),
            (
                "a name of any characters, as containers have them, and a half of a pair that nobody can write down",
                {"segments": {"My\n\u202e${x}": two, "\ud800": two | {"offset": 9}}, "hashes": {"\ud800": HASH}},
                18,
                (Part("My\n\u202e${x}", 0, 9), Part("?", 9, 9, HASH)),
            ),
            ("an empty part", {"segments": {"a": {"offset": 7, "size": 0}}}, 7, (Part("a", 7, 0),)),
            ("unknown keys", {"segments": {"a": {"size": 7, "type": 5, "flags": [1]}}}, 7, (Part("a", 0, 7),)),
        ]
        for case, fields, room, expected in cases:
            self.assertEqual(parts(room, **fields), expected, case)

    def test_roles(self) -> None:
        for name, role in [
            *(("kernel", "kernel"), ("vmlinuz", "kernel"), ("vmlinux", "kernel"), ("bzImage", "kernel")),
            *(("initrd", "initrd"), ("initramfs", "initrd"), ("initrd.img", "initrd"), ("dtb", "dtb")),
            *(("disk", "disk"), ("rootfs", "rootfs"), ("../kernel", None), ("payload", None)),
        ]:
            self.assertEqual([part.role for part in parts(segments={name: {"size": 1}})], [role], name)
        for case, types, expected in [
            ("types", {"a": "vmlinuz", "b": "initrd"}, ["kernel", "initrd"]),
            ("a name before a type", {"kernel": "initrd", "b": "initrd"}, ["kernel", "initrd"]),
            ("a name counts, another's type does not", {"a": "kernel", "kernel": "x"}, [None, "kernel"]),
            ("two of one type are neither", {"a": "kernel", "b": "bzImage", "c": "dtb"}, [None, None, "dtb"]),
            ("no role", {"a": "", "b": "firmware"}, [None, None]),
        ]:
            entries = {name: {"offset": i, "size": 1, "type": kind} for i, (name, kind) in enumerate(types.items())}
            self.assertEqual([part.role for part in parts(segments=entries)], expected, case)

    def test_reasons(self) -> None:
        two = {"offset": 0, "size": 9}
        huge = 1 << 62
        cases: list[tuple[dict[str, Any], str]] = [
            ({"segments": []}, "segments is not a JSON object"),
            ({"segments": {"kernel": 5}}, "part 'kernel' is not a JSON object"),
            ({"hashes": [HASH]}, "hashes is not a JSON object"),
            ({"segments": {"kernel": two}, "hashes": {"kernel": ""}}, "hash of part 'kernel' is not a SHA-256"),
            ({"segments": {"": two}}, "a part has no name"),
            ({"segments": {"\ud800": two, "?": {"offset": 9, "size": 1}}}, "contradicts itself about part '?'"),
            ({"segments": {"a": two, "b": {"size": 3}}}, "part 'b' has no position"),
            ({"segments": {"a": {"offset": 250, "size": 7}}}, "runs past the end"),
            ({"segments": {"a": {"offset": 300}}}, "runs past the end"),
            ({"segments": {"a": {"offset": 0, "size": huge}}}, "which cannot be"),
            ({"segments": {"a": {"offset": huge - 1, "size": huge - 1}}}, "runs past the end"),
            ({"segments": {"a": {"offset": -4, "size": 8}}}, "which cannot be"),
            ({"segments": {"a": {"offset": 0.0, "size": 8}}}, "offset of part 'a' is not a whole number"),
            ({"segments": {"a": {"offset": "0", "size": 8}}}, "offset of part 'a' is not a whole number"),
            ({"segments": {"a": {"offset": True, "size": 8}}}, "offset of part 'a' is not a whole number"),
            ({"segments": {"a": two, "b": {"offset": 8, "size": 3}}}, "part 'b' overlaps"),
            ({"segments": {"a": two, "b": two}}, "overlaps"),
            ({"segments": {"a": {"start": 5, "end": 4}}}, "ends before it starts"),
            ({"segments": {"a": {"end": 4}}}, "ends before it starts"),
            ({"segments": {"a": {"start": 0, "end": 4, "size": 5}}}, "contradicts itself about part 'a'"),
            ({"segments": {"a": {"start": 0, "offset": 4, "size": 5}}}, "contradicts itself"),
            ({"segments": {"a": two}, "offsets": {"a": {"start": 1, "end": 9}}}, "contradicts itself"),
            ({"segments": {"a": two | {"sha256": HASH}}, "hashes": {"a": OTHER}}, "contradicts itself"),
            (
                {"segments": {"kernel": two, "vmlinuz": {"offset": 9, "size": 1}}},
                "more than one part is the kernel: 'kernel', 'vmlinuz'",
            ),
            ({"segments": {"dtb": two, "DTB": {"offset": 9, "size": 1}}}, "more than one part is the dtb"),
            ({"segments": {f"p{i}": {"offset": i, "size": 1} for i in range(65)}}, "65 parts"),
            (
                {name: {f"{name}{i}": {"offset": 0, "size": 0} for i in range(40)} for name in ("offsets", "segments")},
                "80 parts",
            ),
            ({"segments": {f"p{i}": {} for i in range(60_000)}}, "60000 parts"),
        ]
        for fields, reason in cases:
            error = self.assertRaises(Damaged, parts, **fields)
            self.assertIn(reason, str(error), str(fields)[:80])
            self.assertLess(len(str(error)), 300, str(fields)[:80])
        for entries in ({"a": {"size": 0}}, {"a": two, "b": {"offset": 9}}):
            error = self.assertRaises(Damaged, parts, None, segments=entries)
            self.assertIn("has no size", str(error), str(entries))

    @settings(max_examples=60)
    @given(
        st.dictionaries(
            st.sampled_from(["offsets", "segments", "hashes"]),
            JSON
            | st.dictionaries(
                st.sampled_from(["kernel", "b", "c"]),
                JSON
                | st.dictionaries(
                    st.sampled_from(["offset", "start", "end", "size", "sha256", "type"]),
                    st.integers(-1, 300) | st.sampled_from([HASH, "kernel", None]) | JSON,
                ),
            ),
        ),
        st.none() | st.integers(0, 300),
    )
    def test_any_json_is_a_table_or_damaged(self, fields: dict[str, Any], room: int | None) -> None:
        fields = json.loads(json.dumps(fields))
        try:
            found = table.parts(fields, room)
        except Damaged:
            return
        reached = 0
        for part in found:
            self.assertTrue(reached <= part.offset <= part.end, fields)
            self.assertTrue(room is None or part.end <= room, fields)
            reached = part.end
        roles = [part.role for part in found if part.role]
        self.assertEqual(len(roles), len(set(roles)), fields)
