"""What a server's processes take of a machine, as proc(5) tells it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_RESET_PEAK = "5"
"""What ``clear_refs`` is told to let ``VmHWM`` begin anew."""


class Processes:
    """A process and its children, and theirs."""

    def __init__(self, first: int) -> None:
        """Describe the one with this process id, and those that it starts."""
        self._first = first

    def _pids(self) -> Iterator[int]:
        pids = [self._first]
        while pids:
            pid = pids.pop()
            with suppress(OSError):
                children = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
                pids += [int(word) for text in children for word in text.split()]
            yield pid

    def _stats(self) -> Iterator[list[str]]:
        """The fields of ``stat``, from the third on."""
        for pid in self._pids():
            with suppress(OSError):
                yield Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()

    def cpu(self) -> float:
        """Seconds of processor that they have taken, those that have ended and were waited for included."""
        return sum(int(word) for fields in self._stats() for word in fields[11:15]) / _TICK

    def memory(self) -> int:
        """Octets of memory that they have, each by itself."""
        return sum(int(fields[21]) for fields in self._stats()) * _PAGE

    def peaks(self) -> dict[int, int]:
        """Octets of memory that each had at the most since `reset_peaks`, as the kernel knows it; by process id."""
        found = {}
        for pid in self._pids():
            with suppress(OSError):
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                found[pid] = sum(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))
        return found

    def reset_peaks(self) -> None:
        """Let `peaks` begin with what they have now."""
        for pid in self._pids():
            with suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)


class Others:
    """What others than a server, this program and its children take of the processors, from now on."""

    def __init__(self, server: Processes) -> None:
        self._server = server
        self._at = time.monotonic()
        self._before = self._taken()

    def _taken(self) -> float:
        return busy() - self._server.cpu() - sum(os.times()[:4])

    def share(self) -> float:
        """The share of all processors; children of this program count as its own when they have been waited for."""
        taken, wall = self._taken() - self._before, time.monotonic() - self._at
        return max(0.0, taken) / wall / (os.cpu_count() or 1)


def busy(processor: str = "") -> float:
    """Seconds that one or all processors have worked, or were taken away by a host, since the start."""
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    fields = next([int(word) for word in words] for name, *words in lines if name == f"cpu{processor}")
    return (sum(fields[:8]) - fields[3] - fields[4]) / _TICK
