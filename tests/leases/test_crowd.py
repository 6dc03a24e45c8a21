"""How many unknown machines may be offered addresses."""

from __future__ import annotations

import random
import sys
from ipaddress import IPv4Network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.crowd import CEILINGS, LONG_PATIENCE, PATIENCE, Ceilings, Crowd
from pixelboot.leases.lease import Cause, Claim, Lease, Pool, Refusal, State
from pixelboot.leases.table import LeaseTable

BIG = IPv4Network("10.0.0.0/15")

places = st.tuples(st.sampled_from(["", "1", "2"]), st.sampled_from(["r", "s"]), st.sampled_from(["l", "m"]))


class CrowdTests(SynchronousTestCase):
    """`Crowd`."""

    @given(st.lists(st.integers(0, 9) | st.tuples(st.integers(0, 9), places), max_size=60))
    def test_like_a_list(self, steps: list[int | tuple[int, tuple[str, str, str]]]) -> None:
        """Whoever joins and leaves: what is full is full, and the oldest is named."""
        crowd = Crowd(Ceilings(per_port=2, per_relay=3))
        model: dict[int, tuple[str, str, str]] = {}
        since: dict[int, float] = {}
        for now, step in enumerate(steps):
            if isinstance(step, int):
                crowd.leave(step)
                model.pop(step, None)
            elif step[0] not in model:
                crowd.join(step[0], *step[1], float(now))
                model[step[0]] = step[1]
                since[step[0]] = float(now)
            for port in ("", "1", "2"):
                for relay in ("r", "s"):
                    at_port = [number for number, where in model.items() if where[:2] == (port, relay) and port]
                    behind = [number for number, where in model.items() if where[1] == relay]
                    oldest = at_port[:1] if len(at_port) >= 2 else behind[:1] if len(behind) >= 3 else []
                    full = crowd.full(port, relay)
                    self.assertEqual([] if full is None else [full[0]], oldest)
            for link in ("l", "m"):
                first = next((number for number, where in model.items() if where[2] == link), None)
                self.assertEqual(crowd.oldest(link, now + LONG_PATIENCE), first)
                young = first is None or now + LONG_PATIENCE - 0.5 - since[first] < LONG_PATIENCE
                self.assertEqual(crowd.oldest(link, now + LONG_PATIENCE - 0.5), None if young else first)
            self.assertEqual((len(crowd), sorted(crowd)), (len(model), sorted(model)))
            self.assertEqual([number in crowd for number in range(10)], [number in model for number in range(10)])


