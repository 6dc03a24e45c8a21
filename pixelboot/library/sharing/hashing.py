"""The SHA-256 of a large file, made by a process of the lowest priority.

It is no thread, for that shares the interpreter's lock with the reactor: a thread of low priority that has the lock
when it loses the processor to others keeps the reactor waiting until it is its turn again.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

_PROGRAM = """
import hashlib, os
os.nice(19)
print(hashlib.file_digest(open(3, "rb", buffering=0), "sha256").hexdigest())
"""

_SAID = 4096
_SHA256 = re.compile(b"([0-9a-f]{64})\n")


class Hashing(ProcessProtocol):
    """One process for one file."""

    transport: IProcessTransport

    def __init__(self, reactor: Any, descriptor: int) -> None:
        """Begin to read from `descriptor`, where it stands; the caller may close it at once.

        :raises OSError: if there can be no more processes now.
        """
        self.done: Deferred[str] = Deferred()
        """Fires with the digest in hex; an OSError (EIO) says why there is none."""
        self._said = {1: b"", 2: b""}
        command = [sys.executable, "-I", "-S", "-c", _PROGRAM]  # Without site-packages, which it does not need.
        streams: dict[int, int | str] = {1: "r", 2: "r", 3: descriptor}
        reactor.spawnProcess(self, sys.executable, command, env=dict(os.environ), childFDs=streams)

    def kill(self) -> None:
        """Leave off; `done` tells when that has happened."""
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """The digest, or what is wrong."""
        self._said[childFD] = (self._said[childFD] + data)[-_SAID:]

    def processEnded(self, reason: Failure) -> None:
        """Everything was said."""
        found = _SHA256.fullmatch(self._said[1])
        if found is not None:
            self.done.callback(found[1].decode("ascii"))
            return
        last = self._said[2].decode("utf-8", "replace").strip().rpartition("\n")[2]
        self.done.errback(OSError(errno.EIO, last or reason.getErrorMessage()))
