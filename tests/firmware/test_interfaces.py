"""Real interfaces in namespaces: what is read of them, and what happens when they come, go and change."""

from __future__ import annotations

import errno
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from twisted.internet.task import LoopingCall

from lab.network.namespace import BRIDGE, Namespace
from pixelboot.datagram import Arrival, Destination
from pixelboot.dhcp.listening import Left, Listening, Missing, Served
from pixelboot.hwaddr import HardwareAddress
from pixelboot.udp.changes import MOST_LOOKS
from pixelboot.udp.frame import datagram, read_datagram
from pixelboot.udp.interfaces import interfaces
from pixelboot.udp.link import Link
from pixelboot.udp.sockets import open_socket
from tests.firmware.sockets import EVERYBODY, GIVEN, LAN, InterfacesCase, inside, reactor


class ReadingTests(InterfacesCase):
    """What is read of interfaces."""

    def test_everything(self) -> None:
        """Addresses, the primary one first, their networks, labels, link address, MTU; one that is down, too."""
        self.server.ip("link", "add", LAN, "address", "02:aa:00:00:00:07", "mtu", "1400", "type", "bridge")
        for address in ("10.1.0.1/24", "10.1.0.2/24", "10.2.0.1/16"):
            self.server.ip("address", "add", address, "dev", LAN, "label", f"{LAN}:1")
        self.server.ip("address", "add", "10.3.0.1", "peer", "10.3.0.9/32", "dev", LAN)
        found = interfaces()[LAN]
        addresses = tuple(map(IPv4Address, ("10.1.0.1", "10.2.0.1", "10.1.0.2", "10.3.0.1")))
        self.assertEqual(sorted(found.addresses), sorted(addresses))
        self.assertEqual(found.addresses[0], addresses[0])
        networks = dict(zip(found.addresses, found.networks, strict=True))
        expected = ("10.1.0.0/24", "10.2.0.0/16", "10.1.0.0/24", "10.3.0.1/32")
        self.assertEqual(networks, dict(zip(addresses, map(IPv4Network, expected), strict=True)))
        self.assertEqual((found.hwaddr, found.mtu), (HardwareAddress.parse("02:aa:00:00:00:07"), 1400))
        self.assertEqual(set(interfaces()), {"lo", BRIDGE, LAN})


