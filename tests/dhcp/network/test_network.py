"""Tests of `pixelboot.dhcp.network.network`."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from pixelboot.config import ConfigError
from pixelboot.dhcp.network.network import Network
from pixelboot.dhcp.network.scope import Scope
from tests.dhcp.network.case import HWADDR, NetworkCase, arrival, circuit, ip, request, site
from tests.dhcp.settings.case import GOOD, HOST, OTHER, read

A, B = "10.77.0.0/24", "10.78.0.0/24"
PROXY = '[[dhcp.subnet]]\nnetwork = "10.79.0.0/24"\nmode = "proxy"\n'
OFF = '[[dhcp.subnet]]\nnetwork = "10.80.0.0/24"\nmode = "off"\npool = ["10.80.0.9"]\n'
SITE = GOOD + OTHER + 'relays = ["192.0.2.1"]\n' + PROXY + OFF
LAB = '[[dhcp.class]]\nname = "lab"\nmac = ["02:aa"]\n[[dhcp.class]]\nname = "pxe"\nvendor = "PXEClient*"\n'


def selection(address: str) -> dict[int, bytes]:
    """Option 118."""
    return {118: ip(address).packed}


def link_selection(address: str) -> dict[int, bytes]:
    """Option 82 with sub-option 5."""
    return circuit(b"p", b"\5\4" + ip(address).packed)


class PlaceTests(NetworkCase):
    """The choice of the link."""

    def test_d17_by_broadcast(self) -> None:
        """The subnet of the interface, by any of its addresses."""
        network = site(SITE)
        for came, name in (
            (arrival("10.77.0.2"), A),
            (arrival("10.78.0.2"), B),
            (arrival("192.0.2.9", "10.78.0.2"), B),
            (arrival("10.78.0.2", "10.77.0.2"), B),
            (arrival("10.79.0.2"), "10.79.0.0/24"),
            (arrival("10.80.0.2"), "10.80.0.0/24 is not served"),
            (arrival("192.0.2.9"), "the network at eno1 is not served"),
            (arrival(), "the network at eno1 is not served"),
        ):
            self.assertEqual(self.link(network, request(), came), name, str(came))

    def test_d17_by_a_relay(self) -> None:
        """The subnet of giaddr, or the one that claims the relay, whatever the interface is on."""
        network = site(SITE)
        came = arrival("10.77.0.2", source="10.78.0.1", to_everybody=False)
        for giaddr, name in (
            ("10.78.0.1", B),
            ("10.77.0.1", A),
            ("192.0.2.1", B),
            ("192.0.2.2", "it came by the relay 192.0.2.2, whose subnet is not served"),
            ("10.80.0.1", "10.80.0.0/24 is not served"),
        ):
            self.assertEqual(self.link(network, request(giaddr=giaddr), came), name, giaddr)
            self.assertEqual(self.link(network, request(giaddr=giaddr, ciaddr="10.77.0.100"), came), name, giaddr)

    def test_r06_subnet_selection(self) -> None:
        """Option 118 goes before giaddr; a subnet that is not ours, or no address, gets no reply."""
        network = site(SITE)
        came = arrival("10.77.0.2")
        for giaddr in ("0.0.0.0", "10.77.0.1", "192.0.2.7"):
            for address, name in (
                ("10.78.0.0", B),
                ("10.78.0.9", B),
                ("203.0.113.0", "the subnet 203.0.113.0 that it asks for is not served"),
                ("10.80.0.0", "10.80.0.0/24 is not served"),
            ):
                self.assertEqual(self.link(network, request(giaddr=giaddr, options=selection(address)), came), name)
        for octets in (b"", b"\x0a\x4e\0", bytes(5)):
            self.assertEqual(
                self.link(network, request(options={118: octets}), came), "its subnet selection is no address"
            )

    def test_r07_link_selection(self) -> None:
        """Sub-option 5 of option 82 goes before all else, but not to where no relay can be (D07)."""
        network = site(SITE)
        came = arrival("10.77.0.2")
        message = request(giaddr="10.77.0.1", options=selection("10.77.0.0") | link_selection("10.78.0.0"))
        self.assertEqual(self.link(network, message, came), B)
        for giaddr in ("0.0.0.1", "224.0.0.1", "255.255.255.255", "10.77.0.255", "10.80.0.0"):
            told = self.link(network, request(giaddr=giaddr, options=link_selection("10.78.0.0")), came)
            self.assertEqual(told, f"it came by the relay {giaddr}, which no machine can be")
        message = request(giaddr="10.77.0.1", options=link_selection("203.0.113.0"))
        self.assertEqual(self.link(network, message, came), "the subnet 203.0.113.0 that it asks for is not served")

    def test_by_unicast_from_its_address(self) -> None:
        """A machine that renews through a router is on the link of its address, which it must show."""
        network = site(SITE)
        for ciaddr, source, to_everybody, name in (
            ("10.78.0.100", "10.78.0.100", False, B),
            ("10.78.0.100", "10.78.0.100", True, A),
            ("10.78.0.100", "10.78.0.101", False, A),
            ("10.78.0.100", "0.0.0.0", False, A),
            ("0.0.0.0", "0.0.0.0", False, A),
            ("192.0.2.9", "192.0.2.9", False, "the network of its address 192.0.2.9 is not served"),
            ("10.80.0.9", "10.80.0.9", False, "10.80.0.0/24 is not served"),
        ):
            came = arrival("10.77.0.2", source=source, to_everybody=to_everybody)
            self.assertEqual(self.link(network, request(ciaddr=ciaddr), came), name, f"{ciaddr} from {source}")

    def test_a_proxy_of_no_subnets(self) -> None:
        """It serves whoever asks, wherever from, and knows no subnet of theirs."""
        network = site("")
        self.assertEqual(network.links, ())
        for message in (
            request(),
            request(giaddr="192.0.2.1"),
            request(ciaddr="192.0.2.9"),
            request(options=selection("192.0.2.0")),
            request(giaddr="192.0.2.1", options=link_selection("192.0.2.0")),
        ):
            scope = self.found(network, message, arrival("10.77.0.2", source="192.0.2.9", to_everybody=False))
            self.assertEqual((scope.link.name, scope.link.mode, scope.link.subnets), ("", "proxy", ()))
            self.assertEqual((scope.identity, scope.fixed, scope.refusal), ("hw:01:02:aa:00:00:00:01", None, ""))

    def test_a_proxy_beside_a_server(self) -> None:
        """Where the service is a proxy, networks that no subnet names have one; but none that is asked for by name."""
        network = site(GOOD.replace('mode = "server"\n', "", 1) + 'mode = "server"\n' + OFF)
        self.assertEqual(self.link(network, request(), arrival("10.77.0.2")), A)
        self.assertEqual(self.link(network, request(), arrival("192.0.2.9")), "")
        self.assertEqual(self.link(network, request(giaddr="192.0.2.1"), arrival("10.77.0.2")), "")
        self.assertEqual(self.link(network, request(), arrival("10.80.0.2")), "10.80.0.0/24 is not served")
        asked = request(options=selection("192.0.2.0"))
        self.assertIn("that it asks for is not served", self.link(network, asked, arrival("10.77.0.2")))

    @given(
        st.integers(0, 3).map(lambda n: f"10.{77 + n}.0.9") | st.just("192.0.2.1") | st.just("0.0.0.0"),
        st.integers(0, 4).map(lambda n: f"10.{76 + n}.0.100") | st.just("0.0.0.0"),
        st.none() | st.integers(0, 4).map(lambda n: f"10.{76 + n}.0.0"),
        st.none() | st.integers(0, 4).map(lambda n: f"10.{76 + n}.0.0"),
        st.booleans(),
        st.booleans(),
        st.lists(st.integers(76, 80), max_size=3),
    )
    def test_against_a_naive_model(
        self,
        giaddr: str,
        ciaddr: str,
        selected: str | None,
        link_selected: str | None,
        shows: bool,
        to_everybody: bool,
        ours: list[int],
    ) -> None:
        """The first of what speaks of a link decides, looked up by reading the list of subnets from the top."""
        network = site(SITE)

        def naive(address: str) -> str | None:
            names = {"10.77": A, "10.78": B, "10.79": "10.79.0.0/24", "10.80": "off"}
            return names.get(".".join(address.split(".")[:2]))

        source = ciaddr if shows else "0.0.0.0"
        if link_selected is not None:
            expected = naive(link_selected)
        elif selected is not None:
            expected = naive(selected)
        elif giaddr != "0.0.0.0":
            expected = B if giaddr == "192.0.2.1" else naive(giaddr)
        elif not to_everybody and ciaddr != "0.0.0.0" and shows:
            expected = naive(ciaddr)
        else:
            expected = next((found for each in ours if (found := naive(f"10.{each}.0.2"))), None)
        options = {} if selected is None else selection(selected)
        options |= {} if link_selected is None else link_selection(link_selected)
        came = arrival(*(f"10.{each}.0.2" for each in ours), source=source, to_everybody=to_everybody)
        scope = self.scope(network, request(giaddr=giaddr, ciaddr=ciaddr, options=options), came)
        found = scope.link.name if isinstance(scope, Scope) else None
        self.assertEqual(found, None if expected == "off" else expected)

    def test_at_an_interface(self) -> None:
        """Which link an interface serves, before anything came in there."""
        network = site(SITE)
        for addresses, name in ((("10.77.0.2",), A), (("192.0.2.9", "10.79.0.2"), "10.79.0.0/24")):
            found = network.at(map(ip, addresses))
            self.assertEqual(found and found.name, name)
        for nothing in (("10.80.0.2",), ("192.0.2.9",), ()):
            self.assertIsNone(network.at(map(ip, nothing)))


class IdentityTests(NetworkCase):
    """The key of a machine's lease."""

    def identity(self, policy: str, options: dict[int, bytes], hwaddr: bytes = HWADDR, hlen: int = 6) -> str:
        """What it is under a policy."""
        message = request(hwaddr, options=options)._replace(hlen=hlen)
        return self.found(site(GOOD + f'identity = "{policy}"'), message, arrival("10.77.0.2")).identity

    def test_d36_policies(self) -> None:
        """By the link address, or as RFC 2131 §4.2 demands by option 61, or by the UUID; each falls back."""
        uuid = bytes(range(1, 17))
        client_id, board = {61: b"\1\2\3"}, {97: b"\0" + uuid}
        link, own = "hw:01:02:aa:00:00:00:01", "id:010203"
        for policy, options, identity in (
            ("chaddr", client_id | board, link),
            ("client-id", client_id | board, own),
            ("client-id", board, link),
            ("client-id", {61: b"\1"}, link),
            ("client-id", {61: bytes(256)}, link),
            ("client-id", {61: bytes(255)}, "id:" + "00" * 255),
            ("uuid", client_id | board, f"uuid:{uuid.hex()}"),
            ("uuid", client_id, link),
            ("uuid", {97: b"\0" + bytes(16)}, link),
        ):
            self.assertEqual(self.identity(policy, options), identity, f"{policy} {options}")
        for policy in ("chaddr", "client-id", "uuid"):
            self.assertEqual(self.identity(policy, client_id, hlen=0), own, policy)

    def test_d36_one_client_two_cards(self) -> None:
        """In strict mode the same option 61 is the same machine, whatever its card; else the card is."""
        for policy, same in (("client-id", True), ("chaddr", False)):
            found = {self.identity(policy, {61: b"\1\2\3"}, hwaddr) for hwaddr in (HWADDR, b"\4" * 6)}
            self.assertEqual(len(found) == 1, same, policy)

    def test_d51_octet_by_octet(self) -> None:
        """A DUID is an octet string like any other: no part of it is read."""
        duid = b"\xff" + b"\0\0\0\1" + b"\0\1\0\1" + b"\x2a\x2b\x2c\x2d" + HWADDR
        other = b"\xff" + b"\0\0\0\2" + duid[5:]
        self.assertEqual(self.identity("client-id", {61: duid}), f"id:{duid.hex()}")
        self.assertNotEqual(self.identity("client-id", {61: duid}), self.identity("client-id", {61: other}))


