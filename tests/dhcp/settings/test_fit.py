"""What must fit together: subnets with each other, with classes, and with hosts."""

from __future__ import annotations

import tomllib
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from pixelboot.config import ConfigError, build, dump
from pixelboot.dhcp.settings.dhcp import DhcpSettings
from tests.dhcp.settings.case import GOOD, HOST, NETWORK, OTHER, Refusal, SettingsCase

CLASS = '[[dhcp.class]]\nname = "lab"\nvendor = "x"\n'
SAME = '[[dhcp.subnet]]\nnetwork = "10.77.0.0/24"\n'
INSIDE = '[[dhcp.subnet]]\nnetwork = "10.77.0.128/25"\npool = ["10.77.0.200"]\n'
SECOND = '[[host]]\nmac = "02:aa:00:00:00:02"\n'
BOARD, TURNED = "01020304-0506-0708-0910-111213141516", "04030201-0605-0807-0910-111213141516"

SUBNETS: tuple[Refusal, ...] = (
    ("a server without a pool", NETWORK, "dhcp.subnet[1].pool", "at least one range"),
    ("a server with an empty pool", NETWORK + "pool = []", "dhcp.subnet[1].pool", "at least one range"),
    (
        "one server without a pool",
        OTHER.split("pool")[0] + 'mode = "server"',
        "dhcp.subnet[1].pool",
        "at least one range",
    ),
    ("a proxy with a pool", GOOD.replace("server", "proxy"), "dhcp.subnet[1].pool", 'needs mode = "server"'),
    ("a pool and no mode", GOOD.split("\n", 2)[2], "dhcp.subnet[1].pool", 'needs mode = "server"'),
    ("one proxy with a pool", GOOD + OTHER + 'mode = "proxy"', "dhcp.subnet[2].pool", 'needs mode = "server"'),
    ("a network in another", GOOD + INSIDE, "dhcp.subnet[2].network", "must not overlap 10.77.0.0/24, dhcp.subnet[1]"),
    (
        "a network around another, though they share a wire",
        '[dhcp]\nmode = "server"\n' + INSIDE + 'shared = "a"\n' + SAME + 'shared = "a"\npool = ["10.77.0.9"]',
        "dhcp.subnet[1].network",
        "must not overlap 10.77.0.0/24, dhcp.subnet[2]",
    ),
    (
        "a network in the last but one",
        GOOD + OTHER + '[[dhcp.subnet]]\nnetwork = "10.77.0.0/30"\npool = ["10.77.0.1"]',
        "dhcp.subnet[3].network",
        "must not overlap 10.77.0.0/24, dhcp.subnet[1]",
    ),
    (
        "one pool twice",
        GOOD + SAME + 'pool = ["10.77.0.50-10.77.0.100"]',
        "dhcp.subnet[2].pool",
        "the pool of dhcp.subnet[1] (at 10.77.0.100)",
    ),
    (
        "one network on two wires",
        GOOD + SAME + 'pool = ["10.77.0.50"]\nshared = "a"',
        "dhcp.subnet[2].shared",
        "which is the same network",
    ),
    (
        "one wire served in two ways",
        GOOD + 'shared = "a"\n' + OTHER.split("pool")[0] + 'shared = "a"\nmode = "proxy"',
        "dhcp.subnet[2].mode",
        'must be "server", as dhcp.subnet[1] is on the same wire',
    ),
    (
        "one wire half off",
        GOOD + 'shared = "a"\n' + OTHER + 'shared = "a"\nmode = "off"',
        "dhcp.subnet[2].mode",
        'must be "server"',
    ),
    (
        "one network served in two ways",
        GOOD + SAME + 'mode = "proxy"',
        "dhcp.subnet[2].mode",
        'must be "server", as dhcp.subnet[1] is on the same wire',
    ),
    (
        "one wire with two identities",
        GOOD + 'shared = "a"\n' + OTHER + 'shared = "a"\nidentity = "uuid"',
        "dhcp.subnet[2].identity",
        'must be "chaddr", as dhcp.subnet[1]',
    ),
    (
        "a relay of two subnets",
        GOOD + 'relays = ["192.0.2.1"]\n' + OTHER + 'relays = ["192.0.2.2", "192.0.2.1"]',
        "dhcp.subnet[2].relays",
        "a relay of dhcp.subnet[1] already",
    ),
    ("a relay twice", GOOD + 'relays = ["192.0.2.1", "192.0.2.1"]', "dhcp.subnet[1].relays", "already"),
)

CLASSES: tuple[Refusal, ...] = (
    ("two classes of one name", CLASS + CLASS, "dhcp.class[2].name", "class[1]'s name already"),
    ("an unknown class", '[dhcp]\nallow = ["lab"]', "dhcp.allow", 'one of "known", "unknown"'),
    ("an unknown class to deny", '[dhcp]\ndeny = ["bal"]\n' + CLASS, "dhcp.deny", '"lab"'),
    ("an unknown class in a subnet", GOOD + OTHER + 'allow = ["lab"]', "dhcp.subnet[2].allow", 'one of "known"'),
    ("one to deny in a subnet", GOOD + OTHER + 'deny = ["lab"]', "dhcp.subnet[2].deny", 'one of "known"'),
    ("a class in both lists", '[dhcp]\nallow = ["known"]\ndeny = ["known"]', "dhcp.allow", "in deny too"),
)

