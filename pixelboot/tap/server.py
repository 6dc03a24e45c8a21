"""What all parts of one process are put together to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.report import Report
from pixelboot.state.lock import StateLock

_log = Logger(namespace="pixelboot")


class Server(MultiService):
    """All parts of one process.  They are added with `setServiceParent`, each with its port bound already."""

    def __init__(self, lock: StateLock, report: Report, reactor: Any, end: Callable[[], object] | None = None) -> None:
        """Take over the `lock` on the state folder.

        `end` is what ends the process; without it the server only stops itself, for the process is not its own.
        """
        super().__init__()  # Without a name: two services of one name cannot have the same parent.
        self.failed = False
        """Whether a part could not start."""
        self._stopped = False
        self._started_at: float = reactor.seconds()
        self._lock = lock
        self._report = report
        self._reactor = reactor
        self._end = end if end is not None else self._leave

    @property
    def uptime(self) -> float:
        """Seconds since the parts were started."""
        uptime: float = self._reactor.seconds() - self._started_at
        return uptime

    def startService(self) -> None:
        """Start every part; RuntimeError after `stopService`."""
        if self._stopped:
            raise RuntimeError("this service was stopped, and its ports are closed: make another")
        self._lock.write_pid()  # twistd may have forked since the lock was taken
        self._started_at = self._reactor.seconds()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """Stop every part, then write what is left for the log and let go of the state folder.

        What was stopped cannot be started again: its ports are closed.
        """
        self._stopped = True

        def stopped(result: object) -> None:
            if isinstance(result, Failure):
                _log.failure("a part did not stop as it should", result)
            self._report.close()
            self._lock.release()

        return maybeDeferred(super().stopService).addBoth(stopped)

    def disownServiceParent(self) -> Deferred[None]:
        """Leave the program and stop, whether or not that program has run."""

        def left(_: object) -> Deferred[None] | None:
            return None if self._stopped else self.stopService()

        return maybeDeferred(super().disownServiceParent).addCallback(left)

    def end(self) -> None:
        """Begin the end; it may have begun already."""
        self._reactor.callLater(0, self._end)

    def give_up(self, failure: Failure) -> None:
        """A part cannot start: say why, and end."""
        self.failed = True
        _log.critical("pixelboot cannot start: {reason}", reason=failure.getErrorMessage())
        self.end()

    def _leave(self) -> None:
        if self.parent is not None:
            self.disownServiceParent()
        elif self.running:
            self.stopService()
