"""Tests of `pixelboot.tftp.read.transfer`: several blocks at a time, and the numbers of blocks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pixelboot.tftp import wire
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.read.ending import Ending, Result
from pixelboot.tftp.read.image import Images
from pixelboot.tftp.read.pool import Pool
from tests.tftp.peer import Held, reading
from tests.tftp.read.dialogues import PATIENCE, DialogueCase, agreed, transfer


class WindowTests(DialogueCase):
    """RFC 7440, and what clients make of it."""

    def test_t28_t32_windows(self) -> None:
        """Four at once, then as many again; the last window is as short as it must be."""
        ending = self.play(transfer(bytes(70), agreed(4)), (0, "start", "oack"), (0.1, "0", "1 2 3 4"),
                           (0.2, "4", "5 6 7 8"), (0.3, "8", "9"), (0.4, "9", ""))  # fmt: skip
        self.assertEqual(ending, Ending(Result.DELIVERED, 70, 0.4, 0))
        ending = self.play(transfer(bytes(64), agreed(4)), (0, "start", "oack"), (0.1, "0", "1 2 3 4"),
                           (0.2, "4", "5 6 7 8"), (0.3, "8", "9"), (0.4, "9", ""))  # fmt: skip
        self.assertEqual(ending, Ending(Result.DELIVERED, 64, 0.4, 0))

    def test_t29_an_ack_inside_the_window(self) -> None:
        """What follows it is sent again, and the window filled up; reading nothing twice."""
        payload = Held(bytes(70))
        one = reading(payload, agreed(4), PATIENCE)
        ending = self.play(one, (0, "start", "oack"), (0.1, "0", "1 2 3 4"), (0.2, "2", "3 4 5 6"), (0.2, "2", ""),
                           (0.3, "2", ""), (0.4, "3", "4 5 6 7"), (0.5, "7", "8 9"), (0.6, "8", "9"),
                           (0.7, "9", ""))  # fmt: skip
        self.assertEqual(ending, Ending(Result.DELIVERED, 70, 0.7, 6))
        self.assertEqual(payload.reads, [(0, 70)])

    def test_t29_the_first_block_of_a_window_is_lost(self) -> None:
        """The client says its last ACK again: answered once a window, and not where the block was sent twice before."""
        ending = self.play(transfer(bytes(99), agreed(4)), (0, "start", "oack"), (0.1, "0", "1 2 3 4"),
                           (0.2, "4", "5 6 7 8"), (0.3, "4", "5 6 7 8"), (0.4, "4", ""), (0.55, "timer", "5 6 7 8"),
                           (0.75, "4", ""), (0.8, "8", "9 10 11 12"), (0.8, "8", ""), (0.8, "4", ""),
                           (0.9, "12", "13"), (1.0, "12", "13"), (1.1, "13", ""))  # fmt: skip
        self.assertEqual(ending, Ending(Result.DELIVERED, 99, 1.1, 9))

    def test_t30_the_first_window(self) -> None:
        """The timer sends it again once, and then only its first block, whose ACK brings the others.

        Whoever asks in another's name does not have a window sent to him again and again.
        """
        self.play(transfer(bytes(99), agreed(4)), (0, "start", "oack"), (0.1, "0", "1 2 3 4"), (0.2, "0", "1 2 3 4"),
                  (0.3, "0", ""), (0.5, "timer", "1 2 3 4"), (1.1, "timer", "1"), (1.2, "1", "2 3 4 5"),
                  (2.4, "timer", "2 3 4 5"), (4.8, "timer", "2"))  # fmt: skip
        one = transfer(bytes(8 * 99), agreed(64))
        one.start(0.0)
        sent = one.received(wire.ack(0), 0.001)
        self.assertEqual(len(sent), 64)
        while one.deadline is not None:
            sent += one.expired(one.deadline)
        self.assertEqual(len(sent), 64 + 64 + PATIENCE.retries - 1 + 1)
        # EDK2 says its last ACK for every copy: of the whole first window that is no complaint.
        self.play(transfer(bytes(99), agreed(4)), (0, "start", "oack"), (0.1, "0", "1 2 3 4"),
                  (0.4, "timer", "1 2 3 4"), (0.5, "4", "5 6 7 8"), (0.5, "4", ""))  # fmt: skip

    def test_t10_a_window_sent_again_without_need(self) -> None:
        """EDK2 acknowledges every copy with its last block: nothing more is sent again for that."""
        self.play(transfer(bytes(999), agreed(4)), (0, "start", "oack"), (1, "timer", "oack"), (1.1, "0", "1 2 3 4"),
                  (1.1, "0", ""), (1.2, "2", "3 4 5 6"), (1.3, "4", "7 8"), (1.3, "4", ""), (1.4, "8", "9 10 11 12"),
                  (1.4, "4", ""))  # fmt: skip
        one = transfer(bytes(41), agreed(4))
        ending = self.play(one, (0, "start", "oack"), (0.1, "0", "1 2 3 4"), (0.2, "3", "4 5 6"), (0.3, "4", ""),
                           (0.5, "6", ""))  # fmt: skip
        self.assertEqual(ending, Ending(Result.DELIVERED, 41, 0.5, 1))

    def test_t30_no_ack(self) -> None:
        """The window again, from the block after the last ACK; if nobody hears that, its first block alone."""
        self.play(transfer(bytes(99), agreed(4)), (0, "start", "oack"), (0.01, "0", "1 2 3 4"), (0.02, "3", "4 5 6 7"),
                  (0.12, "timer", "4 5 6 7"), (0.32, "timer", "4"))  # fmt: skip

    def test_t13_t33_after_65535(self) -> None:
        """0, or 1 where that is set; in lock-step and in windows; to the last octet."""
        octets = bytes(range(256)) * 2188  # 70,016 blocks of 8 octets and an empty one
        for rollover, windowsize in ((0, 1), (0, 16), (1, 16)):
            terms = Terms(8, windowsize, agreed=(("windowsize", "16"),) if windowsize > 1 else ())
            one = transfer(octets, terms, rollover=rollover)
            got, numbers = [], []
            packets = one.start(0.0)
            if windowsize > 1:
                packets = one.received(wire.ack(0), 0.0)
            while packets:
                got += [packet[4:] for packet in packets]
                numbers += [packet[:4] for packet in packets]
                packets = one.received(b"\0\4" + packets[-1][2:4], 0.0)
            wrapped = [*range(1, 65536), *range(rollover, 4482 + rollover)]
            self.assertTrue(numbers == [wire.data(number, b"") for number in wrapped], (rollover, windowsize))
            self.assertTrue(b"".join(got) == octets, (rollover, windowsize))
            self.assertEqual(one.ending, Ending(Result.DELIVERED, len(octets), 0.0, 0))

    def test_t33_going_back_across_the_wrap(self) -> None:
        """An ACK on either side of it, a repeated one, and one of long ago."""
        for rollover, numbers in ((0, (65534, 65535, 0, 1, 2)), (1, (65534, 65535, 1, 2, 3))):
            a, b, c, d, e = map(str, numbers)
            one = transfer(bytes(8 * 70000), agreed(4), rollover=rollover)
            one.start(0.0)
            one.received(wire.ack(0), 0.0)
            for block in range(4, 65533, 4):
                one.received(wire.ack(block), 0.0)
            self.play(one, (1, "65532", f"65533 {a} {b} {c}"))
            if rollover:
                self.play(one, (1, "0", ""))  # There is no block 0.
            self.play(one, (1, "65533", f"{a} {b} {c} {d}"), (1, "65533", ""),
                      (1, "65532", ""), (2, b, f"{c} {d} {e} {int(e) + 1}"), (2, a, ""), (3, b, ""),
                      (3, c, f"{d} {e} {int(e) + 1} {int(e) + 2}"), (3, "0", ""))  # fmt: skip

    @given(
        st.lists(st.one_of(st.binary(max_size=20), st.integers(-2, 12), st.sampled_from(["rrq", "data", "oack"]))),
        st.integers(1, 5),
        st.booleans(),
    )
    def test_t07_t09_whatever_arrives(self, events: list[bytes | int | str], windowsize: int, oack: bool) -> None:
        """No exception, never more than a window in answer, and a deadline as long as it is not over."""
        one = transfer(bytes(80), agreed(windowsize) if oack else Terms(8, windowsize))
        one.start(0.0)
        now = 0.0
        others = {"rrq": wire.read_request("a"), "data": wire.data(1, b"x"), "oack": wire.option_ack((("a", "1"),))}
        for event in events:
            now += 0.3
            if isinstance(event, int):
                sent = one.received(wire.ack(event % 65536), now)
            else:
                octets = event if isinstance(event, bytes) else others[event]
                before = one.deadline
                sent = one.received(octets, now)
                if isinstance(event, str):
                    self.assertEqual((sent, one.deadline), ([], before))
            self.assertLessEqual(len(sent), windowsize)
            self.assertEqual(one.deadline is None, one.ending is not None)
            if one.deadline is not None and one.deadline < now:
                self.assertLessEqual(len(one.expired(now)), windowsize)

    def test_t13_t33_lock_step_with_what_others_have_forgotten(self) -> None:
        """Where the pool has room for one piece only, two clients far apart in a file both have it whole."""
        octets = bytes(range(256)) * 64
        payload, images = Held(octets), Images(Pool(1))
        one, other = (reading(payload, Terms(8), PATIENCE, images=images) for _ in range(2))
        got: list[bytes] = []
        ahead = one.start(0.0)
        for _ in range(700):
            ahead = one.received(b"\0\4" + ahead[0][2:4], 0.001)
        behind = other.start(0.0)
        while behind:
            got += [packet[4:] for packet in behind]
            behind = other.received(b"\0\4" + behind[0][2:4], 0.001)
            if ahead:
                ahead = one.received(b"\0\4" + ahead[0][2:4], 0.001)
        self.assertEqual(b"".join(got), octets)
        self.assertEqual([each.ending and each.ending.result for each in (one, other)], [Result.DELIVERED] * 2)
        self.assertEqual(one.ending and one.ending.octets, len(octets))
