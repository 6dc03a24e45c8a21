"""Tests of `pixelboot.library.names.components`: names as text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.names.components import Forbidden, components

NAMES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("snponly.efi", ("snponly.efi",)),
    ("/vmlinuz", ("vmlinuz",)),
    ("//grub//x86_64-efi/./core.efi", ("grub", "x86_64-efi", "core.efi")),
    ("./a", ("a",)),
    ("\\Boot\\BCD", ("Boot", "BCD")),
    ("a/b\\c", ("a", "b", "c")),
    ("a/%2e%2e/b", ("a", "%2e%2e", "b")),
    ("a b", ("a b",)),
    ("\u00fc\udcff", ("\u00fc\udcff",)),
    ("x" * 255, ("x" * 255,)),
    ("a..b/c...", ("a..b", "c...")),
)

REFUSED = (
    ("", "it is the name of a folder"),
    ("/", "it is the name of a folder"),
    (".", "it is the name of a folder"),
    ("a/", "it is the name of a folder"),
    ("a\\", "it is the name of a folder"),
    ("..", "the name leads out of the folder"),
    ("../secret", "the name leads out of the folder"),
    ("..\\secret", "the name leads out of the folder"),
    ("a/../../secret", "the name leads out of the folder"),
    ("a/..", "the name leads out of the folder"),
    (".hidden", "what begins with a dot is hidden"),
    ("a/.git/config", "what begins with a dot is hidden"),
    ("...", "what begins with a dot is hidden"),
    ("a\0b", "the name has control characters"),
    ("a\n", "the name has control characters"),
    ("a\x7f", "the name has control characters"),
    ("a\x85", "the name has control characters"),
    ("x" * 256, "the name is too long"),
    ("\u00fc" * 128, "the name is too long"),
    ("a/" * 64 + "a", "the name is too long"),
    ("x/" * 512 + "x", "the name is too long"),
    ("\ud800", "no file can have such a name"),
)


class ComponentsTests(SynchronousTestCase):
    """Names as text."""

    def test_names(self) -> None:
        for name, parts in NAMES:
            self.assertEqual(components(name), parts, name)

    def test_t35_refused(self) -> None:
        for name, reason in REFUSED:
            self.assertEqual(str(self.assertRaises(Forbidden, components, name)), reason, name[:20])

    @given(st.text(st.characters(), max_size=40) | st.text("./\\a\0", max_size=20))
    def test_any_text(self, name: str) -> None:
        """Any text is a way downwards, or refused."""
        try:
            parts = components(name)
        except Forbidden:
            return
        self.assertTrue(parts)
        for part in parts:
            self.assertFalse(part.startswith(".") or set(part) & set("/\\\0"), part)
        self.assertEqual(components("/".join(parts)), parts)
