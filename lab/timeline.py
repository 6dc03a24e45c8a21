"""The story of a boot, told while it happens: what the server logs and what the machine says, on one scale of time."""

from __future__ import annotations

import queue
import re
import time
from collections.abc import Callable, Iterator

from lab.machine import firmware, qemu
from lab.process import Line
from lab.servers import neighbour
from lab.servers.pixelboot import LOG_LINE, NAME

_ORDINARY_LOG_LINE = re.compile(r"^\d{4}-\d\d-\d\dT\S+ \[(?:-|\S+#(?:debug|info))\] (?!Unhandled)")
_SERVER_LINE = re.compile(LOG_LINE)
_WAYS = {"PXE": "TFTP", "HTTP": "HTTP"}
_MACHINE_EVENTS: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (firmware.BIOS_STARTED, lambda match: "the firmware, a BIOS, has started"),
    (firmware.UEFI_STARTED, lambda match: "the firmware, UEFI, has started"),
    (firmware.LOADER_STARTED, lambda match: f"has its loader, by {_WAYS[match[1] or match[2]]}, and runs it"),
    (firmware.IPXE_STARTED, lambda match: "iPXE has started"),
    (qemu.KERNEL_STARTED, lambda match: f"the kernel, Linux {match[1]}, has started"),
    (qemu.MARKER_LINE, lambda match: match[0]),
    (r"Power down", lambda match: "has switched itself off"),
)


def event(line: Line) -> tuple[str, str] | None:
    """Who says what by this line, for a person who follows the boot; None if it is of no interest.

    Of the server's log that is what pixelboot itself says, and whatever is a warning, an error or a traceback; of the
    log of a DHCP server beside it, which addresses it gave.
    """
    if line.source == NAME:
        if match := _SERVER_LINE.match(line.text):
            return (match[1] if match[2] == "info" else f"{match[1]} {match[2]}"), match[3]
        return (NAME, line.text) if line.text and not _ORDINARY_LOG_LINE.match(line.text) else None
    if line.source == neighbour.NAME:
        match = re.search(neighbour.ACKNOWLEDGED, line.text)
        return (neighbour.NAME, f"gave {match[1]} to {match[2]}") if match else None
    for pattern, words in _MACHINE_EVENTS:
        if match := re.search(pattern, line.text):
            return line.source, words(match)
    return None


class Timeline:
    """Takes lines from any thread (`add` is a sink) and gives them back in the order they came."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lines: queue.SimpleQueue[Line] = queue.SimpleQueue()

    def add(self, line: Line) -> None:
        """Take one line."""
        self._lines.put(line)

    def lines(self, deadline: float) -> Iterator[Line | None]:
        """The lines as they come until the monotonic clock shows `deadline`; None now and then when there are none."""
        while (remaining := deadline - time.monotonic()) > 0:
            try:
                yield self._lines.get(timeout=min(remaining, 0.2))
            except queue.Empty:
                yield None

    def rest(self) -> Iterator[Line]:
        """The lines that have come and have not been given back yet."""
        while not self._lines.empty():
            yield self._lines.get()
