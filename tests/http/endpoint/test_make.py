"""Tests of `pixelboot.http.endpoint.make`."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import TestCase

from pixelboot.http.endpoint.certificate import Certificate
from pixelboot.http.endpoint.make import BACKLOG, Ipv6Endpoint, NotHandedOver, TlsEndpoint, files, make
from pixelboot.http.endpoint.pair import Files
from pixelboot.http.endpoint.said import Endpoint
from pixelboot.malformed import Malformed
from tests.http.authority import Authority

reactor = cast("Any", _reactor)

TLS = "ssl:443:privateKey=/k.pem:certKey=/c.pem"


class MakeTests(TestCase):
    """What listens."""

    timeout = 20

    def made(self, text: str, *others: str, on: Any = reactor) -> IStreamServerEndpoint:
        """What the string comes to, beside others."""
        return make(Endpoint.parse(text), [Endpoint.parse(other) for other in others], on, self.certificate)

    def certificate(self, found: Files) -> Certificate:
        """A certificate, whatever the files."""
        self.asked = found
        real = Authority().put(Path(self.mktemp()))
        return Certificate(real, self.fail, MemoryReactorClock(), self.fail)

    def test_twisteds_own(self) -> None:
        self.assertIsInstance(self.made("tcp:80"), TCP4ServerEndpoint)
        self.assertIsInstance(self.made("unix:/run/x:mode=660"), UNIXServerEndpoint)
        self.assertNotIsInstance(self.made("tcp6:80", "tcp:81"), Ipv6Endpoint)
        self.assertNotIsInstance(self.made("tcp6:80:interface=\\:\\:1", "tcp:80"), Ipv6Endpoint)

    def test_backlog(self) -> None:
        """So many may wait for us as the string says, else more than Twisted has."""
        for text, backlog in (
            ("tcp:80", BACKLOG),
            ("tcp:80:127.0.0.1", BACKLOG),
            ("tcp:80:127.0.0.1:7", 7),
            ("tcp:80:backlog=9", 9),
            ("tcp6:80", BACKLOG),
            ("tcp6:80:9", 9),
        ):
            memory = MemoryReactorClock()
            self.successResultOf(self.made(text, on=memory).listen(Factory()))
            (listened,) = memory.tcpServers
            self.assertEqual(listened[2], backlog, text)
        memory = MemoryReactorClock()
        self.successResultOf(self.made("unix:/run/x:mode=660", on=memory).listen(Factory()))
        self.assertEqual(memory.unixServers[0][2], BACKLOG)

    def test_tls(self) -> None:
        """A port as any other, with TLS over it."""
        for words, port, backlog, interface in (
            ("", 443, BACKLOG, "0.0.0.0"),
            (":interface=127.0.0.1:backlog=9", 443, 9, "127.0.0.1"),
            (":interface=\\:\\:1", 443, BACKLOG, "::1"),
        ):
            memory = MemoryReactorClock()
            endpoint = self.made(TLS + words, on=memory)
            assert isinstance(endpoint, TlsEndpoint)
            self.assertEqual(self.asked, Files("/k.pem", "/c.pem"))
            self.successResultOf(endpoint.listen(Factory()))
            ((listened, factory, length, address),) = memory.tcpServers
            self.assertEqual((listened, length, address), (port, backlog, interface))
            self.assertFalse(cast("Any", factory).noisy)

    def test_files(self) -> None:
        """Paths are whole, wherever the server goes later; one file may have both; a chain may be apart."""
        here = os.getcwd()
        for words, found in (
            ("privateKey=/k.pem", Files("/k.pem", "/k.pem")),
            ("privateKey=k.pem:certKey=c.pem", Files(f"{here}/k.pem", f"{here}/c.pem")),
            ("/k.pem:/c.pem", Files("/k.pem", "/c.pem")),
            ("privateKey=/k.pem:certKey=/c.pem:extraCertChain=x", Files("/k.pem", "/c.pem", f"{here}/x")),
        ):
            self.assertEqual(files(Endpoint.parse(f"ssl:443:{words}")), found, words)

    def test_refused(self) -> None:
        for text, why in (
            ("foo:80", "must be a Twisted endpoint: Unknown endpoint type: 'foo'"),
            ("tcp:80:what=1", "must be a Twisted endpoint: "),
            ("tcp:abc", "must be a Twisted endpoint: "),
            ("unix", "must be a Twisted endpoint: "),
            ("systemd:domain=INET", "must be a Twisted endpoint: Specify exactly one of descriptor index or name"),
            ("ssl", "must be a Twisted endpoint: ssl begins with a port, like ssl:443"),
            ("ssl:abc:privateKey=/k", "must be a Twisted endpoint: ssl begins with a port, like ssl:443"),
            ("ssl:443", "must name the file of the private key, as privateKey=/etc/pixelboot/key.pem"),
            (
                "ssl:443:privatKey=/k",
                "must be a Twisted endpoint: ssl has no privatKey; there are port, privateKey, certKey, interface",
            ),
            (f"{TLS}:sslmethod=TLSv1_METHOD", "must not have sslmethod: TLS 1.2 and 1.3 are spoken, and nothing else"),
            (f"{TLS}:dhParameters=/p", "must not have dhParameters: keys are exchanged over elliptic curves"),
            (f"{TLS}:backlog=x", "must be a Twisted endpoint: backlog is a number of connections"),
            (
                f"{TLS}:interface=eth0",
                "must be a Twisted endpoint: interface is an IP address, with \\: for each colon",
            ),
        ):
            problem = self.assertRaises(Malformed, self.made, text)
            self.assertTrue(str(problem).startswith(why), f"{problem} does not start with {why}")

    def test_not_handed_over(self) -> None:
        """Nobody gave this process a socket."""
        for words in ("index=0", "name=http"):
            problem = self.assertRaises(NotHandedOver, self.made, f"systemd:domain=INET:{words}")
            self.assertEqual(str(problem), "systemd has handed over no such socket")

    async def test_both_families(self) -> None:
        """A port of IPv6 leaves that of IPv4 to another endpoint, in whichever order they come; alone it has both."""

        async def listen(text: str, *others: str) -> Callable[[], Any]:
            listening = await self.made(text, *others).listen(Factory())
            cast("Any", listening).stopReading()  # The kernel takes connections, which is enough.
            return cast("Callable[[], Any]", listening.stopListening)

        with socket.create_server(("127.0.0.1", 0)) as found:
            number = found.getsockname()[1]
        stop = await listen(f"tcp6:{number}")
        socket.create_connection(("127.0.0.1", number)).close()
        await stop()
        pair = (f"tcp:{number}", f"tcp6:{number}")
        tls = (f"tcp:{number}", f"ssl:{number}:interface=\\:\\::privateKey=/k")
        same = (f"tcp:{number}", f"tcp:{number}:interface=\\:\\:")
        for first, second in (pair, pair[::-1], tls, tls[::-1], same, same[::-1]):
            stops = [await listen(first, second), await listen(second, first)]
            for address in ("127.0.0.1", "::1"):
                socket.create_connection((address, number)).close()
            for stop in stops:
                await stop()

    async def test_a_busy_port(self) -> None:
        """So it is told as of any other."""
        with socket.socket(socket.AF_INET6) as taken:
            taken.bind(("::", 0))
            taken.listen()
            number = taken.getsockname()[1]
            with self.assertRaisesRegex(CannotListenError, "Address already in use"):
                await self.made(f"tcp6:{number}", f"tcp:{number}").listen(Factory())
