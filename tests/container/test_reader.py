"""Tests of `pixelboot.container.reader`."""

from __future__ import annotations

import hashlib
import io
import json
import random
import zlib
from typing import Any

import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.container import reader
from pixelboot.container.reader import Unpacked
from pixelboot.container.table import Damaged, Part
from tests.container import pictures
from tests.container.pictures import SIGNATURE, chunk, container, header, picture, rows, text
from tests.container.test_sniff import bzimage

KERNEL = random.Random(1).randbytes(101)
INITRD = random.Random(2).randbytes(67)
PARTS = {"kernel": KERNEL, "initrd": INITRD}
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw().hex()


def opened(octets: bytes, sidecar: bytes | None = None) -> tuple[Unpacked, dict[str, bytes]]:
    """What came out, and the octets by role or name, with the payload under no name; compared with every digest."""
    file = io.BytesIO(octets)
    found = reader.examine(file, 1024, sidecar)
    sinks = {part.name: io.BytesIO() for part in found.manifest.parts}
    payload = io.BytesIO()
    result = reader.unpack(file, found, sinks, payload)
    names = {part.name: part.role or part.name for part in result.parts}
    return result, {names[name]: sink.getvalue() for name, sink in sinks.items()} | {"": payload.getvalue()}


def unpack(octets: bytes, sidecar: bytes | None = None) -> dict[str, bytes]:
    """All parts of this container by role or name, and its payload under no name."""
    return opened(octets, sidecar)[1]


class TestVariants(SynchronousTestCase):
    """Every way to say the same."""

    def test_all(self) -> None:
        for case, (octets, sidecar) in pictures.variants(PARTS).items():
            found, contents = opened(octets, sidecar)
            self.assertEqual(contents, PARTS | {"": KERNEL + INITRD}, case)
            self.assertEqual(found.sha256, hashlib.sha256(KERNEL + INITRD).hexdigest(), case)
            self.assertEqual([part.sha256 for part in found.parts], [_sha256(KERNEL), _sha256(INITRD)], case)
            self.assertEqual([(part.offset, part.size) for part in found.parts], [(0, 101), (101, 67)], case)
            picture = reader.examine(io.BytesIO(octets), 1024, sidecar)
            self.assertEqual(picture.from_sidecar, "in a sidecar" in case or case.startswith("a sidecar with"), case)
            self.assertEqual(picture.blueprint, b"PixelRTS{not even JSON" if "blueprint" in case else None, case)

    @settings(max_examples=30)
    @given(
        st.dictionaries(st.sampled_from(["kernel", "initrd", "dtb"]), st.binary(min_size=1, max_size=30), min_size=1),
        st.data(),
    )
    def test_any_content(self, parts: dict[str, bytes], data: st.DataObject) -> None:
        found = pictures.variants(parts, 8)
        case = data.draw(st.sampled_from(sorted(found)))
        octets, sidecar = found[case]
        self.assertEqual(unpack(octets, sidecar), parts | {"": b"".join(parts.values())}, case)

    def test_an_only_part_without_a_place(self) -> None:
        cases: list[dict[str, Any]] = [
            {"offsets": {"payload": {"type": "kernel", "size": 101, "sha256": _sha256(KERNEL)}}},
            {"offsets": {"kernel": {"type": "x"}}},
            {"offsets": {"vmlinuz": {}}, "data_hash": None},
        ]
        for fields in cases:
            found, contents = opened(container({"kernel": KERNEL}, hashes=None, **fields))
            self.assertEqual((contents["kernel"], found.parts[0].sha256), (KERNEL, _sha256(KERNEL)), str(fields))

    def test_only_inflating_tells_how_long_it_is(self) -> None:
        for kept in ({"offsets": {"kernel": {"type": "kernel"}}}, {"offsets": {"kernel": {"offset": 0}}}):
            octets = pictures.compressed({"kernel": KERNEL}, 8, "zlib", data_size=None, hashes=None, **kept)
            self.assertEqual(unpack(octets), {"kernel": KERNEL, "": KERNEL}, str(kept))
        whole = pictures.compressed({"kernel": KERNEL}, 8, "zstd", padded=True, data_size=None, offsets=None)
        self.assertIsNone(reader.examine(io.BytesIO(whole)).manifest.size)
        found, contents = opened(whole)
        self.assertEqual((contents[""], found.size, found.parts[0].size), (KERNEL, 101, 101))
        behind = pictures.compressed(
            {"kernel": KERNEL}, 8, "zlib", data_size=None, hashes=None, offsets={"kernel": {"offset": 101}}
        )
        self.assertIn("runs past the end", str(self.assertRaises(Damaged, unpack, behind)))
        nothing = pictures.compressed({"kernel": b""}, 8, "zlib", data_size=None, hashes=None, offsets=None)
        self.assertIn("no payload", str(self.assertRaises(Damaged, unpack, nothing)))

    def test_snapshots(self) -> None:
        found, contents = opened(pictures.snapshot())
        self.assertEqual((found.size, found.parts, contents), (0, (), {"": b""}))
        self.assertTrue(reader.examine(io.BytesIO(pictures.snapshot())).manifest.snapshot)


