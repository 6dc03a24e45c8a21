"""UDP ports inside Twisted's reactor.

Twisted's own port does not say at which address and interface a datagram arrived, nor lets it choose the source of
an answer; firmware drops an answer that comes from another address than the one it was told.  Hence these, which
send with ``IP_PKTINFO`` (ip(7)) and empty the socket whenever it is readable.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address
from socket import inet_aton, inet_ntoa
from typing import NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorFDSet, IReactorTime
from twisted.logger import Logger

from pixelboot.datagram import Arrival, Destination
from pixelboot.udp.descriptor import Descriptor
from pixelboot.udp.interfaces import Interface
from pixelboot.udp.link import Link
from pixelboot.udp.sockets import PKTINFO, Control, pinned

LARGEST_DATAGRAM = 4096
"""Octets that are read of a request; a protocol on such a port knows none this long, and refuses it by its length."""
MOST_IN_A_TURN = 256
"""Datagrams read before other descriptors get their turn."""
MOST_TOGETHER = 32
"""Replies that wait for each other, to leave together."""

Peer = tuple[str, int]
"""A peer's address and UDP port, as the socket names them."""
Told = Callable[[OSError | None], None]
"""Hears what became of a datagram: it was sent, or why not."""

_ROOM = socket.CMSG_SPACE(PKTINFO.size)
_EVERYBODY = "255.255.255.255"
_MOST_KNOWN = 256
"""Places and sources that a port keeps at hand: ours are few, but a whole network may lead to the loopback."""

_log = Logger(namespace="pixelboot.udp")


class IPortReactor(IReactorFDSet, IReactorTime):
    """What a port needs of the reactor."""


class Port(Descriptor):
    """A socket made by `open_socket`."""

    def __init__(self, reactor: IReactorFDSet, opened: socket.socket) -> None:
        super().__init__(reactor, opened)
        name = opened.getsockname()
        self.address = IPv4Address(name[0])
        """The address that is listened at; 0.0.0.0 is all."""
        self.number: int = name[1]
        """The UDP port number."""

    def __str__(self) -> str:
        return f"{self.address} udp {self.number}"

    def _failed(self, problem: OSError) -> None:
        """No memory at this moment, or the interface went down: the next datagram may come."""
        _log.warn("{port}: {problem}", port=self, problem=problem)


class _Place(NamedTuple):
    """Where datagrams arrive that the system tells the same of."""

    interface: str
    local: IPv4Address
    to_everybody: bool
    addresses: tuple[IPv4Address, ...]


