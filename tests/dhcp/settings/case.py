"""What the tests of the settings share: a file as it is written, and tables of what is refused."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import ConfigError, build, dump, section, setting, tables
from pixelboot.dhcp.settings import fit
from pixelboot.dhcp.settings.dhcp import DhcpSettings
from pixelboot.dhcp.settings.host import HostSettings

Refusal = tuple[str, str, str, str]
"""What it is, the file, the key in the message, words of what is allowed."""

NETWORK = '[dhcp]\nmode = "server"\n[[dhcp.subnet]]\nnetwork = "10.77.0.0/24"\n'
GOOD = NETWORK + 'pool = ["10.77.0.100-10.77.0.199"]\n'
OTHER = '[[dhcp.subnet]]\nnetwork = "10.78.0.0/24"\npool = ["10.78.0.100-10.78.0.199"]\n'
HOST = '[[host]]\nmac = "02:aa:00:00:00:01"\n'


@dataclass(frozen=True, slots=True)
class Document:
    """The part of a site that is spoken of here."""

    dhcp: DhcpSettings = setting(section(DhcpSettings), help="Addresses.")
    host: tuple[HostSettings, ...] = setting(tables(HostSettings), (), help="Machines.")


def read(document: str) -> Document:
    """The settings of a file."""
    built = build(Document, tomllib.loads(document))
    fit.hosts(built.dhcp, built.host)
    return built


class SettingsCase(SynchronousTestCase):
    """A test of settings."""

    def check_refused(self, table: Iterable[Refusal]) -> None:
        """Every document is refused by an error with the key and what is allowed."""
        for name, document, key, allowed in table:
            error = self.assertRaises(ConfigError, read, document)
            assert isinstance(error, ConfigError)
            self.assertEqual(error.key, key, f"{name}: {error}")
            self.assertIn(allowed, error.allowed, name)
            self.assertTrue(str(error).startswith(key), name)
            self.assertLess(len(str(error)), 700, name)

    def check_written_and_read(self, document: str) -> None:
        """What ``--check`` prints of it is read back as the same settings."""
        settings = read(document)
        self.assertEqual(read(dump(settings)), settings, document)
