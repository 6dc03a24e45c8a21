"""A socket that the reactor watches for what arrives."""

from __future__ import annotations

import os
import socket
from abc import ABC, abstractmethod

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

_log = Logger(namespace="pixelboot.udp")


@implementer(IReadDescriptor)
class Descriptor(ABC):
    """A non-blocking socket, in the reactor's hands while it is read from; derive from it and read in `doRead`."""

    def __init__(self, reactor: IReactorFDSet, opened: socket.socket) -> None:
        self._reactor = reactor
        self._socket = opened
        self._is_reading = False

    def stop(self) -> None:
        """Stop reading and close the socket.  May be called more than once."""
        self._is_reading = False
        self._reactor.removeReader(self)
        self._socket.close()

    def _read_on(self) -> None:
        """Read from now on."""
        self._is_reading = True
        self._reactor.addReader(self)

    # What the reactor calls.

    def fileno(self) -> int:
        """The socket's descriptor; -1 when it is closed."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """The name in the reactor's own messages."""
        return "udp"

    @abstractmethod
    def doRead(self) -> None:
        """Take what has arrived, as much as leaves other descriptors their turn."""

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives up a descriptor whose socket has an error; one that is not stopped is read on."""
        if self._is_reading:
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # Asking for it clears it.
            problem = os.strerror(code) if code else reason.getErrorMessage()
            _log.warn("{port}: {problem}", port=self, problem=problem)
            self._reactor.addReader(self)