class FloodTests(SynchronousTestCase):
    """DISCOVERs from machines that do not exist."""

    def test_a_flood(self) -> None:
        """D18: what it costs is bounded, and who is known, or is somewhere else, is served all the while."""
        self.assert_stands(40_000)

    def assert_stands(self, count: int) -> None:
        """So many machines ask within 40 s."""
        pool = Pool((BIG,), ((BIG[1], BIG[10_000]),))
        table = LeaseTable()
        known = [Claim(f"hw:known:{n}", "mac", pool, relay="r") for n in range(40)]
        for n, claim in enumerate(known):
            table.bind(claim, BIG[1 + n], 600.0, 0.0)
            table.release(claim.identity, BIG[1 + n], 1.0)
        elsewhere = Claim("hw:elsewhere", "mac", pool, port="7", relay="other")
        chance = random.Random(4)
        blocks = [sys.getallocatedblocks()]
        now = 10.0
        for second, claim in enumerate(known):
            for n in range(count // len(known)):
                now = 10.0 + second + n * len(known) / count
                table.offer(Claim(f"hw:{chance.getrandbits(48):012x}", "mac", pool, relay="r"), None, now, 60.0)
            result = table.offer(claim, None, now, 60.0)
            assert isinstance(result, Lease)
            self.assertEqual(result.address, BIG[1 + second], "its own")
            self.assertIsInstance(table.offer(elsewhere, None, now, 60.0), Lease)
            blocks.append(sys.getallocatedblocks())
        self.assertEqual(len(table.list()), CEILINGS.per_relay + len(known) + 1)
        # Of each offer some 12 pieces of memory, and of each address that was ever offered one, however long it lasts.
        self.assertLess(blocks[-1] - blocks[0], 20 * CEILINGS.per_relay + 2 * 10_000)
        self.assertLess(blocks[-1] - blocks[-10], 10_000)
        self.assertEqual(table.check(), ())

    def test_one_port_of_many(self) -> None:
        """A port that floods leaves its relay's room to the others; a pool that it could use up is not."""
        pool = Pool((BIG,), ((BIG[1], BIG[100]),))
        table = LeaseTable()
        for n in range(10_000):
            table.offer(Claim(f"hw:{n}", "mac", pool, port="1", relay="r"), None, n / 1000, 60.0)
        self.assertEqual(len(table._offers), CEILINGS.per_port)
        for n in range(100 - CEILINGS.per_port):
            claim = Claim(f"hw:good:{n}", "mac", pool, port=f"1{n}", relay="r")
            self.assertIsInstance(table.offer(claim, None, 9.9, 60.0), Lease)
        refusal = table.offer(Claim("hw:late", "mac", pool, port="2", relay="r"), None, 9.95, 60.0)
        assert isinstance(refusal, Refusal)
        self.assertEqual(refusal.cause, Cause.EXHAUSTED)
        crowded = table.offer(Claim("hw:more", "mac", pool, port="1", relay="r"), None, PATIENCE - 0.01, 60.0)
        assert isinstance(crowded, Refusal)
        self.assertEqual(crowded.cause, Cause.CROWDED)
        self.assertIn("at 1 of r", crowded.reason)

    def test_a_pool_below_the_ceilings(self) -> None:
        """D18: a flood uses up a usual pool; new machines get addresses of it all the same, later."""
        pool = Pool((BIG,), ((BIG[1], BIG[200]),))
        table = LeaseTable()

        def ask(identity: str, now: float) -> Lease | Refusal:
            return table.offer(Claim(identity, "mac", pool, relay="r"), None, now, 60.0)

        for n in range(1000):
            self.assertIsInstance(ask(f"hw:{n}", n / 100), Lease if n < 200 else Refusal, str(n))
        refused = ask("hw:new", LONG_PATIENCE - 0.01)
        assert isinstance(refused, Refusal)
        self.assertEqual(refused.cause, Cause.EXHAUSTED)
        chosen = table.bind(Claim("hw:1", "mac", pool, relay="r"), BIG[2], 600.0, LONG_PATIENCE)
        self.assertIsInstance(chosen, Lease)
        new = [ask(f"hw:new:{n}", LONG_PATIENCE + 2.0) for n in range(200)]
        # The oldest first; what was chosen meanwhile stays whose it is, and nobody is cut short twice.
        given = [each.address for each in new if isinstance(each, Lease)]
        self.assertEqual(given, [BIG[n] for n in range(1, 201) if n != 2])
        self.assertIsInstance(new[-1], Refusal)
        self.assertIsInstance(ask("hw:newer", 2 * LONG_PATIENCE + 1.9), Refusal)
        self.assertEqual(table.check(), ())

    def test_while_others_are_free(self) -> None:
        """D18: as long as another address is free, an offer stands as long as it was to stand."""
        pool = Pool((BIG,), ((BIG[1], BIG[2]),))
        table = LeaseTable()
        for identity, now in (("hw:a", 0.0), ("hw:b", 59.0)):
            self.assertIsInstance(table.offer(Claim(identity, "mac", pool), None, now, 60.0), Lease)
        held = table.find("hw:a")
        assert held is not None
        self.assertEqual((held.address, held.state), (BIG[1], State.OFFERED))

    def test_a_used_up_pool_costs_no_search(self) -> None:
        """A pool that is full of offers: one more machine costs as many calls as at a small pool."""
        calls = []
        for size in (100, 4_000):
            pool = Pool((BIG,), ((BIG[1], BIG[size]),))
            table = LeaseTable()
            for n in range(size):
                table.offer(Claim(f"hw:{n}", "mac", pool, relay="r"), None, 0.0, 60.0)
            count = 0

            def called(frame: object, event: str, argument: object) -> None:
                nonlocal count
                count += event in ("call", "c_call")

            sys.setprofile(called)
            try:
                for n in range(50):
                    table.offer(Claim(f"hw:new:{n}", "mac", pool, relay="r"), None, LONG_PATIENCE, 60.0)
            finally:
                sys.setprofile(None)
            self.assertTrue(all(table.find(f"hw:new:{n}") for n in range(50)))
            calls.append(count)
        self.assertLess(calls[1], 2 * calls[0])
