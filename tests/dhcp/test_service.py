"""The service: real ports on the loopback, a store that is opened and closed, and a clock moved by hand."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.memory import Memory
from pixelboot.boot.policy import Assignment
from pixelboot.boot.pxe import PxeSettings
from pixelboot.dhcp import listening as listening_module
from pixelboot.dhcp.listening import Listening, Served
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.neighbours import RivalServer
from pixelboot.dhcp.network.network import Network
from pixelboot.dhcp.outcomes import Bound, Ignored, NotSent, Offered, Proxied
from pixelboot.dhcp.service import EXPIRY, DhcpService, OpenStore
from pixelboot.dhcp.settings.dhcp import DhcpSettings, SubnetSettings
from pixelboot.hwaddr import HardwareAddress
from pixelboot.leases.lease import Lease, State
from pixelboot.leases.seam import StoreFailed
from pixelboot.outcome import Outcome
from pixelboot.udp.changes import PAUSE, POLL
from pixelboot.udp.interfaces import Interface, interfaces
from pixelboot.udp.sockets import open_socket
from tests.dhcp.lan import OFFER_TIME, AnyPolicy, Leases, at_once, renew, say, select, settings
from tests.udp.readers import Readers

HERE, LATER = IPv4Address("127.0.0.1"), IPv4Address("127.0.0.9")
SUBNET = SubnetSettings(network=IPv4Network("127.0.0.0/24"), pool=("127.0.0.9-127.0.0.50",), lease_time=600.0)


def address(last: int) -> IPv4Address:
    """127.0.0.`last`."""
    return IPv4Address(f"127.0.0.{last}")


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


class ServiceCase(SynchronousTestCase):
    """A service on two free ports of the loopback."""

    def setUp(self) -> None:
        self.now = 1_000_000.0
        self.readers = Readers()
        self.leases = OpenLeases()
        self.machine: dict[str, Interface] = {"lo": replace(interfaces()["lo"], addresses=(HERE,))}
        self.patch(listening_module, "interfaces", lambda: dict(self.machine))
        self.opening: Deferred[OpenStore] = Deferred()
        self.failures: list[Failure] = []
        self.outcomes: list[Outcome] = []
        self.service = self.serving(settings(SUBNET))
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.bind((str(HERE), 0))
        self.addCleanup(self.client.close)

    def serving(self, site: DhcpSettings) -> DhcpService:
        """A service with these settings."""
        self.numbers = _free(2)
        site = replace(site, port=self.numbers[0], proxy_port=self.numbers[1])
        listening = Listening(self.readers, lambda known: ["lo"], self.numbers, self.outcomes.append, self.wall)
        listening.open()
        self.addCleanup(listening.stop)
        return DhcpService(
            site,
            Network(site),
            listening,
            AnyPolicy(Assignment("snponly.efi")),
            Memory(),
            lambda: self.opening,
            self.failures.append,
            self.outcomes.append,
            self.readers,
            self.wall,
            PxeSettings(),
        )

    def wall(self) -> float:
        """The time of day."""
        return self.now

    def arrive(self, message: Message | bytes, port: int = 0) -> None:
        """A datagram reaches a port; loopback delivers it before `sendto` returns."""
        octets = message if isinstance(message, bytes) else wire.encode(message)
        self.client.sendto(octets, (str(HERE), self.numbers[port]))
        self.readers.turn()

    def said(self) -> list[Outcome]:
        """What was said of exchanges since it was asked last."""
        said = [outcome for outcome in self.outcomes if not isinstance(outcome, Served)]
        self.outcomes.clear()
        return said

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
        self.assertTrue(self.readers.is_idle())
        self.assertEqual(self.service.listening.ports, ())
        self.assertFalse(self.service.running)


def _free(count: int) -> list[int]:
    """UDP ports that nobody has."""
    opened = [open_socket(interfaces()["lo"], 0) for _ in range(count)]
    numbers: list[int] = [each.getsockname()[1] for each in opened]
    for each in opened:
        each.close()
    return numbers


class Service(ServiceCase):
    """Started and stopped."""

    def test_answers_from_start_to_stop(self) -> None:
        """A datagram comes to an outcome; after the stop the port is closed, and the store behind it."""
        self.start()
        self.assertIs(self.service.store, self.leases)
        self.arrive(renew(1, address(10)))
        self.assertEqual([type(outcome) for outcome in self.said()], [Ignored])
        self.stop()
        self.assertIsNone(self.service.store)
        self.assertEqual(self.leases.closed, 1)

    def test_nothing_is_read_before_the_leases_are_there(self) -> None:
        """What arrives meanwhile waits in the socket."""
        self.service.startService()
        self.arrive(renew(1, address(10)))
        self.assertEqual((self.said(), self.readers.getDelayedCalls(), self.service.store), ([], [], None))
        self.opening.callback(self.leases)
        self.readers.turn()
        self.assertEqual(len(self.said()), 1)
        self.stop()

    def test_leases_end_by_themselves(self) -> None:
        """The store is asked at the start and every few seconds, with the time of day."""
        self.start()
        self.arrive(select(1, address(10), HERE))
        self.arrive(say(MessageType.DISCOVER, 2))
        self.now += OFFER_TIME + 1
        self.readers.advance(EXPIRY)
        self.now += 600
        self.readers.pump([EXPIRY] * 3)
        ended = [(lease.address, lease.state) for _, leases in self.leases.expired for lease in leases]
        self.assertEqual(ended, [(address(9), State.OFFERED), (address(10), State.EXPIRED)])
        self.assertEqual([now - 1_000_000 for now, _ in self.leases.expired], [0, 61, 661, 661, 661])
        self.stop()

    def test_an_expiry_that_fails(self) -> None:
        """It is told, and tried again."""
        self.start()

        async def fail() -> None:
            raise StoreFailed("no space")

        self.leases.before_expiry = fail
        self.readers.advance(EXPIRY)
        self.assertEqual(len(self.flushLoggedErrors(StoreFailed)), 1)
        self.leases.before_expiry = at_once
        self.readers.advance(EXPIRY)
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
        self.readers.pump([EXPIRY] * 4)
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
        self.arrive(select(1, address(10), HERE))
        self.stop()
        turn.callback(None)
        [outcome] = self.said()
        self.assertIsInstance(outcome, NotSent)
        self.assertIn("the server has stopped", outcome.summary())
        lease = self.leases.table.at(address(10))
        assert lease is not None
        self.assertEqual(lease.state, State.BOUND)


PXE = {60: b"PXEClient:Arch:00007:UNDI:003000", 93: b"\0\7"}
OLD_PI = {60: b"PXEClient:Arch:00000:UNDI:002001", 93: b"\0\0"}


class Parts(ServiceCase):
    """The address server and the proxy behind the same ports."""

    def test_p05_firmware_that_asks_again(self) -> None:
        """P05: port 4011 is the proxy's, beside an address server of ours, too."""
        self.start()
        self.arrive(say(MessageType.REQUEST, 1, PXE, ciaddr=HERE), 1)
        self.assertEqual([type(outcome) for outcome in self.said()], [Proxied])
        reply = wire.decode(self.client.recv(2048))
        self.assertEqual((reply.message_type, reply.siaddr, reply.file), (MessageType.ACK, HERE, b"snponly.efi"))
        self.stop()

    def test_a_proxy_has_no_leases(self) -> None:
        """None are opened, none expire."""
        self.service.listening.stop()
        self.service = self.serving(DhcpSettings(mode="proxy"))
        self.service.startService()
        self.arrive(say(MessageType.REQUEST, 1, PXE, ciaddr=HERE), 1)
        self.arrive(say(MessageType.DISCOVER, 1))
        self.assertEqual([outcome.counter() for outcome in self.said()], ["dhcp.Proxied", "dhcp.Overheard"])
        self.assertFalse(self.service.gives_addresses)
        self.assertIsNone(self.service.store)
        self.successResultOf(self.service.stopService())
        self.nothing_is_left()

    def test_our_addresses_change(self) -> None:
        """What becomes ours is not given out any more, and machines may call us by it."""
        self.start()
        self.machine["lo"] = replace(self.machine["lo"], addresses=(HERE, LATER))
        self.readers.pump([PAUSE, POLL])
        self.arrive(say(MessageType.DISCOVER, 1))
        self.assertEqual([type(outcome) for outcome in self.said()], [Offered])
        self.assertIsNone(self.leases.table.at(LATER))
        self.arrive(select(1, address(10), LATER))
        self.assertEqual([type(outcome) for outcome in self.said()], [Bound])
        self.stop()

    def test_another_server_is_noticed(self) -> None:
        """What it says to clients is told once, and kept; what comes before the start, or from nowhere, is not."""
        offer = wire.encode(
            say(MessageType.OFFER, 1, {54: address(2).packed}, op=wire.Op.REPLY, yiaddr=address(40), xid=7)
        )
        card = HardwareAddress(b"\2\0\0\0\0\2")
        self.service.overheard(offer, "lo", address(2), card)
        self.assertEqual(self.service.neighbours, ())
        self.start()
        for interface in ("lo", "lo", "eno9"):
            self.service.overheard(offer, interface, address(2), card)
        self.assertEqual([type(outcome) for outcome in self.said()], [RivalServer])
        self.assertEqual([str(each.address) for each in self.service.neighbours], ["127.0.0.2"])
        self.stop()

    def test_a_reply_that_waits_for_its_firmware(self) -> None:
        """The ROM of a Pi 3 is not ready to hear one at once; who stops meanwhile sends none."""
        self.start()
        rom = say(MessageType.DISCOVER, 1, OLD_PI, xid=0x26F30339)
        self.arrive(rom)
        self.assertEqual(self.said(), [])
        self.readers.advance(1)
        self.assertEqual(len(self.said()), 1)
        self.arrive(rom)
        self.stop()
        self.readers.advance(10)
        self.assertEqual(self.said(), [])
