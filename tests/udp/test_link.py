"""Tests of `pixelboot.udp.link`; with real interfaces in `tests.firmware.test_frames`."""

from __future__ import annotations

import array
import errno
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from unittest import mock

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import provider

from pixelboot.datagram import Destination
from pixelboot.hwaddr import HardwareAddress
from pixelboot.udp import link as link_module
from pixelboot.udp.frame import HEADERS, arp_probe, datagram, read_datagram
from pixelboot.udp.interfaces import Interface, interfaces
from pixelboot.udp.link import ARP_REPLIES, DHCP_REPLIES, Link, Tap
from tests.udp.readers import Readers
from tests.udp.test_frame import ARP_REPLY, CLIENT, GIVEN, OURS, SERVER, offer

LAN = Interface("lan0", 7, (SERVER,), hwaddr=OURS)
TO_CLIENT = Destination(GIVEN, 68, SERVER, "lan0", CLIENT)
REPLY = bytes((2, *range(1, 240)))
"""What begins like a reply of BOOTP."""


def lines(case: SynchronousTestCase) -> list[str]:
    """What is logged from now on."""
    told: list[str] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event["log_namespace"] == "pixelboot.udp":
            told.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    case.addCleanup(globalLogPublisher.removeObserver, observe)
    return told


class FilterTests(SynchronousTestCase):
    """What the kernel lets pass; it filters any kind of datagram by its octets."""

    def passing(self, only: tuple[tuple[int, int], ...], frame: bytes) -> bool:
        """Whether a frame gets through a filter."""
        sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with sender, receiver:
            octets = array.array("B", link_module._assembled(only))
            program = struct.pack("@HP", len(only) + 2, octets.buffer_info()[0])
            receiver.setsockopt(socket.SOL_SOCKET, 26, program)
            try:
                sender.send(frame)
                return receiver.recv(4096) == frame
            except (BlockingIOError, PermissionError):  # EPERM is what the sender of a filtered datagram gets.
                return False

    def changed(self, frame: bytes, at: int, octet: int) -> bytes:
        """The frame with one other octet."""
        return frame[:at] + bytes((octet,)) + frame[at + 1 :]

    def test_arp(self) -> None:
        """Replies about IPv4 on Ethernet, nothing else."""
        self.assertTrue(self.passing(ARP_REPLIES, ARP_REPLY))
        self.assertTrue(self.passing(ARP_REPLIES, ARP_REPLY + bytes(18)))
        for at, octet in ((15, 6), (17, 1), (18, 8), (19, 16), (21, 1)):
            self.assertFalse(self.passing(ARP_REPLIES, self.changed(ARP_REPLY, at, octet)), at)
        for frame in (arp_probe(GIVEN, OURS), offer(REPLY), b"", ARP_REPLY[:21]):
            self.assertFalse(self.passing(ARP_REPLIES, frame), frame.hex())

    def test_dhcp(self) -> None:
        """What servers say to clients: from port 67 to 68, a reply, whole; also behind a longer header."""
        reply = offer(REPLY)
        longer = self.changed(reply, 14, 0x46)
        longer = longer[:34] + b"\1\1\1\0" + longer[34:]
        for frame in (reply, longer):
            self.assertTrue(self.passing(DHCP_REPLIES, frame))
        for name, frame in (
            ("to a server", offer(REPLY, 67)),
            ("from elsewhere", datagram(REPLY, SERVER, 4011, GIVEN, 68, OURS, CLIENT)),
            ("request", offer(bytes((1, *REPLY[1:])))),
            ("TCP", self.changed(reply, 23, 6)),
            ("IPv6", self.changed(reply, 14, 0x60)),
            ("first fragment", self.changed(reply, 20, 0x20)),
            ("later fragment", self.changed(reply, 21, 1)),
            ("without payload", reply[:HEADERS]),
            ("empty", b""),
        ):
            self.assertFalse(self.passing(DHCP_REPLIES, frame), name)


