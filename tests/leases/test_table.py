"""The table of leases, held against a model that looks at every address each time."""

from __future__ import annotations

import sys
import tracemalloc
from ipaddress import IPv4Network

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.lease import Claim, Lease, Pool, State
from pixelboot.leases.ledger import AT_ONCE, ENDED_LIMIT
from pixelboot.leases.table import EXPIRE_AT_ONCE, LeaseTable
from pixelboot.malformed import Malformed
from tests.leases.model import LAN, TableMachine

BIG = IPv4Network("10.0.0.0/15")


class TableTests(SynchronousTestCase):
    """`LeaseTable`."""

    def test_like_the_model(self) -> None:
        """Random operations do what the model does."""
        run_state_machine_as_test(TableMachine, settings=settings(max_examples=40, stateful_step_count=50))

    def test_bad_identity_loses_nothing(self) -> None:
        """An identity that cannot be kept is an error, and the address goes to the next machine."""
        pool = Pool((LAN,), ((LAN[1], LAN[1]),))
        table = LeaseTable()
        for identity in ("", "x" * 2000, "é"):
            with self.assertRaises(Malformed):
                table.offer(Claim(identity, "mac", pool), None, 0.0, 60.0)
            with self.assertRaises(Malformed):
                table.bind(Claim(identity, "mac", pool), LAN[1], 60.0, 0.0)
        self.assertEqual(table.drain(), {})
        lease = table.offer(Claim("hw:a", "mac", pool), None, 0.0, 60.0)
        assert isinstance(lease, Lease)
        self.assertEqual(lease.address, LAN[1])
        self.assertEqual(table.check(), ())

    def test_a_whole_site_ends(self) -> None:
        """Of very many leases that end together each operation ends a part, and never takes one for alive."""
        count = EXPIRE_AT_ONCE + 2 * AT_ONCE
        pool = Pool((BIG,), ((BIG[1], BIG[count]),))
        ends_at = 1000.0
        table = LeaseTable()
        table.load({int(BIG[n]): bound(n, ends_at) for n in range(1, count + 1)})
        claim = Claim("hw:new", "mac", pool)
        lease = table.offer(claim, None, ends_at, 60.0)
        assert isinstance(lease, Lease)
        self.assertEqual(sum(each.state is State.EXPIRED for each in table.records().values()), AT_ONCE)
        self.assertIsInstance(table.bind(claim, BIG[count], 60.0, ends_at), Lease, "the last one, which has ended too")
        self.assertIsNone(table.release(f"hw:{count - 1}", BIG[count - 1], ends_at))
        ended = len(table.expire(ends_at))
        while more := len(table.expire(ends_at)):
            ended += more
        # The first offer was told too, when another address was bound.
        self.assertEqual(ended, min(count, ENDED_LIMIT))
        self.assertEqual(table.check(), ())

    def test_what_nobody_asks_for_is_bounded(self) -> None:
        """Of what ended the latest is kept, when nobody asks for ever."""
        table = LeaseTable()
        count = ENDED_LIMIT + 100
        table.load({int(BIG[n]): bound(n, float(n)) for n in range(1, count + 1)})
        for _ in range(count // AT_ONCE + 1):
            table.withdraw("hw:nobody", 1e9)
        ended = table.expire(1e9)
        self.assertEqual(len(ended), ENDED_LIMIT)
        self.assertEqual(ended[-1].address, BIG[count])

    def test_a_full_table_is_as_fast_and_small(self) -> None:
        """5,000 leases: at most 1 kB each, and no operation looks at all of them."""
        pool = Pool((BIG,), ((BIG[1], BIG[5_010]),))
        tracemalloc.start()
        table = LeaseTable()
        for n in range(5_000):
            claim = Claim(f"hw:01:02:aa:00:{n:08x}", f"02:aa:00:{n:08x}", pool)
            offer = table.offer(claim, None, 1e9, 60.0)
            assert isinstance(offer, Lease)
            table.bind(claim, offer.address, 600.0 + n, 1e9 + n / 1000)
            table.drain()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertLess(size / len(table), 1000)
        # The same work as at a small table: the calls made in it are counted, for a clock would count the neighbours.
        small = LeaseTable()
        for each in table.list()[:100]:
            small.bind(Claim(each.identity, each.hwaddr, pool), each.address, 600.0, 1e9)
        self.assertLess(self.work(table, pool), 3 * self.work(small, pool))

    @staticmethod
    def work(table: LeaseTable, pool: Pool) -> int:
        """How many calls 500 machines cost, of which some get nothing."""
        calls = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            for n in range(500):
                now = 1e9 + 100 + n / 1000
                claim = Claim(f"hw:new:{n}", "mac", pool)
                if isinstance(offer := table.offer(claim, pool.networks[0][5], now, 60.0), Lease):
                    table.bind(claim, offer.address, 600.0, now)
                    table.release(claim.identity, offer.address, now)
                known = Claim(f"hw:01:02:aa:00:{n:08x}", "mac", pool)
                table.renew(known, pool.networks[0][n + 1], 900.0, now)
        finally:
            sys.setprofile(None)
        return calls


def bound(number: int, ends_at: float) -> Lease:
    """A lease of a big network."""
    return Lease(BIG[number], f"hw:{number}", "mac", State.BOUND, 0.0, ends_at)
