"""Tests of `pixelboot.udp.frame`."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed
from pixelboot.udp.frame import (
    HEADERS,
    OVERHEAD,
    ArpReply,
    Datagram,
    arp_probe,
    datagram,
    read_arp_reply,
    read_datagram,
)

OURS = HardwareAddress.parse("02:aa:00:00:00:01")
CLIENT = HardwareAddress.parse("52:54:00:12:34:56")
SERVER, GIVEN = IPv4Address("10.77.0.1"), IPv4Address("10.77.0.100")

ADDRESSES = st.integers(0, 2**32 - 1).map(IPv4Address)
PORTS = st.integers(0, 65535)

# What Linux answers to a probe, which has no sender's address.
ARP_REPLY = bytes.fromhex(
    "02aa00000001 525400123456 0806 0001 0800 06 04 0002 525400123456 0a4d0064 02aa00000001 00000000"
)


def words(octets: bytes) -> int:
    """The ones' complement sum of 16-bit words, added one by one as RFC 1071 §1 describes it."""
    total = 0
    for at in range(0, len(octets), 2):
        total += int.from_bytes(octets[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


def offer(octets: bytes, port: int = 68) -> bytes:
    """The frame of an offer."""
    return datagram(octets, SERVER, 67, GIVEN, port, OURS, CLIENT)


class DatagramTests(SynchronousTestCase):
    """Frames that are sent."""

    def test_layout(self) -> None:
        """Every field of the three headers is where the RFCs put it."""
        frame = offer(b"abc")
        self.assertEqual(
            frame,
            bytes.fromhex("525400123456 02aa00000001 0800")
            + bytes.fromhex("4500001f 0000 4000 40 11 25d0 0a4d0001 0a4d0064")
            + struct.pack("!HHHH", 67, 68, 11, struct.unpack("!H", frame[40:42])[0])
            + b"abc",
        )
        self.assertEqual((HEADERS, OVERHEAD), (len(frame) - 3, len(frame) - 3 - 14))

    @given(ADDRESSES, PORTS, ADDRESSES, PORTS, st.binary(max_size=1472))
    def test_checksums(self, source: IPv4Address, number: int, to: IPv4Address, port: int, octets: bytes) -> None:
        """Both sums are right, whatever is sent, of an odd number of octets too; UDP's is never left out."""
        frame = datagram(octets, source, number, to, port, OURS, CLIENT)
        self.assertEqual(words(frame[14:34]), 0xFFFF)
        pseudo = source.packed + to.packed + struct.pack("!HH", 17, len(octets) + 8)
        self.assertEqual(words(pseudo + frame[34:]), 0xFFFF)
        self.assertNotEqual(frame[40:42], b"\0\0")
        self.assertEqual(read_datagram(frame), Datagram(OURS, source, number, to, port, octets))

    def test_checksum_of_zero(self) -> None:
        """A sum that comes to 0 is sent as its other form: 0 would say that there is none (RFC 768)."""
        sums = set()
        for number in range(65536):
            frame = offer(number.to_bytes(2, "big"))
            sums.add(frame[40:42])
        self.assertEqual((len(sums), b"\0\0" in sums, b"\xff\xff" in sums), (65535, False, True))


class ReadTests(SynchronousTestCase):
    """Frames that are received."""

    def patched(self, at: int, *octets: int) -> bytes:
        """An offer's frame, in which octets were changed, with a header checksum that is right again."""
        frame = bytearray(offer(b"hello"))
        frame[at : at + len(octets)] = bytes(octets)
        if at >= 14:
            size = (frame[14] & 15) * 4
            frame[24:26] = bytes(2)
            frame[24:26] = (0xFFFF - words(bytes(frame[14 : 14 + size]))).to_bytes(2, "big")
        return bytes(frame)

    def test_padding_and_options(self) -> None:
        """Octets behind the packet are padding; a header with options is a longer header."""
        self.assertEqual(read_datagram(offer(b"hi") + bytes(16)).octets, b"hi")
        plain = offer(b"hi")
        head = bytearray(plain[14:34] + b"\x01\x01\x01\x00")
        head[0], head[3], head[10:12] = 0x46, head[3] + 4, bytes(2)
        head[10:12] = (0xFFFF - words(bytes(head))).to_bytes(2, "big")
        self.assertEqual(read_datagram(plain[:14] + bytes(head) + plain[34:]), read_datagram(plain))

    def test_malformed(self) -> None:
        """Whatever else a frame may hold, and lengths that contradict each other."""
        for name, frame in (
            ("empty", b""),
            ("cut", offer(b"")[:41]),
            ("IPv6", self.patched(12, 0x86, 0xDD)),
            ("VLAN", self.patched(12, 0x81, 0x00)),
            ("version 6", self.patched(14, 0x65)),
            ("header of 4 words", self.patched(14, 0x44)),
            ("header of 15 words", self.patched(14, 0x4F)),
            ("packet longer than the frame", self.patched(16, 0, 34)),
            ("packet without room for UDP", self.patched(16, 0, 27)),
            ("first fragment", self.patched(20, 0x20, 0)),
            ("last fragment", self.patched(20, 0, 1)),
            ("TCP", self.patched(23, 6)),
            ("UDP longer than the packet", self.patched(38, 0, 14)),
            ("UDP shorter than its header", self.patched(38, 0, 7)),
            ("checksum", offer(b"")[:24] + b"\1\2" + offer(b"")[26:]),
        ):
            with self.assertRaises(Malformed, msg=name):
                read_datagram(frame)

    @given(st.binary(max_size=80), st.integers(0, 60), st.binary(min_size=1, max_size=4))
    def test_hostile(self, noise: bytes, at: int, patch: bytes) -> None:
        """Any octets at all are a value or `Malformed`."""
        good = offer(b"hello, world")
        for frame in (noise, good[:at] + patch + good[at + len(patch) :], ARP_REPLY[:at] + patch + ARP_REPLY[at:]):
            for read in (read_datagram, read_arp_reply):
                try:
                    read(frame)
                except Malformed as problem:
                    self.assertTrue(str(problem))


class ArpTests(SynchronousTestCase):
    """Questions and answers."""

    def test_probe(self) -> None:
        """RFC 5227 §2.1.1: to everybody, from our card, from no address, for the one, of no known card."""
        self.assertEqual(
            arp_probe(GIVEN, OURS),
            bytes.fromhex("ffffffffffff 02aa00000001 0806 0001 0800 06 04 0001")
            + bytes.fromhex("02aa00000001 00000000 000000000000 0a4d0064"),
        )

    def test_reply(self) -> None:
        """Who has it; padding to the shortest frame does not matter."""
        for frame in (ARP_REPLY, ARP_REPLY + bytes(18)):
            self.assertEqual(read_arp_reply(frame), ArpReply(GIVEN, CLIENT))

    def test_no_reply(self) -> None:
        """Requests, ARP of other networks, and what is cut."""
        for at, octet in ((13, 0), (15, 6), (17, 1), (18, 8), (19, 16), (21, 1)):
            frame = ARP_REPLY[:at] + bytes((octet,)) + ARP_REPLY[at + 1 :]
            self.assertRaises(Malformed, read_arp_reply, frame)
        self.assertRaises(Malformed, read_arp_reply, ARP_REPLY[:-1])
        self.assertRaises(Malformed, read_arp_reply, arp_probe(GIVEN, OURS))
