"""Tests of `pixelboot.tftp.limits.places`."""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Sized
from itertools import count

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp.limits.places import GRACE, Ceilings, Displaced, Full, Places, ceilings
from pixelboot.tftp.limits.sources import Source, source
from pixelboot.tftp.settings import TftpSettings

SMALL = Ceilings(transfers=6, per_client=4, half_open=4, half_open_per_client=3)
WHERE = [Source(name, name[:1]) for name in (b"a1", b"a2", b"b1", b"b2", b"c1")]

steps = st.lists(
    st.tuples(st.sampled_from(["take", "take", "heard", "leave"]), st.integers(0, 9), st.sampled_from([0.0, 0.3, 1.1])),
    max_size=60,
)
"""What happens, to or from whom, and how many times `GRACE` after the step before."""


class Listed:
    """Transfers in a list, the oldest first, for comparison."""

    def __init__(self) -> None:
        self.all: list[tuple[int, Source, float]] = []
        self.heard: set[int] = set()

    def half_open(self, client: bytes | None = None) -> list[tuple[int, Source, float]]:
        """The half-open ones, of one client or of all."""
        return [each for each in self.all if each[0] not in self.heard and client in (None, each[1].client)]

    def limit(self, source: Source) -> str:
        """A word of the limit that one more would break; empty if there is none."""
        if sum(each[1] == source for each in self.all) >= SMALL.per_client:
            return "to its address run"
        if len(self.half_open(source.client)) >= SMALL.half_open_per_client:
            return "to its address wait"
        if len(self.all) >= SMALL.transfers:
            return "6 transfers run"
        return "4 transfers wait" if len(self.half_open()) >= SMALL.half_open else ""

    def may_go(self, source: Source, limit: str, now: float) -> set[int]:
        """Those of whom one has to give way."""
        old = [each for each in self.half_open() if now - each[2] >= GRACE]
        if "its address" in limit:
            return {each[0] for each in old if each[1] == source and each == self.half_open(source.client)[0]}
        networks = Counter(each[1].network for each in self.half_open())
        clients = Counter(each[1].client for each in self.half_open())
        greedy = []
        for each in self.half_open():
            there = [other for other in self.half_open() if other[1].network == each[1].network]
            most = max(clients[other[1].client] for other in there)
            if networks[each[1].network] == max(networks.values()) and clients[each[1].client] == most:
                greedy.append(each)
        greedy = [each for each in greedy if each == self.half_open(each[1].client)[0]]
        if all(each in old for each in greedy):  # Whichever of the equal ones it is.
            return {each[0] for each in greedy}
        return {each[0] for each in old if each in greedy or each == self.half_open()[0]}

    def leave(self, number: int) -> None:
        """It is over."""
        self.all = [each for each in self.all if each[0] != number]


