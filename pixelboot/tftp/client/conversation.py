"""What downloads and uploads have in common: the request, who answers it, the timer, and the end (RFC 1350, 2347).

    request ──▶ from the server's address, whatever its port: OACK, the first packet without one, or ERROR
                      │ this address and port are the server's from here on (its TID)
                      ▼
                packets … ──▶ the end

Whoever else sends anything is told so with ERROR 5, a few times.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from pixelboot.malformed import Malformed
from pixelboot.tftp import wire
from pixelboot.tftp.client.ending import Ending, Peer, Result
from pixelboot.tftp.client.terms import Violation, Wishes, granted, request
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.patience import LONGEST_SILENCE, Patience, RoundTrip
from pixelboot.tftp.wire import ErrorCode, Opcode, Options

PATIENCE = Patience(floor=0.2)
"""A little more than a server's own: who sends DATA is the first to see that it was lost."""

MOST_STRANGERS = 16
"""Packets of others that are answered with ERROR 5: who forges his address could else make us send without end."""

Datagram = tuple[bytes, Peer]
"""What is to be sent, and to whom."""


class Conversation(ABC):
    """One file on its way between this client and a server.

    Every call returns the datagrams to send, in order; then `deadline` says when to call `expired`, and `ending`
    whether all is over.  After the end there may be a deadline still: a download stays a while to repeat its last ACK.
    """

    OPCODE: ClassVar[Opcode]
    FIRST: ClassVar[bytes]
    """What a server that grants no option begins with."""

    def __init__(
        self,
        server: Peer,
        name: str,
        wishes: Wishes,
        patience: Patience,
        *,
        size: int | None,
        insist: bool = False,
        any_address: bool = False,
    ) -> None:
        """A server that refuses options (ERROR 8) is asked without, unless we `insist`; `size` is tsize's value.

        With `any_address` another address than the one asked may answer, as it does of servers with several.
        """
        self.wishes = wishes
        """What was asked for."""
        self.deadline: float | None = None
        """When to call `expired`, on the clock of `now`; None before the start, and when nothing more can come."""
        self.ending: Ending | None = None
        """What came of it; None while it runs."""
        self.peer: Peer | None = None
        """The address and port that answered."""
        self.terms = Terms(netascii=wishes.netascii)
        """What was negotiated."""
        self.size: int | None = None
        """The size of the file in octets, as the server told it."""
        self.octets = 0
        """Octets received in order or acknowledged, as sent."""
        self._server = server
        self._name = name
        self._patience = patience
        self._asked: Options = wishes.options(size)
        self._request = request(self.OPCODE, name, wishes, self._asked)
        self._insist = insist
        self._any_address = any_address
        self._without_options = False
        self._trip = RoundTrip(patience)
        self._tries = 0  # How often in succession was waited in vain.
        self._begun = False  # Whether the file's first packet was exchanged, after which no OACK counts.
        self._fresh = False  # Whether what is waited for answers something that was said once only.
        self._started_at = self._sent_at = 0.0
        self._first_at: float | None = None
        self._retransmissions = self._duplicates = self._discarded = self._strangers = 0

    def start(self, now: float) -> list[Datagram]:
        """Ask the server."""
        self._started_at = now
        return self._ask(now)

    def received(self, octets: bytes, peer: Peer, now: float) -> list[Datagram]:
        """What a datagram from anybody asks to be sent; whatever it is, it is never an exception."""
        if self.deadline is None:
            return []
        if self.peer is None and self.ending is None and self._answers(octets, peer):
            self.peer = peer
        if peer != self.peer:
            return self._stranger(octets, peer)
        try:
            return self._understood(wire.decode(octets), now)
        except Malformed as problem:
            return self._break(f"it sent {problem}", ErrorCode.ILLEGAL_OPERATION, now)
        except Violation as problem:
            return self._break(str(problem), problem.code, now)

    def expired(self, now: float) -> list[Datagram]:
        """The deadline has passed: the same again, or the end.  Too early a call does nothing."""
        if self.deadline is None or now < self.deadline:
            return []
        if self.ending is not None:
            self.deadline = None
            return []
        if self._tries >= self._trip.retries:
            return self._fail(Result.TIMED_OUT, "no answer came in time", ErrorCode.UNDEFINED, now)
        self._tries += 1
        self._trip.lengthen()
        self._fresh = False
        packets = [self._request] if self.peer is None else self._again()
        self._retransmissions += len(packets)
        return self._send(packets, now)

    def closed(self, now: float) -> None:
        """The server's system says that nobody listens at the port that was asked; after an answer it says nothing."""
        if self.peer is None and self.ending is None:
            self._end(Result.CLOSED, now, reason="nobody listens at that port")

    def abort(self, reason: str, now: float, code: ErrorCode = ErrorCode.UNDEFINED) -> list[Datagram]:
        """Break off, and tell the server why; nothing more comes of it, not even after the end."""
        return self._fail(Result.ABORTED, reason, code, now)

    @abstractmethod
    def _heard(self, packet: wire.Packet, now: float) -> list[Datagram]:
        """The server's packet that is neither ERROR nor OACK; raises `Violation`."""

    @abstractmethod
    def _agreed(self, now: float) -> list[Datagram]:
        """The terms are settled by an OACK; what it is answered with."""

    @abstractmethod
    def _agreed_again(self, now: float) -> list[Datagram]:
        """The OACK has come once more."""

    @abstractmethod
    def _again(self) -> list[bytes]:
        """What is said when nothing comes."""

    def _ask(self, now: float) -> list[Datagram]:
        self._fresh = True
        return self._send([self._request], now)

    def _answers(self, octets: bytes, peer: Peer) -> bool:
        """Whether this is an answer to the request."""
        if peer[0] != self._server[0] and not self._any_address:
            return False
        return octets[:4] == self.FIRST or wire.opcode(octets) in (Opcode.OACK, Opcode.ERROR)

    def _understood(self, packet: wire.Packet, now: float) -> list[Datagram]:
        match packet:
            case wire.Error():
                return self._refused(packet, now)
            case wire.OptionAck():
                return self._option_ack(packet, now)
        return self._heard(packet, now)

    def _option_ack(self, packet: wire.OptionAck, now: float) -> list[Datagram]:
        if self._begun or self.ending is not None:
            self._duplicates += 1
            return []
        if self.terms.agreed:
            self._duplicates += 1
            return self._agreed_again(now)
        self.terms = granted(self._asked, packet.options, netascii=self.wishes.netascii)
        if "tsize" in (told := dict(packet.options)):
            self.size = int(told["tsize"])
        self._answered(now)
        if self.terms.timeout is not None:
            self._trip = RoundTrip(self._patience, self.terms.timeout)
            self._trip.bound(LONGEST_SILENCE)
        return self._agreed(now)

    def _refused(self, packet: wire.Error, now: float) -> list[Datagram]:
        """An ERROR is never answered; one that refuses the options brings the request without them."""
        if self.ending is not None:
            return []
        refuses_options = packet.code == ErrorCode.OPTION_REFUSED and not self.terms.agreed and not self._begun
        if refuses_options and self._asked and not self._insist:
            self._without_options = True
            self._asked = ()
            self._request = request(self.OPCODE, self._name, self.wishes, ())
            self.peer = None
            self._trip = RoundTrip(self._patience)
            self._tries = 0
            return self._ask(now)
        if refuses_options and self._without_options and not self._tries:
            # The refusal of the first request, come twice: the second cannot be refused for options it has not.
            self._duplicates += 1
            self.peer = None
            return []
        self._end(Result.REFUSED, now, packet.code, packet.message)
        return []

    def _answered(self, now: float) -> None:
        """The server goes on: patience is as great as it was, and the round trip was measured."""
        if self._fresh:
            self._trip.measured(now - self._sent_at)
        self._fresh = False
        self._tries = 0
        self.deadline = now + self._trip.wait

    def _send(self, packets: list[bytes], now: float) -> list[Datagram]:
        self._sent_at = now
        self.deadline = now + self._trip.wait
        peer = self.peer or self._server
        return [(octets, peer) for octets in packets]

    def _stranger(self, octets: bytes, peer: Peer) -> list[Datagram]:
        """Whoever it is, the transfer goes on; an ERROR is not answered, or two such as we would answer for ever."""
        self._strangers += 1
        if self._strangers > MOST_STRANGERS or wire.opcode(octets) in (0, Opcode.ERROR):
            return []
        return [(wire.error(ErrorCode.UNKNOWN_TID, "this port belongs to another transfer"), peer)]

    def _break(self, reason: str, code: ErrorCode, now: float) -> list[Datagram]:
        return [] if self.ending is not None else self._fail(Result.BROKEN, reason, code, now)

    def _fail(self, result: Result, reason: str, code: ErrorCode, now: float) -> list[Datagram]:
        """End, and tell the server why, if there is one."""
        if self.ending is not None:
            self.deadline = None
            return []
        self._end(result, now, reason=reason)
        return [] if self.peer is None else [(wire.error(code, reason), self.peer)]

    def _end(self, result: Result, now: float, code: int = 0, reason: str = "") -> None:
        self.deadline = None
        self.ending = Ending(
            result=result,
            seconds=now - self._started_at,
            octets=self.octets,
            first=None if self._first_at is None else self._first_at - self._started_at,
            terms=self.terms,
            size=self.size,
            peer=self.peer,
            retransmissions=self._retransmissions,
            duplicates=self._duplicates,
            discarded=self._discarded,
            strangers=self._strangers,
            without_options=self._without_options,
            code=code,
            reason=reason,
        )
