"""Tests of `pixelboot.tftp.read.transfer.in_step`: it answers what `ReadTransfer.received` would, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp import wire
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.patience import Patience
from pixelboot.tftp.read.ending import Ending, Result
from pixelboot.tftp.read.transfer import ReadTransfer, in_step
from tests.tftp.peer import Held, Member, hear, reading

EVENTS = st.one_of(
    st.just("next"), st.just("next"), st.just("next"), st.just("timer"), st.just("again"), st.just("error"),
    st.integers(0, 70_000),
)  # fmt: skip
"""The ACK that is due, time, the last ACK again, an ERROR, or the ACK of any block."""


def started(octets: bytes, windowsize: int = 1, agreed: Sequence[tuple[str, str]] = ()) -> ReadTransfer:
    """A transfer in blocks of 8 octets whose first packet was sent."""
    one = reading(Held(octets), Terms(8, windowsize, agreed=tuple(agreed)), Patience())
    one.start(0.0)
    return one


class InStepTests(SynchronousTestCase):
    """Many ACKs at once."""

    def test_t01_a_batch(self) -> None:
        """Those of clients in lock-step are answered; all others are given back as they were, in their order."""
        members = {bytes([number]): Member(started(bytes(800)), str(number)) for number in range(3)}
        members[b"w"] = Member(started(bytes(800), 4), "w")
        for member in members.values():
            member.reading.received(wire.ack(1), 0.1)
        asked = [(wire.ack(2), peer, b"told") for peer in (b"\2", b"w", b"\0", b"?", b"\1")]
        asked += [(wire.ack(2), b"\0", b"told"), (b"", b"\1", b""), (wire.error(0, "x"), b"\2", b"")]
        packets, ways, sooner, others = in_step(asked, members, 0.2)
        self.assertEqual(packets, [wire.data(3, bytes(8))] * 3)
        self.assertEqual((ways, sooner), (["2", "0", "1"], []))
        self.assertEqual(others, [asked[1], asked[3], *asked[5:]])
        self.assertEqual([members[bytes([number])].reading.heard_at for number in range(3)], [0.2] * 3)

    def test_t01_the_end(self) -> None:
        """Who has acknowledged the last block is noted; a copy of that ACK is given back, as it belongs to nothing."""
        members = {peer: Member(started(octets)) for peer, octets in ((b"a", bytes(9)), (b"b", bytes(7)))}
        members[b"a"].reading.received(wire.ack(1), 0.1)
        asked = [(wire.ack(2), b"a", b""), (wire.ack(1), b"b", b""), (wire.ack(2), b"a", b"")]
        packets, ways, noted, others = in_step(asked, members, 0.2)
        self.assertEqual((packets, ways, others), ([], [], [asked[2]]))
        self.assertEqual(noted, list(members.values()))
        endings = [member.reading.ending for member in noted]
        self.assertEqual(endings, [Ending(Result.DELIVERED, octets, 0.2, 0) for octets in (9, 7)])

    def test_t01_foreseen(self) -> None:
        """What comes next is known where it is answered so, and nowhere else: not at the end, not after a loss."""
        one = started(bytes(800))
        known = []
        for block in range(1, 102):
            hear(one, wire.ack(block), 0.1)
            known.append(one.next_step)
        self.assertEqual(known[0], (wire.ack(2), wire.data(3, bytes(8))))
        self.assertEqual([at + 1 for at, step in enumerate(known) if step is None], [100, 101])
        lost = started(bytes(800))
        hear(lost, wire.ack(1), 0.1)
        self.assertIsNotNone(lost.next_step)
        lost.expired(lost.deadline or 0.0)
        self.assertIsNone(lost.next_step)

    def test_t11_a_deadline_that_is_sooner(self) -> None:
        """A round trip shortens the wait; whoever looks at the deadlines must know."""
        member = Member(started(bytes(800)), looked_at=9.0)
        for block in range(1, 9):
            member.reading.received(wire.ack(block), block / 1000)
        seen = []
        for block in range(9, 17):
            _, _, sooner, others = in_step([(wire.ack(block), b"a", b"")], {b"a": member}, block / 1000)
            self.assertEqual(others, [])
            seen += sooner
        self.assertEqual(seen, [member])

    @given(st.integers(0, 3000), st.sampled_from([(), (("blksize", "8"),)]), st.lists(EVENTS, max_size=120))
    def test_t10_t11_t15_as_by_the_long_way(
        self, size: int, agreed: Sequence[tuple[str, str]], events: list[str | int]
    ) -> None:
        """Whatever comes, in whatever order: twins of which one never takes the short way say the same."""
        one, other = started(bytes(size), agreed=agreed), started(bytes(size), agreed=agreed)
        now, last = 0.0, -1 if agreed else 0
        for event in events:
            now += 0.01
            if event == "timer":
                now = max(now, one.deadline or now, other.deadline or now)  # Not all round trips are measured.
                said, expected = one.expired(now), other.expired(now)
            else:
                last = last + 1 if event == "next" else event if isinstance(event, int) else last
                octets = wire.error(0, "enough") if event == "error" else wire.ack(last % 65536)
                foreseen = one.next_step
                said, expected = hear(one, octets, now), other.received(octets, now)
                if foreseen is not None and octets == foreseen[0]:
                    self.assertEqual([foreseen[1]], expected, event)
            self.assertEqual(said, expected, event)
            self.assertEqual((one.ending, one.acknowledged), (other.ending, other.acknowledged))
            self.assertEqual((one.is_heard, one.heard_at), (other.is_heard, other.heard_at))
            self.assertEqual((one.first_at, one._retries), (other.first_at, other._retries))
            if said:
                last = -1 if wire.opcode(said[0]) == wire.Opcode.OACK else int.from_bytes(said[0][2:4]) - 1
            self.assertEqual(one.deadline is None, other.deadline is None)
