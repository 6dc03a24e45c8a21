"""Downloads and uploads inside Twisted's reactor, each over a UDP port of its own."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from pixelboot.outcome import printable
from pixelboot.tftp.client.conversation import PATIENCE, Conversation, Datagram
from pixelboot.tftp.client.download import DALLY, LARGEST, Download
from pixelboot.tftp.client.ending import Ending, Peer, Result
from pixelboot.tftp.client.terms import Wishes
from pixelboot.tftp.client.upload import Source, Upload
from pixelboot.tftp.patience import Patience
from pixelboot.tftp.wire import ErrorCode
from pixelboot.udp.deadlines import Deadlines
from pixelboot.udp.descriptor import Descriptor
from pixelboot.udp.port import nobody

PORT = 69
"""The UDP port that servers are asked at."""

BUFFER = 4 << 20
"""Octets of the socket's buffers that we ask for, or windows of large blocks would find no room."""

SMALLEST_ROOM = 2048
"""Octets that are read of a datagram at the least: all of any OACK or ERROR."""

_ROOM_OF_ERROR = 512
"""Octets for what the system says of a datagram that came back."""

MOST_IN_A_TURN = 64
"""Datagrams read before other descriptors get their turn."""

# Not named by the socket module of Python 3.11 (ip(7), ipv6(7)).
_IP_MTU_DISCOVER = 10
_IPV6_MTU_DISCOVER = 23
_PMTUDISC_DONT = 0
_IP_RECVERR = 11
_IPV6_RECVERR = 25

_LOST = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM})
"""A send that fails so is a datagram that the network lost: there is no room at this moment."""


class TransferFailed(Exception):
    """A download or upload that is not complete; the text says why, for a person."""

    def __init__(self, message: str, ending: Ending) -> None:
        """`message` holds no untrusted text that is not neutralised."""
        super().__init__(message)
        self.ending = ending
        """How far it came, and what was seen of the server."""


class Refused(TransferFailed):
    """The server sent an ERROR; its code and words are in `ending`."""


class Closed(TransferFailed):
    """Nobody listens at the port that was asked: the server's system says so (ICMP)."""


class TimedOut(TransferFailed):
    """The server is silent."""


class Broken(TransferFailed):
    """The server did what the protocol does not allow."""


class TooLarge(TransferFailed):
    """The file has more octets than were to be taken."""


class Aborted(TransferFailed):
    """It was broken off here: the network takes no datagrams, or the file to upload cannot be read."""


