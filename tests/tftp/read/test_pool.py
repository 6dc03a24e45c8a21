"""Tests of `pixelboot.tftp.read.pool`."""

from __future__ import annotations

import gc
import weakref

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp.read.pool import ENTRY, OBJECT, Packets, Pool


class Owner:
    """Whose pieces they are."""

    def __init__(self) -> None:
        self.pieces: dict[int, Packets] = {}

    def forget(self, number: int) -> None:
        """A piece goes."""
        del self.pieces[number]


class PoolTests(SynchronousTestCase):
    """What is kept, and what goes."""

    def setUp(self) -> None:
        self.one, self.other = Owner(), Owner()

    def keep(self, pool: Pool, owner: Owner, *numbers: int, size: int = 2000) -> None:
        """Put pieces of one packet into the pool, which have `size` octets in all."""
        for number in numbers:
            owner.pieces[number] = [bytes(size - OBJECT - ENTRY)]
            pool.keep(owner, number, owner.pieces[number])

    def test_the_oldest_goes(self) -> None:
        """Whoever owns it; what was asked for again is not the oldest any more."""
        pool = Pool(6000)
        self.keep(pool, self.one, 0, 1)
        self.keep(pool, self.other, 0)
        self.assertEqual((pool.held, set(self.one.pieces), set(self.other.pieces)), (6000, {0, 1}, {0}))
        pool.touch(self.one, 0)
        self.keep(pool, self.other, 1)
        self.assertEqual((pool.held, set(self.one.pieces), set(self.other.pieces)), (6000, {0}, {0, 1}))
        self.keep(pool, self.other, 7, size=4000)
        self.assertEqual((pool.held, set(self.one.pieces), set(self.other.pieces)), (6000, set(), {1, 7}))

    def test_small_packets_are_counted_with_what_python_adds(self) -> None:
        """Else a file in blocks of 8 octets would take five times the memory that was allowed."""
        pool = Pool(100_000)
        pool.keep(self.one, 0, [bytes(12)] * 100)
        self.assertEqual(pool.held, 100 * (12 + OBJECT) + ENTRY)

    def test_one_is_always_kept(self) -> None:
        """What does not fit at all is there until the next comes."""
        pool = Pool(1)
        for number in range(3):
            self.keep(pool, self.one, number)
            self.assertEqual((set(self.one.pieces), pool.held), ({number}, 2000))

    def test_an_owner_lives_as_long_as_its_pieces(self) -> None:
        """Whose last piece has gone is forgotten."""
        pool = Pool(4000)
        self.keep(pool, self.one, 0)
        owner = weakref.ref(self.one)
        del self.one
        gc.collect()
        self.assertIsNotNone(owner())
        self.keep(pool, self.other, 0, 1)
        gc.collect()
        self.assertIsNone(owner())
