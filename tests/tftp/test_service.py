"""Tests of `pixelboot.tftp.service`: its life, with real sockets on the loopback interface."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from pixelboot.tftp import service, wire
from pixelboot.udp.sockets import open_socket
from tests.tftp.loopback import FILE, HERE, SMALL, ServiceCase, descriptors
from tests.tftp.network import rrq
from tests.tftp.peer import Client


class StartStopTests(ServiceCase):
    """The life of the service."""

    async def test_nothing_before_the_start(self) -> None:
        """A service that listens does not answer before it is started; then it answers what has come meanwhile."""
        self.service.listen()
        client = self.client()
        client.sendto(rrq("absent"), (HERE, self.service.port))
        await self.turns(3)
        self.assertRaises(BlockingIOError, client.recv, 2000)
        self.service.startService()
        await self.until(lambda: len(self.outcomes) == 1)
        self.assertEqual(wire.decode(client.recv(2000)), wire.Error(1, "there is no such file"))

    def test_busy(self) -> None:
        """A port that is taken is an error, and nothing stays open."""
        with open_socket(None, 0, IPv4Address(HERE)) as taken:
            self.service = self.make(self.settings(port=taken.getsockname()[1]))
            before = descriptors()
            for begin in (self.service.listen, self.service.startService):
                error = self.assertRaises(OSError, begin)
                assert isinstance(error, OSError)
                self.assertEqual((error.errno, descriptors()), (errno.EADDRINUSE, before))
            self.assertFalse(self.service.running)

    def test_second_port(self) -> None:
        """Nor does the port for requests stay open when there is none for the data."""
        before = descriptors()
        opened: list[socket.socket] = []

        def one_only(*arguments: Any) -> socket.socket:
            if opened:
                raise OSError(errno.EMFILE, "Too many open files")
            opened.append(open_socket(*arguments))
            return opened[0]

        self.patch(service, "open_socket", one_only)
        self.assertRaises(OSError, self.service.listen)
        self.assertEqual((len(opened), descriptors()), (1, before))

    def test_all_data_ports_taken(self) -> None:
        """Then nothing is bound, in either family, and the error says so."""
        with open_socket(None, 0) as taken:
            number = taken.getsockname()[1]
            for address6 in ("", "::"):
                self.service = self.make(self.settings(data_ports=str(number), address6=address6))
                before = descriptors()
                error = self.assertRaises(OSError, self.service.startService)
                assert isinstance(error, OSError)
                self.assertEqual((error.errno, descriptors()), (errno.EADDRINUSE, before))

    def test_whose_setting_it_is(self) -> None:
        """A port that is not to be had is told with the setting that asks for it, and with its address."""
        with open_socket(None, 0, IPv6Address("::1")) as taken, open_socket(None, 0, IPv4Address(HERE)) as taken4:
            number, number4 = taken.getsockname()[1], taken4.getsockname()[1]
            for settings, told in (
                ({"port": number4}, ("port", number4, "0.0.0.0")),
                ({"address": IPv4Address("198.51.100.9")}, ("address", "198.51.100.9", "udp port 0")),
                ({"port": number, "address6": "::1"}, ("port", number, "::1")),
                ({"address6": "2001:db8::254"}, ("address6", "2001:db8::254", "udp port ")),
                ({"address6": "fe80::1%none0"}, ("address6", "fe80::1%none0", "udp port ")),
                ({"data_ports": str(number4)}, ("data_ports", str(number4), "0.0.0.0")),
                ({"data_ports": str(number), "address6": "::1"}, ("data_ports", str(number), "::1")),
            ):
                self.service = self.make(self.settings(**settings))
                error = self.assertRaises(service.NotBound, self.service.listen)
                assert isinstance(error, service.NotBound)
                self.assertEqual((error.key, error.value), told[:2], settings)
                self.assertTrue(error.address.startswith(told[2]), error.address)

    def test_where_it_is(self) -> None:
        """Every address, with the port that files are sent from."""
        self.assertEqual(self.service.listening, [])
        for settings in ({}, {"single_port": True}):
            made = self.service = self.make(self.settings(address6="::1", **settings))
            made.listen()
            ipv4, ipv6 = made.listening
            self.assertEqual((ipv4.address, ipv6.address, ipv6.port), ("0.0.0.0", "::1", made.port))
            self.assertEqual(ipv4.data_port == ipv4.port, bool(settings))
            self.assertRegex(str(ipv6), "^::1 udp [0-9]+, files from " + ("the same$" if settings else "udp [0-9]+$"))
            made.stopService()

    def test_ipv6_taken(self) -> None:
        """An address of the one family that is not to be had leaves nothing of the other."""
        with open_socket(None, 0, IPv6Address("::1")) as taken:
            number = taken.getsockname()[1]
            before = descriptors()
            for address6, problem in (("::1", errno.EADDRINUSE), ("2001:db8::254", errno.EADDRNOTAVAIL)):
                self.service = self.make(self.settings(port=number, address6=address6))
                error = self.assertRaises(OSError, self.service.listen)
                assert isinstance(error, OSError)
                self.assertEqual((error.errno, descriptors()), (problem, before))
            with open_socket(None, number):
                pass

    def test_no_ipv6(self) -> None:
        """Where this machine has none, "every address" is none; one that was named is missed."""

        def without(interface: None, port: int, address: IPv4Address | IPv6Address) -> socket.socket:
            if isinstance(address, IPv6Address):
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            return open_socket(interface, port, address)

        self.patch(service, "open_socket", without)
        before = descriptors()
        self.service = self.make(self.settings(address6="::"))
        self.service.listen()
        self.assertEqual(descriptors(), before + 2)
        self.service.stopService()
        self.service = self.make(self.settings(address6="::1"))
        self.assertRaises(OSError, self.service.listen)
        self.assertEqual(descriptors(), before)

    async def test_stop(self) -> None:
        """A stop in the middle: clients are told, everything is given back, the port is free; a start begins anew."""
        await self.turns(1)  # The reactor has opened by now what it needs for itself.
        before = descriptors()
        self.service.startService()
        number = self.service.port
        told = []
        for name in ("file", "slow"):
            client = self.client()
            client.sendto(rrq(name), (HERE, number))
            told.append(client)
        await self.until(lambda: self.service.transfers == 2)
        self.assertEqual(wire.decode(told[0].recv(2000)), wire.Data(1, FILE[:512]))
        self.service.stopService()
        for client in told:
            self.assertEqual(wire.decode(client.recv(2000)), wire.Error(0, "the server is stopping"))
            client.close()
        self.assertEqual([type(outcome).__name__ for outcome in self.outcomes], ["CutShort"] * 2)
        self.assertEqual([payload.closed for payload in self.payloads], [1])
        self.assertEqual((self.service.transfers, descriptors()), (0, before))
        with open_socket(None, number):
            pass
        self.service.startService()
        clients = self.downloads()
        clients.begin((HERE, self.service.port), rrq("small"), Client())
        await clients.done
        self.assertEqual(bytes(clients.clients[0].octets), SMALL)

    def test_never_started(self) -> None:
        """What only listened can be stopped, and what did not even do that; both more than once."""
        before = descriptors()
        self.assertEqual(self.service.port, 0)
        self.service.stopService()
        self.service.listen()
        self.assertNotEqual(self.service.port, 0)
        self.service.stopService()
        self.service.stopService()
        self.assertEqual(descriptors(), before)
