"""One UDP port for all exchanges that have begun, or for all requests: thousands of datagrams a second."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import NamedTuple, Protocol

from twisted.internet.interfaces import IReactorFDSet
from twisted.logger import Logger

from pixelboot.udp.batch import mmsg
from pixelboot.udp.batch.path import Path, Peer, tell
from pixelboot.udp.batch.plain import Datagram, Plain
from pixelboot.udp.descriptor import Descriptor
from pixelboot.udp.port import nobody

LONGEST_TURN = 0.002
"""Seconds after which other descriptors get their turn, however much arrives meanwhile."""

PATIENCE = 8
"""Spins in succession that were in vain, after which there is none for a while."""

LONGEST_REST = 1024
"""Turns without a spin, at the most."""

BLINDNESS = 64
"""Waits in which nothing is foreseen after something else came than was: where several clients talk, it does mostly."""

_POSSIBLE = mmsg.is_possible()

_log = Logger(namespace="pixelboot.udp")


class Foreseen(NamedTuple):
    """What a peer will say next, if all goes well, and the answer to that."""

    datagrams: tuple[Datagram]
    """What it will say."""

    answer: bytes
    """What is to be sent then."""

    path: Path
    """The way to the peer."""


class Foresight(Protocol):
    """Who knows what will be said.

    A client in lock-step is silent until it is answered: the sooner it is, the faster it is served.  So the answer is
    made while the client is still at the last one, and sent before anything is made of what it has said.
    """

    def foresee(self, peer: Peer) -> Foreseen | None:
        """What this peer will say next; None where that is not sure enough."""

    def came_true(self, datagrams: tuple[Datagram]) -> None:
        """It was said, and answered."""


class Spin:
    """Decides whether it is worth while to wait for the next datagram instead of going back to the reactor.

    To be woken takes longer than a client in the same network takes to answer, and a client in lock-step is answered
    once per round trip.  Where the answer does not come while we wait, as over a slower network, waiting is only heat:
    then it is tried ever more rarely.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        """How long a wait is at the most; 0 is never."""
        self._vain = 0
        self._rest = 0
        self._resting = 0

    def is_due(self) -> bool:
        """Whether to wait this time."""
        if not self._resting:
            return self.seconds > 0
        self._resting -= 1
        return False

    def came(self) -> None:
        """The wait was not in vain."""
        self._vain = self._rest = 0

    def nothing_came(self) -> None:
        """The wait was in vain."""
        self._vain += 1
        if self._vain >= PATIENCE:
            self._vain = PATIENCE - 1  # One more tells whether it has become better.
            self._rest = self._resting = min(max(16, 2 * self._rest), LONGEST_REST)


