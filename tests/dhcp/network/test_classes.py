"""Tests of `pixelboot.dhcp.network.classes`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pixelboot.dhcp.client import recognise
from pixelboot.dhcp.network.classes import Classes
from tests.dhcp.network.case import HWADDR, NetworkCase, request
from tests.dhcp.settings.case import read

UEFI = {60: b"PXEClient:Arch:00007:UNDI:003016", 93: b"\0\x07"}
EBC = {60: b"PXEClient:Arch:00009:UNDI:003016", 93: b"\0\x09"}
BIOS = {60: b"PXEClient:Arch:00000:UNDI:002001"}
IPXE = UEFI | {77: b"iPXE"}

CASES: tuple[tuple[str, dict[int, bytes], bytes, bool], ...] = (
    ('architecture = ["uefi-x64"]', UEFI, HWADDR, True),
    ('architecture = ["uefi-x64"]', EBC, HWADDR, True),
    ('architecture = ["uefi-x64"]', BIOS, HWADDR, False),
    ('architecture = ["uefi-x64"]', {}, HWADDR, False),
    ('architecture = ["bios", "uefi-x64"]', BIOS, HWADDR, True),
    ('architecture = ["bios"]', {60: b"PXEClient"}, HWADDR, True),
    ('architecture = ["bios"]', {60: b"PXEClient", 77: b"iPXE"}, HWADDR, False),
    ("architecture = [7]", UEFI, HWADDR, True),
    ("architecture = [7]", EBC, HWADDR, False),
    ("architecture = [0]", BIOS, HWADDR, True),
    ("architecture = [0]", {}, HWADDR, False),
    ("architecture = [77]", {93: b"\0\x4d"}, HWADDR, True),
    ('vendor = "PXEClient*"', UEFI, HWADDR, True),
    ('vendor = "PXEClient"', UEFI, HWADDR, False),
    ('vendor = "PXEClient*"', {}, HWADDR, False),
    ('vendor = "*"', {}, HWADDR, True),
    ('vendor = "pxeclient*"', UEFI, HWADDR, False),
    ('vendor = "PXEClient:Arch:0000?:*"', UEFI, HWADDR, True),
    ('vendor = "MSFT 5.0"', {60: b"MSFT 5.0"}, HWADDR, True),
    ('vendor = "MSFT 5.0"', {60: b"MSFT 5x0"}, HWADDR, False),
    ('vendor = "a\\nb"', {60: b"a\nb"}, HWADDR, True),
    ('vendor = "a*b"', {60: b"a\n\xffb"}, HWADDR, True),
    ('vendor = "größe"', {60: "größe".encode()}, HWADDR, True),
    ('user_class = "iPXE"', IPXE, HWADDR, True),
    ('user_class = "iPXE"', {77: b"\4iPXE"}, HWADDR, True),
    ('user_class = "iPXE"', {77: b"\3lab\4iPXE"}, HWADDR, True),
    ('user_class = "iPXE"', {77: b"iPXE2"}, HWADDR, False),
    ('user_class = "iPXE"', {77: b"\5iPXE2"}, HWADDR, False),
    ('user_class = "iPXE"', {77: b"\4iPX"}, HWADDR, False),
    ('user_class = "lab-*"', {77: b"\5lab-a"}, HWADDR, True),
    ('user_class = "lab"', {}, HWADDR, False),
    ('mac = ["02:aa"]', {}, HWADDR, True),
    ('mac = ["02:aa:00:00:00:01"]', {}, HWADDR, True),
    ('mac = ["02:ab", "02:aa:00"]', {}, HWADDR, True),
    ('mac = ["aa"]', {}, HWADDR, False),
    ('mac = ["02:aa:00:00:00:01:00"]', {}, HWADDR, False),
    ('mac = ["02:aa"]\nvendor = "PXEClient*"\nuser_class = "iPXE"\narchitecture = [7]', IPXE, HWADDR, True),
    ('mac = ["02:ab"]\nvendor = "PXEClient*"\nuser_class = "iPXE"\narchitecture = [7]', IPXE, HWADDR, False),
    ('mac = ["02:aa"]\nvendor = "HTTPClient*"\nuser_class = "iPXE"\narchitecture = [7]', IPXE, HWADDR, False),
    ('mac = ["02:aa"]\nvendor = "PXEClient*"\nuser_class = "gPXE"\narchitecture = [7]', IPXE, HWADDR, False),
    ('mac = ["02:aa"]\nvendor = "PXEClient*"\nuser_class = "iPXE"\narchitecture = [6]', IPXE, HWADDR, False),
)
"""The conditions of a class, the options and link address of a request, and whether it belongs there."""


def classes(*conditions: str) -> Classes:
    """Classes of these conditions, called by their numbers."""
    text = "".join(f'[[dhcp.class]]\nname = "{number}"\n{each}\n' for number, each in enumerate(conditions, 1))
    return Classes(read(text).dhcp.classes)


class ClassesTests(NetworkCase):
    """Who belongs where."""

    def test_conditions(self) -> None:
        """D49: a user class with and without its length; O12: 7 and 9 are one architecture; all conditions hold."""
        for condition, options, hwaddr, belongs in CASES:
            message = request(hwaddr, options=options)
            for found in (classes(condition), classes('mac = ["02"]', condition)):
                names = found.of(message, recognise(message))
                self.assertEqual(len([name for name in names if name]) == len(found._conditions), belongs, condition)

    def test_order(self) -> None:
        """Their names stand in the order of the settings."""
        found = classes('vendor = "P*"', 'mac = ["02"]', 'vendor = "x"', 'user_class = "iPXE"')
        message = request(options=IPXE)
        self.assertEqual(found.of(message, recognise(message)), ("1", "2", "4"))

    def test_what_is_kept_is_kept_apart(self) -> None:
        """A judgement on one machine is not that on another whose kind differs, nor on one of another address."""
        found = classes('architecture = ["uefi-x64"]', 'architecture = ["bios"]', 'user_class = "iPXE"', 'mac = ["02"]')
        for _ in range(2):
            for options, hwaddr, names in (
                (UEFI, HWADDR, ("1", "4")),
                (UEFI, b"\4" * 6, ("1",)),
                (BIOS, HWADDR, ("2", "4")),
                ({60: b"PXEClient"}, HWADDR, ("2", "4")),
                ({60: b"PXEClient", 175: b"\1"}, HWADDR, ("4",)),
                (IPXE, HWADDR, ("1", "3", "4")),
                ({}, b"\4" * 6, ()),
            ):
                message = request(hwaddr, options=options)
                self.assertEqual(found.of(message, recognise(message)), names, str(options))

    def test_no_link_address(self) -> None:
        """A machine without one is in no class of addresses."""
        message = request(options={61: b"\0abc"})._replace(hlen=0)
        self.assertEqual(classes('mac = ["02"]', 'vendor = "*"').of(message, recognise(message)), ("2",))

    def test_strangers_cost_no_memory(self) -> None:
        """Kinds that nobody else is of are forgotten, and long ones not kept at all."""
        found = classes('vendor = "*7"')
        for number in range(3000):
            message = request(options={60: b"%d" % number})
            self.assertEqual(bool(found.of(message, recognise(message))), number % 10 == 7)
        self.assertLessEqual(len(found._known), 1024)
        before = len(found._known)
        message = request(options={60: b"x" * 1500 + b"7"})
        self.assertEqual(found.of(message, recognise(message)), ("1",))
        self.assertEqual(len(found._known), before)

    def test_a_hostile_vendor(self) -> None:
        """A pattern of many stars is no trap for a long text."""
        found = classes('vendor = "' + "*a" * 30 + '*b"')
        message = request(options={60: b"a" * 1500})
        self.assertEqual(found.of(message, recognise(message)), ())

    @given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=6))
    def test_any_octets(self, vendor: bytes, user: bytes, codes: bytes) -> None:
        """Whatever a request says, it belongs to classes or it does not."""
        found = classes('user_class = "?*"', 'vendor = "*"', "architecture = [0]")
        message = request(options={60: vendor, 77: user, 93: codes})
        self.assertIn("2", found.of(message, recognise(message)))