class HostTests(NetworkCase):
    """What the settings say of single machines."""

    RESERVED = SITE + HOST + 'client_id = "01:02"\ncircuit = "port 1"\naddress = "10.77.0.50"\nname = "node1"\n'

    def test_a_reservation(self) -> None:
        """Its address is kept for it on its link, under one key, and elsewhere it is a machine like others."""
        network = site(self.RESERVED)
        here = self.found(network, request(), arrival("10.77.0.2"))
        self.assertEqual((here.fixed, here.identity), (ip("10.77.0.50"), "hw:01:02:aa:00:00:00:01"))
        self.assertEqual(here.host and here.host.name, "node1")
        self.assertEqual(here.parameters(here.link.subnets[0]).options[12], b"node1")
        there = self.found(network, request(), arrival("10.78.0.2"))
        self.assertEqual((there.fixed, there.host), (None, here.host))

    def test_r11_by_circuit(self) -> None:
        """Whatever machine is plugged in there has the address, and the lease of the one before it."""
        network = site(self.RESERVED)
        came = arrival("192.0.2.9")
        found = [
            self.found(network, request(hwaddr, giaddr="10.77.0.1", options=circuit(b"port 1")), came)
            for hwaddr in (b"\2" * 6, b"\4" * 6)
        ]
        self.assertEqual([scope.fixed for scope in found], [ip("10.77.0.50")] * 2)
        self.assertEqual(found[0].identity, found[1].identity)

    def test_without_an_address(self) -> None:
        """A host that only says what boots is known again as others are: two at one circuit do not share a lease."""
        network = site(GOOD + '[[host]]\ncircuit = "port 1"\nboot = "debian"\n')
        found = [
            self.found(network, request(hwaddr, giaddr="10.77.0.1", options=circuit(b"port 1")), arrival("192.0.2.9"))
            for hwaddr in (b"\2" * 6, b"\4" * 6)
        ]
        self.assertEqual([scope.host and scope.host.boot for scope in found], ["debian"] * 2)
        self.assertNotEqual(found[0].identity, found[1].identity)

    def test_ignored(self) -> None:
        """It gets nothing, and it is said why."""
        network = site(GOOD + HOST + "ignore = true")
        self.assertIn("ignored", self.found(network, request(), arrival("10.77.0.2")).refusal)
        self.assertEqual(self.found(network, request(b"\4" * 6), arrival("10.77.0.2")).refusal, "")

    def test_what_does_not_fit(self) -> None:
        """Who makes a network of settings is told of hosts that are not of it."""
        settings = read(GOOD + HOST + 'address = "10.77.0.5"')
        error = self.assertRaises(ConfigError, Network, read(OTHER + 'mode = "server"').dhcp, settings.host)
        self.assertIn("host[1].address", str(error))


