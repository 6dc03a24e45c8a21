"""Tests of `pixelboot.tap.examine`: which interfaces are served, and what this machine does not have."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import ConfigError
from pixelboot.malformed import Malformed
from pixelboot.site import Site, read
from pixelboot.tap import examine
from pixelboot.tap.examine import EVERYTHING
from pixelboot.udp.interfaces import Interface
from tests.running import folder_for

reactor = cast("Any", _reactor)


def subnet(network: str, mode: str) -> dict[str, object]:
    """A subnet that is served so; it has a pool if it needs one."""
    first = network.partition("/")[0].removesuffix("0")
    return {"network": network, "mode": mode, "pool": [f"{first}100-{first}199"] if mode == "server" else []}


def interface(name: str, *addresses: str) -> Interface:
    """An interface that has these addresses."""
    return Interface(name, len(name), tuple(map(IPv4Address, addresses)))


class MachineCase(SynchronousTestCase):
    """A machine with interfaces, addresses and a default route that the test chooses."""

    def setUp(self) -> None:
        self.machine = {
            "lo": interface("lo", "127.0.0.1"),
            "eno1": interface("eno1", "10.77.0.1", "192.0.2.1"),
            "eno2": interface("eno2", "10.88.0.1"),
            "eno3": interface("eno3"),
        }
        self.route = "eno1"
        self.patch(examine, "interfaces", lambda: dict(self.machine))
        self.patch(examine, "default_interface", lambda: self.route)


class InterfaceTests(MachineCase):
    """Where DHCP is served."""

    def serving(self, **dhcp: object) -> list[str]:
        """The interfaces for these settings."""
        return list(examine.serving(read({"dhcp": dhcp})))

    def refused(self, told: str, **dhcp: object) -> None:
        """These settings name something that is not here; this is what is told, but for what comes behind."""
        error = self.assertRaises(ConfigError, self.serving, **dhcp)
        self.assertTrue(str(error).startswith(told), f"{error} does not start with {told}")

    def test_a_proxy_serves_the_default_route(self) -> None:
        """Without settings; names win."""
        self.assertEqual(self.serving(), ["eno1"])
        self.route = ""
        self.assertEqual(self.serving(interface="lo"), ["lo"])
        self.assertEqual(self.serving(interface=["eno2", "eno1"]), ["eno2", "eno1"])
        self.refused('dhcp.interface = "": must be named, as there is no default route: there are eno1, eno2, eno3, lo')

    def test_subnets_imply_interfaces(self) -> None:
        """Every one that has an address in some subnet that is served, in whichever mode, and whatever the routes."""
        off, proxy = subnet("192.0.2.0/24", "off"), subnet("10.88.0.0/24", "proxy")
        there, elsewhere = subnet("10.77.0.0/24", "server"), subnet("198.51.100.0/24", "server")
        for mode, subnets, names in (
            ("off", [off, there], ["eno1"]),
            ("off", [off, proxy], ["eno2"]),
            ("server", [there, proxy, elsewhere], ["eno1", "eno2"]),
            ("proxy", [there], ["eno1"]),
            ("proxy", [off], ["eno1"]),  # whose machines are served where no subnet says otherwise
        ):
            self.assertEqual(self.serving(mode=mode, subnet=subnets), names, f"{mode} {subnets}")
        told = 'dhcp.interface = "": must be named: none has an address in 198.51.100.0/24; there are eno1, eno2, eno3'
        self.refused(told, mode="server", subnet=[off, elsewhere])

    def test_one_that_is_named_is_waited_for(self) -> None:
        """Whether it is not there, or has no address yet: that is no mistake, but it is told who checks."""
        site = read({"dhcp": {"interface": ["eno2", "eno3", "eno9"]}})
        self.assertEqual(list(examine.serving(site)), ["eno2", "eno3"])
        self.assertEqual(
            examine.doubts(site, EVERYTHING),
            [
                "dhcp.interface: eno3 has no IPv4 address now, it would be waited for",
                "dhcp.interface: there is no eno9 now, it would be waited for; there are eno1, eno2, eno3, lo",
            ],
        )
        self.assertEqual(examine.doubts(site, frozenset({"tftp"})), [])
        self.assertEqual(examine.doubts(read({"dhcp": {"interface": "eno1"}}), EVERYTHING), [])
        self.assertEqual(examine.doubts(read({"dhcp": {"mode": "off", "interface": "eno9"}}), EVERYTHING), [])

    def test_one_that_relays_alone_reach(self) -> None:
        """Its own machines belong to no subnet: it may be so, or a subnet is misspelt."""
        elsewhere = subnet("198.51.100.0/24", "server")
        for mode, names, lines in (
            ("server", ["eno2"], 1),
            ("server", ["eno1", "eno2"], 2),
            ("server", ["eno3"], 1),  # which is waited for
            ("off", "eno2", 1),
            ("proxy", "eno2", 0),  # as a proxy serves every network
        ):
            site = read({"dhcp": {"interface": names, "mode": mode, "subnet": [elsewhere]}})
            told = examine.doubts(site, EVERYTHING)
            self.assertEqual(len(told), lines, f"{mode} {names} {told}")
        site = read({"dhcp": {"interface": "eno1", "mode": "server", "subnet": [elsewhere]}})
        line = "dhcp.interface: eno1 (10.77.0.1, 192.0.2.1) has no address in a subnet, only relays are answered there"
        self.assertEqual(examine.doubts(site, EVERYTHING), [line])
        site = read({"dhcp": {"interface": "eno1", "mode": "server", "subnet": [subnet("192.0.2.0/24", "server")]}})
        self.assertEqual(examine.doubts(site, EVERYTHING), [])

    def test_the_address_is_of_an_interface(self) -> None:
        """What machines shall call us must be an address that they reach us at, as far as that is known."""
        self.assertEqual(self.serving(interface="eno1", address="192.0.2.1"), ["eno1"])
        self.assertEqual(self.serving(interface=["eno1", "eno2"], address="10.88.0.1"), ["eno1", "eno2"])
        for names, has in ((["eno1"], "10.77.0.1, 192.0.2.1"), (["eno1", "lo"], "10.77.0.1, 192.0.2.1, 127.0.0.1")):
            told = f'dhcp.address = "10.88.0.1": must be an address of {", ".join(names)}, which has {has}'
            self.refused(told, interface=names, address="10.88.0.1")
        for waits in ("eno3", "eno9"):
            self.serving(interface=["eno1", waits], address="198.51.100.9")

    def test_a_system_that_does_not_tell(self) -> None:
        """No more descriptors, or no /proc: one line."""

        def broken() -> dict[str, Interface]:
            raise OSError(24, "Too many open files")

        self.patch(examine, "interfaces", broken)
        told = "the interfaces of this machine cannot be read: [Errno 24] Too many open files"
        for settings, parts in (({}, {"dhcp"}), ({"tftp": {"address": "192.0.2.1"}}, {"tftp"})):
            error = self.assertRaises(Malformed, examine.examine, read(settings), frozenset(parts), reactor)
            self.assertEqual(str(error), told)


class RuleTests(MachineCase):
    """The rule by which interfaces are found while the server runs."""

    def test_names(self) -> None:
        """They are what they are."""
        rule = examine.listening(read({"dhcp": {"interface": ["eno9", "eno1"]}}))
        for machine in (self.machine, {}):
            self.assertEqual(rule(machine), ("eno9", "eno1"))

    def test_the_default_route(self) -> None:
        """A tunnel that has it for a while does not take the proxy with it; nor does an interface that went."""
        rule = examine.listening(read({}))
        for self.route in ("eno1", "tun0", ""):
            self.assertEqual(rule(self.machine), ("eno1",))
        self.assertEqual(rule({}), ("eno1",))

    def test_addresses_in_subnets(self) -> None:
        """They come and go; an interface without any keeps its place until it has one elsewhere, or is no more."""
        rule = examine.listening(read({"dhcp": {"mode": "server", "subnet": [subnet("10.77.0.0/24", "server")]}}))
        for name, addresses, found in (
            ("eno3", [], ["eno1"]),
            ("eno3", ["192.0.2.5", "10.77.0.5"], ["eno1", "eno3"]),
            ("eno3", [], ["eno1", "eno3"]),
            ("eno1", [], ["eno1", "eno3"]),
            ("eno3", ["192.0.2.5"], ["eno1"]),
            ("eno3", [], ["eno1"]),
            ("eno1", ["10.77.0.2"], ["eno1"]),
        ):
            self.machine[name] = interface(name, *addresses)
            self.assertEqual(rule(self.machine), found, f"{name} {addresses}")
        gone = self.machine.pop("eno1")
        self.assertEqual(rule(self.machine), [])
        self.machine["eno1"] = interface("eno1")
        self.assertEqual(rule(self.machine), [])
        self.machine["eno1"] = gone
        self.assertEqual(rule(self.machine), ["eno1"])


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
        table = self.mktemp()
        Path(table).write_text(
            "fe800000000000000000000000000001 02 40 20 80 eth0\n00000000000000000000000000000001 01 80 10 80 lo\n"
        )
        self.patch(examine, "_IPV6_ADDRESSES", table)
        for tftp, told in (
            ({"root": "/nonexistent"}, 'tftp.root = "/nonexistent": must be a folder that exists'),
            ({"address": "198.51.100.9"}, 'tftp.address = "198.51.100.9": must be an address of this machine: '),
            (
                {"address6": "2001:db8::9"},
                'tftp.address6 = "2001:db8::9": must be an address of this machine: ::1, fe80',
            ),
            ({"address6": "fe80::2%none0"}, 'tftp.address6 = "fe80::2%none0": must be an address of this machine: '),
        ):
            error = self.assertRaises(ConfigError, examine.examine, self.site(**tftp), EVERYTHING, None)
            self.assertTrue(str(error).startswith(told), str(error))
        examine.examine(self.site(address="127.0.0.9"), EVERYTHING, None)
        for address in ("::1", "fe80::1%eth0", "::", ""):
            examine.examine(self.site(address6=address), EVERYTHING, None)
        self.patch(examine, "_IPV6_ADDRESSES", "/nonexistent")
        error = self.assertRaises(ConfigError, examine.examine, self.site(address6="::1"), EVERYTHING, None)
        self.assertTrue(str(error).endswith("of this machine: none"), str(error))

    def test_where_clients_write(self) -> None:
        """In folders that are there, and apart from everything that is served or kept."""
        base = folder_for(self.addCleanup)
        for name in ("tftp/dumps", "state", "crash"):
            (base / name).mkdir(parents=True)
        for write, told in (
            ({"folder": "dumps"}, ""),
            ({"path": f"{base}/crash"}, ""),
            ({"folder": "gone"}, "tftp.write[1].folder"),
            ({"path": f"{base}/tftp"}, "must be apart from tftp.root"),
            ({"path": f"{base}/state"}, "must be apart from state"),
            ({"path": "/usr/lib"}, "must be apart from the installed boot loaders"),
        ):
            site = replace(self.site(root=f"{base}/tftp", write=[write]), state=f"{base}/state")
            if not told:
                examine.examine(site, EVERYTHING, None)
                continue
            error = self.assertRaises(ConfigError, examine.examine, site, EVERYTHING, None)
            self.assertIn(told, str(error))
        examine.examine(self.site(write=[{"folder": "gone"}]), frozenset({"http"}), None)


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