class TestReader(SynchronousTestCase):
    """Containers that were made by hand."""

    def test_the_payload_of_the_specification(self) -> None:
        lines = "0001020304050607" + "00" * 8, "0c0d0e0f08090a0b" + "00" * 8, "00" * 16, "00" * 16
        grid = b"".join(b"\0" + bytes.fromhex(line) for line in lines)
        octets = picture([header(4), text(b'{"data_size":16}')], grid)
        self.assertEqual(unpack(octets), {"payload": bytes(range(16)), "": bytes(range(16))})

    def test_what_the_payload_says_where_nothing_else_does(self) -> None:
        bz, cpio, junk = bzimage(), b"070701" + bytes(99), b"junk" * 9
        cases: list[tuple[str, dict[str, bytes], dict[str, Any], list[str | None]]] = [
            ("a kernel without a table", {"x": bz}, {"offsets": None}, ["kernel"]),
            ("an initrd without a table", {"x": cpio}, {"offsets": None}, ["initrd"]),
            ("neither", {"x": junk}, {"offsets": None}, [None]),
            ("a snapshot's disk", {"x": bz}, {"offsets": {}, "disk_size": len(bz)}, ["disk"]),
            ("parts with names of their own", {"a": bz, "b": cpio, "c": junk}, {}, ["kernel", "initrd", None]),
            ("two kernels are none", {"a": bz, "b": bz}, {}, [None, None]),
            ("a name is believed", {"initrd": bz, "b": cpio}, {}, ["initrd", None]),
        ]
        for case, parts, fields, roles in cases:
            found, _ = opened(container(parts, 128, hashes=None, **fields))
            self.assertEqual([part.role for part in found.parts], roles, case)
            self.assertEqual(
                found.kernel is not None and found.kernel.architecture, "kernel" in roles and "x86_64", case
            )

    def test_a_payload_of_many_pieces(self) -> None:
        payload = random.Random(3).randbytes(260_001)
        octets = container({"kernel": payload[:130_000], "initrd": payload[130_000:]}, 256)
        self.patch(reader, "PIECE", 1 << 16)
        file = io.BytesIO(octets)
        pieces = [bytes(piece) for piece in reader.octets(file, reader.examine(file))]
        self.assertEqual([len(piece) for piece in pieces], [65536, 65536, 65536, 63393])
        self.assertEqual(b"".join(pieces), payload)
        done: list[float] = []
        found = reader.unpack(file, reader.examine(file), {}, progress=done.append)
        self.assertEqual(
            [part.sha256 for part in found.parts], [_sha256(payload[:130_000]), _sha256(payload[130_000:])]
        )
        self.assertEqual((done[-1], done), (1.0, sorted(done)))
        self.assertGreater(len(done), 3)

    def test_parts_in_odd_places(self) -> None:
        """Empty parts, gaps, and a first part that does not begin at the first octet."""
        payload = bytes(range(200))
        offsets = {
            "empty": {"start": 0, "end": 0},
            "a": {"start": 0, "end": 0},
            "b": {"start": 3, "end": 90},
            "c": {"start": 95, "end": 199},
        }
        found, contents = opened(container({"x": payload}, hashes=None, offsets=offsets))
        expected = {"empty": b"", "a": b"", "b": payload[3:90], "c": payload[95:199]}
        self.assertEqual(contents, expected | {"": payload})
        self.assertEqual({part.name: part.sha256 for part in found.parts}, {n: _sha256(o) for n, o in expected.items()})
        self.assertEqual(found.sha256, _sha256(payload))

    def test_only_what_is_asked_for_is_written_and_all_is_compared(self) -> None:
        file = io.BytesIO(container(PARTS))
        sink = io.BytesIO()
        found = reader.unpack(file, reader.examine(file), {"initrd": sink})
        self.assertEqual(sink.getvalue(), INITRD)
        self.assertEqual(
            found.parts,
            (Part("kernel", 0, 101, _sha256(KERNEL), "kernel"), Part("initrd", 101, 67, _sha256(INITRD), "initrd")),
        )
        wrong = "ab" * 32
        cases: list[tuple[dict[str, Any], str]] = [
            ({"hashes": {"kernel": wrong}}, "part 'kernel' does not have the SHA-256"),
            ({"hashes": {"initrd": wrong}}, "part 'initrd' does not have the SHA-256"),
            ({"data_hash": wrong}, "the payload does not have the SHA-256"),
        ]
        for fields, reason in cases:
            file = io.BytesIO(container(PARTS, **fields))
            error = self.assertRaises(Damaged, reader.unpack, file, reader.examine(file), {})
            self.assertIn(reason, str(error))

    def test_no_payload(self) -> None:
        blueprint = text(b"PixelRTS{}", b"PixelRTS-Blueprint")
        lines = rows(b"x", 4)
        for case, octets in {
            "an empty file": b"",
            "a JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF",
            "a grey pixel": picture([header(1, colour=0)], b"\0\0"),
            "a palette": picture([header(4, colour=3), chunk(b"PLTE", bytes(9))], bytes(20)),
            "no alpha": picture([header(4, colour=2)], bytes(52)),
            "16 bits": picture([header(4, depth=16)], bytes(132)),
            "an odd side": picture([header(3)], bytes(39)),
            "not square": picture([header(8, 4)], bytes(132)),
            "no description": picture([header(4)], lines),
            "a blueprint alone": picture([header(4), blueprint], lines),
        }.items():
            self.assertIn("no payload: ", str(self.assertRaises(Damaged, unpack, octets)), case)

    def test_descriptions_that_do_not_count(self) -> None:
        described = pictures.description(PARTS)
        lines = rows(KERNEL + INITRD, 8)
        for case, octets, sidecar, reason in [
            ("two", picture([header(8), text(described), text(described)], lines), None, "more than one text"),
            ("a bad sidecar", picture([header(8)], lines), b"\xff", "not JSON"),
            (
                "a sidecar of another",
                picture([header(16)], rows(KERNEL, 16)),
                described,
                "side 8, this one has side 16",
            ),
            ("a good sidecar to a bad text", picture([header(8), text(b"x")], lines), described, "not JSON"),
        ]:
            self.assertIn(reason, str(self.assertRaises(Damaged, unpack, octets, sidecar)), case)


