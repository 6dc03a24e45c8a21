"""Tests of `pixelboot.udp.batch.port`, with real datagrams on the loopback interface."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address
from itertools import cycle
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pixelboot.udp.batch import port as module
from pixelboot.udp.batch.path import Path, named, packed, place
from pixelboot.udp.batch.plain import Datagram
from pixelboot.udp.batch.port import BLINDNESS, LONGEST_REST, PATIENCE, BatchPort, Foreseen, Spin
from pixelboot.udp.port import open_socket
from tests.udp.readers import Readers

reactor = cast("Any", _reactor)

HERE = IPv4Address("127.0.0.1")


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


class PortCase(SynchronousTestCase):
    """A port in the hands of the test, and a peer."""

    batched = True

    def setUp(self) -> None:
        self.patch(module, "LONGEST_TURN", 5.0)  # However busy this machine is.
        self.reactor = Readers()
        self.troubles: list[tuple[Path, int | None]] = []
        self.arrived: list[Datagram] = []
        self.one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.one.close)
        self.one.bind((str(HERE), 0))
        self.one.settimeout(5)
        self.path = Path(named(self.one.getsockname()))
        self.port = self.make()

    def make(self, *, told: bool = False, spin: float = 0.0, busy: bool = True) -> BatchPort:
        """A port."""
        opened = open_socket(None, 0)
        self.addCleanup(opened.close)
        return BatchPort(
            cast("Any", self.reactor),
            opened,
            lambda path, problem: self.troubles.append((path, problem.errno)),
            told=told,
            spin=spin,
            is_busy=lambda: busy,
            batched=self.batched,
        )

    def say(self, *datagrams: bytes, port: BatchPort | None = None) -> None:
        """Have the peer say something to the port."""
        for datagram in datagrams:
            self.one.sendto(datagram, (str(HERE), (port or self.port).number))

    def heard(self) -> list[bytes]:
        """What the peer has received by now."""
        found = []
        self.one.setblocking(False)
        try:
            while True:
                found.append(self.one.recv(65536))
        except BlockingIOError:
            return found

    def take(self, datagrams: Iterable[Datagram]) -> None:
        """What arrives is kept."""
        self.arrived += datagrams

    def answer(self, datagrams: Iterable[Datagram]) -> None:
        """What arrives is sent back, twice."""
        for octets, peer, _ in datagrams:
            self.port.send([octets, octets], Path(peer))


class BatchedPortTests(PortCase):
    """A port for many exchanges."""

    def test_answers_leave_with_the_batch(self) -> None:
        """What is said by the dozen is answered by the dozen, in order."""
        self.port.start(self.answer)
        sent = [bytes([number]) * 9 for number in range(100)]
        self.say(*sent)
        self.reactor.turn()
        self.assertEqual(self.heard(), [octets for octets in sent for _ in range(2)])

    def test_at_once_or_together(self) -> None:
        """What is sent of one's own accord leaves at once, or when all of it has been said."""
        self.port.send([b"1"], self.path)
        self.assertEqual(self.heard(), [b"1"])
        with self.port.together():
            with self.port.together():
                self.port.send([b"2", b"3"], self.path)
            self.assertEqual(self.heard(), [] if self.batched else [b"2", b"3"])
            self.port.send([b"4"], self.path)
        self.assertEqual(self.heard(), [b"2", b"3", b"4"] if self.batched else [b"4"])

    def test_together_though_it_goes_wrong(self) -> None:
        """What was said before is sent, and what is said afterwards leaves at once."""

        def mistake() -> None:
            with self.port.together():
                self.port.send([b"1"], self.path)
                raise ZeroDivisionError

        self.assertRaises(ZeroDivisionError, mistake)
        self.port.send([b"2"], self.path)
        self.assertEqual(self.heard(), [b"1", b"2"])

    def test_told(self) -> None:
        """Where it arrived, or nothing of it."""
        for wish in (True, False):
            port = self.make(told=wish)
            port.start(self.take)
            self.say(b"hello", port=port)
            self.reactor.turn()
            [(octets, peer, told)] = self.arrived
            self.assertEqual((octets, peer), (b"hello", self.path.peer))
            self.assertEqual(place(told).local if wish else told, HERE if wish else b"")
            self.arrived.clear()

    def test_errors(self) -> None:
        """They are told, and no others are harmed."""
        nowhere = Path(packed(HERE, 0))
        with self.port.together():
            for path in (self.path, nowhere, self.path):
                self.port.send([b"x"], path)
        self.port.send([b"x", b"y"], nowhere)
        self.assertEqual(self.troubles, [(nowhere, errno.EINVAL)] * 2)
        self.assertEqual(self.heard(), [b"x", b"x"])

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

    def test_others_have_their_turn(self) -> None:
        """However much arrives, it reads no longer than a turn."""
        self.patch(module, "LONGEST_TURN", 0.0)
        self.port.start(self.take)
        self.say(*[b"x"] * 130)
        self.assertEqual([self.reactor.turn() and len(self.arrived) for _ in range(4)], [64, 128, 130, 0])

    def test_stopped_by_what_arrives(self) -> None:
        """What was answered before leaves; nothing is read any more, and nothing is raised."""

        def received(datagrams: Iterable[Datagram]) -> None:
            self.answer(datagrams)
            self.port.stop()

        self.port.start(received)
        self.say(*[bytes([number]) for number in range(70)])
        self.reactor.turn()
        self.assertEqual(self.heard(), [bytes([number]) for number in range(64) for _ in range(2)])
        self.assertTrue(self.reactor.is_idle())

    def test_socket_trouble(self) -> None:
        """No memory at this moment, say: it is logged, and the port reads on."""
        self.port.start(self.take)
        receive = self.port._calls.receive

        def broken() -> None:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

        self.patch(self.port._calls, "receive", broken)
        self.say(b"x")
        self.reactor.turn()
        self.assertEqual(self.arrived, [])
        self.patch(self.port._calls, "receive", receive)
        self.reactor.turn()
        self.assertEqual(len(self.arrived), 1)

    def test_stop(self) -> None:
        """Nothing of a port is left when it is stopped, twice or before it was started."""
        for start in (True, False):
            port = self.make()
            number = port.number
            if start:
                port.start(self.take)
            port.stop()
            port.stop()
            self.assertEqual(port.fileno(), -1)
            self.assertTrue(self.reactor.is_idle())
            port.send([b"x"], self.path)
            self.assertEqual(self.troubles.pop(), (self.path, errno.EBADF))
            with open_socket(None, number):
                pass  # The port is free for the next server.

    def test_name(self) -> None:
        """Where it is, in either family."""
        self.assertEqual(str(self.port), f"0.0.0.0 udp {self.port.number}")
        with open_socket(None, 0, IPv6Address("::1")) as opened:
            port = BatchPort(cast("Any", self.reactor), opened, lambda *_: None, batched=self.batched)
            self.assertEqual((port.address, str(port)), ("::1", f"::1 udp {opened.getsockname()[1]}"))