HOSTS: tuple[Refusal, ...] = (
    ("two of one mac", HOST + HOST, "host[2].mac", "is host[1]'s mac already"),
    ("two of one name", HOST + 'name = "a"\n' + SECOND + 'name = "A"', "host[2].name", "is host[1]'s name already"),
    (
        "two of one client identifier",
        '[[host]]\nclient_id = "01:02"\n[[host]]\nclient_id = "0102"',
        "host[2].client_id",
        "host[1]'s client_id",
    ),
    ("two of one UUID", f'[[host]]\nuuid = "{BOARD}"\n[[host]]\nuuid = "{BOARD}"', "host[2].uuid", "host[1]'s uuid"),
    ("one UUID turned", f'[[host]]\nuuid = "{BOARD}"\n[[host]]\nuuid = "{TURNED}"', "host[2].uuid", "host[1]'s uuid"),
    ("two of one circuit", '[[host]]\ncircuit = "ab"\n[[host]]\ncircuit = "hex:6162"', "host[2].circuit", "host[1]'s"),
    (
        "two of one address",
        GOOD + HOST + 'address = "10.77.0.5"\n' + SECOND + 'address = "10.77.0.5"',
        "host[2].address",
        "host[1]'s address already",
    ),
    ("an address without subnets", HOST + 'address = "10.77.0.5"', "host[1].address", "a [[dhcp.subnet]]"),
    ("an address outside", GOOD + HOST + 'address = "10.78.0.5"', "host[1].address", "inside the network of a"),
    ("an address before", GOOD + OTHER + HOST + 'address = "10.76.255.255"', "host[1].address", "inside the network"),
    ("an address behind", GOOD + OTHER + HOST + 'address = "10.78.1.0"', "host[1].address", "inside the network"),
    ("an address between", GOOD + OTHER + HOST + 'address = "10.77.1.0"', "host[1].address", "inside the network"),
    ("the network itself", GOOD + HOST + 'address = "10.77.0.0"', "host[1].address", "first or last address"),
    ("its broadcast", GOOD + HOST + 'address = "10.77.0.255"', "host[1].address", "first or last address"),
    (
        "a router's",
        GOOD + 'router = "10.77.0.1"\n' + HOST + 'address = "10.77.0.1"',
        "host[1].address",
        "the address of a router",
    ),
    (
        "the server's",
        GOOD.replace("[[", 'address = "10.77.0.2"\n[[') + HOST + 'address = "10.77.0.2"',
        "host[1].address",
        "the address of this server",
    ),
)

NETWORKS = st.builds(
    lambda number, bits: IPv4Network((int(IPv4Address("10.77.0.0")) + number, bits), strict=False),
    st.integers(0, 255),
    st.integers(24, 30),
)


class FitTests(SettingsCase):
    """What fits, and what does not."""

    def test_subnets_refused(self) -> None:
        """The key is that of the subnet that is one too many, and the message names the other."""
        self.check_refused(SUBNETS)

    def test_classes_refused(self) -> None:
        """The key is that of the list, and the message says which classes there are."""
        self.check_refused(CLASSES)

    def test_hosts_refused(self) -> None:
        """The key is that of the host that is one too many."""
        self.check_refused(HOSTS)

    def test_taken(self) -> None:
        """What looks alike, and fits."""
        for name, document in (
            ("two subnets", GOOD + OTHER),
            ("two on a wire", GOOD + 'shared = "a"\n' + OTHER + 'shared = "a"'),
            ("one network in two parts", GOOD + SAME + 'pool = ["10.77.0.50-10.77.0.99"]'),
            (
                "proxies without pools",
                "\n".join(line for line in (GOOD + OTHER).splitlines() if "pool" not in line).replace(
                    '"server"', '"proxy"'
                ),
            ),
            ("a pool that is off", GOOD.replace("server", "off")),
            ("lists", GOOD.replace("[[", 'allow = ["known"]\ndeny = ["lab"]\n[[', 1) + 'deny = ["unknown"]\n' + CLASS),
            ("hosts", GOOD + HOST + 'address = "10.77.0.1"\n' + SECOND + 'address = "10.77.0.254"'),
            ("hosts without names", HOST + SECOND),
            ("a host of the pool", GOOD + HOST + 'address = "10.77.0.150"'),
            (
                "a host where others give the addresses",
                '[[dhcp.subnet]]\nnetwork = "10.77.0.0/24"\n' + HOST + 'address = "10.77.0.9"',
            ),
            ("a relay in another's network", GOOD + OTHER + 'relays = ["10.77.0.1"]'),
        ):
            try:
                self.check_written_and_read(document)
            except ConfigError as error:
                self.fail(f"{name}: {error}")

    @given(st.lists(NETWORKS, min_size=1, max_size=5))
    def test_any_networks(self, networks: list[IPv4Network]) -> None:
        """Subnets are refused if and only if two of their networks overlap without being the same."""
        document = {"subnet": [{"network": str(network)} for network in networks]}
        wrong = any(one != other and one.overlaps(other) for one, other in combinations(networks, 2))
        if wrong:
            error = self.assertRaises(ConfigError, build, DhcpSettings, document)
            self.assertIn("must not overlap", str(error))
        else:
            settings = build(DhcpSettings, document)
            self.assertEqual(build(DhcpSettings, tomllib.loads(dump(settings))), settings)
