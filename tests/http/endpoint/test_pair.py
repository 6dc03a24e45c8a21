"""Tests of `pixelboot.http.endpoint.pair`: files that fit each other, and all the ways in which they do not."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.endpoint.pair import LARGEST_FILE, Files, Pair, day, fit
from pixelboot.malformed import Malformed
from tests.http.authority import NAMES, Authority, ec_key, pem, rsa_key

IPXE = [
    # src/crypto/mishmash of iPXE: until 2022, until 2024, and since.
    "AES128-SHA256",
    "AES256-SHA256",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
]
"""The cipher suites of iPXE's that are safe enough, by OpenSSL's names; each version has one of the first four."""


def shaken(pair: Pair, suites: str = "ALL:@SECLEVEL=0", version: int = SSL.TLS1_2_VERSION) -> SSL.Connection:
    """A client that has shaken hands with a server, in memory; `SSL.Error` if they cannot."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(suites.encode())
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    context.set_alpn_protos([b"h2", b"http/1.1"])
    client, server = SSL.Connection(context, None), SSL.Connection(pair.context, None)
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(4):
        for one, other in ((client, server), (server, client)):
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(1 << 16))
    return client


class PairCase(SynchronousTestCase):
    """An authority, and a pair of files of its."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.authority = Authority()
        self.files = self.authority.put(self.folder)

    def write(self, name: str, *pieces: bytes) -> str:
        """A file of these octets."""
        path = self.folder / name
        path.write_bytes(b"".join(pieces))
        return str(path)


class FitTests(PairCase):
    """Files that can be used."""

    def pair(self, files: Files | None = None) -> Pair:
        """What the files come to."""
        files = files or self.files
        return fit(files, files.read())

    def test_read(self) -> None:
        pair = self.pair()
        self.assertEqual(pair.names, NAMES)
        now = time.time()
        self.assertLess(abs(pair.starts_at - (now - 86400)), 60)
        self.assertLess(abs(pair.ends_at - (now + 90 * 86400)), 60)
        self.assertEqual(pair.until, day(pair.ends_at))
        self.assertEqual(pair.wrong_at(now), "")
        self.assertEqual(pair.wrong_at(pair.ends_at), f"it expired on {pair.until}")
        self.assertRegex(
            pair.wrong_at(pair.starts_at - 1), r"\Ait is not valid before \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\Z"
        )
        self.assertEqual(day(0), "1970-01-01")

    def test_no_names(self) -> None:
        key = ec_key()
        files = Files(self.write("k", pem(key)), self.write("c", pem(self.authority.issue(key, names=()))))
        self.assertEqual(self.pair(files).names, ())

    def test_chain(self) -> None:
        """It stands behind the certificate, or in a file of its own; and key and certificate may share a file."""
        below = Authority("intermediate", above=self.authority)
        key = ec_key()
        own, above = pem(below.issue(key)), pem(below.certificate)
        for files in (
            Files(self.write("k", pem(key)), self.write("both", own, above)),
            Files(self.write("k", pem(key)), self.write("c", own), self.write("chain", above)),
            Files(self.write("all", pem(key), own, above), self.write("all", pem(key), own, above)),
        ):
            chain = shaken(self.pair(files)).get_peer_cert_chain(as_cryptography=True)
            assert chain is not None
            issuers = [each.issuer.rfc4514_string() for each in chain]
            self.assertEqual(issuers, ["CN=Tests intermediate", "CN=Tests root"])

    def test_protocols(self) -> None:
        """TLS 1.2 and 1.3, and HTTP/1.1 inside."""
        pair = self.pair()
        for version, name in ((SSL.TLS1_2_VERSION, "TLSv1.2"), (SSL.TLS1_3_VERSION, "TLSv1.3")):
            client = shaken(pair, version=version)
            self.assertEqual((client.get_protocol_version_name(), client.get_alpn_proto_negotiated()),
                             (name, b"http/1.1"))  # fmt: skip
        with self.assertRaises(SSL.Error):
            shaken(pair, version=SSL.TLS1_1_VERSION)

    def test_ciphers(self) -> None:
        """Every iPXE finds one of its own; nobody finds one that is broken; the server chooses."""
        key = rsa_key()
        pair = self.pair(Files(self.write("k", pem(key)), self.write("c", pem(self.authority.issue(key)))))
        for suite in IPXE:
            self.assertEqual(shaken(pair, suite).get_cipher_name(), suite)
        self.assertEqual(shaken(pair, ":".join(IPXE)).get_cipher_name(), "ECDHE-RSA-AES128-GCM-SHA256")
        for suite in ("AES128-SHA", "NULL-SHA256:@SECLEVEL=0", "AECDH-AES128-SHA:@SECLEVEL=0", "PSK-AES128-CBC-SHA256"):
            with self.assertRaises(SSL.Error, msg=suite):
                shaken(pair, suite)

    def test_openssl_s_client(self) -> None:
        """What openssl writes can be read: keys of both kinds, in both forms of PEM."""
        path = self.folder / "openssl.pem"
        for words in (
            ("genrsa", "-traditional", "-out", path, "2048"),
            ("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path),
            ("ecparam", "-name", "prime256v1", "-genkey", "-out", path),
            ("genpkey", "-algorithm", "ED25519", "-out", path),
        ):
            subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
            request = ("req", "-x509", "-new", "-key", path, "-subj", "/CN=a", "-days", "9", "-out", f"{path}.c")
            subprocess.run(["openssl", *map(str, request)], check=True, capture_output=True)
            self.pair(Files(str(path), f"{path}.c"))


class RefusedTests(PairCase):
    """Files that cannot."""

    def refused(self, files: Files) -> str:
        """Why."""
        return str(self.assertRaises(Malformed, lambda: fit(files, files.read())))

    def test_files(self) -> None:
        """What cannot be read; a pipe is not waited for."""
        pipe = str(self.folder / "pipe")
        os.mkfifo(pipe)
        large = self.write("large", bytes(LARGEST_FILE + 1))
        for path, why in (
            ("/nonexistent", "/nonexistent: No such file or directory"),
            ("/", "/: Is a directory"),
            (pipe, f"{pipe}: it is not a regular file"),
            (large, f"{large}: it has more than 1048576 octets"),
        ):
            for files in (replace(self.files, key=path), replace(self.files, certificate=path)):
                self.assertEqual(self.refused(files), why)
            self.assertEqual(self.refused(replace(self.files, chain=path)), why)

    def test_contents(self) -> None:
        """Files that hold something else."""
        other = self.write("other", pem(ec_key()))
        locked = self.write("locked", pem(ec_key(), b"secret"))
        none = self.write("none", b"nothing\n")
        damaged = self.write("damaged", Path(self.files.certificate).read_bytes().replace(b"A", b"B"))
        key, certificate = self.files.key, self.files.certificate
        for files, why in (
            (Files(other, certificate), f"the key {other} does not belong to the certificate {certificate}"),
            (Files(locked, certificate), f"{locked}: the key is encrypted, and nobody is asked for its passphrase"),
            (Files(certificate, certificate), f"{certificate}: there is no private key in it (PEM)"),
            (Files(none, certificate), f"{none}: there is no private key in it (PEM)"),
            (Files(key, key), f"{key}: there is no certificate in it (PEM)"),
            (Files(key, none), f"{none}: there is no certificate in it (PEM)"),
            (Files(key, damaged), f"{damaged}: there is no certificate in it (PEM)"),
            (Files(key, certificate, none), f"{none}: there is no certificate in it (PEM)"),
        ):
            self.assertEqual(self.refused(files), why)

    def test_weak(self) -> None:
        """What OpenSSL finds too weak is told in its words."""
        weak = rsa.generate_private_key(65537, 1024)
        files = Files(self.write("k", pem(weak)), self.write("c", pem(self.authority.issue(weak))))
        self.assertEqual(self.refused(files), f"{files.certificate} cannot be used: ee key too small")
