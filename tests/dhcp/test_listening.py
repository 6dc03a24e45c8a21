"""Listening: sockets on the loopback, on interfaces that come, go and change; real ones in `tests.firmware`."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.datagram import Arrival
from pixelboot.dhcp import listening as listening_module
from pixelboot.dhcp.listening import Left, Listening, Missing, Served
from pixelboot.hwaddr import HardwareAddress
from pixelboot.outcome import Outcome
from pixelboot.udp import link as link_module
from pixelboot.udp.changes import PAUSE, POLL
from pixelboot.udp.frame import datagram
from pixelboot.udp.interfaces import Interface, interfaces
from pixelboot.udp.port import UdpPort
from pixelboot.udp.sockets import open_socket
from tests.udp.readers import Readers
from tests.udp.test_arp import reply
from tests.udp.test_frame import CLIENT, GIVEN, OURS

HERE, ALSO_HERE = IPv4Address("127.0.0.1"), IPv4Address("127.0.0.2")


def free(count: int) -> list[int]:
    """UDP ports that nobody has."""
    opened = [open_socket(interfaces()["lo"], 0) for _ in range(count)]
    numbers: list[int] = [each.getsockname()[1] for each in opened]
    for each in opened:
        each.close()
    return numbers


class ListeningCase(SynchronousTestCase):
    """The loopback stands for the interfaces of a machine, which are what the test says."""

    def setUp(self) -> None:
        self.descriptors = os.listdir("/proc/self/fd")
        self.readers = Readers()
        self.lo = interfaces()["lo"]
        self.machine: dict[str, Interface] = {"lo": self.lo}
        self.wanted = ["lo"]
        self.patch(listening_module, "interfaces", lambda: dict(self.machine))
        self.outcomes: list[Outcome] = []
        self.changes: list[dict[str, Interface]] = []
        self.arrived: list[tuple[bytes, Arrival]] = []
        self.numbers = free(2)
        self.listening = self.listens()
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.bind((str(HERE), 0))
        self.client.settimeout(5)
        self.addCleanup(self.client.close)

    def listens(self) -> Listening:
        """On the two ports of whatever is wanted."""
        listening = Listening(
            self.readers, lambda known: self.wanted, self.numbers, self.outcomes.append, lambda: 1234.5
        )
        listening.changed = lambda served: self.changes.append(dict(served))
        self.addCleanup(listening.stop)
        return listening

    def received(self, octets: bytes, arrival: Arrival, port: UdpPort) -> None:
        """Something has arrived; it is answered."""
        self.arrived.append((octets, arrival))

    def open(self) -> None:
        """Open, and start."""
        self.listening.open()
        self.listening.start(self.received)

    def look(self) -> list[Outcome]:
        """What is told after the next look."""
        self.outcomes.clear()
        self.readers.pump([PAUSE, POLL])
        return self.outcomes

    def say(self, octets: bytes, address: IPv4Address = HERE) -> None:
        """A client sends to both ports."""
        for number in self.numbers:
            self.client.sendto(octets, (str(address), number))

    def assert_closed(self) -> None:
        """Nothing is left."""
        self.assertTrue(self.readers.is_idle())
        self.assertEqual((self.listening.ports, dict(self.listening.interfaces)), ((), {}))
        for number in self.numbers:
            open_socket(self.lo, number).close()


class LifeTests(ListeningCase):
    """From open to stop."""

    def test_life(self) -> None:
        """Every port is taken at once, and read from the start on; then all is given back."""
        self.listening.open()
        self.assertEqual([port.number for port in self.listening.ports], self.numbers)
        self.assertEqual([str(port) for port in self.listening.ports], [f"lo udp {number}" for number in self.numbers])
        self.assertEqual((self.changes, self.outcomes, self.readers.reading), ([{"lo": self.lo}], [], []))
        self.say(b"early")
        self.listening.start(self.received)
        self.assertEqual(self.outcomes, [Served("lo", self.lo.addresses, tuple(self.numbers))])
        self.readers.turn()
        client = self.client.getsockname()[1]
        self.assertEqual(
            self.arrived,
            [
                (b"early", Arrival("lo", HERE, number, HERE, client, 1234.5, False, self.lo.addresses))
                for number in self.numbers
            ],
        )
        self.assertEqual((self.listening.addresses, dict(self.listening.waiting)), (frozenset({HERE}), {}))
        self.listening.stop()
        self.listening.stop()
        self.assert_closed()

    def test_never_started(self) -> None:
        """What was opened can be given back unused."""
        self.listening.open()
        self.listening.stop()
        self.assert_closed()

    def test_busy(self) -> None:
        """A port that is taken is an error that names it, and no port is kept."""
        for busy in self.numbers:
            with open_socket(self.lo, busy):
                before = len(os.listdir("/proc/self/fd"))
                error = self.assertRaises(OSError, self.listening.open)
                assert isinstance(error, OSError)
                self.assertEqual((error.errno, error.filename), (errno.EADDRINUSE, f"lo udp {busy}"))
                self.assertEqual(len(os.listdir("/proc/self/fd")), before)
            self.assert_closed()

    def test_no_leaks(self) -> None:
        """After an interface has come and gone many times."""
        self.open()
        for _ in range(20):
            del self.machine["lo"]
            self.look()
            self.machine["lo"] = self.lo
            self.look()
        self.listening.stop()
        self.client.close()
        self.assertEqual(len(os.listdir("/proc/self/fd")), len(self.descriptors))
        self.assert_closed()


class FollowTests(ListeningCase):
    """What becomes of interfaces."""

    def test_waits(self) -> None:
        """One that is not there is said once, and served when it comes."""
        del self.machine["lo"]
        self.open()
        missing = Missing("lo", "there is no such interface")
        self.assertEqual((self.outcomes, self.changes), ([missing], []))
        self.assertEqual(dict(self.listening.waiting), {"lo": "there is no such interface"})
        self.assertEqual((self.look(), self.listening.ports), ([], ()))
        self.machine["lo"] = self.lo
        self.assertEqual(self.look(), [Served("lo", self.lo.addresses, tuple(self.numbers))])
        self.assertEqual((dict(self.listening.waiting), self.changes), ({}, [{"lo": self.lo}]))
        self.say(b"hello")
        self.readers.turn()
        self.assertEqual(len(self.arrived), 2)

    def test_gone_and_made_again(self) -> None:
        """A new interface of the old name is another one: its sockets are made anew."""
        self.open()
        before = self.listening.ports
        del self.machine["lo"]
        self.assertEqual(self.look(), [Missing("lo", "there is no such interface")])
        self.assertEqual((self.listening.ports, self.listening.addresses), ((), frozenset()))
        self.assertEqual({port.fileno() for port in before}, {-1})
        self.machine["lo"] = self.lo
        self.look()
        # Between two looks it may have gone and come.
        before = self.listening.ports
        self.machine["lo"] = replace(self.lo, index=self.lo.index + 1000)
        self.assertEqual(self.look(), [Served("lo", self.lo.addresses, tuple(self.numbers))])
        self.assertEqual({port.fileno() for port in before}, {-1})
        self.assertEqual([len(served) for served in self.changes], [1, 0, 1, 1])

    def test_another_address(self) -> None:
        """It is known from the next datagram on, without the sockets being made anew."""
        self.open()
        before = self.listening.ports
        self.machine["lo"] = moved = replace(self.lo, addresses=(ALSO_HERE, IPv4Address("127.0.0.3")))
        self.assertEqual(self.look(), [Served("lo", moved.addresses, tuple(self.numbers))])
        self.assertEqual((self.listening.ports, self.changes[-1]), (before, {"lo": moved}))
        self.assertEqual(self.listening.addresses, set(moved.addresses))
        self.say(b"x", ALSO_HERE)
        self.readers.turn()
        self.assertEqual({(each.local, each.addresses) for _, each in self.arrived}, {(ALSO_HERE, moved.addresses)})

    def test_a_datagram_is_quicker_than_the_news(self) -> None:
        """What arrives at an address that was not known is a reason to look before it is handed on."""
        self.open()
        self.readers.advance(PAUSE)
        self.machine["lo"] = moved = replace(self.lo, addresses=(ALSO_HERE,))
        self.client.sendto(b"x", (str(ALSO_HERE), self.numbers[0]))
        self.readers.turn()
        self.assertEqual([each.addresses for _, each in self.arrived], [moved.addresses])

    def test_a_datagram_of_an_interface_that_has_just_gone(self) -> None:
        """When that is noticed by it, it is not handed on: nothing could be answered."""
        self.open()
        self.machine["lo"] = replace(self.lo, index=self.lo.index + 1000, addresses=(ALSO_HERE,))
        self.client.sendto(b"x", (str(ALSO_HERE), self.numbers[0]))
        self.readers.turn()
        self.assertEqual(self.arrived, [])
        self.assertEqual(len(self.listening.ports), 2)

    def test_no_address(self) -> None:
        """Nobody is served there; the ports are kept, for they may not be had again."""
        self.open()
        before = self.listening.ports
        self.machine["lo"] = replace(self.lo, addresses=(), networks=())
        self.assertEqual(self.look(), [Missing("lo", "it has no IPv4 address")])
        self.assertEqual((self.look(), self.listening.ports, self.changes[-1]), ([], before, {}))
        self.say(b"x")
        self.readers.turn()
        self.assertEqual({each.addresses for _, each in self.arrived}, {()})
        self.machine["lo"] = self.lo
        self.assertEqual(self.look(), [Served("lo", self.lo.addresses, tuple(self.numbers))])
        self.assertEqual((self.listening.ports, dict(self.listening.waiting)), (before, {}))

    def test_busy_later(self) -> None:
        """A port that cannot be had on an interface that comes later is said once, and tried again."""
        del self.machine["lo"]
        self.open()
        self.machine["lo"] = self.lo
        with open_socket(self.lo, self.numbers[1]):
            reason = f"lo udp {self.numbers[1]}: Address already in use"
            self.assertEqual(self.look(), [Missing("lo", reason)])
            self.assertEqual((self.look(), self.listening.ports), ([], ()))
            self.assertEqual(dict(self.listening.waiting), {"lo": reason})
            open_socket(self.lo, self.numbers[0]).close()
        self.assertEqual(self.look(), [Served("lo", self.lo.addresses, tuple(self.numbers))])

    def test_gone_before_it_was_opened(self) -> None:
        """An interface that goes just then is waited for, at the start too."""
        self.machine["gone0"] = replace(self.lo, name="gone0")
        self.wanted.append("gone0")
        self.open()
        self.assertEqual(dict(self.listening.waiting), {"gone0": f"gone0 udp {self.numbers[0]}: No such device"})
        self.assertEqual(len(self.listening.ports), 2)

    def test_no_longer_wanted(self) -> None:
        """What the settings mean depends on the interfaces, and may change with them."""
        self.wanted.append("eno1")
        self.open()
        self.wanted.clear()
        self.assertEqual(self.look(), [Left("lo")])
        self.assertEqual((self.listening.ports, dict(self.listening.waiting)), ((), {}))

    def test_asked_with_all_interfaces(self) -> None:
        """What is wanted is said by who knows the settings."""
        asked: list[Mapping[str, Interface]] = []

        def wanted(known: Mapping[str, Interface]) -> list[str]:
            asked.append(known)
            return ["lo", "lo"]

        listening = Listening(self.readers, wanted, self.numbers, self.outcomes.append, lambda: 0.0)
        self.addCleanup(listening.stop)
        listening.open()
        self.assertEqual((asked, len(listening.ports)), ([self.machine], 2))

    def test_interfaces_cannot_be_read(self) -> None:
        """At the start that is an error; later all stays as it is."""

        def broken() -> dict[str, Interface]:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        self.open()
        self.patch(listening_module, "interfaces", broken)
        self.assertEqual((self.look(), len(self.listening.ports)), ([], 2))
        self.listening.stop()
        self.assertRaises(OSError, self.listening.open)


class FrameTests(ListeningCase):
    """Frames of the link, on sockets that lead to the test."""

    def setUp(self) -> None:
        super().setUp()
        self.machine["lo"] = replace(self.lo, hwaddr=OURS)
        self.peers: dict[int, socket.socket] = {}

        def open_packets(interface: Interface, protocol: int, only: object = ()) -> socket.socket:
            ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self.addCleanup(peer.close)
            self.peers[protocol] = peer
            return ours

        self.patch(link_module, "open_packets", open_packets)

    def test_probe(self) -> None:
        """The prober asks on the interfaces that are listened at, and hears the answer."""
        self.open()
        asked = self.listening.prober.in_use("lo", GIVEN, 0.1)
        self.assertEqual(len(self.peers[0].recv(100)), 42)
        self.peers[0x0806].send(reply(GIVEN))
        self.readers.turn()
        self.assertEqual(self.successResultOf(asked), CLIENT)
        waiting = self.listening.prober.in_use("lo", GIVEN + 1, 0.1)
        self.listening.stop()
        self.assertIsNone(self.successResultOf(waiting))
        self.assert_closed()

    def test_overheard(self) -> None:
        """What another server says is handed on, with its addresses; what is no datagram is not."""
        heard: list[tuple[bytes, str, IPv4Address, HardwareAddress]] = []
        self.listening.open()
        self.listening.start(self.received, lambda *what: heard.append(what))
        self.peers[0x0800].send(b"noise")
        self.peers[0x0800].send(datagram(b"offer", GIVEN, 67, HERE, 68, CLIENT, OURS))
        self.readers.turn()
        self.assertEqual(heard, [(b"offer", "lo", GIVEN, CLIENT)])

    def test_neither(self) -> None:
        """Who wants neither opens nothing for it; who does not listen to what is overheard is not disturbed."""
        self.open()
        self.assertEqual(sorted(self.peers), [0, 0x0800, 0x0806])
        self.peers[0x0800].send(datagram(b"offer", GIVEN, 67, HERE, 68, CLIENT, OURS))
        self.readers.turn()
        self.listening.stop()
        self.peers.clear()
        listening = Listening(
            self.readers,
            lambda known: ["lo"],
            self.numbers,
            self.outcomes.append,
            lambda: 0.0,
            probes=False,
            overhears=False,
        )
        self.addCleanup(listening.stop)
        listening.open()
        self.assertEqual(list(self.peers), [0])


class Outcomes(SynchronousTestCase):
    """What stands in the log."""

    def test_lines(self) -> None:
        """Interface, addresses, ports, reason."""
        for outcome, severity, line in (
            (
                Served("eno1", (HERE, ALSO_HERE), (67, 4011)),
                "info",
                "answering on eno1, udp 67 and 4011, as 127.0.0.1, 127.0.0.2",
            ),
            (
                Missing("eno1", "there is no such interface"),
                "warn",
                "no machine on eno1 is answered: there is no such interface; waiting for that to change",
            ),
            (
                Left("eno1"),
                "info",
                "no machine on eno1 is answered any more: the settings do not mean it, as it is now",
            ),
        ):
            self.assertEqual((outcome.summary(), outcome.severity, outcome.service), (line, severity, "dhcp"))
