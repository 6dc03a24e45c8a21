"""Tests of `pixelboot.container.manifest`."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.container import manifest
from pixelboot.container.manifest import CODE, Labels, Manifest
from pixelboot.container.signature import Signature
from pixelboot.container.table import LABEL_LIMIT, Damaged, Part
from tests.container.test_table import HASH, JSON, OTHER

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
LINES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp", "Zs", "Cn", "Co"]), max_size=50)
FIELDS = [
    *("format", "format_version", "version", "grid_size", "encoding", "encoding_mode", "data_size", "data_hash"),
    *("offsets", "segments", "hashes", "compression", "encoded_size", "original_data_b64", "original_rts", "cmdline"),
    *("name", "description", "disk_size", "signature"),
]
SIGNATURE = {"algorithm": "Ed25519", "public_key": "5a" * 32, "value": "01" * 64}


def parse(side: int = 8, **fields: Any) -> Manifest:
    """A description with these fields, read."""
    return manifest.parse(b"PixelRTS" + json.dumps(fields).encode("ascii"), side)


class TestReading(SynchronousTestCase):
    """Every spelling of a good description."""

    def test_sizes(self) -> None:
        """How long the payload is, and what the pixels hold of it."""
        part = {"offset": 3, "size": 9}
        zstd, code = {"type": "zstd-h5", "level": 3}, base64.b64encode(bytes(100)).decode("ascii")
        cases: list[tuple[str, dict[str, Any], tuple[int | None, int | None, str]]] = [
            ("the whole grid", {}, (256, None, "")),
            ("stated", {"data_size": 7}, (7, None, "")),
            ("the last part's end", {"segments": {"a": part}}, (12, None, "")),
            ("stated, and a part", {"segments": {"a": part}, "data_size": 99}, (99, None, "")),
            ("an only part without a size", {"segments": {"a": {"offset": 16}}}, (256, None, "")),
            ("encoded, as it is", {"data_size": 9, "encoded_size": 9}, (9, None, "")),
            ("encoded alone", {"encoded_size": 9}, (9, None, "")),
            ("said not to be compressed", {"data_size": 9, "compression": {"type": "none"}}, (9, None, "")),
            ("an empty compression", {"data_size": 9, "compression": {}}, (9, None, "")),
            ("compressed", {"data_size": 999, "compression": zstd, "encoded_size": 50}, (999, 50, "zstd-h5")),
            ("compressed, of no size", {"data_size": 999, "compression": "zlib"}, (999, None, "zlib")),
            ("compressed, without a name", {"data_size": 999, "compression": {"level": 1}}, (999, None, "unnamed")),
            ("compressed, without a label", {"data_size": 999, "encoded_size": 50}, (999, 50, "unnamed")),
            ("compressed, by the parts", {"segments": {"a": part}, "compression": zstd}, (12, None, "zstd-h5")),
            ("compressed, only inflating tells", {"compression": zstd}, (None, None, "zstd-h5")),
            ("code", {"original_data_b64": code}, (100, None, "")),
            ("code, stated", {"original_data_b64": code, "data_size": 100, "compression": zstd}, (100, None, "")),
            (
                "code, compressed",
                {"original_data_b64": code, "data_size": 500, "compression": zstd},
                (500, None, "zstd-h5"),
            ),
        ]
        for case, fields, expected in cases:
            found = parse(**fields)
            self.assertEqual((found.size, found.encoded_size, found.compression), expected, case)
            self.assertEqual(found.mode, CODE if "original_data_b64" in fields else manifest.ENCODING, case)
        self.assertEqual(parse(4, original_data_b64=code).size, 100, "the text is not bound by the grid")

    def test_a_payload_without_a_table(self) -> None:
        found = parse(data_size=7, data_hash=HASH)
        self.assertEqual(found.parts, (Part("payload", 0, 7, HASH),))
        self.assertIsNone(found.part("kernel"))

    def test_parts_by_role(self) -> None:
        found = parse(segments={"bzImage": {"offset": 0, "size": 9}})
        self.assertEqual(found.part("kernel"), Part("bzImage", 0, 9, role="kernel"))
        self.assertIsNone(found.part("initrd"))

    def test_labels(self) -> None:
        cases: list[tuple[dict[str, Any], Labels]] = [
            ({"name": "a\nb", "description": "${x}<script>"}, Labels("a\nb", "${x}<script>")),
            ({"kernel_version": 6.1, "name": None, "distro": 12}, Labels(kernel_version="6.1", distro="12")),
            ({"type": "bootable", "content_version": 3}, Labels(type="bootable", content_version="3")),
            ({"name": "\ud800x"}, Labels("?x")),
            ({"name": "n" * 2000}, Labels("n" * LABEL_LIMIT)),
            ({"cmdline": " quiet\n"}, Labels(cmdline="quiet")),
            ({"cmdline": "", "kernel_cmdline": "early"}, Labels(cmdline="early")),
            ({"original_rts": {"kernel_cmdline": "earliest"}}, Labels(cmdline="earliest")),
            ({"cmdline": "today", "kernel_cmdline": "early"}, Labels(cmdline="today")),
        ]
        for fields, labels in cases:
            self.assertEqual(parse(**fields).labels, labels, str(fields)[:80])

    def test_formats_and_encodings(self) -> None:
        for fields in (
            {"version": 2},
            {"version": "1.4"},
            {"format_version": 2, "format": "PixelRTS-2.0"},
            {"format_version": "2.0", "version": 1.4},
            {"encoding": "standard"},
            {"encoding": {"type": "RGBA-dense"}, "encoding_mode": "RGBA-dense"},
            {"encoding": {"bytes_per_pixel": 4, "mapping": "hilbert"}},
        ):
            self.assertEqual(parse(**fields).format, "PixelRTS-2.0", str(fields))
        for name in ("PixelRTS-2.1", "PixelRTS"):
            self.assertEqual(parse(format=name).format, name)

    def test_snapshots(self) -> None:
        found = parse(disk_size=20 << 30, name="snap", format="PixelRTS-2.0")
        self.assertEqual((found.snapshot, found.size, found.parts), (True, 0, ()))
        self.assertEqual(found.labels.name, "snap")
        self.assertTrue(parse(disk_size=20 << 30, offsets={}, data_hash=HASH).snapshot, "a digest of who knows what")
        found = parse(disk_size=20 << 30, segments={"disk": {"offset": 0, "size": 9}})
        self.assertEqual((found.snapshot, found.size), (False, 9))

    def test_snapshots_with_a_payload(self) -> None:
        """A disk, and behind it what nothing tells the place of."""
        cases: list[tuple[dict[str, Any], Part]] = [
            ({"disk_size": 9}, Part("disk", 0, 9, None, "disk")),
            ({"disk_size": 20}, Part("disk", 0, 20, HASH, "disk")),
            ({"disk_size": 20 << 30}, Part("disk", 0, 20, HASH, "disk")),
            ({"disk_size": "20G"}, Part("disk", 0, 20, HASH, "disk")),
            ({"disk_size": -1}, Part("disk", 0, 20, HASH, "disk")),
        ]
        for fields, part in cases:
            found = parse(data_size=20, data_hash=HASH, offsets={}, **fields)
            self.assertEqual((found.size, found.sha256, found.parts), (20, HASH, (part,)), str(fields))

    def test_signatures(self) -> None:
        self.assertIsNone(parse(signature=None).signature)
        self.assertEqual(parse(signature=SIGNATURE).signature, Signature("5a" * 32, "01" * 64))

    def test_the_limit_of_a_compressed_payload(self) -> None:
        text = b'{"compression":"zlib","data_size":1000}'
        self.assertEqual(manifest.parse(text, 4, 1000).size, 1000)
        self.assertIn("above the limit of 999", str(self.assertRaises(Damaged, manifest.parse, text, 4, 999)))


class TestWriting(SynchronousTestCase):
    """What is written, and what is not."""

    @settings(max_examples=40)
    @given(
        st.lists(st.sampled_from(["kernel", "initrd", "dtb", "payload", "x"]), min_size=1, unique=True),
        TEXTS,
        TEXTS,
        LINES,
        st.booleans(),
    )
    def test_what_is_written_reads_back(
        self, names: list[str], name: str, distro: str, cmdline: str, signed: bool
    ) -> None:
        parts = []
        offset = 0
        for index, part in enumerate(names):
            role = part if part in ("kernel", "initrd", "dtb") else None
            parts.append(Part(part, offset, index, HASH if index else None, role))  # type: ignore[arg-type]
            offset += index
        labels = Labels(name=name, distro=distro, cmdline=cmdline, type=name)
        signature = Signature("5a" * 32, "01" * 64, "02" * 64) if signed else None
        value = Manifest(8, offset + 1, OTHER, tuple(parts), labels, signature=signature)
        text = manifest.write(value)
        self.assertEqual(manifest.parse(text.encode("ascii"), 8), value)

    def test_the_original_tools_find_their_spelling(self) -> None:
        parts = (Part("kernel", 0, 10, HASH, "kernel"), Part("initrd", 10, 20, OTHER, "initrd"))
        text = manifest.write(Manifest(4, 30, HASH, parts, Labels("demo")))
        self.assertTrue(text.startswith('PixelRTS{"format":"PixelRTS-2.0"'), text)
        found = json.loads(text.removeprefix("PixelRTS"))
        entry = {"offset": 10, "start": 10, "end": 30, "size": 20, "sha256": OTHER}
        self.assertEqual((found["offsets"]["initrd"], found["segments"]["initrd"]), (entry, entry))
        self.assertEqual(found["hashes"], {"kernel": HASH, "initrd": OTHER})
        self.assertEqual((found["data_hash"], found["data_size"], found["grid_size"]), (HASH, 30, 4))
        self.assertEqual((found["encoding"]["type"], found["format_version"]), ("RGBA-dense", 2))

    def test_a_payload_without_a_table(self) -> None:
        text = manifest.write(Manifest(4, 30, HASH, (Part("payload", 0, 30, HASH),)))
        found = json.loads(text.removeprefix("PixelRTS"))
        self.assertEqual((found["segments"], found["offsets"], found["hashes"]), ({}, {}, {}))

    def test_what_would_not_read_back_is_not_written(self) -> None:
        good = Part("kernel", 0, 10, role="kernel")
        vmlinuz = Part("vmlinuz", 0, 0, role="kernel")
        initrd = Part("initrd", 10, 0, role="initrd")
        cases = [
            (Manifest(4, 10, None, (good, vmlinuz), Labels()), "more than one part is the kernel"),
            (Manifest(4, 10, None, (good, good), Labels()), "two parts have the same name"),
            (Manifest(4, 10, None, (initrd, good), Labels()), "does not read back"),
            (Manifest(4, 65, None, (good,), Labels()), "does not fit"),
            (Manifest(4, 10, None, (good,), Labels(name="x" * 1025)), "name has 1025 characters"),
            (Manifest(4, 10, None, (good,), Labels(cmdline="a\nb")), "control characters"),
            (Manifest(4, 10, None, (good,), Labels(cmdline=" a")), "does not read back"),
            (Manifest(4, 10, None, (good,), compression="zlib"), "only the payload as it is"),
            (Manifest(4, 10, None, (good,), mode=CODE), "only the payload as it is"),
        ]
        for value, reason in cases:
            self.assertIn(reason, str(self.assertRaises(Damaged, manifest.write, value)), reason)


class TestDamage(SynchronousTestCase):
    """Every reason to refuse a description."""

    def test_reasons(self) -> None:
        code = base64.b64encode(bytes(100)).decode("ascii")
        cases: list[tuple[dict[str, Any], str]] = [
            ({"format": "PixelRTS-1.0"}, "format 'PixelRTS-1.0' is not supported"),
            ({"format": ["x"]}, "format a list is not supported"),
            ({"format_version": 3}, "format_version 3"),
            ({"format_version": "3"}, "format_version '3'"),
            ({"format_version": 3.0}, "format_version a float"),
            ({"format_version": [2]}, "format_version a list"),
            ({"version": 1}, "version 1"),
            ({"encoding": "Palette"}, "'Palette' is not supported"),
            ({"encoding_mode": ["RGBA-dense"]}, "the encoding a list is not supported"),
            ({"encoding": {"bytes_per_pixel": 3}}, "3 octets in a pixel are not supported"),
            ({"encoding": {"bytes_per_pixel": [4]}}, "a list octets in a pixel"),
            ({"encoding": {"mapping": "row by row"}}, "the order of pixels 'row by row' is not supported"),
            ({"encoding": {"type": "RGBA-code"}}, "original_data_b64 is not a text"),
            ({"encoding_mode": "RGBA-code"}, "original_data_b64 is not a text"),
            ({"encoding": "RGBA-code", "encoding_mode": "RGBA-dense"}, "contradicts itself about the encoding"),
            ({"original_data_b64": code, "encoding_mode": "RGBA-dense"}, "contradicts itself about the encoding"),
            ({"original_data_b64": ["AAAA"]}, "original_data_b64 is not a text"),
            ({"original_data_b64": "AAA"}, "original_data_b64 is not base64"),
            ({"original_data_b64": "AA€="}, "original_data_b64 is not base64"),
            ({"original_data_b64": ""}, "no payload"),
            ({"original_data_b64": code, "data_size": 99}, "holds 100 octets of payload, and says it has 99"),
            ({"original_data_b64": code, "segments": {"a": {"offset": 0, "size": 101}}}, "runs past the end"),
            ({"compression": ["zlib"]}, "the compression a list is not a name"),
            ({"compression": {"type": 5}}, "the compression 5 is not a name"),
            ({"encoded_size": [[]]}, "encoded_size is not a whole number"),
            ({"encoded_size": 0}, "encoded_size is 0, which is not between 1 and 256"),
            ({"encoded_size": 257, "data_size": 999}, "encoded_size is 257"),
            ({"data_size": 1 << 40, "encoded_size": 5}, "above the limit of 1073741824"),
            ({"compression": "zlib", "data_size": 0}, "no payload"),
            ({"compression": "zlib", "segments": {"a": {"offset": 0, "size": 0}}}, "part 'a' has no size"),
            (
                {"compression": "zlib", "segments": {n: {"offset": 0, "size": 0} for n in ("a", "b")}},
                "no payload",
            ),
            ({"grid_size": 16}, "side 16, this one has side 8"),
            ({"grid_size": "8"}, "grid_size is not a whole number"),
            ({"data_size": 0}, "no payload"),
            ({"data_size": 257}, "does not fit"),
            ({"data_size": -1}, "data_size is -1"),
            ({"data_size": True}, "data_size is not a whole number"),
            ({"data_size": 1e3}, "data_size is not a whole number"),
            ({"data_hash": "abc"}, "data_hash is not a SHA-256"),
            ({"data_hash": 5}, "data_hash is not a SHA-256"),
            ({"data_size": 5, "segments": {"a": {"offset": 0, "size": 6}}}, "runs past the end"),
            ({"cmdline": ["quiet"]}, "the command line is not a text"),
            ({"cmdline": "x" * 4097}, "4097 characters"),
            ({"cmdline": "quiet\nboot"}, "control characters"),
            ({"name": {}}, "name is not a text"),
            ({"description": True}, "description is not a text"),
            ({"signature": "x"}, "signature is not a JSON object"),
            ({"signature": {}}, "the signature's algorithm nothing is not supported"),
        ]
        for fields, reason in cases:
            error = self.assertRaises(Damaged, parse, **fields)
            self.assertIn(reason, str(error), str(fields)[:80])
            self.assertLess(len(str(error)), 300, str(fields)[:80])

    def test_deep_values_in_every_field(self) -> None:
        deep = b"[" * 900 + b"]" * 900
        for field in FIELDS:
            text = b'{"%s":%s,"data_size":%s}' % (field.encode(), deep, deep)
            self.assertRaises(Damaged, manifest.parse, text, 8)

    @settings(max_examples=50)
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
        size = found.size or max((part.end for part in found.parts), default=0)
        self.assertTrue(all(0 <= part.offset <= part.end <= size for part in found.parts), fields)
        self.assertTrue(size <= 256 or found.compression or found.mode == CODE, fields)

    @given(st.binary(max_size=60))
    def test_any_octets_are_a_value_or_damaged(self, octets: bytes) -> None:
        for text in (octets, b"PixelRTS" + octets, b'PixelRTS{"name":"' + octets + b'"}'):
            try:
                manifest.parse(text, 8)
            except Damaged as error:
                self.assertTrue(str(error))
