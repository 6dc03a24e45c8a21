"""Ed25519 signatures of containers: who made this payload, and who says so of it.

A description may hold ``signature``: {``algorithm``: "Ed25519", ``public_key``, ``value``, ``description_value``}.

- ``value`` signs the 32 octets of the payload's SHA-256.  It says nothing about the command line or the table of parts,
  which make a different system of the same payload.
- ``description_value`` signs `_DOMAIN`, the payload's SHA-256, and the SHA-256 of the description without its signature
  (`pixelboot.container.table.canonical`).  Only a container where both are right counts as signed.

Keys and signatures are written in hex; base64 is read as well.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pixelboot.container import table
from pixelboot.container.table import Damaged, Table
from pixelboot.malformed import Malformed

PrivateKey = Ed25519PrivateKey
"""What signs."""

ALGORITHM = "Ed25519"

_DOMAIN = b"PixelRTS description, signed with its payload\0"
"""Keeps what is signed here from being taken for anything else that the same key signs."""

_KEY = 32
_SIGNATURE = 64

_PRIME = 2**255 - 19
_WEAK = {0, 1, _PRIME - 1, _PRIME, _PRIME + 1} | {
    int.from_bytes(bytes.fromhex(octets), "little")
    for octets in (
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    )
}
"""The points of small order, by their y: what is "signed" with such a key (all zeros is one), anybody can sign."""


class PasswordNeeded(Malformed):
    """The private key is encrypted, and no password was given."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a description says of its signature: not checked yet."""

    public_key: str
    """The signer's key, as 64 lower-case hex digits."""

    value: str
    """The signature over the payload's SHA-256, as 128 lower-case hex digits."""

    description_value: str = ""
    """The signature over payload and description, as 128 lower-case hex digits; empty where there is none."""


def parse(value: object) -> Signature | None:
    """The value of ``signature`` in a description; `Damaged` when it is not one that is known here."""
    if value is None:
        return None
    found = table.an_object(value, "signature")
    if (algorithm := found.get("algorithm")) != ALGORITHM:
        raise Damaged(f"the signature's algorithm {table.shown(algorithm)} is not supported, only {ALGORITHM}")
    covering = found.get("description_value")
    public_key = _hex(found.get("public_key"), _KEY, "public_key")
    if _weak(public_key):
        raise Damaged("the signature's public_key is one that anybody can sign with")
    return Signature(
        public_key,
        _hex(found.get("value"), _SIGNATURE, "value"),
        "" if covering is None else _hex(covering, _SIGNATURE, "description_value"),
    )


def write(signature: Signature) -> Table:
    """The value of ``signature`` in a description."""
    written = {"algorithm": ALGORITHM, "public_key": signature.public_key, "value": signature.value}
    return written | ({"description_value": signature.description_value} if signature.description_value else {})


def sign(key: PrivateKey, payload: bytes, description: bytes) -> Signature:
    """Sign a payload with this SHA-256 (32 octets), and its canonical description."""
    value, covering = key.sign(payload), key.sign(_statement(payload, description))
    return Signature(public_of(key), value.hex(), covering.hex())


def verify(signature: Signature, payload: bytes, description: bytes) -> bool:
    """Check a signature; True when it covers the description as well as the payload, `Damaged` when it is wrong."""
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature.public_key))
    try:
        key.verify(bytes.fromhex(signature.value), payload)
    except (InvalidSignature, ValueError):
        raise Damaged("the signature of the payload is wrong") from None
    if not signature.description_value:
        return False
    try:
        key.verify(bytes.fromhex(signature.description_value), _statement(payload, description))
    except (InvalidSignature, ValueError):
        raise Damaged("the signature of the description is wrong") from None
    return True


def public_of(key: PrivateKey) -> str:
    """The public key of a private one, as 64 lower-case hex digits."""
    return key.public_key().public_bytes_raw().hex()


def load_private(octets: bytes, password: bytes | None = None) -> PrivateKey:
    """Read a private key: PEM (PKCS #8, as OpenSSL makes it) or OpenSSH's own form (as ``ssh-keygen`` makes it).

    `PasswordNeeded` when it is encrypted and no password is given, `Malformed` when it cannot be read.
    """
    load = serialization.load_pem_private_key
    if b"BEGIN OPENSSH PRIVATE KEY" in octets:
        load = serialization.load_ssh_private_key
    try:
        key = load(octets, password)
    except TypeError as error:
        if password is None:
            raise PasswordNeeded("the private key is encrypted, a password is needed") from None
        raise Malformed(f"the private key cannot be read: {error}") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        if password is None and "assword" in str(error):
            raise PasswordNeeded("the private key is encrypted, a password is needed") from None
        raise Malformed(f"the private key cannot be read: {_first_line(error)}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise Malformed("the private key is not an Ed25519 key")
    return key


def parse_public(text: str) -> str:
    """Read a public key: 64 hex digits, OpenSSH's line ``ssh-ed25519 AAAA… comment``, or PEM; as 64 hex digits.

    `Malformed` when it is none of these.
    """
    text = text.strip()
    if re.fullmatch("[0-9A-Fa-f]{64}", text):
        found = text.lower()
    else:
        load = serialization.load_pem_public_key
        if not text.startswith("-----BEGIN"):
            load = serialization.load_ssh_public_key
        try:
            key = load(text.encode("utf-8"))
        except (ValueError, UnsupportedAlgorithm):
            raise Malformed("this is no public key: 64 hex digits, an ssh-ed25519 line or PEM is wanted") from None
        if not isinstance(key, Ed25519PublicKey):
            raise Malformed("the public key is not an Ed25519 key")
        found = key.public_bytes_raw().hex()
    if _weak(found):
        raise Malformed("this is no public key: anybody can sign with it")
    return found


def _weak(public_key: str) -> bool:
    return int.from_bytes(bytes.fromhex(public_key), "little") & ~(1 << 255) in _WEAK


def _statement(payload: bytes, description: bytes) -> bytes:
    """What ``description_value`` signs."""
    return _DOMAIN + payload + hashlib.sha256(description).digest()


def _hex(value: object, length: int, what: str) -> str:
    """`length` octets in hex or base64, as lower-case hex."""
    if isinstance(value, str) and value.isascii():
        if re.fullmatch(f"[0-9A-Fa-f]{{{2 * length}}}", value):
            return value.lower()
        if len(value) == -(-length // 3) * 4:
            try:
                octets = base64.b64decode(value, validate=True)
            except binascii.Error:
                octets = b""
            if len(octets) == length:
                return octets.hex()
    raise Damaged(f"{what} of the signature is not {length} octets in hex")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