_FAILURES: dict[Result, type[TransferFailed]] = {
    Result.REFUSED: Refused,
    Result.CLOSED: Closed,
    Result.TIMED_OUT: TimedOut,
    Result.BROKEN: Broken,
    Result.TOO_LARGE: TooLarge,
    Result.ABORTED: Aborted,
}


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that has come whole."""

    content: bytes
    """The file; empty where a sink took it."""

    ending: Ending
    """How it came, and what was seen of the server."""


async def download(
    reactor: Any,
    server: str,
    name: str,
    *,
    port: int = PORT,
    source: str = "",
    blksize: int | None = None,
    windowsize: int | None = None,
    timeout: int | None = None,
    tsize: bool = True,
    netascii: bool = False,
    insist: bool = False,
    any_address: bool = False,
    largest: int = LARGEST,
    dally: float = DALLY,
    patience: Patience = PATIENCE,
    sink: Callable[[bytes], object] | None = None,
) -> Downloaded:
    """Read the file `name` of a server.

    :param server: its IPv4 or IPv6 address, as text (``fe80::1%eth0`` where the interface matters); no host name
    :param source: the address of ours to ask from; empty leaves it to the system
    :param blksize: octets of a block to ask for; None does not ask, and so for `windowsize` and `timeout` (seconds)
    :param tsize: whether to ask for the file's size, and to hold the server to it
    :param netascii: whether the file is a text whose line ends are translated
    :param insist: whether a server that refuses options is an error; else it is asked again without
    :param any_address: whether the server may answer from another address than the one that is asked
    :param largest: octets, as sent, from which on the file is broken off
    :param dally: seconds for which this waits at the end, to acknowledge the last block again if need be
    :param sink: called in the reactor's thread with the file's octets, in order, as they come; what it raises ends the
        download, and is raised here; None collects them in memory
    :raises TransferFailed: if the file does not come whole
    :raises ValueError: if an argument is none that can be asked for
    :raises OSError: if there is no port to be had

    When its Deferred is cancelled, the server is told, and the port is closed.
    """
    wishes = Wishes(blksize=blksize, windowsize=windowsize, timeout=timeout, tsize=tsize, netascii=netascii)
    content = bytearray()
    way = _Way.to(server, port)
    state = Download(
        way.peer, name, wishes, patience, largest=largest, dally=dally, insist=insist, any_address=any_address
    )
    take = content.extend if sink is None else sink
    ending = await _Exchange(reactor, way.open(source), way, state, lambda: take(state.take())).run()
    return Downloaded(bytes(content), _complete(ending, name, server))


async def upload(
    reactor: Any,
    server: str,
    name: str,
    content: bytes | Source,
    *,
    port: int = PORT,
    source: str = "",
    blksize: int | None = None,
    windowsize: int | None = None,
    timeout: int | None = None,
    size: int | None = None,
    netascii: bool = False,
    insist: bool = False,
    any_address: bool = False,
    rollover: int = 0,
    patience: Patience = PATIENCE,
) -> Ending:
    """Write the file `name` of a server; the arguments are those of `download`, and these.

    :param content: the octets, or an open file; it is read in the reactor's thread, and stays the caller's to close
    :param size: octets of an open file, to be told the server (tsize); of octets it is known
    :param rollover: the block number that follows 65535, 0 or 1
    :raises TransferFailed: if the server does not take the whole file
    :raises ValueError: if an argument is none that can be asked for
    :raises OSError: if there is no port to be had
    """
    wishes = Wishes(blksize=blksize, windowsize=windowsize, timeout=timeout, netascii=netascii)
    if isinstance(content, bytes):
        size, content = len(content), _Octets(content)
    way = _Way.to(server, port)
    state = Upload(
        way.peer, name, content, wishes, patience, size=size, rollover=rollover, insist=insist, any_address=any_address
    )
    return _complete(await _Exchange(reactor, way.open(source), way, state).run(), name, server)


def _complete(ending: Ending, name: str, server: str) -> Ending:
    """The ending, if it is a good one; raises the others."""
    if ending.result is Result.COMPLETE:
        return ending
    reason = printable(ending.reason)
    match ending.result:
        case Result.REFUSED:
            said = f"the server sent error {ending.code}{f': {reason}' if reason else ''}"
        case Result.TIMED_OUT:
            said = f"the server is silent after {ending.octets} octets" if ending.peer else "nobody answers"
        case Result.BROKEN:
            said = f"the server broke the protocol: {reason}"
        case _:
            said = reason
    raise _FAILURES[ending.result](f"{printable(name)} at {server}: {said}", ending)


class _Octets:
    """Octets in memory as a `Source`, without a copy of all."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def read(self, size: int, /) -> bytes:
        octets = self._octets[self._at : self._at + size]
        self._at += len(octets)
        return octets


@dataclass(frozen=True, slots=True)
class _Way:
    """The way to a server."""

    family: socket.AddressFamily
    peer: Peer
    """The server's address, without the interface that a link-local one has behind it, and port."""
    rest: tuple[Any, ...]
    """What belongs to an IPv6 address in a call of the system besides: a flow and the interface."""

    @classmethod
    def to(cls, server: str, port: int) -> _Way:
        """The way to the port of a server; raises ValueError unless its address is one."""
        if not 1 <= port <= 65535:
            raise ValueError(f"port is {port}: 1 to 65535 are allowed")
        family, name = _literal(server, port)
        return cls(family, _peer(name), tuple(name[2:]))

    def open(self, source: str) -> socket.socket:
        """A socket for this way; raises OSError when there is none, ValueError when `source` is no address for it."""
        bound: tuple[Any, ...] | None = None
        if source:
            family, bound = _literal(source, 0)
            if family != self.family:
                raise ValueError(f"{source!r} and {self.peer[0]} are not of the same IP version")
        opened = socket.socket(self.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                opened.setsockopt(socket.SOL_SOCKET, buffer, BUFFER)
            # A block that is too long for a link on the way is sent in fragments, not refused.
            if self.family == socket.AF_INET:
                opened.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DONT)
                opened.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            else:
                opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_DONT)
                opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
            opened.bind(bound or ("", 0))
        except OSError:
            opened.close()
            raise
        return opened


