"""Sending over a plain socket: the kernel takes a file's octets straight from its own memory.

Heads and short bodies leave in one call, at once, without a round through the reactor.  Of a long body each call of
``sendfile`` hands on at most `SLICE` octets; then the other connections have their turn.  While the socket is full, its
transport's ``doWrite`` is ours, so that the reactor calls us when there is room again.

What ``sendfile`` hands on is not a copy: until the client has it, it changes when the file does.  A file that somebody
may write into is therefore copied towards its end: when its last octet leaves, everything before it that was not copied
has left the socket's queue, and the file is looked at once more before that.  So there is never a wrong octet in a body
that has its whole length.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import termios
from functools import partial
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.main import CONNECTION_LOST

from pixelboot.http.connection.outlet.body import Body, Broken
from pixelboot.http.connection.outlet.seam import GONE, Over, Sending
from pixelboot.http.ranges import Span

SLICE = 1 << 21
"""Octets that one connection sends before the others have their turn."""

BLOCK = 1 << 17
"""Octets copied at a time."""

COPIED = 1 << 16
"""Octets of a body up to which copying is quicker than ``sendfile``, since head and body leave in one call."""

TAIL = 5 << 20
"""Octets before the end of a body, from which on a file is copied that may be written into, or as many as a longer
queue has: more than Linux lets a socket have by itself (4 MiB, tcp_wmem)."""

_GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ETIMEDOUT, errno.ESHUTDOWN, errno.EBADF})


_ROOM = memoryview(bytearray(BLOCK))
"""Where what is sent at once is copied to: anew for each it would cost as much as the copying."""


class _Gone(Exception):
    """The client is not there any more."""


class DirectOutlet:
    """Sends over the socket of one of Twisted's transports, in whose own buffer nothing ever is."""

    def __init__(self, transport: Any, sending: Sending) -> None:
        self._transport = transport
        self._socket: socket.socket = transport.socket
        self._sending = sending
        self._copied: list[bytes | memoryview] = []  # to be sent next
        self._head = 0  # octets of the head that are not sent
        self._taken = 0
        self._body: Body | None = None
        self._over: Over | None = None
        self._armed = False
        self._pausing: IDelayedCall | None = None

    def send(self, head: bytes, body: Body | None, over: Over) -> None:
        """See `Outlet.send`."""
        self._over = over
        self._body = body
        self._taken = 0
        self._head = len(head)
        self._copied = [head]
        if self._go() is CONNECTION_LOST:
            self._transport.abortConnection()

    def say(self, octets: bytes) -> None:
        """See `Outlet.say`."""
        try:
            self._socket.send(octets)
        except OSError:
            return

    def stop(self, why: str) -> None:
        """See `Outlet.stop`."""
        if self._over is not None:
            self._end(why)

    def _go(self) -> object:
        """Send as much as goes, and see to it that the rest goes when it can; what ``doWrite`` gives."""
        try:
            waits = self._push()
        except _Gone:
            self._end(GONE)
            return CONNECTION_LOST
        except Broken as problem:
            self._end(str(problem))
            return None
        if waits is None:
            self._end("")
        elif waits:
            self._arm()
        else:
            self._disarm()
        return None

    def _push(self) -> bool | None:
        """Send until nothing is left (None), the socket is full or others have their turn (True), or it has to wait."""
        body = self._body
        if body is None:
            self._write(more=False)
            return True if self._copied else None
        granted = left = self._sending.grant(min(SLICE, body.left or 1))
        if not granted:
            self._pausing = self._sending.again(self._resume)
            return False
        try:
            while True:
                copied, missing = self._copy(body, left)
                left -= copied
                if self._copied:
                    self._write(more=bool(body.pieces))
                    if self._copied:
                        return True
                if not body.pieces:
                    return None
                if missing:
                    self._fetch(body)
                    return False
                if not left:
                    return True
                size = self._spliceable(body, left)
                if not size:
                    continue
                if not body.is_here(size):
                    self._fetch(body)
                    return False
                sent = self._splice(body, size)
                left -= sent
                if not sent:
                    return True
        finally:
            self._sending.refund(left)

    def _copy(self, body: Body, most: int) -> tuple[int, bool]:
        """Copy what is next and not to be handed on as it is: how many octets, and whether more has to be fetched."""
        copied, most = 0, min(most, BLOCK)
        while body.pieces and copied < most and not self._spliceable(body, most):
            octets = body.take(most - copied, _ROOM[copied:])
            if octets is None:
                return copied, True
            self._copied.append(octets)
            copied += len(octets)
        return copied, False

    def _write(self, *, more: bool) -> None:
        """Send what was copied, as far as it goes."""
        try:
            sent = self._socket.sendmsg(self._copied, (), socket.MSG_MORE if more else 0)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise _Gone from error
        head = min(sent, self._head)
        self._head -= head
        self._taken += sent - head
        if sent:
            self._sending.moved()
        while self._copied and sent >= len(self._copied[0]):
            sent -= len(self._copied.pop(0))
        if self._copied:
            # The room is others' soon.
            self._copied = [b"".join(self._copied)[sent:]]

    def _spliceable(self, body: Body, most: int) -> int:
        """How many of the next octets may go uncopied, of `most`; 0 of those that are to be copied."""
        piece = body.pieces[-1]
        if body.size <= COPIED or isinstance(piece, bytes) or body.descriptor is None:
            return 0
        if not (body.payload and body.payload.is_final):
            queue = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
            most = min(most, body.left - max(TAIL, queue + COPIED))
        return max(0, min(most, piece.size))

    def _splice(self, body: Body, size: int) -> int:
        """Hand on at most so many octets of the next span; how many went, 0 when the socket is full."""
        piece, payload, descriptor = body.pieces[-1], body.payload, body.descriptor
        assert isinstance(piece, Span)
        assert payload is not None
        assert descriptor is not None
        try:
            payload.verify()
            sent = os.sendfile(self._socket.fileno(), descriptor, piece.offset, size)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno in _GONE:
                raise _Gone from error
            raise Broken(error.strerror or str(error)) from None
        if not sent:
            raise Broken("it became shorter while it was sent")
        body.skip(sent)
        self._taken += sent
        self._sending.moved()
        return sent

    def _fetch(self, body: Body) -> None:
        """Have a thread bring the next octets into memory, then go on."""

        def fetched(_: object) -> None:
            if self._body is body:
                self._resume()

        try:
            fetching = self._sending.in_thread(body.fetcher())
        except OSError as error:  # there are too many open files
            raise Broken(error.strerror or str(error)) from None
        fetching.addBoth(fetched)

    def _resume(self) -> None:
        """Go on after something other than the socket was waited for."""
        self._pausing = None
        if self._go() is CONNECTION_LOST:
            self._transport.abortConnection()

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            self._transport.doWrite = partial(self._sending.in_turn, self._go)
            self._transport.startWriting()

    def _disarm(self) -> None:
        if self._armed:
            self._armed = False
            self._transport.stopWriting()
            del self._transport.doWrite

    def _end(self, problem: str) -> None:
        """All was handed on, or no more will be."""
        self._disarm()
        if self._pausing is not None:
            self._pausing.cancel()
            self._pausing = None
        over, self._over, self._body, self._copied = self._over, None, None, []
        assert over is not None
        over(max(0, self._taken - self._unsent()) if problem else self._taken, problem)

    def _unsent(self) -> int:
        """Octets in the socket's queue that the client does not have; 0 when it is gone with its socket."""
        try:
            return int(struct.unpack("i", fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4)))[0])
        except (OSError, ValueError):
            return 0
