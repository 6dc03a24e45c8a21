"""Tests of `pixelboot.library.decoding.order`."""

from __future__ import annotations

import json
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.decoding.order import ORDER_LIMIT, Ended, Order
from pixelboot.library.folder.look import Seen, Stamp
from pixelboot.malformed import Malformed

STAMP = Stamp(1, 2, 3, 4, 5)
PLAIN = Order("examine", Seen("/srv", "a.rts.png", STAMP))
BESIDE = Order("decode", Seen("/srv/\udcff", "ü\n.rts.png", STAMP, "", Stamp(9, 8, 7, 6, 5), "a.rts.meta.json"))


class TestOrder(SynchronousTestCase):
    """The lines to and from a decoder."""

    def test_both_ways(self) -> None:
        for order in (PLAIN, BESIDE):
            line = order.write()
            self.assertEqual(Order.read(line), order)
            self.assertEqual((line[-1:], line.count(b"\n"), line.isascii()), (b"\n", 1, True), "one line")
        longest = Order("verify", Seen("\udcff" * 4095, "\udcff" * 255, STAMP, "", STAMP, "\udcff" * 255))
        self.assertLess(len(longest.write()), ORDER_LIMIT)
        for end in (Ended(None, 5), Ended("why\n", 1 << 40)):
            self.assertEqual(Ended.read(end.write()), end)

    def test_nonsense(self) -> None:
        order = json.loads(BESIDE.write())
        texts: list[object] = [None, 5, []]
        stamps: list[object] = [[], [1, 2, 3, 4], "x", [1.0] * 5]
        orders: list[object] = [
            *(None, [], {}, order[:-1], [*order, 1], ["paint", *order[1:]], [None, *order[1:]]),
            *([*order[:at], value, *order[at + 1 :]] for at in (1, 2, 4) for value in texts),
            *([*order[:at], value, *order[at + 1 :]] for at in (3, 5) for value in stamps),
        ]
        ends: list[object] = [
            None,
            [],
            {},
            {"ended": None},
            {"ended": 5, "resident": 5},
            {"ended": "", "resident": "5"},
        ]
        ends += [{"ended": None, "resident": 5, "more": 5}]
        for read, cases in ((Order.read, orders), (Ended.read, ends)):
            for case in cases:
                self.assertRaises(Malformed, read, json.dumps(case).encode())
            for line in (b"", b"x", b"[" * 5000, b"\xff"):
                self.assertRaises(Malformed, read, line)

    @given(st.binary(max_size=100), st.sampled_from([Order.read, Ended.read]))
    def test_any_octets(self, line: bytes, read: Callable[[bytes], object]) -> None:
        self.assertRaises(Malformed, read, line)
