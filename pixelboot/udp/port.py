"""UDP ports inside Twisted's reactor.

Twisted's own port does not say at which address and interface a datagram arrived, nor lets it choose the source of
an answer; firmware drops an answer that comes from another address than the one it was told.  Hence these, which
send with ``IP_PKTINFO`` (ip(7)) and empty the socket whenever it is readable.  `UdpPort` tells everything of each
arrival: for requests.  `DataPort` tells only who spoke: for the thousands of datagrams of an exchange that has begun.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from ipaddress import IPv4Address
from typing import Any

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pixelboot.datagram import Arrival, Destination
from pixelboot.udp.interfaces import Interface, interfaces

LARGEST_DATAGRAM = 4096
"""Octets that are read of a request; a protocol on such a port knows none this long, and refuses it by its length."""
LARGEST_REPLY = 448
"""Octets that are read of what a peer says in an exchange: acknowledgements and error messages.  Room for so many
Python has at hand; more of it would be fetched and given back with every datagram."""
BUFFER = 4 << 20
"""Octets of the socket's buffers that we ask for: a thousand machines may ask in the same moment."""
MOST_IN_A_TURN = 256
"""Datagrams read before other descriptors get their turn."""

ANYWHERE = IPv4Address(0)

Peer = tuple[str, int]
"""A peer's address and UDP port, as the socket names them."""
Control = list[tuple[int, int, bytes]]
"""Ancillary data of a datagram: level, kind, octets."""

# Not named by the socket module of Python 3.11 (ip(7), udp(7)).
_IP_MTU_DISCOVER = 10
_IP_PMTUDISC_DONT = 0
_IP_PKTINFO = 8
_PKTINFO = struct.Struct("=I4s4s")
_UDP_SEGMENT = 103
_SEGMENT = struct.Struct("=H")
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33

_MOST_SEGMENTS = 64
"""Datagrams that the kernel cuts out of one send."""
_LARGEST_SEND = 65_000
"""Octets of one send: what IPv4 can carry, and a little less."""

_LOST = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ECONNREFUSED})
"""A send that fails so is a datagram that the network lost: no room at this moment, or the system tells us here of
some earlier datagram, perhaps another peer's."""

_NOT_SEGMENTED = frozenset({errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT})
"""The kernel does not cut datagrams out of one send that are too long for the link, nor where the interface does not
compute checksums, nor when it is too old (udp(7))."""

_EVERYBODY = "255.255.255.255"

_log = Logger(namespace="pixelboot.udp")


def open_socket(interface: Interface | None, port: int, address: IPv4Address = ANYWHERE) -> socket.socket:
    """A socket that receives what arrives at UDP `port` of `address`, by `interface` or by any; port 0 is any free one.

    It may not broadcast, so that nobody who forges his address makes us do so; `UdpPort` sees to it where we have to.

    :raises OSError: when the port is taken, the address is none of ours, or the interface is gone.
    """
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if interface is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.name.encode())
        for wish, order in ((socket.SO_RCVBUF, _SO_RCVBUFFORCE), (socket.SO_SNDBUF, _SO_SNDBUFFORCE)):
            opened.setsockopt(socket.SOL_SOCKET, wish, BUFFER)
            with suppress(PermissionError):  # Beyond the system's limit (net.core.rmem_max) root alone may go.
                opened.setsockopt(socket.SOL_SOCKET, order, BUFFER)
        # A router on the way may cut a datagram that is too long for the next link; it tells us too late or never.
        opened.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)
        opened.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        opened.bind((str(address), port))
    except OSError:
        opened.close()
        raise
    return opened


