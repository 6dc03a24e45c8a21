"""Requests in, transfers out: the shell around them.

    request port (69) ──RRQ──▶ open the file ──▶ negotiate ──▶ ReadTransfer ──┐
    data port ◀──── OACK, DATA, ERROR ── from the address that was asked ─────┤
    data port ─────ACK, ERROR──▶ the transfer of that address and port ───────┘

All transfers share one data port, which is their TID (RFC 1350 §4): a client knows its own by it, and we know a client
by its address and port.  What runs is in `pixelboot.tftp.exchanges`.
"""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from ipaddress import IPv4Address
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.hwaddr import HardwareAddress
from pixelboot.library.tree import Absent, Asker, Forbidden
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome
from pixelboot.payload import Payload
from pixelboot.tftp import wire
from pixelboot.tftp.admission import Admission
from pixelboot.tftp.exchanges import Exchange, Exchanges, Sender
from pixelboot.tftp.limits.places import Full
from pixelboot.tftp.limits.sources import shown, source
from pixelboot.tftp.negotiate import Limits, Refusal, negotiate
from pixelboot.tftp.outcomes import Busy, Dropped, Ignored, NotFound, Refused, Throttled
from pixelboot.tftp.patience import Patience
from pixelboot.tftp.read.image import Images
from pixelboot.tftp.read.pool import Pool
from pixelboot.tftp.read.transfer import ReadTransfer
from pixelboot.tftp.settings import TftpSettings
from pixelboot.tftp.wire import ErrorCode, Opcode, ReadRequest, WriteRequest
from pixelboot.tftp.write.uploads import Uploads
from pixelboot.udp.batch.path import NOTHING, Path, Place, address_of, octets, place, port, text
from pixelboot.udp.batch.plain import Datagram
from pixelboot.udp.batch.port import Foresight
from pixelboot.udp.interfaces import Mtus

REPEAT_TIME = 1.0
"""Seconds after the client's last word in which the same request again is a copy of the first, long on its way; who
begins anew has been silent for longer."""

LARGEST_WRITTEN = 2048
"""Octets of a block that a client may send, at the most: of a datagram no more than `SLOT` is read."""

_FOR_TRANSFERS = (Opcode.ACK, Opcode.DATA)
_REQUESTS = (Opcode.RRQ, Opcode.WRQ)

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN})
"""What the system says when it lacks something at this moment: a client that hears nothing asks again a little later,
one that is told of an error gives up."""

_log = Logger(namespace="pixelboot.tftp")


class Files(Protocol):
    """Where files are found: `pixelboot.library.tree.Tree`."""

    def at_hand(self, name: str, asker: Asker, asked_at: float) -> Payload | None:
        """What `open` would give, if it is known at once; what was seen after `asked_at` is not looked at again."""

    def open(self, name: str, asker: Asker) -> Awaitable[Payload]:
        """The file that a machine means by a name; raises `Absent`, `Forbidden` or OSError."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where requests come in, and from where they are answered."""

    data: Sender
    """The port that transfers run over."""

    pinned: bool = False
    """Whether it must be told which address of ours to send from, because it has several."""

    def path(self, peer: bytes, asked: Place) -> Path:
        """The way back."""
        return Path(peer, asked.control if self.pinned else NOTHING)


