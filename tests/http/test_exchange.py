"""Tests of `pixelboot.http.exchange`: what happens between a request and its outcome."""

from __future__ import annotations

import errno

from twisted.internet.address import IPv4Address as TcpAddress
from twisted.internet.address import IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.outcomes import Aborted, Failed, Served
from pixelboot.hwaddr import HardwareAddress
from pixelboot.outcome import Outcome
from tests.http.shelf import KERNEL, MACHINE, Octets, Shelf, connected, get, site


class Unhashable(Octets):
    """A payload whose entity tag cannot be made."""

    known_etag = None

    async def etag(self) -> str:
        raise OSError(errno.ESTALE, "the file was changed while it was read")


class ExchangeTests(SynchronousTestCase):
    """From the request to the outcome."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.outcomes: list[Outcome] = []
        self.shelf = Shelf()
        self.site = site(self.shelf, self.outcomes, self.clock)
        self.channel, self.transport = connected(self.site)

    def test_decoding(self) -> None:
        """The request waits, and the time it took is in the log."""
        self.shelf.decoding = Deferred()
        self.channel.dataReceived(get("/containers/demo/kernel"))
        self.clock.advance(90)
        self.assertEqual((self.transport.value(), self.transport.disconnecting), (b"", False))
        self.shelf.decoding.callback(None)
        self.transport.drain()
        self.assertTrue(self.transport.value().endswith(KERNEL))
        (outcome,) = self.outcomes
        assert isinstance(outcome, Served)
        self.assertEqual((outcome.seconds, outcome.octets), (90.0, len(KERNEL)))

    def test_the_client_goes_away(self) -> None:
        """What was being done for it is cancelled."""
        cancelled: list[Deferred[None]] = []
        self.shelf.decoding = Deferred(cancelled.append)
        self.channel.dataReceived(get("/containers/demo/kernel"))
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(cancelled, [self.shelf.decoding])
        (outcome,) = self.outcomes
        assert isinstance(outcome, Aborted)
        self.assertEqual((outcome.status, outcome.octets, outcome.reason), (0, 0, "the client went away"))

    def test_no_entity_tag(self) -> None:
        """Without one nothing is sent that could not be resumed: the client may come again."""
        self.shelf.kernel = Unhashable(KERNEL)
        self.channel.dataReceived(get("/containers/demo/kernel"))
        self.assertIn(b"HTTP/1.1 503 Service Unavailable\r\n", self.transport.value())
        self.assertIn(b"\r\nRetry-After: 1\r\n", self.transport.value())
        self.assertTrue(self.transport.value().endswith(b": the file was changed while it was read\n"))
        self.assertEqual((self.shelf.kernel.closed, [type(each) for each in self.outcomes]), (1, [Failed]))

    def test_without_ranges(self) -> None:
        """``http.ranges = false``: Range is as if it were not there."""
        channel, transport = connected(site(self.shelf, self.outcomes, self.clock, ranges=False))
        for method, body in (("GET", KERNEL), ("HEAD", b"")):
            transport.clear()
            channel.dataReceived(get("/containers/demo/kernel", "Range: bytes=0-9", "If-Range: x", method=method))
            transport.drain()
            head, _, got = transport.value().partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 200 OK\r\n"), head)
            self.assertIn(b"\r\nAccept-Ranges: none\r\n", head)
            self.assertIn(b"\r\nContent-Length: %d" % len(KERNEL), head)
            self.assertEqual(got, body, method)

    def test_a_fault_of_ours(self) -> None:
        """The client gets no detail, the log the traceback, and the connection goes on."""
        self.shelf.unavailable = KeyError("the secret")
        self.channel.dataReceived(get("/containers/demo/kernel"))
        self.assertIn(b"HTTP/1.1 500 Internal Server Error\r\n", self.transport.value())
        self.assertNotIn(b"secret", self.transport.value())
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        (outcome,) = self.outcomes
        assert isinstance(outcome, Failed)
        self.assertEqual(outcome.status, 500)
        self.channel.dataReceived(get("/boot.ipxe"))
        self.assertIn(b"HTTP/1.1 200 OK\r\n", self.transport.value())

    def test_a_field_of_two_lines(self) -> None:
        """It is never sent, wherever it came from."""
        self.shelf.kernel = Octets(KERNEL, "text/plain\r\nX: y")
        self.channel.dataReceived(get("/containers/demo/kernel"))
        self.assertTrue(self.transport.value().startswith(b"HTTP/1.1 500 "), self.transport.value())
        self.assertNotIn(b"X: y", self.transport.value())
        self.assertEqual((len(self.flushLoggedErrors(ValueError)), self.shelf.kernel.closed), (1, 1))


class MachineTests(SynchronousTestCase):
    """Whose exchange it was."""

    def test_table(self) -> None:
        """The address says it, else the query, which the DHCP service gave the machine."""
        named = HardwareAddress.parse("02:aa:00:00:00:09")
        query = "/boot.ipxe?mac=02-aa-00-00-00-09"
        cases: tuple[tuple[IAddress, str, HardwareAddress | None], ...] = (
            (TcpAddress("TCP", "127.0.0.1", 1), "/boot.ipxe", MACHINE),
            (TcpAddress("TCP", "127.0.0.1", 1), query, MACHINE),
            (TcpAddress("TCP", "10.77.0.9", 1), query, named),
            (TcpAddress("TCP", "10.77.0.9", 1), "/boot.ipxe?mac=%0a", None),
            (TcpAddress("TCP", "10.77.0.9", 1), "/boot.ipxe", None),
            (IPv6Address("TCP", "::ffff:127.0.0.1", 1), "/boot.ipxe", MACHINE),
            (IPv6Address("TCP", "fd77::1", 1), query, named),
            (UNIXAddress(None), query, named),
        )
        for address, target, machine in cases:
            outcomes: list[Outcome] = []
            channel, transport = connected(site(Shelf(), outcomes, Clock()), address)
            channel.dataReceived(get(target, "Connection: close"))
            transport.drain()
            (outcome,) = outcomes
            assert isinstance(outcome, Served)
            self.assertEqual(outcome.machine, machine, (address, target))