class TestPacked(SynchronousTestCase):
    """Payloads that the pixels do not hold as they are, and damage to them."""

    def test_damage(self) -> None:
        payload = KERNEL + INITRD
        stream = zlib.compress(payload)
        label = {"compression": {"type": "zstd-h5"}}

        def held(octets: bytes, **fields: Any) -> bytes:
            described = pictures.description(PARTS, 16, **(label | {"encoded_size": len(octets)} | fields))
            return picture([header(16), text(described)], rows(octets, 16))

        wrong = bytearray(stream)
        wrong[-1] ^= 1
        deep = pictures.code_mode(PARTS, 4, data_hash="ab" * 32)
        broken = pictures.code_mode(PARTS, 4).replace(b"IEND", b"IENX")
        cases = [
            ("cut short", held(stream[:-5]), "cut short"),
            ("a wrong check sum", held(bytes(wrong)), "cannot be read"),
            ("octets behind", held(stream + b"x"), "more behind the end"),
            ("encoded_size too small", held(stream, encoded_size=len(stream) - 1), "cut short"),
            ("encoded_size too large", held(stream, encoded_size=len(stream) + 1), "more behind the end"),
            ("pixels behind", held(stream + bytes(200) + b"x", encoded_size=None), "more behind the end"),
            ("too long", held(zlib.compress(payload + b"x")), "becomes longer than 168 octets"),
            ("too short", held(zlib.compress(payload[:-1])), "becomes 167 octets long, not 168"),
            ("another payload", held(zlib.compress(bytes(168))), "does not have the SHA-256"),
            ("not a stream", held(b"PK" + stream), "neither zlib nor zstd"),
            ("only a label, and wrong", held(bytes(168)), "neither zlib nor zstd"),
            ("only a label, nothing to compare", held(payload, data_hash=None), "neither zlib nor zstd"),
            ("code mode with another payload", deep, "does not have the SHA-256"),
            ("code mode in a broken picture", broken, "unknown, and necessary"),
        ]
        for case, octets, reason in cases:
            self.assertIn(reason, str(self.assertRaises(Damaged, unpack, octets)), case)

    def test_code_mode_with_a_compressed_text(self) -> None:
        stream = zlib.compress(KERNEL + bytes(500))
        parts = {"kernel": KERNEL + bytes(500)}
        octets = pictures.code_mode(
            {"kernel": stream},
            4,
            **pictures.table(parts, 4) | {"encoding": None, "encoding_mode": "RGBA-code", "compression": "zstd-h5"},
        )
        self.assertEqual(unpack(octets)["kernel"], parts["kernel"])

    def test_only_a_label_before_octets_that_look_like_a_stream(self) -> None:
        """An initrd that is compressed, and not compressed again."""
        for initrd in (zlib.compress(KERNEL) + bytes(4), zstandard.ZstdCompressor().compress(KERNEL) + b"070701"):
            fields: dict[str, Any] = {"compression": {"type": "zstd-h5"}, "encoded_size": len(initrd)}
            self.assertEqual(unpack(container({"initrd": initrd}, **fields))["initrd"], initrd)

    def test_a_bomb_ends_at_the_limit_of_the_side(self) -> None:
        """Whatever it claims to be, and also where it claims nothing."""
        bomb = zlib.compress(bytes(200_000), 9)
        for size in (None, 200_000):
            fields: dict[str, Any] = {"data_size": size, "offsets": None, "data_hash": None, "hashes": None}
            described = pictures.description({}, 16, compression="zlib", encoded_size=len(bomb), **fields)
            file = io.BytesIO(picture([header(16), text(described)], rows(bomb, 16)))
            self.assertRaises(Damaged, lambda file: reader.unpack(file, reader.examine(file, 128), {}), file)
            self.assertEqual(reader.unpack(file, reader.examine(file, 256), {}).size, 200_000)


