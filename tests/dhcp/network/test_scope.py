"""Tests of `pixelboot.dhcp.network.scope`."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from pixelboot.dhcp.network.links import link, subnets
from pixelboot.dhcp.network.scope import Link, Parameters, Subnet
from tests.dhcp.network.case import NetworkCase, ip
from tests.dhcp.settings.case import GOOD, Document, read

LAYERS = """
[dhcp]
mode = "server"
options = { ntp-servers = ["10.0.0.1"], root-path = "site", tcode = "Europe/Berlin", routers = ["10.0.0.2"] }
[[dhcp.class]]
name = "a"
vendor = "a"
options = { root-path = "a", "224" = "a", domain-name = "a.test" }
lease_time = 120
[[dhcp.class]]
name = "b"
vendor = "b"
options = { root-path = "b", "225" = "b" }
lease_time = 7200
[[dhcp.class]]
name = "bare"
vendor = "c"
[[dhcp.subnet]]
network = "10.77.0.0/24"
pool = ["10.77.0.100-10.77.0.199"]
router = "10.77.0.1"
dns = ["10.77.0.53", "10.77.0.54"]
domain = "lab.test"
options = { root-path = "subnet", ntp-servers = ["10.77.0.1"] }
[[host]]
name = "node1"
mac = "02:aa:00:00:00:01"
options = { root-path = "host", "225" = "host", v6-only-preferred = 60 }
[[host]]
mac = "02:aa:00:00:00:02"
"""

BASE = {
    1: bytes((255, 255, 255, 0)),
    3: bytes((10, 77, 0, 1)),
    6: bytes((10, 77, 0, 53, 10, 77, 0, 54)),
    15: b"lab.test",
    17: b"subnet",
    42: bytes((10, 77, 0, 1)),
    101: b"Europe/Berlin",
}


def subnet(document: Document) -> Subnet:
    """The first subnet of a document."""
    return subnets(document.dhcp)[0][0]


class ParametersTests(NetworkCase):
    """What machines are given: the site's, over it the subnet's, over it the classes', over it the host's."""

    def test_layers(self) -> None:
        """Each replaces options of the one below, and leaves the others; a later class replaces an earlier one's."""
        document = read(LAYERS)
        here, (named, plain) = subnet(document), document.host
        cases: tuple[tuple[str, tuple[str, ...], dict[int, bytes]], ...] = (
            ("nobody in particular", (), BASE),
            ("a class without options", ("bare",), BASE),
            ("a class", ("a",), BASE | {17: b"a", 224: b"a", 15: b"a.test"}),
            ("two classes", ("a", "b"), BASE | {17: b"b", 224: b"a", 225: b"b", 15: b"a.test"}),
        )
        for name, classes, options in cases:
            self.assertEqual(here.parameters(classes, None).options, options, name)
            self.assertEqual(here.parameters(classes, plain).options, options, f"{name}, a host that has nothing")
            own = {12: b"node1", 17: b"host", 225: b"host"}
            self.assertEqual(here.parameters(classes, named).options, options | own, f"{name}, a host")

    def test_o15_ipv6_mostly(self) -> None:
        """Option 108 is told apart, for it is sent to who asks for it alone; a host's own goes before the subnet's."""
        document = read(LAYERS)
        self.assertEqual(subnet(document).parameters((), None).ipv6_mostly, None)
        self.assertEqual(subnet(document).parameters((), document.host[0]).ipv6_mostly, (60).to_bytes(4))
        here = subnet(read(GOOD + "ipv6_mostly = 1800")).parameters((), None)
        self.assertEqual((here.ipv6_mostly, 108 in here.options), ((1800).to_bytes(4), False))

    def test_times(self) -> None:
        """D19, D37, D38: the subnet's, and those of the last class that has any, which bend the limits as far."""
        document = read(LAYERS)
        here = subnet(document)

        def times(classes: tuple[str, ...], where: Subnet = here) -> tuple[float, float, float]:
            found = where.parameters(classes, None)
            return found.min_lease_time, found.lease_time, found.max_lease_time

        self.assertEqual(times(()), (60.0, 3600.0, 3600.0))
        self.assertEqual(times(("a",)), (60.0, 120.0, 120.0))
        self.assertEqual(times(("a", "b")), (60.0, 7200.0, 7200.0))
        self.assertEqual(times(("a", "bare")), (60.0, 120.0, 120.0))
        limits = LAYERS.replace('router = "10.77.0.1"', "min_lease_time = 300\nmax_lease_time = 5000")
        narrow = subnet(read(limits))
        self.assertEqual(times((), narrow), (300.0, 3600.0, 5000.0))
        self.assertEqual(times(("a",), narrow), (120.0, 120.0, 5000.0))
        self.assertEqual(times(("b",), narrow), (300.0, 7200.0, 7200.0))
        other = subnet(read(GOOD + "renewal = 0.25\nrebinding = 0.75\ninfinite = true")).parameters((), None)
        self.assertEqual((other.renewal, other.rebinding, other.infinite), (0.25, 0.75, True))
        usual: Parameters = here.parameters((), None)
        self.assertEqual((usual.renewal, usual.rebinding, usual.infinite), (0.5, 0.875, False))

    def test_made_once(self) -> None:
        """They are the same value for the next machine of its kind; a host that has none of its own is such."""
        document = read(LAYERS)
        here, (named, plain) = subnet(document), document.host
        self.assertIs(here.parameters(("a",), None), here.parameters(("a",), plain))
        self.assertIs(here.parameters(("a",), named), here.parameters(("a",), named))
        self.assertIsNot(here.parameters(("a",), named), here.parameters(("a",), None))

    def test_bounded(self) -> None:
        """However many kinds of machines there are, few are remembered, and all are right."""
        names = [f"c{number}" for number in range(13)]
        classes = "".join(f'[[dhcp.class]]\nname = "{name}"\nvendor = "x"\n' for name in names)
        here = subnet(read(GOOD + classes))
        for number in range(2**13):
            chosen = tuple(name for bit, name in enumerate(names) if number >> bit & 1)
            self.assertEqual(here.parameters(chosen, None).lease_time, 3600.0)
        self.assertLessEqual(len(here._known), 4096)


