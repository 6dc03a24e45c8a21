"""Tests of `pixelboot.http.connection.settings`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import ConfigError, build
from pixelboot.http.connection.settings import LimitSettings
from pixelboot.http.message.request import Limits


class LimitSettingsTests(SynchronousTestCase):
    """``[http.limits]``."""

    def test_defaults(self) -> None:
        """What is not said is safe, and the parser gets its part of it."""
        settings = build(LimitSettings, {})
        self.assertEqual(settings, LimitSettings())
        self.assertEqual(settings.request, Limits())
        self.assertEqual((settings.bandwidth, settings.bandwidth_per_client), (0, 0))

    def test_said(self) -> None:
        settings = build(LimitSettings, {"head": "2 KiB", "fields": 10, "body": 0, "bandwidth": "100 MB"})
        self.assertEqual((settings.request, settings.bandwidth), (Limits(2048, 10, 0), 100_000_000))

    def test_refused(self) -> None:
        for key, value in (
            ("connections", 0),
            ("requests", 0),
            ("request_time", 0.5),
            ("idle_time", "soon"),
            ("head", "2 MiB"),
            ("fields", 9),
            ("body", -1),
            ("bandwidth", "fast"),
        ):
            with self.assertRaises(ConfigError, msg=key) as caught:
                build(LimitSettings, {key: value})
            self.assertIn(key, str(caught.exception))
