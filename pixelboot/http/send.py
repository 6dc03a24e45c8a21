"""Sending spans of an open payload over a request, no faster than the client takes them.

The producer writes one block, waits until the kernel has taken it, and writes the next: a connection holds one block
of memory, and connections take turns.  A payload that turns out shorter than it said when the answer began ends in
`Truncated`, one that cannot be read or is no longer what it was in its OSError, and then the connection has to be
broken off, for length and octets were promised.

Blocks are read on the reactor's thread.  They come from the page cache, where decoding has just put them, at less than
50 µs each; from a cold disk they may take longer.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.web.http import Request
from zope.interface import implementer

from pixelboot.http.plan import Span
from pixelboot.payload import Payload

BLOCK = 131072
"""Octets read and written at a time: above the 65536 at which Twisted's transports pause their producer."""

STALL_TIME = 60.0
"""Seconds in which a client must take at least one block."""


class Truncated(Exception):
    """The payload ended before the octets that were promised."""


class Stalled(Exception):
    """The client took nothing for `STALL_TIME` seconds."""


@implementer(IPushProducer)
class Transfer:
    """One body on its way."""

    def __init__(self, request: Request, payload: Payload, spans: Sequence[Span], clock: IReactorTime) -> None:
        """`spans` lie within `payload`, which stays open, and the caller's to close, until `run` has ended."""
        self.taken = 0
        """Octets of the body that the kernel is known to have taken."""
        self._written = 0
        self._request = request
        self._payload = payload
        self._left = [(span.offset, span.size) for span in reversed(spans) if span.size]
        self._clock = clock
        self._paused = True
        self._watch: IDelayedCall | None = None
        self._done: Deferred[None] = Deferred(lambda _: self._end())

    def run(self) -> Deferred[None]:
        """Send; fires when everything has been handed on, fails with `Truncated`, `Stalled` or the read's OSError.

        Cancelling it stops the sending; so does the loss of the connection, after which it never fires.
        """
        self._request.registerProducer(self, True)
        self._watch = self._clock.callLater(STALL_TIME, self._check, self.taken)
        self.resumeProducing()
        return self._done

    def resumeProducing(self) -> None:
        """The transport has handed everything so far to the kernel: write on until it says stop."""
        self.taken = self._written
        self._paused = False
        while self._left and not self._paused:
            self._write_block()
        if not self._paused and self._watch is not None:
            # Everything is written.  A last block that made the transport pause is waited for; a smaller one leaves
            # in the same breath as the next answer's head.
            self._end()
            self.taken = self._written
            self._done.callback(None)

    def pauseProducing(self) -> None:
        """The transport holds enough."""
        self._paused = True

    def stopProducing(self) -> None:
        """The connection is gone; whoever waits for `run` learns it from the request."""
        self._end()

    def _write_block(self) -> None:
        offset, size = self._left.pop()
        wanted = min(size, BLOCK)
        try:
            block = self._payload.read(offset, wanted)
        except OSError as error:
            self._fail(error)
            return
        if len(block) != wanted:
            self._fail(Truncated())
            return
        if size > wanted:
            self._left.append((offset + wanted, size - wanted))
        self._written += wanted
        self._request.write(block)

    def _check(self, taken_before: int) -> None:
        if self.taken == taken_before:
            self._fail(Stalled())
        else:
            self._watch = self._clock.callLater(STALL_TIME, self._check, self.taken)

    def _fail(self, error: Exception) -> None:
        self._end()
        self._done.errback(error)

    def _end(self) -> None:
        """Stop producing and give back timer and registration; may be called more than once."""
        self._paused = True
        self._left = []
        if self._watch is None:
            return
        if self._watch.active():
            self._watch.cancel()
        self._watch = None
        if self._request.channel is not None:
            self._request.unregisterProducer()
