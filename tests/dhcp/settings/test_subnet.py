"""One subnet: what is taken, and what is refused by which name."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from pixelboot.config import ConfigError, build
from pixelboot.dhcp.settings.option import octets
from pixelboot.dhcp.settings.subnet import SubnetSettings, overlap
from tests.dhcp.settings.case import GOOD, NETWORK, Refusal, SettingsCase, read

REFUSED: tuple[Refusal, ...] = (
    ("an unknown key", GOOD + 'gateway = "10.77.0.1"', "dhcp.subnet[1].gateway", "no such setting"),
    ("a mode that there is not", GOOD + 'mode = "relay"', "dhcp.subnet[1].mode", '"proxy", "server", "off"'),
    ("no network", '[[dhcp.subnet]]\npool = ["10.77.0.1"]', "dhcp.subnet[1].network", "must be given"),
    ("network with host bits", GOOD.replace("0/24", "1/24"), "dhcp.subnet[1].network", "an IPv4 network"),
    ("network of IPv6", GOOD.replace("10.77.0.0/24", "2001:db8::/64"), "dhcp.subnet[1].network", "an IPv4 network"),
    ("network of one address", GOOD.replace("0/24", "0"), "dhcp.subnet[1].network", "30 at most"),
    ("network of two addresses", GOOD.replace("0/24", "0/31"), "dhcp.subnet[1].network", "30 at most"),
    ("network as a number", NETWORK.replace('"10.77.0.0/24"', "10"), "dhcp.subnet[1].network", "an IPv4 network"),
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
    (
        "the router alone",
        NETWORK + 'pool = ["10.77.0.5"]\nrouter = "10.77.0.5"',
        "dhcp.subnet[1].pool",
        "more than the router's address",
    ),
    ("exclude no range", GOOD + 'exclude = ["this"]', "dhcp.subnet[1].exclude", "is not a range"),
    ("exclude outside the pool", GOOD + 'exclude = ["10.77.0.5"]', "dhcp.subnet[1].exclude", "inside the pool"),
    ("exclude outside the network", GOOD + 'exclude = ["10.78.0.5"]', "dhcp.subnet[1].exclude", "10.77.0.0/24"),
    (
        "exclude half outside",
        GOOD + 'exclude = ["10.77.0.190-10.77.0.200"]',
        "dhcp.subnet[1].exclude",
        "inside the pool",
    ),
    (
        "exclude across a gap",
        NETWORK + 'pool = ["10.77.0.5-10.77.0.9", "10.77.0.11-10.77.0.20"]\nexclude = ["10.77.0.8-10.77.0.12"]',
        "dhcp.subnet[1].exclude",
        "inside the pool",
    ),
    (
        "exclude without a pool",
        '[[dhcp.subnet]]\nnetwork = "10.77.0.0/24"\nexclude = ["10.77.0.5"]',
        "dhcp.subnet[1].exclude",
        "inside the pool",
    ),
    (
        "exclude twice",
        GOOD + 'exclude = ["10.77.0.110-10.77.0.120", "10.77.0.120"]',
        "dhcp.subnet[1].exclude",
        "at 10.77.0.120",
    ),
    ("exclude everything", GOOD + 'exclude = ["10.77.0.100-10.77.0.199"]', "dhcp.subnet[1].exclude", "leave something"),
    (
        "exclude all but the router",
        NETWORK + 'pool = ["10.77.0.5-10.77.0.6"]\nexclude = ["10.77.0.6"]\nrouter = "10.77.0.5"',
        "dhcp.subnet[1].pool",
        "more than the router's address",
    ),
    ("router elsewhere", GOOD + 'router = "10.77.1.1"', "dhcp.subnet[1].router", "inside 10.77.0.0/24"),
    ("router of no machine", GOOD + 'router = "10.77.0.255"', "dhcp.subnet[1].router", "inside 10.77.0.0/24"),
    ("router by name", GOOD + 'router = "gateway"', "dhcp.subnet[1].router", "an IPv4 address"),
    (
        "router twice",
        GOOD + 'router = "10.77.0.1"\noptions = {routers = ["10.77.0.1"]}',
        "dhcp.subnet[1].router",
        "option 3",
    ),
    ("dns by name", GOOD + 'dns = ["ns.lab.test"]', "dhcp.subnet[1].dns", "an IPv4 address"),
    ("nine name servers", GOOD + f"dns = {['10.77.0.53'] * 9}", "dhcp.subnet[1].dns", "8 name servers"),
    ("dns twice", GOOD + 'dns = ["10.77.0.53"]\noptions = {6 = ["10.77.0.53"]}', "dhcp.subnet[1].dns", "option 6"),
    ("domain with a space", GOOD + 'domain = "lab test"', "dhcp.subnet[1].domain", "letters, digits and dashes"),
    ("domain with a line end", GOOD + 'domain = "lab.test\\n"', "dhcp.subnet[1].domain", "letters"),
    ("domain with an umlaut", GOOD + 'domain = "lüb.test"', "dhcp.subnet[1].domain", "letters"),
    ("domain with an empty label", GOOD + 'domain = "lab..test"', "dhcp.subnet[1].domain", "letters"),
    ("domain with a dash in front", GOOD + 'domain = "-lab.test"', "dhcp.subnet[1].domain", "letters"),
    ("domain with a long label", GOOD + f'domain = "{"a" * 64}.test"', "dhcp.subnet[1].domain", "letters"),
    ("long domain", GOOD + f'domain = "{".".join(["a" * 62] * 5)}"', "dhcp.subnet[1].domain", "letters"),
    (
        "domain twice",
        GOOD + 'domain = "a.test"\noptions = {domain-name = "a.test"}',
        "dhcp.subnet[1].domain",
        "option 15",
    ),
    ("lease too short", GOOD + "lease_time = 9", "dhcp.subnet[1].lease_time", "from 10"),
    ("lease too long", GOOD + "lease_time = 31536001", "dhcp.subnet[1].lease_time", "from 10 to"),
    ("D38 infinite lease", GOOD + "lease_time = inf", "dhcp.subnet[1].lease_time", "from 10"),
    ("lease of no number", GOOD + "lease_time = nan", "dhcp.subnet[1].lease_time", "from 10"),
    ("lease as truth", GOOD + "lease_time = true", "dhcp.subnet[1].lease_time", "from 10"),
    ("lease below the least", GOOD + "lease_time = 50", "dhcp.subnet[1].min_lease_time", "the longest, 50"),
    (
        "lease below the least, with a longest",
        GOOD + "lease_time = 50\nmax_lease_time = 100",
        "dhcp.subnet[1].lease_time",
        "from min_lease_time, 60, to max_lease_time, 100",
    ),
    ("lease above the longest", GOOD + "max_lease_time = 600", "dhcp.subnet[1].lease_time", "to max_lease_time, 600"),
    (
        "least above longest",
        GOOD + "lease_time = 300\nmin_lease_time = 601\nmax_lease_time = 600",
        "dhcp.subnet[1].min_lease_time",
        "the longest, 600",
    ),
    ("D37 T1 behind T2", GOOD + "renewal = 0.9", "dhcp.subnet[1].renewal", "less than rebinding, 0.875"),
    ("D37 T1 at T2", GOOD + "renewal = 0.5\nrebinding = 0.5", "dhcp.subnet[1].renewal", "less than rebinding, 0.5"),
    ("D37 T2 at the end", GOOD + "rebinding = 1", "dhcp.subnet[1].rebinding", "from 0.01 to 0.99"),
    ("D37 T1 at once", GOOD + "renewal = 0", "dhcp.subnet[1].renewal", "from 0.01 to 0.99"),
    ("infinite as a number", GOOD + "infinite = 1", "dhcp.subnet[1].infinite", "true or false"),
    ("a relay by name", GOOD + 'relays = ["router"]', "dhcp.subnet[1].relays", "an IPv4 address"),
    ("a relay that is none", GOOD + 'relays = ["0.0.0.0"]', "dhcp.subnet[1].relays", "address of a relay"),
    ("a group of relays", GOOD + 'relays = ["224.0.0.1"]', "dhcp.subnet[1].relays", "address of a relay"),
    (
        "an identity that there is not",
        GOOD + 'identity = "mac"',
        "dhcp.subnet[1].identity",
        '"chaddr", "client-id", "uuid"',
    ),
    ("no IPv4 for ever", GOOD + "ipv6_mostly = 4294967296", "dhcp.subnet[1].ipv6_mostly", "from 0 to 4294967295"),
    ("no IPv4 twice", GOOD + "ipv6_mostly = 1800\noptions = {108 = 1800}", "dhcp.subnet[1].ipv6_mostly", "option 108"),
    ("a class that none is", GOOD + 'allow = ["a b"]', "dhcp.subnet[1].allow", "letters, digits"),
    ("options as a list", GOOD + "options = []", "dhcp.subnet[1].options", "a table of DHCP options"),
)

WHOLE = """
[dhcp]
mode = "server"
[[dhcp.subnet]]
network = "10.77.0.0/24"
mode = "server"
shared = "hall"
pool = ["10.77.0.100 - 10.77.0.199", "10.77.0.7"]
exclude = ["10.77.0.150-10.77.0.159", "10.77.0.199"]
router = "10.77.0.1"
dns = ["10.77.0.53", "10.77.0.54"]
domain = "lab.test"
lease_time = 600
min_lease_time = 61.5
max_lease_time = 86400
renewal = 0.4
rebinding = 0.8
infinite = true
relays = ["192.0.2.1"]
identity = "client-id"
ipv6_mostly = 1800
options = { ntp-servers = ["10.0.0.1"], "224" = "hex:0102" }
allow = ["known"]
deny = []
"""


class Taken(SettingsCase):
    """What is right."""

    def test_a_whole_subnet(self) -> None:
        """Every key."""
        subnet = read(WHOLE).dhcp.subnet[0]
        self.assertEqual((subnet.network, subnet.shared), (IPv4Network("10.77.0.0/24"), "hall"))
        self.assertEqual((subnet.router, subnet.dns[1]), (IPv4Address("10.77.0.1"), IPv4Address("10.77.0.54")))
        self.assertEqual((subnet.domain, subnet.relays), ("lab.test", (IPv4Address("192.0.2.1"),)))
        self.assertEqual((subnet.lease_time, subnet.min_lease_time, subnet.longest_lease), (600.0, 61.5, 86400.0))
        self.assertEqual((subnet.renewal, subnet.rebinding, subnet.infinite), (0.4, 0.8, True))
        self.assertEqual((subnet.identity, subnet.ipv6_mostly, subnet.allow), ("client-id", 1800, ("known",)))
        self.assertEqual(octets(subnet.options), {42: bytes((10, 0, 0, 1)), 224: b"\1\2"})
        spans = [(str(first), str(last)) for first, last in subnet.ranges]
        self.assertEqual(
            spans,
            [("10.77.0.7", "10.77.0.7"), ("10.77.0.100", "10.77.0.149"), ("10.77.0.160", "10.77.0.198")],
        )

    def test_what_is_not_said(self) -> None:
        """D38: no lease is without end; D37: renewed at half of it, asked everywhere for at seven eighths."""
        subnet = read(GOOD).dhcp.subnet[0]
        self.assertEqual((subnet.mode, subnet.shared, subnet.identity, subnet.infinite), (None, "", "chaddr", False))
        self.assertEqual((subnet.lease_time, subnet.min_lease_time, subnet.longest_lease), (3600.0, 60.0, 3600.0))
        self.assertEqual((subnet.renewal, subnet.rebinding), (0.5, 0.875))

    def test_edges(self) -> None:
        """The smallest network, the largest pool, the longest names, nothing where nothing is needed."""
        for document in (
            GOOD.replace("0/24", "0/30").replace("10.77.0.100-10.77.0.199", "10.77.0.1-10.77.0.2"),
            NETWORK + 'pool = ["10.77.0.1-10.77.0.254"]',
            NETWORK.replace("10.77.0.0/24", "10.0.0.0/8") + 'pool = ["10.0.0.1-10.255.255.254"]',
            NETWORK + 'pool = ["10.77.0.9", "10.77.0.5-10.77.0.8", "10.77.0.10"]\nexclude = ["10.77.0.6-10.77.0.9"]',
            GOOD + 'router = ""\ndomain = ""\ndns = []\nmode = ""\nmax_lease_time = ""\nipv6_mostly = ""',
            GOOD + f"dns = {['10.77.0.53'] * 8}",
            GOOD + f'domain = "{"a" * 63}.{"b" * 63}.{"c" * 63}.{"d" * 61}"',
            GOOD + "lease_time = 10\nmin_lease_time = 10",
            GOOD + "lease_time = 31536000",
            GOOD + "renewal = 0.01\nrebinding = 0.99\nipv6_mostly = 0",
        ):
            self.assertEqual(len(read(document).dhcp.subnet), 1, document)
            self.check_written_and_read(document)

    def test_written_and_read(self) -> None:
        """What ``--check`` prints is read back as the same settings, options among them."""
        self.check_written_and_read(WHOLE)


class Refused(SettingsCase):
    """What is wrong."""

    def test_refused(self) -> None:
        """An error with key, value, and what is allowed."""
        self.check_refused(REFUSED)

    def test_a_hostile_domain(self) -> None:
        """A long name is told apart from a domain in no time, whatever it is made of."""
        for name in ("a" * 100000, "a-" * 50000, "a." * 50000, "-" * 100000, "a" * 63 + "." + "a." * 90 + "!"):
            self.assertRaises(ConfigError, read, GOOD + f'domain = "{name}"')

    @given(st.text(max_size=40))
    def test_any_text_in_the_pool(self, words: str) -> None:
        """A range or an error of ours."""
        try:
            subnet = build(SubnetSettings, {"network": "10.77.0.0/24", "pool": [words]})
        except ConfigError as error:
            self.assertEqual(error.key, "pool")
            return
        self.assertEqual(len(subnet.ranges), 1)

    @given(
        st.lists(st.tuples(st.integers(1, 40), st.integers(0, 12)), min_size=1, max_size=4),
        st.lists(st.tuples(st.integers(1, 40), st.integers(0, 4)), max_size=4),
    )
    def test_exclusions(self, pool: list[tuple[int, int]], holes: list[tuple[int, int]]) -> None:
        """What is left is the pool without what is excluded; else the settings are refused, and rightly."""

        def words(spans: list[tuple[int, int]]) -> list[str]:
            return [f"10.77.0.{first}-10.77.0.{first + more}" for first, more in spans]

        def numbers(spans: list[tuple[int, int]]) -> list[int]:
            return [number for first, more in spans for number in range(first, first + more + 1)]

        given, excluded = numbers(pool), numbers(holes)
        twice = len(set(given)) < len(given) or len(set(excluded)) < len(excluded)
        wrong = twice or not set(excluded) < set(given)
        document = {"network": "10.77.0.0/24", "pool": words(pool), "exclude": words(holes)}
        if wrong:
            self.assertRaises(ConfigError, build, SubnetSettings, document)
            return
        ranges = build(SubnetSettings, document).ranges
        left = [number & 255 for first, last in ranges for number in range(int(first), int(last) + 1)]
        self.assertEqual(left, sorted(set(given) - set(excluded)))

    def test_overlap(self) -> None:
        """Where two lists of ranges meet first."""
        one, two, three, four = (IPv4Address(number) for number in (1, 2, 3, 4))
        self.assertEqual(overlap([(one, two), (four, four)], [(three, three)]), None)
        self.assertEqual(overlap([(four, four), (one, two)], [(two, four)]), two)
        self.assertEqual(overlap([], [(two, four)]), None)
