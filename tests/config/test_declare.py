"""Tests of `pixelboot.config`."""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import (
    ConfigError,
    Invalid,
    Kind,
    Words,
    address,
    arrays,
    build,
    choice,
    declared,
    dump,
    encodable,
    listing,
    network,
    optional,
    override,
    seconds,
    section,
    setting,
    tables,
    text,
    whole,
)
from pixelboot.malformed import Malformed


def _short(value: str) -> None:
    if len(value) > 20:
        raise Malformed("20 characters at most")


@dataclass(frozen=True, slots=True)
class Door:
    """An entry of an array inside a table."""

    number: int = setting(whole(1, 99), help="What stands on it.")
    pool: tuple[str, ...] = setting(listing(text("a short text", _short)), ("a",), help="Texts.")

    def __post_init__(self) -> None:
        if self.number == 13:
            raise Invalid("number", self.number, "brings bad luck")


@dataclass(frozen=True, slots=True)
class Floor:
    """A table in a table."""

    height: float = setting(seconds(0, 1e6), 2.5, help="A number with a fraction.")
    door: tuple[Door, ...] = setting(tables(Door), (), help="The doors.")


@dataclass(frozen=True, slots=True)
class House:
    """One setting of every kind."""

    name: str = setting(text(), "house", help="Any text.")
    long_word: str = setting(choice("up", "down"), "up", help="A word.")
    port: int = setting(whole(0, 65535), 67, help="A number.")
    wait: float = setting(seconds(0, 60), 10.0, help="A duration.")
    router: IPv4Address = setting(address(), IPv4Address("10.0.0.1"), help="An address.")
    subnet: IPv4Network = setting(network(), IPv4Network("10.0.0.0/8"), help="A network.")
    spare: IPv4Address | None = setting(optional(address()), None, help="An address or none.")
    limit: int | None = setting(optional(whole(1, 9)), 3, help="A number or none.")
    dns: tuple[IPv4Address, ...] = setting(listing(address()), (), help="Addresses.")
    floor: Floor = setting(section(Floor), help="A table.")


@dataclass(frozen=True, slots=True)
class Locked:
    """Nothing here has a default."""

    key: str = setting(text(), help="Without it nobody comes in.")


@dataclass(frozen=True, slots=True)
class Street:
    """A table with a setting that must be given."""

    lock: Locked = setting(section(Locked), help="A table.")


ACCEPTED: list[tuple[str, object, object]] = [
    ("name", "", ""),
    ("name", "ein größeres\nHaus", "ein größeres\nHaus"),
    ("long_word", "down", "down"),
    ("port", 0, 0),
    ("port", 65535, 65535),
    ("wait", 0, 0.0),
    ("wait", 0.25, 0.25),
    ("wait", 60.0, 60.0),
    ("router", "255.255.255.255", IPv4Address("255.255.255.255")),
    ("subnet", "10.77.0.0/24", IPv4Network("10.77.0.0/24")),
    ("spare", "", None),
    ("spare", "10.0.0.2", IPv4Address("10.0.0.2")),
    ("limit", "", None),
    ("limit", 9, 9),
    ("dns", [], ()),
    ("dns", ["10.0.0.2", "10.0.0.3"], (IPv4Address("10.0.0.2"), IPv4Address("10.0.0.3"))),
]

REFUSED: dict[str, list[object]] = {
    "name": [1, True, ["house"], "nul\0nul", "not UTF-8: \udcff", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)],
    "long_word": ["Up", "", 0, ["up"]],
    "port": [-1, 65536, 67.0, True, "67", 1 << 100_000, {"number": 67}],
    "wait": [-0.001, 60.001, float("nan"), float("inf"), False, "10", -(1 << 100_000), dt.time(0, 10)],
    "router": ["", "10.0.0", "10.0.0.1/8", "010.0.0.1", "::1", "a.house", 167772161, " 10.0.0.1"],
    "subnet": ["10.0.0.1/8", "10.0.0.0/33", 10],
    "spare": ["none", False],
    "limit": [0, "3"],
    "dns": ["10.0.0.2", ["10.0.0.2", 3], [["10.0.0.2"]], {}],
    "floor": [1, [], [{"height": 1}]],
}

