"""How many unknown machines may be offered addresses."""

from __future__ import annotations

import random
import sys
from ipaddress import IPv4Network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.crowd import CEILINGS, PATIENCE, Ceilings, Crowd
from pixelboot.leases.lease import Cause, Claim, Lease, Pool, Refusal
from pixelboot.leases.table import LeaseTable

BIG = IPv4Network("10.0.0.0/15")

places = st.tuples(st.sampled_from(["", "1", "2"]), st.sampled_from(["r", "s"]))


class CrowdTests(SynchronousTestCase):
    """`Crowd`."""

    @given(st.lists(st.integers(0, 9) | st.tuples(st.integers(0, 9), places), max_size=60))
    def test_like_a_list(self, steps: list[int | tuple[int, tuple[str, str]]]) -> None:
        """Whoever joins and leaves: what is full is full, and the oldest is named."""
        crowd = Crowd(Ceilings(per_port=2, per_relay=3))
        model: dict[int, tuple[str, str]] = {}
        for now, step in enumerate(steps):
            if isinstance(step, int):
                crowd.leave(step)
                model.pop(step, None)
            elif step[0] not in model:
                crowd.join(step[0], *step[1], float(now))
                model[step[0]] = step[1]
            for port in ("", "1", "2"):
                for relay in ("r", "s"):
                    at_port = [number for number, where in model.items() if where == (port, relay) and port]
                    behind = [number for number, where in model.items() if where[1] == relay]
                    oldest = at_port[:1] if len(at_port) >= 2 else behind[:1] if len(behind) >= 3 else []
                    full = crowd.full(port, relay)
                    self.assertEqual([] if full is None else [full[0]], oldest)
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
