"""A certificate in use, which is replaced when its files are.

Its files are read again every few seconds, in one of the reactor's threads; they are small.  What is new is taken when
key and certificate belong together.  New connections have the new one, those that are there keep theirs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from OpenSSL import SSL
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from pixelboot.http.endpoint.outcomes import (
    CertificateExpiring,
    CertificateNotValid,
    CertificateRefused,
    CertificateReplaced,
    HandshakeFailed,
    HungUp,
)
from pixelboot.http.endpoint.pair import Files, Pair, fit
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome

LOOK = 5.0
"""Seconds between two looks at the files."""

DAY = 86400.0

SOON = 14 * DAY
"""Seconds before the end from which a certificate is told of once a day."""

_FATAL = 2
"""The level of the alerts that end a connection (RFC 5246 §7.2)."""

Thread = Callable[[Callable[[], Any]], Deferred[Any]]
"""Calls a function in a thread; fires with its result."""

_log = Logger(namespace="pixelboot.http")


class Transport(BufferingTLSTransport):
    """A connection with TLS, which tells when it has ended before it was one."""

    handshake: SSL.Connection | None = None
    """The half of TLS that is ours, until client and server have agreed, or one of them has said that it does not."""

    hung_up: Callable[[Transport], None]
    """Called when it ends in between."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """As `Protocol.connectionLost`."""
        handshake, self.handshake = self.handshake, None
        # Of one that had no answer yet, as when somebody looks whether the port is open, there is nothing to say.
        if handshake is not None and any(handshake.server_random() or b""):
            self.hung_up(self)
        super().connectionLost(reason)


@implementer(IOpenSSLServerConnectionCreator)
class Certificate(Service):
    """The certificate of one pair of files, for any number of endpoints.

    What replaces it has to be the same at two looks before it is complained of: key and certificate may be written one
    after the other, and do not belong together in between.
    """

    def __init__(
        self,
        files: Files,
        report: Callable[[Outcome], None],
        clock: IReactorTime,
        thread: Thread,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Read the files at once; raises `Malformed`.  `wall` gives the time that certificates know."""
        self.files = files
        self._report = report
        self._thread = thread
        self._wall = wall
        self._contents = files.read()
        self._pair = self._take(fit(files, self._contents))
        self._suspected = ""
        self._refused = ""
        self._clock = clock
        self._tell_at = 0.0
        self._loop = LoopingCall(self._looks)
        self._loop.clock = clock
        self._ended: Deferred[LoopingCall] | None = None

    @property
    def pair(self) -> Pair:
        """What new connections get."""
        return self._pair

    @property
    def trouble(self) -> str:
        """Why what is in the files now was not taken; empty if it was."""
        return self._refused

    def startService(self) -> None:
        """Tell of what is wrong with the certificate, and look from now on."""
        super().startService()
        self._tell()
        self._ended = self._loop.start(LOOK, now=False)

    def stopService(self) -> Deferred[LoopingCall] | None:
        """Look no more; fires when nobody is looking."""
        super().stopService()
        ended, self._ended = self._ended, None
        if ended is not None:
            self._loop.stop()
        return ended

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A new connection's half of TLS."""
        connection = SSL.Connection(self._pair.context, None)
        if isinstance(tlsProtocol, Transport):
            tlsProtocol.handshake = connection
            tlsProtocol.hung_up = self._hung_up
        return connection

    async def look(self) -> None:
        """Look at the files once, and take what is new."""
        found = await self._thread(self._changed)
        if isinstance(found, tuple):
            self._contents, pair = found
            self._pair = self._take(pair)
            self._suspected = self._refused = ""
            self._report(CertificateReplaced(self.files.certificate, pair.names, pair.until))
            self._tell()
        elif not found:
            self._suspected = self._refused = ""
        elif found != self._suspected:
            self._suspected = found
        elif found != self._refused:
            self._refused = found
            self._report(CertificateRefused(self.files.certificate, found, self._pair.until))
        if self._clock.seconds() >= self._tell_at:
            self._refused = ""
            self._tell()

    def _looks(self) -> Deferred[None]:
        looked = Deferred.fromCoroutine(self.look())
        return looked.addErrback(lambda failure: _log.failure("a certificate could not be looked at", failure))

    def _changed(self) -> tuple[tuple[bytes, bytes, bytes], Pair] | str:
        """What the files hold, and what that comes to, if it is something new; else what is wrong.  In a thread."""
        try:
            contents = self.files.read()
            if contents == self._contents:
                return ""
            pair = fit(self.files, contents)
        except Malformed as problem:
            return str(problem)
        now = self._wall()
        # One that machines refuse because of the time is no better than the old one, unless that is as bad.
        wrong = pair.wrong_at(now)
        return f"{self.files.certificate}: {wrong}" if wrong and not self._pair.wrong_at(now) else (contents, pair)

    def _take(self, pair: Pair) -> Pair:
        pair.context.set_info_callback(self._heard)
        return pair

    def _tell(self) -> None:
        """Say what is to be said of the certificate's time, today."""
        self._tell_at = self._clock.seconds() + DAY
        file, pair, now = self.files.certificate, self._pair, self._wall()
        if wrong := pair.wrong_at(now):
            self._report(CertificateNotValid(file, wrong))
        elif pair.ends_at - now < SOON:
            self._report(CertificateExpiring(file, int((pair.ends_at - now) // DAY), pair.until))

    def _heard(self, connection: SSL.Connection, where: int, value: int) -> None:
        """OpenSSL's word on what happens in a connection, of which the alerts that end one are told."""
        is_alert = bool(where & SSL.SSL_CB_ALERT) and value >> 8 == _FATAL
        if is_alert or where & SSL.SSL_CB_HANDSHAKE_DONE:
            transport = cast("Transport", connection.get_app_data())
            transport.handshake = None
            if is_alert:
                self._report(HandshakeFailed(_peer(transport), value & 0xFF, bool(where & SSL.SSL_CB_WRITE)))

    def _hung_up(self, transport: Transport) -> None:
        self._report(HungUp(_peer(transport)))


def _peer(transport: Transport) -> str:
    return str(getattr(transport.getPeer(), "host", "local"))
