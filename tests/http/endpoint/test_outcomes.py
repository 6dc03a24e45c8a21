"""Tests of `pixelboot.http.endpoint.outcomes`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.endpoint.outcomes import (
    CertificateExpiring,
    CertificateNotValid,
    CertificateRefused,
    CertificateReplaced,
    HandshakeFailed,
    HungUp,
)

HUNG_UP = (
    "no TLS connection, the client hung up in the middle of the handshake: perhaps it does not trust the certificate"
)


class SummaryTests(SynchronousTestCase):
    """What the log says."""

    def test_summaries(self) -> None:
        for outcome, severity, line in (
            (
                CertificateReplaced("/c.pem", ("boot.lab", "10.77.0.1"), "2027-08-01"),
                "info",
                "the certificate /c.pem was replaced: it is for boot.lab, 10.77.0.1, until 2027-08-01",
            ),
            (
                CertificateReplaced("/c\n.pem", (), "2027-08-01"),
                "info",
                "the certificate /c\\n.pem was replaced: it is for no name, until 2027-08-01",
            ),
            (
                CertificateRefused("/c.pem", "/k: No\nfile", "2027-08-01"),
                "error",
                "the new certificate /c.pem is not taken, the old one stays in use, until 2027-08-01: /k: No\\nfile",
            ),
            (
                CertificateExpiring("/c.pem", 3, "2027-08-01"),
                "warn",
                "the certificate /c.pem expires in 3 days, on 2027-08-01: put a new one in its place",
            ),
            (
                CertificateExpiring("/c.pem", 1, "2027-08-01"),
                "warn",
                "the certificate /c.pem expires in a day, on 2027-08-01: put a new one in its place",
            ),
            (
                CertificateExpiring("/c.pem", 0, "2027-08-01"),
                "warn",
                "the certificate /c.pem expires in less than a day, on 2027-08-01: put a new one in its place",
            ),
            (
                CertificateNotValid("/c.pem", "it expired on 2026-01-01"),
                "error",
                "machines refuse the certificate /c.pem: it expired on 2026-01-01",
            ),
            (
                HandshakeFailed("10.77.0.5", 48, is_ours=False),
                "warn",
                "10.77.0.5: no TLS connection, the client broke it off: the certificate's issuer (CA) is not trusted",
            ),
            (
                HandshakeFailed("10.77.0.5", 40, is_ours=True),
                "warn",
                "10.77.0.5: no TLS connection, this server broke it off: no cipher suite in common",
            ),
            (
                HungUp("10.77.0.5"),
                "warn",
                f"10.77.0.5: {HUNG_UP}",
            ),
            (
                HandshakeFailed("::1", 255, is_ours=False),
                "warn",
                "::1: no TLS connection, the client broke it off: alert 255",
            ),
        ):
            self.assertEqual((outcome.summary(), outcome.severity), (line, severity))
            self.assertGreater(outcome.rest, 0)
