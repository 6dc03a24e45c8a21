"""Tests of `pixelboot.library.trust`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import ConfigError
from pixelboot.library.trust import LARGEST_FILE, load

SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = SECRET.public_key()
HEX = KEY.public_bytes_raw().hex()
LINE = KEY.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")
PEM = KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


class TestLoad(SynchronousTestCase):
    """``containers.trusted_keys``."""

    def put(self, octets: bytes) -> str:
        path = Path(self.mktemp()).resolve()
        path.write_bytes(octets)
        return str(path)

    def test_every_spelling(self) -> None:
        """In the settings themselves, and in a file."""
        for words in (HEX, HEX.upper(), LINE, f"{LINE} somebody@home"):
            self.assertEqual(load([words]), {HEX}, words)
        for octets in (HEX, f"{HEX}\n", LINE, f"{LINE} somebody@home\n", PEM):
            self.assertEqual(load([self.put(octets.encode())]), {HEX}, octets)

    def test_several(self) -> None:
        other = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw().hex()
        self.assertEqual(load([HEX, other, LINE]), {HEX, other})
        self.assertEqual(load([]), frozenset())

    def test_refused(self) -> None:
        """The setting and the key are named, and why; what a file holds is not told."""
        folder, fifo = self.mktemp(), self.mktemp()
        os.mkdir(folder)
        os.mkfifo(fifo)
        secret = SECRET.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for words, why in (
            ("00" * 32, "anybody can sign with it"),
            (LINE[:-4] + "AAA!", "this is no public key"),
            ("/there/is/none", "No such file or directory"),
            (os.path.abspath(folder), "Is a directory"),
            (os.path.abspath(fifo), "not a regular file"),
            (self.put(b""), "this is no public key"),
            (self.put(b"\xff\0"), "this is no public key"),
            (self.put(secret), "this is no public key"),
            (self.put(b" " * (LARGEST_FILE + 1)), f"the file has more than {LARGEST_FILE} octets"),
        ):
            error = self.assertRaises(ConfigError, load, [HEX, words])
            self.assertEqual((error.key, error.value), ("containers.trusted_keys", words))
            self.assertIn(why, str(error))
            self.assertNotIn("MC4C", str(error), "nothing of a private key gets into the log")

    def test_without_keys_nothing_is_imported(self) -> None:
        program = "import sys, pixelboot.library.trust as t; t.load([]); print('cryptography' in sys.modules)"
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
        self.assertEqual(said.stdout, "False\n")