class AdmissionTests(NetworkCase):
    """Who may have anything."""

    def refusal(self, network: Network, hwaddr: bytes, at: str = "10.77.0.2", vendor: bytes = b"") -> str:
        """Why a machine gets nothing."""
        return self.found(network, request(hwaddr, options={60: vendor}), arrival(at)).refusal

    def test_lists(self) -> None:
        """Who is denied gets nothing, whatever allows it; where somebody is allowed, nobody else is."""
        stranger, lab = b"\4" * 6, HWADDR
        start = GOOD.split("[[", 1)
        cases: tuple[tuple[str, bytes, bytes, str], ...] = (
            ("", stranger, b"", ""),
            ('deny = ["lab"]', stranger, b"", ""),
            ('deny = ["lab"]', lab, b"", 'dhcp denies "lab"'),
            ('allow = ["lab"]', lab, b"", ""),
            ('allow = ["lab"]', stranger, b"", 'dhcp allows "lab" alone'),
            ('allow = ["lab", "pxe"]', stranger, b"PXEClient", ""),
            ('allow = ["lab"]\ndeny = ["pxe"]', lab, b"PXEClient", 'dhcp denies "pxe"'),
            ('allow = ["lab"]\ndeny = ["pxe"]', lab, b"", ""),
            ('deny = ["unknown"]', stranger, b"", 'dhcp denies "unknown"'),
            ('deny = ["unknown"]', lab, b"", 'dhcp denies "unknown"'),
            ('deny = ["unknown"]', b"\2" * 6, b"", ""),
            ('allow = ["known"]', b"\2" * 6, b"", ""),
            ('allow = ["known"]', stranger, b"", 'dhcp allows "known" alone'),
            ('deny = ["known"]', b"\2" * 6, b"", 'dhcp denies "known"'),
        )
        host = '[[host]]\nmac = "02:02:02:02:02:02"\n'
        for lists, hwaddr, vendor, refusal in cases:
            network = site(f"{start[0]}{lists}\n[[{start[1]}{LAB}{host}")
            self.assertEqual(self.refusal(network, hwaddr, vendor=vendor), refusal, lists)
            # A subnet's own lists do the same there, and nothing elsewhere.
            network = site(f"{GOOD}{lists}\n{OTHER}{LAB}{host}")
            self.assertEqual(self.refusal(network, hwaddr, vendor=vendor), refusal.replace("dhcp", A), lists)
            self.assertEqual(self.refusal(network, hwaddr, "10.78.0.2", vendor), "", lists)

    def test_a_wire_with_doors(self) -> None:
        """Of a wire's subnets a machine has those that it is allowed in: their pool, and no other."""
        network = site(GOOD + 'shared = "a"\nallow = ["lab"]\n' + OTHER + 'shared = "a"\ndeny = ["lab", "pxe"]\n' + LAB)
        (whole,) = network.links
        for hwaddr, vendor, inside, outside in (
            (HWADDR, b"", "10.77.0.100", "10.78.0.100"),
            (b"\4" * 6, b"", "10.78.0.100", "10.77.0.100"),
        ):
            found = [
                self.found(network, request(hwaddr, options={60: vendor}), arrival(at)).link
                for at in ("10.77.0.2", "10.78.0.2")
            ]
            self.assertIs(found[0], found[1])
            self.assertEqual((found[0].name, len(found[0].subnets)), ("a", 1))
            self.assertIn(ip(inside), found[0].pool)
            self.assertNotIn(ip(outside), found[0].pool)
            self.assertIsNone(found[0].subnet_of(ip(outside)))
        both = self.found(network, request(b"\4" * 6, options={60: b"PXEClient"}), arrival("10.77.0.2"))
        self.assertIs(both.link, whole)
        self.assertEqual(both.refusal, f'{A} allows "lab" alone; {B} denies "pxe"')

    def test_the_same_doors(self) -> None:
        """Machines of any kinds that are allowed in the same subnets have one pool, however many kinds there are."""
        names = [f"c{number}" for number in range(13)]
        text = "".join(f'[[dhcp.class]]\nname = "{name}"\nvendor = "*{name};*"\n' for name in names)
        network = site(GOOD + 'shared = "a"\n' + OTHER + 'shared = "a"\ndeny = ["c0"]\n' + text)
        whole = network.links[0]
        for number in range(2**13):
            chosen = [name for bit, name in enumerate(names) if number >> bit & 1]
            vendor = "".join(f"{name};" for name in chosen).encode()
            scope = self.found(network, request(options={60: vendor}), arrival("10.77.0.2"))
            self.assertEqual(scope.classes, tuple(chosen))
            self.assertEqual(len(scope.link.subnets), 1 if "c0" in chosen else 2)
            self.assertIs(scope.link.pool if "c0" not in chosen else whole.pool, whole.pool)
        first, second = (
            self.found(network, request(options={60: vendor}), arrival("10.77.0.2")).link
            for vendor in (b"c0;", b"c0;c1;")
        )
        self.assertIs(first, second)
        self.assertLessEqual(len(network._judged), 4096)

    def test_one_network_in_two_parts(self) -> None:
        """Phones here, others there: each part of one network has its own pool and parameters."""
        document = GOOD + 'allow = ["lab"]\ndomain = "lab.test"\n'
        document += f'[[dhcp.subnet]]\nnetwork = "{A}"\npool = ["10.77.0.9"]\ndeny = ["lab"]\ndomain = "other.test"\n'
        network = site(document + LAB + '[[host]]\nmac = "04:04:04:04:04:04"\naddress = "10.77.0.5"\n')
        for hwaddr, size, domain in ((HWADDR, 100, b"lab.test"), (b"\4" * 6, 1, b"other.test")):
            scope = self.found(network, request(hwaddr), arrival("10.77.0.2"))
            self.assertEqual(scope.link.pool.size, size)
            (part,) = scope.link.subnets
            self.assertIs(scope.link.subnet_of(ip("10.77.0.5")), part)
            self.assertEqual(scope.parameters(part).options[15], domain)
        self.assertEqual(self.found(network, request(b"\4" * 6), arrival("10.77.0.2")).fixed, ip("10.77.0.5"))


