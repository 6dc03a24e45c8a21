"""The free addresses of one pool."""

from __future__ import annotations

from ipaddress import IPv4Network

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.free import FreeAddresses
from pixelboot.leases.lease import Lease, Pool, State

LAN = IPv4Network("0.0.1.0/24")  # so that address n is the number 256 + n

TAKEN = Lease(LAN[1], "hw:a", "", State.BOUND, 0.0, 1.0)


class FreeAddressesTests(SynchronousTestCase):
    """`FreeAddresses`."""

    def setUp(self) -> None:
        """Two ranges, the later one first, with a reserved address in each and one outside."""
        self.free = FreeAddresses(
            Pool((LAN,), ((LAN[20], LAN[22]), (LAN[5], LAN[6])), frozenset({LAN[6], LAN[21], LAN[1]}))
        )
        self.taken: set[int] = set()

    def take(self) -> int | None:
        """The next one, taken from then on."""
        number = self.free.take(dict.fromkeys(self.taken, TAKEN), {})
        if number is not None:
            self.taken.add(number)
        return None if number is None else number - 256

    def test_what_is_in(self) -> None:
        """Both ends of each range, without what is reserved; the network is wider."""
        self.assertEqual([n - 256 for n in range(1024) if n in self.free], [5, 20, 22])
        self.assertEqual([n for n in range(1024) if self.free.covers(n)], list(range(256, 512)))

    def test_order(self) -> None:
        """From the lowest up; then what came back unused, in the order it came; then the longest free."""
        self.taken.add(276)
        self.assertEqual([self.take(), self.take(), self.take()], [5, 22, None])
        self.taken.clear()
        self.free.freed(276, 30.0)
        self.free.freed(261, 20.0)
        self.free.freed(278, None)
        self.assertEqual([self.take(), self.take(), self.take(), self.take()], [22, 5, 20, None])

    def test_said_twice(self) -> None:
        """What is freed again is free since the last time, and is given once."""
        while self.take() is not None:
            pass
        self.taken.clear()
        self.free.freed(261, 10.0)
        self.free.freed(276, 20.0)
        self.free.freed(261, 30.0)
        self.free.freed(278, None)
        self.free.freed(278, None)
        self.assertEqual([self.take(), self.take(), self.take(), self.take()], [22, 20, 5, None])

    def test_hints_that_are_wrong(self) -> None:
        """What was taken by other ways since it was freed is passed over."""
        while self.take() is not None:
            pass
        self.free.freed(261, 10.0)
        self.free.freed(278, None)
        self.assertEqual(self.take(), None)
