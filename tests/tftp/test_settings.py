"""Tests of `pixelboot.tftp.settings`."""

from __future__ import annotations

import tomllib
from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import ConfigError, build, dump, override
from pixelboot.tftp.settings import TftpSettings
from pixelboot.tftp.transfer import Patience

WHOLE = (
    'enabled = false\nroot = "/srv/tftp"\naddress = "10.77.0.1"\nport = 6969\nblksize = 1428\nwindowsize = 16\n'
    'refuse = ["tsize", "blksize"]\ntimeout = 0.5\nretries = 3\nrollover = 1\ntransfers = 12\n'
)

REFUSED: tuple[tuple[str, str, str], ...] = (
    ('enabled = "yes"', "tftp.enabled", "true or false"),
    ("root = 1", "tftp.root", "a folder"),
    ('address = "localhost"', "tftp.address", "an IPv4 address"),
    ('address = ""', "tftp.address", "an IPv4 address"),
    ("port = 0", "tftp.port", "from 1 to 65535"),
    ("blksize = 511", "tftp.blksize", "from 512 to 65464"),
    ("blksize = 65465", "tftp.blksize", "from 512 to 65464"),
    ("windowsize = 0", "tftp.windowsize", "from 1 to 4096"),
    ("windowsize = 4097", "tftp.windowsize", "from 1 to 4096"),
    ('refuse = ["multicast"]', "tftp.refuse", '"blksize", "timeout", "tsize", "windowsize"'),
    ('refuse = "tsize"', "tftp.refuse", "a list"),
    ("timeout = 0.09", "tftp.timeout", "from 0.1 to 60"),
    ("timeout = nan", "tftp.timeout", "from 0.1 to 60"),
    ("retries = 0", "tftp.retries", "from 1 to 100"),
    ("rollover = 2", "tftp.rollover", "from 0 to 1"),
    ("transfers = 0", "tftp.transfers", "from 1 to 65536"),
    ("blocksize = 512", "tftp.blocksize", "did you mean tftp.blksize?"),
)
"""The file, the key in the message, a word of what is allowed."""


def read(document: str) -> TftpSettings:
    """The settings as they stand under ``[tftp]``."""
    return build(TftpSettings, tomllib.loads(document), "tftp.")


class Settings(SynchronousTestCase):
    """What is taken and what is refused."""

    def test_defaults(self) -> None:
        """With no settings TFTP is served, to everybody, in blocks that fit Ethernet."""
        settings = read("")
        self.assertEqual((settings.enabled, settings.root, settings.address), (True, "", IPv4Address(0)))
        self.assertEqual((settings.port, settings.blksize, settings.windowsize), (69, 1468, 64))
        self.assertEqual((settings.timeout, settings.retries), (Patience().first, Patience().retries))
        self.assertEqual((settings.rollover, settings.transfers, settings.refuse), (0, 4096, ()))

    def test_all_of_them(self) -> None:
        """Every key, and what ``--check`` prints is read back as the same."""
        settings = read(WHOLE)
        self.assertEqual((settings.enabled, settings.root, settings.port), (False, "/srv/tftp", 6969))
        self.assertEqual((settings.timeout, settings.retries, settings.rollover), (0.5, 3, 1))
        self.assertEqual((settings.refuse, settings.transfers), (("tsize", "blksize"), 12))
        for document in ("", WHOLE):
            self.assertEqual(read(dump(read(document))), read(document))

    def test_on_the_command_line(self) -> None:
        """Words instead of TOML."""
        document = override(override({}, ("enabled",), "false"), ("refuse",), "tsize,blksize")
        settings = build(TftpSettings, document, "tftp.")
        self.assertEqual((settings.enabled, settings.refuse), (False, ("tsize", "blksize")))

    def test_refused(self) -> None:
        """An error with the key and what is allowed."""
        for document, key, allowed in REFUSED:
            with self.assertRaises(ConfigError, msg=document) as caught:
                read(document)
            self.assertEqual(caught.exception.key, key, document)
            self.assertIn(allowed, caught.exception.allowed, document)
