"""The part of a reactor that a port needs: time moves, and what has arrived is read, when the test says so."""

from __future__ import annotations

from select import POLLIN, poll

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.task import Clock


class Readers(Clock):
    """Time and descriptors."""

    def __init__(self) -> None:
        super().__init__()
        self.reading: list[IReadDescriptor] = []
        """What is watched."""

    def addReader(self, reader: IReadDescriptor) -> None:
        """Watch it."""
        if reader not in self.reading:
            self.reading.append(reader)

    def removeReader(self, reader: IReadDescriptor) -> None:
        """Watch it no more."""
        if reader in self.reading:
            self.reading.remove(reader)

    def getReaders(self) -> list[IReadDescriptor]:
        """What is watched."""
        return [*self.reading]

    def turn(self) -> int:
        """Let each read, once, for which something has arrived; how many did."""
        ready = 0
        for reader in self.getReaders():
            if reader not in self.reading:
                continue  # Another has just stopped it.
            polled = poll()
            polled.register(reader.fileno(), POLLIN)
            if polled.poll(0):
                reader.doRead()
                ready += 1
        return ready

    def is_idle(self) -> bool:
        """Whether nothing is left: no timer, no descriptor."""
        return not self.reading and not self.getDelayedCalls()