class OwnTests(NetworkCase):
    """Our own addresses."""

    def test_never_given_out(self) -> None:
        """Nor are a host's; what is no longer ours is the pool's again."""
        document = GOOD + HOST + 'address = "10.77.0.101"\n'
        network = site(document)
        self.assertEqual(network.links[0].pool.size, 99)
        network.own([ip("10.77.0.100"), ip("10.78.0.1")])
        self.assertEqual(network.links[0].pool.size, 98)
        self.assertNotIn(ip("10.77.0.100"), self.found(network, request(), arrival("10.77.0.2")).link.pool)
        network.own([ip("10.77.0.102")])
        self.assertIn(ip("10.77.0.100"), self.found(network, request(), arrival("10.77.0.2")).link.pool)
        self.assertNotIn(ip("10.77.0.102"), network.links[0].pool)

    def test_nothing_new(self) -> None:
        """While they stay the same, so do the links."""
        network = site(GOOD)
        network.own([ip("10.77.0.100")])
        links = network.links
        network.own({ip("10.77.0.100")})
        self.assertIs(network.links, links)

    def test_in_part_of_a_wire(self) -> None:
        """They are in no pool of those that some are allowed in alone."""
        network = site(GOOD + 'shared = "a"\nallow = ["lab"]\n' + OTHER + 'shared = "a"\n' + LAB)
        for own in ("10.78.0.100", "10.78.0.101"):
            network.own([ip(own)])
            pool = self.found(network, request(b"\4" * 6), arrival("10.77.0.2")).link.pool
            outside = [n for n in range(100, 200) if IPv4Address(f"10.78.0.{n}") not in pool]
            self.assertEqual(outside, [int(own[-3:])])
