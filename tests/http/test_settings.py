"""Tests of `pixelboot.http.settings`."""

from __future__ import annotations

import tomllib

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import ConfigError, Words, build, dump
from pixelboot.http.connection.settings import LimitSettings
from pixelboot.http.endpoint.said import Endpoint
from pixelboot.http.settings import HttpSettings, listening_port


class HttpSettingsTests(SynchronousTestCase):
    """``[http]``."""

    def test_defaults(self) -> None:
        """Nothing said: a port that needs no root, and the folder in the state."""
        self.assertEqual(
            build(HttpSettings, {}),
            HttpSettings(listen=(Endpoint.parse("tcp:8080"),), root=(), ranges=True, limits=LimitSettings()),
        )

    def test_folders(self) -> None:
        """One folder, several in a list, or several behind one another on the command line."""
        for root, folders in (
            ("", ()),
            ("/a", ("/a",)),
            ("/a,b", ("/a,b",)),
            (["/a"], ("/a",)),
            (["/a", "/b"], ("/a", "/b")),
            ([], ()),
            (Words(""), ()),
            (Words("/a"), ("/a",)),
            (Words("/a,/b"), ("/a", "/b")),
        ):
            settings = build(HttpSettings, {"root": root})
            self.assertEqual(settings.root, folders, root)
            self.assertEqual(build(HttpSettings, tomllib.loads(dump(settings))), settings, root)

    def test_refused(self) -> None:
        """What is no folder, and what is no switch."""
        for document, message in (
            ({"root": 5}, "root = 5: must be a folder, or a list of folders"),
            ({"root": ["/a", ""]}, 'root = ["/a", ""]: must be a folder, or a list of folders (not empty)'),
            ({"root": ["/a", ["/b"]]}, 'root = ["/a", ["/b"]]: must be a folder, or a list of folders'),
            ({"root": {"a": "b"}}, 'root = {a = "b"}: must be a folder, or a list of folders'),
            ({"ranges": "yes"}, 'ranges = "yes": must be true or false'),
        ):
            error = self.assertRaises(ConfigError, build, HttpSettings, document)
            self.assertEqual(str(error), message)


class ListenTests(SynchronousTestCase):
    """``http.listen``."""

    def test_endpoints(self) -> None:
        """One, several, or none; on the command line behind one another."""
        for listen, endpoints in (
            ("", []),
            ([], []),
            ("tcp:80", ["tcp:80"]),
            (["tcp:80"], ["tcp:80"]),
            (["tcp:80", "tcp6:80", "unix:/a,b"], ["tcp:80", "tcp6:80", "unix:/a,b"]),
            (Words(""), []),
            (Words("tcp:80"), ["tcp:80"]),
            (Words("tcp:80,unix:/a"), ["tcp:80", "unix:/a"]),
        ):
            settings = build(HttpSettings, {"listen": listen})
            self.assertEqual([each.text for each in settings.listen], endpoints, listen)
            self.assertEqual(build(HttpSettings, tomllib.loads(dump(settings))), settings, listen)

    def test_refused(self) -> None:
        """The one at fault is named, and what it takes from which other."""
        allowed = (
            'must be a Twisted endpoint like "tcp:8080", "tcp:80:interface=10.77.0.1" or '
            '"ssl:443:privateKey=/etc/pixelboot/key.pem:certKey=/etc/pixelboot/cert.pem"'
        )
        several = ', a list of such, or "" for none'
        for listen, message in (
            (80, f"listen = 80: {allowed}{several}"),
            ("tcp:65536", f'listen = "tcp:65536": {allowed}{several} (a port is at most 65535)'),
            (["tcp:65536"], f'listen = ["tcp:65536"]: {allowed}{several} (a port is at most 65535)'),
            (["tcp:80", 5], f"listen[2] = 5: {allowed}"),
            (["tcp:80", ""], f'listen[2] = "": {allowed} (it does not begin with its kind, as tcp)'),
            (["tcp:80", "tcp:65536"], f'listen[2] = "tcp:65536": {allowed} (a port is at most 65535)'),
            (
                ["tcp:81", "tcp:80", "tcp:80"],
                'listen[3] = "tcp:80": must be another than number 2, which takes the same',
            ),
            (
                Words("tcp:80,tcp:80:interface=127.0.0.1"),
                'listen[2] = "tcp:80:interface=127.0.0.1": must be another than number 1, which takes the same',
            ),
        ):
            error = self.assertRaises(ConfigError, build, HttpSettings, {"listen": listen})
            self.assertEqual(str(error), message)

    def test_where_machines_are_sent(self) -> None:
        """To the first that has a port and no TLS."""
        tls = "ssl:443:privateKey=/k"
        for listen, port in (
            ("", None),
            ("tcp:8080", 8080),
            ("tcp6:80", 80),
            (tls, None),
            ([tls, "tcp:8080", "tcp:80"], 8080),
            (["unix:/a", "systemd:domain=INET:index=0"], None),
            (["unix:/a", "systemd:domain=INET:index=0", "tcp:81"], 81),
            ("tcp:0", 0),
            ("tcp:http", None),
        ):
            self.assertEqual(listening_port(build(HttpSettings, {"listen": listen}).listen), port, listen)
