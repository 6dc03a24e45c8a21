"""Tests of the settings in `pixelboot.tftp.settings` that are about writing."""

from __future__ import annotations

import tomllib

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import ConfigError, build, dump
from pixelboot.tftp.settings import TftpSettings, WriteSettings


class Settings(SynchronousTestCase):
    """``[[tftp.write]]``."""

    def read(self, document: str) -> TftpSettings:
        """The settings as they stand under ``[tftp]``."""
        return build(TftpSettings, tomllib.loads(document), "tftp.")

    def test_all_of_them(self) -> None:
        """Off without a table; every key, and what ``--check`` prints is read back as the same."""
        self.assertEqual(self.read("").write, ())
        document = (
            '[[write]]\nfolder = "dumps"\n[[write]]\nfolder = "switches/configs"\npath = "/srv/configs"\n'
            'largest = "1 MiB"\nquota = "8 MiB"\nfiles = 8\noverwrite = true\nfree = "0"\n'
        )
        settings = self.read(document)
        self.assertEqual(settings.write[0], WriteSettings(folder="dumps"))
        limits = {"largest": 1 << 20, "quota": 8 << 20, "files": 8, "overwrite": True, "free": 0}
        second = WriteSettings(folder="switches/configs", path="/srv/configs", **limits)  # type: ignore[arg-type]
        self.assertEqual(settings.write[1], second)
        self.assertEqual(self.read(dump(settings)), settings)

    def test_refused(self) -> None:
        """An error with the key and what is allowed."""
        for document, key, allowed in (
            ('folder = "/dumps"', "tftp.write[1].folder", "names of folders"),
            ('folder = "dumps/"', "tftp.write[1].folder", "names of folders"),
            ('folder = "a/../b"', "tftp.write[1].folder", "names of folders"),
            ('folder = ".ssh"', "tftp.write[1].folder", "names of folders"),
            ("files = 3", "tftp.write[1].path", "must be given"),
            ('path = "dumps"', "tftp.write[1].path", "begin with /"),
            ('folder = "a"\nlargest = 0', "tftp.write[1].largest", "a size like"),
            ('folder = "a"\nlargest = 1001\nquota = 1000', "tftp.write[1].largest", "which is 1000 octets"),
            ('folder = "a"\nlargest = "0"', "tftp.write[1].largest", "a size like"),
            ('folder = "a"\nfiles = 0', "tftp.write[1].files", "from 1 to"),
            ('folder = "a"\n[[write]]\nfolder = "a"', "tftp.write[2].folder", "twice"),
        ):
            with self.assertRaises(ConfigError, msg=document) as caught:
                self.read(f"[[write]]\n{document}\n")
            self.assertEqual(caught.exception.key, key, document)
            self.assertIn(allowed, caught.exception.allowed, document)