class LinkTests(NetworkCase):
    """The subnets of one wire."""

    @given(
        st.lists(st.tuples(st.integers(0, 3), st.integers(1, 14), st.integers(0, 3)), min_size=1, max_size=6),
        st.lists(st.integers(-2, 66), min_size=1, max_size=20),
    )
    def test_subnet_of(self, pools: list[tuple[int, int, int]], asked: list[int]) -> None:
        """The subnet of any address, against one that looks at them all.

        Networks are 10.77.0.0/28 and the next three; some stand there twice, with pools of their own.
        """
        base = int(ip("10.77.0.0"))
        taken: set[int] = set()
        given = []
        for network, first, more in pools:
            last = min(first + more, 14)
            span = set(range(network * 16 + first, network * 16 + last + 1))
            if not span & taken:
                taken |= span
                given.append((network, span, IPv4Address(base + min(span)), IPv4Address(base + max(span))))
        text = "".join(
            f'[[dhcp.subnet]]\nshared = "a"\nnetwork = "10.77.0.{network * 16}/28"\npool = ["{first}-{last}"]\n'
            for network, _, first, last in given
        )
        document = read('[dhcp]\nmode = "server"\n' + text)
        (group,) = subnets(document.dhcp)
        here = link(group, "server", frozenset())
        for number in asked:
            inside = [at for at, (network, _, _, _) in enumerate(given) if number // 16 == network]
            pooled = [at for at in inside if number in given[at][1]]
            expected = group[(pooled or inside)[0]] if inside else None
            self.assertIs(here.subnet_of(IPv4Address(base + number)), expected, number)

    def test_no_subnets(self) -> None:
        """A link of no subnets has the subnet of no address."""
        self.assertIsNone(
            Link("", (), "proxy", link(subnets(read(GOOD).dhcp)[0], "server", frozenset()).pool).subnet_of(
                ip("10.77.0.1")
            )
        )

    def test_ends(self) -> None:
        """Every address of a network is its own, none beside it."""
        here = link(subnets(read(GOOD).dhcp)[0], "server", frozenset())
        for address, inside in (
            ("0.0.0.0", False),
            ("10.76.255.255", False),
            ("10.77.0.0", True),
            ("10.77.0.150", True),
            ("10.77.0.255", True),
            ("10.77.1.0", False),
            ("255.255.255.255", False),
        ):
            self.assertEqual(here.subnet_of(ip(address)) is not None, inside, address)
        self.assertEqual(here.subnets[0].network, IPv4Network("10.77.0.0/24"))
