"""Tests of `pixelboot.tap.places`: what is found out about endpoints before anything is bound."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pixelboot.config import ConfigError
from pixelboot.http.endpoint.make import TlsEndpoint
from pixelboot.http.endpoint.outcomes import CertificateReplaced
from pixelboot.http.endpoint.pair import Files
from pixelboot.http.endpoint.said import Endpoint
from pixelboot.outcome import Outcome
from pixelboot.tap import places
from pixelboot.tap.places import Certificates
from tests.http.authority import Authority, ec_key, pem

reactor = cast("Any", _reactor)

NONE = "/nonexistent/key.pem"


def listen(*texts: str) -> list[Endpoint]:
    """Settings with these endpoints."""
    return list(map(Endpoint.parse, texts))


def tls(files: Files, port: int = 443) -> str:
    """The string of an endpoint with TLS."""
    return f"ssl:{port}:privateKey={files.key}:certKey={files.certificate}"


class ExamineTests(SynchronousTestCase):
    """`examine`, `doubts` and `summary`."""

    def setUp(self) -> None:
        self.folder = Path(os.path.abspath(self.mktemp()))
        self.authority = Authority()
        self.files = self.authority.put(self.folder)

    def refused(self, text: str, *, is_served: bool = True) -> str:
        """Why an endpoint is refused, after others that can be had."""
        endpoints = listen("tcp:80", tls(self.files, 444), text)
        error = self.assertRaises(ConfigError, places.examine, endpoints, reactor, is_served=is_served)
        self.assertEqual((error.key, error.value), ("http.listen", text))
        return str(error.allowed)

    def test_good(self) -> None:
        """All kinds; nothing is bound, and what systemd hands over may come later."""
        endpoints = listen(
            "tcp:1", "tcp6:1", "unix:/nonexistent/x", "systemd:domain=INET:name=http", tls(self.files, 2)
        )
        places.examine(endpoints, reactor, is_served=True)

    def test_refused(self) -> None:
        other = self.folder / "other.pem"
        other.write_bytes(pem(ec_key()))
        key, certificate = self.files.key, self.files.certificate
        for text, why in (
            ("foo:80", "must be a Twisted endpoint: Unknown endpoint type: 'foo'"),
            ("ssl:443", "must name the file of the private key, as privateKey=/etc/pixelboot/key.pem"),
            (f"ssl:443:privateKey={NONE}", f"{NONE}: No such file or directory"),
            (f"ssl:443:privateKey={key}:certKey={NONE}", f"{NONE}: No such file or directory"),
            (
                f"ssl:443:privateKey={other}:certKey={certificate}",
                f"the key {other} does not belong to the certificate {certificate}",
            ),
        ):
            self.assertEqual(self.refused(text), why)

    def test_served_by_another_process(self) -> None:
        """The key is not even read, but the string is."""
        secret = f"ssl:443:privateKey={NONE}"
        places.examine(listen(secret), reactor, is_served=False)
        self.assertIn("ssl has no x", self.refused(f"{secret}:x=1", is_served=False))

    def test_doubts(self) -> None:
        """A key that all can read, a certificate that is about to end or over, a socket of systemd's."""
        os.chmod(self.files.key, 0o640)
        inherited = "systemd:domain=INET:index=0"
        self.assertEqual(places.doubts(listen("tcp:80", tls(self.files), tls(self.files, 444))), [])
        os.chmod(self.files.key, 0o644)
        readable = f"everybody can read the private key {self.files.key}: chmod o= {self.files.key}"
        waited = f"{inherited} is there only when systemd starts the server"
        both = listen(tls(self.files), tls(self.files, 444), inherited)
        self.assertEqual(places.doubts(both), [f"http.listen: {readable}", f"http.listen: {waited}"])
        os.chmod(self.files.key, 0o600)
        for days, why in (
            ((-5, -2), f"machines refuse the certificate {self.files.certificate}: it expired on "),
            ((2, 9), f"machines refuse the certificate {self.files.certificate}: it is not valid before "),
            ((-1, 9), f"the certificate {self.files.certificate} expires on "),
        ):
            self.authority.put(self.folder, days=days)
            (line,) = places.doubts(listen(tls(self.files)))
            self.assertTrue(line.startswith(f"http.listen: {why}"), line)

    def test_summary(self) -> None:
        plain, secure = places.summary(listen("tcp:80", tls(self.files)))
        self.assertEqual(plain, "HTTP is served at http://0.0.0.0:80/")
        self.assertRegex(
            secure,
            rf"\AHTTP is served at https://0\.0\.0\.0:443/ with the certificate {self.files.certificate} "
            r"for localhost, 127\.0\.0\.1, ::1, until \d{4}-\d\d-\d\d\Z",
        )
        Path(self.files.certificate).write_bytes(pem(self.authority.issue(key := ec_key(), names=())))
        Path(self.files.key).write_bytes(pem(key))
        (line,) = places.summary(listen(tls(self.files)))
        self.assertIn(f"{self.files.certificate}, until", line)


class EndpointsTests(TestCase):
    """`endpoints`, with the real reactor's threads."""

    timeout = 20

    def setUp(self) -> None:
        self.outcomes: list[Outcome] = []
        self.certificates = Certificates(self.outcomes.append, reactor)
        self.authority = Authority()
        self.folder = Path(os.path.abspath(self.mktemp()))

    async def test_one_certificate(self) -> None:
        """Endpoints of the same files have one; it is looked after while the service runs."""
        files = self.authority.put(self.folder)
        first, second, plain = places.endpoints(
            listen(tls(files), tls(files, 444), "tcp:80"), reactor, self.certificates
        )
        assert isinstance(first, TlsEndpoint)
        assert isinstance(second, TlsEndpoint)
        self.assertNotIsInstance(plain, TlsEndpoint)
        self.assertIs(first.certificate, second.certificate)
        self.assertEqual(list(self.certificates), [first.certificate])
        self.certificates.startService()
        self.authority.put(self.folder)
        await first.certificate.look()
        self.assertEqual([type(each) for each in self.outcomes], [CertificateReplaced])
        await self.certificates.stopService()

    def test_refused(self) -> None:
        """What went wrong since it was examined is told in the same way; a socket of systemd's has to be there now."""
        for text, why in (
            (f"ssl:443:privateKey={NONE}", f"{NONE}: No such file or directory"),
            ("systemd:domain=INET:index=0", "systemd has handed over no such socket"),
        ):
            error = self.assertRaises(ConfigError, places.endpoints, listen("tcp:80", text), reactor, self.certificates)
            self.assertEqual((error.key, error.value, error.allowed), ("http.listen", text, why))
