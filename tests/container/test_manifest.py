"""Tests of `pixelboot.container.manifest`."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.container import manifest
from pixelboot.container.manifest import Damaged, Labels, Manifest, Part

HASH = "ab" * 32
OTHER = "cd" * 32

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
LINES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp", "Zs", "Cn", "Co"]), max_size=50)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = [
    *("format", "format_version", "version", "grid_size", "encoding", "encoding_mode", "data_size", "data_hash"),
    *("offsets", "segments", "hashes", "compression", "encoded_size", "original_data_b64", "original_rts", "cmdline"),
    *("name", "description"),
]


def parse(side: int = 8, **fields: Any) -> Manifest:
    """A description with these fields, read."""
    return manifest.parse(b"PixelRTS" + json.dumps(fields).encode("ascii"), side)


class TestReading(SynchronousTestCase):
    """Every spelling of a good description."""

    def test_spellings_of_parts(self) -> None:
        whole = (Part("kernel", 0, 256),)
        two = (Part("kernel", 0, 100, HASH), Part("initrd", 100, 50, OTHER))
        cases: list[tuple[str, dict[str, Any], int, tuple[Part, ...]]] = [
            ("no table", {}, 256, ()),
            ("no table, but a size", {"data_size": 7}, 7, ()),
            ("null tables", {"offsets": None, "segments": None, "hashes": None, "data_size": 7}, 7, ()),
            ("no position", {"segments": {"kernel": {"type": "kernel"}}}, 256, whole),
            ("only a size", {"segments": {"kernel": {"size": 9}}, "data_size": 9}, 9, (Part("kernel", 0, 9),)),
            ("start and end", {"offsets": {"kernel": {"start": 3, "end": 9}}}, 9, (Part("kernel", 3, 6),)),
            (
                "upper-case hash",
                {"segments": {"kernel": {"sha256": HASH.upper()}}},
                256,
                (Part("kernel", 0, 256, HASH),),
            ),
            (
                "both tables, each saying half, the later part first",
                {
                    "offsets": {"initrd": {"start": 100, "end": 150}, "kernel": {"start": 0, "end": 100, "size": 100}},
                    "segments": {"kernel": {"offset": 0, "sha256": HASH}},
                    "hashes": {"initrd": OTHER, "elsewhere": 5},
                },
                150,
                two,
            ),
            (
                "a gap, and octets behind the last part",
                {"segments": {"a": {"offset": 4, "size": 4}, "b": {"offset": 10, "size": 2}}, "data_size": 99},
                99,
                (Part("a", 4, 4), Part("b", 10, 2)),
            ),
            ("an empty part", {"segments": {"a": {"offset": 7, "size": 0}}, "data_size": 7}, 7, (Part("a", 7, 0),)),
        ]
        for case, fields, size, parts in cases:
            found = parse(**fields)
            self.assertEqual((found.size, found.parts), (size, parts), case)

    def test_roles(self) -> None:
        for name, role in [
            *(("kernel", "kernel"), ("vmlinuz", "kernel"), ("vmlinux", "kernel"), ("bzImage", "kernel")),
            *(("initrd", "initrd"), ("initramfs", "initrd"), ("initrd.img", "initrd")),
            *(("rootfs", None), ("disk", None), ("dtb", None), ("../kernel", None)),
        ]:
            self.assertEqual(Part(name, 0, 1).role, role, name)
        found = parse(segments={"bzImage": {"offset": 0, "size": 9}})
        self.assertEqual(found.part("kernel"), Part("bzImage", 0, 9))
        self.assertIsNone(found.part("initrd"))

    def test_labels(self) -> None:
        cases: list[tuple[dict[str, Any], Labels]] = [
            ({"name": "a\nb", "description": "${x}<script>"}, Labels("a\nb", "${x}<script>")),
            ({"kernel_version": 6.1, "name": None, "distro": 12}, Labels(kernel_version="6.1", distro="12")),
            ({"name": "\ud800x"}, Labels("?x")),
            ({"name": "n" * 2000}, Labels("n" * manifest.LABEL_LIMIT)),
            ({"cmdline": " quiet\n"}, Labels(cmdline="quiet")),
            ({"cmdline": "", "kernel_cmdline": "early"}, Labels(cmdline="early")),
            ({"original_rts": {"kernel_cmdline": "earliest"}}, Labels(cmdline="earliest")),
            ({"cmdline": "today", "kernel_cmdline": "early"}, Labels(cmdline="today")),
        ]
        for fields, labels in cases:
            self.assertEqual(parse(**fields).labels, labels, str(fields)[:80])

    def test_early_texts_are_bare_json(self) -> None:
        for text in (
            b'{\n  "version": 2,\n  "data_size": 7\n}',
            b'PixelRTS  {"data_size":7}',
            b'{"data_size":7,"name":"\xe9"}',
        ):
            self.assertEqual(manifest.parse(text, 4).size, 7, repr(text))

    @given(st.lists(st.integers(0, 9), min_size=1, max_size=5), TEXTS, TEXTS, LINES)
    def test_what_is_written_reads_back(self, sizes: list[int], name: str, distro: str, cmdline: str) -> None:
        parts = []
        offset = 0
        for index, size in enumerate(sizes):
            parts.append(Part(f"part {index}", offset, size, HASH if size else None))
            offset += size
        value = Manifest(8, offset + 1, OTHER, tuple(parts), Labels(name=name, distro=distro, cmdline=cmdline))
        text = manifest.write(value)
        self.assertEqual(manifest.parse(text.encode("ascii"), 8), value)

    def test_the_original_tools_find_their_spelling(self) -> None:
        value = Manifest(4, 30, HASH, (Part("kernel", 0, 10, HASH), Part("initrd", 10, 20, OTHER)), Labels("demo"))
        text = manifest.write(value)
        self.assertTrue(text.startswith('PixelRTS{"format":"PixelRTS-2.0"'), text)
        table = json.loads(text.removeprefix("PixelRTS"))
        entry = {"offset": 10, "start": 10, "end": 30, "size": 20, "sha256": OTHER}
        self.assertEqual((table["offsets"]["initrd"], table["segments"]["initrd"]), (entry, entry))
        self.assertEqual(table["hashes"], {"kernel": HASH, "initrd": OTHER})
        self.assertEqual((table["data_hash"], table["data_size"], table["grid_size"]), (HASH, 30, 4))
        self.assertEqual((table["encoding"]["type"], table["format_version"]), ("RGBA-dense", 2))


class TestDamage(SynchronousTestCase):
    """Every reason to refuse a description."""

    def test_reasons(self) -> None:
        two = {"offset": 0, "size": 9}
        cases: list[tuple[dict[str, Any], str]] = [
            ({"format": "PixelRTS-1.0"}, "format 'PixelRTS-1.0' is not supported"),
            ({"format": ["x"]}, "format a list is not supported"),
            ({"format_version": 3}, "format_version 3"),
            ({"version": 1}, "version 1"),
            ({"encoding": {"type": "RGBA-code"}}, "'RGBA-code' is not supported yet"),
            ({"encoding_mode": "RGBA-code"}, "'RGBA-code' is not supported yet"),
            ({"encoding": "Palette"}, "'Palette' is not supported yet"),
            ({"original_data_b64": "AAAA"}, "code mode is not supported yet"),
            ({"compression": {"type": "zstd-h5"}}, "compressed payload ('zstd-h5') is not supported yet"),
            ({"compression": {"level": 3}}, "compressed payload"),
            ({"compression": "zlib"}, "compressed payload"),
            ({"data_size": 9, "encoded_size": 5}, "encoded_size"),
            ({"encoded_size": [[]]}, "encoded_size is not a whole number"),
            ({"grid_size": 16}, "side 16, this one has side 8"),
            ({"grid_size": "8"}, "grid_size is not a whole number"),
            ({"data_size": 0}, "no payload"),
            ({"data_size": 257}, "does not fit"),
            ({"data_size": -1}, "data_size is -1"),
            ({"data_size": True}, "data_size is not a whole number"),
            ({"data_size": 1e3}, "data_size is not a whole number"),
            ({"data_hash": "abc"}, "data_hash is not a SHA-256"),
            ({"data_hash": 5}, "data_hash is not a SHA-256"),
            ({"segments": []}, "segments is not a JSON object"),
            ({"segments": {"kernel": 5}}, "part 'kernel' is not a JSON object"),
            ({"hashes": [HASH]}, "hashes is not a JSON object"),
            ({"segments": {"kernel": two}, "hashes": {"kernel": ""}}, "hash of part 'kernel' is not a SHA-256"),
            ({"segments": {"a\nb": two}}, "a part has the name 'a\\nb'"),
            ({"segments": {"": two}}, "a part has the name ''"),
            ({"segments": {"\ud800": two}}, "a part has the name"),
            ({"segments": {"a": two, "b": {"size": 3}}}, "part 'b' has no position"),
            ({"segments": {"a": {"offset": 250, "size": 7}}}, "runs past the end"),
            ({"segments": {"a": {"offset": 0, "size": 6}}, "data_size": 5}, "runs past the end"),
            ({"segments": {"a": {"offset": 300}}}, "runs past the end"),
            ({"segments": {"a": {"offset": 0, "size": 1 << 62}}}, "which cannot be"),
            ({"segments": {"a": {"offset": -4, "size": 8}}}, "which cannot be"),
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
            ({"segments": {f"p{i}": {"offset": i, "size": 1} for i in range(65)}}, "65 parts"),
            ({"segments": {f"p{i}": {} for i in range(60_000)}}, "60000 parts"),
            ({"cmdline": ["quiet"]}, "the command line is not a text"),
            ({"cmdline": "x" * 4097}, "4097 characters"),
            ({"cmdline": "quiet\nboot"}, "control characters"),
            ({"name": {}}, "name is not a text"),
            ({"description": True}, "description is not a text"),
        ]
        for fields, reason in cases:
            error = self.assertRaises(Damaged, parse, **fields)
            self.assertIn(reason, str(error), str(fields)[:80])
            self.assertLess(len(str(error)), 300, str(fields)[:80])

    def test_hostile_json(self) -> None:
        cases = [
            (b"", "not JSON"),
            (b"PixelRTS", "not JSON"),
            (b"PixelRTS[]", "not a JSON object"),
            (b"PixelRTS{}x", "not JSON"),
            (b"\xff\xfe{", "not JSON"),
            (b'{"data_size":NaN}', "NaN is not a number"),
            (b'{"data_size":' + b"9" * 5000 + b"}", "5000 digits"),
            (b'{"data_size":' + b"9" * 20 + b"}", "which cannot be"),
            (b'{"x":' + b"[" * 500_000, "nested too deeply"),
            (b'{"segments":' * 80_000, "nested too deeply"),
            (b'{"x":"' + b"a" * (1 << 20) + b'"}', "at most 1048576 are read"),
        ]
        for text, reason in cases:
            self.assertIn(reason, str(self.assertRaises(Damaged, manifest.parse, text, 8)), repr(text[:40]))

    def test_deep_values_in_every_field(self) -> None:
        deep = b"[" * 900 + b"]" * 900
        for field in FIELDS:
            text = b'{"%s":%s,"data_size":%s}' % (field.encode(), deep, deep)
            self.assertRaises(Damaged, manifest.parse, text, 8)

    @given(
        st.dictionaries(
            st.sampled_from(FIELDS), JSON | st.dictionaries(st.sampled_from(["kernel", "b"]), JSON), max_size=6
        )
    )
    def test_any_json_is_a_value_or_damaged(self, fields: dict[str, Any]) -> None:
        try:
            found = parse(**fields)
        except Damaged:
            return
        self.assertTrue(all(0 <= part.offset <= part.end <= found.size <= 256 for part in found.parts), fields)

    @given(st.binary(max_size=60))
    def test_any_octets_are_a_value_or_damaged(self, octets: bytes) -> None:
        for text in (octets, b"PixelRTS" + octets, b'PixelRTS{"name":"' + octets + b'"}'):
            try:
                manifest.parse(text, 8)
            except Damaged as error:
                self.assertTrue(str(error))

    def test_what_would_not_read_back_is_not_written(self) -> None:
        good = Part("kernel", 0, 10)
        cases = [
            (Manifest(4, 10, None, (good, Part("vmlinuz", 0, 0)), Labels()), "more than one part is the kernel"),
            (Manifest(4, 10, None, (good, good), Labels()), "two parts have the same name"),
            (Manifest(4, 10, None, (Part("initrd", 10, 0), good), Labels()), "does not read back"),
            (Manifest(4, 65, None, (good,), Labels()), "does not fit"),
            (Manifest(4, 10, None, (good,), Labels(name="x" * 1025)), "name has 1025 characters"),
            (Manifest(4, 10, None, (good,), Labels(cmdline="a\nb")), "control characters"),
            (Manifest(4, 10, None, (good,), Labels(cmdline=" a")), "does not read back"),
        ]
        for value, reason in cases:
            self.assertIn(reason, str(self.assertRaises(Damaged, manifest.write, value)), reason)