class TapTests(SynchronousTestCase):
    """Reading no faster than is said."""

    def setUp(self) -> None:
        self.readers = Readers()
        self.frames: list[bytes] = []
        ours, self.peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.addCleanup(self.peer.close)
        self.tap = Tap(self.readers, ours, self.frames.append, 3, 0.5)
        self.addCleanup(self.tap.stop)

    def send(self, count: int) -> None:
        """So many frames arrive."""
        for number in range(count):
            self.peer.send(b"%d" % number)

    def test_rest(self) -> None:
        """After a turn that was full there is a pause, in which the kernel has to keep or drop what comes."""
        self.tap.start()
        self.send(7)
        self.assertEqual((self.readers.turn(), len(self.frames), self.readers.reading), (1, 3, []))
        self.readers.advance(0.4)
        self.assertEqual((self.readers.turn(), len(self.frames)), (0, 3))
        for expected in (6, 7):
            self.readers.advance(0.5)
            self.readers.turn()
            self.assertEqual(len(self.frames), expected)
        self.assertEqual(self.readers.getDelayedCalls(), [])
        self.assertEqual(self.frames, [b"%d" % number for number in range(7)])

    def test_stop(self) -> None:
        """In its pause, and from inside."""
        self.tap.start()
        self.send(3)
        self.readers.turn()
        self.tap.stop()
        self.tap.stop()
        self.assertTrue(self.readers.is_idle())
        self.assertEqual(self.tap.fileno(), -1)

    def test_stopped_by_what_it_reads(self) -> None:
        """Nothing is read after that."""
        taken: list[bytes] = []

        def received(frame: bytes) -> None:
            taken.append(frame)
            tap.stop()

        ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.addCleanup(peer.close)
        tap = Tap(self.readers, ours, received, 3, 0.5)
        for octets in (b"first", b"second", b"third", b"fourth"):
            peer.send(octets)
        tap.start()
        self.readers.turn()
        self.assertEqual((taken, self.readers.is_idle()), ([b"first"], True))


