"""A private key and its certificate, read from files and fit for use: the context of TLS connections.

All of it blocks: it is called before the reactor runs, or in one of its threads.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import Certificate, ExtensionNotFound, SubjectAlternativeName, load_pem_x509_certificates
from OpenSSL import SSL

from pixelboot.malformed import Malformed

LARGEST_FILE = 1 << 20
"""Octets; a chain of certificates has a hundredth of it."""

CIPHERS = ":".join(
    [
        # Forward secrecy first.  AES with 128 bits before 256: firmware deciphers without help of the processor.
        "ECDHE+AESGCM+AES128",
        "ECDHE+AESGCM",
        "ECDHE+CHACHA20",
        # iPXE before 2024 has RSA key exchange alone, before 2022 with CBC alone.
        "ECDHE+AES+SHA256",
        "ECDHE+AES+SHA384",
        "kRSA+AESGCM+AES128",
        "kRSA+AESGCM",
        "kRSA+AES+SHA256",
    ]
)
"""The cipher suites of TLS 1.2, best first, in the language of OpenSSL; those of TLS 1.3 are all good."""

_ALPN = b"http/1.1"
"""The one protocol that is spoken over TLS (RFC 7301): boot firmware knows no other."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where key and certificate are; each file is PEM."""

    key: str
    """The path of the private key."""

    certificate: str
    """The path of the certificate; more of them behind it are its chain."""

    chain: str = ""
    """The path of further certificates of the chain; empty for none."""

    def read(self) -> tuple[bytes, bytes, bytes]:
        """What is in the files now; raises `Malformed`."""
        return _read(self.key), _read(self.certificate), _read(self.chain) if self.chain else b""


@dataclass(frozen=True, slots=True)
class Pair:
    """A key and a certificate that belong together."""

    context: SSL.Context
    """What makes connections."""

    names: tuple[str, ...]
    """The host names and addresses that the certificate is for."""

    starts_at: float
    """When it begins to be valid, in seconds since 1970."""

    ends_at: float
    """When it expires, in seconds since 1970."""

    @property
    def until(self) -> str:
        """The day on which it expires, in UTC: ``2027-08-01``."""
        return day(self.ends_at)

    def wrong_at(self, now: float) -> str:
        """Why clients refuse it at this time, in seconds since 1970; empty if they do not."""
        if now < self.starts_at:
            return f"it is not valid before {datetime.fromtimestamp(self.starts_at, UTC):%F %T} UTC"
        return f"it expired on {self.until}" if now >= self.ends_at else ""


def day(at: float) -> str:
    """The day of an instant, in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%F}"


def fit(files: Files, contents: tuple[bytes, bytes, bytes]) -> Pair:
    """Make a pair of what was read; raises `Malformed` where it is none."""
    try:
        key = load_pem_private_key(contents[0], None)
    except TypeError:
        raise Malformed(f"{files.key}: the key is encrypted, and nobody is asked for its passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise Malformed(f"{files.key}: there is no private key in it (PEM)") from None
    certificate, *chain = _certificates(files.certificate, contents[1])
    if files.chain:
        chain += _certificates(files.chain, contents[2])
    if key.public_key() != certificate.public_key():
        raise Malformed(f"the key {files.key} does not belong to the certificate {files.certificate}")
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    # Firmware hangs up without a word: that is its way, and no attack that could gain anything from a server.
    context.set_options(SSL.OP_IGNORE_UNEXPECTED_EOF)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    # Clients come back with tickets, which need no memory here.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_cipher_list(CIPHERS.encode())
    context.set_alpn_select_callback(_chosen)
    try:
        context.use_certificate(certificate)
        for each in chain:
            context.add_extra_chain_cert(each)
        context.use_privatekey(key)  # type: ignore[arg-type] # of what kinds there are, OpenSSL says which it takes
        context.check_privatekey()
    except (SSL.Error, TypeError, ValueError) as problem:
        raise Malformed(f"{files.certificate} cannot be used: {_words(problem)}") from None
    starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return Pair(context, _names(certificate), starts.timestamp(), ends.timestamp())


def _read(path: str) -> bytes:
    """What the file holds; what is no file is not waited for."""
    try:
        with open(path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Malformed(f"{path}: it is not a regular file")
            octets = file.read(LARGEST_FILE + 1)
    except OSError as problem:
        raise Malformed(f"{path}: {problem.strerror or problem}") from None
    if len(octets) > LARGEST_FILE:
        raise Malformed(f"{path}: it has more than {LARGEST_FILE} octets")
    return octets


def _certificates(path: str, octets: bytes) -> list[Certificate]:
    try:
        return load_pem_x509_certificates(octets)
    except ValueError:
        raise Malformed(f"{path}: there is no certificate in it (PEM)") from None


def _names(certificate: Certificate) -> tuple[str, ...]:
    try:
        alternatives = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except (ExtensionNotFound, ValueError):
        return ()
    return tuple(str(each.value) for each in alternatives)


def _chosen(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """HTTP/1.1 where the client offers it; else nothing is agreed on, and it is spoken all the same."""
    return _ALPN if _ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _words(problem: Exception) -> str:
    """What OpenSSL says, without the names of its functions."""
    if isinstance(problem, SSL.Error) and problem.args and isinstance(problem.args[0], list):
        return ", ".join(str(each[-1]) for each in problem.args[0])
    return str(problem)
