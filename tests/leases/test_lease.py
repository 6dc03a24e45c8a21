"""Values: a lease, a pool, a range as text."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.lease import HOSTNAME_LIMIT, Pool, check, kept, parse_range, shown
from pixelboot.malformed import Malformed

NETWORK = IPv4Network("10.77.0.0/24")
NEXT = IPv4Network("10.77.1.0/24")


def range_of(first: int, last: int) -> tuple[IPv4Address, IPv4Address]:
    """10.77.0.`first` to 10.77.0.`last`."""
    return NETWORK[0] + first, NETWORK[0] + last


class RangeTests(SynchronousTestCase):
    """`parse_range`."""

    def test_ranges(self) -> None:
        """Two addresses, or one, with room around."""
        for text, expected in (
            ("10.77.0.100-10.77.0.199", range_of(100, 199)),
            (" 10.77.0.100 - 10.77.0.199 ", range_of(100, 199)),
            ("10.77.0.7-10.77.0.7", range_of(7, 7)),
            ("10.77.0.7", range_of(7, 7)),
        ):
            self.assertEqual(parse_range(text), expected, text)

    def test_malformed(self) -> None:
        """Everything else is an error that shows the text."""
        for text in (
            "",
            "-",
            "10.77.0.100-",
            "10.77.0.100-199",
            "10.77.0.256",
            "10.77.0.0/24",
            "10.77.0.199-10.77.0.100",
            "10.77.0.1-10.77.0.2-10.77.0.3",
            "١٠.77.0.1",
            "10.77.0.1\n-10.77.0.2x",
            "9" * 100_000,
        ):
            with self.assertRaises(Malformed, msg=text) as caught:
                parse_range(text)
            self.assertIn(text[:7].strip(), str(caught.exception).replace("\\n", "\n"))
            self.assertLess(len(str(caught.exception)), 200)

    @given(st.text(alphabet="0123456789.- x\n", max_size=40))
    def test_any_text(self, text: str) -> None:
        """Any text is a range whose ends are in order, or `Malformed`."""
        try:
            first, last = parse_range(text)
        except Malformed:
            return
        self.assertLessEqual(first, last)


class PoolTests(SynchronousTestCase):
    """`Pool`."""

    def test_what_is_in(self) -> None:
        """Both ends of every range, and nothing reserved, wherever that lies."""
        pool = Pool((NETWORK,), (range_of(100, 103), range_of(20, 21)), frozenset({NETWORK[101], NETWORK[1]}))
        inside = [n for n in range(256) if NETWORK[n] in pool]
        self.assertEqual(inside, [20, 21, 100, 102, 103])
        self.assertEqual(pool.size, 5)
        self.assertNotIn(IPv4Address("10.78.0.100"), pool)

    def test_malformed(self) -> None:
        """A pool that could hand out what it must not is none."""
        for ranges, why in (
            ((range_of(9, 8),), "ends before"),
            (((NETWORK[1], IPv4Address("10.77.2.1")),), "not inside"),
            (((IPv4Address("10.76.0.1"), IPv4Address("10.76.0.2")),), "not inside"),
            ((range_of(1, 5), range_of(5, 9)), "overlaps"),
            ((range_of(5, 9), range_of(1, 200)), "overlaps"),
            ((range_of(0, 5),), "holds 10.77.0.0"),
            ((range_of(5, 255),), "holds 10.77.0.255"),
            ((range_of(250, 300),), "not inside 10.77.0.0/24"),
        ):
            with self.assertRaises(Malformed, msg=why) as caught:
                Pool((NETWORK, NEXT), ranges)
            self.assertIn(why, str(caught.exception))
        for networks, why in (((), "no network"), ((NETWORK, IPv4Network("10.0.0.0/8")), "overlap")):
            with self.assertRaises(Malformed, msg=why) as caught:
                Pool(networks, ())
            self.assertIn(why, str(caught.exception))

    def test_small_networks(self) -> None:
        """A link of two addresses has no broadcast address (RFC 3021)."""
        network = IPv4Network("192.0.2.8/31")
        self.assertEqual(Pool((network,), ((network[0], network[1]),)).size, 2)

    def test_as_a_key(self) -> None:
        """Equal pools are one key, pools of one network are not equal for that."""
        one, same = (Pool((NETWORK,), (range_of(1, 5),)) for _ in range(2))
        other = Pool((NETWORK,), (range_of(1, 6),))
        self.assertEqual(len({one, same, other}), 2)


class TextTests(SynchronousTestCase):
    """What comes from the network."""

    def test_malformed(self) -> None:
        """What no store could keep is refused."""
        check("hw:01", "02:aa:00:00:00:01")
        check("x" * 1024, "")
        for identity, hwaddr in (
            ("", ""),
            ("x" * 1025, ""),
            ("hw:\n", ""),
            ("hw:\ud800", ""),
            ("hw:é", ""),
            ("hw:01", "0" * 65),
            ("hw:01", "\0"),
        ):
            with self.assertRaises(Malformed, msg=f"{identity!r} {hwaddr!r}"):
                check(identity, hwaddr)

    @given(st.text(max_size=300) | st.text("\0\u202e\ud800é", max_size=600))
    def test_names(self, hostname: str) -> None:
        """Any name becomes one that can be kept; one that can be is left as it is."""
        text = shown(hostname)
        self.assertTrue(text.isprintable())
        self.assertLessEqual(len(text), HOSTNAME_LIMIT)
        self.assertEqual(bool(text), bool(hostname))
        self.assertEqual(shown(text), text)

    def test_octets(self) -> None:
        """What is longer than an option is not kept."""
        self.assertEqual((kept(b"x" * 255), kept(b"x" * 256)), (b"x" * 255, b""))
