"""The service: a real port on loopback, a store that is opened and closed, and a clock moved by hand."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.outcomes import Deaf, Ignored, NotSent
from pixelboot.dhcp.server.service import EXPIRY, DhcpService, OpenStore
from pixelboot.leases.lease import Lease, State
from pixelboot.leases.seam import StoreFailed
from pixelboot.udp.interfaces import interfaces
from pixelboot.udp.port import UdpPort, open_socket
from tests.dhcp.lan import OFFER_TIME, SERVER, Lan, Leases, address, at_once, say, select


class Readers:
    """The part of a reactor that a port needs; what has arrived is read when the test says so."""

    def __init__(self) -> None:
        self.reading: list[IReadDescriptor] = []

    def addReader(self, reader: IReadDescriptor) -> None:
        self.reading.append(reader)

    def removeReader(self, reader: IReadDescriptor) -> None:
        if reader in self.reading:
            self.reading.remove(reader)

    def addWriter(self, writer: IWriteDescriptor) -> None:
        raise AssertionError("a datagram is sent at once")

    def removeWriter(self, writer: IWriteDescriptor) -> None:
        raise AssertionError("a datagram is sent at once")

    def removeAll(self) -> list[IReadDescriptor | IWriteDescriptor]:
        return [*self.reading]

    def getReaders(self) -> list[IReadDescriptor]:
        return [*self.reading]

    def getWriters(self) -> list[IWriteDescriptor]:
        return []

    def turn(self) -> None:
        """Read what has arrived."""
        for reader in self.reading:
            reader.doRead()


class OpenLeases(Leases):
    """Leases that are closed when `closing` fires, and may fail or wait when they are looked through."""

    def __init__(self) -> None:
        super().__init__()
        self.closing: Deferred[None] = Deferred()
        self.closed = 0
        self.expired: list[tuple[float, Sequence[Lease]]] = []
        self.before_expiry: Callable[[], Awaitable[None]] = at_once

    def close(self) -> Deferred[None]:
        self.closed += 1
        return self.closing

    async def expire(self, now: float) -> Sequence[Lease]:
        await self.before_expiry()
        ended = await super().expire(now)
        self.expired.append((now, ended))
        return ended


class Service(SynchronousTestCase):
    """Started and stopped."""

    def setUp(self) -> None:
        self.lan = Lan()
        self.leases = self.lan.leases = OpenLeases()
        self.lan.table = self.leases.table
        here = self.lan.scope.servers | {IPv4Address("127.0.0.1")}
        self.lan.scope = replace(self.lan.scope, servers=here)
        self.lan.protocol = self.lan.protocol_over(self.leases)
        self.clock, self.readers = Clock(), Readers()
        self.opening: Deferred[OpenStore] = Deferred()
        self.failures: list[Failure] = []
        lo = interfaces()["lo"]
        port = UdpPort(self.readers, open_socket(lo, 0), lo, self.wall)  # type: ignore[arg-type]
        self.addCleanup(port.stop)
        self.service = DhcpService(
            port,
            lambda: self.opening,
            lambda store: self.lan.protocol,
            self.failures.append,
            self.lan.outcomes.append,
            self.clock,
            self.wall,
        )
        self.server = ("127.0.0.1", port.number)
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.client.close)

    def wall(self) -> float:
        """The time of day."""
        return self.lan.now

    def arrive(self, message: Message) -> None:
        """A datagram reaches the port; loopback delivers it before `sendto` returns."""
        self.client.sendto(wire.encode(message), self.server)
        self.readers.turn()

    def start(self) -> None:
        """Start, with a store that opens at once."""
        self.service.startService()
        self.opening.callback(self.leases)

    def stop(self) -> None:
        """Stop, with a store that closes when it is told."""
        stopped = self.service.stopService()
        self.assertNoResult(stopped)
        self.leases.closing.callback(None)
        self.successResultOf(stopped)
        self.nothing_is_left()

    def nothing_is_left(self) -> None:
        """No timer, no reader, no socket."""
        self.assertEqual((self.clock.getDelayedCalls(), self.readers.reading), ([], []))
        self.assertEqual(self.service.port.fileno(), -1)
        self.assertFalse(self.service.running)

    def test_answers_from_start_to_stop(self) -> None:
        """A datagram comes to an outcome; after the stop the port is closed, and the store behind it."""
        self.start()
        self.assertIs(self.service.store, self.leases)
        self.arrive(say(MessageType.REQUEST, 1, ciaddr=address(100)))
        self.assertEqual([type(outcome) for outcome in self.lan.outcomes], [Ignored])
        self.stop()
        self.assertIsNone(self.service.store)
        self.assertEqual(self.leases.closed, 1)

    def test_nothing_is_read_before_the_leases_are_there(self) -> None:
        """What arrives meanwhile waits in the socket."""
        self.service.startService()
        self.arrive(say(MessageType.REQUEST, 1, ciaddr=address(100)))
        self.assertEqual((self.lan.outcomes, self.clock.getDelayedCalls(), self.service.store), ([], [], None))
        self.opening.callback(self.leases)
        self.readers.turn()
        self.assertEqual(len(self.lan.outcomes), 1)
        self.stop()

    def test_leases_end_by_themselves(self) -> None:
        """The store is asked at the start and every few seconds, with the time of day."""
        self.start()
        self.lan.bound(1)
        self.lan.offered(2)
        self.lan.now += OFFER_TIME + 1
        self.clock.advance(EXPIRY)
        self.lan.now += 600
        self.clock.pump([EXPIRY] * 3)
        ended = [(lease.address, lease.state) for _, leases in self.leases.expired for lease in leases]
        self.assertEqual(ended, [(address(101), State.OFFERED), (address(100), State.EXPIRED)])
        self.assertEqual([now - 1_000_000 for now, _ in self.leases.expired], [0, 61, 661, 661, 661])
        self.stop()

    def test_an_interface_that_changed(self) -> None:
        """It is told every few seconds; the log says it once a minute."""
        self.start()
        self.patch(UdpPort, "problem", "lo has lost the address 127.0.0.1")
        self.clock.advance(EXPIRY)
        self.assertEqual(self.lan.outcomes, [Deaf("lo has lost the address 127.0.0.1")])
        self.assertEqual((Deaf.rest, Deaf.severity), (60, "error"))
        self.stop()

    def test_an_expiry_that_fails(self) -> None:
        """It is told, and tried again."""
        self.start()

        async def fail() -> None:
            raise StoreFailed("no space")

        self.leases.before_expiry = fail
        self.clock.advance(EXPIRY)
        self.assertEqual(len(self.flushLoggedErrors(StoreFailed)), 1)
        self.leases.before_expiry = at_once
        self.clock.advance(EXPIRY)
        self.assertEqual(len(self.leases.expired), 2)
        self.stop()

    def test_an_expiry_that_takes_its_time(self) -> None:
        """There is one at a time, and one that still runs does not hold up the stop."""
        self.start()
        waits: list[Deferred[None]] = []

        def wait() -> Deferred[None]:
            waits.append(Deferred())
            return waits[-1]

        self.leases.before_expiry = wait
        self.clock.pump([EXPIRY] * 4)
        self.assertEqual(len(waits), 1)
        self.stop()
        waits[0].callback(None)
        self.nothing_is_left()

    def test_a_store_that_cannot_be_opened(self) -> None:
        """Whoever started the service is told; nothing is read, and it can be stopped."""
        self.service.startService()
        self.opening.errback(StoreFailed("the file is damaged"))
        self.assertEqual([failure.type for failure in self.failures], [StoreFailed])
        self.assertEqual(self.readers.reading, [])
        self.successResultOf(self.service.stopService())
        self.nothing_is_left()

    def test_stopped_while_it_opens(self) -> None:
        """The opening is called off; that is no failure."""
        called_off: list[Deferred[OpenStore]] = []
        self.opening = Deferred(called_off.append)
        self.service.startService()
        self.successResultOf(self.service.stopService())
        self.assertEqual((called_off, self.failures), ([self.opening], []))
        self.nothing_is_left()

    def test_never_started(self) -> None:
        """The port, which was bound before, is closed all the same."""
        self.successResultOf(self.service.stopService())
        self.nothing_is_left()

    def test_a_commit_that_ends_after_the_stop(self) -> None:
        """The lease is durable, the reply has no port to leave by: an outcome, not an error."""
        turn: Deferred[None] = Deferred()
        self.leases.turn = lambda: turn
        self.start()
        self.arrive(select(1, address(100), SERVER))
        self.stop()
        turn.callback(None)
        self.assertEqual([type(outcome) for outcome in self.lan.outcomes], [NotSent])
        lease = self.leases.table.at(address(100))
        assert lease is not None
        self.assertEqual(lease.state, State.BOUND)
