"""Routes: the descriptors of RFC 3442, and the default route that it makes needful."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.dhcp.message.routes import decode, encode, with_default_route
from pixelboot.malformed import Malformed

ROUTER = "c0000201"  # 192.0.2.1
CASES = (
    ("0.0.0.0/0", "00"),
    ("10.0.0.0/8", "080a"),
    ("10.0.0.0/24", "180a0000"),
    ("10.17.0.0/16", "100a11"),
    ("10.27.129.0/24", "180a1b81"),
    ("10.229.0.128/25", "190ae50080"),
    ("10.198.122.47/32", "200ac67a2f"),
    ("128.0.0.0/1", "0180"),
    ("10.16.0.0/12", "0c0a10"),
    ("10.17.128.0/17", "110a1180"),
)
"""A destination, and its descriptor; most are the examples of RFC 3442."""


class Table(SynchronousTestCase):
    """What is known by heart."""

    def test_o05_descriptors(self) -> None:
        """O05: as many octets as the width needs, none of the default route, four of 25 to 32."""
        everything = [(IPv4Network(network), IPv4Address("192.0.2.1")) for network, _ in CASES]
        for (network, descriptor), route in zip(CASES, everything, strict=True):
            octets = bytes.fromhex(descriptor + ROUTER)
            self.assertEqual(encode([route]), octets, network)
            self.assertEqual(decode(octets), [route], network)
        self.assertEqual(decode(encode(everything)), everything)

    def test_o05_bits_behind_the_width(self) -> None:
        """O05: RFC 3442 lets a client mask them."""
        self.assertEqual(decode(bytes.fromhex("090aff" + ROUTER))[0][0], IPv4Network("10.128.0.0/9"))

    def test_o05_what_goes_wrong(self) -> None:
        """O05: wider than 32, or cut anywhere."""
        for text in ("21", "210a000000" + ROUTER, "ff0a000000" + ROUTER):
            self.assertRaises(Malformed, decode, bytes.fromhex(text))
        good = bytes.fromhex("200ac67a2f" + ROUTER)
        for cut in range(1, len(good)):
            self.assertRaises(Malformed, decode, good[:cut])

    def test_o06_a_default_route(self) -> None:
        """O06: the option gets one by the router of option 3, unless it has its own."""
        router = IPv4Address("10.0.0.1")
        other = bytes.fromhex("100a11" + ROUTER)
        own = bytes.fromhex("00" + ROUTER)
        self.assertEqual(with_default_route(other, router), bytes.fromhex("000a000001") + other)
        self.assertEqual(with_default_route(other + own, router), other + own)
        self.assertRaises(Malformed, with_default_route, other[:-1], router)


addresses = st.integers(0, 2**32 - 1)
networks = st.builds(lambda address, width: IPv4Network((address, width), strict=False), addresses, st.integers(0, 32))


class Properties(SynchronousTestCase):
    """What holds for everything."""

    @given(st.lists(st.tuples(networks, addresses.map(IPv4Address)), max_size=12))
    def test_o05_there_and_back(self, routes: list[tuple[IPv4Network, IPv4Address]]) -> None:
        """O05: decode(encode(x)) is x."""
        self.assertEqual(decode(encode(routes)), routes)

    @given(st.binary(max_size=60))
    def test_o05_anything_is_a_value_or_malformed(self, value: bytes) -> None:
        """O05: of octets that somebody typed as hex."""
        try:
            routes = decode(value)
        except Malformed:
            return
        self.assertEqual(decode(encode(routes)), routes)
