"""Tests of `pixelboot.tftp.write.transfer`: datagrams and the time in, datagrams out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp import wire
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.patience import Patience
from pixelboot.tftp.wire import ErrorCode
from pixelboot.tftp.write.transfer import LINGER_TIME, MOST_HELD, STORING_TIME, Ending, Result, WriteTransfer
from tests.tftp.write.peer import Client, dialogue

PATIENCE = Patience()
FULL = b"x" * 512
DATAGRAMS = st.binary(max_size=12) | st.builds(wire.data, st.integers(0, 6), st.binary(max_size=9))
ACK = wire.ack


def begun(
    terms: Terms | None = None, *, most: int = 1 << 30, size: int | None = None, rollover: int = 0
) -> WriteTransfer:
    """A transfer of a file ``a``, begun at the time 0; in lock-step without options unless said otherwise."""
    one = WriteTransfer("a", terms or Terms(), PATIENCE, most=most, size=size, rollover=rollover)
    one.start(0.0)
    return one


def data(one: WriteTransfer, block: int, octets: bytes = FULL, now: float = 0.0) -> list[bytes]:
    """What is said to a block."""
    return one.received(wire.data(block, octets), now)


class ArrivalTests(SynchronousTestCase):
    """Blocks that come as they should."""

    def test_t37_lock_step(self) -> None:
        """ACK 0, an ACK for each block; the last only when the file is complete under its name."""
        one = WriteTransfer("a", Terms(), PATIENCE, most=1 << 30)
        self.assertEqual(one.start(0.0), [ACK(0)])
        self.assertEqual(data(one, 1, now=0.5), [ACK(1)])
        self.assertEqual((data(one, 2, b"end", 1.0), one.whole, one.ending), ([], True, None))
        self.assertEqual((one.untaken, one.take(), one.untaken), (515, FULL + b"end", 0))
        self.assertEqual(one.stored(515, 1.1), [])
        self.assertEqual(one.kept(1.2), [ACK(2)])
        self.assertEqual(one.ending, Ending(Result.KEPT, 515, 1.2, 0))
        self.assertEqual(one.deadline, 1.2 + LINGER_TIME)

    def test_t37_oack(self) -> None:
        """Options are answered by an OACK, and that is sent again until DATA 1 comes."""
        terms = Terms(8, agreed=(("blksize", "8"), ("tsize", "3")))
        one = WriteTransfer("a", terms, PATIENCE, most=1 << 30, size=3)
        oack = wire.option_ack(terms.agreed)
        self.assertEqual((one.start(0.0), one.expired(0.9), one.expired(1.0)), ([oack], [], [oack]))
        self.assertEqual((data(one, 1, b"abc", 1.1), one.whole), ([], True))

    def test_t37_windows(self) -> None:
        """One ACK a window; a short window ends the file; a gap brings the ACK before it, once."""
        one = begun(Terms(8, 4))
        block = b"12345678"
        self.assertEqual([data(one, number, block, 0.1) for number in (1, 2, 3, 4)], [[], [], [], [ACK(4)]])
        self.assertEqual([data(one, number, block, 0.2) for number in (5, 7, 8)], [[], [ACK(5)], []])
        self.assertEqual([data(one, number, block, 0.3) for number in (6, 7, 8, 9)], [[], [], [], [ACK(9)]])
        self.assertEqual((data(one, 10, b"", 0.4), one.whole, one.take()), ([], True, block * 9))

    def test_t37_windows_cut_short(self) -> None:
        """Nothing more of a window comes: the ACK of what came, when the time is up."""
        one = begun(Terms(8, 4))
        data(one, 1, b"12345678", 0.1)
        data(one, 2, b"12345678", 0.1)
        assert one.deadline is not None
        self.assertEqual(one.expired(one.deadline), [ACK(2)])

    def test_t13_t37_after_65535(self) -> None:
        """In lock-step the client may go on with 0 or 1, whatever the settings say."""
        for rollover in (0, 1):
            one = begun(Terms(8), rollover=rollover)
            for block in range(1, 65536):
                data(one, block, b"12345678")
                one.stored(one.acknowledged, 0.0)
            first, second = 1 - rollover, 2 - rollover
            self.assertEqual((data(one, first, FULL[:8]), data(one, second, FULL[:8])), ([ACK(first)], [ACK(second)]))
            self.assertEqual(one.acknowledged, 65537 * 8)

    def test_t13_t37_many_blocks(self) -> None:
        """A whole file in windows, across the wrap."""
        octets = bytes(range(256)) * 2060
        for rollover in (0, 1):
            one = WriteTransfer("a", Terms(8, 64), PATIENCE, most=1 << 30, rollover=rollover)
            told, kept = Client(octets, 8, 64, rollover=rollover), b""
            now, packets = 0.0, one.start(0.0)
            while packets and not told.done:
                blocks = [block for packet in packets for block in told.received(packet, now)]
                packets = [answer for block in blocks for answer in one.received(block, now)]
                kept += one.take()
                packets += one.stored(len(kept), now) + (one.kept(now) if one.whole else [])
                now += 0.001
            self.assertEqual((told.done, kept == octets), (True, True), rollover)

    def test_t05_t37_netascii(self) -> None:
        """Line ends are those of a file, also where a pair is cut by a border between blocks."""
        for text in (b"1234567\n8", b"1234567\r8", b"\r\n\r\n\n\n\r\r"):
            one = WriteTransfer("a", Terms(8, netascii=True), PATIENCE, most=1 << 30)
            client = Client(text.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n"), 8)
            disk, _ = dialogue(one, client)
            self.assertEqual((disk.octets, client.done), (text, True))


class RepeatedTests(SynchronousTestCase):
    """Blocks that come again, and ACKs that must."""

    def test_t10_t37_copies(self) -> None:
        """The last block again is answered, but not a copy that was on its way before our ACK; older ones are not."""
        one = begun()
        data(one, 1, now=0.2)
        data(one, 2, now=0.4)
        self.assertEqual(data(one, 2, now=0.45), [])
        self.assertEqual(data(one, 2, now=0.6), [ACK(2)])
        self.assertEqual(data(one, 2, now=0.65), [])
        self.assertEqual((data(one, 1, now=0.9), data(one, 4, now=0.9), data(one, 0, now=0.9)), ([], [], []))
        self.assertEqual(one.take(), FULL * 2)

    def test_t37_the_last_ack_is_lost(self) -> None:
        """It is repeated as often as the last block is, for a while; what else comes is not answered."""
        one = begun()
        data(one, 1, b"", 0.2)
        self.assertEqual(one.kept(0.3), [ACK(1)])
        self.assertEqual(
            (data(one, 1, b"", 0.31), data(one, 1, b"", 1.3), data(one, 1, b"", 2.3)), ([], [ACK(1)], [ACK(1)])
        )
        self.assertEqual((data(one, 2, b"", 2.4), one.received(b"\0\4\0\1", 2.4)), ([], []))
        self.assertEqual(one.expired(0.3 + LINGER_TIME), [])
        self.assertEqual((one.deadline, data(one, 1, b"", 11.0)), (None, []))

    def test_t11_t37_silence(self) -> None:
        """The ACK again, each time after twice as long, and then the end: soon, if nothing was ever heard."""
        for blocks, waits, seconds in ((0, [1, 3, 7, 15], 15.0), (1, [1, 3, 7, 15, 23, 31, 39, 47, 55], 55.0)):
            one = begun(Terms(timeout=None))
            if blocks:
                data(one, 1, now=0.0)
                one.stored(512, 0.0)
            said, times = [], []
            while one.deadline is not None:
                times.append(one.deadline)
                said.append(one.expired(one.deadline))
            if not blocks:
                self.assertEqual(times, waits)
            self.assertEqual(said[:-1], [[ACK(blocks)]] * (len(waits) - 1))
            self.assertEqual([wire.opcode(packet) for packet in said[-1]], [wire.Opcode.ERROR])
            assert one.ending is not None
            self.assertEqual((one.ending.result, one.ending.retransmissions), (Result.TIMED_OUT, len(waits) - 1))
            if not blocks:
                self.assertEqual(one.ending, Ending(Result.TIMED_OUT, 0, seconds, 3))

    def test_t25_t37_the_interval_asked_for(self) -> None:
        """It is kept to, before and after the first block; and such a client is lingered for."""
        one = begun(Terms(timeout=12))
        self.assertEqual(one.deadline, 12)
        data(one, 1, now=0.001)
        self.assertEqual(one.deadline, 12.001)
        data(one, 2, b"", now=1.0)
        one.kept(2.0)
        self.assertEqual(one.deadline, 26.0)


class DiskTests(SynchronousTestCase):
    """A disk that is slow, or full, or broken."""

    def test_t37_a_slow_disk(self) -> None:
        """The ACK is withheld while more is held than may be, whatever the client says; one more block is not taken."""
        one = begun(Terms(65464))
        block = b"x" * 65464
        answers = [data(one, number, block, 1.0) for number in (1, 2, 3, 4)]
        self.assertEqual(answers, [[ACK(1)], [ACK(2)], [ACK(3)], []])
        self.assertEqual((one.deadline, data(one, 4, block, 5.0), data(one, 5, block, 5.0)), (1 + STORING_TIME, [], []))
        self.assertLessEqual(one.untaken, MOST_HELD)
        self.assertEqual(
            (one.stored(1, 6.0), one.stored(65464 * 2, 6.1), one.stored(65464 * 4, 6.2)), ([], [ACK(4)], [])
        )

    def test_t37_a_disk_that_hangs(self) -> None:
        """The client is told, in the middle and at the end."""
        for last in (b"", None):
            one = begun(Terms(65464))
            for number in (1, 2, 3, 4):
                data(one, number, b"x" * 65464 if last is None else last if number == 1 else b"", 1.0)
            self.assertEqual(one.expired(60.9), [])
            [error] = one.expired(1 + STORING_TIME)
            self.assertEqual(wire.decode(error), wire.Error(0, "the file cannot be stored"))
            assert one.ending is not None
            self.assertEqual((one.ending.result, one.deadline), (Result.BROKEN, None))
            self.assertEqual((one.kept(99.0), one.stored(1, 99.0), one.failed("x", 99.0)), ([], [], []))

    def test_t37_what_the_client_is_told(self) -> None:
        """A refusal has its code and words; what is wrong with the disk is for the log."""
        one = begun()
        data(one, 1)
        self.assertEqual(one.refused(ErrorCode.DISK_FULL, "the disk is full", 2.0), [wire.error(3, "the disk is full")])
        self.assertEqual(one.ending, Ending(Result.REFUSED, 512, 2.0, 0, 3, "the disk is full"))
        two = begun()
        self.assertEqual(two.failed("Input/output error", 2.0), [wire.error(0, "the file cannot be stored")])
        self.assertEqual(two.ending, Ending(Result.BROKEN, 0, 2.0, 0, 0, "Input/output error"))

    def test_t37_too_large(self) -> None:
        """More than the most, or than was announced, or less, or a block that is too long: ERROR, and the end."""
        for most, size, blocks, code in (
            (1000, None, [FULL, FULL], 3),
            (5000, 600, [FULL, FULL], 0),
            (5000, 600, [FULL, b"less"], 0),
            (5000, None, [FULL + b"x"], 4),
        ):
            one = begun(most=most, size=size)
            said = [data(one, number, octets) for number, octets in enumerate(blocks, 1)]
            error = wire.decode(said[-1][0])
            assert isinstance(error, wire.Error)
            assert one.ending is not None
            self.assertEqual((error.code, one.ending.result, one.deadline), (code, Result.REFUSED, None), (most, size))
            self.assertEqual(one.untaken, 0)


class WhateverTests(SynchronousTestCase):
    """What else can arrive."""

    def test_t07_t37_an_error_is_the_end(self) -> None:
        """At any time, and it is not answered; a file that is kept stays so."""
        one = begun()
        data(one, 1)
        self.assertEqual(one.received(wire.error(3, "no\nroom"), 4.0), [])
        self.assertEqual((one.ending, one.deadline), (Ending(Result.ABORTED, 512, 4.0, 0, 3, "no\nroom"), None))
        two = begun()
        data(two, 1, b"")
        two.kept(1.0)
        two.received(wire.error(0, ""), 2.0)
        self.assertEqual((two.ending, two.deadline), (Ending(Result.KEPT, 0, 1.0, 0), None))

    def test_t07_t37_an_error_behind_the_last_block(self) -> None:
        """What became of the file, the disk tells: kept, or broken off; and nobody is answered any more."""
        for kept, result, code in ((True, Result.KEPT, 0), (False, Result.ABORTED, 3)):
            one = begun()
            data(one, 1, b"")
            self.assertEqual((one.received(wire.error(3, "no"), 1.0), one.ending), ([], None))
            said = one.kept(2.0) if kept else one.refused(ErrorCode.UNDEFINED, "it was given up", 2.0)
            assert one.ending is not None
            self.assertEqual((said, one.ending.result, one.ending.code, one.deadline), ([], result, code, None))

    @given(st.lists(st.tuples(DATAGRAMS, st.floats(0, 2)), max_size=30))
    def test_t37_any_datagrams(self, events: list[tuple[bytes, float]]) -> None:
        """Whatever comes is no exception, and each datagram is answered by one at the most."""
        one, now = begun(Terms(8, 2)), 0.0
        for octets, later in events:
            now += later
            self.assertLessEqual(len(one.received(octets, now)), 1)
            self.assertEqual(one.deadline is None, one.ending is not None)
            self.assertLessEqual(len(one.expired(now)), 1)
