"""One UDP port for all exchanges that have begun: thousands of datagrams, of each of which only the sender counts."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from twisted.internet.interfaces import IReactorFDSet

from pixelboot.udp.port import ANYWHERE, IP_PKTINFO, MOST_IN_A_TURN, Control, Peer, Port, nobody, pinned

LARGEST_REPLY = 448
"""Octets that are read of what a peer says in an exchange: acknowledgements and error messages.  Room for so many
Python has at hand; more of it would be fetched and given back with every datagram."""

# Not named by the socket module of Python 3.11 (udp(7)).
_UDP_SEGMENT = 103
_SEGMENT = struct.Struct("=H")

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
        self.control = [] if self.source == ANYWHERE else pinned(self.source, 0)


class DataPort(Port):
    """One port for any number of exchanges, each with a peer of its own."""

    def __init__(self, reactor: IReactorFDSet, opened: socket.socket) -> None:
        super().__init__(reactor, opened)
        opened.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 0)
        self._received: Callable[[bytes, Peer], None] = nobody
        self._sendmsg = opened.sendmsg

    def start(self, received: Callable[[bytes, Peer], None]) -> None:
        """Read from now on; `received` is called with each datagram (its first `LARGEST_REPLY` octets) and its sender.

        What it raises is logged by the reactor, and the port reads on.
        """
        self._received = received
        self._read_on()

    def doRead(self) -> None:
        """Take what has arrived, up to `MOST_IN_A_TURN` datagrams."""
        recvfrom, received = self._socket.recvfrom, self._received
        for _ in range(MOST_IN_A_TURN):
            if not self._is_reading:
                return
            try:
                octets, peer = recvfrom(LARGEST_REPLY)
            except BlockingIOError:
                return
            except OSError as problem:
                self._failed(problem)
                return
            received(octets, peer)

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
