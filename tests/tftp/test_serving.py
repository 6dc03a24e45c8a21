"""Tests of `pixelboot.tftp.service`: files over real sockets on the loopback interface."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address

from pixelboot.tftp import service, wire
from pixelboot.tftp.outcomes import Probed, Served
from pixelboot.udp.batch.port import BatchPort
from pixelboot.udp.sockets import open_socket
from tests.tftp.loopback import ALL_OF_LOOPBACK, ALSO_HERE, FILE, HERE, SMALL, ServiceCase
from tests.tftp.network import rrq
from tests.tftp.peer import Client


class ServeTests(ServiceCase):
    """Downloads."""

    async def test_large(self) -> None:
        """Some megabytes arrive without a wrong bit, in lock-step and in windows, with small blocks and large ones."""
        self.service = self.make(self.settings(blksize=1468))
        self.service.startService()
        for blksize, windowsize in ((1468, 1), (1468, 16), (8192, 64), (512, 7)):
            clients = self.downloads()
            client = Client(min(blksize, 1468), windowsize)
            clients.begin((HERE, self.service.port), rrq("file", blksize=blksize, windowsize=windowsize), client)
            await clients.done
            self.assertTrue(bytes(client.octets) == FILE, (blksize, windowsize))
            clients.stop()
        await self.until(lambda: len(self.outcomes) == 4)
        for outcome in self.outcomes:
            assert isinstance(outcome, Served)
            self.assertEqual(outcome.octets, len(FILE))
        self.assertEqual([payload.closed for payload in self.payloads], [1] * 4)

    async def test_many(self) -> None:
        """Two hundred clients that ask in the same moment are all served, side by side, from one new port (T01)."""
        self.service.startService()
        clients = self.downloads()
        for _ in range(200):
            clients.begin((HERE, self.service.port), rrq("small", blksize=1024), Client(1024))
        await clients.done
        self.assertEqual({bytes(client.octets) == SMALL for client in clients.clients}, {True})
        [(address, port)] = clients.spoke
        self.assertEqual(address, HERE)
        self.assertNotEqual(port, self.service.port)
        await self.until(lambda: len(self.outcomes) == 200)
        self.assertEqual(self.service.transfers, 0)
        self.assertEqual({type(outcome) for outcome in self.outcomes}, {Served})

    async def test_homes(self) -> None:
        """T01: whichever address is asked, that address answers: with the file, and with an ERROR."""
        self.service.startService()
        for address in (HERE, ALSO_HERE, "127.9.9.9"):
            for name in ("small", "absent"):
                clients = self.downloads()
                clients.begin((address, self.service.port), rrq(name), Client())
                await clients.done
                self.assertEqual({peer[0] for peer in clients.spoke}, {address}, name)
                clients.stop()

    async def test_one_address(self) -> None:
        """A service at one address is at no other."""
        self.service = self.make(self.settings(address=IPv4Address(ALSO_HERE)))
        self.service.startService()
        self.assertEqual(self.service.address, IPv4Address(ALSO_HERE))
        client = self.client()
        for address in (HERE, ALL_OF_LOOPBACK):
            client.sendto(rrq("small"), (address, self.service.port))
        clients = self.downloads()
        clients.begin((ALSO_HERE, self.service.port), rrq("small"), Client())
        await clients.done
        self.assertEqual({peer[0] for peer in clients.spoke}, {ALSO_HERE})
        self.assertEqual(len(self.payloads), 1)
        self.assertRaises(BlockingIOError, client.recv, 2000)

    async def test_to_everybody(self) -> None:
        """T12: a broadcast is counted, and not answered."""
        self.service.startService()
        client = self.client()
        client.sendto(rrq("small"), (ALL_OF_LOOPBACK, self.service.port))
        await self.until(lambda: len(self.outcomes) == 1)
        await self.turns(3)
        self.assertEqual([type(outcome).__name__ for outcome in self.outcomes], ["Ignored"])
        self.assertRaises(BlockingIOError, client.recv, 2000)

    async def test_an_end_before_a_request(self) -> None:
        """What a client said before it asked anew from its port is heard before, though it was said to another port."""
        self.service.startService()
        entry, exit_ = self.service._ports
        client = self.client()
        for _ in range(3):
            client.sendto(rrq("small", tsize=0), (HERE, self.service.port))
            await self.until(lambda: self.service.transfers == 1)
            await self.turns(2)
            self.assertEqual(wire.opcode(client.recv(2000)), wire.Opcode.OACK)
            client.sendto(wire.error(8, "it is too large"), (HERE, exit_.number))
            client.sendto(rrq("small"), (HERE, self.service.port))
            entry.doRead()
            self.assertEqual([type(outcome) for outcome in self.outcomes], [Probed])
            await self.until(lambda: self.service.transfers == 1)
            await self.turns(2)
            self.assertEqual(client.recv(2000)[:4], wire.data(1, b""))
            client.sendto(wire.error(0, "enough"), (HERE, exit_.number))
            await self.until(lambda: self.service.transfers == 0)
            self.outcomes.clear()

    async def test_clients_that_vanish(self) -> None:
        """Clients whose ports are closed while they are sent to do not disturb the one that stays."""
        self.service.startService()
        clients = self.downloads()
        for _ in range(20):
            client = self.client()
            client.sendto(rrq("file", windowsize=64), (HERE, self.service.port))
            client.close()
        clients.begin((HERE, self.service.port), rrq("file", blksize=1468), Client(1468))
        await clients.done
        self.assertTrue(bytes(clients.clients[0].octets) == FILE)

    async def test_waits_for_the_next(self) -> None:
        """Whether or not the next acknowledgement is waited for, the file is the same."""
        for spin in (0, 1, 1000):
            self.service = self.make(self.settings(spin=spin))
            self.service.startService()
            await self.assert_served(HERE, self.service.port, rrq("small", blksize=1400), Client(1400))
            await self.service.stopService()

    async def test_interface(self) -> None:
        """Blocks as large as the interface takes, which on loopback is more than the client asks for."""
        self.service.startService()
        await self.assert_served(HERE, self.service.port, rrq("small", blksize=4000), Client(4000))

    async def test_ipv6(self) -> None:
        """The same files over IPv6, at the same port; at one address, and at every."""
        for address6 in ("::", "::1"):
            self.service = self.make(self.settings(address6=address6))
            self.service.startService()
            for name, wanted in (("small", SMALL), ("absent", None)):
                got, sender = await self.lock_step("::1", self.service.port, name)
                self.assertEqual((got, sender[0]), (wanted, "::1"))
                self.assertNotEqual(sender[1], self.service.port)
            await self.assert_served(HERE, self.service.port, rrq("small"), Client())
            await self.until(lambda: not self.service.transfers)
            await self.service.stopService()
        self.assertEqual({type(outcome).__name__ for outcome in self.outcomes}, {"Served", "NotFound"})
        self.assertEqual({outcome.summary().split()[0] for outcome in self.outcomes}, {HERE, "::1"})

    async def test_single_port(self) -> None:
        """Everything comes from the port that was asked, of the address that was asked, in either family."""
        self.service = self.make(self.settings(single_port=True, address6="::"))
        self.service.startService()
        number = self.service.port
        for address in (HERE, ALSO_HERE):
            clients = self.downloads()
            clients.begin((address, number), rrq("file", blksize=1468, windowsize=8), Client(1468, 8))
            clients.begin((address, number), rrq("absent"), Client())
            await clients.done
            self.assertTrue(bytes(clients.clients[0].octets) == FILE)
            self.assertEqual(clients.spoke, {(address, number)})
            clients.stop()
        got, sender = await self.lock_step("::1", number, "small")
        self.assertEqual((got, sender[:2]), (SMALL, ("::1", number)))

    async def test_data_ports(self) -> None:
        """Files come from the first port of the range that is free."""
        with open_socket(None, 0, IPv4Address(HERE)) as taken:
            first = taken.getsockname()[1]
            last = min(first + 20, 65535)
            self.service = self.make(self.settings(data_ports=f"{first}-{last}", address=IPv4Address(HERE)))
            self.service.startService()
            clients = self.downloads()
            clients.begin((HERE, self.service.port), rrq("small"), Client())
            await clients.done
            [(_, number)] = clients.spoke
            self.assertTrue(first < number <= last, (first, number))


class PlainServeTests(ServeTests):
    """The same where the C library's calls for many datagrams are not to be had."""

    def setUp(self) -> None:
        self.patch(service, "BatchPort", partial(BatchPort, batched=False))
        super().setUp()
