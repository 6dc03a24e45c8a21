"""Tests of `pixelboot.http.settings`."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import ConfigError, Words, build, dump
from pixelboot.http.settings import HttpSettings, listening_port

PORTS = [
    ("tcp:8080", 8080),
    ("tcp:80:interface=10.77.0.1", 80),
    ("tcp:port=80:interface=10.77.0.1", 80),
    ("tcp:interface=10.77.0.1:port=80", 80),
    ("tcp:interface=10.77.0.1:80", 80),
    ("tcp:80:interface=\\:\\:1:backlog=5", 80),
    ("tcp6:8080", 8080),
    ("tcp6:port=8080:interface=\\:\\:", 8080),
    ("tcp:0", 0),
]

NO_PORT = [
    "",
    "tcp",
    "tcp:",
    "tcp:http",
    "tcp:-1",
    "tcp:123456",
    "unix:/run/http",
    "unix:/run/tcp:80",
    "fd:3",
    ":80",
    "8080",
]


class HttpSettingsTests(SynchronousTestCase):
    """``[http]``."""

    def test_defaults(self) -> None:
        """Nothing said: a port that needs no root, and the folder in the state."""
        self.assertEqual(build(HttpSettings, {}), HttpSettings(listen="tcp:8080", root=(), ranges=True))

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


class ListeningPortTests(SynchronousTestCase):
    """Which port the scripts' URL must name."""

    def test_agrees_with_twisted(self) -> None:
        """It is the port that Twisted then listens on."""
        for listen, port in PORTS:
            self.assertEqual(listening_port(listen), port, listen)
            reactor = MemoryReactor()
            self.successResultOf(serverFromString(reactor, listen).listen(Factory()))
            self.assertEqual(reactor.tcpServers[0][0], port, listen)

    def test_none(self) -> None:
        """Whatever is no TCP port has none."""
        for listen in NO_PORT:
            self.assertIsNone(listening_port(listen), listen)

    @given(st.text(max_size=30) | st.text(alphabet="tcp6:port=08\\٣", max_size=30).map("tcp:".__add__))
    def test_any_text(self, listen: str) -> None:
        """Whatever is typed is a port or none."""
        port = listening_port(listen)
        self.assertTrue(port is None or 0 <= port <= 99999, listen)
