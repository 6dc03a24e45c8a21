"""Tests of `pixelboot.dhcp.network.links`."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from pixelboot.dhcp.network.links import Links, link, nowhere, subnets
from pixelboot.dhcp.network.scope import Link
from tests.dhcp.network.case import NetworkCase, ip
from tests.dhcp.settings.case import GOOD, OTHER, read


def made(document: str, *reserved: str) -> tuple[Link, ...]:
    """The links of a site, all of them address servers."""
    return tuple(link(group, "server", frozenset(map(ip, reserved))) for group in subnets(read(document).dhcp))


def last_octets(of: Link) -> list[int]:
    """Which addresses of 10.77.0.0/24 are in a link's pool."""
    return [number for number in range(256) if IPv4Address(int(ip("10.77.0.0")) + number) in of.pool]


class LinkTests(NetworkCase):
    """Links made of subnets."""

    def test_names_and_subnets(self) -> None:
        """Subnets of one name, and of one network, are one link; each other is its own."""
        same = '[[dhcp.subnet]]\nnetwork = "10.77.0.0/24"\npool = ["10.77.0.9"]\n'
        third = OTHER.replace("78", "79")
        for document, names in (
            (GOOD, {"10.77.0.0/24": 1}),
            (GOOD + OTHER, {"10.77.0.0/24": 1, "10.78.0.0/24": 1}),
            (GOOD + 'shared = "hall"\n' + third + OTHER + 'shared = "hall"', {"hall": 2, "10.79.0.0/24": 1}),
            (GOOD + same, {"10.77.0.0/24": 2}),
            (GOOD + 'shared = "hall"\n' + same + 'shared = "hall"\n' + OTHER + 'shared = "hall"', {"hall": 3}),
        ):
            self.assertEqual({each.name: len(each.subnets) for each in made(document)}, names, document)

    def test_pool(self) -> None:
        """All subnets' addresses, without what is excluded, kept for hosts or ours, and without routers."""
        document = (
            GOOD.replace("10.77.0.100-10.77.0.199", "10.77.0.1-10.77.0.12")
            + 'router = "10.77.0.1"\nexclude = ["10.77.0.4-10.77.0.5"]\nshared = "a"\n'
            + OTHER
            + 'router = "10.78.0.100"\nshared = "a"\n'
        )
        (here,) = made(document, "10.77.0.7", "10.77.0.99", "10.78.0.101")
        self.assertEqual(last_octets(here), [2, 3, 6, 8, 9, 10, 11, 12])
        self.assertEqual(here.pool.size, 8 + 98)
        self.assertEqual(here.pool.networks, (IPv4Network("10.77.0.0/24"), IPv4Network("10.78.0.0/24")))
        self.assertEqual(
            here.pool.reserved, frozenset(map(ip, ("10.77.0.1", "10.77.0.7", "10.78.0.100", "10.78.0.101")))
        )

    def test_a_router_in_the_others_pool(self) -> None:
        """Of two parts of one network, the router of one is in no pool of the other."""
        part = '[[dhcp.subnet]]\nnetwork = "10.77.0.0/24"\npool = ["10.77.0.9"]\nrouter = "10.77.0.100"\n'
        (here,) = made(GOOD + part)
        self.assertEqual(last_octets(here), [9, *range(101, 200)])

    def test_a_proxy_has_no_pool(self) -> None:
        """Neither one with subnets, nor one that was told of none."""
        (group,) = subnets(read('[[dhcp.subnet]]\nnetwork = "10.77.0.0/24"').dhcp)
        for here in (link(group, "proxy", frozenset({ip("10.77.0.1")})), nowhere()):
            self.assertEqual((here.mode, here.pool.size), ("proxy", 0))


class LinksTests(NetworkCase):
    """From an address to its link."""

    def test_behind_relays(self) -> None:
        """A relay that a subnet claims is that subnet's, whatever network its address is of."""
        document = GOOD + OTHER + 'relays = ["10.77.0.1", "192.0.2.1"]'
        links = Links(made(document), ())
        for relay, name in (
            ("10.77.0.1", "10.78.0.0/24"),
            ("10.77.0.2", "10.77.0.0/24"),
            ("192.0.2.1", "10.78.0.0/24"),
            ("10.78.0.1", "10.78.0.0/24"),
        ):
            found = links.behind(ip(relay))
            assert isinstance(found, Link), relay
            self.assertEqual(found.name, name, relay)
        self.assertIsNone(links.behind(ip("192.0.2.2")))
        self.assertEqual(links.of(ip("10.77.0.1")), links.all[0])

    def test_what_is_off(self) -> None:
        """Addresses of a subnet that is off lead nowhere, and it is said why; so do its relays."""
        (on,), (off,) = subnets(read(GOOD + OTHER + 'relays = ["192.0.2.1"]').dhcp)
        links = Links([link((on,), "server", frozenset())], [off])
        self.assertEqual(links.of(ip("10.78.0.1")), "10.78.0.0/24 is not served")
        self.assertEqual(links.behind(ip("192.0.2.1")), "10.78.0.0/24 is not served")
        self.assertEqual(links.at([ip("192.0.2.9"), ip("10.78.0.1"), ip("10.77.0.1")]), "10.78.0.0/24 is not served")

    def test_at_an_interface(self) -> None:
        """The first of its addresses that is of a link tells."""
        links = Links(made(GOOD + OTHER), ())
        self.assertIs(links.at([ip("192.0.2.9"), ip("10.78.0.1"), ip("10.77.0.1")]), links.all[1])
        self.assertIsNone(links.at([ip("192.0.2.9")]))
        self.assertIsNone(links.at([]))

    def test_who_can_be_a_relay(self) -> None:
        """One machine: no group, not everybody, not a whole subnet, served or not."""
        (on,), (off,) = subnets(read(GOOD + OTHER).dhcp)
        links = Links([link((on,), "server", frozenset())], [off])
        ends = ("10.77.0.0", "10.77.0.255", "10.78.0.0", "10.78.0.255")
        for text in ("0.0.0.1", "0.255.255.255", "224.0.0.0", "239.255.255.255", "240.0.0.1", "255.255.255.255", *ends):
            self.assertFalse(links.is_of_a_machine(ip(text)), text)
        for text in ("1.0.0.0", "10.77.0.1", "10.78.0.254", "10.79.0.255", "127.0.0.1", "223.255.255.255"):
            self.assertTrue(links.is_of_a_machine(ip(text)), text)

    @given(
        st.lists(st.tuples(st.integers(0, 255), st.integers(24, 30)), max_size=6),
        st.lists(st.integers(-1, 256), min_size=1, max_size=20),
    )
    def test_of_any_address(self, spans: list[tuple[int, int]], asked: list[int]) -> None:
        """Against one that looks at all networks."""
        base = int(ip("10.77.0.0"))
        networks: list[IPv4Network] = []
        for number, bits in spans:
            network = IPv4Network((base + number, bits), strict=False)
            if not any(network.overlaps(other) for other in networks):
                networks.append(network)
        text = "".join(f'[[dhcp.subnet]]\nnetwork = "{network}"\n' for network in networks)
        links = Links([link(group, "proxy", frozenset()) for group in subnets(read(text).dhcp)], ())
        for number in asked:
            address = IPv4Address(base + number)
            expected = next((str(network) for network in networks if address in network), None)
            found = links.of(address)
            self.assertEqual(found.name if isinstance(found, Link) else found, expected, str(address))
