"""What server and helper say to each other."""

from __future__ import annotations

import math
from ipaddress import IPv4Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.lease import Lease, State
from pixelboot.malformed import Malformed
from pixelboot.state.wire import SIZE_LIMIT, Messages, encode, lease_of, row_of

printable = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), max_size=20)
instants = st.floats(allow_nan=False)
leases = st.builds(
    Lease,
    address=st.integers(0, 2**32 - 1).map(IPv4Address),
    identity=st.text("0123456789abcdef:", min_size=1, max_size=30),
    hwaddr=printable,
    state=st.sampled_from(State),
    started_at=instants,
    expires_at=instants | st.just(math.inf),
    hostname=printable,
)


class WireTests(SynchronousTestCase):
    """Messages and rows."""

    @given(st.lists(leases, max_size=5), st.lists(st.integers(1, 200), max_size=5))
    def test_round_trip(self, sent: list[Lease], cuts: list[int]) -> None:
        """Whatever is sent arrives, however the pipe cuts it."""
        octets = b"".join(encode("commit", n, [row_of(int(each.address), each)]) for n, each in enumerate(sent))
        octets += encode("commit", 99, [row_of(7, None)])
        messages = Messages()
        heard: list[Any] = []
        for cut in cuts:
            heard += messages.received(octets[:cut])
            octets = octets[cut:]
        heard += messages.received(octets)
        self.assertEqual(heard.pop(), ["commit", 99, [[7]]])
        self.assertEqual([lease_of(rows[0]) for _, _, rows in heard], sent)

    def test_no_messages(self) -> None:
        """Octets that are no message are an error, at once."""
        for octets in (
            (SIZE_LIMIT + 1).to_bytes(4, "big"),
            b"\xff\xff\xff\xff",
            b"Traceback (most recent call last):",
            b"\0\0\0\0",
            b"\0\0\0\2[]",
            b"\0\0\0\2{}",
            b"\0\0\0\3[1]",
            b"\0\0\0\4nope",
            b"\0\0\0\2\xff\xff",
            b"\0\1\0\0" + b"[" * 65536,
        ):
            with self.assertRaises(Malformed, msg=repr(octets[:20])):
                Messages().received(octets)

    @given(st.binary(max_size=50))
    def test_any_octets(self, octets: bytes) -> None:
        """Any octets are messages, or wait for more, or are `Malformed`."""
        try:
            messages = Messages().received(octets)
        except Malformed:
            return
        self.assertTrue(all(isinstance(message[0], str) for message in messages))

    def test_no_leases(self) -> None:
        """A row of another shape is no lease."""
        good = row_of(7, Lease(IPv4Address(7), "hw:1", "", State.BOUND, 0.0, 1.0))
        self.assertEqual(lease_of(good).address, IPv4Address("0.0.0.7"))
        for place, value in (
            (0, -1),
            (0, 2**32),
            (0, None),
            (1, ""),
            (1, 5),
            (1, None),
            (2, None),
            (3, "lost"),
            (4, "yesterday"),
            (4, None),
            (5, math.nan),
            (6, b"x"),
        ):
            row = list(good)
            row[place] = value
            with self.assertRaises(Malformed, msg=f"{place} {value!r}"):
                lease_of(row)
        for row in ([], [7], [*good, 1]):
            with self.assertRaises(Malformed):
                lease_of(row)
