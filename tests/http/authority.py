"""A certificate authority of the tests' own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from pixelboot.http.endpoint.pair import Files

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

NAMES = ("localhost", "127.0.0.1", "::1")


@cache
def rsa_key(use: str = "server") -> rsa.RSAPrivateKey:
    """A key of the older kind, one for each use; to make one takes a while."""
    return rsa.generate_private_key(65537, 2048)


def ec_key() -> ec.EllipticCurvePrivateKey:
    """A key of the newer kind, another one each time."""
    return ec.generate_private_key(ec.SECP256R1())


def pem(what: x509.Certificate | Key, passphrase: bytes = b"") -> bytes:
    """A certificate or a key as files have it."""
    if isinstance(what, x509.Certificate):
        return what.public_bytes(Encoding.PEM)
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return what.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def _named(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """Signs certificates; those of another authority it may have signed itself."""

    def __init__(self, name: str = "root", above: Authority | None = None, key: Key | None = None) -> None:
        """Below another one it is an intermediate."""
        self.key = key or ec_key()
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Tests {name}")])
        signer = above or self
        self.certificate = signer._sign(self._name, self.key, [], (-1, 3650), authority=True)
        self.pem = pem(self.certificate)
        """What clients trust."""

    def issue(self, key: Key, names: Sequence[str] = NAMES, days: tuple[float, float] = (-1, 90)) -> x509.Certificate:
        """A certificate for a key, valid from so many days to so many from now."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tests server")])
        return self._sign(subject, key, names, days, authority=False)

    def put(
        self,
        folder: Path,
        key: Key | None = None,
        days: tuple[float, float] = (-1, 90),
        names: Sequence[str] = NAMES,
    ) -> Files:
        """Write a key and its certificate into a folder, over those that are there."""
        folder.mkdir(exist_ok=True)
        key = key or ec_key()
        files = Files(str(folder / "key.pem"), str(folder / "cert.pem"))
        Path(files.key).write_bytes(pem(key))
        Path(files.certificate).write_bytes(pem(self.issue(key, names, days)))
        return files

    def _sign(
        self, subject: x509.Name, key: Key, names: Sequence[str], days: tuple[float, float], *, authority: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(map(_named, names)), critical=False)
        return builder.sign(self.key, hashes.SHA256())
