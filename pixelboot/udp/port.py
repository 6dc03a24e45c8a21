"""A UDP port on one interface, inside Twisted's reactor.

Twisted's own port does not say at which address and interface a datagram arrived, nor lets it choose the source of
an answer; firmware drops an answer that comes from another address than the one it was told.  Hence this one, which
reads and sends with ``IP_PKTINFO`` (ip(7)) and empties the socket whenever it is readable.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv4Address

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pixelboot.datagram import Arrival, Destination
from pixelboot.udp.interfaces import Interface, interfaces

LARGEST_DATAGRAM = 4096
"""Octets that are read of a datagram; a protocol on such a port knows none this long, and refuses it by its length."""
RECEIVE_BUFFER = 4 << 20
"""Octets of the socket's receive buffer that we ask for: a thousand machines may ask in the same moment."""
MOST_IN_A_TURN = 256
"""Datagrams read before other descriptors get their turn."""

# Not named by the socket module of Python 3.11 (ip(7)).
_IP_PKTINFO = 8
_PKTINFO = struct.Struct("=I4s4s")
_ANYWHERE = bytes(4)
_EVERYBODY = "255.255.255.255"

_log = Logger(namespace="pixelboot.udp")


def open_socket(interface: Interface, port: int) -> socket.socket:
    """A socket that receives what arrives at UDP `port` by `interface`; raises OSError when the port is taken."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.name.encode())
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        opened.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        opened.bind(("", port))
    except OSError:
        opened.close()
        raise
    return opened


@implementer(IReadDescriptor)
class UdpPort:
    """Reads from a socket made by `open_socket` while it is started; sends at any time until it is stopped."""

    def __init__(
        self,
        reactor: IReactorFDSet,
        opened: socket.socket,
        interface: Interface,
        wall: Callable[[], float],
    ) -> None:
        """`wall` gives the time that arrivals are stamped with, in seconds since 1970."""
        self._reactor = reactor
        self._socket = opened
        self._interface = interface
        self._received: Callable[[bytes, Arrival, UdpPort], None] | None = None
        self._wall = wall

    def __str__(self) -> str:
        return f"{self._interface.name} udp {self.number}"

    @property
    def number(self) -> int:
        """The UDP port number."""
        number: int = self._socket.getsockname()[1]
        return number

    @property
    def problem(self) -> str:
        """Why nothing can arrive here any more, in words; empty when all is well.

        A socket stays bound to the interface that it was opened on, and notices neither its end nor a new one of the
        same name.
        """
        now = interfaces().get(self._interface.name)
        if now is None or now.index != self._interface.index:
            return f"the interface {self._interface.name} that was there at the start is gone"
        if not set(self._interface.addresses) & set(now.addresses):
            return f"{self._interface.name} has lost the address {self._interface.addresses[0]}"
        return ""

    def start(self, received: Callable[[bytes, Arrival, UdpPort], None]) -> None:
        """Read from now on; `received` is called with each datagram, where it came from, and this port to answer by.

        What it raises is logged by the reactor, and the port reads on.
        """
        self._received = received
        self._reactor.addReader(self)

    def stop(self) -> None:
        """Stop reading and close the socket.  May be called more than once."""
        self._received = None
        self._reactor.removeReader(self)
        self._socket.close()

    def send(self, octets: bytes, destination: Destination) -> None:
        """Send one datagram; raises OSError when the network does not take it.

        A client without an address of its own yet (`Destination.hwaddr`) is reached by broadcast, which RFC 2131
        §4.1 allows and every client takes.
        """
        address = _EVERYBODY if destination.hwaddr is not None else str(destination.address)
        pinned = _PKTINFO.pack(self._interface.index, destination.source.packed, _ANYWHERE)
        control = [(socket.IPPROTO_IP, _IP_PKTINFO, pinned)]
        self._socket.sendmsg([octets], control, 0, (address, destination.port))

    # What the reactor calls.

    def fileno(self) -> int:
        """The socket's descriptor; -1 when it is closed."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """The name in the reactor's own messages."""
        return "udp"

    def doRead(self) -> None:
        """Take what has arrived, up to `MOST_IN_A_TURN` datagrams."""
        for _ in range(MOST_IN_A_TURN):
            if self._received is None or self._socket.fileno() < 0:
                return
            try:
                octets, control, _flags, (source, port) = self._socket.recvmsg(LARGEST_DATAGRAM, 64)
            except BlockingIOError:
                return
            except OSError as problem:
                # No memory at this moment, or the interface went down: the next datagram may come.
                _log.warn("{interface}: {problem}", interface=self._interface.name, problem=problem)
                return
            local = _local(control)
            if local is None:
                continue
            arrival = Arrival(self._interface.name, local, IPv4Address(source), port, self._wall())
            self._received(octets, arrival, self)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives up a descriptor whose socket has an error; a port that is not stopped reads on."""
        if self._received is not None:
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # Asking for it clears it.
            problem = os.strerror(code) if code else reason.getErrorMessage()
            _log.warn("{interface}: {problem}", interface=self._interface.name, problem=problem)
            self._reactor.addReader(self)


def _local(control: list[tuple[int, int, bytes]]) -> IPv4Address | None:
    """Our address at which the datagram arrived; of a broadcast, the interface's own (``ipi_spec_dst``)."""
    for level, kind, value in control:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO and len(value) == _PKTINFO.size:
            return IPv4Address(_PKTINFO.unpack(value)[1])
    return None
