"""The same as `pixelboot.udp.batch.mmsg`, with Python's own sockets: where that one cannot be."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable, Sequence

from pixelboot.udp.batch.path import LARGEST_SEND, TOLD, Path, name, named
from pixelboot.udp.sockets import NOT_SEGMENTED, cut

SLOT = 2112
"""Octets that are read of a datagram: more than any request or block that is agreed to has, so that what is longer
shows by its length."""

MOST = 64
"""Datagrams of one `Plain.receive`."""

MOST_SEGMENTS = 64
"""Datagrams that the kernel cuts out of one send."""

LOST = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ECONNREFUSED})
"""A send that fails so is a datagram that the network lost: no room at this moment, or the system tells us here of
some earlier datagram, perhaps another peer's."""

Datagram = tuple[bytes, bytes, bytes]
"""Octets, who sent them (`pixelboot.udp.batch.path.Peer`), and what the kernel tells of where they arrived."""


def uniform(packets: Sequence[bytes]) -> bool:
    """Whether they can be cut out of one send: all of one size, but the last, which may be shorter."""
    size = len(packets[0])
    return 0 < len(packets[-1]) <= size and all(len(packet) == size for packet in packets[1:-1])


class Plain:
    """Receives and sends datagrams on one socket."""

    def __init__(self, opened: socket.socket, failed: Callable[[Path, OSError], None], *, told: bool) -> None:
        """`failed` hears of datagrams that the network does not take: no route, forbidden, no such address of ours.

        `told` is whether the kernel says where each datagram arrived (see `pixelboot.udp.batch.path.tell`).
        """
        self._socket = opened
        self._failed = failed
        self._ahead: tuple[bytes, Path] | None = None
        self._room = socket.CMSG_SPACE(TOLD[opened.family]) if told else 0

    def receive(self) -> Iterable[Datagram] | None:
        """What has arrived, to be gone through before the next call; None if nothing has.

        That is up to `MOST` datagrams, of each of which at most `SLOT` octets are read; a tuple if it is one alone.

        :raises OSError: what the kernel says is wrong with the socket; it may be gone by the next call.
        """
        arrived: list[Datagram] = []
        while len(arrived) < MOST:
            try:
                octets, control, _flags, sender = self._socket.recvmsg(SLOT, self._room)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                if not arrived:
                    raise
                break  # The next call meets it again, or it was of that moment.
            arrived.append((octets, named(sender), control[0][2] if control else b""))
        return (arrived[0],) if len(arrived) == 1 else arrived or None

    def send(self, packets: Sequence[bytes], path: Path) -> None:
        """Send datagrams to one peer, in order.  What finds no room in the socket is lost, as elsewhere on the way."""
        try:
            if len(packets) > 1 and len(packets[0]) < path.too_long and uniform(packets):
                self._send_segmented(packets, path)
            else:
                self.send_each(packets, path)
        except OSError as problem:
            self._failed(path, problem)

    def send_singles(self, packets: list[bytes], paths: list[Path]) -> None:
        """One datagram each to several peers."""
        for packet, path in zip(packets, paths, strict=True):
            self.send((packet,), path)

    def send_all(self, answers: Iterable[tuple[Sequence[bytes], Path]]) -> None:
        """The same to several peers."""
        for packets, path in answers:
            self.send(packets, path)

    def put_ahead(self, packet: bytes, path: Path) -> None:
        """Have a datagram ready that `flush` sends, as nothing waits besides, or `take_back` does not."""
        self._ahead = packet, path

    def take_back(self) -> None:
        """Do not send it."""
        self._ahead = None

    def flush(self) -> None:
        """Send what waits."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            self.send(ahead[:1], ahead[1])

    def send_each(self, packets: Sequence[bytes], path: Path) -> None:
        """One by one; OSError when the network does not take one."""
        for packet in packets:
            try:
                self._socket.sendmsg([packet], path.control, 0, name(path.peer))
            except OSError as problem:
                if problem.errno not in LOST:
                    raise

    def _send_segmented(self, packets: Sequence[bytes], path: Path) -> None:
        size = len(packets[0])
        at_once = min(MOST_SEGMENTS, LARGEST_SEND // size)
        control = [*path.control, cut(size)]
        for at in range(0, len(packets), at_once):
            part = packets[at : at + at_once]
            try:
                self._socket.sendmsg(part, control, 0, name(path.peer))
            except OSError as problem:
                if problem.errno in LOST:
                    continue
                if problem.errno not in NOT_SEGMENTED:
                    raise
                self.send_each(packets[at:], path)
                path.too_long = size  # That went well, so it was the cutting that the kernel refused.
                return