class UdpPort(Port):
    """Reads from a socket made by `open_socket` while it is started; sends at any time until it is stopped."""

    def __init__(
        self,
        reactor: IPortReactor,
        opened: socket.socket,
        interface: Interface | None,
        wall: Callable[[], float],
        link: Link | None = None,
        doubt: Callable[[], None] = lambda: None,
    ) -> None:
        """`interface` is the one that the socket was opened on, and `link` its frames.

        `wall` gives the time that arrivals are stamped with, in seconds since 1970.  `doubt` is called when something
        arrived at an address that the interface did not have when we looked: it may call `follow`.
        """
        super().__init__(reactor, opened)
        self.interface = interface
        """The interface that the socket was opened on, as it is now (see `follow`); None is any."""
        self._link = link
        self._doubt = doubt
        self._may_broadcast = False
        self._timer: IReactorTime = reactor
        self._posted: list[tuple[bytes, Destination, Told]] = []
        self._posting: IDelayedCall | None = None
        self._reads = False
        self._wall = wall
        self._received: Callable[[bytes, Arrival, UdpPort], None] = nobody
        self._places: dict[bytes, _Place] = {}
        self._controls: dict[int, Control] = {}

    def __str__(self) -> str:
        return super().__str__() if self.interface is None else f"{self.interface.name} udp {self.number}"

    def follow(self, interface: Interface) -> None:
        """The interface has other addresses now; it still is the one that the socket was opened on."""
        self.interface = interface
        self._places.clear()

    def start(self, received: Callable[[bytes, Arrival, UdpPort], None]) -> None:
        """Read from now on; `received` is called with each datagram, where it came from, and this port to answer by.

        What it raises is logged by the reactor, and the port reads on.
        """
        self._received = received
        self._read_on()

    def stop(self) -> None:
        """Send what is posted, stop reading and close the socket.  May be called more than once."""
        self._send_posted()
        super().stop()

    def doRead(self) -> None:
        """Take what has arrived, up to `MOST_IN_A_TURN` datagrams, and send what is answered at once."""
        self._reads = True
        try:
            self._read()
        finally:
            self._reads = False
            self._send_posted()

    def _read(self) -> None:
        recvmsg, received, wall, number = self._socket.recvmsg, self._received, self._wall, self.number
        places = self._places
        for _ in range(MOST_IN_A_TURN):
            if not self._is_reading:
                return
            try:
                octets, control, _flags, (source, source_port) = recvmsg(LARGEST_DATAGRAM, _ROOM)
            except BlockingIOError:
                return
            except OSError as problem:
                self._failed(problem)
                return
            if not control:
                continue  # The system had no memory to say where it arrived.
            told = control[0][2]
            place = places.get(told)
            if place is None:
                place = self._place(told)
                if place is None:
                    return
            name, local, to_everybody, addresses = place
            arrival = Arrival(name, local, number, _sender(source), source_port, wall(), to_everybody, addresses)
            received(octets, arrival, self)

    def post(self, octets: bytes, destination: Destination, told: Told) -> None:
        """Send one datagram, together with what else is answered in this turn of the reactor; see `send`.

        Who waits for several replies is woken once for all of them.
        """
        self._posted.append((octets, destination, told))
        if len(self._posted) >= MOST_TOGETHER:
            self._send_posted()
        elif self._posting is None and not self._reads:
            self._posting = self._timer.callLater(0, self._send_posted)

    def _send_posted(self) -> None:
        posting, self._posting = self._posting, None
        if posting is not None and posting.active():
            posting.cancel()
        posted, self._posted = self._posted, []
        for octets, destination, told in posted:
            problem = self._problem_with(octets, destination)
            try:
                told(problem)
            except Exception:  # noqa: BLE001 - A mistake of ours, of which no other reply is to suffer.
                _log.failure("{port}: what became of a reply could not be told", port=self)

    def _problem_with(self, octets: bytes, destination: Destination) -> OSError | None:
        """Send a datagram; why that could not be."""
        try:
            self.send(octets, destination)
        except OSError as problem:
            return problem
        except Exception as problem:  # noqa: BLE001 - A mistake of ours, of which no other reply is to suffer.
            _log.failure("{port}: a reply could not be sent", port=self)
            return OSError(f"{type(problem).__name__}: {problem}")
        return None

    def send(self, octets: bytes, destination: Destination) -> None:
        """Send one datagram at once; raises OSError when the network does not take it.

        A client without an address of its own yet (`Destination.hwaddr`) is reached by a frame to its link address;
        where there can be none (see `Link.deliver`), by broadcast, which RFC 2131 §4.1 allows and every client takes.
        """
        if destination.hwaddr is None:
            address = _text(int(destination.address))
        elif self._link is not None and self._link.deliver(octets, destination, self.number):
            return
        else:
            address = _EVERYBODY
        if self._socket.fileno() < 0:
            raise OSError(f"{self} is closed: the interface has gone, or is not served any more")
        interface = self.interface
        if interface is not None and (address == _EVERYBODY) is not self._may_broadcast:
            # Everybody on the interface may be meant, but never a network's broadcast address: whoever makes us send
            # there has forged it.  The system refuses it, as long as the socket may not broadcast.
            self._may_broadcast = not self._may_broadcast
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, int(self._may_broadcast))
        source = int(destination.source)
        control = self._controls.get(source)
        if control is None:
            if len(self._controls) >= _MOST_KNOWN:
                self._controls.clear()
            control = self._controls[source] = pinned(destination.source, 0 if interface is None else interface.index)
        self._socket.sendmsg((octets,), control, 0, (address, destination.port))

    def _place(self, told: bytes) -> _Place | None:
        """Where that is which the system describes so; None if the port is stopped, for there is no such place."""
        # Of a broadcast our address is the interface's own (ipi_spec_dst), not the one in the header (ipi_addr).
        index, packed, sent_to = PKTINFO.unpack(told)
        local = IPv4Address(packed)
        if self.interface is None:
            return _Place(_interface_name(index), local, packed != sent_to, ())
        if local not in self.interface.addresses:
            self._doubt()
            if not self._is_reading:
                return None
        ours = self.interface.addresses
        if local not in ours:
            return _Place(self.interface.name, local, packed != sent_to, ours)
        if len(self._places) >= _MOST_KNOWN:
            self._places.clear()
        # The interface's own object for the address: to find it among the others again takes no time.
        place = self._places[told] = _Place(self.interface.name, ours[ours.index(local)], packed != sent_to, ours)
        return place


def nobody(*_: object) -> None:
    """Takes what arrives before anybody does."""


@lru_cache(maxsize=1024)
def _sender(address: str) -> IPv4Address:
    """Relays and clients without an address send most; to read the text itself takes three times as long."""
    return IPv4Address(inet_aton(address))


@lru_cache(maxsize=1024)
def _text(address: int) -> str:
    """As the socket takes it; most replies go to relays, which are few."""
    return inet_ntoa(address.to_bytes(4))


@lru_cache(maxsize=64)
def _interface_name(index: int) -> str:
    """What the interface with this number is called."""
    try:
        return socket.if_indextoname(index)
    except OSError:  # It went while the datagram waited.
        return f"interface {index}"