class TestSignatures(SynchronousTestCase):
    """Who signed it."""

    def signed(self, fields: dict[str, Any] | str) -> Unpacked:
        """What comes out of a container with this description."""
        described = (fields if isinstance(fields, str) else json.dumps(fields)).encode("utf-8")
        return opened(picture([header(8), text(b"PixelRTS" + described)], rows(KERNEL + INITRD, 8)))[0]

    def test_signers(self) -> None:
        found = self.signed(pictures.signed(PARTS, KEY, cmdline="quiet é", extra={"b": [1.5, None], "a": 1e9}))
        self.assertEqual((found.signer, found.payload_signer), (PUBLIC, PUBLIC))
        found = self.signed(pictures.signed(PARTS, KEY, old=True))
        self.assertEqual((found.signer, found.payload_signer), ("", PUBLIC))
        found = self.signed(pictures.table(PARTS))
        self.assertEqual((found.signer, found.payload_signer), ("", ""))
        described = json.dumps(pictures.signed(PARTS, KEY), indent=4).encode("ascii")
        beside = picture([header(8)], rows(KERNEL + INITRD, 8))
        self.assertEqual(opened(beside, described)[0].signer, PUBLIC, "in a sidecar, indented")

    def test_what_says_the_same_in_another_spelling(self) -> None:
        fields = pictures.signed(PARTS, KEY, cmdline="a/b é", x=[1.0, 1])
        text = json.dumps(fields)
        same = {
            "keys in another order": json.dumps(dict(reversed(fields.items()))),
            "letters instead of escapes": json.dumps(fields, ensure_ascii=False),
            "escapes instead of letters": text.replace("a/b", "\\u0061\\/b").replace('"cmdline"', '"cmd\\u006cine"'),
            "a number in more digits": text.replace("1.0,", "10.00e-1,"),
        }
        for case, spelled in same.items():
            self.assertNotEqual(spelled, text, case)
            self.assertEqual(self.signed(spelled).signer, PUBLIC, case)
        other = {
            "a number of another kind": text.replace("1.0,", "1,"),
            "letters that only look the same": text.replace("\\u00e9", "e\\u0301"),
        }
        for case, spelled in other.items():
            self.assertIn("signature of the description", str(self.assertRaises(Damaged, self.signed, spelled)), case)
        twice = text.replace("{", '{"cmdline": "init=/bin/sh", ', 1)
        self.assertIn("twice", str(self.assertRaises(Damaged, self.signed, twice)))

    def test_what_was_changed_after_it_was_signed(self) -> None:
        good = pictures.signed(PARTS, KEY, cmdline="quiet")
        swapped = {"kernel": {"start": 0, "end": 100}, "initrd": {"start": 100, "end": 168}}
        cases: dict[str, dict[str, Any]] = {
            "the command line": good | {"cmdline": "quiet init=/bin/sh"},
            "another spelling of it": {k: v for k, v in good.items() if k != "cmdline"} | {"kernel_cmdline": "quiet"},
            "a field more": good | {"x": None},
            "the parts": good | {"offsets": swapped, "hashes": None},
        }
        for case, changed in cases.items():
            error = self.assertRaises(Damaged, self.signed, changed)
            self.assertIn("the signature of the description is wrong", str(error), case)
        other = pictures.signed({"kernel": b"x"}, KEY)["signature"]
        error = self.assertRaises(Damaged, self.signed, good | {"signature": other})
        self.assertIn("the signature of the payload is wrong", str(error))