@implementer(IReadDescriptor)
class _Port:
    """A socket made by `open_socket`, in the reactor's hands while it is started."""

    def __init__(self, reactor: IReactorFDSet, opened: socket.socket) -> None:
        self._reactor = reactor
        self._socket = opened
        self._received: Callable[..., None] | None = None
        self._read: Callable[[], tuple[Any, ...] | None]
        name = opened.getsockname()
        self.address = IPv4Address(name[0])
        """The address that is listened at; 0.0.0.0 is all."""
        self.number: int = name[1]
        """The UDP port number."""

    def __str__(self) -> str:
        return f"{self.address} udp {self.number}"

    def stop(self) -> None:
        """Stop reading and close the socket.  May be called more than once."""
        self._received = None
        self._reactor.removeReader(self)
        self._socket.close()

    def _start(self, received: Callable[..., None]) -> None:
        self._received = received
        self._reactor.addReader(self)

    # What the reactor calls.

    def fileno(self) -> int:
        """The socket's descriptor; -1 when it is closed."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """The name in the reactor's own messages."""
        return "udp"

    def doRead(self) -> None:
        """Take what has arrived, up to `MOST_IN_A_TURN` datagrams."""
        read = self._read
        for _ in range(MOST_IN_A_TURN):
            if self._received is None:
                return
            try:
                arrived = read()
            except BlockingIOError:
                return
            except OSError as problem:
                # No memory at this moment, or the interface went down: the next datagram may come.
                _log.warn("{port}: {problem}", port=self, problem=problem)
                return
            if arrived is not None:
                self._received(*arrived)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives up a descriptor whose socket has an error; a port that is not stopped reads on."""
        if self._received is not None:
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # Asking for it clears it.
            problem = os.strerror(code) if code else reason.getErrorMessage()
            _log.warn("{port}: {problem}", port=self, problem=problem)
            self._reactor.addReader(self)


class UdpPort(_Port):
    """Reads from a socket made by `open_socket` while it is started; sends at any time until it is stopped."""

    def __init__(
        self,
        reactor: IReactorFDSet,
        opened: socket.socket,
        interface: Interface | None,
        wall: Callable[[], float],
    ) -> None:
        """`interface` is the one that the socket was opened on.

        `wall` gives the time that arrivals are stamped with, in seconds since 1970.
        """
        super().__init__(reactor, opened)
        self._interface = interface
        self._may_broadcast = False
        self._wall = wall
        self._read = self._arrival

    def __str__(self) -> str:
        return super().__str__() if self._interface is None else f"{self._interface.name} udp {self.number}"

    @property
    def problem(self) -> str:
        """Why nothing can arrive here any more, in words; empty when all is well.

        A socket stays bound to the interface that it was opened on, and notices neither its end nor a new one of the
        same name.
        """
        bound = self._interface
        if bound is None:
            return ""
        now = interfaces().get(bound.name)
        if now is None or now.index != bound.index:
            return f"the interface {bound.name} that was there at the start is gone"
        if not set(bound.addresses) & set(now.addresses):
            return f"{bound.name} has lost the address {bound.addresses[0]}"
        return ""

    def start(self, received: Callable[[bytes, Arrival, UdpPort], None]) -> None:
        """Read from now on; `received` is called with each datagram, where it came from, and this port to answer by.

        What it raises is logged by the reactor, and the port reads on.
        """
        self._start(received)

    def send(self, octets: bytes, destination: Destination) -> None:
        """Send one datagram; raises OSError when the network does not take it.

        A client without an address of its own yet (`Destination.hwaddr`) is reached by broadcast, which RFC 2131
        §4.1 allows and every client takes.
        """
        address = _EVERYBODY if destination.hwaddr is not None else str(destination.address)
        if self._interface is not None:
            # Everybody on the interface may be meant, but never a network's broadcast address: whoever makes us send
            # there has forged it.  The system refuses it, as long as the socket may not broadcast.
            self._broadcasts(address == _EVERYBODY)
        index = 0 if self._interface is None else self._interface.index
        self._socket.sendmsg([octets], _pinned(destination.source, index), 0, (address, destination.port))

    def _broadcasts(self, may: bool) -> None:
        if may != self._may_broadcast:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, int(may))
            self._may_broadcast = may

    def _arrival(self) -> tuple[bytes, Arrival, UdpPort] | None:
        """Read one datagram; None when the system does not say where it arrived."""
        octets, control, _flags, (source, port) = self._socket.recvmsg(LARGEST_DATAGRAM, 64)
        for level, kind, value in control:
            if level == socket.IPPROTO_IP and kind == _IP_PKTINFO and len(value) == _PKTINFO.size:
                break
        else:
            return None
        # Of a broadcast our address is the interface's own (ipi_spec_dst), not the one in the header (ipi_addr).
        index, local, sent_to = _PKTINFO.unpack(value)
        name = _interface_name(index) if self._interface is None else self._interface.name
        sender = IPv4Address(socket.inet_aton(source))  # To read the text itself takes it three times as long.
        here, to_everybody = _address(local), local != sent_to
        return octets, Arrival(name, here, self.number, sender, port, self._wall(), to_everybody), self


@dataclass(slots=True)
class Path:
    """The way to one peer, made once for all datagrams that take it, and what is learned about it meanwhile."""

    peer: Peer
    """Where they go."""

    source: IPv4Address = ANYWHERE
    """The address of ours that they come from; 0.0.0.0 leaves it to the system."""

    control: Control = field(init=False, repr=False, compare=False)
    """What the kernel is told with each."""

    too_long: int = field(init=False, repr=False, compare=False, default=_LARGEST_SEND // 2)
    """Octets from which on datagrams are not cut out of one send on this way, as far as that is known."""

    def __post_init__(self) -> None:
        self.control = [] if self.source == ANYWHERE else _pinned(self.source, 0)


class DataPort(_Port):
    """One port for any number of exchanges, each with a peer of its own."""

    def __init__(self, reactor: IReactorFDSet, opened: socket.socket) -> None:
        super().__init__(reactor, opened)
        opened.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 0)
        self._read = partial(opened.recvfrom, LARGEST_REPLY)
        self._sendmsg = opened.sendmsg

    def start(self, received: Callable[[bytes, Peer], None]) -> None:
        """Read from now on; `received` is called with each datagram (its first `LARGEST_REPLY` octets) and its sender.

        What it raises is logged by the reactor, and the port reads on.
        """
        self._start(received)

    def send(self, datagrams: Sequence[bytes], path: Path) -> None:
        """Send datagrams, in order.

        What finds no room in the socket is lost, as on any other part of the way.

        :raises OSError: when the network does not take them at all: no route, forbidden, no such address of ours.
        """
        try:
            if len(datagrams) == 1:
                self._sendmsg(datagrams, path.control, 0, path.peer)
            elif datagrams and not self._send_segmented(datagrams, path):
                self._send_each(datagrams, path)
        except OSError as problem:
            if problem.errno not in _LOST:
                raise

    def _send_each(self, datagrams: Sequence[bytes], path: Path) -> None:
        for octets in datagrams:
            self._sendmsg([octets], path.control, 0, path.peer)

    def _send_segmented(self, datagrams: Sequence[bytes], path: Path) -> bool:
        """Hand over many datagrams of one size (the last may be shorter) in one call; whether they were sent."""
        size = len(datagrams[0])
        whole = all(len(octets) == size for octets in datagrams[:-1]) and 0 < len(datagrams[-1]) <= size
        if size >= path.too_long or not whole:
            return False
        at_once = min(_MOST_SEGMENTS, _LARGEST_SEND // size)
        control = [*path.control, (socket.IPPROTO_UDP, _UDP_SEGMENT, _SEGMENT.pack(size))]
        for at in range(0, len(datagrams), at_once):
            try:
                self._sendmsg(datagrams[at : at + at_once], control, 0, path.peer)
            except OSError as problem:
                if at or problem.errno not in _NOT_SEGMENTED:
                    raise
                self._send_each(datagrams, path)
                path.too_long = size  # That went well, so it was the cutting that the kernel refused.
                return True
        return True


@lru_cache(maxsize=256)
def _address(packed: bytes) -> IPv4Address:
    """One of our own addresses: there are few, and each comes with every datagram."""
    return IPv4Address(packed)


@lru_cache(maxsize=64)
def _interface_name(index: int) -> str:
    """What the interface with this number is called."""
    try:
        return socket.if_indextoname(index)
    except OSError:  # It went while the datagram waited.
        return f"interface {index}"


def _pinned(source: IPv4Address, index: int) -> Control:
    """Send from `source`, by the interface with the number `index`, or by any when it is 0."""
    return [(socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO.pack(index, source.packed, bytes(4)))]
