"""Pictures made by hand, octet by octet, with nothing of the code under test: what the format says, spelled out."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def d2xy(side: int, index: int) -> tuple[int, int]:
    """Column and row of the pixel at `index` of the Hilbert curve, by the classical algorithm."""
    x = y = 0
    size = 1
    while size < side:
        right = (index >> 1) & 1
        lower = (index ^ right) & 1
        if not lower:
            if right:
                x, y = size - 1 - x, size - 1 - y
            x, y = y, x
        x += size * right
        y += size * lower
        index >>= 2
        size *= 2
    return x, y


def chunk(kind: bytes, octets: bytes) -> bytes:
    """A PNG chunk with its length and CRC."""
    return struct.pack(">I", len(octets)) + kind + octets + struct.pack(">I", zlib.crc32(kind + octets))


def header(width: int, height: int | None = None, depth: int = 8, colour: int = 6, interlace: int = 0) -> bytes:
    """An IHDR chunk."""
    fields = struct.pack(">IIBBBBB", width, width if height is None else height, depth, colour, 0, 0, interlace)
    return chunk(b"IHDR", fields)


def text(octets: bytes, keyword: bytes = b"PixelRTS") -> bytes:
    """A tEXt chunk."""
    return chunk(b"tEXt", keyword + b"\0" + octets)


def rows(payload: bytes, side: int) -> bytes:
    """The scanlines of a picture that holds this payload; the filters alternate between none, sub and up."""
    pixels = [[bytes(4)] * side for _ in range(side)]
    for index in range(-(-len(payload) // 4)):
        x, y = d2xy(side, index)
        pixels[y][x] = payload[4 * index : 4 * index + 4].ljust(4, b"\0")
    lines = [bytes(4 * side)] + [b"".join(row) for row in pixels]
    return b"".join(_filtered(lines[y], lines[y + 1], y % 3) for y in range(side))


def _filtered(above: bytes, line: bytes, kind: int) -> bytes:
    subtracted = (bytes(len(line)), bytes(4) + line[:-4], above)[kind]
    return bytes([kind]) + bytes((a - b) & 255 for a, b in zip(line, subtracted, strict=True))


def picture(chunks: Iterable[bytes], lines: bytes, cut: int = 0) -> bytes:
    """A whole picture: these chunks, the scanlines in IDAT chunks of `cut` octets (or four of them), and IEND."""
    stream = zlib.compress(lines)
    cut = cut or len(stream) // 4 + 1
    pixels = b"".join(chunk(b"IDAT", stream[i : i + cut]) for i in range(0, len(stream), cut))
    return SIGNATURE + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def container(parts: Mapping[str, bytes], side: int = 8, **fields: Any) -> bytes:
    """A container in today's spelling; further fields replace or add to those of the description, None removes."""
    payload = b"".join(parts.values())
    return picture([header(side), text(description(parts, side, **fields))], rows(payload, side))


def description(parts: Mapping[str, bytes], side: int = 8, **fields: Any) -> bytes:
    """The text of the description, for these parts one after the other."""
    return b"PixelRTS" + json.dumps(table(parts, side, **fields)).encode("ascii")


def table(parts: Mapping[str, bytes], side: int = 8, **fields: Any) -> dict[str, Any]:
    """The JSON object of the description, for these parts one after the other."""
    payload = b"".join(parts.values())
    found: dict[str, object] = {
        "format": "PixelRTS-2.0",
        "format_version": 2,
        "grid_size": side,
        "encoding": {"type": "RGBA-dense", "bytes_per_pixel": 4, "mapping": "Hilbert space-filling curve"},
        "encoding_mode": "RGBA-dense",
        "data_size": len(payload),
        "data_hash": hashlib.sha256(payload).hexdigest(),
        "offsets": places(parts),
        "hashes": {name: hashlib.sha256(octets).hexdigest() for name, octets in parts.items()},
    }
    return {key: value for key, value in (found | fields).items() if value is not None}


def places(parts: Mapping[str, bytes]) -> dict[str, dict[str, object]]:
    """The table of parts as ``start``, ``end`` and ``size``."""
    found: dict[str, dict[str, object]] = {}
    offset = 0
    for name, octets in parts.items():
        found[name] = {"start": offset, "end": offset + len(octets), "size": len(octets)}
        offset += len(octets)
    return found


def segments(parts: Mapping[str, bytes]) -> dict[str, dict[str, object]]:
    """The table of parts as ``offset``, ``size`` and ``sha256``."""
    return {
        name: {"offset": place["start"], "size": place["size"], "sha256": hashlib.sha256(parts[name]).hexdigest()}
        for name, place in places(parts).items()
    }


def early(parts: Mapping[str, bytes], **fields: Any) -> bytes:
    """The text of an early description: bare, indented, and without a size."""
    kept = {"version": 2, "segments": segments(parts), "name": "early", "kernel_cmdline": "quiet"} | fields
    return json.dumps({key: value for key, value in kept.items() if value is not None}, indent=2).encode("ascii")


def compressed(parts: Mapping[str, bytes], side: int, how: str, padded: bool = False, **fields: Any) -> bytes:
    """A container whose pixels hold a ``zlib`` or ``zstd`` stream, under the label that files like to have.

    Where it is `padded`, the description does not say how long the stream is.
    """
    payload = b"".join(parts.values())
    stream = (
        zlib.compress(payload) if how == "zlib" else zstandard.ZstdCompressor(write_checksum=True).compress(payload)
    )
    kept = {"compression": {"type": "zstd-h5", "level": 3}, "encoded_size": None if padded else len(stream)} | fields
    return picture([header(side), text(description(parts, side, **kept))], rows(stream, side))