class PlacesTests(SynchronousTestCase):
    """`Places`."""

    @given(steps)
    def test_like_a_list(self, steps: list[tuple[str, int, float]]) -> None:
        """Whoever comes, is heard and goes: no ceiling is passed, and who gives way is old and greedy enough."""
        places: Places[int] = Places(SMALL)
        listed, numbers, now = Listed(), count(), 0.0
        for what, which, pause in steps:
            now += pause * GRACE
            if what == "heard" and which < len(listed.all):
                places.heard(listed.all[which][0])
                listed.heard.add(listed.all[which][0])
            elif what == "leave" and which < len(listed.all):
                number = listed.all[which][0]
                listed.leave(number)
                places.leave(number)
                places.leave(number)
                places.heard(number)
            elif what == "take":
                self.assert_taken(places, listed, next(numbers), WHERE[which % len(WHERE)], now)
            self.assertEqual((len(places), places.half_open), (len(listed.all), len(listed.half_open())))
            for each in WHERE:
                self.assertEqual(places.half_open_of(each), len(listed.half_open(each.client)))
            self.assertLessEqual(len(places), SMALL.transfers)
            self.assertLessEqual(places.half_open, SMALL.half_open)

    def assert_taken(self, places: Places[int], listed: Listed, number: int, source: Source, now: float) -> None:
        """It takes a place as the list has it."""
        limit = listed.limit(source)
        may_go = listed.may_go(source, limit, now) if limit else set()
        try:
            displaced = places.take(number, source, now)
        except Full as full:
            self.assertIn(limit, str(full))
            self.assertEqual((bool(limit), may_go), (True, set()))
            return
        if displaced is None:
            self.assertEqual(limit, "")
        else:
            self.assertIn(displaced.member, may_go)
            self.assertIn(limit, displaced.limit)
            listed.leave(displaced.member)
        listed.all.append((number, source, now))

    def test_limits_by_name(self) -> None:
        """The text names the limit, its number and its setting."""
        cases = (
            (Ceilings(1, 9, 9, 9), WHERE[1], "1 transfers run already (tftp.transfers)"),
            (Ceilings(9, 9, 1, 9), WHERE[1], "1 transfers wait for an answer already (tftp.transfers)"),
            (Ceilings(9, 1, 9, 9), WHERE[0], "1 transfers to its address run already (tftp.transfers_per_client)"),
            (
                Ceilings(9, 9, 9, 1),
                WHERE[0],
                "1 transfers to its address wait for an answer already (tftp.transfers_per_client)",
            ),
        )
        for ceilings_, newcomer, words in cases:
            places: Places[str] = Places(ceilings_)
            places.take("first", WHERE[0], 1.0)
            with self.assertRaises(Full) as caught:
                places.take("second", newcomer, 1.0)
            self.assertEqual(str(caught.exception), words)
            self.assertEqual(places.take("third", newcomer, 1.1), Displaced("first", words))

    def test_who_was_heard_stays(self) -> None:
        """A transfer whose client has acknowledged something never gives way, however old it is."""
        places: Places[int] = Places(SMALL)
        for number in range(6):
            places.take(number, WHERE[number % 5], float(number))
            places.heard(number)
        with self.assertRaises(Full):
            places.take(6, WHERE[4], 1000.0)

    def test_settings(self) -> None:
        """What follows from the settings, also from very small ones."""
        self.assertEqual(ceilings(TftpSettings()), Ceilings(4096, 2048, 2048, 1024))
        self.assertEqual(ceilings(TftpSettings(transfers=1)), Ceilings(1, 1, 1, 1))
        self.assertEqual(ceilings(TftpSettings(transfers=100)), Ceilings(100, 50, 64, 50))
        self.assertEqual(ceilings(TftpSettings(transfers_per_client=300)), Ceilings(4096, 300, 2048, 150))


class FloodTests(SynchronousTestCase):
    """Requests from addresses of which nobody ever answers, and honest clients among them."""

    def assert_served(self, forged: list[bytes], honest: list[bytes], latency: float) -> None:
        """While forged requests come at 20,000 a second, honest clients get places, and are heard before they go."""
        places: Places[object] = Places(ceilings(TftpSettings()))
        waiting: deque[tuple[float, str]] = deque()
        for number, address in enumerate(forged):
            now = number / 20_000
            while waiting and waiting[0][0] <= now:
                name = waiting.popleft()[1]
                self.assertIn(name, places._half_open, "an honest client gave way")
                places.heard(name)
                places.leave(name)
            with contextlib.suppress(Full):
                places.take(number, source(address), now)
            if not number % 100:
                name = f"honest {number}"
                places.take(name, source(honest[number // 100 % len(honest)]), now)
                waiting.append((now + latency, name))
            if not number % 1000:
                # However many have come, no more is known than of those that have a place.
                known: list[Sized] = [places._members, places._clients, places._half_open]
                if places._greed is not None:
                    known += [places._greed._in_network, places._greed._networks._counts]
                self.assertLessEqual(max(map(len, known)), 2048 + len(waiting))
        self.assertEqual(places.half_open, 2048)

    def test_from_everywhere(self) -> None:
        """Each forged address is another one of another network."""
        self.assert_served([(n * 2654435761 % 2**32).to_bytes(4) for n in range(50_000)], [bytes([10, 0, 0, 1])], 0.02)

    def test_from_one_network(self) -> None:
        """The addresses are of one network; a client elsewhere may take its time, for it is not the greediest."""
        forged = [bytes([10, 9, 9, n % 256]) for n in range(50_000)]
        self.assert_served(forged, [bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])], 1.0)

    def test_from_the_same_network(self) -> None:
        """They are of the client's own network: the addresses with the most go first."""
        forged = [bytes([10, 9, 9, n % 100]) for n in range(50_000)]
        self.assert_served(forged, [bytes([10, 9, 9, 200 + n]) for n in range(50)], 0.5)
