"""Sending over a transport of which no more is known than that it takes octets: TLS, above all.

One block is read and written, and the next when the transport has handed it on: a connection holds one block in memory,
and connections take turns.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from zope.interface import implementer

from pixelboot.http.connection.outlet.body import Body, Broken
from pixelboot.http.connection.outlet.seam import Over, Sending

BLOCK = 131072
"""Octets read and written at a time: above the 65536 at which Twisted's transports pause their producer."""

SHORT = 16384
"""Octets of a body that leaves with its head."""


@implementer(IPushProducer)
class CopyingOutlet:
    """Sends over any transport of Twisted's."""

    def __init__(self, transport: Any, sending: Sending) -> None:
        self._transport = transport
        self._sending = sending
        self._body: Body | None = None
        self._over: Over | None = None
        self._paused = False
        self._awaiting = False
        self._written = 0
        self._taken = 0
        self._pausing: IDelayedCall | None = None

    def send(self, head: bytes, body: Body | None, over: Over) -> None:
        """See `Outlet.send`."""
        self._over = over
        self._body = body
        self._written = self._taken = 0
        self._paused = self._awaiting = False
        try:
            octets = b"" if body is None else self._short(body)
        except Broken as problem:
            self._body = None
            self._end(str(problem))
            return
        self._transport.write(head + octets)
        if body is None or not body.pieces:
            self._body = None
            self._taken = len(octets)
            self._end("")
            return
        self._transport.registerProducer(self, True)
        self._push()

    def _short(self, body: Body) -> bytes:
        """The body, where it is short and in memory, which can then leave with its head; else nothing."""
        if body.size > SHORT:
            return b""
        granted = self._sending.grant(body.size)
        taken = list[bytes | memoryview]()
        while body.pieces and body.size <= granted and (octets := body.take(SHORT)) is not None:
            taken.append(octets)
        octets = b"".join(taken)
        self._sending.refund(granted - len(octets))
        self._written = len(octets)
        return octets

    def say(self, octets: bytes) -> None:
        """See `Outlet.say`."""
        self._transport.write(octets)

    def stop(self, why: str) -> None:
        """See `Outlet.stop`."""
        if self._over is not None:
            self._end(why)

    def resumeProducing(self) -> None:
        """The transport has handed on everything so far: write until it says stop."""
        if self._written > self._taken:
            self._taken = self._written
            self._sending.moved()
        self._paused = False
        self._push()

    def pauseProducing(self) -> None:
        """The transport holds enough."""
        self._paused = True

    def stopProducing(self) -> None:
        """The connection is gone; it tells itself."""
        self._paused = True

    def _push(self) -> None:
        """Write until the transport says stop, something is awaited, or all is written."""
        body = self._body
        while body is not None and body is self._body and not self._paused and not self._awaiting:
            if not body.pieces:
                # A last block that made the transport pause was waited for; a smaller one leaves with the next head.
                self._taken = self._written
                self._end("")
                return
            self._write(body)

    def _write(self, body: Body) -> None:
        wanted = min(BLOCK, body.left)
        granted = self._sending.grant(wanted)
        if not granted:
            self._awaiting = True
            self._pausing = self._sending.again(self._resume)
            return
        try:
            octets = body.take(granted)
            if octets is None:
                self._sending.refund(granted)
                self._awaiting = True
                self._sending.in_thread(body.fetcher()).addBoth(lambda _: self._fetched(body))
                return
        except (Broken, OSError) as problem:
            self._end(str(problem))
            return
        self._sending.refund(granted - len(octets))
        self._written += len(octets)
        self._transport.write(bytes(octets))

    def _fetched(self, body: Body) -> None:
        if body is self._body:
            self._resume()

    def _resume(self) -> None:
        """Go on after something other than the transport was waited for."""
        self._pausing = None
        self._awaiting = False
        self._push()

    def _end(self, problem: str) -> None:
        """All was handed on, or no more will be."""
        if self._pausing is not None:
            self._pausing.cancel()
            self._pausing = None
        if self._body is not None:
            self._body = None
            self._transport.unregisterProducer()
        over, self._over = self._over, None
        assert over is not None
        over(self._taken, problem)