class LinkTests(SynchronousTestCase):
    """Sending, and what is done where it cannot be."""

    def setUp(self) -> None:
        self.told = lines(self)
        self.opened: list[tuple[socket.socket, socket.socket, int]] = []

    def opening(self, *failures: OSError | None) -> Callable[..., socket.socket]:
        """Stands for `open_packets`, which takes a privilege: these sockets lead to the test."""
        left = list(failures)

        def open_packets(interface: Interface, protocol: int, only: object = ()) -> socket.socket:
            failure = left.pop(0) if left else None
            if failure is not None:
                raise failure
            ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self.addCleanup(peer.close)
            self.opened.append((ours, peer, protocol))
            return ours

        return open_packets

    def link(self, interface: Interface = LAN, *failures: OSError | None) -> Link:
        """A link, and the reactor that it is in."""
        self.readers = Readers()
        self.patch(link_module, "open_packets", self.opening(*failures))
        link = Link(self.readers, interface)
        self.addCleanup(link.stop)
        return link

    def test_deliver(self) -> None:
        """A datagram goes to the link address, from our address and port."""
        link = self.link()
        self.assertTrue(link.deliver(b"offer", TO_CLIENT, 67))
        frame = self.opened[0][1].recv(4096)
        self.assertEqual(frame[:6], CLIENT.octets)
        self.assertEqual(read_datagram(frame), (OURS, SERVER, 67, GIVEN, 68, b"offer"))
        self.assertEqual(self.told, [])

    def test_what_no_frame_can_carry(self) -> None:
        """A link address that is no machine's on Ethernet, an address that is not ours there, too many octets."""
        link = self.link()
        link.interface = replace(LAN, mtu=600)
        for name, octets, destination in (
            ("none", b"x", TO_CLIENT._replace(hwaddr=None)),
            ("InfiniBand's", b"x", TO_CLIENT._replace(hwaddr=HardwareAddress(bytes(8)))),
            ("a group's", b"x", TO_CLIENT._replace(hwaddr=HardwareAddress.parse("01:00:5e:00:00:01"))),
            ("everybody's", b"x", TO_CLIENT._replace(hwaddr=HardwareAddress(b"\xff" * 6))),
            ("not ours", b"x", TO_CLIENT._replace(source=IPv4Address("10.77.0.2"))),
        ):
            self.assertFalse(link.deliver(octets, destination, 67), name)
        self.assertEqual(self.told, [])
        self.assertTrue(link.deliver(bytes(572), TO_CLIENT, 67))
        for _ in range(2):
            self.assertFalse(link.deliver(bytes(573), TO_CLIENT, 67))
        self.assertEqual(len(self.told), 1)
        self.assertIn("lan0: 573 octets are too many for a frame: machines without an address", self.told[0])

    def test_a_new_address_or_card(self) -> None:
        """What the interface has now is what counts."""
        link = self.link()
        second, card = IPv4Address("10.77.0.2"), HardwareAddress.parse("02:aa:00:00:00:02")
        link.interface = replace(LAN, addresses=(second,), hwaddr=card)
        self.assertFalse(link.deliver(b"x", TO_CLIENT, 67))
        self.assertTrue(link.deliver(b"x", TO_CLIENT._replace(source=second), 67))
        self.assertEqual(self.opened[0][1].recv(4096)[6:12], card.octets)

    def test_no_privilege(self) -> None:
        """Nothing is sent or heard, and that is said once."""
        link = self.link(LAN, PermissionError(errno.EPERM, os.strerror(errno.EPERM)))
        link.listen_for_arp(self.fail)
        link.overhear(self.fail)
        link.start()
        self.assertFalse(link.deliver(b"x", TO_CLIENT, 67))
        self.assertFalse(link.send(arp_probe(GIVEN, OURS)))
        self.assertEqual((self.opened, self.readers.reading, len(self.told)), ([], [], 1))
        self.assertIn("lan0: Operation not permitted: machines without an address are answered by broadc", self.told[0])

    def test_no_ethernet(self) -> None:
        """The loopback has no link address, and no socket is opened for it."""
        link = self.link(interfaces()["lo"])
        self.assertFalse(link.send(b"x"))
        self.assertEqual((self.opened, len(self.told)), ([], 1))
        self.assertIn("lo: it is no Ethernet", self.told[0])

    def test_errors_of_the_interface(self) -> None:
        """One that is down is not said: the broadcast that is tried instead meets the same.  Another error is, once."""
        for number, said in ((errno.ENETDOWN, 0), (errno.ENOBUFS, 0), (errno.ENXIO, 0), (errno.EMSGSIZE, 1)):
            link = self.link()
            self.opened[-1][0].detach()
            broken = mock.Mock(spec=socket.socket)
            broken.send.side_effect = OSError(number, os.strerror(number))
            self.patch(link, "_sending", broken)
            del self.told[:]
            for _ in range(2):
                self.assertFalse(link.send(b"x"))
            self.assertEqual(len(self.told), said, os.strerror(number))

    def test_receiving(self) -> None:
        """Each kind of frame comes to who listens for it, from start to stop."""
        link = self.link()
        replies: list[bytes] = []
        offers: list[bytes] = []
        link.listen_for_arp(replies.append)
        link.overhear(offers.append)
        self.assertEqual([protocol for _, _, protocol in self.opened], [0, 0x0806, 0x0800])
        self.assertEqual({str(tap) for tap in link._taps}, {"lan0 frames"})
        for _, peer, protocol in self.opened[1:]:
            peer.send(b"%x" % protocol)
        self.assertEqual(self.readers.turn(), 0)
        link.start()
        self.readers.turn()
        self.assertEqual((replies, offers), ([b"806"], [b"800"]))
        link.stop()
        link.stop()
        self.assertTrue(self.readers.is_idle())
        self.assertEqual({ours.fileno() for ours, _, _ in self.opened}, {-1})
        self.assertFalse(link.send(b"x"))

    def test_one_kind_cannot_be_heard(self) -> None:
        """The others are, and frames are sent."""
        link = self.link(LAN, None, OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))
        link.listen_for_arp(self.fail)
        link.overhear(self.fail)
        self.assertEqual([protocol for _, _, protocol in self.opened], [0, 0x0800])
        self.assertTrue(link.send(b"x"))
        self.assertEqual(len(self.told), 1)
