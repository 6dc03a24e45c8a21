"""Tests of `pixelboot.boot.quirks`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.machine import Firmware, Machine
from pixelboot.boot.quirks import PROFILES, Facts, Profile, Quirks, ServerName, describe, named, overridden, recognise
from pixelboot.malformed import Malformed
from tests.test_house import ROOT

PXE, HTTP, IPXE, OTHER = Firmware.PXE, Firmware.HTTP, Firmware.IPXE, Firmware.OTHER
BIOS_CLASS, UEFI_CLASS = b"PXEClient:Arch:00000:UNDI:002001", b"PXEClient:Arch:00007:UNDI:003000"
CARD = bytes.fromhex("02aa00000001")
PI_3, PI_4, PI_5 = (bytes.fromhex(text) for text in ("b827eb000001", "dca632000001", "2ccf67000001"))
UUID = b"\0" + bytes(range(16))
RPI4 = b"\0RPi4" + bytes.fromhex("1403c000") + bytes.fromhex("320000011b5a9f20")
OLD_ROM = 0x26F30339

SENDERS: tuple[tuple[str, Facts, str], ...] = (
    ("a BIOS ROM", Facts(PXE, BIOS_CLASS, (0,), UUID, CARD, 7), "bios"),
    ("an old BIOS ROM that says no architecture", Facts(PXE, b"PXEClient", (), b"", CARD), "bios"),
    ("OVMF", Facts(PXE, UEFI_CLASS, (7,), UUID, CARD), "uefi"),
    ("UEFI that says 9", Facts(PXE, b"PXEClient:Arch:00009", (9,), UUID, CARD), "uefi"),
    ("UEFI on ARM", Facts(PXE, b"PXEClient:Arch:00011", (11,), UUID, CARD), "uefi"),
    ("OVMF by HTTP", Facts(HTTP, b"HTTPClient:Arch:00016:UNDI:003000", (16,), UUID, CARD), "http"),
    ("iPXE's ROM", Facts(IPXE, BIOS_CLASS, (0,), UUID, CARD), "ipxe"),
    ("iPXE that OVMF loaded", Facts(IPXE, b"PXEClient:Arch:00007:UNDI:003010", (7,), UUID, CARD), "ipxe"),
    ("udhcpc", Facts(OTHER, b"udhcp 1.35.0", (), b"", CARD), "plain"),
    ("dhclient", Facts(OTHER, link=CARD), "plain"),
    ("the old ROM of a Pi 3", Facts(PXE, BIOS_CLASS, (0,), UUID, CARD, OLD_ROM), "raspberry-pi-3"),
    ("its REQUEST", Facts(OTHER, b"", (0,), UUID, PI_3, OLD_ROM), "raspberry-pi-3"),
    ("a Pi 3 with another transaction", Facts(PXE, BIOS_CLASS, (0,), UUID, PI_3), "raspberry-pi-3"),
    ("a Pi 4", Facts(PXE, BIOS_CLASS, (0,), RPI4, PI_4), "raspberry-pi-4"),
    ("a Pi 4 behind another card", Facts(PXE, BIOS_CLASS, (0,), RPI4, CARD), "raspberry-pi-4"),
    ("its REQUEST without option 60", Facts(OTHER, b"", (0,), RPI4, PI_4), "raspberry-pi-4"),
    ("a Pi 5, by its card", Facts(PXE, BIOS_CLASS, (0,), UUID, PI_5), "raspberry-pi-4"),
    ("a Pi 5, by its UUID", Facts(PXE, BIOS_CLASS, (0,), RPI4.replace(b"4", b"5", 1), CARD), "raspberry-pi-4"),
    ("a Pi that says rpiboot", Facts(PXE, b"PXEClient:Arch:00041", (0x29,), UUID, PI_5), "raspberry-pi-4"),
    ("Linux on a Pi 3", Facts(OTHER, b"dhcpcd-9.4.1:Linux-6.1:aarch64:BCM2835", (), b"", PI_3), "plain"),
    ("UEFI on a Pi 4", Facts(PXE, b"PXEClient:Arch:00011", (11,), UUID, PI_4), "uefi"),
    ("iPXE on a Pi 4", Facts(IPXE, b"PXEClient:Arch:00011", (11,), RPI4, PI_4), "ipxe"),
    ("a PC with the Pi's transaction", Facts(PXE, UEFI_CLASS, (7,), UUID, CARD, OLD_ROM), "uefi"),
    ("udhcpc with it", Facts(OTHER, b"udhcp 1.35.0", (), b"", CARD, OLD_ROM), "plain"),
    ("U-Boot", Facts(OTHER, b"U-Boot.armv8", (), b"", CARD), "u-boot"),
    ("U-Boot that says what it is", Facts(PXE, b"PXEClient:Arch:00022", (0x16,), UUID, CARD), "u-boot"),
    ("U-Boot on a Pi", Facts(OTHER, b"U-Boot.armv8", (), b"", PI_4), "u-boot"),
)


def asked(facts: Facts, override: Profile) -> Profile:
    """The profile of a sender whose host is said to be `override`."""
    found = recognise(facts)
    code = facts.codes[0] if facts.codes else None
    return overridden(found, Machine("", None, found.firmware or facts.firmware, None, None, code), override)


def rows(title: str) -> Iterator[list[str]]:
    """The rows of the manual's table under a heading."""
    text = (ROOT / "docs" / "reference" / "quirks.rst").read_text(encoding="utf-8")
    table = text.split(f"\n{title}\n", 1)[1].split(":quote: ^", 1)[1]
    for line in re.split(r"\n(?=\S)", table, maxsplit=1)[0].splitlines():
        if line.count("|") == 2:
            yield [cell.strip() for cell in line.split("|")]


