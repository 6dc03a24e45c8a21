"""Tests of `pixelboot.tftp.transfer`: dialogues, packet by packet, with a clock moved by hand."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp import wire
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.transfer import FIRST_SILENCE, LONGEST_SILENCE, Ending, Patience, ReadTransfer, Result
from tests.tftp.peer import Client, Held, dialogue

PATIENCE = Patience(first=1.0, floor=0.1, ceiling=8.0, retries=5)
ABC = b"aaaaaaaabbbbbbbbcc"
"""Three blocks of 8 octets at most."""


class Step(NamedTuple):
    """One thing that happens, and what is sent in answer."""

    now: float
    comes: str
    goes: str


def transfer(octets: bytes = ABC, terms: Terms | None = None, *, rollover: int = 0) -> ReadTransfer:
    """A transfer of these octets, in lock-step with blocks of 8 unless said otherwise."""
    return ReadTransfer("a", Held(octets), terms or Terms(8), PATIENCE, rollover=rollover)


def agreed(windowsize: int = 1, timeout: float | None = None) -> Terms:
    """Terms that begin with an OACK."""
    return Terms(8, windowsize, timeout, agreed=(("blksize", "8"), ("tsize", "18")))


def shown(packets: list[bytes]) -> str:
    """Packets in short: ``1 2`` is DATA 1 and DATA 2."""
    words = []
    for octets in packets:
        packet = wire.decode(octets)
        assert isinstance(packet, wire.Data | wire.OptionAck | wire.Error), packet
        words.append({wire.OptionAck: "oack", wire.Error: "error"}.get(type(packet), str(getattr(packet, "block", ""))))
    return " ".join(words)


def coming(word: str) -> bytes:
    """A datagram of the client: a number is an ACK, ``e8`` an ERROR with code 8."""
    return wire.error(int(word[1:]), "User aborted") if word[0] == "e" else wire.ack(int(word))


class Dialogues(SynchronousTestCase):
    """Tables of what comes and what goes."""

    def play(self, one: ReadTransfer, *steps: Step | tuple[float, str, str]) -> Ending | None:
        """``start`` and ``timer`` are calls of their own; everything else is a datagram.  Returns the ending."""
        for now, comes, goes in steps:
            if comes == "start":
                sent = one.start(now)
            elif comes == "timer":
                self.assertEqual(one.deadline and round(one.deadline, 6), now, steps)
                sent = one.expired(one.deadline or now)
            else:
                sent = one.received(coming(comes), now)
            self.assertEqual(shown(sent), goes, (now, comes))
            self.assertEqual(one.deadline is None, one.ending is not None, (now, comes))
        return one.ending

    def test_t01_lock_step(self) -> None:
        """DATA, ACK, DATA … and an ending that accounts for it."""
        ending = self.play(transfer(), (5.0, "start", "1"), (5.2, "1", "2"), (5.4, "2", "3"), (5.5, "3", ""))
        self.assertEqual(ending, Ending(Result.DELIVERED, 18, 0.5, 0))

    def test_t02_t03_the_last_block(self) -> None:
        """A whole number of blocks is followed by an empty one; an empty file is one empty block."""
        one = ReadTransfer("a", Held(bytes(1024)), Terms(), PATIENCE)
        self.assertEqual([len(packet) for packet in one.start(0.0)], [516])
        self.assertEqual([len(packet) for packet in one.received(wire.ack(1), 0.0)], [516])
        self.assertEqual(one.received(wire.ack(2), 0.0), [b"\0\3\0\3"])
        self.assertIsNone(one.ending)
        one.received(wire.ack(3), 0.0)
        self.assertEqual(one.ending, Ending(Result.DELIVERED, 1024, 0.0, 0))
        empty = transfer(b"")
        self.assertEqual(empty.start(0.0), [b"\0\3\0\1"])
        empty.received(wire.ack(1), 0.0)
        self.assertEqual(empty.ending, Ending(Result.DELIVERED, 0, 0.0, 0))

    def test_t05_netascii(self) -> None:
        """A line end that a block border parts."""
        one = transfer(b"1234567\nX", Terms(8, netascii=True))
        self.assertEqual(one.start(0.0), [wire.data(1, b"1234567\r")])
        self.assertEqual(one.received(wire.ack(1), 0.0), [wire.data(2, b"\nX")])
        self.assertEqual(one.acknowledged, 8)

    def test_t07_an_error_is_the_end(self) -> None:
        """Nothing is sent, then or later."""
        one = transfer()
        ending = self.play(one, (0, "start", "1"), (1, "e3", ""), (1, "1", ""), (2, "e3", ""))
        self.assertEqual(ending, Ending(Result.ABORTED, 0, 1.0, 0, 3, "User aborted"))
        self.assertEqual(one.expired(99.0), [])

    def test_t10_a_repeated_ack(self) -> None:
        """It is not answered, whenever it comes, and does not move the clock."""
        self.play(transfer(), (0, "start", "1"), (0.1, "1", "2"), (0.1, "1", ""), (0.15, "1", ""), (0.3, "2", "3"),
                  (0.31, "2", ""), (0.31, "1", ""), (0.32, "3", ""))  # fmt: skip

    def test_t10_acks_out_of_range(self) -> None:
        """Of blocks that were not sent, or of the distant past."""
        self.play(transfer(), (0, "start", "1"), *((0.1, str(n), "") for n in (0, 2, 3, 100, 32768, 65535)),
                  (0.1, "1", "2"), *((0.1, str(n), "") for n in (0, 1, 3, 65535)), (0.1, "2", "3"))  # fmt: skip

    def test_t11_growing_waits(self) -> None:
        """Each twice as long as the one before, as often as the patience says; then ERROR 0."""
        one = transfer()
        ending = self.play(one, (0, "start", "1"), (1, "timer", "1"), (3, "timer", "1"), (7, "timer", "1"),
                           (15, "timer", "1"), (23, "timer", "1"), (31, "timer", "error"))  # fmt: skip
        self.assertEqual(ending, Ending(Result.TIMED_OUT, 0, 31.0, 5))

    def test_t11_a_round_trip_shortens_the_wait(self) -> None:
        """RFC 6298 §2: 0.2 s measured, so 0.2 + 4 × 0.1; never below the floor."""
        self.play(transfer(bytes(99)), (0, "start", "1"), (0.2, "1", "2"), (0.8, "timer", "2"))
        self.play(
            transfer(bytes(99)), (0, "start", "1"), (0.001, "1", "2"), (0.101, "timer", "2"), (0.301, "timer", "2")
        )
        slow = transfer(bytes(99))
        self.play(slow, (0, "start", "1"), (0.9, "1", "2"), (3.6, "timer", "2"))

    def test_t11_karns_rule(self) -> None:
        """The ACK of what was sent twice measures nothing, and the wait stays long until one does."""
        self.play(transfer(bytes(99)), (0, "start", "1"), (0.001, "1", "2"), (0.101, "timer", "2"), (0.102, "2", "3"),
                  (0.302, "timer", "3"), (0.303, "3", "4"), (0.304, "4", "5"), (0.404, "timer", "5"))  # fmt: skip

    def test_t11_every_step_has_its_own_tries(self) -> None:
        """A client that answers at the last moment, every time, is not given up."""
        self.play(transfer(terms=Terms(8, timeout=1.0)), (0, "start", "1"), *((n, "timer", "1") for n in range(1, 6)),
                  (5.5, "1", "2"), *((n + 0.5, "timer", "2") for n in range(6, 11)), (11, "2", "3"),
                  *((n, "timer", "3") for n in range(12, 17)), (16.5, "3", ""))  # fmt: skip

    def test_t11_an_early_call_does_nothing(self) -> None:
        """A shell's clock may be coarse."""
        one = transfer()
        one.start(0.0)
        self.assertEqual((one.expired(0.99), one.deadline), ([], 1.0))
        self.assertEqual(transfer().expired(5.0), [])

    def test_t15_the_last_ack_is_lost(self) -> None:
        """The last block a few times more, then a quiet end without ERROR."""
        one = transfer(ABC[:10])
        ending = self.play(one, (0, "start", "1"), (0.001, "1", "2"), (0.101, "timer", "2"), (0.301, "timer", "2"),
                           (0.701, "timer", "2"), (1.501, "timer", "2"), (3.101, "timer", "2"),
                           (6.301, "timer", ""))  # fmt: skip
        assert ending is not None
        self.assertEqual((ending.result, ending.octets, ending.retransmissions), (Result.UNCONFIRMED, 10, 5))

    def test_t15_a_file_of_one_window(self) -> None:
        """A client that acknowledged no block of several may have received none: that is no quiet end."""
        for size, result in ((18, Result.TIMED_OUT), (5, Result.UNCONFIRMED)):
            one = transfer(ABC[:size], agreed(4))
            one.start(0.0)
            one.received(wire.ack(0), 0.0)
            while one.deadline is not None:
                one.expired(one.deadline)
            self.assertEqual(one.ending and one.ending.result, result, size)

    def test_t19_oack(self) -> None:
        """DATA only after ACK 0; the OACK is sent again by the clock; a second ACK 0 changes nothing."""
        self.play(transfer(terms=agreed()), (0, "start", "oack"), (0.5, "1", ""), (1, "timer", "oack"), (2, "0", "1"),
                  (2.1, "0", ""), (2.2, "1", "2"))  # fmt: skip
        one = transfer(terms=agreed())
        self.assertEqual(one.start(0.0), [b"\0\6blksize\x008\0tsize\x0018\0"])
        ending = self.play(one, (1, "timer", "oack"), (3, "timer", "oack"), (7, "timer", "oack"), (15, "timer", "oack"),
                           (23, "timer", "oack"), (31, "timer", "error"))  # fmt: skip
        self.assertEqual(ending, Ending(Result.TIMED_OUT, 0, 31.0, 5))

    def test_t20_the_size_probe(self) -> None:
        """ERROR in answer to the OACK, with any code, is a quiet end, and the file was never read."""
        for code in (8, 0, 3):
            payload = Held(ABC)
            one = ReadTransfer("a", payload, agreed(4), PATIENCE)
            ending = self.play(one, (0, "start", "oack"), (0.5, f"e{code}", ""))
            self.assertEqual(ending, Ending(Result.PROBED, 0, 0.5, 0, code, "User aborted"))
            self.assertEqual(payload.reads, [])
        ending = self.play(transfer(terms=agreed()), (0, "start", "oack"), (0, "0", "1"), (0.5, "e8", ""))
        self.assertEqual(ending and ending.result, Result.ABORTED)

    def test_t25_the_interval_asked_for(self) -> None:
        """Exactly that, always."""
        ending = self.play(transfer(terms=agreed(timeout=3.0)), (0, "start", "oack"), (3, "timer", "oack"),
                           (3.001, "0", "1"), (6.001, "timer", "1"), (9.001, "timer", "1"), (9.1, "1", "2"),
                           (12.1, "timer", "2"), (12.2, "e0", ""))  # fmt: skip
        self.assertEqual(ending and ending.retransmissions, 4)
        for timeout in (1.0, 2.0):
            one = transfer(terms=agreed(timeout=timeout))
            self.play(one, (0, "start", "oack"), *((n * timeout, "timer", "oack") for n in range(1, 6)),
                      (6 * timeout, "timer", "error"))  # fmt: skip

    def test_t25_a_long_interval(self) -> None:
        """It does not hold a transfer: silence is over after a minute at first, after four minutes later."""
        self.play(transfer(terms=agreed(timeout=20.0)), (0, "start", "oack"), (20, "timer", "oack"),
                  (40, "timer", "oack"), (60, "timer", "error"))  # fmt: skip
        self.play(transfer(terms=agreed(timeout=255.0)), (0, "start", "oack"), (30, "timer", "oack"), (31, "0", "1"),
                  (61, "timer", "1"), (91, "timer", "error"))  # fmt: skip
        self.play(transfer(terms=agreed(timeout=255.0)), (0, "start", "oack"), (1, "0", "1"), (2, "1", "2"),
                  (122, "timer", "2"), (242, "timer", "error"))  # fmt: skip
        self.play(transfer(terms=agreed(timeout=60.0)), (0, "start", "oack"), (1, "0", "1"), (2, "1", "2"),
                  (62, "timer", "2"), (122, "timer", "2"), (182, "timer", "2"), (242, "timer", "error"))  # fmt: skip
        for timeout in range(1, 256):
            for heard in (False, True):
                one = transfer(terms=agreed(timeout=float(timeout)))
                one.start(0.0)
                if heard:
                    one.received(wire.ack(0), 0.0)
                    one.received(wire.ack(1), 0.0)
                while one.deadline is not None:
                    one.expired(one.deadline)
                assert one.ending is not None
                self.assertLessEqual(one.ending.seconds, LONGEST_SILENCE if heard else FIRST_SILENCE, timeout)
                self.assertGreaterEqual(one.ending.retransmissions, 1, timeout)

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
        one = ReadTransfer("a", payload, agreed(4), PATIENCE)
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

    def test_an_unreadable_file(self) -> None:
        """ERROR 0 to the client, and an ending that says why; at the start, in the middle, by a truncation."""
        for payload, octets, why in (
            (Held(bytes(99), fails_at=0), 0, "changed while it was read"),
            (Held(bytes(99), ends_at=0), 0, "ended after 0 of 99"),
            (Held(bytes(40_000), fails_at=20_000), 16384, "changed while it was read"),
            (Held(bytes(40_000), ends_at=20_000), 16384, "ended after 20000 of 40000"),
        ):
            one = ReadTransfer("a", payload, Terms(8), PATIENCE)
            packets = one.start(0.0)
            while one.ending is None:
                packets = one.received(wire.ack(packets[0][2] << 8 | packets[0][3]), 0.0)
            self.assertEqual(shown(packets), "error")
            self.assertEqual((one.ending.result, one.ending.octets), (Result.BROKEN, octets))
            self.assertIn(why, one.ending.reason)
            self.assertEqual((one.deadline, one.received(wire.ack(1), 1.0), one.expired(9.0)), (None, [], []))

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

    def test_t36_known_clients(self) -> None:
        """GRUB's lock-step after its OACK; EDK2's window of 4; T17: a client that asks nothing: first DATA is 1."""
        for blksize, windowsize, options in ((1024, 1, "blksize tsize"), (1468, 4, "blksize windowsize"), (512, 1, "")):
            octets = bytes(range(256)) * 400
            terms = Terms(blksize, windowsize, agreed=tuple((name, "1") for name in options.split()))
            client = Client(blksize, windowsize)
            one = transfer(octets, terms)
            first = next(octets for who, octets in dialogue(one, client) if who == "server" and octets[1] == 3)
            self.assertEqual(first[:4], b"\0\3\0\1")
            self.assertEqual((client.octets, client.granted), (octets, terms.agreed))
            self.assertEqual(one.ending and (one.ending.result, one.ending.retransmissions), (Result.DELIVERED, 0))
