"""Tests of `pixelboot.tftp.read.transfer`: one block after the other."""

from __future__ import annotations

from pixelboot.tftp import wire
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.patience import FIRST_SILENCE, LONGEST_SILENCE, Patience
from pixelboot.tftp.read.ending import Ending, Result
from tests.tftp.peer import Client, Held, dialogue, reading
from tests.tftp.read.dialogues import ABC, PATIENCE, DialogueCase, agreed, shown, transfer


class LockStepTests(DialogueCase):
    """From the request to the end."""

    def test_t01_lock_step(self) -> None:
        """DATA, ACK, DATA … and an ending that accounts for it."""
        ending = self.play(transfer(), (5.0, "start", "1"), (5.2, "1", "2"), (5.4, "2", "3"), (5.5, "3", ""))
        self.assertEqual(ending, Ending(Result.DELIVERED, 18, 0.5, 0))

    def test_t02_t03_the_last_block(self) -> None:
        """A whole number of blocks is followed by an empty one; an empty file is one empty block."""
        one = reading(Held(bytes(1024)), Terms(), PATIENCE)
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
        ending = self.play(transfer(), (0, "start", "1"), (1, "1", "2"), (4, "timer", "2"), (10, "timer", "2"),
                           (18, "timer", "2"), (26, "timer", "2"), (34, "timer", "2"),
                           (42, "timer", "error"))  # fmt: skip
        self.assertEqual(ending, Ending(Result.TIMED_OUT, 8, 42.0, 5))

    def test_t11_a_client_that_was_never_heard(self) -> None:
        """Anybody can ask, and in another's name: he gets the first packet fewer times; one ACK, and he is known."""
        for patience, seconds, retries in ((PATIENCE, 15.0, 3), (Patience(retries=2, unheard=3), 7.0, 2)):
            for terms in (Terms(8), agreed(4)):
                one = reading(Held(ABC), terms, patience)
                one.start(0.0)
                while one.deadline is not None:
                    one.expired(one.deadline)
                self.assertEqual(one.ending, Ending(Result.TIMED_OUT, 0, seconds, retries))
                self.assertFalse(one.is_heard)
        one = transfer(terms=agreed())
        self.play(one, (0, "start", "oack"), (1, "timer", "oack"), (3, "timer", "oack"), (7, "timer", "oack"),
                  (7.5, "0", "1"), *((at, "timer", "1") for at in (15.5, 23.5, 31.5, 39.5, 47.5)),
                  (55.5, "timer", "error"))  # fmt: skip
        self.assertFalse(one.is_heard)

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
        self.play(transfer(terms=Terms(8, timeout=1.0)), (0, "start", "1"), *((n, "timer", "1") for n in range(1, 4)),
                  (3.5, "1", "2"), *((n + 0.5, "timer", "2") for n in range(4, 9)), (8.9, "2", "3"),
                  *((n + 0.9, "timer", "3") for n in range(9, 14)), (14.8, "3", ""))  # fmt: skip

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
        ending = self.play(one, (1, "timer", "oack"), (3, "timer", "oack"), (7, "timer", "oack"),
                           (15, "timer", "error"))  # fmt: skip
        self.assertEqual(ending, Ending(Result.TIMED_OUT, 0, 15.0, 3))

    def test_t20_the_size_probe(self) -> None:
        """ERROR in answer to the OACK, with any code, is a quiet end, and the file was never read."""
        for code in (8, 0, 3):
            payload = Held(ABC)
            one = reading(payload, agreed(4), PATIENCE)
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
            self.play(one, (0, "start", "oack"), *((n * timeout, "timer", "oack") for n in range(1, 4)),
                      (4 * timeout, "timer", "error"))  # fmt: skip

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

    def test_an_unreadable_file(self) -> None:
        """ERROR 0 to the client, and an ending that says why; at the start, in the middle, by a truncation."""
        for payload, octets, why in (
            (Held(bytes(99), fails_at=0), 0, "changed while it was read"),
            (Held(bytes(99), ends_at=0), 0, "ended after 0 of 99"),
            (Held(bytes(40_000), fails_at=20_000), 19456, "changed while it was read"),
            (Held(bytes(40_000), ends_at=20_000), 19456, "ended after 20000 of 40000"),
        ):
            one = reading(payload, Terms(8), PATIENCE)
            packets = one.start(0.0)
            while one.ending is None:
                packets = one.received(wire.ack(packets[0][2] << 8 | packets[0][3]), 0.0)
            self.assertEqual(shown(packets), "error")
            self.assertEqual((one.ending.result, one.ending.octets), (Result.BROKEN, octets))
            self.assertIn(why, one.ending.reason)
            self.assertEqual((one.deadline, one.received(wire.ack(1), 1.0), one.expired(9.0)), (None, [], []))

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