TYPED: list[tuple[str, str, object]] = [
    ("name", "", ""),
    ("name", "67", "67"),
    ("name", "a, b", "a, b"),
    ("long_word", "down", "down"),
    ("port", "67", 67),
    ("wait", "10", 10.0),
    ("wait", "0.5", 0.5),
    ("router", "10.0.0.2", IPv4Address("10.0.0.2")),
    ("subnet", "10.0.0.0/16", IPv4Network("10.0.0.0/16")),
    ("spare", "", None),
    ("limit", "", None),
    ("limit", "4", 4),
    ("dns", "", ()),
    ("dns", "10.0.0.2", (IPv4Address("10.0.0.2"),)),
    ("dns", "10.0.0.2, 10.0.0.3,", (IPv4Address("10.0.0.2"), IPv4Address("10.0.0.3"))),
]

MISTYPED: dict[str, list[str]] = {
    "name": ["\0", "\udcff"],
    "long_word": ["sideways"],
    "port": ["", "http", "67.0", "0x43", "9" * 5000],
    "wait": ["soon", "nan", "1e999"],
    "router": ["10.0.0.256"],
    "subnet": ["10.0.0.1/24"],
    "spare": ["-"],
    "limit": ["10"],
    "dns": ["10.0.0.2;10.0.0.3"],
}