class TftpProtocol:
    """Answers requests and runs the transfers that follow from them."""

    def __init__(
        self,
        settings: TftpSettings,
        files: Files,
        report: Callable[[Outcome], None],
        machine_at: Callable[[IPv4Address], HardwareAddress | None],
        clock: IReactorTime,
        uploads: Uploads | None = None,
    ) -> None:
        """`clock` is monotonic; `machine_at` knows, or does not, whose an address is.

        Without `uploads` nothing can be written.
        """
        self._uploads = uploads
        self._settings = settings
        self._patience = Patience(first=settings.timeout, retries=settings.retries)
        self._files = files
        self._report = report
        self._machine_at = machine_at
        self._clock = clock
        self._admission: Admission[Exchange] = Admission(settings, Mtus(place.cache_clear).of)
        self._exchanges = Exchanges(self._admission, report, clock)
        self._limits: dict[int, Limits] = {}
        self._images = Images(Pool(settings.memory << 20), 65535 if settings.rollover else 65536)
        self.foresight: Foresight = self._exchanges
        """What those will say who are sent files over a data port."""
        self.transfers = self._exchanges.count
        """How many run, those whose file is being opened among them."""
        self.not_sent = self._exchanges.not_sent
        """Hears when the network does not take what is sent on some way."""

    def requested(self, datagrams: Iterable[Datagram], entrance: Entrance) -> None:
        """Take what has arrived at a request port."""
        now = self._clock.seconds()
        for said, peer, told in datagrams:
            if told:  # Else the system had no memory to say where it arrived.
                self._requested(said, peer, place(told), entrance, now)

    def received(self, datagrams: Iterable[Datagram], entrance: Entrance) -> None:
        """Take what has arrived at a data port."""
        for said, peer, told in self._exchanges.received(datagrams, entrance.data):
            self._stranger(said, entrance.path(peer, place(told)) if told else Path(peer), entrance)

    def mixed(self, datagrams: Iterable[Datagram], entrance: Entrance) -> None:
        """Take what has arrived at a port for both."""
        for datagram in datagrams:
            kind = wire.opcode(datagram[0])
            if kind in _FOR_TRANSFERS or (kind not in _REQUESTS and self._exchanges.of(datagram[1]) is not None):
                self.received((datagram,), entrance)
            else:
                self.requested((datagram,), entrance)

    def stop(self) -> None:
        """End every transfer and tell the clients; nothing is running afterwards."""
        self._exchanges.stop()

    # From a request to its transfer.

    def _requested(self, said: bytes, peer: bytes, asked: Place, entrance: Entrance, now: float) -> None:
        address = octets(peer)
        who = self._machine(address), text(address)
        where = source(address)
        if not self._admission.may_ask(where, now):
            self._report(Throttled(*who, self._admission.per_client))
            return
        if asked.to_everybody:  # RFC 1123 §4.2.3.5
            self._report(Ignored(*who, "the request was sent to everybody"))
            return
        if not _can_be_answered(address) or not port(peer):
            self._report(Dropped(*who, "it comes from an address or port that cannot be answered"))
            return
        path = entrance.path(peer, asked)
        try:
            packet = _decoded(said)
        except Malformed as problem:
            self._report(Dropped(*who, str(problem)))
            if wire.opcode(said) != Opcode.ERROR:
                self._answer(entrance, path, ErrorCode.ILLEGAL_OPERATION, "this is no TFTP request")
            return
        match packet:
            case ReadRequest():
                self._read(Exchange(who, path, entrance.data, packet, address, where, now), asked.interface)
            case WriteRequest() if self._uploads is None:
                reason = "nothing can be written here"
                self._report(Refused(*who, packet.name, ErrorCode.ACCESS_VIOLATION, reason))
                self._answer(entrance, path, ErrorCode.ACCESS_VIOLATION, reason)
            case WriteRequest():
                self._write(Exchange(who, path, entrance.data, packet, address, where, now), asked.interface)
            case _:
                self._report(Dropped(*who, f"{type(packet).__name__} at the port for requests"))

    def _machine(self, address: bytes) -> HardwareAddress | None:
        return self._machine_at(found) if isinstance(found := address_of(address), IPv4Address) else None

    def _begin(self, exchange: Exchange) -> bool:
        """Whether an exchange was begun; not that of a copy, nor one for which there is no place."""
        request, path = exchange.request, exchange.path
        former = self._exchanges.of(path.peer)
        if former is not None:
            fresh = former.heard_at is None or exchange.asked_at - former.heard_at < REPEAT_TIME
            if former.request == request and fresh:
                self._report(Ignored(*exchange.who, "it has asked for this already"))
                return False
            self._admission.asked(exchange, exchange.asked_at)
            self._exchanges.cut(former, "the machine has asked anew from the same port")
        try:
            self._exchanges.begin(exchange)
        except Full as full:
            self._report(Busy(*exchange.who, request.name, str(full)))
            return False
        return True

    def _await(self, exchange: Exchange, opening: Coroutine[Deferred[Any], Any, None]) -> None:
        """Open the exchange's file, which takes a while."""
        deferred = exchange.opening = Deferred.fromCoroutine(opening)
        deferred.addErrback(self._failed, exchange)
        if not deferred.called:
            self._exchanges.wait(exchange)

    def _read(self, exchange: Exchange, interface: str) -> None:
        if not self._begin(exchange):
            return
        request = exchange.request
        asker = Asker(*exchange.who)
        try:
            payload = self._files.at_hand(request.name, asker, exchange.asked_at)
        except Exception:  # noqa: BLE001 - whatever is wrong with one request, the others are served
            self._failed(Failure(), exchange)
            return
        if payload is not None:
            try:
                self._opened(payload, exchange, interface, exchange.asked_at)
            except Exception:  # noqa: BLE001 - as above
                self._failed(Failure(), exchange)
            return
        self._await(exchange, self._open(exchange, asker, interface))

    async def _open(self, exchange: Exchange, asker: Asker, interface: str) -> None:
        payload = await self._files.open(exchange.request.name, asker)
        self._opened(payload, exchange, interface, self._clock.seconds())

    def _opened(self, payload: Payload, exchange: Exchange, interface: str, now: float) -> None:
        if exchange.over:
            payload.close()
            return
        exchange.held = payload
        request = exchange.request
        assert isinstance(request, ReadRequest)
        self._admission.asked(exchange, now)
        cap = self._admission.cap(exchange.address, interface, now)
        terms = negotiate(request, payload.size, self._limits_of(cap.blksize))
        if cap.because and terms.blksize == cap.blksize and ("blksize", str(cap.blksize)) not in request.options:
            exchange.because = cap.because
        image = self._images.of(payload, terms.blksize, netascii=terms.netascii)
        transfer = ReadTransfer(request.name, image, terms, self._patience, rollover=self._settings.rollover)
        self._exchanges.start(exchange, transfer, now)

    def _write(self, exchange: Exchange, interface: str) -> None:
        if self._begin(exchange):
            self._await(exchange, self._take(exchange, interface))

    async def _take(self, exchange: Exchange, interface: str) -> None:
        """Begin an upload."""
        request, uploads = exchange.request, self._uploads
        assert isinstance(request, WriteRequest)
        assert uploads is not None
        cap = self._admission.cap(exchange.address, interface, self._clock.seconds())
        limits = self._limits_of(min(cap.blksize, LARGEST_WRITTEN))
        wake = partial(self._exchanges.woken, exchange)
        request = replace(request, name=uploads.meant(request.name, Asker(*exchange.who)))
        try:
            upload = await uploads.begin(request, shown(exchange.source), limits, wake)
        except Refusal as problem:
            problem.looked_for = (request.name,)
            raise
        if exchange.over:
            upload.close()
            return
        exchange.held = upload
        self._exchanges.start(exchange, upload, self._clock.seconds())

    def _limits_of(self, blksize: int) -> Limits:
        limits = self._limits.get(blksize)
        if limits is None:
            settings = self._settings
            limits = self._limits[blksize] = Limits(blksize, settings.windowsize, frozenset(settings.refuse))
        return limits

    def _failed(self, failure: Failure, exchange: Exchange) -> None:
        """There is no payload to send, for one reason or another."""
        if exchange.over:
            if failure.check(CancelledError, Absent, Forbidden, OSError) is None:
                _log.failure("a file could not be opened", failure)
            return
        who, problem = (*exchange.who, exchange.request.name), failure.value
        match problem:
            case Absent():
                code, words = ErrorCode.FILE_NOT_FOUND, "there is no such file"
                outcome: Outcome = NotFound(*who, looked_for=problem.looked_for)
            case Forbidden():
                code, words = ErrorCode.ACCESS_VIOLATION, "this file is not served"
                outcome = Refused(*who, code, str(problem), looked_for=problem.looked_for)
            case Refusal():
                code, words = problem.code, problem.message
                outcome = Refused(*who, code, words, looked_for=problem.looked_for)
            case OSError() if problem.errno in _SHORT:
                self._exchanges.end(exchange, Busy(*who, f"the file cannot be opened now: {problem.strerror}"))
                return
            case OSError():
                does = "read" if isinstance(exchange.request, ReadRequest) else "stored"
                self._exchanges.give_up(exchange, f"the file cannot be {does}", problem.strerror or str(problem))
                return
            case _:
                self._exchanges.bug(exchange, failure)
                return
        self._exchanges.tell(exchange, code, words)
        self._exchanges.end(exchange, outcome)

    # Those to whom no transfer belongs.

    def _stranger(self, said: bytes, path: Path, entrance: Entrance) -> None:
        """A datagram that belongs to no transfer: RFC 1350 §4 has its sender told so."""
        if self._exchanges.ended_lately(path.peer):
            return
        self._report(Ignored(None, text(octets(path.peer)), "its datagram belongs to no transfer"))
        if wire.opcode(said) in (Opcode.DATA, Opcode.ACK):
            self._answer(entrance, path, ErrorCode.UNKNOWN_TID, "there is no such transfer")

    def _answer(self, entrance: Entrance, path: Path, code: ErrorCode, words: str) -> None:
        """Send an ERROR to whoever that is, if not too many were sent lately."""
        if self._admission.may_be_answered(self._clock.seconds()):
            entrance.data.send([wire.error(code, words)], path)


_decoded = lru_cache(maxsize=1024)(wire.decode)
"""Machines of one kind ask in the same words."""


@lru_cache(maxsize=1024)
def _can_be_answered(address: bytes) -> bool:
    found = address_of(address)
    return not (found.is_unspecified or found.is_multicast)
