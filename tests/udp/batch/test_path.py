"""Tests of `pixelboot.udp.batch.path`."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.udp.batch.path import NOTHING, Path, address_of, name, named, octets, packed, place, port, tell, text

LO = socket.if_nametoindex("lo")
NO_INTERFACE = 2**31 - 1


def told4(index: int, local: str, sent_to: str) -> bytes:
    """``in_pktinfo``."""
    return struct.pack("=I4s4s", index, IPv4Address(local).packed, IPv4Address(sent_to).packed)


def told6(asked: str, index: int) -> bytes:
    """``in6_pktinfo``."""
    return struct.pack("=16sI", IPv6Address(asked).packed, index)


class PeerTests(SynchronousTestCase):
    """Names of peers."""

    @given(st.ip_addresses(), st.integers(0, 65535), st.integers(0, 2**32 - 1))
    def test_whoever_it_is(self, address: IPv4Address | IPv6Address, number: int, interface: int) -> None:
        """All that is said of a peer is found in its name, and Python's sockets mean the same."""
        peer = packed(address, number, interface)
        self.assertEqual((port(peer), address_of(octets(peer)), text(octets(peer))), (number, address, str(address)))
        self.assertEqual(named(name(peer)), peer)
        self.assertEqual(ip_address(name(peer)[0]), address)

    def test_as_the_kernel_has_it(self) -> None:
        """ip(7), ipv6(7): the family as this machine writes it, port and address as the network does."""
        family = struct.pack("=H", socket.AF_INET)
        self.assertEqual(packed(IPv4Address("10.77.0.1"), 69), family + b"\0\x45\x0a\x4d\0\1" + bytes(8))
        self.assertEqual(
            packed(IPv6Address("fe80::1"), 69, 3),
            struct.pack("=H", socket.AF_INET6) + b"\0\x45" + bytes(4) + b"\xfe\x80" + bytes(13) + b"\1"
            + struct.pack("=I", 3),
        )  # fmt: skip
        self.assertEqual(named(("fe80::1%lo", 69, 0, LO)), packed(IPv6Address("fe80::1"), 69, LO))
        self.assertEqual(Path(b"").control, NOTHING)


class PlaceTests(SynchronousTestCase):
    """What the kernel tells."""

    def test_ipv4(self) -> None:
        """Of a broadcast our address is the interface's own; the reply comes from there, by whatever interface."""
        for sent_to, everybody in (("10.77.0.1", False), ("10.77.0.255", True), ("255.255.255.255", True)):
            found = place(told4(LO, "10.77.0.1", sent_to))
            self.assertEqual((found.interface, str(found.local), found.to_everybody), ("lo", "10.77.0.1", everybody))
            reply = (socket.IPPROTO_IP, 8, told4(0, "10.77.0.1", "0.0.0.0"))
            self.assertEqual(found.control, [reply])

    def test_ipv6(self) -> None:
        """A reply from a link-local address names the interface; there is none from a multicast address."""
        for asked, everybody, sent in (
            ("::1", False, [told6("::1", 0)]),
            ("2001:db8::1", False, [told6("2001:db8::1", 0)]),
            ("fe80::1", False, [told6("fe80::1", LO)]),
            ("ff02::1", True, []),
        ):
            found = place(told6(asked, LO))
            self.assertEqual((found.interface, str(found.local), found.to_everybody), ("lo", asked, everybody))
            self.assertEqual([one for *_, one in found.control], sent)

    def test_interface_gone(self) -> None:
        """It has a number still."""
        self.assertEqual(place(told4(NO_INTERFACE, "10.0.0.1", "10.0.0.1")).interface, f"interface {NO_INTERFACE}")

    def test_tell(self) -> None:
        """The kernel tells as long as that is wished."""
        for family, here, size in ((socket.AF_INET, "127.0.0.1", 12), (socket.AF_INET6, "::1", 20)):
            with socket.socket(family, socket.SOCK_DGRAM) as opened:
                opened.bind((here, 0))
                opened.settimeout(5)
                for wish in (True, False, True):
                    tell(opened, wish)
                    opened.sendto(b"x", opened.getsockname())
                    control = opened.recvmsg(9, 64)[1]
                    self.assertEqual([len(told) for *_, told in control], [size] * wish)
