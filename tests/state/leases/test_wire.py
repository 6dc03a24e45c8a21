"""What server and helper say to each other."""

from __future__ import annotations

import math
import zlib
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.lease import Lease, State
from pixelboot.malformed import Malformed
from pixelboot.state.leases import wire
from pixelboot.state.leases.loading import leases_of, row_of
from pixelboot.state.leases.wire import SIZE_LIMIT, Messages, message

printable = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), max_size=20)
instants = st.floats(allow_nan=False)
octets = st.binary(max_size=255)
leases = st.builds(
    Lease,
    address=st.integers(0, 2**32 - 1).map(IPv4Address),
    identity=st.text("0123456789abcdef:", min_size=1, max_size=30),
    hwaddr=printable,
    state=st.sampled_from(State).filter(lambda state: state is not State.OFFERED),
    started_at=instants,
    expires_at=instants | st.just(math.inf),
    hostname=printable,
    renewed_at=instants,
    client_id=octets,
    circuit=octets,
)


class MessageTests(SynchronousTestCase):
    """`Messages`."""

    @given(st.lists(leases, max_size=5), st.lists(st.integers(1, 200), max_size=5))
    def test_round_trip(self, sent: list[Lease], cuts: list[int]) -> None:
        """Whatever is sent arrives, however the pipe cuts it."""
        stream = wire.rows([tuple(row_of(each)) for each in sent])
        stream += wire.commit(7, wire.batch((int(each.address), each) for each in sent))
        messages = Messages()
        heard = []
        for cut in cuts:
            heard += messages.received(stream[:cut])
            stream = stream[cut:]
        heard += messages.received(stream)
        self.assertEqual([kind for kind, _ in heard], [b"T", b"C"])
        expected = {int(each.address): each for each in sent}
        self.assertEqual(leases_of(wire.rows_in(heard[0][1])), expected)
        self.assertEqual(heard[1][1][:8], bytes(7) + b"\7")
        changes = wire.changes_in(heard[1][1][8:])
        self.assertEqual(leases_of([row for _, row in changes if row is not None]), expected)

    def test_no_messages(self) -> None:
        """Octets that are no message are an error, at once."""
        for stream in (
            (SIZE_LIMIT + 1).to_bytes(4) + b"R",
            b"\xff\xff\xff\xffR",
            b"Traceback (most recent call last):",
            b"\0\0\0\0R",
            b"\0\0\0\1r",
        ):
            with self.assertRaises(Malformed, msg=repr(stream[:20])):
                Messages().received(stream)

    @given(st.binary(max_size=50))
    def test_any_octets(self, stream: bytes) -> None:
        """Any octets are messages, or wait for more, or are `Malformed`; and so are rows."""
        try:
            found = Messages().received(stream)
        except Malformed:
            found = []
        self.assertTrue(all(len(kind) == 1 for kind, _ in found))

    def test_no_rows(self) -> None:
        """A message that is not what marshal wrote."""
        for body in (b"", b"nonsense", wire.rows([])[5:][:-1], message(b"T", b"N")[5:]):
            with self.assertRaises(Malformed, msg=repr(body)):
                wire.rows_in(body)


class BatchTests(SynchronousTestCase):
    """What stands in the journal."""

    def test_nothing_known(self) -> None:
        """An address of which nothing is known any more; and an empty batch."""
        self.assertEqual(wire.changes_in(wire.batch([(7, None), (8, None)])), [(7, None), (8, None)])
        self.assertEqual(wire.changes_in(wire.batch([])), [])

    def test_damaged(self) -> None:
        """Whatever octet is changed, and wherever it ends: it is no batch."""
        good = wire.batch([(7, Lease(IPv4Address(7), "hw:1", "", State.BOUND, 0.0, 1.0, "né"))])
        for at in range(len(good)):
            for bad in (good[:at], good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :]):
                with self.assertRaises(Malformed, msg=repr(bad)):
                    wire.changes_in(bad)

    @given(st.binary(max_size=120))
    def test_sealed_nonsense(self, body: bytes) -> None:
        """Any octets with the right checksum are changes, or `Malformed`."""
        try:
            changes = wire.changes_in(zlib.crc32(body).to_bytes(4) + body)
        except Malformed:
            return
        self.assertTrue(all(0 <= number < 2**32 for number, _ in changes))