class BatchPort(Descriptor):
    """Reads from a socket of `pixelboot.udp.sockets.open_socket` while it is started; sends until it is stopped."""

    def __init__(
        self,
        reactor: IReactorFDSet,
        opened: socket.socket,
        failed: Callable[[Path, OSError], None],
        *,
        told: bool = False,
        spin: float = 0.0,
        is_busy: Callable[[], object] = lambda: False,
        batched: bool = _POSSIBLE,
    ) -> None:
        """`failed` hears of datagrams that the network does not take: no route, forbidden, no such address of ours.

        `told` is whether the third part of each datagram says where it arrived (`pixelboot.udp.batch.path.place`).
        `spin` is how many seconds are waited for the next datagram before the reactor's turn, while `is_busy`.
        """
        super().__init__(reactor, opened)
        tell(opened, told)
        self._calls = (mmsg.Batched if batched else Plain)(opened, failed, told=told)
        self._received: Callable[[Iterable[Datagram]], object] = nobody
        self._foresight: Foresight | None = None
        self._blind = 0
        self._spin = Spin(spin)
        self._is_busy = is_busy
        self._gathers = False
        name = opened.getsockname()
        self.address: str = name[0]
        """The address that is listened at."""
        self.number: int = name[1]
        """The UDP port number."""

    def __str__(self) -> str:
        return f"{self.address} udp {self.number}"

    def start(self, received: Callable[[Iterable[Datagram]], object], foresight: Foresight | None = None) -> None:
        """Read from now on; `received` is called with the datagrams that have arrived, to be gone through at once.

        While we spin, `foresight` may spare those that are foreseen.  What either raises is logged by the reactor, and
        the port reads on.
        """
        self._received = received
        self._foresight = foresight
        self._read_on()

    def stop(self) -> None:
        """Send what waits, stop reading and close the socket.  May be called more than once."""
        if self.fileno() >= 0:
            self._calls.flush()
        super().stop()

    def doRead(self) -> None:
        """Take what has arrived and send what is answered, by the batch."""
        with self.together():
            self._read(self._wait)

    def catch_up(self) -> None:
        """Take what has arrived by now, before something is taken that was sent later, and to another port."""
        with self.together():
            self._read(_no_wait)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is sent meanwhile leaves together, at the end of it or before."""
        outer, self._gathers = self._gathers, True
        try:
            yield
        finally:
            self._gathers = outer
            if not outer and self.fileno() >= 0:
                self._calls.flush()

    def _read(self, wait: Callable[[Iterable[Datagram] | None, float], Iterable[Datagram] | None]) -> None:
        calls = self._calls
        end = perf_counter() + LONGEST_TURN
        last: Iterable[Datagram] | None = None
        while self._is_reading:
            try:
                datagrams = calls.receive() or wait(last, end)
            except OSError as problem:
                # No memory at this moment, or the interface went down: the next datagram may come.
                _log.warn("{port}: {problem}", port=self, problem=problem)
                return
            if not datagrams:
                return
            self._received(datagrams)
            calls.flush()
            if perf_counter() >= end:
                return
            last = datagrams

    def _wait(self, last: Iterable[Datagram] | None, end: float) -> Iterable[Datagram] | None:
        """What arrives within a spin after `last`, if that is worth while, but for what was foreseen."""
        spin, calls = self._spin, self._calls
        if not (spin.is_due() and self._is_busy()):
            return None
        foresight = self._foresight
        if foresight is None or not isinstance(last, tuple):
            return self._spun(end)
        if self._blind:
            self._blind -= 1
            return self._spun(end)
        peer = last[0][1]
        while self._is_reading:
            foreseen = foresight.foresee(peer)
            if foreseen is None:
                return self._spun(end)
            calls.put_ahead(foreseen.answer, foreseen.path)
            datagrams = None
            try:
                datagrams = self._spun(end)
            finally:
                if datagrams != foreseen.datagrams:
                    calls.take_back()
            if datagrams != foreseen.datagrams:
                self._blind = BLINDNESS if datagrams else 0
                return datagrams
            calls.flush()
            foresight.came_true(foreseen.datagrams)
        return None

    def _spun(self, end: float) -> Iterable[Datagram] | None:
        """What arrives within a spin."""
        receive = self._calls.receive
        now = perf_counter()
        until = min(now + self._spin.seconds, end)
        while now < until:
            if datagrams := receive():
                self._spin.came()
                return datagrams
            now = perf_counter()
        if until < end:
            self._spin.nothing_came()
        return None

    def send(self, packets: Sequence[bytes], path: Path) -> None:
        """Send datagrams to one peer, in order; while datagrams are read, together with the answers to the others.

        What finds no room in the socket is lost, as on any other part of the way.
        """
        self._calls.send(packets, path)
        if not self._gathers:
            self._calls.flush()

    def send_singles(self, packets: list[bytes], paths: list[Path]) -> None:
        """One datagram each to several peers."""
        self._calls.send_singles(packets, paths)
        if not self._gathers:
            self._calls.flush()

    def send_all(self, answers: Iterable[tuple[Sequence[bytes], Path]]) -> None:
        """The same to several peers."""
        self._calls.send_all(answers)
        if not self._gathers:
            self._calls.flush()


def _no_wait(_last: Iterable[Datagram] | None, _end: float) -> None:
    """Nothing more comes that is waited for."""
