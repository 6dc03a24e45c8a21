"""Tests of `pixelboot.container.signature`."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.container import signature
from pixelboot.container.signature import PasswordNeeded, Signature
from pixelboot.container.table import Damaged
from pixelboot.malformed import Malformed
from tests.container.pictures import signed

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
"""The public key of `KEY`, as OpenSSL makes it of the same octets."""

OPENSSH = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes.fromhex(PUBLIC)).decode("ascii")
PEM, NAKED = serialization.Encoding.PEM, serialization.NoEncryption()
PKCS8, SSH = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.OpenSSH
DIGEST = hashlib.sha256(b"payload").digest()
"""Of a payload."""


class TestSigning(SynchronousTestCase):
    """Signatures made and compared."""

    def test_round_trip(self) -> None:
        made = signature.sign(KEY, DIGEST, b"{}")
        self.assertEqual((made.public_key, signature.public_of(KEY)), (PUBLIC, PUBLIC))
        self.assertEqual(signature.parse(signature.write(made)), made)
        self.assertTrue(signature.verify(made, DIGEST, b"{}"))

    def test_of_the_payload_alone(self) -> None:
        old = Signature(PUBLIC, KEY.sign(DIGEST).hex())
        self.assertEqual(signature.parse(signature.write(old)), old)
        self.assertFalse(signature.verify(old, DIGEST, b"{}"))

    def test_as_the_format_says(self) -> None:
        """A signature made by hand: see `tests.container.pictures.signed`."""
        found = signed({"kernel": b"payload"}, KEY)
        parsed = signature.parse(found["signature"])
        assert parsed is not None
        unsigned = {key: value for key, value in found.items() if key != "signature"}
        canonical = json.dumps(unsigned, sort_keys=True, separators=(",", ":")).encode("ascii")
        self.assertTrue(signature.verify(parsed, DIGEST, canonical))
        self.assertEqual(parsed, signature.sign(KEY, DIGEST, canonical))

    def test_wrong(self) -> None:
        made = signature.sign(KEY, DIGEST, b"{}")
        other = signature.sign(Ed25519PrivateKey.generate(), DIGEST, b"{}")
        for case, wrong, digest, description, reason in [
            ("another payload", made, bytes(32), b"{}", "of the payload is wrong"),
            ("another description", made, DIGEST, b"{ }", "of the description is wrong"),
            ("another's key", Signature(other.public_key, made.value), DIGEST, b"{}", "of the payload is wrong"),
            (
                "another's statement",
                Signature(PUBLIC, made.value, other.description_value),
                DIGEST,
                b"{}",
                "of the description is wrong",
            ),
            ("one for the other", Signature(PUBLIC, made.description_value), DIGEST, b"{}", "of the payload is wrong"),
            ("no point", Signature("02" + "00" * 31, made.value), DIGEST, b"{}", "of the payload is wrong"),
        ]:
            error = self.assertRaises(Damaged, signature.verify, wrong, digest, description)
            self.assertIn(reason, str(error), case)

    def test_base64_is_read(self) -> None:
        made = signature.sign(KEY, DIGEST, b"{}")
        written = {
            key: value if key == "algorithm" else base64.b64encode(bytes.fromhex(value)).decode("ascii")
            for key, value in signature.write(made).items()
        }
        self.assertEqual(signature.parse(written), made)

    def test_descriptions(self) -> None:
        good = {"algorithm": "Ed25519", "public_key": PUBLIC, "value": "00" * 64}
        self.assertIsNone(signature.parse(None))
        cases: list[tuple[object, str]] = [
            ([], "signature is not a JSON object"),
            (good | {"algorithm": "RSA"}, "algorithm 'RSA' is not supported"),
            (good | {"algorithm": None}, "algorithm nothing is not supported"),
            (good | {"public_key": PUBLIC[:-1]}, "public_key of the signature is not 32 octets in hex"),
            (good | {"public_key": None}, "public_key of the signature"),
            (good | {"public_key": "€" * 64}, "public_key of the signature"),
            (good | {"public_key": "=" * 44}, "public_key of the signature"),
            (good | {"public_key": "00" * 32}, "anybody can sign"),
            (good | {"public_key": "01" + "00" * 30 + "80"}, "anybody can sign"),
            (good | {"value": PUBLIC}, "value of the signature is not 64 octets"),
            (good | {"value": 5}, "value of the signature"),
            (good | {"description_value": ""}, "description_value of the signature"),
        ]
        for value, reason in cases:
            self.assertIn(reason, str(self.assertRaises(Damaged, signature.parse, value)), str(value))

    @settings(max_examples=40)
    @given(st.dictionaries(st.sampled_from(["algorithm", "public_key", "value", "description_value"]), st.text()))
    def test_any_table_is_a_value_or_damaged(self, value: dict[str, Any]) -> None:
        self.assertRaises(Damaged, signature.parse, value)
        self.assertRaises(Damaged, signature.parse, value | {"algorithm": "Ed25519"})


class TestKeys(SynchronousTestCase):
    """Keys as people have them."""

    def test_private_keys(self) -> None:
        for form in (PKCS8, SSH):
            octets = KEY.private_bytes(PEM, form, NAKED)
            self.assertEqual(signature.public_of(signature.load_private(octets)), PUBLIC, str(form))
        locked = KEY.private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"open sesame"))
        self.assertEqual(signature.public_of(signature.load_private(locked, b"open sesame")), PUBLIC)
        self.assertRaises(PasswordNeeded, signature.load_private, locked)
        self.assertIn("Incorrect", str(self.assertRaises(Malformed, signature.load_private, locked, b"wrong")))

    def test_what_is_no_private_key(self) -> None:
        naked = KEY.private_bytes(PEM, PKCS8, NAKED)
        elliptic = ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, PKCS8, NAKED)
        cases: list[tuple[bytes, bytes | None, str]] = [
            (b"", None, "cannot be read"),
            (b"\xff\xfe", None, "cannot be read"),
            (naked[:60], None, "cannot be read"),
            (naked, b"password", "cannot be read"),
            (KEY.private_bytes(PEM, SSH, NAKED)[:100], None, "cannot be read"),
            (OPENSSH.encode("ascii"), None, "cannot be read"),
            (elliptic, None, "not an Ed25519 key"),
        ]
        for octets, password, reason in cases:
            error = self.assertRaises(Malformed, signature.load_private, octets, password)
            self.assertIn(reason, str(error), repr(octets[:60]))
            self.assertIs(type(error), Malformed, repr(octets[:60]))

    def test_public_keys(self) -> None:
        public = KEY.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode("ascii")
        for text in (PUBLIC, PUBLIC.upper() + "\n", OPENSSH, f" {OPENSSH} me@here (work)\n", public):
            self.assertEqual(signature.parse_public(text), PUBLIC, text)

    def test_what_is_no_public_key(self) -> None:
        elliptic = ec.generate_private_key(ec.SECP256R1()).public_key()
        curve = elliptic.public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode("ascii")
        cases = [
            *(("", "is no public key"), ("00", "is no public key"), (PUBLIC[:-2], "is no public key")),
            *(
                ("ssh-ed25519", "is no public key"),
                (OPENSSH[:-9], "is no public key"),
                ("ssh-ed25519 é", "is no public"),
            ),
            *(("-----BEGIN", "is no public key"), ("\ud800", "is no public key"), ("g" * 64, "is no public key")),
            *((curve, "not an Ed25519 key"), ("00" * 32, "anybody can sign")),
        ]
        for text, reason in cases:
            self.assertIn(reason, str(self.assertRaises(Malformed, signature.parse_public, text)), repr(text))

    @settings(max_examples=50)
    @given(st.text(max_size=90))
    def test_any_text_is_a_key_or_malformed(self, text: str) -> None:
        for attempt in (text, f"ssh-ed25519 {text}", f"-----BEGIN {text}"):
            self.assertRaises(Malformed, signature.parse_public, attempt)

    def test_keys_of_the_usual_tools(self) -> None:
        """What ``ssh-keygen`` and ``openssl`` make, where they are installed."""
        folder = self.mktemp()
        commands = {
            "ssh-keygen": ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder],
            "openssl": ["openssl", "genpkey", "-algorithm", "ed25519", "-out", folder],
        }
        for tool, command in commands.items():
            if shutil.which(tool) is None:
                continue
            subprocess.run(command, check=True, capture_output=True, timeout=60)
            with open(folder, "rb") as file:
                key = signature.load_private(file.read())
            if tool == "ssh-keygen":
                with open(f"{folder}.pub", encoding="utf-8") as text:
                    self.assertEqual(signature.parse_public(text.read()), signature.public_of(key))
