"""Tests of `pixelboot.library.budget`."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.budget import Budget

KEYS = st.sampled_from("abcdef")
SIZES = st.integers(0, 60)
INSTANTS = st.integers(0, 20).map(float)


class TestBudget(SynchronousTestCase):
    """What goes first, and what never goes."""

    def setUp(self) -> None:
        self.budget = Budget(100)
        for key, octets, used_at in (("new", 30, 3.0), ("old", 40, 1.0), ("middle", 20, 2.0)):
            self.budget.added(key, octets, used_at)

    def test_the_oldest_goes_first(self) -> None:
        """And no more than must."""
        for octets, evicted in (
            (0, []),
            (10, []),
            (11, ["old"]),
            (50, ["old"]),
            (51, ["old", "middle"]),
            (70, ["old", "middle"]),
            (71, ["old", "middle", "new"]),
            (100, ["old", "middle", "new"]),
            (101, None),
        ):
            self.assertEqual(self.budget.room_for(octets), evicted, octets)

    def test_use_makes_young(self) -> None:
        self.budget.used("old", 4.0)
        self.assertEqual(self.budget.room_for(11), ["middle"])
        self.budget.used("old", 0.0)
        self.assertEqual(self.budget.room_for(11), ["middle"], "a clock that was set back makes nothing older")
        self.budget.used("unknown", 9.0)
        self.assertNotIn("unknown", self.budget)

    def test_what_is_in_use_stays(self) -> None:
        self.budget.hold("old")
        self.budget.hold("old")
        self.assertEqual(self.budget.room_for(11), ["middle"])
        self.budget.let_go("old")
        self.assertEqual(self.budget.room_for(60), ["middle", "new"])
        self.assertIsNone(self.budget.room_for(61))
        self.budget.let_go("old")
        self.assertEqual(self.budget.room_for(11), ["old"])

    def test_in_use_before_and_after_it_is_kept(self) -> None:
        """Who holds a container that is decoded anew meanwhile holds the new one."""
        self.budget.hold("old")
        self.budget.removed("old")
        self.assertEqual((self.budget.total, self.budget.keys()), (50, {"new", "middle"}))
        self.budget.added("old", 45, 1.0)
        self.assertEqual(self.budget.room_for(10), ["middle"])
        self.budget.let_go("old")
        self.assertEqual(self.budget.room_for(10), ["old"])

    def test_what_is_being_decoded(self) -> None:
        self.budget.reserve("job", 5)
        self.budget.reserve("job", 10)
        self.assertEqual(self.budget.total, 100)
        self.assertEqual(self.budget.room_for(1), ["old"])
        self.assertIsNone(self.budget.room_for(91), "room that is reserved cannot be made")
        self.budget.unreserve("job")
        self.budget.unreserve("job")
        self.assertEqual(self.budget.room_for(10), [])

    def test_a_limit_that_was_lowered(self) -> None:
        self.budget.limit = 55
        self.assertEqual(self.budget.room_for(0), ["old"])

    def test_of_the_same_age(self) -> None:
        """The order is the same whatever came first."""
        for keys in ("ab", "ba"):
            budget = Budget(10)
            for key in keys:
                budget.added(key, 5, 1.0)
            self.assertEqual(budget.room_for(1), ["a"])


class Machine(RuleBasedStateMachine):
    """A budget beside a plain account of the same."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = Budget(100)
        self.kept: dict[str, tuple[int, float]] = {}
        self.holds: Counter[str] = Counter()
        self.jobs: dict[str, int] = {}

    @rule(key=KEYS, octets=SIZES, at=INSTANTS)
    def added(self, key: str, octets: int, at: float) -> None:
        self.budget.added(key, octets, at)
        self.kept[key] = octets, at

    @rule(key=KEYS)
    def removed(self, key: str) -> None:
        self.budget.removed(key)
        self.kept.pop(key, None)

    @rule(key=KEYS, now=INSTANTS)
    def used(self, key: str, now: float) -> None:
        self.budget.used(key, now)
        if key in self.kept:
            self.kept[key] = self.kept[key][0], max(now, self.kept[key][1])

    @rule(key=KEYS)
    def hold(self, key: str) -> None:
        self.budget.hold(key)
        self.holds[key] += 1

    @rule(key=KEYS)
    def let_go(self, key: str) -> None:
        if self.holds[key]:
            self.budget.let_go(key)
            self.holds[key] -= 1

    @rule(job=KEYS, octets=SIZES)
    def reserve(self, job: str, octets: int) -> None:
        self.budget.reserve(job, octets)
        self.jobs[job] = octets

    @rule(job=KEYS)
    def unreserve(self, job: str) -> None:
        self.budget.unreserve(job)
        self.jobs.pop(job, None)

    @rule(octets=st.integers(0, 120))
    def room_for(self, octets: int) -> None:
        evicted = self.budget.room_for(octets)
        free = sorted((key for key in self.kept if not self.holds[key]), key=lambda key: (self.kept[key][1], key))
        bound = sum(self.jobs.values()) + sum(size for key, (size, _) in self.kept.items() if self.holds[key])
        if evicted is None:
            assert bound + octets > 100
            return
        assert bound + octets <= 100
        assert evicted == free[: len(evicted)], "the oldest, and none in use"
        left = sum(self.kept[key][0] for key in free[len(evicted) :])
        assert bound + left + octets <= 100, "there is room then"
        assert not evicted or bound + left + self.kept[evicted[-1]][0] + octets > 100, "none goes in vain"

    @invariant()
    def total(self) -> None:
        assert self.budget.total == sum(self.jobs.values()) + sum(size for size, _ in self.kept.values())
        assert self.budget.keys() == self.kept.keys()


class TestAccount(SynchronousTestCase):
    """Whatever is done, in whatever order."""

    def test_beside_a_plain_account(self) -> None:
        run_state_machine_as_test(Machine, settings=settings(max_examples=25, stateful_step_count=20))
