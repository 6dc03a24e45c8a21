"""Frames on a real link: to machines without an address, questions by ARP, and what other servers say."""

from __future__ import annotations

import errno
from ipaddress import IPv4Address

from lab.network.namespace import BRIDGE, SERVER_ADDRESS
from pixelboot.datagram import Destination
from pixelboot.hwaddr import HardwareAddress
from pixelboot.udp.frame import read_datagram
from pixelboot.udp.interfaces import interfaces
from pixelboot.udp.link import Link
from pixelboot.udp.port import UdpPort
from tests.firmware.sockets import EVERYBODY, GIVEN, SERVER, InterfacesCase, inside, reactor, without_raw_sockets


class FrameTests(InterfacesCase):
    """Datagrams to machines that have no address yet."""

    def port(self) -> UdpPort:
        """Port 67 on the bridge."""
        return self.listen(BRIDGE).ports[0]

    def test_d10_a_frame_to_the_client(self) -> None:
        """D10: IP destination yiaddr, link destination chaddr, source the server's, and nobody is asked by ARP."""
        client, stranger = self.client(), self.client()
        card, port, frames, others = self.card(client), self.port(), self.frames(client), self.frames(stranger)
        for octets in (bytes(300), b"odd" + bytes(300)):
            port.send(octets, Destination(GIVEN, 68, SERVER, BRIDGE, card))
            frame = self.packet(frames)
            self.assertEqual((frame[:6], frame[12:14]), (card.octets, b"\x08\0"))
            bridge = interfaces()[BRIDGE].hwaddr
            self.assertEqual(read_datagram(frame), (bridge, SERVER, 67, GIVEN, 68, octets))
        # A bridge that does not know yet where a card is sends everywhere.
        self.assertEqual(self.seen(frames), [])
        self.assertEqual({(frame[:6], frame[12:14]) for frame in self.seen(others)}, {(card.octets, b"\x08\0")})

    def test_d10_the_client_s_system_takes_it(self) -> None:
        """D10: with both checksums looked at, of an even and an odd number of octets."""
        client = self.client(f"{GIVEN}/24")
        listening, port = self.bound(client, 68), self.port()
        for octets in (b"even", b"odds!", bytes(1472)):
            port.send(octets, Destination(GIVEN, 68, SERVER, BRIDGE, self.card(client)))
            self.assertEqual(listening.recvfrom(2048), (octets, (SERVER_ADDRESS, 67)))

    def test_d10_broadcast_without_the_privilege(self) -> None:
        """D10: who may not send frames broadcasts, and a datagram that is too long for one frame is broadcast."""
        client = self.client("10.77.0.50/24")
        card, frames = self.card(client), self.frames(client)
        listening = self.bound(client, 68)
        with without_raw_sockets():
            denied = self.listen(BRIDGE)
        denied.ports[0].send(b"offer", Destination(GIVEN, 68, SERVER, BRIDGE, card))
        self.assertEqual(listening.recv(100), b"offer")
        self.assertEqual(self.packet(frames)[:6], b"\xff" * 6)
        self.assertIsNone(self.successResultOf(denied.prober.in_use(BRIDGE, GIVEN, 5.0)))
        denied.stop()
        self.port().send(bytes(1473), Destination(GIVEN, 68, SERVER, BRIDGE, card))
        self.assertEqual(listening.recv(2048), bytes(1473))

    def test_down(self) -> None:
        """On an interface that is down nothing can be sent, and that is an error."""
        port = self.port()
        self.server.ip("link", "set", BRIDGE, "down")
        for hwaddr in (None, HardwareAddress.parse("02:aa:00:00:00:01")):
            error = self.assertRaises(OSError, port.send, b"x", Destination(GIVEN, 68, SERVER, BRIDGE, hwaddr))
            assert isinstance(error, OSError)
            self.assertIn(error.errno, (errno.ENETDOWN, errno.ENETUNREACH))

    async def test_other_servers(self) -> None:
        """What another server says is overheard; neither our own replies nor any other traffic is."""
        other = self.client("10.77.0.3/24")
        port = self.port()
        offer = bytes((2, *range(1, 240)))
        server, elsewhere = self.bound(other, 67), self.bound(other, 5000)
        port.send(offer, Destination(EVERYBODY, 68, SERVER, BRIDGE))
        elsewhere.sendto(offer, (str(EVERYBODY), 68))
        server.sendto(bytes((1, *offer[1:])), (str(EVERYBODY), 68))
        server.sendto(offer, (str(EVERYBODY), 68))
        await self.until(lambda: self.heard)
        self.assertEqual(self.heard, [(offer, BRIDGE, IPv4Address("10.77.0.3"), self.card(other))])


class ProbeTests(InterfacesCase):
    """Is an address in use?"""

    async def test_probe(self) -> None:
        """Who has it says so, also at an address of a second network; many are asked for at once."""
        client = self.client(f"{GIVEN}/24", "10.99.0.5/24")
        prober, card = self.listen(BRIDGE).prober, self.card(client)
        free = [prober.in_use(BRIDGE, IPv4Address("10.77.1.0") + number, 0.2) for number in range(500)]
        self.assertEqual(await prober.in_use(BRIDGE, GIVEN, 5.0), card)
        self.assertEqual(await prober.in_use(BRIDGE, IPv4Address("10.99.0.5"), 5.0), card)
        self.assertIsNone(await prober.in_use(BRIDGE, GIVEN, 0.1, card))
        self.assertIsNone(await prober.in_use(BRIDGE, SERVER, 0.1))
        self.assertEqual([await each for each in free], [None] * 500)

    async def test_flood(self) -> None:
        """However many replies somebody sends, the reactor turns, and the one that counts is found."""
        flooding, holder = self.client(), self.client(f"{GIVEN}/24")
        prober = self.listen(BRIDGE).prober
        bridge = interfaces()[BRIDGE].hwaddr
        assert bridge is not None
        with inside(flooding):
            link = Link(reactor, interfaces()["eth0"])
        self.addCleanup(link.stop)
        card = self.card(flooding)
        head = bridge.octets + card.octets + bytes.fromhex("08060001080006040002") + card.octets
        for number in range(5000):
            link.send(head + (0x0A630000 + number).to_bytes(4, "big") + bridge.octets + bytes(4))
        self.assertIsNone(await prober.in_use(BRIDGE, IPv4Address("10.77.0.200"), 0.1))
        self.assertEqual(await prober.in_use(BRIDGE, GIVEN, 5.0), self.card(holder))