TOML = st.recursive(
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.datetimes()
    | st.dates()
    | st.times()
    | st.sampled_from(["", "10.0.0.1", "10.0.0.0/24", "up", 1, 13]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = [*(one.path[-1] for one in declared(House)), "floor", "door", "number", "pool"]
ADDRESSES = st.integers(0, 2**32 - 1).map(IPv4Address)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
HOUSES = st.builds(
    House,
    name=TEXTS,
    long_word=st.sampled_from(["up", "down"]),
    port=st.integers(0, 65535),
    wait=st.floats(0, 60),
    router=ADDRESSES,
    subnet=st.builds(
        lambda a, bits: IPv4Network((a, bits), strict=False), st.integers(0, 2**32 - 1), st.integers(0, 32)
    ),
    spare=st.none() | ADDRESSES,
    limit=st.none() | st.integers(1, 9),
    dns=st.lists(ADDRESSES, max_size=3).map(tuple),
    floor=st.builds(
        Floor,
        height=st.floats(0, 1e6),
        door=st.lists(
            st.builds(Door, number=st.integers(14, 99), pool=st.lists(TEXTS, max_size=3).map(tuple)), max_size=3
        ).map(tuple),
    ),
)


class BuildTests(SynchronousTestCase):
    """From a TOML document to a value."""

    def refused(self, settings: type, document: dict[str, object]) -> ConfigError:
        """The error for a document; every one of them fits on a few lines of a terminal."""
        error = self.assertRaises(ConfigError, build, settings, document)
        assert isinstance(error, ConfigError)
        self.assertTrue(str(error).isprintable(), ascii(str(error)))
        self.assertLess(len(str(error)), 700)
        return error

    def test_nothing_said(self) -> None:
        """Every setting has its default, those of a table that is not there too."""
        self.assertEqual(build(House, {}), House(floor=Floor()))

    def test_accepted(self) -> None:
        """What each kind takes."""
        for key, raw, value in ACCEPTED:
            built = getattr(build(House, {key: raw}), key)
            self.assertEqual(built, value, f"{key} = {raw!r}")
            self.assertIs(type(built), type(value), f"{key} = {raw!r}")

    def test_refused(self) -> None:
        """What it refuses, with key, value and what is allowed."""
        kinds = {one.key: one.kind.allowed for one in declared(House)}
        for key, raw in ((key, raw) for key, raws in REFUSED.items() for raw in raws):
            error = self.refused(House, {key: raw})
            self.assertEqual(error.key, key, str(error))
            self.assertIn(kinds.get(key, "a table"), str(error), f"{key}: {error}")
            self.assertTrue(str(error).startswith(f"{key} = "), str(error))

    def test_the_whole_message(self) -> None:
        """What an operator reads."""
        cases: list[tuple[dict[str, object], str]] = [
            ({"port": 65536}, "port = 65536: must be a whole number from 0 to 65535"),
            ({"wait": True}, "wait = true: must be seconds, from 0 to 60"),
            ({"spare": "x"}, 'spare = "x": must be an IPv4 address like 10.77.0.1, or "" for none'),
            ({"floor": 1}, "floor = 1: must be a table"),
            ({"floor": {"door": {}}}, "floor.door = {}: must be an array of tables"),
            ({"dns": ["1.1.1.1", 2]}, 'dns = ["1.1.1.1", 2]: must be a list, each an IPv4 address like 10.77.0.1'),
            ({"prot": 1}, "prot = 1: there is no such setting; did you mean port?"),
            ({"floor": {"hieght": 1.5}}, "floor.hieght = 1.5: there is no such setting; did you mean floor.height?"),
            ({"floor": {"qqq": {"a": 1}}}, "floor.qqq = {a = 1}: there is no such setting; there are: height, door"),
        ]
        for document, message in cases:
            self.assertEqual(str(self.refused(House, document)), message)

    def test_missing(self) -> None:
        """A setting without a default must be there, also in a table that is not."""
        cases: list[dict[str, object]] = [{}, {"lock": {}}]
        for document in cases:
            error = self.refused(Street, document)
            self.assertEqual(str(error), "lock.key is missing: it must be given: a text")

    def test_arrays_name_their_entries(self) -> None:
        """An error in the second entry says so; entries count from 1, as people do."""
        good: dict[str, object] = {"number": 1}
        for entry, key in [
            ({}, "floor.door[2].number"),
            ({"number": 100}, "floor.door[2].number"),
            ({"number": 13}, "floor.door[2].number"),
            ({"number": 1, "pool": ["x" * 21]}, "floor.door[2].pool"),
            ({"number": 1, "pol": []}, "floor.door[2].pol"),
        ]:
            error = self.refused(House, {"floor": {"door": [good, entry]}})
            self.assertEqual(error.key, key, str(entry))
        self.assertEqual(self.refused(House, {"floor": {"door": [good, 5]}}).key, "floor.door")

    def test_a_check_says_why(self) -> None:
        """The reason of a check stands behind what is allowed."""
        error = self.refused(House, {"floor": {"door": [{"number": 1, "pool": ["x" * 21]}]}})
        self.assertIn("must be a list, each a short text (20 characters at most)", str(error))

    def test_unknown_keys_of_any_spelling(self) -> None:
        """A key may be any text in TOML; the message stays one short line."""
        for key in ("", "a\nb", "\x1b[2J", "name\u202e", "n" * 100_000, "name.door", "Name"):
            error = self.refused(House, {key: 1})
            self.assertIn("there is no such setting", str(error), repr(key[:20]))

    def test_deep_values(self) -> None:
        """A value nested beyond all measure is refused like any other, not by the interpreter's stack."""
        for link in (lambda value: {"a": value}, lambda value: [value]):
            deep: Any = 1
            for _ in range(100_000):
                deep = link(deep)
            for key in ("name", "dns", "floor", "nothing"):
                self.refused(House, {key: deep})

    @given(st.dictionaries(st.sampled_from(KEYS), TOML, max_size=4))
    def test_any_document(self, document: dict[str, object]) -> None:
        """Whatever TOML can say is a value or a `ConfigError`."""
        for tree in (document, {"floor": document}, {"floor": {"door": [document]}}):
            try:
                built = build(House, tree)
            except ConfigError as error:
                self.assertLess(len(str(error)), 700)
                continue
            self.assertIsInstance(built, House)


class OverrideTests(SynchronousTestCase):
    """The command line over the file."""

    def built(self, key: str, words: str) -> object:
        """The value of a setting that was typed."""
        return getattr(build(House, override({}, (key,), words)), key)

    def test_typed(self) -> None:
        """What each kind makes of words."""
        for key, words, value in TYPED:
            self.assertEqual(self.built(key, words), value, f"--{key} {words!r}")

    def test_mistyped(self) -> None:
        """What it refuses; the words are shown as they were typed."""
        for key, words in ((key, words) for key, many in MISTYPED.items() for words in many):
            error = self.assertRaises(ConfigError, self.built, key, words)
            assert isinstance(error, ConfigError)
            self.assertEqual((error.key, error.value), (key, Words(words)), f"--{key} {words!r:.50}")
            self.assertLess(len(str(error)), 700)

    def test_every_value_can_be_typed(self) -> None:
        """Words go through the same gate as TOML: what is shown in TOML without quotes can be typed."""
        for key, raw, value in ACCEPTED:
            words = ",".join(map(str, raw)) if isinstance(raw, list) else str(raw)
            self.assertEqual(self.built(key, words), value, f"--{key} {words}")

    def test_wins(self) -> None:
        """The command line replaces one setting; its neighbours and the document itself stay."""
        document: dict[str, object] = {"name": "a", "floor": {"height": 1.0, "door": [{"number": 1}]}}
        over = override(override(document, ("floor", "height"), "2"), ("port",), "68")
        built = build(House, over)
        self.assertEqual((built.name, built.port, built.floor.height, len(built.floor.door)), ("a", 68, 2.0, 1))
        self.assertEqual(document, {"name": "a", "floor": {"height": 1.0, "door": [{"number": 1}]}})

    def test_repairs(self) -> None:
        """A bad value in the file does not matter when the command line has a good one."""
        self.assertEqual(build(House, override({"port": "x"}, ("port",), "68")).port, 68)

    def test_no_table(self) -> None:
        """Where the file has something else than the table, it is said."""
        error = self.assertRaises(ConfigError, override, {"floor": 1}, ("floor", "height"), "2")
        self.assertEqual(str(error), "floor = 1: must be a table")

    @given(st.sampled_from(list(declared(House))), st.text(st.characters(), max_size=30))
    def test_any_words(self, one: Any, words: str) -> None:
        """Whatever is typed is a value or a `ConfigError`."""
        try:
            build(House, override({}, one.path, words))
        except ConfigError as error:
            self.assertEqual(error.key, one.key)


class DeclaredTests(SynchronousTestCase):
    """What the command line and the reference are made of."""

    def test_plain(self) -> None:
        """Every plain setting, those of tables below their path, none of an array's."""
        found = {one.key: one for one in declared(House)}
        self.assertEqual(list(found)[-2:], ["dns", "floor.height"])
        self.assertEqual(found["long_word"].option, "long-word")
        self.assertEqual(found["floor.height"].option, "floor-height")
        self.assertEqual((found["router"].default, found["spare"].default, found["dns"].default), ("10.0.0.1", "", []))
        (key,) = declared(Street)
        self.assertEqual((key.key, key.required, key.default), ("lock.key", True, None))

    def test_arrays(self) -> None:
        """Every array with the settings of one entry."""
        ((key, help, entry),) = arrays(House)
        self.assertEqual((key, help), ("floor.door", "The doors."))
        self.assertEqual([one.key for one in entry], ["floor.door.number", "floor.door.pool"])

    def test_kinds_tell_what_they_take(self) -> None:
        """The words of nested kinds are put together."""
        kind: Kind[Any] = listing(optional(whole(1, 9)))
        self.assertEqual(kind.allowed, 'a list, each a whole number from 1 to 9, or "" for none')


class DumpTests(SynchronousTestCase):
    """Back to TOML."""

    @given(HOUSES)
    def test_round_trip(self, house: House) -> None:
        """What is printed is read back to the same value."""
        self.assertEqual(build(House, tomllib.loads(dump(house))), house)

    @given(HOUSES)
    def test_encodable(self, house: House) -> None:
        """So is what a terminal without all characters is given; one that has them all gets them."""
        for encoding in ("ascii", "latin-1"):
            document = encodable(dump(house), encoding)
            self.assertEqual(build(House, tomllib.loads(document.encode(encoding).decode(encoding))), house)
        self.assertEqual(encodable(dump(house), "utf-8"), dump(house))
        self.assertEqual(encodable('"ü€\U0001f600"', "latin-1"), '"ü\\u20ac\\U0001f600"')

    def test_looks_like_a_file(self) -> None:
        """Plain settings first, then tables, then arrays of tables."""
        floor = Floor(door=(Door(number=1), Door(number=2, pool=())))
        self.assertEqual(
            dump(floor, ("floor",)),
            'height = 2.5\n\n[[floor.door]]\nnumber = 1\npool = ["a"]\n\n[[floor.door]]\nnumber = 2\npool = []\n',
        )
