"""Options inside options: makers' sub-options and the blocks of RFC 3925."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.dhcp.message.vendor import (
    CLASSES,
    SUB_OPTIONS,
    VENDOR_OPTIONS,
    decode_classes,
    decode_options,
    user_classes,
)
from pixelboot.malformed import Malformed

CASES: tuple[tuple[str, dict[int, tuple[bytes, ...]] | None, dict[int, dict[int, bytes]] | None], ...] = (
    ("", {}, {}),
    ("0000118b00", {4491: ()}, {4491: {}}),
    ("00000009020161", {9: (b"a",)}, None),
    ("0000000903026162", {9: (b"ab",)}, None),
    ("0000000905" + "0161" + "026263", {9: (b"a", b"bc")}, None),
    ("0000118b0402020a0b", None, {4491: {2: b"\x0a\x0b"}}),
    ("0000000903010161" + "0000118b03020162", None, {9: {1: b"a"}, 4491: {2: b"b"}}),
    ("0000000903010161" + "0000000903010162", None, {9: {1: b"ab"}}),
    ("00000009020161" + "00000009020162", {9: (b"a", b"b")}, None),
)
"""The value, read as option 124 and as 125; None for what is malformed so or read as something else."""


class Table(SynchronousTestCase):
    """What is known by heart."""

    def test_o14_blocks_of_enterprises(self) -> None:
        """O14: one option with a block for each enterprise."""
        for text, classes, options in CASES:
            value = bytes.fromhex(text)
            if classes is not None:
                self.assertEqual(decode_classes(value), classes, text)
            if options is not None:
                self.assertEqual(decode_options(value), options, text)

    def test_o14_every_length_is_inside_its_bounds(self) -> None:
        """O14: a block past the option, and a class or option past its block, though octets follow there."""
        for text in ("00", "00000009", "0000000901", "000000090102" + "00" * 9, "0000000903020161" + "00" * 9):
            value = bytes.fromhex(text)
            self.assertRaises(Malformed, decode_classes, value)
            self.assertRaises(Malformed, decode_options, value)

    def test_user_classes(self) -> None:
        """A list of texts; what is no list is read as far as it goes."""
        for value, classes in (
            (b"", ()),
            (b"\4iPXE", (b"iPXE",)),
            (b"\4iPXE\0\2ab", (b"iPXE", b"", b"ab")),
            (b"\4iPXE\3ab", (b"iPXE",)),
            (b"iPXE", ()),
        ):
            self.assertEqual(user_classes(value), classes, value)

    def test_o17_sub_options_truncated(self) -> None:
        """O17: shown as sub-options only if they are whole."""
        self.assertEqual(SUB_OPTIONS.show(b"\1\2hi\xf1\4\x0a\0\0\1\xff"), '1: "hi", 241: 0a:00:00:01')
        for value in (b"\1\3hi", b"\1", b"\xff", b"\0\0"):
            self.assertRaises(Malformed, SUB_OPTIONS.show, value)

    def test_settings_that_do_not_fit(self) -> None:
        """O14, O17: what a length octet cannot say is refused, not cut."""
        SUB_OPTIONS.encode({"1": "x" * 255})
        VENDOR_OPTIONS.encode({"0": {"1": "x" * 253}})
        CLASSES.encode({"4294967295": ["x" * 254]})
        for kind, value in (
            (SUB_OPTIONS, {"1": "x" * 256}),
            (SUB_OPTIONS, {}),
            (SUB_OPTIONS, {"255": "x"}),
            (SUB_OPTIONS, {"one": "x"}),
            (SUB_OPTIONS, {"1": "x", "01": "y"}),
            (SUB_OPTIONS, {"1": {"2": "x"}}),
            (SUB_OPTIONS, ["x"]),
            (VENDOR_OPTIONS, {"0": {"1": "x" * 254}}),
            (VENDOR_OPTIONS, {"4294967296": {"1": "x"}}),
            (VENDOR_OPTIONS, {"9": "x"}),
            (CLASSES, {"9": "x" * 255}),
            (CLASSES, {"9": []}),
            (CLASSES, {"9": ["a" * 200, "b" * 200]}),
        ):
            with self.assertRaises(Malformed, msg=str(value)[:60]):
                kind.encode(value)


enterprises = st.integers(0, 2**32 - 1)
octets = st.binary(min_size=1, max_size=40)


class Properties(SynchronousTestCase):
    """What holds for everything."""

    @given(st.dictionaries(enterprises, st.lists(octets, min_size=1, max_size=4), min_size=1, max_size=4))
    def test_o14_classes_there_and_back(self, classes: dict[int, list[bytes]]) -> None:
        """O14: what the settings say is what the other side reads."""
        said = {str(number): [f"hex:{name.hex()}" for name in some] for number, some in classes.items()}
        self.assertEqual(decode_classes(CLASSES.encode(said)), {n: tuple(some) for n, some in classes.items()})

    @given(
        st.dictionaries(
            enterprises, st.dictionaries(st.integers(1, 254), octets, min_size=1, max_size=4), min_size=1, max_size=4
        )
    )
    def test_o14_options_there_and_back(self, options: dict[int, dict[int, bytes]]) -> None:
        """O14: ditto."""
        said = {str(n): {str(code): f"hex:{v.hex()}" for code, v in some.items()} for n, some in options.items()}
        self.assertEqual(decode_options(VENDOR_OPTIONS.encode(said)), options)

    @given(st.binary(max_size=80))
    def test_o14_anything_is_a_value_or_malformed(self, value: bytes) -> None:
        """O14, O17: a client sends these, too."""
        for read in (decode_classes, decode_options, SUB_OPTIONS.show, CLASSES.show, VENDOR_OPTIONS.show):
            try:
                read(value)
            except Malformed:
                continue
