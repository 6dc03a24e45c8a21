"""Tests of how `pixelboot.udp.batch.port` waits for the next datagram, and what it foresees meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import cycle

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.udp.batch import port as module
from pixelboot.udp.batch.path import Path
from pixelboot.udp.batch.plain import Datagram
from pixelboot.udp.batch.port import BLINDNESS, LONGEST_REST, PATIENCE, BatchPort, Foreseen, Spin
from tests.udp.batch.ports import PortCase


class SpinTests(SynchronousTestCase):
    """Whether to wait."""

    def turns(self, spin: Spin, count: int) -> int:
        """How many of these turns are waited in, in vain."""
        waits = 0
        for _ in range(count):
            if spin.is_due():
                spin.nothing_came()
                waits += 1
        return waits

    def test_never(self) -> None:
        """Without a time there is no wait."""
        self.assertEqual(self.turns(Spin(0), 100), 0)

    def test_always_while_it_helps(self) -> None:
        """Some waits in vain between are no matter."""
        spin = Spin(1e-5)
        for _ in range(50):
            self.assertEqual(self.turns(spin, PATIENCE - 1), PATIENCE - 1)
            self.assertTrue(spin.is_due())
            spin.came()

    def test_more_rarely_where_it_does_not(self) -> None:
        """After the last in vain it rests, each time twice as long, up to a bound; one that helps begins anew."""
        spin = Spin(1e-5)
        self.assertEqual(self.turns(spin, PATIENCE), PATIENCE)
        rests = []
        for _ in range(10):
            rest = 0
            while not spin.is_due():
                rest += 1
            spin.nothing_came()
            rests.append(rest)
        self.assertEqual(rests, [16, 32, 64, 128, 256, 512, 1024, 1024, 1024, LONGEST_REST])
        while not spin.is_due():
            pass
        spin.came()
        self.assertEqual(self.turns(spin, PATIENCE), PATIENCE)
        self.assertEqual(self.turns(spin, 16), 0)


class BatchedWaitingTests(PortCase):
    """Waits for what comes next."""

    def test_spin(self) -> None:
        """What comes a little later is waited for, where that is wished and anything is to be expected."""
        clock = iter(range(100_000))
        self.patch(module, "perf_counter", lambda: next(clock) * 1e-5)
        early: list[None] = []
        for spin, busy, got in ((5e-4, True, 1), (5e-4, False, 0), (0.0, True, 0), (2e-5, True, 0)):
            port = self.make(spin=spin, busy=busy)
            port.start(self.take)
            self.say(b"x", port=port)
            receive = port._calls.receive
            early[:] = [None] * 10

            def late(receive: Callable[[], Iterable[Datagram] | None] = receive) -> Iterable[Datagram] | None:
                return early.pop() if early else receive()

            self.patch(port._calls, "receive", late)
            port.doRead()
            self.assertEqual(len(self.arrived), got, (spin, busy))
            self.arrived.clear()
            port.stop()

    def test_foreseen(self) -> None:
        """What was foreseen is answered at once, and made known; what was not is taken as everything is."""
        said = [(b"1", b"one"), (b"2", b"two"), (b"?", b"three"), (b"4", b"four")]
        seen: list[bytes] = []
        port = self.make(spin=5.0)
        left = iter(said)
        case = self

        class Sure:
            def foresee(self, peer: bytes) -> Foreseen | None:
                case.assertEqual(peer, case.path.peer)
                says, answer = next(left)
                case.say(says, port=port)
                return Foreseen(((says if says != b"?" else b"3", peer, b""),), answer, case.path)

            def came_true(self, datagrams: tuple[Datagram]) -> None:
                seen.append(datagrams[0][0])

        def take(datagrams: Iterable[Datagram]) -> None:
            for octets, peer, _ in datagrams:
                seen.append(octets)
                port.send([b"as usual"], Path(peer))
                if octets == b"?":
                    port.stop()

        port.start(take, Sure())
        self.say(b"0", port=port)
        port.doRead()
        self.assertEqual(seen, [b"0", b"1", b"2", b"?"])
        self.assertEqual(self.heard(), [b"as usual", b"one", b"two", b"as usual"])

    def test_foreseen_wrongly(self) -> None:
        """Where something else came than was foreseen, others talk too: for a while it is not tried again."""
        asked: list[int] = []
        port = self.make(spin=5.0)
        case = self

        class Wrong:
            def foresee(self, peer: bytes) -> Foreseen | None:
                asked.append(len(case.arrived))
                return Foreseen(((b"never", peer, b""),), b"nor this", case.path)

            def came_true(self, datagrams: tuple[Datagram]) -> None:
                raise AssertionError(datagrams)

        def take(datagrams: Iterable[Datagram]) -> None:
            self.take(datagrams)
            if len(self.arrived) == BLINDNESS + 3:
                port.stop()
            else:
                self.say(b"x", port=port)

        self.patch(port._calls, "receive", self.every_other(port._calls.receive))
        port.start(take, Wrong())
        self.say(b"x", port=port)
        port.doRead()
        self.assertEqual(asked, [1, BLINDNESS + 2])
        self.assertEqual(self.heard(), [])

    def every_other(self, receive: Callable[[], Iterable[Datagram] | None]) -> Callable[[], Iterable[Datagram] | None]:
        """What has arrived, but nothing each time after something had: so there is a wait between any two."""
        turn = cycle((True, False))
        return lambda: receive() if next(turn) else None

    def test_foreseen_in_vain(self) -> None:
        """It says no more: nothing is sent, then or later."""
        foreseen = Foreseen(((b"x", self.path.peer, b""),), b"never", self.path)

        class Sure:
            def foresee(self, peer: bytes) -> Foreseen | None:
                return foreseen

            def came_true(self, datagrams: tuple[Datagram]) -> None:
                raise AssertionError(datagrams)

        port = self.make(spin=1e-4)
        port.start(self.take, Sure())
        self.say(b"0", port=port)
        port.doRead()
        port.stop()
        self.assertEqual((len(self.arrived), self.heard()), (1, []))

    def test_spin_ends(self) -> None:
        """When nothing comes, and never after the turn's end."""
        clock = iter(range(10_000))
        calls: list[float] = []
        self.patch(module, "perf_counter", lambda: next(clock) * 1e-5)
        self.patch(module, "LONGEST_TURN", 2e-3)
        port = self.make(spin=1.0)
        port.start(self.take)
        receive = port._calls.receive

        def counted() -> Iterable[Datagram] | None:
            calls.append(0)
            return receive()

        self.patch(port._calls, "receive", counted)
        port.doRead()
        self.assertTrue(100 < len(calls) <= module.LONGEST_TURN / 1e-5, len(calls))
        calls.clear()
        self.make_vain(port)
        port.doRead()
        self.assertEqual(len(calls), 1)

    def make_vain(self, port: BatchPort) -> None:
        """Have it learn that nothing ever comes."""
        for _ in range(PATIENCE):
            port._spin.nothing_came()


class PlainWaitingTests(BatchedWaitingTests):
    """The same without batches."""

    batched = False
