"""Tests of `pixelboot.cli.picture.key`."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.cli.picture import key
from pixelboot.container.signature import public_of
from pixelboot.malformed import Malformed
from tests.running import ENVIRON, PATIENCE

PEM = serialization.PrivateFormat.PKCS8
OPENSSH = serialization.PrivateFormat.OpenSSH
CHEAP = {
    PEM: serialization.BestAvailableEncryption(b"secret"),
    OPENSSH: OPENSSH.encryption_builder().kdf_rounds(1).build(b"secret"),
}

PROGRAM = """
import os, sys
from pathlib import Path
if sys.argv[1]:
    os.open(sys.argv[1], os.O_RDWR)  # The first terminal that a session opens is its own.
from pixelboot.cli.picture.key import private_key
from pixelboot.container.signature import public_of
print(public_of(private_key(Path(sys.argv[2]))))
"""


def written(
    folder: Path, made: Ed25519PrivateKey | X25519PrivateKey, kind: serialization.PrivateFormat, encrypted: bool = False
) -> Path:
    """A file with this key that nobody else can read."""
    encryption = CHEAP[kind] if encrypted else serialization.NoEncryption()
    path = folder / "key"
    path.write_bytes(made.private_bytes(serialization.Encoding.PEM, kind, encryption))
    path.chmod(0o600)
    return path


class TestPrivateKey(SynchronousTestCase):
    """Keys to sign with."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.made = Ed25519PrivateKey.generate()
        self.notes: list[str] = []
        self.patch(key, "note", self.notes.append)

    def refused(self, path: Path) -> str:
        return str(self.assertRaises(Malformed, key.private_key, path))

    def test_both_forms(self) -> None:
        for kind in (PEM, OPENSSH):
            found = key.private_key(written(self.folder, self.made, kind))
            self.assertEqual(public_of(found), public_of(self.made), kind)
        self.assertEqual(self.notes, [])

    def test_others_can_read_it(self) -> None:
        path = written(self.folder, self.made, PEM)
        for mode in (0o640, 0o604, 0o620):
            self.notes.clear()
            path.chmod(mode)
            key.private_key(path)
            self.assertEqual(self.notes, [f"{path} can be read by others than its owner: chmod 600 it"], oct(mode))

    def test_an_encrypted_one_on_a_terminal(self) -> None:
        for kind, passphrase in ((OPENSSH, b"secret"), (PEM, b"wrong")):
            status, out, error, screen = self.asked(written(self.folder, self.made, kind, encrypted=True), passphrase)
            self.assertIn(b"Passphrase of ", screen)
            self.assertNotIn(b"secret", screen)
            expected = f"{public_of(self.made)}\n".encode() if passphrase == b"secret" else b""
            self.assertEqual(out, expected, f"{kind} {passphrase!r} {error!r}")
            if passphrase != b"secret":
                self.assertEqual(status, 1)
                self.assertIn(b"Malformed: ", error)

    def asked(self, path: Path, passphrase: bytes) -> tuple[int, bytes, bytes, bytes]:
        """A process with a terminal of its own where somebody types this: status, output, errors, the screen."""
        master, slave = pty.openpty()
        try:
            with self.process(os.ttyname(slave), path) as process:
                screen = b""
                while b"key: " not in screen:
                    screen += os.read(master, 1000)
                os.write(master, passphrase + b"\n")
                out, error = process.communicate(timeout=PATIENCE)
            os.write(slave, b"!")
            return process.returncode, out, error, screen + os.read(master, 1000)
        finally:
            os.close(master)
            os.close(slave)

    def test_an_encrypted_one_and_nobody_to_ask(self) -> None:
        path = written(self.folder, self.made, PEM, encrypted=True)
        with self.process("", path) as process:
            out, error = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, out), (1, b""))
        told = f"{path}: the private key is encrypted, and there is no terminal to ask for its passphrase\n"
        self.assertTrue(error.decode().endswith(told), error)

    def process(self, terminal: str, path: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, terminal, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, **ENVIRON},
        )

    def test_what_is_no_key(self) -> None:
        path = written(self.folder, X25519PrivateKey.generate(), PEM)
        self.assertEqual(self.refused(path), f"{path}: the private key is not an Ed25519 key")
        for octets in (b"", b"hello", b"\xff" * 100_000, b"-----BEGIN OPENSSH PRIVATE KEY-----\n"):
            path.write_bytes(octets)
            self.assertTrue(self.refused(path).startswith(f"{path}: the private key cannot be read: "))
        path.write_text(public_of(self.made))
        self.assertEqual(self.refused(path), f"{path}: this is a public key; the private one of the pair is what signs")
        self.assertEqual(self.refused(self.folder), f"{self.folder}: Is a directory")
        path.unlink()
        self.assertEqual(self.refused(path), f"{path}: No such file or directory")


class TestPublicKey(SynchronousTestCase):
    """Keys to trust."""

    def test_all_forms(self) -> None:
        path = Path(self.mktemp())
        public = Ed25519PrivateKey.generate().public_key()
        digits = public.public_bytes_raw().hex()
        line = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        pem = public.public_bytes(serialization.Encoding.PEM, form).decode()
        for text in (digits, digits.upper(), line, f"{line} me@there"):
            self.assertEqual(key.public_key(text), digits)
        for text in (digits, f"{line} me@there\n", pem):
            path.write_text(text)
            self.assertEqual(key.public_key(str(path)), digits, text)

    def test_what_is_no_key(self) -> None:
        path = Path(self.mktemp())
        for text in ("", "xyz", "ssh-ed25519 AAAA", "00" * 31):
            self.assertIn("and there is no such file", str(self.assertRaises(Malformed, key.public_key, text)))
        path.write_bytes(b"\xff\x00")
        self.assertIn(f"{path}: ", str(self.assertRaises(Malformed, key.public_key, str(path))))
        self.assertIn("not a regular file", str(self.assertRaises(Malformed, key.public_key, "/dev/null")))
