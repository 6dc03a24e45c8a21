"""Options as an operator writes them: the names and values are tested with `pixelboot.dhcp.message.names`."""

from __future__ import annotations

from pixelboot.dhcp.settings.option import octets
from tests.dhcp.settings.case import Refusal, SettingsCase, read

REFUSED: tuple[Refusal, ...] = (
    ("no such option", "[dhcp]\noptions = {ntp-serves = []}", "dhcp.options.ntp-serves", "ntp-servers"),
    ("a wrong type", '[dhcp]\noptions = {ntp-servers = "noon"}', "dhcp.options.ntp-servers", "address"),
    ("a wrong type in a list", "[dhcp]\noptions = {ntp-servers = [1]}", "dhcp.options.ntp-servers", "address"),
    ("a wrong number", '[dhcp]\noptions = {mtu = "big"}', "dhcp.options.mtu", "number"),
    ("O05 a width of 33", '[dhcp]\noptions = {121 = ["10.0.0.0/33 via 10.0.0.1"]}', "dhcp.options.121", ""),
    ("half an octet", '[dhcp]\noptions = {224 = "hex:0"}', "dhcp.options.224", "hex"),
    ("no option 0", '[dhcp]\noptions = {0 = "hex:00"}', "dhcp.options.0", "1 to 254"),
    ("no option 255", '[dhcp]\noptions = {255 = "hex:00"}', "dhcp.options.255", "1 to 254"),
    ("the mask", '[dhcp]\noptions = {1 = "255.0.0.0"}', "dhcp.options.1", "the subnet's network"),
    ("a value that is a table", "[dhcp]\noptions = {ntp-servers = {a = 1}}", "dhcp.options.ntp-servers", "address"),
    ("a date", "[dhcp]\noptions = {ntp-servers = 1979-05-27}", "dhcp.options.ntp-servers", "address"),
    (
        "one option by two names",
        '[dhcp]\noptions = {ntp-servers = ["10.0.0.1"], 42 = ["10.0.0.1"]}',
        "dhcp.options.42",
        "ntp-servers is the same option, 42",
    ),
)

OF_THE_SERVER = (50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 61, 80, 82, 93, 94, 97, 118)
"""Options that it sets itself, or that only clients and relays send."""


class OptionTests(SettingsCase):
    """The table ``options``."""

    def test_taken(self) -> None:
        """By name, by another name, by number; with a typed value and with octets."""
        document = (
            '[dhcp]\noptions = {ntp-servers = ["10.0.0.1", "10.0.0.2"], mtu = 1400, "domain-search" = ["lab.test"], '
            '"121" = ["10.17.0.0/16 via 10.0.0.1"], 224 = "hex:0102", root-path = "/srv"}'
        )
        self.assertEqual(
            octets(read(document).dhcp.options),
            {
                42: bytes((10, 0, 0, 1, 10, 0, 0, 2)),
                26: b"\5\x78",
                119: b"\3lab\4test\0",
                121: bytes.fromhex("100a110a000001"),
                224: b"\1\2",
                17: b"/srv",
            },
        )
        self.check_written_and_read(document)

    def test_refused(self) -> None:
        """The option that is wrong is named, and what it must be."""
        self.check_refused(REFUSED)

    def test_what_nobody_may_configure(self) -> None:
        """What makes up a reply, by number and with octets as by name."""
        self.check_refused(
            (f"{code}", f'[dhcp]\noptions = {{{code} = "hex:00000000"}}', f"dhcp.options.{code}", f"option {code}")
            for code in OF_THE_SERVER
        )
