"""Tests of `pixelboot.tap.examine`: which interface is served, and what this machine does not have."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import ConfigError
from pixelboot.site import Site, read
from pixelboot.tap import examine
from pixelboot.tap.examine import EVERYTHING
from pixelboot.udp.interfaces import Interface
from tests.running import folder_for

SUBNET = {"network": "127.0.0.0/24", "pool": ["127.0.0.100-127.0.0.199"]}


class InterfaceTests(SynchronousTestCase):
    """Where DHCP is served."""

    def serving(self, **dhcp: object) -> Interface:
        """The interface for these settings."""
        return examine.interface(read({"dhcp": dhcp}))

    def refused(self, key: str, told: str, **dhcp: object) -> None:
        """These settings name something that is not here."""
        error = self.assertRaises(ConfigError, self.serving, **dhcp)
        self.assertEqual(error.key, key)
        self.assertIn(told, str(error))

    def route(self, name: str) -> None:
        """Make `name` the interface of the default route."""
        self.patch(examine, "default_interface", lambda: name)

    def test_a_proxy_serves_the_default_route(self) -> None:
        """Without settings; a name wins."""
        self.route("lo")
        self.assertEqual(self.serving().name, "lo")
        self.route("")
        self.assertEqual(self.serving(interface="lo").name, "lo")

    def test_a_proxy_without_a_route(self) -> None:
        """Which interface, then, has to be said."""
        self.route("")
        self.refused("dhcp.interface", 'dhcp.interface = "": must be named, as there is no default route: one of ')
        self.refused("dhcp.interface", "must be one of", interface="gone0")

    def test_a_server_serves_its_subnet(self) -> None:
        """Whatever the routes are."""
        self.route("")
        self.assertEqual(self.serving(mode="server", subnet=[SUBNET]).name, "lo")
        elsewhere = {"network": "198.51.100.0/24", "pool": ["198.51.100.7-198.51.100.8"]}
        self.refused("dhcp.interface", "no interface has an address in the subnet", mode="server", subnet=[elsewhere])

    def test_the_address_is_the_interface_s(self) -> None:
        """What machines shall call us must be an address that they reach us at."""
        self.assertEqual(self.serving(interface="lo", address="127.0.0.1").name, "lo")
        told = "must be an address of lo, which has 127.0.0.1"
        self.refused("dhcp.address", told, interface="lo", address="198.51.100.9")


class TftpTests(SynchronousTestCase):
    """What TFTP serves, and where."""

    def site(self, **tftp: object) -> Site:
        """A site with nothing but TFTP."""
        return read({"dhcp": {"mode": "off"}, "http": {"listen": ""}, "tftp": tftp})

    def test_the_usual_root(self) -> None:
        """Without a setting it is the usual folder, where there is one."""
        folder = str(folder_for(self.addCleanup))
        self.patch(examine, "USUAL_TFTP_ROOT", folder)
        self.assertEqual(examine.tftp_root(self.site()), folder)
        self.patch(examine, "USUAL_TFTP_ROOT", f"{folder}/gone")
        self.assertEqual(examine.tftp_root(self.site()), "")
        self.assertEqual(examine.tftp_root(self.site(root=folder)), folder)

    def test_wrong_ones(self) -> None:
        """A folder and an address that are not here are refused with their keys."""
        for tftp, told in (
            ({"root": "/nonexistent"}, 'tftp.root = "/nonexistent": must be a folder that exists'),
            ({"address": "198.51.100.9"}, 'tftp.address = "198.51.100.9": must be an address of this machine: '),
        ):
            error = self.assertRaises(ConfigError, examine.examine, self.site(**tftp), EVERYTHING, None)
            self.assertTrue(str(error).startswith(told), str(error))
        examine.examine(self.site(address="127.0.0.9"), EVERYTHING, None)


class PartsTests(SynchronousTestCase):
    """What a part has no use for is not looked at."""

    def test_each_by_itself(self) -> None:
        """TFTP and HTTP alone need no default route, TFTP no containers, HTTP no address."""
        self.patch(examine, "default_interface", lambda: "")
        site = read({"http": {"root": "/nonexistent"}, "tftp": {"address": "198.51.100.9"}})
        for part, key in (("dhcp", "dhcp.interface"), ("tftp", "tftp.address"), ("http", "http.root")):
            error = self.assertRaises(ConfigError, examine.examine, site, frozenset({part}), None)
            self.assertEqual(error.key, key)
        examine.examine(read({}), frozenset({"tftp"}), None)
        off = read({"http": {"root": "/nonexistent", "listen": ""}, "dhcp": {"mode": "off"}})
        examine.examine(off, EVERYTHING, None)
        self.assertEqual(examine.wanted(off), {"tftp"})
