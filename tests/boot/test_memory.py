"""Tests of `pixelboot.boot.memory`."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.memory import Memory
from pixelboot.hwaddr import HardwareAddress

NUMBER = st.integers(1, 8)


class MemoryTests(SynchronousTestCase):
    """Who has which address."""

    def test_empty(self) -> None:
        """Nobody is known at first."""
        self.assertIsNone(Memory().holder(IPv4Address("10.77.0.100")))

    @given(st.integers(1, 5), st.lists(st.tuples(NUMBER, NUMBER), max_size=40))
    def test_remembers_the_last(self, limit: int, meetings: list[tuple[int, int]]) -> None:
        """Of the addresses given out last, and of no others, it knows who was given them last."""
        memory = Memory(limit)
        latest: dict[int, int] = {}
        for address, card in meetings:
            memory.met(IPv4Address(address), HardwareAddress(bytes([card])))
            latest.pop(address, None)
            latest[address] = card
        kept = dict(list(latest.items())[-limit:])
        for address in range(1, 9):
            expected = HardwareAddress(bytes([kept[address]])) if address in kept else None
            self.assertEqual(memory.holder(IPv4Address(address)), expected, f"{address} of {meetings}")

    def test_asking_keeps_nothing_alive(self) -> None:
        """A look at an address does not count as news of it: the oldest news goes first."""
        memory = Memory(1)
        memory.met(IPv4Address(1), HardwareAddress(b"a"))
        memory.holder(IPv4Address(1))
        memory.met(IPv4Address(2), HardwareAddress(b"b"))
        self.assertIsNone(memory.holder(IPv4Address(1)))
