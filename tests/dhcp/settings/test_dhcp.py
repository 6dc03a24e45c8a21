"""The settings of the service: what is taken, and what is refused by which name."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from pixelboot.dhcp.settings.option import octets
from tests.dhcp.settings.case import GOOD, OTHER, Refusal, SettingsCase, read

REFUSED: tuple[Refusal, ...] = (
    ("a mode that there is not", '[dhcp]\nmode = "relay"', "dhcp.mode", '"proxy", "server", "off"'),
    ("server without a subnet", '[dhcp]\nmode = "server"', "dhcp.mode", "[[dhcp.subnet]]"),
    ("one port for both", "[dhcp]\nport = 4011", "dhcp.proxy_port", "must not be dhcp.port"),
    ("proxy port 0", "[dhcp]\nproxy_port = 0", "dhcp.proxy_port", "from 1 to 65535"),
    ("port 0", "[dhcp]\nport = 0", "dhcp.port", "from 1 to 65535"),
    ("port as a text", '[dhcp]\nport = "67"', "dhcp.port", "whole number"),
    ("a server of no address", '[dhcp]\naddress = "here"', "dhcp.address", "an IPv4 address"),
    ("a subnet that is no list", "[dhcp.subnet]\n", "dhcp.subnet", "an array of tables"),
    ("an unknown key", '[dhcp]\nmod = "server"', "dhcp.mod", "did you mean dhcp.mode?"),
    ("D18 offer too short", "[dhcp]\noffer_time = 29", "dhcp.offer_time", "from 30"),
    ("rest too short", "[dhcp]\ndecline_time = 59.9", "dhcp.decline_time", "from 60"),
    ("interface with a slash", '[dhcp]\ninterface = "../eth0"', "dhcp.interface", "at most 15 characters"),
    ("interface with a space", '[dhcp]\ninterface = ["eno1 "]', "dhcp.interface", "no spaces, no slashes"),
    ("long interface", '[dhcp]\ninterface = "abcdefghijklmnop"', "dhcp.interface", "at most 15 characters"),
    ("no interface among some", '[dhcp]\ninterface = ["eno1", ""]', "dhcp.interface", "at most 15 characters"),
    ("an interface twice", '[dhcp]\ninterface = ["eno1", "eno1"]', "dhcp.interface", "each interface once"),
    ("a probe that holds up the boot", "[dhcp]\nprobe_time = 0.6", "dhcp.probe_time", "from 0 to 0.5"),
    ("a probe of no number", "[dhcp]\nprobe_time = nan", "dhcp.probe_time", "from 0 to 0.5"),
    ("leases that are never renewed", "[dhcp]\nreuse = 0.6", "dhcp.reuse", "from 0 to 0.5"),
    ("a leasequery by name", '[dhcp]\nleasequery = ["router"]', "dhcp.leasequery", "an IPv4 network"),
    ("a leasequery of a host with bits", '[dhcp]\nleasequery = ["10.0.0.1/8"]', "dhcp.leasequery", "an IPv4 network"),
    ("no offers", "[dhcp]\noffers_per_port = 0", "dhcp.offers_per_port", "from 1"),
    ("no offers by a relay", "[dhcp]\noffers_per_relay = 0", "dhcp.offers_per_relay", "from 1"),
    ("authority as a text", '[dhcp]\nauthoritative = "yes"', "dhcp.authoritative", "true or false"),
)

WHOLE = """
[dhcp]
mode = "server"
interface = ["eno1", "eno2"]
address = "10.77.0.2"
port = 6767
proxy_port = 4012
offer_time = 30
decline_time = 60
authoritative = true
rapid_commit = true
bootp = true
probe_time = 0
reuse = 0
trust_relay_information = true
leasequery = ["10.77.0.1", "192.0.2.0/24"]
offers_per_port = 1
offers_per_relay = 1
echo_client_system = true
options = { "ntp-servers" = ["10.0.0.1"], "224" = "hex:0102" }
allow = ["known", "uefi"]
deny = ["phones"]
[[dhcp.class]]
name = "uefi"
architecture = ["uefi-x64", 7]
[[dhcp.class]]
name = "phones"
vendor = "phone*"
[[dhcp.subnet]]
network = "10.77.0.0/24"
pool = ["10.77.0.100-10.77.0.199"]
"""


class Taken(SettingsCase):
    """What is right."""

    def test_nothing_is_a_proxy(self) -> None:
        """Without settings nobody is given an address, and who wants to boot is told what."""
        settings = read("").dhcp
        self.assertEqual(
            (settings.mode, settings.subnet, settings.address, settings.interface), ("proxy", (), None, ())
        )
        self.assertEqual((settings.port, settings.proxy_port), (67, 4011))
        self.assertEqual((settings.authoritative, settings.rapid_commit, settings.bootp), (False, False, False))
        self.assertEqual((settings.trust_relay_information, settings.leasequery), (False, ()))
        self.assertEqual(settings.modes, {"proxy"})

    def test_everything(self) -> None:
        """Every key, and what it comes to."""
        settings = read(WHOLE).dhcp
        self.assertEqual((settings.interface, settings.port), (("eno1", "eno2"), 6767))
        self.assertEqual((settings.address, settings.probe_time, settings.reuse), (IPv4Address("10.77.0.2"), 0.0, 0.0))
        self.assertEqual(settings.leasequery, (IPv4Network("10.77.0.1/32"), IPv4Network("192.0.2.0/24")))
        self.assertEqual(octets(settings.options), {42: bytes((10, 0, 0, 1)), 224: b"\1\2"})
        self.assertEqual([each.name for each in settings.classes], ["uefi", "phones"])
        self.check_written_and_read(WHOLE)

    def test_modes(self) -> None:
        """A subnet says how it is served, or else the service does; off everywhere means nothing to do."""
        off, proxy, bare = 'mode = "off"\n', 'mode = "proxy"\n', OTHER.split("pool")[0]
        for document, modes in (
            ('[dhcp]\nmode = "off"', set()),
            (GOOD, {"server"}),
            (GOOD + off, set()),
            (GOOD + bare + proxy, {"server", "proxy"}),
            (GOOD.replace("server", "proxy", 1) + 'mode = "server"', {"server", "proxy"}),
            (GOOD.replace("server", "off", 1) + OTHER, set()),
            (GOOD.replace("server", "off", 1) + OTHER + 'mode = "server"', {"server"}),
        ):
            self.assertEqual(read(document).dhcp.modes, modes, document)
            self.check_written_and_read(document)

    def test_the_address_that_machines_are_told(self) -> None:
        """Any: behind relays a server is in none of its subnets.  That it is this machine's is seen at the start."""
        for address in ("192.0.2.1", "10.77.0.2"):
            document = GOOD.replace("[[", f'address = "{address}"\n[[')
            self.assertEqual(read(document).dhcp.address, IPv4Address(address))


class Refused(SettingsCase):
    """What is wrong."""

    def test_refused(self) -> None:
        """An error with key, value, and what is allowed: D18, how long an offer is kept."""
        self.check_refused(REFUSED)
