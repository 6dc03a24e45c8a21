"""The service: real ports on loopback, and a clock moved by hand."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.memory import Memory
from pixelboot.boot.policy import Assignment
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.wire import MessageType
from pixelboot.dhcp.outcomes import Deaf, Overheard, Proxied
from pixelboot.dhcp.proxy.protocol import ProxyProtocol
from pixelboot.dhcp.proxy.service import LOOK, ProxyService
from pixelboot.outcome import Outcome
from pixelboot.udp.interfaces import interfaces
from pixelboot.udp.port import UdpPort, open_socket
from tests.dhcp.lan import AnyPolicy, discover, say
from tests.dhcp.server.test_service import Readers

BIOS = {60: b"PXEClient:Arch:00000:UNDI:002001"}


class Service(SynchronousTestCase):
    """Started and stopped."""

    def setUp(self) -> None:
        self.clock, self.readers = Clock(), Readers()
        self.outcomes: list[Outcome] = []
        lo = interfaces()["lo"]
        self.ports = [UdpPort(self.readers, open_socket(lo, 0), lo, self.clock.seconds) for _ in range(2)]  # type: ignore[arg-type]
        for port in self.ports:
            self.addCleanup(port.stop)
        policy = AnyPolicy(Assignment("undionly.kpxe"))
        protocol = ProxyProtocol(policy, Memory(), self.outcomes.append, frozenset(lo.addresses), self.ports[1].number)
        self.service = ProxyService(self.ports, protocol.received, self.outcomes.append, self.clock)
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.settimeout(5)
        self.addCleanup(self.client.close)

    def stop(self) -> None:
        """Stop; no timer, no reader, no socket is left."""
        self.service.stopService()
        self.assertEqual((self.clock.getDelayedCalls(), self.readers.reading), ([], []))
        self.assertEqual([port.fileno() for port in self.service.ports], [-1, -1])
        self.assertFalse(self.service.running)

    def test_p05_p06_from_port_to_port(self) -> None:
        """P05, P06: what is asked at the second port is answered from it, to the port that asks."""
        self.service.startService()
        request = say(MessageType.REQUEST, 1, BIOS, ciaddr=IPv4Address("127.0.0.1"))
        self.client.sendto(wire.encode(request), ("127.0.0.1", self.ports[1].number))
        self.readers.turn()
        octets, source = self.client.recvfrom(2048)
        reply = wire.decode(octets)
        self.assertEqual(source, ("127.0.0.1", self.ports[1].number))
        self.assertEqual((reply.message_type, reply.file), (MessageType.ACK, b"undionly.kpxe"))
        self.assertEqual(str(reply.address(54)), "127.0.0.1")
        self.assertEqual([type(outcome) for outcome in self.outcomes], [Proxied])
        self.stop()

    def test_each_port_has_its_own_meaning(self) -> None:
        """A REQUEST at the first is for the address server, a DISCOVER at the second for nobody."""
        self.service.startService()
        for port, message in zip(self.ports, (say(MessageType.REQUEST, 1, BIOS), discover(1, BIOS)), strict=True):
            self.client.sendto(wire.encode(message), ("127.0.0.1", port.number))
        self.readers.turn()
        self.assertEqual([type(outcome) for outcome in self.outcomes], [Overheard, Overheard])
        self.stop()

    def test_an_interface_that_changed(self) -> None:
        """It is told every few seconds, once for both ports; the log says it once a minute."""
        self.service.startService()
        self.patch(UdpPort, "problem", "lo has lost the address 127.0.0.1")
        self.assertEqual(self.outcomes, [])
        self.clock.pump([LOOK] * 2)
        self.assertEqual(self.outcomes, [Deaf("lo has lost the address 127.0.0.1")] * 2)
        self.stop()

    def test_beside_an_address_server(self) -> None:
        """The second port alone: that server tells of the interface, and the log calls nobody a proxy."""
        service = ProxyService(self.ports[1:], lambda *_: self.fail(), self.outcomes.append, self.clock)
        with capturedLogs() as events:
            service.startService()
        said = [formatEvent(event) for event in events]
        self.assertEqual(said, [f"firmware that asks on lo udp {self.ports[1].number} is answered, too"])
        self.patch(UdpPort, "problem", "lo has lost the address 127.0.0.1")
        self.clock.pump([LOOK] * 2)
        self.assertEqual((self.outcomes, self.clock.getDelayedCalls()), ([], []))
        service.stopService()
        self.assertEqual(self.readers.reading, [])

    def test_never_started(self) -> None:
        """The ports, which were bound before, are closed all the same; and a second stop does no harm."""
        self.stop()
        self.stop()