class FollowTests(InterfacesCase):
    """Interfaces that come, go and change under a running server."""

    def plug(self, *addresses: str) -> Namespace:
        """A machine on a cable of its own, and our end of it with these addresses."""
        client = self.network.namespace("far")
        self.cable(client, *addresses)
        return client

    def cable(self, client: Namespace, *addresses: str) -> None:
        """Plug it in, again."""
        self.server.ip("link", "add", LAN, "type", "veth", "peer", "name", "eth0", "netns", client.name)
        client.ip("link", "set", "eth0", "up")
        for address in addresses:
            self.server.ip("address", "add", address, "dev", LAN)
        self.server.ip("link", "set", LAN, "up")

    async def asks(self, client: Namespace) -> Arrival:
        """A machine without an address broadcasts, and is answered at once; the arrival at the server."""
        self.arrived.clear()
        with inside(client):
            link = Link(reactor, interfaces()["eth0"])
        hwaddr = link.interface.hwaddr
        assert hwaddr is not None
        discover = datagram(b"discover", IPv4Address(0), 68, EVERYBODY, 67, hwaddr, HardwareAddress(b"\xff" * 6))
        # The kernel may still be about to notice that a cable was plugged in; a client asks again, too.
        asking = LoopingCall(link.send, discover)
        asking.start(0.5)
        try:
            await self.until(lambda: self.arrived)
        finally:
            asking.stop()
            link.stop()
        _, arrival, port = self.arrived[0]
        frames = self.frames(client)
        self.arrived.clear()
        port.send(b"offer", Destination(GIVEN, 68, arrival.local, arrival.interface, hwaddr))
        offers = [frame for frame in self.seen(frames) if frame[12:14] == b"\x08\0"]
        self.assertEqual([(each[:6], read_datagram(each).source) for each in offers], [(hwaddr.octets, arrival.local)])
        return arrival

    def served(self, *addresses: str) -> Served:
        """The interface is served, at these addresses."""
        return Served(LAN, tuple(map(IPv4Address, addresses)), (67,))

    async def test_appears_later(self) -> None:
        """An interface that is named in the settings and made afterwards is served by itself."""
        listening = self.listen(BRIDGE, LAN)
        self.assertIn(Missing(LAN, "there is no such interface"), self.outcomes)
        client = self.plug("10.88.0.1/24")
        await self.until(lambda: self.served("10.88.0.1") in self.outcomes)
        self.assertEqual((dict(listening.waiting), len(listening.ports)), ({}, 2))
        arrival = await self.asks(client)
        ours = IPv4Address("10.88.0.1")
        self.assertEqual((arrival.interface, arrival.local, arrival.addresses), (LAN, ours, (ours,)))

    async def test_deleted_and_made_again(self) -> None:
        """Under the same name it is another interface, with another number and another link address."""
        client = self.plug("10.88.0.1/24")
        listening = self.listen(BRIDGE, LAN)
        await self.asks(client)
        for number in (2, 3):
            self.server.ip("link", "delete", LAN)
            await self.until(lambda: LAN in listening.waiting)
            self.assertEqual((set(listening.interfaces), set(listening.prober._links)), ({BRIDGE}, {BRIDGE}))
            self.cable(client, f"10.88.0.{number}/24")
            news = self.served(f"10.88.0.{number}")
            await self.until(partial(self.outcomes.__contains__, news))
            self.assertEqual((await self.asks(client)).local, IPv4Address(f"10.88.0.{number}"))

    async def test_made_again_before_anybody_looks(self) -> None:
        """Between two turns of the reactor."""
        client = self.plug("10.88.0.1/24")
        listening = self.listen(LAN)
        before = listening.interfaces[LAN]
        self.server.ip("link", "delete", LAN)
        self.cable(client, "10.88.0.1/24")
        await self.until(lambda: listening.interfaces.get(LAN, before) != before)
        self.assertEqual((await self.asks(client)).local, IPv4Address("10.88.0.1"))

    async def test_other_addresses(self) -> None:
        """A second one, another one, none, one again; every datagram is told what holds when it arrives."""
        client = self.plug("10.88.0.1/24")
        listening = self.listen(LAN)
        port = listening.ports[0]
        self.server.ip("address", "add", "10.88.1.1/24", "dev", LAN)
        first, second, third = (IPv4Address(each) for each in ("10.88.0.1", "10.88.1.1", "10.88.2.1"))
        self.assertEqual((await self.asks(client)).addresses, (first, second))
        self.server.ip("address", "delete", "10.88.0.1/24", "dev", LAN)
        arrival = await self.asks(client)
        self.assertEqual((arrival.local, arrival.addresses), (second, (second,)))
        self.server.ip("address", "flush", "dev", LAN)
        await self.until(lambda: listening.waiting)
        self.assertEqual((dict(listening.waiting), listening.addresses), ({LAN: "it has no IPv4 address"}, frozenset()))
        self.server.ip("address", "add", "10.88.2.1/24", "dev", LAN)
        arrival = await self.asks(client)
        self.assertEqual((arrival.local, arrival.addresses), (third, (third,)))
        self.assertEqual((listening.ports, listening.addresses), ((port,), {third}))

    async def test_never_a_stale_address(self) -> None:
        """Right after each change, without waiting for anything."""
        client = self.plug("10.88.0.1/24")
        self.listen(LAN)
        for number in range(2, MOST_LOOKS):
            self.server.ip("address", "delete", f"10.88.0.{number - 1}/24", "dev", LAN)
            self.server.ip("address", "add", f"10.88.0.{number}/24", "dev", LAN)
            arrival = await self.asks(client)
            ours = IPv4Address(f"10.88.0.{number}")
            self.assertEqual((arrival.local, arrival.addresses), (ours, (ours,)))

    async def test_down_and_up(self) -> None:
        """Nothing has to be made anew."""
        client = self.plug("10.88.0.1/24")
        listening = self.listen(LAN)
        ports, asked = listening.ports, len(self.outcomes)
        for _ in range(3):
            self.server.ip("link", "set", LAN, "down")
            await self.until(lambda: not self.arrived, 0.2)
            self.server.ip("link", "set", LAN, "up")
            await self.asks(client)
        client.ip("address", "add", f"{GIVEN}/32", "dev", "eth0")
        self.assertIsNotNone(await listening.prober.in_use(LAN, GIVEN, 5.0))
        self.assertEqual((listening.ports, len(self.outcomes)), (ports, asked))

    async def test_another_link_address(self) -> None:
        """Frames come from the card that there is now."""
        client = self.plug("10.88.0.1/24")
        listening = self.listen(LAN)
        card = HardwareAddress.parse("02:aa:00:00:00:42")
        self.server.ip("link", "set", LAN, "address", str(card))
        await self.until(lambda: listening.interfaces[LAN].hwaddr == card)
        frames = self.frames(client)
        listening.ports[0].send(b"offer", Destination(GIVEN, 68, IPv4Address("10.88.0.1"), LAN, self.card(client)))
        self.assertEqual(read_datagram(self.packet(frames)).hwaddr, card)

    async def test_no_address_yet(self) -> None:
        """Its ports are taken, and nobody is served before it has one."""
        listening = self.listen(BRIDGE, LAN)
        self.server.ip("link", "add", LAN, "type", "bridge")
        await self.until(lambda: listening.waiting.get(LAN) == "it has no IPv4 address")
        self.assertEqual(len(listening.ports), 2)
        self.server.ip("link", "delete", LAN)
        await self.until(lambda: listening.waiting.get(LAN) == "there is no such interface")

    async def test_no_longer_meant(self) -> None:
        """Interfaces that are meant by their addresses alone are left when these change."""
        client = self.plug("10.88.0.1/24")
        ours = IPv4Network("10.88.0.0/24")

        def wanted(known: Any) -> list[str]:
            return [name for name, each in known.items() if any(address in ours for address in each.addresses)]

        listening = Listening(reactor, wanted, (67,), self.outcomes.append, lambda: 0.0)
        self.addCleanup(listening.stop)
        listening.open()
        listening.start(lambda octets, arrival, port: self.arrived.append((octets, arrival, port)))
        await self.asks(client)
        self.server.ip("address", "flush", "dev", LAN)
        await self.until(lambda: Left(LAN) in self.outcomes)
        self.server.ip("address", "add", "10.88.0.7/24", "dev", LAN)
        await self.until(lambda: self.served("10.88.0.7") in self.outcomes)
        self.assertEqual((await self.asks(client)).local, IPv4Address("10.88.0.7"))


class TwoInterfacesTests(InterfacesCase):
    """One socket for each interface."""

    def test_each_hears_its_own(self) -> None:
        """The same port can be had once for each, and not twice."""
        self.server.ip("link", "add", LAN, "type", "bridge")
        self.server.ip("address", "add", "10.88.0.1/24", "dev", LAN)
        listening = self.listen(BRIDGE, LAN)
        self.assertEqual({str(port) for port in listening.ports}, {f"{BRIDGE} udp 67", f"{LAN} udp 67"})
        again = Listening(reactor, lambda known: (LAN,), (4011, 67), self.outcomes.append, lambda: 0.0)
        error = self.assertRaises(OSError, again.open)
        assert isinstance(error, OSError)
        self.assertEqual((error.errno, error.filename), (errno.EADDRINUSE, f"{LAN} udp 67"))
        with open_socket(interfaces()[LAN], 4011):
            pass
