"""Tests of `pixelboot.http.endpoint.said`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import endpoints
from twisted.internet.endpoints import quoteStringArgument, serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.endpoint.said import PARAMETERS, Endpoint, url
from pixelboot.malformed import Malformed

PORTS = [
    ("tcp:8080", 8080, "http://0.0.0.0:8080/"),
    ("tcp:80:interface=10.77.0.1", 80, "http://10.77.0.1:80/"),
    ("tcp:80:10.77.0.1", 80, "http://10.77.0.1:80/"),
    ("tcp:port=80:interface=10.77.0.1", 80, "http://10.77.0.1:80/"),
    ("tcp:interface=10.77.0.1:port=80", 80, "http://10.77.0.1:80/"),
    ("tcp:interface=10.77.0.1:80", 80, "http://10.77.0.1:80/"),
    ("tcp:80:interface=\\:\\:1:backlog=5", 80, "http://[::1]:80/"),
    ("tcp6:8080", 8080, "http://[::]:8080/"),
    ("tcp6:port=8080:interface=\\:\\:", 8080, "http://[::]:8080/"),
    ("tcp6:80:5:fe80\\:\\:1%eth0", 80, "http://[fe80::1%eth0]:80/"),
    ("tcp:0", 0, "http://0.0.0.0:0/"),
]
"""What Twisted makes a port of, which one, and where machines find it."""

NO_PORT = [
    ("tcp", "tcp"),
    ("tcp:", "tcp:"),
    ("tcp:http", "tcp:http"),
    ("tcp:-1", "tcp:-1"),
    ("tcp:123456", "tcp:123456"),
    ("unix:/run/http", "unix:/run/http"),
    ("unix:address=/run/http:mode=660", "unix:/run/http"),
    ("unix:/run/tcp:80", "unix:/run/tcp"),
    ("unix", "unix"),
    ("systemd:domain=INET:index=0", "systemd:domain=INET:index=0"),
    ("fd:3", "fd:3"),
    ("8080", "8080"),
]
"""What names no port, and how it is shown."""

SSL = "ssl:443:privateKey=/k:certKey=/c"

CLASHES = [
    ("tcp:80", "tcp:80", True),
    ("tcp:80", "tcp:port=80", True),
    ("tcp:80", "tcp:81", False),
    ("tcp:80", "tcp:80:interface=127.0.0.1", True),
    ("tcp:80:interface=127.0.0.2", "tcp:80:interface=127.0.0.1", False),
    ("tcp:80:interface=127.0.0.1", "tcp:80:interface=127.0.0.1:backlog=3", True),
    ("tcp:443", SSL, True),
    (f"{SSL}:interface=127.0.0.1", SSL, True),
    (f"{SSL}:interface=\\:\\:", SSL, False),
    ("tcp:80", "tcp6:80", False),
    ("tcp6:80", "tcp6:80:interface=\\:\\:1", True),
    ("tcp:0", "tcp:0:interface=127.0.0.1", False),
    ("tcp:0", "tcp:0", True),
    ("unix:/a", "unix:/b", False),
    ("unix:/a", "unix:/a:mode=600", True),
    ("unix:/80", "tcp:80", False),
    ("systemd:domain=INET:index=0", "systemd:domain=INET:index=0", True),
    ("systemd:domain=INET:index=0", "systemd:domain=INET:index=1", False),
]


class EndpointTests(SynchronousTestCase):
    """What a string says."""

    def test_ports(self) -> None:
        """It is the port, and the address, that Twisted then listens on."""
        for text, port, shown in PORTS:
            endpoint = Endpoint.parse(text)
            self.assertEqual((endpoint.port, str(endpoint), endpoint.is_secure), (port, shown, False), text)
            reactor = MemoryReactor()
            self.successResultOf(serverFromString(reactor, text).listen(Factory()))
            listened, _, _, interface = reactor.tcpServers[0]
            self.assertEqual(listened, port, text)
            self.assertEqual(endpoint.address, interface or "0.0.0.0", text)

    def test_tls(self) -> None:
        """A port with TLS, anywhere."""
        for text, shown in (
            (SSL, "https://0.0.0.0:443/"),
            (f"{SSL}:interface=10.77.0.1", "https://10.77.0.1:443/"),
            (f"{SSL}:interface=\\:\\:", "https://[::]:443/"),
        ):
            endpoint = Endpoint.parse(text)
            self.assertEqual((endpoint.port, str(endpoint), endpoint.is_secure), (443, shown, True), text)
            self.assertEqual((endpoint.parameters["privateKey"], endpoint.parameters["certKey"]), ("/k", "/c"))

    def test_no_port(self) -> None:
        """Whatever is no TCP port has none."""
        for text, shown in NO_PORT:
            endpoint = Endpoint.parse(text)
            self.assertEqual((endpoint.port, str(endpoint)), (None, shown), text)

    def test_refused(self) -> None:
        for text, why in (
            ("", "it does not begin with its kind, as tcp"),
            (":80", "it does not begin with its kind, as tcp"),
            ("port=80", "it does not begin with its kind, as tcp"),
            ("tcp:80\\", "it ends in a backslash"),
            ("tcp:80:port=80", "port is there twice"),
            ("tcp6:80:5:\\:\\::x", "tcp6 takes port, backlog, interface, and no more"),
            ("tcp:65536", "a port is at most 65535"),
            ("ssl:99999:privateKey=/k", "a port is at most 65535"),
        ):
            self.assertEqual(str(self.assertRaises(Malformed, Endpoint.parse, text)), why, text)

    def test_clashes(self) -> None:
        """Of two of one port, or one socket, only one can be had, whichever comes first."""
        for text, other, clash in CLASHES:
            pair = Endpoint.parse(text), Endpoint.parse(other)
            self.assertEqual((pair[0].clashes(pair[1]), pair[1].clashes(pair[0])), (clash, clash), (text, other))

    def test_a_port_in_both_families(self) -> None:
        for text, other, shares in (
            ("tcp:80", "tcp6:80", True),
            (SSL, f"{SSL}:interface=\\:\\:", True),
            ("tcp:80", "tcp6:81", False),
            ("tcp6:0", "tcp:0", False),
            ("tcp:80", "tcp:80", False),
            ("tcp:80", "unix:/80", False),
        ):
            self.assertEqual(Endpoint.parse(text).shares_port(Endpoint.parse(other)), shares, (text, other))

    def test_parameters_are_twisteds(self) -> None:
        """Those of TLS have the names, and the order, of Twisted's own."""
        parse = endpoints._parseSSL
        self.assertEqual(parse.__code__.co_varnames[1 : parse.__code__.co_argcount], PARAMETERS["ssl"])

    @given(st.text(max_size=30) | st.text(alphabet="tcp6:port=08\\٣", max_size=30).map("tcp:".__add__))
    def test_any_text(self, text: str) -> None:
        """It is split as Twisted splits it, or refused."""
        try:
            endpoint = Endpoint.parse(text)
        except Malformed:
            return
        try:
            words, named = endpoints._parse(text)
        except UnicodeEncodeError:  # the name of a parameter that no endpoint has
            return
        self.assertEqual(endpoint.kind, words[0])
        positional = dict(zip(PARAMETERS.get(endpoint.kind, ()), words[1:], strict=False))
        self.assertEqual(dict(endpoint.parameters), positional | named)
        self.assertTrue(endpoint.port is None or 0 <= endpoint.port <= 65535, text)
        self.assertIsInstance(str(endpoint), str)

    @given(st.text(max_size=30).filter(bool))
    def test_quoted(self, path: str) -> None:
        """A path with Twisted's own quoting is the path."""
        endpoint = Endpoint.parse(f"unix:address={quoteStringArgument(path)}")
        self.assertEqual(str(endpoint), f"unix:{path}")

    def test_url(self) -> None:
        self.assertEqual(url("10.77.0.1", 443, is_secure=True), "https://10.77.0.1:443/")
        self.assertEqual(url("::1", 80, is_secure=False), "http://[::1]:80/")
