"""Tests of `pixelboot.boot.pxe`."""

from __future__ import annotations

import tomllib
from ipaddress import IPv4Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.architecture import Architecture
from pixelboot.boot.pxe import FOR_EVER, PxeItemSettings, PxeSettings, discoverable, vendor_options
from pixelboot.boot.quirks import PROFILES
from pixelboot.config import ConfigError, build, dump

SERVER = IPv4Address("10.77.0.1")
BIOS, PI_3, PI_4 = (PROFILES[name].quirks for name in ("bios", "raspberry-pi-3", "raspberry-pi-4"))
NONE = PxeSettings()
MENU: dict[str, Any] = {
    "prompt": "F8",
    "timeout": 5,
    "item": [
        {"label": "Install", "type": 1, "loader": "pxelinux.0"},
        {"label": "Deploy", "type": 32768, "servers": ["10.77.0.9", "10.77.0.1"], "architecture": ["bios"]},
        {"label": "Disk", "type": 0},
    ],
}


def menu(**changed: object) -> PxeSettings:
    """`MENU`, with some keys changed."""
    return build(PxeSettings, MENU | changed, "boot.pxe.")


def items(*labels: str, **more: object) -> list[dict[str, object]]:
    """Items of types 1 and up."""
    return [{"label": label, "type": number, **more} for number, label in enumerate(labels, 1)]


def size(options: dict[int, bytes]) -> int:
    """Octets of option 43 with these sub-options and END."""
    return sum(2 + len(value) for value in options.values()) + 1


class Offered(SynchronousTestCase):
    """What option 43 says."""

    def test_p09_p10_the_menu(self) -> None:
        """P09, P10: prompt, items and the servers of all of them but type 0; each count is that of what follows."""
        self.assertEqual(
            vendor_options(BIOS, menu(), Architecture.BIOS, SERVER),
            {
                6: b"\x07",
                8: b"\0\1\1\x0a\x4d\0\1" + b"\x80\0\2\x0a\x4d\0\x09\x0a\x4d\0\1",
                9: b"\0\1\7Install" + b"\x80\0\6Deploy" + b"\0\0\4Disk",
                10: b"\5F8",
            },
        )
        self.assertEqual(
            vendor_options(PROFILES["edk2-2017"].quirks, menu(timeout=FOR_EVER), Architecture.UEFI_X64, SERVER),
            {6: b"\x07", 8: b"\0\1\1\x0a\x4d\0\1", 9: b"\0\1\7Install" + b"\0\0\4Disk", 10: b"\xffF8"},
        )
        self.assertEqual(
            vendor_options(BIOS, menu(item=[{"label": "Disk", "type": 0}]), None, SERVER),
            {6: b"\x07", 9: b"\0\0\4Disk", 10: b"\5F8"},
        )

    def test_p08_without_a_menu(self) -> None:
        """P08: BIOS is told to load at once; the Pi has its one item, the old ROM's with spaces; UEFI has nothing."""
        text = b"Raspberry Pi Boot"
        for settings in (NONE, menu(item=items("ARM", architecture=["uefi-arm64"]))):
            for name, options in (
                ("bios", {6: b"\x08", 10: b"\0PXE"}),
                ("raspberry-pi-3", {6: b"\3", 9: b"\0\0\x14" + text + b"   ", 10: b"\0PXE"}),
                ("raspberry-pi-4", {6: b"\3", 9: b"\0\0\x11" + text, 10: b"\0PXE"}),
                *((name, {}) for name in ("uefi", "edk2-2016", "edk2-2017", "http", "ipxe", "u-boot", "grub", "plain")),
            ):
                quirks = PROFILES[name].quirks
                self.assertEqual(vendor_options(quirks, settings, Architecture.BIOS, SERVER), options, name)

    def test_who_is_shown_it(self) -> None:
        """A menu is for those who take one: the Pi, iPXE and firmware that might be old are told as without."""
        for name, profile in PROFILES.items():
            shown = vendor_options(profile.quirks, menu(), None, SERVER)
            without = vendor_options(profile.quirks, NONE, None, SERVER)
            self.assertEqual(shown != without, name in ("bios", "edk2-2017"), name)

    def test_p12_discoverable(self) -> None:
        """P12: unless both broadcast and multicast are forbidden."""
        for control, expected in ((None, True), (8, True), (1, True), (2, True), (6, True), (3, False), (7, False)):
            self.assertEqual(discoverable({} if control is None else {6: bytes((control,))}), expected, str(control))
        for broadcast in (True, False):
            offered = vendor_options(BIOS, menu(broadcast=broadcast), Architecture.BIOS, SERVER)
            self.assertEqual(discoverable(offered), broadcast)

    def test_served_by(self) -> None:
        """An item is ours where no servers are named, or we are one of them; never the machine's own disk."""
        for document, expected in (
            ({"type": 1}, True),
            ({"type": 1, "servers": ["10.77.0.9"]}, False),
            ({"type": 1, "servers": ["10.77.0.9", "10.77.0.1"]}, True),
            ({"type": 0}, False),
        ):
            item = build(PxeItemSettings, {"label": "x", **document})
            self.assertEqual(item.served_by(SERVER), expected, str(document))


