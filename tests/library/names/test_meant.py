"""Tests of `pixelboot.library.names.meant`: what a name means before anybody looks for files."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import Invalid
from pixelboot.hwaddr import HardwareAddress
from pixelboot.library.names.asker import NOBODY, Asker
from pixelboot.library.names.components import Forbidden
from pixelboot.library.names.meant import MAC, SERIAL, Names, aliases, own_folder, rules

CARD = HardwareAddress.parse("52:54:00:12:34:5a")
ASKER = Asker(CARD, "10.77.0.9")


def folded(*names: str) -> dict[str, str]:
    """As a listing has them."""
    return {name.casefold(): name for name in names}


class PartsTests(SynchronousTestCase):
    """Rules and aliases."""

    def test_aliases(self) -> None:
        """Whole names; what they stand for may be an alias; rules come before them."""
        names = Names({"/pxelinux.0": "boot//loader", "boot/loader": "undionly.kpxe", "x": "y"}, ["r ^old/ boot/"])
        for name, parts in (
            ("pxelinux.0", ("undionly.kpxe",)),
            ("\\boot\\loader", ("undionly.kpxe",)),
            ("old/loader", ("undionly.kpxe",)),
            ("a/x", ("a", "x")),
            ("x/a", ("x", "a")),
            ("X", ("X",)),
        ):
            self.assertEqual(names.parts(name, NOBODY), parts, name)
        self.assertRaises(Forbidden, names.parts, "../x", NOBODY)

    def test_rules_know_who_asks(self) -> None:
        names = Names(rules=["# a comment", "r ^mine/ \\x/", "P x", "rP ^a b", "rG ^a c"])
        self.assertEqual(names.parts("mine/x", ASKER), ("0A4D0009", "x"))
        self.assertEqual((names.parts("a", ASKER), names.parts("a", ASKER, True)), (("c",), ("b",)))
        self.assertTrue(names.by_address)

    @given(st.text(st.sampled_from("ab./\\\0 "), max_size=20), st.text(st.sampled_from("ab./\\\0 "), max_size=20))
    def test_never_outside(self, name: str, made: str) -> None:
        """Whatever rules make of a name, it leads downwards or is refused."""
        replacement = made.replace("\\", "\\\\").replace(" ", "\\ ")
        try:
            parts = Names(rules=[f"r a {replacement}"]).parts(name, NOBODY)
        except Forbidden:
            return
        self.assertTrue(parts)
        for part in parts:
            self.assertFalse(part.startswith(".") or set(part) & set("/\\\0"), part)


class CandidatesTests(SynchronousTestCase):
    """Folders of single machines."""

    def test_none(self) -> None:
        names = Names()
        self.assertEqual(names.candidates(("a",), ASKER, folded("52-54-00-12-34-5a")), (("a",),))
        self.assertFalse(names.wants_top(("12345678", "a"), ASKER))

    def test_by_mac(self) -> None:
        names = Names(machine_folders=[MAC])
        self.assertTrue(names.wants_top(("a",), ASKER))
        self.assertFalse(names.wants_top(("a",), NOBODY))
        for top, own in (
            (folded("52-54-00-12-34-5A", "52:54:00:12:34:5a"), "52-54-00-12-34-5A"),
            (folded("01-52-54-00-12-34-5a", "52:54:00:12:34:5a"), "01-52-54-00-12-34-5a"),
            (folded("52:54:00:12:34:5A"), "52:54:00:12:34:5A"),
            (folded("52-54-00-12-34-5b"), ""),
        ):
            self.assertEqual(own_folder(CARD, top), own)
            expected = ((own, "b", "a"), ("b", "a")) if own else (("b", "a"),)
            self.assertEqual(names.candidates(("b", "a"), ASKER, top), expected)
            self.assertEqual(names.candidates(("b", "a"), NOBODY, top), (("b", "a"),))

    def test_by_serial(self) -> None:
        """The folder is left out where it is not there, and beside it where it is."""
        names = Names(machine_folders=[MAC, SERIAL])
        parts = ("1a2B3c4d", "start4.elf")
        self.assertTrue(names.wants_top(parts, NOBODY))
        self.assertEqual(names.candidates(parts, NOBODY, None), (parts, ("start4.elf",)))
        self.assertEqual(names.candidates(parts, NOBODY, folded("1A2B3C4D")), (parts, ("start4.elf",)))
        self.assertEqual(names.candidates(parts, NOBODY, folded("x")), (("start4.elf",),))
        for other in (("1a2b3c4", "x"), ("1a2b3c4d5", "x"), ("1a2b3c4g", "x"), ("1a2b3c4d",)):
            self.assertEqual(names.candidates(other, NOBODY, {}), (other,))


class SettingTests(SynchronousTestCase):
    """What may stand in the file."""

    def test_aliases(self) -> None:
        kind = aliases()
        said = {"pxelinux.0": "undionly.kpxe", "a": "pxelinux.0"}
        self.assertEqual(kind.show(kind.parse(said)), said)
        for wrong, key, reason in (
            ({"a": "b", "b": "/a"}, "a", "leads back to itself"),
            ({"a": "./a"}, "a", "leads back to itself"),
            ({"x": "a", "a": "b", "b": "a"}, "x", "leads back to itself"),
            ({"a": "../b"}, "a", "'../b' is no name of a file: the name leads out of the folder"),
            ({"a": ""}, "a", "'' is no name of a file: it is the name of a folder"),
            ({"a": 3}, "a", "must be the name of a file"),
            ({"a": "b", "/a": "c"}, '"/a"', "a is given twice"),
        ):
            error = self.assertRaises(Invalid, kind.parse, wrong)
            assert isinstance(error, Invalid)
            self.assertIn(reason, error.allowed)
            self.assertEqual(error.key.strip('"'), key.strip('"'))

    def test_rules(self) -> None:
        """Of several, the wrong one is told by its number."""
        kind = rules()
        lines = ["r a b", "# nothing", "r (a) \\1"]
        self.assertEqual(kind.show(kind.parse(lines)), lines)
        error = self.assertRaises(Invalid, kind.parse, ["r a b", "r ("])
        assert isinstance(error, Invalid)
        self.assertEqual((error.key, error.value), ("[2]", "r ("))
        self.assertRaises(ValueError, kind.parse, "r a b")
