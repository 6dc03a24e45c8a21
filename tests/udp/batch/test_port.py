"""Tests of `pixelboot.udp.batch.port`, with real datagrams on the loopback interface."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from pixelboot.udp.batch import port as module
from pixelboot.udp.batch.path import Path, named, packed, place
from pixelboot.udp.batch.plain import Datagram
from pixelboot.udp.batch.port import BatchPort
from pixelboot.udp.sockets import open_socket
from tests.udp.batch.ports import HERE, PortCase

reactor = cast("Any", _reactor)


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
