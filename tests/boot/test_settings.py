"""Tests of `pixelboot.boot.settings`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.settings import BootSettings
from pixelboot.config import ConfigError, build


class BootSettingsTests(SynchronousTestCase):
    """``[boot]``."""

    def test_defaults(self) -> None:
        """Nothing said: the machine's own disk, after ten seconds."""
        self.assertEqual(build(BootSettings, {}), BootSettings(default="local", timeout=10.0))

    def test_table(self) -> None:
        """A container's id is a text; the time-out may be a fraction, or 0 for ever, and has an end."""
        cases: list[tuple[dict[str, object], str | None]] = [
            ({"default": "debian"}, None),
            ({"default": "shell", "timeout": 0}, None),
            ({"timeout": 0.5}, None),
            ({"timeout": 3600}, None),
            ({"timeout": 3601}, "timeout"),
            ({"timeout": -1}, "timeout"),
            ({"timeout": "10"}, "timeout"),
            ({"default": 1}, "default"),
            ({"loaders": {}}, "loaders"),
        ]
        for document, wrong in cases:
            if wrong is None:
                built = build(BootSettings, document)
                for key, value in document.items():
                    self.assertEqual(getattr(built, key), value, str(document))
            else:
                error = self.assertRaises(ConfigError, build, BootSettings, document)
                self.assertEqual(error.key, wrong, str(document))
