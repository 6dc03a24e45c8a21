"""Tests of `pixelboot.tftp.limits.blksizes`."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp.limits.blksizes import KEPT, LADDER, MOST_REMEMBERED, Blksizes, Cause
from pixelboot.tftp.settings import NetworkSettings

HOST = bytes([10, 9, 8, 7])
V6 = ip_address("2001:db8::7").packed

Network = IPv4Network | IPv6Network

networks = st.lists(
    st.tuples(st.sampled_from(["10.9.8.0", "10.9.0.0", "2001:db8::"]), st.integers(8, 40), st.integers(512, 65464)),
    max_size=6,
    unique_by=lambda each: ip_network((each[0], min(each[1], 32)), strict=False),
)

events = st.lists(
    st.tuples(
        st.sampled_from(["unheard", "heard"]), st.sampled_from([100, 512, 900, 1024, 1428, 1432, 1456, 1468, 8192]),
        st.sampled_from([0.0, 20.0, 40.0, 61.0]),
    ),
    max_size=25,
)  # fmt: skip
"""What became of a first block, how many octets it had, and the seconds since the one before."""


def narrowed(*networks: tuple[str, int]) -> list[NetworkSettings]:
    """Settings of these networks."""
    return [NetworkSettings(network=ip_network(network), blksize=blksize) for network, blksize in networks]


class ConfiguredTests(SynchronousTestCase):
    """What the settings and the interface say."""

    def test_t24_the_interface(self) -> None:
        """T24: without a setting it is what one packet of the interface has room for."""
        blksizes = Blksizes(None)
        cases = ((HOST, 1500, 1468), (HOST, 1450, 1418), (HOST, 9000, 8968), (HOST, 65536, 65464), (HOST, 20, 8))
        for address, mtu, blksize in (
            *cases,
            (V6, 1500, 1448),
            (V6, 1280, 1228),
            (b"\0" * 10 + b"\xff\xff" + HOST, 1500, 1468),
        ):
            cap = blksizes.most(address, mtu, 0.0)
            self.assertEqual((cap.blksize, cap.cause), (blksize, Cause.MTU), f"{address!r} {mtu}")
        self.assertEqual(blksizes.most(HOST, 1450, 0.0).because, "the interface's MTU is 1450")

    def test_t24_the_setting(self) -> None:
        """T24: what the operator says counts, though it is more than fits a packet."""
        cap = Blksizes(8192).most(HOST, 1500, 0.0)
        self.assertEqual(cap, (8192, Cause.SETTING, "tftp.blksize says so"))

    def test_networks(self) -> None:
        """The narrowest network counts before the setting, in either family."""
        said = narrowed(
            ("10.0.0.0/8", 1400), ("10.9.8.0/24", 1024), ("10.9.0.0/16", 1200), ("2001:db8::/32", 1228), ("::/0", 600)
        )
        blksizes = Blksizes(1468, said)
        cases = (
            ("10.9.8.7", 1024),
            ("10.9.7.7", 1200),
            ("10.1.1.1", 1400),
            ("11.1.1.1", 1468),
            ("2001:db8::1", 1228),
            ("2001:db9::", 600),
            ("::ffff:10.9.8.7", 1024),
        )
        for address, blksize in cases:
            self.assertEqual(blksizes.most(ip_address(address).packed, 1500, 0.0).blksize, blksize, address)
        cap = blksizes.most(HOST, 1500, 0.0)
        self.assertEqual(cap, (1024, Cause.NETWORK, "tftp.network 10.9.8.0/24 says so"))

    @given(networks, st.sampled_from([HOST, V6, bytes([10, 9, 8, 200]), bytes([10, 9, 1, 1]), bytes([10, 200, 0, 1])]))
    def test_the_narrowest(self, drawn: list[tuple[str, int, int]], address: bytes) -> None:
        """Whatever networks there are: the one with the longest prefix of those that the address is in."""
        said = [(ip_network((base, min(length, 32)), strict=False), blksize) for base, length, blksize in drawn]
        found = [each for each in said if ip_address(address) in each[0]]
        blksize = max(found, key=lambda each: each[0].prefixlen)[1] if found else 700
        blksizes = Blksizes(700, [NetworkSettings(network=network, blksize=size) for network, size in said])
        self.assertEqual(blksizes.most(address, 1500, 0.0).blksize, blksize)


class LearnedTests(SynchronousTestCase):
    """What first blocks teach that arrive, or do not."""

    def most(self, blksizes: Blksizes, now: float, address: bytes = HOST) -> int:
        """What would be granted."""
        return blksizes.most(address, 1500, now).blksize

    def test_down_the_ladder(self) -> None:
        """Each size that is not heard of makes the next smaller, for that client alone, and 512 is the end."""
        blksizes = Blksizes(None)
        granted = []
        for number in range(5):
            granted.append(self.most(blksizes, 10.0 * number))
            blksizes.unheard(HOST, granted[-1], 10.0 * number)
        self.assertEqual(granted, [1468, 1428, 1024, 512, 512])
        self.assertEqual(self.most(blksizes, 50.0, bytes([10, 9, 8, 6])), 1468)
        cap = blksizes.most(HOST, 1500, 50.0)
        self.assertEqual((cap.cause, cap.because), (Cause.REMEMBERED, "1024 was not acknowledged"))

    def test_first_steps(self) -> None:
        """From what clients ask for to the next size that differs by a header or more; 512 passes everywhere."""
        for octets, blksize in (
            (65464, 1468),
            (8968, 1468),
            (1468, 1428),
            (1456, 1428),
            (1432, 1024),
            (900, 512),
            (512, 1468),
            (100, 1468),
        ):
            blksizes = Blksizes(None)
            blksizes.unheard(HOST, octets, 0.0)
            self.assertEqual(self.most(blksizes, 1.0), blksize, octets)

    def test_for_a_minute(self) -> None:
        """It is remembered for a while, which a block of that size that arrives begins anew."""
        blksizes = Blksizes(None)
        blksizes.unheard(HOST, 1468, 0.0)
        self.assertEqual(self.most(blksizes, KEPT - 0.1), 1428)
        blksizes.heard(HOST, 1428, KEPT - 0.1)
        blksizes.heard(HOST, 300, 2 * KEPT - 1)  # A short file.
        self.assertEqual(self.most(blksizes, 2 * KEPT - 0.2), 1428)
        self.assertEqual(self.most(blksizes, 2 * KEPT), 1468)
        self.assertEqual(len(blksizes), 0)

    def test_a_larger_one_arrives(self) -> None:
        """It was another trouble: all is as before."""
        blksizes = Blksizes(None)
        blksizes.unheard(HOST, 1428, 0.0)
        blksizes.heard(HOST, 1025, 1.0)
        self.assertEqual((self.most(blksizes, 1.0), len(blksizes)), (1468, 0))

    def test_transfers_side_by_side(self) -> None:
        """Several that are given up at once are one step; one that is given up late leads no way back up."""
        blksizes = Blksizes(None)
        for _ in range(3):
            blksizes.unheard(HOST, 1468, 0.0)
        self.assertEqual(self.most(blksizes, 1.0), 1428)
        blksizes.unheard(HOST, 1428, 1.0)
        blksizes.unheard(HOST, 1468, 28.0)
        cap = blksizes.most(HOST, 1500, 29.0)
        self.assertEqual((cap.blksize, cap.because), (1024, "1428 was not acknowledged"))

    def test_the_client_comes_back(self) -> None:
        """Who asks again a second after the first block has not got it; who asks before is another, or a copy."""
        blksizes = Blksizes(None)
        blksizes.again(HOST, 1468, 10.0, 10.9)
        self.assertEqual(self.most(blksizes, 10.9), 1468)
        blksizes.again(HOST, 1468, 10.0, 11.0)
        self.assertEqual(self.most(blksizes, 11.0), 1428)

    def test_below_what_is_said(self) -> None:
        """The smaller counts: of what is said and what was learned."""
        blksizes = Blksizes(8192, narrowed(("10.9.9.0/24", 1024)))
        narrow = bytes([10, 9, 9, 1])
        blksizes.unheard(HOST, 8192, 0.0)
        blksizes.unheard(narrow, 1468, 0.0)
        self.assertEqual((self.most(blksizes, 1.0), self.most(blksizes, 1.0, narrow)), (1468, 1024))
        self.assertEqual(blksizes.most(narrow, 1500, 1.0).cause, Cause.NETWORK)

    @given(events)
    def test_like_a_list(self, events: list[tuple[str, int, float]]) -> None:
        """Whatever happens: the cap is what the events since the last that counts lead to."""
        blksizes = Blksizes(None)
        cap, until, now = 9000, 0.0, 0.0
        for what, octets, pause in events:
            now += pause
            if now >= until:
                cap = 9000
            if what == "unheard":
                blksizes.unheard(HOST, octets, now)
                if octets > 531:
                    cap = min(cap, max(rung for rung in LADDER if rung + 20 <= octets))
                    until = now + 60
            else:
                blksizes.heard(HOST, octets, now)
                if octets == cap:
                    until = now + 60
                cap = 9000 if octets > cap else cap
            self.assertEqual(blksizes.most(HOST, 9000, now).blksize, min(cap, 8968))

    def test_memory(self) -> None:
        """Of many addresses the oldest are forgotten; IPv6 shows an IPv4 client as itself."""
        blksizes = Blksizes(None)
        blksizes.unheard(b"\0" * 10 + b"\xff\xff" + HOST, 1468, 0.0)
        self.assertEqual(self.most(blksizes, 0.0), 1428)
        for number in range(50_000):
            blksizes.unheard(number.to_bytes(4), 1468, 1.0)
        self.assertEqual((len(blksizes), self.most(blksizes, 1.0)), (MOST_REMEMBERED, 1468))
        self.assertEqual(self.most(blksizes, 1.0, (49_999).to_bytes(4)), 1428)
