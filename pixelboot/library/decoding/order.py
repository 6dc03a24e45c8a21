"""What the server asks of a decoder, and what it answers besides findings: lines of JSON, one for each.

server   [task, folder, file name, stamp, sidecar name, sidecar stamp]
decoder  ready                        once, before anything else
         [field, …]                   findings (`pixelboot.library.decoding.finding`)
         {"ended": null or problem, "resident": octets}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from pixelboot.library.folder.look import Seen, Stamp
from pixelboot.malformed import Malformed

Task = Literal["examine", "verify", "decode"]
"""``examine``: read the description.  ``verify``: compare every digest.  ``decode``: that, and keep the parts."""

STALE = "the file was changed or removed before it was read to its end"
"""The problem of an order whose file is no longer as it was seen."""

FULL = "there is not enough room in the cache"
"""The problem of an order whose parts could not be kept for lack of room on the disk."""

READY = b"ready"
"""What a decoder says when it has begun."""

ORDER_LIMIT = 1 << 16
"""Octets of an order; longer than two paths ever are."""


_ENCODER = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Order:
    """One picture to be read."""

    task: Task
    """How much of it."""

    seen: Seen
    """The file, with the state in which it is meant."""

    def write(self) -> bytes:
        """The line, with its end."""
        seen = self.seen
        fields = [self.task, seen.folder, seen.file_name, _fields(seen.stamp), seen.sidecar_name, _fields(seen.sidecar)]
        return _ENCODER.encode(fields).encode("ascii") + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Order:
        """Read what `write` wrote; `Malformed` for anything else."""
        match _loaded(line):
            case [
                ("examine" | "verify" | "decode") as task,
                str(folder),
                str(file_name),
                stamp,
                str(sidecar_name),
                sidecar,
            ]:
                return cls(task, Seen(folder, file_name, _stamp(stamp), "", _stamp(sidecar), sidecar_name))
        raise Malformed("a line that is no order")


@dataclass(frozen=True, slots=True)
class Ended:
    """A decoder has done what it was asked."""

    problem: str | None
    """Why it could not, when the picture is not to blame; else the last finding is final."""

    resident: int
    """Octets of memory that the decoder holds now."""

    def write(self) -> bytes:
        """The line, with its end."""
        return _ENCODER.encode({"ended": self.problem, "resident": self.resident}).encode("ascii") + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Ended:
        """Read what `write` wrote; `Malformed` for anything else."""
        match _loaded(line):
            case {"ended": str() | None as problem, "resident": int(resident), **rest} if not rest:
                return cls(problem, resident)
        raise Malformed("a line that is no end")


def _loaded(line: bytes) -> Any:
    try:
        return json.loads(str(line, "ascii"))
    except (ValueError, RecursionError):
        raise Malformed("a line that is not JSON") from None


def _fields(stamp: Stamp | None) -> list[int] | None:
    if stamp is None:
        return None
    return [stamp.device, stamp.inode, stamp.size, stamp.mtime_ns, stamp.ctime_ns]


def _stamp(value: object) -> Stamp | None:
    if value is None:
        return None
    if isinstance(value, list) and len(value) == 5 and all(type(number) is int for number in value):
        return Stamp(*value)
    raise Malformed("an order with a stamp that is none")