class Recognised(SynchronousTestCase):
    """Who is who."""

    def test_senders(self) -> None:
        """By what they send: 60, 77, 93, 97, 175, the link address and the Pi's transaction."""
        for name, facts, expected in SENDERS:
            self.assertEqual(recognise(facts).name, expected, name)

    def test_the_newest_link_addresses(self) -> None:
        """Every one of a Raspberry Pi, 2c:cf:67 among them; a neighbour of one is none."""
        for prefix in ("b827eb", "dca632", "e45f01", "28cdc1", "d83add", "2ccf67", "88a29e"):
            facts = Facts(PXE, BIOS_CLASS, (0,), UUID, bytes.fromhex(prefix) + b"\1\2\3")
            self.assertTrue(recognise(facts).name.startswith("raspberry-pi"), prefix)
        self.assertEqual(recognise(Facts(PXE, BIOS_CLASS, (0,), UUID, bytes.fromhex("2ccf66010203"))).name, "bios")
        for link in (b"", b"\x2c", b"\x2c\xcf"):
            self.assertEqual(recognise(Facts(PXE, BIOS_CLASS, (0,), UUID, link)).name, "bios", str(link))

    @given(
        st.builds(
            Facts,
            st.sampled_from(Firmware),
            st.sampled_from((b"", b"PXEClient", b"U-Boot", b"HTTPClient")) | st.binary(max_size=20),
            st.lists(st.sampled_from((0, 7, 0x15, 0x29)) | st.integers(0, 0xFFFF), max_size=3).map(tuple),
            st.binary(max_size=20) | st.binary(max_size=4).map(lambda tail: b"\0RPi4" + tail),
            st.sampled_from((CARD, PI_3, PI_5)) | st.binary(max_size=16),
            st.just(OLD_ROM) | st.integers(0, 2**32 - 1),
        ),
        st.none() | st.sampled_from(sorted(PROFILES)).map(PROFILES.__getitem__),
    )
    def test_anybody(self, facts: Facts, override: Profile | None) -> None:
        """Has one profile; iPXE and HTTP boot are never taken for firmware that they are not."""
        profile = recognise(facts) if override is None else asked(facts, override)
        self.assertIn(profile, PROFILES.values())
        if facts.firmware is IPXE or facts.firmware is HTTP:
            self.assertIs(profile.firmware, facts.firmware)