class PlainPortTests(BatchedPortTests):
    """The same without the C library."""

    batched = False


class ReactorTests(TestCase):
    """With the real reactor."""

    timeout = 20

    async def test_a_mistake(self) -> None:
        """What the receiver raises is logged, what it has said before is sent, and the port reads on."""
        for batched in (True, False):
            opened = open_socket(None, 0)
            port = BatchPort(reactor, opened, lambda *_: None, batched=batched)
            self.addCleanup(port.stop)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                one.bind((str(HERE), 0))
                one.settimeout(5)
                path, done = Path(named(one.getsockname())), Deferred[None]()

                def received(datagrams: Iterable[Datagram], port: BatchPort = port, path: Path = path,
                             fire: Callable[[None], None] = done.callback) -> None:  # fmt: skip
                    for octets, *_ in datagrams:
                        port.send([octets], path)
                        if octets == b"bad":
                            raise ZeroDivisionError
                        fire(None)

                port.start(received)
                one.sendto(b"bad", (str(HERE), port.number))
                self.assertEqual(await self.received(one), b"bad")
                one.sendto(b"good", (str(HERE), port.number))
                await done
                self.assertEqual(await self.received(one), b"good")
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            port.stop()
            self.assertNotIn(port, reactor.getReaders())

    async def received(self, one: socket.socket) -> bytes:
        """What comes next to this socket."""
        one.setblocking(False)
        for _ in range(10_000):
            try:
                return one.recv(100)
            except BlockingIOError:
                turn: Deferred[None] = Deferred()
                reactor.callLater(0, turn.callback, None)
                await turn
        raise AssertionError("nothing comes")
