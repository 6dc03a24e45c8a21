"""Tests of `pixelboot.config.kinds`: those kinds that ``test_declare`` does not build a whole house of."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import (
    ConfigError,
    Entry,
    build,
    declared,
    dump,
    fraction,
    hardware_address,
    hexadecimal,
    mapping,
    octets,
    one_or_more,
    optional,
    override,
    seconds,
    setting,
    switch,
    text,
    uuid,
)
from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed


def _size(key: str, value: object) -> int:
    if not isinstance(value, int):
        raise Malformed(f"must be how many {key[:10]} there are")
    return value


def _name(name: str) -> None:
    if not name or len(name) > 15:
        raise Malformed("1 to 15 characters")


@dataclass(frozen=True, slots=True)
class Garden:
    """One setting of every kind that a garden has."""

    part: float = setting(fraction(0.25, 1), 0.5, help="A part of it.")
    card: HardwareAddress | None = setting(optional(hardware_address()), None, help="A whole address.")
    maker: HardwareAddress | None = setting(optional(hardware_address(1)), None, help="The front of one.")
    board: UUID | None = setting(optional(uuid()), None, help="A UUID.")
    number: bytes = setting(hexadecimal(2, 4), b"\1\2", help="Octets.")
    place: bytes = setting(octets(8), b"shed", help="A text or octets.")
    gates: tuple[str, ...] = setting(one_or_more(text("a name", _name)), (), help="One or more.")
    rest: float | None = setting(optional(seconds(1, 9)), 2.0, help="Seconds or none.")
    trees: tuple[Entry[int], ...] = setting(mapping("a table of trees", _size), (), help="Free keys.")
    water: bool = setting(switch(), False, help="On or off.")


CARD = HardwareAddress.parse("02:aa:00:00:00:01")
BOARD = UUID("4c4c4544-0035-5a10-8051-b7c04f563358")

ACCEPTED: list[tuple[str, object, object]] = [
    ("part", 0.25, 0.25),
    ("part", 1, 1.0),
    ("card", "", None),
    ("card", "02:aa:00:00:00:01", CARD),
    ("card", "02-AA-00-00-00-01", CARD),
    ("maker", "02", HardwareAddress(b"\2")),
    ("maker", "02:aa:bb", HardwareAddress(b"\2\xaa\xbb")),
    ("board", "4c4c4544-0035-5a10-8051-b7c04f563358", BOARD),
    ("board", "4C4C454400355A108051B7C04F563358", BOARD),
    ("number", "01ff", b"\x01\xff"),
    ("number", "01:FF:00:7f", b"\x01\xff\x00\x7f"),
    ("place", "ge-0/0/1", b"ge-0/0/1"),
    ("place", "hex:00ff", b"\x00\xff"),
    ("place", "hex:00:ff", b"\x00\xff"),
    ("place", "ü", "ü".encode()),
    ("gates", "", ()),
    ("gates", "eno1", ("eno1",)),
    ("gates", [], ()),
    ("gates", ["eno1", "eno2"], ("eno1", "eno2")),
    ("rest", "", None),
    ("rest", 9, 9.0),
    ("trees", {}, ()),
    ("trees", {"oak": 2, "a b": 3}, (Entry("oak", 2, 2), Entry("a b", 3, 3))),
]

REFUSED: dict[str, list[object]] = {
    "part": [0.2, 1.01, True, "0.5", float("nan")],
    "card": ["02:aa:00", "02:aa:00:00:00:0g", 2, "02" * 17, ["02:aa:00:00:00:01"]],
    "maker": ["2", "02:", "02aa", 0x02, "02:aa:bb*", ":".join(["02"] * 17)],
    "board": ["4c4c4544", BOARD.int, "{4c4c4544-0035-5a10-8051-b7c04f563358}", "urn:uuid:" + str(BOARD), "g" * 32],
    "number": ["01", "0102030405", "1:02:03", "01:02:", "hex:0102", 102, "01 02", "0" * 1_000_000],
    "place": ["", "123456789", "hex:", "hex:0", "hex:0g", "hex:" + "00" * 9, "ü" * 5, 7, ["shed"]],
    "gates": [1, ["eno1", ""], [["eno1"]], ["x" * 16], {"eno1": 1}],
    "rest": [0.5, "none"],
    "trees": [[], "oak = 1", 1],
}

TYPED: list[tuple[str, str, object]] = [
    ("part", "0.75", 0.75),
    ("water", "true", True),
    ("card", "02:aa:00:00:00:01", CARD),
    ("place", "hex:00", b"\0"),
    ("gates", "", ()),
    ("gates", "eno1", ("eno1",)),
    ("gates", "eno1, eno2", ("eno1", "eno2")),
    ("trees", "", ()),
    ("trees", 'oak = 2, "a b" = 3', (Entry("oak", 2, 2), Entry("a b", 3, 3))),
]

MISTYPED: dict[str, list[str]] = {
    "part": ["half", "2"],
    "water": ["yes", ""],
    "trees": [
        "oak",
        "oak = 1 }\nelm = { x = 1",
        "oak = 1\n",
        "}",
        "{" * 5000,
        "[" * 100_000,
        'oak = "\0"',
        "oak = 1979-99-99",
    ],
}

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=15)
GARDENS = st.builds(
    Garden,
    part=st.floats(0.25, 1),
    card=st.none() | st.binary(min_size=6, max_size=16).map(HardwareAddress),
    maker=st.none() | st.binary(min_size=1, max_size=16).map(HardwareAddress),
    board=st.none() | st.uuids(),
    number=st.binary(min_size=2, max_size=4),
    place=st.binary(min_size=1, max_size=8) | st.sampled_from([b"hex:00", b"port 1", b"hex:", b'a"b\\']),
    gates=st.lists(TEXTS, max_size=3).map(tuple),
    rest=st.none() | st.floats(1, 9),
    trees=st.dictionaries(TEXTS, st.integers(0, 9), max_size=3).map(
        lambda d: tuple(Entry(k, v, v) for k, v in d.items())
    ),
    water=st.booleans(),
)


class KindTests(SynchronousTestCase):
    """What each takes and refuses."""

    def test_accepted(self) -> None:
        """From TOML."""
        for key, raw, value in ACCEPTED:
            self.assertEqual(getattr(build(Garden, {key: raw}), key), value, f"{key} = {raw!r}")

    def test_refused(self) -> None:
        """With the key, the value and what is allowed, on a few lines."""
        kinds = {one.key: one.kind.allowed for one in declared(Garden)}
        for key, raw in ((key, raw) for key, raws in REFUSED.items() for raw in raws):
            error = self.assertRaises(ConfigError, build, Garden, {key: raw})
            assert isinstance(error, ConfigError)
            self.assertEqual(error.key, key, f"{raw!r:.80}")
            self.assertIn(kinds[key], str(error), f"{key} = {raw!r:.80}")
            self.assertLess(len(str(error)), 700)

    def test_typed(self) -> None:
        """From the command line."""
        for key, words, value in TYPED:
            self.assertEqual(getattr(build(Garden, override({}, (key,), words)), key), value, f"--{key} {words!r}")

    def test_mistyped(self) -> None:
        """Words that go on behind their table, or nest beyond all measure, are refused as any others."""
        for key, words in ((key, words) for key, many in MISTYPED.items() for words in many):
            error = self.assertRaises(ConfigError, build, Garden, override({}, (key,), words))
            assert isinstance(error, ConfigError)
            self.assertEqual(error.key, key, f"--{key} {words!r:.50}")

    def test_a_wrong_entry_is_named(self) -> None:
        """Of a table with free keys the one that is wrong stands in the message, whatever it is called."""
        for name, shown in (
            ("oak", "trees.oak"),
            ("a b", 'trees."a b"'),
            ("\u202e", 'trees."\\u202e"'),
            ("", 'trees.""'),
        ):
            error = self.assertRaises(ConfigError, build, Garden, {"trees": {"elm": 1, name: "x"}})
            self.assertEqual(str(error), f'{shown} = "x": must be how many {name} there are')
        error = self.assertRaises(ConfigError, build, Garden, {"trees": {"n" * 100_000: "x"}})
        self.assertLess(len(str(error)), 200)

    def test_looks_like_a_file(self) -> None:
        """One gate is a word, several are a list; a text is shown as such where it is one."""
        for garden, line in (
            (Garden(), 'gates = ""'),
            (Garden(gates=("eno1",)), 'gates = "eno1"'),
            (Garden(gates=("eno1", "eno2")), 'gates = ["eno1", "eno2"]'),
            (Garden(place=b"port 1"), 'place = "port 1"'),
            (Garden(place=b"\0\1"), 'place = "hex:0001"'),
            (Garden(number=b"\0\1\xff"), 'number = "00:01:ff"'),
            (Garden(card=CARD), 'card = "02:aa:00:00:00:01"'),
            (Garden(trees=(Entry("a b", 1, 1),)), 'trees = {"a b" = 1}'),
        ):
            self.assertIn(line + "\n", dump(garden))

    @given(GARDENS)
    def test_round_trip(self, garden: Garden) -> None:
        """What is printed is read back to the same value."""
        self.assertEqual(build(Garden, tomllib.loads(dump(garden))), garden)

    @given(st.sampled_from(list(declared(Garden))), st.text(st.characters(), max_size=30))
    def test_any_words(self, one: Any, words: str) -> None:
        """Whatever is typed is a value or a `ConfigError`."""
        try:
            build(Garden, override({}, one.path, words))
        except ConfigError as error:
            self.assertTrue(error.key.startswith(one.key))