class Settings(SynchronousTestCase):
    """``[boot.pxe]``."""

    def test_written_and_read(self) -> None:
        """As every settings class."""
        for settings in (NONE, menu(), menu(broadcast=True)):
            self.assertEqual(build(PxeSettings, tomllib.loads(dump(settings))), settings)
        self.assertEqual(vendor_options(PROFILES["uefi"].quirks, NONE, None, SERVER), {})

    def test_p11_the_largest_menu(self) -> None:
        """P11: 253 octets of items, and 255 of the whole option; one more is refused with the computed size."""
        for label, fits in (("i" * 251, False), ("i" * 300, False), ("i" * 230, True)):
            document = {"prompt": "", "item": items(label)}
            if fits:
                build(PxeSettings, document)
                continue
            error = self.assertRaises(ConfigError, build, PxeSettings, document, "boot.pxe.")
            self.assertEqual(error.key, "boot.pxe.item")
            self.assertIn(f"takes {3 + len(label)} octets, at most 253 fit", str(error))
        error = self.assertRaises(ConfigError, build, PxeSettings, {"prompt": "", "item": items("i" * 235)})
        self.assertIn("takes 256 octets with servers and prompt, at most 255 fit", str(error))
        largest = build(PxeSettings, {"prompt": "", "item": items("i" * 234)})
        self.assertEqual(size(vendor_options(BIOS, largest, Architecture.BIOS, SERVER)), 255)
        many = {"item": items("x", servers=["10.77.0.1"] * 300)}
        self.assertIn("1237 octets", str(self.assertRaises(ConfigError, build, PxeSettings, many)))
        elsewhere = {"label": "i" * 150, "type": 9, "architecture": ["uefi-x64"]}
        build(PxeSettings, {"item": [*items("i" * 150, architecture=["bios"]), elsewhere]})

    def test_refused(self) -> None:
        """With the key, the value and what is allowed."""
        for document, key in (
            ({"timeout": 256}, "timeout"),
            ({"timeout": 0.5}, "timeout"),
            ({"prompt": "Größe"}, "prompt"),
            ({"prompt": "a\nb"}, "prompt"),
            ({"broadcast": 1}, "broadcast"),
            ({"item": [{"label": "x"}]}, "item[1].type"),
            ({"item": [{"type": 1}]}, "item[1].label"),
            ({"item": [{"label": "", "type": 1}]}, "item[1].label"),
            ({"item": [{"label": "x", "type": 65536}]}, "item[1].type"),
            ({"item": [{"label": "x", "type": 0, "loader": "a"}]}, "item[1].type"),
            ({"item": [{"label": "x", "type": 0, "servers": ["10.77.0.1"]}]}, "item[1].type"),
            ({"item": [{"label": "x", "type": 1, "loader": "../a"}]}, "item[1].loader"),
            ({"item": [{"label": "x", "type": 1, "loader": "a" * 128}]}, "item[1].loader"),
            ({"item": [{"label": "x", "type": 1, "servers": ["224.0.1.2"]}]}, "item[1].servers"),
            ({"item": [{"label": "x", "type": 1, "architecture": ["arm"]}]}, "item[1].architecture"),
            ({"item": [{"label": "x", "type": 1}, {"label": "y", "type": 1}]}, "item"),
        ):
            error = self.assertRaises(ConfigError, build, PxeSettings, document, "boot.pxe.")
            self.assertEqual(error.key, f"boot.pxe.{key}", str(document))

    @given(
        st.lists(
            st.fixed_dictionaries(
                {"label": st.text("i", min_size=1, max_size=80), "type": st.integers(0, 4)},
                optional={
                    "servers": st.lists(st.sampled_from(("10.77.0.1", "10.77.0.9")), max_size=9),
                    "architecture": st.lists(st.sampled_from(("bios", "uefi-x64")), max_size=2),
                },
            ),
            max_size=5,
        ),
        st.text("p", max_size=90),
    )
    def test_what_is_taken_fits(self, wanted: list[dict[str, object]], prompt: str) -> None:
        """P09, P11: every menu that is taken fits into one option, and its counts are right."""
        try:
            settings = build(PxeSettings, {"item": wanted, "prompt": prompt})
        except ConfigError:
            return
        for architecture in (None, *Architecture):
            options = vendor_options(BIOS, settings, architecture, SERVER)
            self.assertLessEqual(size(options), 255)
            types, servers = [], options.get(8, b"")
            while servers:
                types.append(int.from_bytes(servers[:2]))
                self.assertGreaterEqual(len(servers), 3 + 4 * servers[2])
                servers = servers[3 + 4 * servers[2] :]
            lines = options.get(9, b"")
            while lines:
                self.assertTrue(int.from_bytes(lines[:2]) in (0, *types))
                lines = lines[3 + lines[2] :]
