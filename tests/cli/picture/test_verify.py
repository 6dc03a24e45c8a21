"""Tests of `pixelboot.cli.picture.verify`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.container.signature import public_of
from tests.cli.picture.streams import standard
from tests.container.pictures import container, header, picture, rows, signed, snapshot, text
from tests.running import command

PARTS = {"kernel": b"kernel" * 10, "initrd": b"initrd" * 20}
OCTETS = b"".join(PARTS.values())


def with_signature(key: Ed25519PrivateKey, forged: Mapping[str, Any] = MappingProxyType({}), **fields: Any) -> bytes:
    """A signed container; what is `forged` was put in after it was signed."""
    described = json.dumps(signed(PARTS, key, **fields) | dict(forged)).encode()
    return picture([header(8), text(b"PixelRTS" + described)], rows(OCTETS, 8))


class TestVerify(SynchronousTestCase):
    """The command."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.key = Ed25519PrivateKey.generate()
        self.public = public_of(self.key)
        self.other = public_of(Ed25519PrivateKey.generate())
        damaged = bytearray(container(PARTS))
        damaged[-14] ^= 1  # in the last CRC but that of IEND
        files = {
            "sound": container(PARTS),
            "damaged": bytes(damaged),
            "digest": container(PARTS, hashes={"kernel": "ab" * 32}),
            "cut": container(PARTS)[:-1],
            "signed": with_signature(self.key),
            "forged": with_signature(self.key, forged={"cmdline": "init=/bin/sh"}),
            "old": with_signature(self.key, old=True),
            "bare": container(PARTS, hashes=None, data_hash=None),
            "snapshot": snapshot(),
            "nothing": b"",
        }
        for name, octets in files.items():
            (self.folder / name).write_bytes(octets)
        os.mkfifo(self.folder / "fifo")

    def verify(self, *words: str) -> tuple[int, list[str], str]:
        """Status, lines and errors; words that name a file are given as its path, and lines tell the name alone."""
        paths = [self.folder / word if (self.folder / word).exists() or word == "none" else word for word in words]
        status, out, error = command("verify", *paths)
        return status, out.replace(f"{self.folder}/", "").splitlines(), error

    def test_verdicts(self) -> None:
        trusted = ("--trusted", self.public)
        cases: list[tuple[tuple[str, ...], int, str]] = [
            (("sound",), 0, "sound: sound, 180 octets, not signed"),
            (("signed",), 0, f"signed: sound, 180 octets, signed by {self.public}"),
            (
                ("old",),
                0,
                f"old: sound, 180 octets, its payload, but not its description, signed by {self.public}",
            ),
            (("bare",), 0, "bare: sound, 180 octets, without a SHA-256 to compare with, not signed"),
            (("damaged",), 1, "damaged: damaged: the CRC of a chunk IDAT is wrong"),
            (("digest",), 1, "digest: damaged: part 'kernel' does not have the SHA-256"),
            (("cut",), 1, "cut: damaged: the file ends within a chunk IEND"),
            (("forged",), 1, "forged: damaged: the signature of the description is wrong"),
            (("nothing",), 1, "nothing: damaged: no payload"),
            (("none",), 4, "none: cannot be read: No such file or directory"),
            (("fifo",), 4, "fifo: cannot be read: not a regular file"),
            (("signed", *trusted), 0, f"signed: sound, 180 octets, signed by {self.public}"),
            (("signed", "--trusted", self.other, *trusted), 0, f"signed: sound, 180 octets, signed by {self.public}"),
            (("sound", *trusted), 3, "sound: sound, 180 octets, not signed by a trusted key"),
            (
                ("signed", "--trusted", self.other),
                3,
                f"signed: sound, 180 octets, not signed by a trusted key, signed by {self.public}",
            ),
            (
                ("old", *trusted),
                3,
                "old: sound, 180 octets, a trusted key has signed its payload, and not its description",
            ),
            (("digest", *trusted), 1, "digest: damaged: "),
        ]
        for words, expected, told in cases:
            status, lines, error = self.verify(*words)
            self.assertEqual((status, len(lines), error), (expected, 1, ""), f"{words} {lines}")
            self.assertTrue(lines[0].startswith(told), lines[0])

    def test_several(self) -> None:
        """Every file has its line; the worst of them decides: damaged, then not readable, then not trusted."""
        for words, expected in (
            (("sound", "signed"), 0),
            (("sound", "signed", "--trusted", self.public), 3),
            (("none", "sound", "--trusted", self.public), 4),
            (("none", "sound", "cut", "--trusted", self.public), 1),
        ):
            status, lines, _ = self.verify(*words)
            files = [word for word in words if not word.startswith("--") and word != self.public]
            self.assertEqual((status, [line.split(":")[0] for line in lines]), (expected, files))

    def test_quiet(self) -> None:
        self.assertEqual(self.verify("-q", "sound", "signed"), (0, [], ""))
        status, lines, _ = self.verify("--quiet", "sound", "cut")
        self.assertEqual((status, len(lines)), (1, 1))

    def test_json(self) -> None:
        status, lines, error = self.verify("--json", "-q", "signed", "cut", "none", "--trusted", self.other)
        self.assertEqual((status, error), (1, ""))
        found = [json.loads(line) for line in lines]
        self.assertEqual(
            found[0],
            {
                "file": "signed",
                "verdict": "untrusted",
                "reason": "not signed by a trusted key",
                "size": 180,
                "sha256": hashlib.sha256(OCTETS).hexdigest(),
                "compared": True,
                "signer": self.public,
                "payload_signer": self.public,
            },
        )
        self.assertEqual([each["verdict"] for each in found], ["untrusted", "damaged", "unreadable"])
        self.assertEqual((found[2]["reason"], found[2]["sha256"]), ("No such file or directory", None))

    def test_standard_input(self) -> None:
        octets = with_signature(self.key)
        expected = f"standard input: sound, 180 octets, signed by {self.public}\n".encode()
        self.assertEqual(standard(octets, "verify", "-"), (0, expected, ""))
        self.assertEqual(standard(octets[:-1], "verify", "-")[0], 1)
        self.assertEqual(standard(octets, "verify", "-", terminal=True)[0], 4)

    def test_misused(self) -> None:
        for words, told in (
            ([], "the following arguments are required: FILE"),
            (["-", "-"], "standard input can be read once"),
            (["sound", "--trusted", "abc"], "argument --trusted: abc: this is no public key"),
            (["sound", "--trusted", "fifo"], "argument --trusted: "),
            (["sound", "--trusted"], "expected one argument"),
        ):
            status, lines, error = self.verify(*words)
            self.assertEqual((status, lines), (2, []), str(words))
            self.assertIn(told, error)

    def test_a_hostile_name(self) -> None:
        name = "a\n\x1b[2J\u202e\udcff.rts.png"
        (self.folder / name).write_bytes(container(PARTS))
        _, out, _ = command("verify", self.folder / name)
        self.assertTrue(out.isascii() and out[:-1].isprintable(), repr(out))
        status, out, _ = command("verify", "--json", self.folder / name)
        self.assertEqual((status, json.loads(out)["file"]), (0, f"{self.folder}/{name}"))

    def test_a_snapshot(self) -> None:
        self.assertEqual(self.verify("snapshot")[0], 0)
