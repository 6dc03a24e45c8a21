"""The exchanges that run: what came for each, what it says to that, and what has become of it.

One dictionary tells whose a datagram is, one timer serves all (`pixelboot.udp.deadlines`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.hwaddr import HardwareAddress
from pixelboot.outcome import Outcome
from pixelboot.tftp import wire
from pixelboot.tftp.admission import Admission
from pixelboot.tftp.limits.sources import Source
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.outcomes import Broken, CutShort, GaveWay, Ignored, NotSent, concluded, concluded_write
from pixelboot.tftp.read.ending import Ending
from pixelboot.tftp.read.transfer import ReadTransfer, in_step
from pixelboot.tftp.wire import ErrorCode, ReadRequest, WriteRequest
from pixelboot.tftp.write.transfer import Ending as WriteEnding
from pixelboot.udp.batch.path import Path, Peer, octets, text
from pixelboot.udp.batch.plain import Datagram
from pixelboot.udp.batch.port import Foreseen
from pixelboot.udp.deadlines import Deadlines

OPENING_TIME = 30.0
"""Seconds in which a file must be open: no client waits longer."""

FIRST_LOOK = 0.1
"""Seconds after which a transfer is looked at for the first time."""

QUIET_TIME = 10.0
"""Seconds after its transfer in which a client may still repeat its last ACK, and is not told that it is unknown."""

MOST_REMEMBERED = 4096
"""Clients whose transfers ended lately that are remembered."""

_NEVER = float("inf")

Who = tuple[HardwareAddress | None, str]
"""The machine, as far as anybody knows which it is, and its address as text."""

_log = Logger(namespace="pixelboot.tftp")


class Sender(Protocol):
    """What can send datagrams: `pixelboot.udp.batch.port.BatchPort`, or a network in memory."""

    def send(self, packets: Sequence[bytes], path: Path) -> None:
        """Send; whoever made the sender hears when the network does not take it."""

    def send_singles(self, packets: list[bytes], paths: list[Path]) -> None:
        """One packet each to several peers."""

    def send_all(self, answers: Iterable[tuple[Sequence[bytes], Path]]) -> None:
        """The same to several peers."""


class Transfer(Protocol):
    """One file on its way, in either direction."""

    @property
    def deadline(self) -> float | None:
        """When to call `expired`; None when it is over."""

    @property
    def ending(self) -> Ending | WriteEnding | None:
        """What came of it.  There may be a deadline still: the client may not have heard of it."""

    @property
    def name(self) -> str:
        """The file's name as the client wrote it; untrusted."""

    @property
    def terms(self) -> Terms:
        """What was negotiated."""

    @property
    def acknowledged(self) -> int:
        """Octets that have arrived."""

    @property
    def is_heard(self) -> bool:
        """Whether any have."""

    @property
    def heard_at(self) -> float | None:
        """When the client was last heard; None before it was, besides its request."""

    def start(self, now: float) -> list[bytes]:
        """Begin."""

    def received(self, octets: bytes, now: float) -> list[bytes]:
        """What the client's datagram asks to be sent."""

    def expired(self, now: float) -> list[bytes]:
        """The deadline has passed."""


class Held(Protocol):
    """Something that is given back."""

    def close(self) -> None:
        """Give it back; may be called more than once."""


@dataclass(slots=True, eq=False)
class Exchange:
    """What has become of one request so far."""

    who: Who
    """Who asked."""
    path: Path
    """The way to it."""
    port: Sender = field(repr=False)
    """What that way goes over."""
    request: ReadRequest | WriteRequest
    """What was asked."""
    address: bytes
    """The client's address, 4 or 16 octets."""
    source: Source
    """Whom it is counted to."""
    asked_at: float
    """When its request was heard."""
    opening: Deferred[None] | None = None
    """While its file is being opened, and after; cancelled if it is over before."""
    held: Held | None = None
    """What is given back at the end: the payload that is sent, or the upload."""
    transfer: Transfer | None = None
    """What runs, once the file is open."""
    reading: ReadTransfer | None = None
    """The same, if it sends a file."""
    looked_at: float = _NEVER
    """When the timer looks at it, at the latest."""
    is_half_open: bool = True
    """Whether nothing was acknowledged yet."""
    because: str = ""
    """Why its blocks are no larger than they are."""
    reported: bool = False
    """Whether it was said what came of it."""
    lingers: bool = False
    """Whether it goes on only so that the client hears of it, too: then it takes nobody's place."""
    over: bool = False
    """Whether it has ended."""

    @property
    def name(self) -> str:
        """The file that was asked for."""
        return self.request.name

    @property
    def acknowledged(self) -> int:
        """Octets that have arrived."""
        return 0 if self.transfer is None else self.transfer.acknowledged

    @property
    def heard_at(self) -> float | None:
        """When the client was last heard; None before it was, besides its request."""
        return None if self.transfer is None else self.transfer.heard_at


