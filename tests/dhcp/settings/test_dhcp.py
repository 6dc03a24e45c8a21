"""The settings: what is taken, and what is refused by which name."""

from __future__ import annotations

import tomllib
from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import ConfigError, build, dump
from pixelboot.dhcp.settings.dhcp import DhcpSettings, SubnetSettings

NETWORK = 'mode = "server"\n[[subnet]]\nnetwork = "10.77.0.0/24"\n'
GOOD = NETWORK + 'pool = ["10.77.0.100-10.77.0.199"]\n'

REFUSED: tuple[tuple[str, str, str, str], ...] = (
    ("a mode that there is not", 'mode = "relay"', "dhcp.mode", '"proxy", "server", "off"'),
    ("subnet with a proxy", GOOD.replace("server", "proxy"), "dhcp.mode", 'must be "server" where a [[dhcp.subnet]]'),
    ("one port for both", "port = 4011", "dhcp.proxy_port", "must not be dhcp.port"),
    ("proxy port 0", "proxy_port = 0", "dhcp.proxy_port", "from 1 to 65535"),
    ("a server of no address", 'address = "here"', "dhcp.address", "an IPv4 address"),
    (
        "a server out of its subnet",
        GOOD.replace("[[", 'address = "10.78.0.1"\n[['),
        "dhcp.address",
        "inside 10.77.0.0/24",
    ),
    ("server without a subnet", 'mode = "server"', "dhcp.mode", "[[dhcp.subnet]]"),
    ("subnet without server", GOOD.replace("server", "off"), "dhcp.mode", '"server"'),
    ("subnet and no mode", GOOD.split("\n", 1)[1], "dhcp.mode", '"server"'),
    ("two subnets", GOOD + GOOD.split("\n", 1)[1], "dhcp.subnet", "one"),
    ("a subnet that is no list", "[subnet]\n", "dhcp.subnet", "an array of tables"),
    ("an unknown key", 'mod = "server"', "dhcp.mod", "did you mean dhcp.mode?"),
    ("an unknown key in the subnet", GOOD + 'gateway = "10.77.0.1"', "dhcp.subnet[1].gateway", "no such setting"),
    ("no pool", NETWORK, "dhcp.subnet[1].pool", "must be given"),
    ("no network", '[[subnet]]\npool = ["10.77.0.1"]', "dhcp.subnet[1].network", "must be given"),
    ("network with host bits", GOOD.replace("0/24", "1/24"), "dhcp.subnet[1].network", "an IPv4 network"),
    ("network of IPv6", GOOD.replace("10.77.0.0/24", "2001:db8::/64"), "dhcp.subnet[1].network", "an IPv4 network"),
    ("network of one address", GOOD.replace("0/24", "0"), "dhcp.subnet[1].network", "30 at most"),
    ("network of two addresses", GOOD.replace("0/24", "0/31"), "dhcp.subnet[1].network", "30 at most"),
    ("network as a number", NETWORK.replace('"10.77.0.0/24"', "10"), "dhcp.subnet[1].network", "an IPv4 network"),
    ("empty pool", NETWORK + "pool = []", "dhcp.subnet[1].pool", "at least one range"),
    ("pool as a text", NETWORK + 'pool = "10.77.0.9"', "dhcp.subnet[1].pool", "a list"),
    ("pool of nonsense", NETWORK + 'pool = ["here-there"]', "dhcp.subnet[1].pool", "10.77.0.100-10.77.0.199"),
    ("half a range", NETWORK + 'pool = ["10.77.0.9-"]', "dhcp.subnet[1].pool", "is not a range"),
    ("inverted", NETWORK + 'pool = ["10.77.0.9-10.77.0.8"]', "dhcp.subnet[1].pool", "ends before it starts"),
    ("outside", NETWORK + 'pool = ["10.77.1.5"]', "dhcp.subnet[1].pool", "inside 10.77.0.0/24"),
    ("half outside", NETWORK + 'pool = ["10.77.0.9-10.77.1.5"]', "dhcp.subnet[1].pool", "inside 10.77.0.0/24"),
    ("first address", NETWORK + 'pool = ["10.77.0.0-10.77.0.5"]', "dhcp.subnet[1].pool", "first and last"),
    ("last address", NETWORK + 'pool = ["10.77.0.250-10.77.0.255"]', "dhcp.subnet[1].pool", "first and last"),
    (
        "overlap",
        NETWORK + 'pool = ["10.77.0.5-10.77.0.9", "10.77.0.1-10.77.0.5"]',
        "dhcp.subnet[1].pool",
        "at 10.77.0.5",
    ),
    ("twice", NETWORK + 'pool = ["10.77.0.5", "10.77.0.5"]', "dhcp.subnet[1].pool", "overlap"),
    ("inside another", NETWORK + 'pool = ["10.77.0.1-10.77.0.9", "10.77.0.5"]', "dhcp.subnet[1].pool", "overlap"),
    ("router elsewhere", GOOD + 'router = "10.77.1.1"', "dhcp.subnet[1].router", "inside 10.77.0.0/24"),
    ("router by name", GOOD + 'router = "gateway"', "dhcp.subnet[1].router", "an IPv4 address"),
    ("dns by name", GOOD + 'dns = ["ns.lab.test"]', "dhcp.subnet[1].dns", "an IPv4 address"),
    ("nine name servers", GOOD + f"dns = {['10.77.0.53'] * 9}", "dhcp.subnet[1].dns", "8 name servers"),
    ("domain with a space", GOOD + 'domain = "lab test"', "dhcp.subnet[1].domain", "letters, digits and dashes"),
    ("domain with a line end", GOOD + 'domain = "lab.test\\n"', "dhcp.subnet[1].domain", "letters"),
    ("domain with an umlaut", GOOD + 'domain = "lüb.test"', "dhcp.subnet[1].domain", "letters"),
    ("domain with an empty label", GOOD + 'domain = "lab..test"', "dhcp.subnet[1].domain", "letters"),
    ("domain with a dash in front", GOOD + 'domain = "-lab.test"', "dhcp.subnet[1].domain", "letters"),
    ("domain with a long label", GOOD + f'domain = "{"a" * 64}.test"', "dhcp.subnet[1].domain", "letters"),
    ("long domain", GOOD + f'domain = "{".".join(["a" * 62] * 5)}"', "dhcp.subnet[1].domain", "letters"),
    ("lease too short", GOOD + "lease_time = 59", "dhcp.subnet[1].lease_time", "from 60"),
    ("lease too long", GOOD + "lease_time = 31536001", "dhcp.subnet[1].lease_time", "from 60 to"),
    ("D38 infinite lease", GOOD + "lease_time = inf", "dhcp.subnet[1].lease_time", "from 60"),
    ("lease of no number", GOOD + "lease_time = nan", "dhcp.subnet[1].lease_time", "from 60"),
    ("lease as truth", GOOD + "lease_time = true", "dhcp.subnet[1].lease_time", "from 60"),
    ("D18 offer too short", "offer_time = 29", "dhcp.offer_time", "from 30"),
    ("rest too short", "decline_time = 59.9", "dhcp.decline_time", "from 60"),
    ("port 0", "port = 0", "dhcp.port", "from 1 to 65535"),
    ("port as a text", 'port = "67"', "dhcp.port", "whole number"),
    ("interface with a slash", 'interface = "../eth0"', "dhcp.interface", "at most 15 characters"),
    ("long interface", 'interface = "abcdefghijklmnop"', "dhcp.interface", "at most 15 characters"),
)
"""What it is, the file, the key in the message, a word of what is allowed."""