class Overridden(SynchronousTestCase):
    """What the settings say of a host."""

    def test_for_its_stage_alone(self) -> None:
        """One machine is asked by firmware, iPXE and system in turn: what is said of one is not of the others."""
        stages = {
            "firmware": Facts(PXE, UEFI_CLASS, (7,), UUID, CARD),
            "http": Facts(HTTP, b"HTTPClient:Arch:00016", (16,), UUID, CARD),
            "iPXE": Facts(IPXE, UEFI_CLASS, (7,), UUID, CARD),
            "system": Facts(OTHER, b"udhcp", (), b"", CARD),
        }
        as_ever = {"firmware": "uefi", "http": "http", "iPXE": "ipxe", "system": "plain"}
        for name, changed in (
            ("edk2-2016", {"firmware": "edk2-2016"}),
            ("edk2-2017", {"firmware": "edk2-2017"}),
            ("bios", {"firmware": "bios"}),
            ("raspberry-pi-3", {"firmware": "raspberry-pi-3"}),
            ("http", {}),
            ("ipxe", {}),
            ("u-boot", {"firmware": "u-boot", "system": "u-boot"}),
            ("plain", {"firmware": "plain"}),
        ):
            found = {stage: asked(facts, named(name)).name for stage, facts in stages.items()}
            self.assertEqual(found, as_ever | changed, name)
        self.assertEqual({stage: recognise(facts).name for stage, facts in stages.items()}, as_ever)
        request = Facts(OTHER, b"", (0,), UUID, CARD)
        self.assertEqual(asked(request, named("raspberry-pi-3")).name, "raspberry-pi-3", "a REQUEST without option 60")

    def test_names(self) -> None:
        """An unknown one is told which there are."""
        for name, profile in PROFILES.items():
            self.assertIs(named(name), profile)
            self.assertEqual(profile.name, name)
        for name in ("", "bios ", "BIOS", "raspberry-pi"):
            error = self.assertRaises(Malformed, named, name)
            self.assertIn('"raspberry-pi-3"', str(error))


class Traits(SynchronousTestCase):
    """What the profiles say."""

    def test_edk2_is_told_in_the_form_that_all_versions_take(self) -> None:
        """No discovery control to UEFI that nobody said to be newer than 2017."""
        for name in ("uefi", "edk2-2016", "edk2-2017"):
            self.assertIsNone(PROFILES[name].quirks.discovery_control, name)
        self.assertEqual([name for name, each in PROFILES.items() if each.quirks.pxe_menu], ["bios", "edk2-2017"])

    def test_the_raspberry_pi(self) -> None:
        """43 = 6:03, 9, 10 with the text that the old ROM compares with its spaces; 66 without a NUL; in its time."""
        old, new = PROFILES["raspberry-pi-3"].quirks, PROFILES["raspberry-pi-4"].quirks
        self.assertEqual((old.boot_menu, new.boot_menu), ("Raspberry Pi Boot   ", "Raspberry Pi Boot"))
        for quirks in (old, new):
            self.assertEqual((quirks.discovery_control, quirks.menu_prompt), (3, "PXE"))
            self.assertEqual((quirks.tftp_server_name, quirks.boot_file_nul), (ServerName.QUAD, False))
            self.assertTrue(quirks.vendor_class_from_server)
        self.assertEqual((old.delay, old.arp, new.delay, new.arp), (1.0, False, 0.0, True))

    def test_no_firmware_reads_overloaded_fields(self) -> None:
        """D41: but an operating system's client."""
        self.assertEqual([name for name, each in PROFILES.items() if each.quirks.overload], ["plain"])

    def test_texts_fit(self) -> None:
        """Each is ASCII and has its place in option 43; nothing waits longer than a client does (P13)."""
        for name, profile in PROFILES.items():
            quirks = profile.quirks
            for text in (quirks.vendor_class, quirks.menu_prompt, quirks.boot_menu):
                self.assertTrue(text.isascii() and len(text) <= 60, name)
            self.assertTrue(0 <= quirks.delay <= 2, name)

    def test_describe(self) -> None:
        """What differs, and nothing else."""
        self.assertEqual(list(describe(Quirks())), [])
        self.assertEqual(
            list(describe(PROFILES["raspberry-pi-3"].quirks)),
            [
                ("vendor_class_from_server", "yes"),
                ("discovery_control", "3"),
                ("menu_prompt", '"PXE"'),
                ("boot_menu", '"Raspberry Pi Boot   "'),
                ("tftp_server_name", "quad"),
                ("boot_file_nul", "no"),
                ("arp", "no"),
                ("delay", "1 s"),
            ],
        )


class Manual(SynchronousTestCase):
    """``docs/reference/quirks.rst``."""

    def test_profiles(self) -> None:
        """Every one in its order, and how it is recognised."""
        told = [[f"``{each.name}``", each.title, each.told] for each in PROFILES.values()]
        self.assertEqual(list(rows("Profiles")), told)

    def test_traits(self) -> None:
        """Every one in its order, with what holds without a profile."""
        told = [(trait, value) for trait, value, _ in rows("Traits")]
        self.assertEqual(told, [(f"``{trait}``", value) for trait, value in describe(Quirks(), every=True)])

    def test_values(self) -> None:
        """Every profile's, as `describe` tells them."""
        told = [
            [f"``{name}``", f"``{trait}``", value]
            for name, profile in PROFILES.items()
            for trait, value in describe(profile.quirks)
        ]
        self.assertEqual(list(rows("Each profile")), told)