class TestHostile(SynchronousTestCase):
    """Nothing but a value or `Damaged`, whatever the octets are."""

    def test_every_truncation(self) -> None:
        variants = pictures.variants({"kernel": KERNEL[:30], "initrd": INITRD[:9]}, 4)
        for case in ("today", "zlib", "zstd, padded", "code mode"):
            octets, _ = variants[case]
            for size in range(len(octets)):
                error = self.assertRaises(Damaged, unpack, octets[:size])
                self.assertIsInstance(error, Damaged, f"{case}, {size} octets")

    def test_bit_flips(self) -> None:
        chance = random.Random(20)
        octets = container(PARTS)
        for case in range(1000):
            flipped = pictures.flipped(octets, chance, 1 + case % 3)
            if flipped != octets:
                self.assertRaises(Damaged, unpack, flipped)

    def test_bit_flips_under_right_check_sums(self) -> None:
        chance = random.Random(21)
        read = 0
        for case in range(400):
            name, octets, sidecar = pictures.tampered(PARTS, chance)
            try:
                found = unpack(octets, sidecar)
            except Damaged:
                continue
            read += 1
            self.assertEqual(found[""], KERNEL + INITRD, f"case {case} ({name}): what passes is the payload")
        self.assertGreater(read, 0, "some flips hit only labels or unused pixels")

    def test_garbage_behind_a_good_start(self) -> None:
        chance = random.Random(22)
        start = SIGNATURE + header(8) + text(pictures.description(PARTS))
        for case in range(200):
            garbage = chance.randbytes(chance.randrange(100))
            self.assertRaises(Damaged, unpack, start + garbage)
            self.assertRaises(Damaged, unpack, start + chunk(b"IDAT", garbage) + chunk(b"IEND", b""))
            self.assertRaises(Damaged, unpack, garbage + start[case % 40 :])


def _sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()