def read(document: str) -> DhcpSettings:
    """The settings as they stand under ``[dhcp]``."""
    return build(DhcpSettings, tomllib.loads(document), "dhcp.")


class Taken(SynchronousTestCase):
    """What is right."""

    def test_nothing_is_a_proxy(self) -> None:
        """Without settings nobody is given an address, and who wants to boot is told what."""
        settings = read("")
        self.assertEqual((settings.mode, settings.subnet, settings.address), ("proxy", (), None))
        self.assertEqual((settings.port, settings.proxy_port), (67, 4011))

    def test_the_address_that_machines_are_told(self) -> None:
        """Any one with a proxy, one of the subnet with an address server."""
        self.assertEqual(read('address = "192.0.2.1"').address, IPv4Address("192.0.2.1"))
        self.assertEqual(read(GOOD.replace("[[", 'address = "10.77.0.2"\n[[')).address, IPv4Address("10.77.0.2"))

    def test_a_whole_subnet(self) -> None:
        """Every key."""
        settings = read(
            'mode = "server"\ninterface = "eno1"\nport = 6767\noffer_time = 30\ndecline_time = 60\n'
            '[[subnet]]\nnetwork = "10.77.0.0/24"\npool = ["10.77.0.100 - 10.77.0.199", "10.77.0.7"]\n'
            'router = "10.77.0.1"\ndns = ["10.77.0.53"]\ndomain = "lab.test"\nlease_time = 600\n'
        )
        self.assertEqual((settings.interface, settings.port), ("eno1", 6767))
        self.assertEqual((settings.offer_time, settings.decline_time), (30.0, 60.0))
        subnet = settings.subnet[0]
        self.assertEqual(subnet.network, IPv4Network("10.77.0.0/24"))
        self.assertEqual((subnet.dns, subnet.domain), ((IPv4Address("10.77.0.53"),), "lab.test"))
        self.assertEqual((subnet.router, subnet.lease_time), (IPv4Address("10.77.0.1"), 600.0))

    def test_edges(self) -> None:
        """The smallest network, the largest pool, the longest names, nothing where nothing is needed."""
        for document in (
            GOOD.replace("0/24", "0/30").replace("10.77.0.100-10.77.0.199", "10.77.0.1-10.77.0.2"),
            NETWORK + 'pool = ["10.77.0.1-10.77.0.254"]',
            NETWORK.replace("10.77.0.0/24", "10.0.0.0/8") + 'pool = ["10.0.0.1-10.255.255.254"]',
            NETWORK + 'pool = ["10.77.0.9", "10.77.0.5-10.77.0.8", "10.77.0.10"]',
            GOOD + 'router = ""\ndomain = ""\ndns = []',
            GOOD + f"dns = {['10.77.0.53'] * 8}",
            GOOD + f'domain = "{"a" * 63}.{"b" * 63}.{"c" * 63}.{"d" * 61}"',
            GOOD + "lease_time = 60\n",
            GOOD + "lease_time = 31536000\n",
        ):
            self.assertEqual(len(read(document).subnet), 1, document)

    def test_the_pool(self) -> None:
        """The server's own addresses and the router's are taken out of the pool."""
        subnet = read(NETWORK + 'pool = ["10.77.0.1-10.77.0.4", "10.77.0.9"]\nrouter = "10.77.0.4"').subnet[0]
        pool = subnet.addresses(frozenset({IPv4Address("10.77.0.1"), IPv4Address("10.77.0.200")}))
        self.assertEqual(pool.size, 3)
        inside = [last for last in range(256) if IPv4Address(f"10.77.0.{last}") in pool]
        self.assertEqual(inside, [2, 3, 9])
        self.assertEqual(read(GOOD).subnet[0].addresses(frozenset()).size, 100)

    def test_written_and_read(self) -> None:
        """What ``--check`` prints is read back as the same settings."""
        for document in (
            "",
            GOOD,
            GOOD + 'router = "10.77.0.1"\ndns = ["10.77.0.53", "10.77.0.54"]\nlease_time = 61.5',
        ):
            self.assertEqual(build(DhcpSettings, tomllib.loads(dump(read(document)))), read(document), document)


class Refused(SynchronousTestCase):
    """What is wrong."""

    def test_refused(self) -> None:
        """An error with key, value, and what is allowed: D18, how long an offer is kept; D38, no endless lease."""
        for name, document, key, allowed in REFUSED:
            error = self.assertRaises(ConfigError, read, document)
            assert isinstance(error, ConfigError)
            self.assertEqual(error.key, key, name)
            self.assertIn(allowed, error.allowed, name)
            self.assertTrue(str(error).startswith(key), name)

    def test_a_hostile_domain(self) -> None:
        """A long name is told apart from a domain in no time, whatever it is made of."""
        for name in ("a" * 100000, "a-" * 50000, "a." * 50000, "-" * 100000, "a" * 63 + "." + "a." * 90 + "!"):
            self.assertRaises(ConfigError, read, GOOD + f'domain = "{name}"')

    @given(st.text(max_size=40))
    def test_any_text_in_the_pool(self, words: str) -> None:
        """A range or an error of ours."""
        document = {"network": "10.77.0.0/24", "pool": [words]}
        try:
            subnet = build(SubnetSettings, document)
        except ConfigError as error:
            self.assertEqual(error.key, "pool")
            return
        self.assertGreater(subnet.addresses(frozenset()).size, 0)
