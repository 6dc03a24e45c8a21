"""Tests of `pixelboot.config.spelling`."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config.spelling import encodable, key, shown, toml

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


class SpellingTests(SynchronousTestCase):
    """Values as TOML has them."""

    @given(VALUES)
    def test_read_back(self, value: object) -> None:
        """What is spelled is read as the same value, tables with any keys among them."""
        self.assertEqual(tomllib.loads(f"it = {toml(value)}"), {"it": value})

    @given(TEXTS)
    def test_keys(self, name: str) -> None:
        """A key is bare where TOML takes it bare, and in quotes where not."""
        self.assertEqual(tomllib.loads(f"{key(name)} = 1"), {name: 1})

    def test_looks(self) -> None:
        """As people write it."""
        value = {"ntp-servers": ["10.0.0.1"], "224": "hex:01", "a b": [True, 0.5, {}]}
        self.assertEqual(toml(value), '{ntp-servers = ["10.0.0.1"], 224 = "hex:01", "a b" = [true, 0.5, {}]}')

    def test_shown_in_messages(self) -> None:
        """What a message shows is one line of bounded length."""
        self.assertEqual(shown("a\u202eb"), '"a\\u202eb"')
        self.assertLess(len(shown(["x" * 1000])), 130)
        deep: list[object] = []
        for _ in range(100_000):
            deep = [deep]
        self.assertEqual(shown(deep), "[[[[[[[[…]]]]]]]]")

    def test_encodable(self) -> None:
        """A terminal without all characters gets escapes, one with them the characters."""
        self.assertEqual(encodable('"ü€\U0001f600"', "latin-1"), '"ü\\u20ac\\U0001f600"')
        self.assertEqual(encodable('"ü€"', "utf-8"), '"ü€"')