class Exchanges:
    """All exchanges, by the peer's address and port."""

    def __init__(self, admission: Admission[Exchange], report: Callable[[Outcome], None], clock: IReactorTime) -> None:
        """`clock` is monotonic."""
        self._admission = admission
        self._report = report
        self._clock = clock
        self._running: dict[Peer, Exchange] = {}
        self._lingering = 0
        self._ended: dict[Peer, float] = {}
        self._deadlines = Deadlines(clock, self._due)

    def count(self) -> int:
        """How many run, those whose file is being opened among them, and not those that linger."""
        return len(self._running) - self._lingering

    def of(self, peer: Peer) -> Exchange | None:
        """The exchange with this peer."""
        return self._running.get(peer)

    def ended_lately(self, peer: Peer) -> bool:
        """Whether this peer had one that has just ended."""
        ended_at = self._ended.get(peer)
        return ended_at is not None and self._clock.seconds() - ended_at < QUIET_TIME

    def begin(self, exchange: Exchange) -> None:
        """A request was heard; its file is not open yet.  Some other one may have to give way to it.

        :raises Full: if there is no place for it.
        """
        gone = self._admission.enter(exchange, exchange.asked_at)
        self._running[exchange.path.peer] = exchange
        if gone is not None:
            self.end(gone.member, GaveWay(*gone.member.who, gone.member.name, gone.limit))

    def wait(self, exchange: Exchange) -> None:
        """Its file takes a while to open."""
        self._look(exchange, self._clock.seconds() + OPENING_TIME)

    def start(self, exchange: Exchange, transfer: Transfer, now: float) -> None:
        """Its file is open, and this sends or takes it."""
        exchange.transfer = transfer
        exchange.reading = transfer if isinstance(transfer, ReadTransfer) else None
        # The first round trip will shorten the wait, and a small file be over by then: to look once is enough.
        self._look(exchange, now + FIRST_LOOK)
        self._step(exchange, transfer.start, now)

    def received(self, datagrams: Iterable[Datagram], port: Sender) -> list[Datagram]:
        """Take what has arrived for exchanges over `port`; returns what belongs to none."""
        strangers: list[Datagram] = []
        answers: list[tuple[list[bytes], Path]] = []
        running = self._running
        now = self._clock.seconds()
        packets, paths, noted, others = in_step(datagrams, running, now)
        if packets:
            port.send_singles(packets, paths)
        for member in noted:
            self._note(member, now)
        for said, peer, told in others:
            exchange = running.get(peer)
            if exchange is None:
                strangers.append((said, peer, told))
                continue
            transfer = exchange.transfer
            if transfer is None:
                if wire.opcode(said) == wire.Opcode.ERROR:
                    self.cut(exchange, "the machine wants it no more")
                continue
            try:
                packets = transfer.received(said, now)
            except Exception:  # noqa: BLE001 - whatever is wrong with one transfer, the others go on
                self.bug(exchange, Failure())
                continue
            if packets:
                answers.append((packets, exchange.path))
            self._note(exchange, now)
        # At last, for it may turn out at once that they cannot be sent.
        if answers:
            port.send_all(answers)
        return strangers

    def foresee(self, peer: Peer) -> Foreseen | None:
        """See `pixelboot.udp.batch.port.Foresight.foresee`."""
        exchange = self._running.get(peer)
        step = None if exchange is None or exchange.reading is None else exchange.reading.next_step
        if exchange is None or step is None:
            return None
        ack, packet = step
        return Foreseen(((ack, peer, b""),), packet, exchange.path)

    def came_true(self, datagrams: tuple[Datagram]) -> None:
        """See `pixelboot.udp.batch.port.Foresight.came_true`."""
        now = self._clock.seconds()
        for exchange in in_step(datagrams, self._running, now)[2]:
            self._note(exchange, now)

    def woken(self, exchange: Exchange, packets: list[bytes]) -> None:
        """Its transfer has something to say of its own accord."""
        if not exchange.over:
            self._step(exchange, lambda: packets)

    def not_sent(self, path: Path, problem: OSError) -> None:
        """The network does not take what is sent on this way."""
        exchange, reason = self._running.get(path.peer), problem.strerror or str(problem)
        if exchange is None or exchange.path is not path:
            self._report(Ignored(None, text(octets(path.peer)), f"no ERROR could be sent there: {reason}"))
        else:
            self.end(exchange, NotSent(*exchange.who, exchange.request.name, exchange.acknowledged, reason))

    def stop(self) -> None:
        """End every exchange and tell the clients; nothing is running afterwards."""
        for exchange in list(self._running.values()):
            if not exchange.reported:
                self.tell(exchange, ErrorCode.UNDEFINED, "the server is stopping")
            self.cut(exchange, "the server is stopping")

    def tell(self, exchange: Exchange, code: ErrorCode, words: str) -> None:
        """Send an ERROR.  It is a courtesy (RFC 1350 §7): the client finds out without it, so it has a way of its own.

        Where that leads nowhere the exchange has not ended for that reason.
        """
        exchange.port.send([wire.error(code, words)], replace(exchange.path))

    def cut(self, exchange: Exchange, reason: str) -> None:
        """End it from our side."""
        self.end(exchange, CutShort(*exchange.who, exchange.request.name, exchange.acknowledged, reason))

    def bug(self, exchange: Exchange, failure: Failure) -> None:
        """A mistake of ours: it is told in full, and every other client is served all the same."""
        _log.failure("a transfer ended in an error", failure)
        self.give_up(exchange, "the server has made a mistake", failure.getErrorMessage())

    def give_up(self, exchange: Exchange, words: str, reason: str) -> None:
        """End it because it cannot go on; `words` are for the client, `reason` for the log."""
        self.tell(exchange, ErrorCode.UNDEFINED, words)
        self.end(exchange, Broken(*exchange.who, exchange.request.name, exchange.acknowledged, reason))

    def end(self, exchange: Exchange, outcome: Outcome) -> None:
        """It is over: give back what it holds, report what it came to."""
        if exchange.over:
            return
        exchange.over = True
        peer, now = exchange.path.peer, self._clock.seconds()
        del self._running[peer]
        self._lingering -= exchange.lingers
        self._admission.left(exchange, now)
        self._ended.pop(peer, None)
        self._ended[peer] = now
        if len(self._ended) > MOST_REMEMBERED:
            del self._ended[next(iter(self._ended))]
        self._deadlines.drop(exchange)
        opening, exchange.opening = exchange.opening, None
        try:
            if exchange.held is not None:
                exchange.held.close()
            elif opening is not None:
                opening.cancel()
        except Exception:  # noqa: BLE001 - what opened the file is not ours
            _log.failure("a file could not be given back")
        self._told(exchange, outcome)

    def _told(self, exchange: Exchange, outcome: Outcome) -> None:
        """Say what came of it, once."""
        if not exchange.reported:
            exchange.reported = True
            self._report(outcome)

    def _step(self, exchange: Exchange, move: Callable[..., list[bytes]], *event: float) -> None:
        """Tell a transfer what has happened, send what it says to that, and see what has become of it."""
        transfer = exchange.transfer
        assert transfer is not None
        try:
            packets = move(*event)
        except Exception:  # noqa: BLE001 - as in `received`
            self.bug(exchange, Failure())
            return
        deadline = transfer.deadline
        if deadline is None:
            self._conclude(exchange, transfer)
        elif not exchange.over:
            if transfer.ending is not None and not exchange.lingers:
                exchange.lingers = True
                self._lingering += 1
                self._admission.left(exchange, self._clock.seconds())
                self._told(exchange, _outcome(exchange, transfer, transfer.ending))
            if deadline < exchange.looked_at:
                self._look(exchange, deadline)
        if packets:  # At last, as in `received`.
            exchange.port.send(packets, exchange.path)

    def _note(self, exchange: Exchange, now: float) -> None:
        """Its client was heard, and answered: see what has become of it."""
        transfer = exchange.transfer
        assert transfer is not None
        if exchange.is_half_open and transfer.is_heard:
            exchange.is_half_open = False
            self._admission.heard(exchange, now)
        deadline = transfer.deadline
        if deadline is None:
            self._conclude(exchange, transfer)
        elif deadline < exchange.looked_at:
            self._look(exchange, deadline)

    def _conclude(self, exchange: Exchange, transfer: Transfer) -> None:
        if transfer.ending is not None:
            self.end(exchange, _outcome(exchange, transfer, transfer.ending))

    def _look(self, exchange: Exchange, at: float) -> None:
        exchange.looked_at = at
        self._deadlines.set(exchange, at)

    def _due(self, exchange: Exchange, now: float) -> None:
        """Look at an exchange whose time may have come."""
        exchange.looked_at = _NEVER
        transfer = exchange.transfer
        if transfer is None:
            self.give_up(exchange, "the file is not at hand", f"it was not open after {OPENING_TIME:.0f} s")
        elif transfer.deadline is not None and transfer.deadline > now:  # It has moved on meanwhile.
            self._look(exchange, transfer.deadline)
        else:
            self._step(exchange, transfer.expired, now)


def _outcome(exchange: Exchange, transfer: Transfer, ending: Ending | WriteEnding) -> Outcome:
    """What came of it."""
    if isinstance(ending, WriteEnding):
        return concluded_write(exchange.name, transfer.name, transfer.terms, ending, *exchange.who)
    return concluded(transfer, ending, *exchange.who, because=exchange.because)
