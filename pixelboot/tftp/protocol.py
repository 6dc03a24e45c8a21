"""Datagrams in, datagrams out: the shell around the transfers.

    request port (69) ──RRQ──▶ open the file ──▶ negotiate ──▶ ReadTransfer ──┐
    data port ◀──── OACK, DATA, ERROR ── from the address that was asked ─────┤
    data port ─────ACK, ERROR──▶ the transfer of that address and port ───────┘

All transfers share one data port, which is their TID (RFC 1350 §4): a client knows its own by it, and we know a client
by its address and port.  One timer serves them all.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.datagram import Arrival
from pixelboot.hwaddr import HardwareAddress
from pixelboot.library.tree import Absent, Forbidden
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome
from pixelboot.payload import Payload
from pixelboot.tftp import wire
from pixelboot.tftp.negotiate import ALL_IN_FLIGHT, MOST_IN_FLIGHT, Limits, Refusal, negotiate
from pixelboot.tftp.outcomes import Broken, Busy, CutShort, Dropped, Ignored, NotFound, NotSent, Refused, concluded
from pixelboot.tftp.settings import TftpSettings
from pixelboot.tftp.transfer import Patience, ReadTransfer
from pixelboot.tftp.wire import ErrorCode, Opcode, ReadRequest, WriteRequest
from pixelboot.udp.data_port import Path
from pixelboot.udp.deadlines import Deadlines
from pixelboot.udp.port import Peer

OPENING_TIME = 30.0
"""Seconds in which a file must be open: no client waits longer."""

REPEAT_TIME = 1.0
"""Seconds after the client's last word in which the same request again is a copy of the first, long on its way; who
begins anew has been silent for longer."""

QUIET_TIME = 10.0
"""Seconds after its transfer in which a client may still repeat its last ACK, and is not told that it is unknown."""

MOST_REMEMBERED = 4096
"""Clients whose transfers ended lately that are remembered."""

MOST_ANSWERS = 100
"""Datagrams that were no request or belong to no transfer that are answered in a second.  Who forges his address makes
us send them to others; they are as short as what they answer, and this is how many there are."""

_Who = tuple[HardwareAddress | None, str]
"""The machine, as far as anybody knows which it is, and its address as text."""

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN})
"""What the system says when it lacks something at this moment: a client that hears nothing asks again a little later,
one that is told of an error gives up."""

_log = Logger(namespace="pixelboot.tftp")


class Sender(Protocol):
    """What can send datagrams: `pixelboot.udp.port.DataPort`, or a network in memory."""

    def send(self, datagrams: Sequence[bytes], path: Path) -> None:
        """Send; raises OSError when the network does not take it."""


@dataclass(slots=True, eq=False)
class _Exchange:
    """What has become of one read request so far."""

    who: _Who
    path: Path
    request: ReadRequest
    heard_at: float | None = None
    opening: Deferred[Payload] | None = None
    payload: Payload | None = None
    transfer: ReadTransfer | None = None
    over: bool = False

    @property
    def acknowledged(self) -> int:
        """Octets that the client has."""
        return 0 if self.transfer is None else self.transfer.acknowledged


@dataclass(slots=True)
class _Answers:
    """Counts what may still be answered in this second."""

    left: int = MOST_ANSWERS
    since: float = float("-inf")

    def allowed(self, now: float) -> bool:
        """Whether one more may be; counts it."""
        if now - self.since >= 1.0:
            self.since, self.left = now, MOST_ANSWERS
        self.left -= 1
        return self.left >= 0


class TftpProtocol:
    """Answers read requests and runs the transfers that follow from them."""

    def __init__(
        self,
        settings: TftpSettings,
        open_file: Callable[[str], Awaitable[Payload]],
        report: Callable[[Outcome], None],
        machine_at: Callable[[IPv4Address], HardwareAddress | None],
        clock: IReactorTime,
        sender: Sender,
    ) -> None:
        """`open_file` raises `Absent`, `Forbidden` or OSError; `clock` is monotonic; `sender` is the data port."""
        self._settings = settings
        self._limits = Limits(settings.blksize, settings.windowsize, frozenset(settings.refuse))
        self._patience = Patience(first=settings.timeout, retries=settings.retries)
        # One machine cannot take all the places.  It may have many: a whole site behind one translated address does.
        self._share = max(1, settings.transfers // 2)
        self._open_file = open_file
        self._report = report
        self._machine_at = machine_at
        self._clock = clock
        self._send = sender.send
        self._exchanges: dict[Peer, _Exchange] = {}
        self._by_address: Counter[str] = Counter()
        self._in_flight = 0  # Octets of all windows.
        self._ended: dict[Peer, float] = {}
        self._answers = _Answers()
        self._deadlines = Deadlines(clock, self._due)

    @property
    def transfers(self) -> int:
        """How many run, those whose file is being opened among them."""
        return len(self._exchanges)

    def requested(self, octets: bytes, arrival: Arrival, _port: object = None) -> None:
        """Take one datagram from the request port."""
        address = str(arrival.source)
        who = self._machine_at(arrival.source), address
        if arrival.to_everybody:  # RFC 1123 §4.2.3.5
            self._report(Ignored(*who, "the request was sent to everybody"))
            return
        if arrival.source.is_unspecified or arrival.source.is_multicast or not arrival.source_port:
            self._report(Dropped(*who, "it comes from an address or port that cannot be answered"))
            return
        path = Path((address, arrival.source_port), arrival.local)
        try:
            packet = wire.decode(octets)
        except Malformed as problem:
            self._report(Dropped(*who, str(problem)))
            if wire.opcode(octets) != Opcode.ERROR:
                self._answer(path, ErrorCode.ILLEGAL_OPERATION, "this is no TFTP request")
            return
        match packet:
            case ReadRequest():
                self._read(packet, path, who)
            case WriteRequest():
                reason = "nothing can be written here"
                self._report(Refused(*who, packet.name, ErrorCode.ACCESS_VIOLATION, reason))
                self._answer(path, ErrorCode.ACCESS_VIOLATION, reason)
            case _:
                self._report(Dropped(*who, f"{type(packet).__name__} at the port for requests"))

    def received(self, octets: bytes, peer: Peer) -> None:
        """Take one datagram from the data port."""
        exchange = self._exchanges.get(peer)
        if exchange is None:
            self._stranger(octets, peer)
        elif exchange.transfer is not None:
            exchange.heard_at = now = self._clock.seconds()
            self._step(exchange, exchange.transfer.received, octets, now)
        elif wire.opcode(octets) == Opcode.ERROR:
            self._cut(exchange, "the machine wants it no more")

    def stop(self) -> None:
        """End every transfer and tell the clients; nothing is running afterwards."""
        for exchange in list(self._exchanges.values()):
            self._tell(exchange.path, ErrorCode.UNDEFINED, "the server is stopping")
            self._cut(exchange, "the server is stopping")

    # From a request to its transfer.

    def _read(self, request: ReadRequest, path: Path, who: _Who) -> None:
        now = self._clock.seconds()
        address = path.peer[0]
        former = self._exchanges.get(path.peer)
        if former is not None:
            fresh = former.heard_at is None or now - former.heard_at < REPEAT_TIME
            if former.request == request and fresh:
                self._report(Ignored(*who, "it has asked for this already"))
                return
            self._cut(former, "the machine has asked anew from the same port")
        if full := self._full(address):
            self._report(Busy(*who, request.name, full))
            return
        exchange = _Exchange(who, path, request)
        self._exchanges[path.peer] = exchange
        self._by_address[address] += 1
        self._deadlines.set(exchange, now + OPENING_TIME)
        opening = exchange.opening = Deferred.fromCoroutine(self._open(request.name))
        opening.addCallback(self._opened, exchange).addErrback(self._failed, exchange)

    def _full(self, address: str) -> str:
        """Which limit keeps one more transfer to this address from being begun; empty if none does."""
        most = self._settings.transfers
        if len(self._exchanges) >= most:
            return f"{most} transfers run already (tftp.transfers)"
        if self._by_address[address] >= self._share:
            return f"{self._share} transfers to its address run already (half of tftp.transfers)"
        return ""

    async def _open(self, name: str) -> Payload:
        return await self._open_file(name)

    def _opened(self, payload: Payload, exchange: _Exchange) -> None:
        if exchange.over:
            payload.close()
            return
        exchange.payload = payload
        # Never more than this part of what is left, so that something is left for whoever comes next.
        room = max(0, ALL_IN_FLIGHT - self._in_flight) * MOST_IN_FLIGHT // ALL_IN_FLIGHT
        terms = negotiate(exchange.request, payload.size, replace(self._limits, in_flight=room))
        exchange.transfer = ReadTransfer(
            exchange.request.name, payload, terms, self._patience, rollover=self._settings.rollover
        )
        self._in_flight += terms.in_flight
        self._step(exchange, exchange.transfer.start, self._clock.seconds())

    def _failed(self, failure: Failure, exchange: _Exchange) -> None:
        """There is no payload to send, for one reason or another."""
        if exchange.over:
            if failure.check(CancelledError, Absent, Forbidden, OSError) is None:
                _log.failure("a file could not be opened", failure)
            return
        who, problem = (*exchange.who, exchange.request.name), failure.value
        match problem:
            case Absent():
                code, words = ErrorCode.FILE_NOT_FOUND, "there is no such file"
                outcome: Outcome = NotFound(*who)
            case Forbidden():
                code, words = ErrorCode.ACCESS_VIOLATION, "this file is not served"
                outcome = Refused(*who, code, str(problem))
            case Refusal():
                code, words = problem.code, problem.message
                outcome = Refused(*who, code, words)
            case OSError() if problem.errno in _SHORT:
                self._end(exchange, Busy(*who, f"the file cannot be opened now: {problem.strerror}"))
                return
            case OSError():
                self._give_up(exchange, "the file cannot be read", problem.strerror or str(problem))
                return
            case _:
                self._bug(exchange, failure)
                return
        self._tell(exchange.path, code, words)
        self._end(exchange, outcome)

    # The transfer.

    def _step(self, exchange: _Exchange, move: Callable[..., list[bytes]], *event: bytes | float) -> None:
        """Tell a transfer what has happened, send what it says to that, and see what has become of it."""
        transfer = exchange.transfer
        assert transfer is not None
        try:
            packets = move(*event)
        except Exception:  # noqa: BLE001 - whatever is wrong with one transfer, the others go on
            self._bug(exchange, Failure())
            return
        try:
            if packets:
                self._send(packets, exchange.path)
        except OSError as problem:
            if transfer.ending is None:  # Else these are its last words, and how it ended matters more.
                reason = problem.strerror or str(problem)
                self._end(exchange, NotSent(*exchange.who, exchange.request.name, transfer.acknowledged, reason))
                return
        if transfer.ending is not None:
            self._end(exchange, concluded(transfer, transfer.ending, *exchange.who))
        elif transfer.deadline is not None:
            self._deadlines.set(exchange, transfer.deadline)

    def _cut(self, exchange: _Exchange, reason: str) -> None:
        """End it from our side."""
        self._end(exchange, CutShort(*exchange.who, exchange.request.name, exchange.acknowledged, reason))

    def _bug(self, exchange: _Exchange, failure: Failure) -> None:
        """A mistake of ours: it is told in full, and every other client is served all the same."""
        _log.failure("a transfer ended in an error", failure)
        self._give_up(exchange, "the server has made a mistake", failure.getErrorMessage())

    def _give_up(self, exchange: _Exchange, words: str, reason: str) -> None:
        """End it because there is nothing more to send; `words` are for the client, `reason` for the log."""
        self._tell(exchange.path, ErrorCode.UNDEFINED, words)
        self._end(exchange, Broken(*exchange.who, exchange.request.name, exchange.acknowledged, reason))

    def _end(self, exchange: _Exchange, outcome: Outcome) -> None:
        """It is over: give back what it holds, report what it came to."""
        if exchange.over:
            return
        exchange.over = True
        peer = exchange.path.peer
        del self._exchanges[peer]
        self._by_address[peer[0]] -= 1
        if not self._by_address[peer[0]]:
            del self._by_address[peer[0]]
        self._ended.pop(peer, None)
        self._ended[peer] = self._clock.seconds()
        if len(self._ended) > MOST_REMEMBERED:
            del self._ended[next(iter(self._ended))]
        self._deadlines.drop(exchange)
        if exchange.transfer is not None:
            self._in_flight -= exchange.transfer.terms.in_flight
        opening, exchange.opening = exchange.opening, None
        try:
            if exchange.payload is not None:
                exchange.payload.close()
            elif opening is not None:
                opening.cancel()
        except Exception:  # noqa: BLE001 - what opened the file is not ours
            _log.failure("a file could not be given back")
        self._report(outcome)

    def _due(self, exchange: _Exchange, now: float) -> None:
        """Look at an exchange whose time may have come."""
        transfer = exchange.transfer
        if transfer is None:
            self._give_up(exchange, "the file is not at hand", f"it was not open after {OPENING_TIME:.0f} s")
        elif transfer.deadline is not None and transfer.deadline > now:  # It has moved on meanwhile.
            self._deadlines.set(exchange, transfer.deadline)
        else:
            self._step(exchange, transfer.expired, now)

    # Those to whom no transfer belongs.

    def _stranger(self, octets: bytes, peer: Peer) -> None:
        """A datagram that belongs to no transfer: RFC 1350 §4 has its sender told so."""
        ended_at = self._ended.get(peer)
        if ended_at is not None and self._clock.seconds() - ended_at < QUIET_TIME:
            return
        self._report(Ignored(None, peer[0], "its datagram belongs to no transfer"))
        if wire.opcode(octets) in (Opcode.DATA, Opcode.ACK):
            self._answer(Path(peer), ErrorCode.UNKNOWN_TID, "there is no such transfer")

    def _answer(self, path: Path, code: ErrorCode, words: str) -> None:
        """Send an ERROR to whoever that is, if not too many were sent lately."""
        if self._answers.allowed(self._clock.seconds()):
            self._tell(path, code, words)

    def _tell(self, path: Path, code: ErrorCode, words: str) -> None:
        """Send an ERROR.  It is a courtesy (RFC 1350 §7): the client finds out without it."""
        try:
            self._send([wire.error(code, words)], path)
        except OSError as problem:
            self._report(Ignored(None, path.peer[0], f"no ERROR could be sent there: {problem.strerror}"))
