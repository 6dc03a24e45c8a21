"""Tests of `pixelboot.http.outcomes`: the lines of the log."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.outcomes import Aborted, Exchange, Failed, MenuChanged, Refused, Served, Unreadable
from pixelboot.hwaddr import HardwareAddress
from pixelboot.outcome import Outcome


class OutcomeTest(SynchronousTestCase):
    """The lines of the log."""

    def test_summaries(self) -> None:
        mac = HardwareAddress.parse("02:aa:00:00:00:01")
        target = "/containers/demo/kernel"
        cases = (
            (
                Served(mac, "10.77.0.100", "GET", target, 200, 14_200_000, 0.355),
                "02:aa:00:00:00:01 10.77.0.100 GET /containers/demo/kernel 200 14.2 MB in 0.35 s (40.0 MB/s)",
            ),
            (
                Served(None, "10.77.0.100", "HEAD", target, 304, 0, 0.0),
                "10.77.0.100 HEAD /containers/demo/kernel 304 0 octets in 0.00 s",
            ),
            (
                Refused(None, "::1", "GET", "/\n\x1b[2Jx", 404, 19, 0.0, "there is nothing here"),
                "::1 GET /\\n\\x1b[2Jx 404 there is nothing here",
            ),
            (
                Aborted(None, "::1", "GET", "/x", 206, 500, 2.0, "the client went away"),
                "::1 GET /x 206 broken off after 500 octets in 2.00 s (250 octets/s): the client went away",
            ),
            (
                Failed(None, "::1", "GET", "/x", 500, 0, 0.0, "no space\nleft"),
                "::1 GET /x 500 no space\\nleft",
            ),
            (
                Aborted(None, "::1", "GET", "/x", 0, 0, 0.0, "the client went away"),
                "::1 GET /x broken off after 0 octets in 0.00 s: the client went away",
            ),
            (MenuChanged("no such\ndefault"), "menu: no such\\ndefault"),
            (Unreadable("::1", "no Host"), "::1 sent no request that can be answered: no Host"),
        )
        for outcome, line in cases:
            self.assertEqual(outcome.summary(), line)
        self.assertEqual(Served.counter(), "http.Served")

    def test_hint(self) -> None:
        """It stands at the end, whatever the exchange came to, and cannot break the line."""
        cases: tuple[tuple[type[Exchange], str], ...] = (
            (Served, "::1 GET /x 200 500 octets in 2.00 s (250 octets/s) (a 64-bit\\nbuild can)"),
            (Refused, "::1 GET /x 200 why (a 64-bit\\nbuild can)"),
            (Failed, "::1 GET /x 200 why (a 64-bit\\nbuild can)"),
            (
                Aborted,
                "::1 GET /x 200 broken off after 500 octets in 2.00 s (250 octets/s): why (a 64-bit\\nbuild can)",
            ),
        )
        for kind, line in cases:
            outcome = kind(None, "::1", "GET", "/x", 200, 500, 2.0, "why", "a 64-bit\nbuild can")
            self.assertEqual(outcome.summary(), line)

    def test_severities(self) -> None:
        """What is our fault is louder than what is the client's."""
        kinds: tuple[tuple[type[Outcome], str], ...] = (
            (Served, "info"),
            (Refused, "warn"),
            (Aborted, "warn"),
            (Failed, "error"),
            (Unreadable, "warn"),
            (MenuChanged, "warn"),
        )
        for kind, severity in kinds:
            self.assertEqual((kind.severity, kind.service), (severity, "http"), kind.counter())
