"""The helper process as the server sees it: messages to and from it, what it says on standard error, its end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from twisted.internet.process import Process
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from pixelboot.malformed import Malformed
from pixelboot.outcome import printable
from pixelboot.state.leases.wire import Messages

MODULE = "pixelboot.state.leases.helper"
"""What the helper runs."""

LINE_LIMIT = 1000
"""Octets of a line on standard error; what is longer is cut into several."""


class IHelperReactor(IReactorProcess, IReactorTime):
    """What the store needs of the reactor."""


class HelperProcess(ProcessProtocol):
    """One helper process, from its start to its end."""

    transport: Process

    def __init__(
        self, heard: Callable[[bytes, bytes], None], complained: Callable[[str], None], ended: Callable[[str], None]
    ) -> None:
        """`heard` gets the kind and body of each message, `complained` each line on standard error.

        `ended` gets how the process ended, once.
        """
        self._heard = heard
        self._complained = complained
        self._ended = ended
        self._messages = Messages()
        self._line = b""
        self._deaf = False

    def start(self, reactor: IReactorProcess, path: str, again: bool = False) -> None:
        """Start the process for the database `path`, `again` if the server holds all leases already.

        Raises `OSError` when the system has no room for it.
        """
        # The helper shall import this pixelboot, wherever the server runs and however it was found.
        package_root = str(Path(__file__).resolve().parents[3])
        search = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
        reactor.spawnProcess(
            self,
            sys.executable,
            [sys.executable, "-P", "-m", MODULE, path, *(["again"] if again else [])],
            env={**os.environ, "PYTHONPATH": search},
        )

    @property
    def pid(self) -> int | None:
        """The process id; None when it has ended."""
        pid: int | None = self.transport.pid
        return pid

    def send(self, octets: bytes, at_once: bool = False) -> None:
        """Send a message; it waits in memory while the helper is busy, and is lost when it has gone.

        `at_once`: everything that was sent was answered.  Then the pipe has room, and to have the reactor say so would
        cost more than the message does.
        """
        pipe = self.transport.pipes.get(0)
        if at_once and pipe is not None:
            written = pipe.writeSomeData(octets)
            if not isinstance(written, int):
                return  # The helper has gone, which is told when all its pipes are closed.
            octets = octets[written:]
        if octets:
            self.transport.write(octets)

    def finish(self) -> None:
        """Nothing more will be sent: the helper ends when it has done everything."""
        self.transport.closeStdin()

    def kill(self) -> None:
        """End the process now; what it has said and was not heard yet is not."""
        self._deaf = True
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")

    def outReceived(self, data: bytes) -> None:
        """Messages, or a part of one."""
        if self._deaf:
            return
        try:
            messages = self._messages.received(data)
        except Malformed as problem:
            self._complained(f"the helper sent {problem}")
            self.kill()
            return
        for kind, body in messages:
            if not self._deaf:
                self._heard(kind, body)

    def errReceived(self, data: bytes) -> None:
        """What Python or a library had to say."""
        *lines, self._line = (self._line + data).split(b"\n")
        if len(self._line) > LINE_LIMIT:
            lines.append(self._line)
            self._line = b""
        for line in filter(None, lines):
            self._complained(printable(line.decode("utf-8", "replace"), LINE_LIMIT))

    def processEnded(self, reason: Failure) -> None:
        """All pipes are closed and the process is gone."""
        if self._line:
            self.errReceived(b"\n")
        end = reason.value
        if isinstance(end, ProcessTerminated) and end.signal is not None:
            self._ended(f"was killed by signal {end.signal}")
        elif isinstance(end, ProcessTerminated):
            self._ended(f"ended with status {end.exitCode}")
        else:
            self._ended("ended")
