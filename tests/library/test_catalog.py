"""Tests of `pixelboot.library.catalog`."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.catalog import identify


class TestIdentify(SynchronousTestCase):
    """Names in URLs."""

    def test_known(self) -> None:
        for name, identity in {
            "debian-12.rts.png": "debian-12",
            "Alpine_3.20.rts.png": "Alpine_3.20",
            "a b.rts.png": "a-b~56846eef0d5b",
            "ü/<x>.rts.png": "x~d136c78ddd4f",
            "ü.rts.png": "container~5316066394fe",
            "..rts.png": "container~9d1f69553051",
            "x" * 101 + ".rts.png": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx~baa356d53ba8",
        }.items():
            self.assertEqual(identify(name), identity, name)

    @given(st.text(st.characters(exclude_characters="/\0")), st.text(st.characters(exclude_characters="/\0")))
    def test_url_safe_stable_and_unique(self, one: str, two: str) -> None:
        first, second = identify(one + ".rts.png"), identify(two + ".rts.png")
        self.assertTrue(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,120}", first), first)
        self.assertEqual(first == second, one == two)
        self.assertEqual(identify(one + ".rts.png"), first)
        self.assertNotEqual(
            identify(first + ".rts.png") if "~" in first else "", first, "no name imitates another's id"
        )