class _Exchange(Descriptor):
    """A download or upload between its port and the clock."""

    def __init__(
        self, reactor: Any, opened: socket.socket, way: _Way, state: Conversation, heard: Callable[[], object] = nobody
    ) -> None:
        """`heard` is called when something has come that may be taken."""
        super().__init__(reactor, opened)
        self._clock = reactor
        self._way = way
        self._state = state
        self._heard = heard
        self._done: Deferred[None] = Deferred()
        self._deadlines: Deadlines[Conversation] = Deadlines(reactor, self._due)
        # Four octets are in front of a block; of one that is too long there is more, by which it is known.
        self._room = 5 + max(state.wishes.blksize or 0, SMALLEST_ROOM)

    def __str__(self) -> str:
        return f"tftp client of {self._way.peer[0]}"

    async def run(self) -> Ending:
        """Talk until there is nothing left to say."""
        self._read_on()
        try:
            self._say(self._state.start(self._clock.seconds()))
            await self._done
        finally:
            self._send(self._state.abort("the client was told to stop", self._clock.seconds()))
            self._deadlines.drop(self._state)
            self.stop()
        assert self._state.ending is not None
        return self._state.ending

    def doRead(self) -> None:
        """Take what has arrived, up to `MOST_IN_A_TURN` datagrams."""
        for _ in range(MOST_IN_A_TURN):
            if not self._is_reading or self._done.called:
                return
            try:
                octets, sender = self._socket.recvfrom(self._room)
            except BlockingIOError:
                return
            except OSError:  # The system tells of a datagram that did not arrive: it is one that was lost.
                continue
            self._say(self._state.received(octets, _peer(sender), self._clock.seconds()))

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives up a socket that has an error: a datagram came back from where nobody listens."""
        while self._is_reading:
            try:
                _, told, _, sent_to = self._socket.recvmsg(0, _ROOM_OF_ERROR, socket.MSG_ERRQUEUE)
            except OSError:  # There are no more.
                break
            # Of sock_extended_err, recverr in ip(7), the first field is the number of the error.
            code = int.from_bytes(told[0][2][:4], sys.byteorder) if told else 0
            if code == errno.ECONNREFUSED and _peer(sent_to) == self._way.peer:
                self._state.closed(self._clock.seconds())
        if self._state.ending is not None:
            self._say([])
        elif self._is_reading:  # What else the system tells of is a datagram that was lost.
            self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # Asking for it clears it.
            self._reactor.addReader(self)

    def _due(self, state: Conversation, now: float) -> None:
        self._say(state.expired(now))

    def _say(self, datagrams: list[Datagram]) -> None:
        """Send, hand on what has come, and see how it stands."""
        self._send(datagrams)
        try:
            self._heard()
        except Exception:  # noqa: BLE001 - Whatever the caller's own function raises is the caller's to see.
            now = self._clock.seconds()
            self._send(self._state.abort("what was received cannot be kept", now, ErrorCode.DISK_FULL))
            self._deadlines.drop(self._state)
            if not self._done.called:
                self._done.errback()
            return
        if self._state.deadline is not None:
            self._deadlines.set(self._state, self._state.deadline)
        elif not self._done.called:
            self._done.callback(None)

    def _send(self, datagrams: list[Datagram]) -> None:
        """Send; a network that does not take them at all ends everything, but not an end itself."""
        for octets, peer in datagrams:
            name = (*peer, *self._way.rest)
            try:
                try:
                    self._socket.sendto(octets, name)
                except OSError:  # Perhaps of an earlier datagram, and that is told once.
                    self._socket.sendto(octets, name)
            except OSError as problem:
                if problem.errno in _LOST or peer != (self._state.peer or self._way.peer):
                    continue
                reason = f"the network takes no datagrams: {problem.strerror or problem}"
                self._state.abort(reason, self._clock.seconds())
                return


def _literal(address: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """An address as the system has it; raises ValueError unless it is one, for to ask for a name would block."""
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError) as problem:
        raise ValueError(f"{address!r} is no IPv4 or IPv6 address") from problem
    family, _, _, _, name = found[0]
    return family, tuple(name)


def _peer(name: tuple[Any, ...]) -> Peer:
    """Address and port of a socket's name, without the interface."""
    return str(name[0]).partition("%")[0], int(name[1])
