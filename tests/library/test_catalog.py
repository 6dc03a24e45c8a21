"""Tests of `pixelboot.library.catalog`."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.hosts import MENU
from pixelboot.boot.ipxe.menu import LOCAL, SHELL
from pixelboot.library.catalog import RESERVED, Container, distrust, identify
from pixelboot.library.decoding.finding import Finding, FoundPart
from pixelboot.library.folder.look import Seen, Stamp

OURS, OTHER = "ab" * 32, "cd" * 32
SEEN = Seen("/srv", "a.rts.png", Stamp(1, 2, 30, 5_500_000_000, 6))
PARTS = (FoundPart("kernel", 7, "", "vmlinuz"), FoundPart("initrd", 9, "", "initrd.img"))


class TestContainer(SynchronousTestCase):
    """What the rest of the server sees."""

    def test_of(self) -> None:
        finding = Finding("ready", name="Demo", parts=PARTS, format="PixelRTS-2.0", type="os", signer=OURS)
        container = Container.of(SEEN, finding)
        self.assertEqual((container.id, container.file_name, container.name), ("a", "a.rts.png", "Demo"))
        self.assertEqual((container.size, container.modified_at, container.state), (30, 5.5, "ready"))
        self.assertEqual(container.parts, (("kernel", 7), ("initrd", 9)))
        self.assertEqual(container.labels, ("vmlinuz", "initrd.img"))
        self.assertEqual((container.format, container.type, container.signer), ("PixelRTS-2.0", "os", OURS))
        nothing = Container.of(Seen("/srv", "a.rts.png", None, "it is a folder"), Finding("damaged", reason="x"))
        self.assertEqual((nothing.size, nothing.modified_at, nothing.state, nothing.reason), (0, 0.0, "damaged", "x"))

    def test_what_is_offered(self) -> None:
        """Where keys are trusted, the parts of what one of them signed, when that is known; elsewhere those of all."""
        for state, signer, offered, shown in (
            ("decoding", "", False, "decoding"),
            ("ready", "", False, "untrusted"),
            ("ready", OTHER, False, "untrusted"),
            ("ready", OURS, True, "ready"),
            ("unbootable", OURS, False, "unbootable"),
        ):
            finding = Finding(state, parts=PARTS, signer=signer)  # type: ignore[arg-type]
            container = Container.of(SEEN, finding, frozenset([OURS]))
            self.assertEqual((bool(container.parts), container.state), (offered, shown), (state, signer))
            self.assertEqual(container.labels, ("vmlinuz", "initrd.img"))
            container = Container.of(SEEN, finding)
            self.assertEqual((bool(container.parts), container.state), (True, state))

    def test_distrust(self) -> None:
        for signer, payload_signer, reason in (
            (OURS, "", ""),
            (OTHER, "", f"it is signed by the unknown key {OTHER}"),
            ("", OURS, f"the key {OURS} signed its payload alone, not its description"),
            ("", OTHER, f"its payload alone is signed, by the unknown key {OTHER}"),
            ("", "", "it has no signature"),
        ):
            expected = reason and f"not signed by a trusted key: {reason}"
            finding = Finding("ready", signer=signer, payload_signer=payload_signer)
            self.assertEqual(distrust(finding, frozenset([OURS])), expected)


class TestIdentify(SynchronousTestCase):
    """Names in URLs."""

    def test_known(self) -> None:
        for name, identity in {
            "debian-12.rts.png": "debian-12",
            "Alpine_3.20.rts.png": "Alpine_3.20",
            "a b.rts.png": "a-b~56846eef0d5b",
            "ü/<x>.rts.png": "x~d136c78ddd4f",
            "local.rts.png": "local~7210f75e423b",
            "shell.rts.png": "shell~20524d1a8a17",
            "Local.rts.png": "Local",
            "ü.rts.png": "container~5316066394fe",
            "..rts.png": "container~9d1f69553051",
            "x" * 101 + ".rts.png": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx~baa356d53ba8",
        }.items():
            self.assertEqual(identify(name), identity, name)

    def test_what_a_site_may_name_in_place_of_an_id(self) -> None:
        self.assertEqual(RESERVED, {LOCAL, MENU, SHELL})

    @given(st.text(st.characters(exclude_characters="/\0")), st.text(st.characters(exclude_characters="/\0")))
    def test_url_safe_stable_and_unique(self, one: str, two: str) -> None:
        first, second = identify(one + ".rts.png"), identify(two + ".rts.png")
        self.assertTrue(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,120}", first), first)
        self.assertEqual(first == second, one == two)
        self.assertEqual(identify(one + ".rts.png"), first)
        self.assertNotEqual(
            identify(first + ".rts.png") if "~" in first else "", first, "no name imitates another's id"
        )
