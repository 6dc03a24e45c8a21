"""Tests of `pixelboot.boot.seam`: what can be said of a container, and what cannot."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.seam import PLAIN, Choices, ContainerSettings, amended, checked_default, checked_id, said
from pixelboot.malformed import Malformed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=400), st.lists, max_leaves=3
)
KEYS = st.sampled_from([*asdict(PLAIN), "id", ""])


class AmendedTests(SynchronousTestCase):
    """`amended`."""

    def test_said(self) -> None:
        """What is said is so; what is not said stays; null is what holds unsaid."""
        whole = {
            "enabled": False,
            "name": " Ours ",
            "description": "größer",
            "order": -5,
            "timeout": 3,
            "arguments": "a b",
        }
        settings = amended(PLAIN, whole)
        self.assertEqual(settings, ContainerSettings(False, "Ours", "größer", -5, 3.0, "a b"))
        self.assertEqual(amended(settings, {}), settings)
        self.assertEqual(
            amended(settings, {"order": None}), ContainerSettings(False, "Ours", "größer", None, 3.0, "a b")
        )
        self.assertEqual(amended(settings, dict.fromkeys(whole)), PLAIN)

    def test_told(self) -> None:
        """`said` tells all settings, by the names that changes of them have."""
        spoken = ContainerSettings(False, "n", "d", 1, 2.0, "a")
        told = {"enabled": False, "name": "n", "description": "d", "order": 1, "timeout": 2.0, "arguments": "a"}
        self.assertEqual(said(spoken), told)
        self.assertEqual(amended(PLAIN, told), spoken)

    def test_refused(self) -> None:
        """The text names the setting and what is allowed."""
        for key, value, why in (
            ("nome", "x", "there is no setting 'nome', only enabled, name, description, order, timeout, arguments"),
            ("enabled", 1, "enabled must be true or false"),
            ("enabled", "yes", "enabled must be true or false"),
            ("name", 5, "name must be a text"),
            ("name", "x" * 101, "name must have at most 100 characters; this has 101"),
            ("name", "a\nb", "name must be one line without control characters"),
            ("name", "a\u202eb", "name must be one line without control characters"),
            ("name", "\udcff", "name must be one line without control characters"),
            ("description", "x" * 301, "description must have at most 300 characters; this has 301"),
            ("description", "a\x1b[2J", "description must be one line"),
            ("order", 1.0, "order must be a whole number from -1000000 to 1000000, or none"),
            ("order", True, "order must be a whole number"),
            ("order", 1_000_001, "order must be a whole number"),
            ("order", 10**400, "order must be a whole number"),
            ("timeout", -0.1, "timeout must be seconds from 0 (for ever) to 3600, or none"),
            ("timeout", 3600.1, "timeout must be seconds"),
            ("timeout", math.nan, "timeout must be seconds"),
            ("timeout", math.inf, "timeout must be seconds"),
            ("timeout", 10**400, "timeout must be seconds"),
            ("timeout", False, "timeout must be seconds"),
            ("arguments", ["a"], "arguments must be a text"),
            ("arguments", "x" * 2048, "arguments must have at most 2047 characters"),
            ("arguments", "a\tb", "arguments must be one line"),
            ("arguments", "a || b", "arguments cannot be passed on: the command line has the word ||"),
            ("arguments", "ip=${ip}", "arguments cannot be passed on: the command line has ${"),
        ):
            error = self.assertRaises(Malformed, amended, PLAIN, {key: value})
            self.assertIn(why, str(error), (key, value))

    @settings(max_examples=50)
    @given(st.dictionaries(KEYS, JSON))
    def test_anything(self, said: dict[str, object]) -> None:
        """Any JSON is settings that JSON can hold and that may be said again, or `Malformed` in a printable line."""
        try:
            after = amended(PLAIN, said)
        except Malformed as problem:
            self.assertTrue(str(problem).isprintable(), ascii(str(problem)))
        else:
            self.assertEqual(amended(PLAIN, json.loads(json.dumps(asdict(after), allow_nan=False))), after)


class NameTests(SynchronousTestCase):
    """`checked_id` and `checked_default`."""

    def test_ids(self) -> None:
        for good in ("a", "debian-12", "x" * 100, "9.A_b~0123-"):
            self.assertEqual(checked_id(good), good)
            self.assertEqual(checked_default(good), good)
        for bad in ("", "-a", ".a", "a/b", "a b", "é", "a\n", "x" * 101, 5, None):
            self.assertRaises(Malformed, checked_id, bad)

    def test_no_default(self) -> None:
        self.assertEqual((checked_default(""), checked_default(None)), ("", ""))
        self.assertRaises(Malformed, checked_default, "a b")
        self.assertRaises(Malformed, checked_default, ["a"])


class ChoicesTests(SynchronousTestCase):
    """`Choices`."""

    def test_having(self) -> None:
        """Others are the same objects as before; of a container of which nothing is said nothing is kept."""
        first, second = ContainerSettings(order=1), ContainerSettings(enabled=False)
        choices = Choices("a").having("a", first).having("b", second)
        self.assertEqual((choices.default, dict(choices.containers)), ("a", {"a": first, "b": second}))
        self.assertIs(choices.having("b", first).of("a"), first)
        self.assertEqual(dict(choices.having("a", PLAIN).containers), {"b": second})
        self.assertIs(choices.of("c"), PLAIN)
        self.assertEqual(dict(choices.containers), {"a": first, "b": second}, "values do not change")