def code_mode(parts: Mapping[str, bytes], side: int, **fields: Any) -> bytes:
    """A container that holds its payload in the description; the pixels are a colouring."""
    payload = b"".join(parts.values())
    kept = {
        "encoding": {"type": "RGBA-code", "bytes_per_pixel": 4, "mapping": "Hilbert space-filling curve"},
        "encoding_mode": "RGBA-code",
        "original_data_b64": base64.b64encode(payload).decode("ascii"),
    } | fields
    return picture([header(side), text(description(parts, side, **kept))], rows(b"\x10\x80\xff\xff" * 9, side))


def snapshot(side: int = 4) -> bytes:
    """The picture of a virtual machine's snapshot."""
    fields = {"format": "PixelRTS-2.0", "type": "vm_snapshot", "name": "snap", "disk_size": 20 << 30}
    return picture([header(side), text(b"PixelRTS" + json.dumps(fields).encode("ascii"))], rows(b"", side))


def signed(parts: Mapping[str, bytes], key: Ed25519PrivateKey, old: bool = False, **fields: Any) -> dict[str, Any]:
    """The JSON object of a description (of a side of 8) with a signature, which of old is of the payload alone."""
    found = table(parts, **fields)
    digest = hashlib.sha256(b"".join(parts.values())).digest()
    canonical = json.dumps(found, sort_keys=True, separators=(",", ":")).encode("ascii")
    statement = b"PixelRTS description, signed with its payload\0" + digest + hashlib.sha256(canonical).digest()
    covering = {} if old else {"description_value": key.sign(statement).hex()}
    public = key.public_key().public_bytes_raw().hex()
    return found | {
        "signature": {"algorithm": "Ed25519", "public_key": public, "value": key.sign(digest).hex()} | covering
    }


def variants(parts: Mapping[str, bytes], side: int = 8) -> dict[str, tuple[bytes, bytes | None]]:
    """Every way to say the same: by name, the picture and the sidecar beside it."""
    payload = b"".join(parts.values())
    lines = rows(payload, side)

    def plain(octets: bytes) -> bytes:
        return picture([header(side), text(octets)], lines)

    described = description(parts, side)
    blueprint = text(b"PixelRTS{not even JSON", b"PixelRTS-Blueprint")
    typed = {f"part{i}": place | {"type": name} for i, (name, place) in enumerate(places(parts).items())}
    return {
        "today": (plain(described), None),
        "segments alone": (container(parts, side, offsets=None, hashes=None, segments=segments(parts)), None),
        "both tables": (container(parts, side, segments=segments(parts)), None),
        "no digests": (container(parts, side, data_hash=None, hashes=None), None),
        "names by type": (container(parts, side, offsets=typed, hashes=None), None),
        "early": (plain(early(parts)), None),
        "early, compact": (plain(json.dumps(json.loads(early(parts))).encode("ascii")), None),
        "early, in a sidecar": (picture([header(side)], lines), early(parts)),
        "a sidecar with the letters": (picture([header(side)], lines), described),
        "a sidecar that does not count": (plain(described), b"not JSON"),
        "a blueprint before": (picture([header(side), blueprint, text(described)], lines), None),
        "a blueprint behind": (picture([header(side), text(described), blueprint, blueprint], lines), None),
        "a larger grid": (container(parts, 2 * side), None),
        "zlib": (compressed(parts, 2 * side, "zlib"), None),
        "zlib, padded": (compressed(parts, 2 * side, "zlib", padded=True), None),
        "zstd": (compressed(parts, 2 * side, "zstd"), None),
        "zstd, padded": (compressed(parts, 2 * side, "zstd", padded=True), None),
        "zlib without a label": (compressed(parts, 2 * side, "zlib", compression=None), None),
        "zlib without a size": (compressed(parts, 2 * side, "zlib", data_size=None), None),
        "a label and nothing behind it": (
            container(parts, side, compression={"type": "zstd-h5"}, encoded_size=len(payload)),
            None,
        ),
        "no compression, and said so": (
            container(parts, side, compression={"type": "none"}, encoded_size=len(payload)),
            None,
        ),
        "code mode": (code_mode(parts, side), None),
        "code mode without a size": (code_mode(parts, 4, data_size=None, encoding=None, encoding_mode=None), None),
    }


def flipped(octets: bytes, chance: random.Random, bits: int = 1) -> bytes:
    """These octets with some bits turned over."""
    changed = bytearray(octets)
    for _ in range(bits):
        changed[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def tampered(parts: Mapping[str, bytes], chance: random.Random) -> tuple[str, bytes, bytes | None]:
    """A variant by its name, its picture and its sidecar: one bit of text or rows turned over, and all CRCs right."""
    payload = b"".join(parts.values())
    stream = zlib.compress(payload)
    squeezed: dict[str, Any] = {"compression": {"type": "zstd-h5"}, "encoded_size": len(stream)}
    name, described, held, beside = chance.choice(
        [
            ("today", description(parts), payload, False),
            ("segments", description(parts, offsets=None, hashes=None, segments=segments(parts)), payload, False),
            ("sidecar", early(parts, data_hash=hashlib.sha256(payload).hexdigest()), payload, True),
            ("zlib", description(parts, **squeezed), stream, False),
        ]
    )
    lines = rows(held, 8)
    if chance.random() < 0.5:
        described = flipped(described, chance)
    else:
        lines = flipped(lines, chance)
    texts = [] if beside else [text(described)]
    return name, picture([header(8), *texts], lines), described if beside else None
