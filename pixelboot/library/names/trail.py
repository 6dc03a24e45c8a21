"""What was looked at on the way from a name to a file, so that a few looks tell whether the way is still the same.

A look is ``lstat`` or ``stat``, some two microseconds; to go the way anew takes a thread and a hundred times as long.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from pixelboot.library.folder.look import Stamp


class State(Protocol):
    """A state in which something was found."""

    def is_of(self, status: os.stat_result) -> bool:
        """Whether something with this status is in that state."""


class Entered(NamedTuple):
    """A folder that was entered; what is put into it meanwhile does not matter to those who only pass."""

    device: int
    """Device number."""

    inode: int
    """Inode number on that device."""

    def is_of(self, status: os.stat_result) -> bool:
        """See `State.is_of`."""
        return stat.S_ISDIR(status.st_mode) and self == (status.st_dev, status.st_ino)


Step = tuple[Callable[[str], os.stat_result], str, State | None]
"""How to look, where, and what must be seen: None where nothing may be."""


class Trail:
    """The steps of one way, in their order."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._known = True

    @property
    def steps(self) -> tuple[Step, ...] | None:
        """All of them; None of a way on which something cannot be told by a look."""
        return tuple(self._steps) if self._known else None

    def saw(self, path: str, state: State, look: Callable[[str], os.stat_result] = os.lstat) -> None:
        """There is something in this state."""
        self._steps.append((look, path, state))

    def entered(self, path: str, status: os.stat_result) -> None:
        """There is a folder, no link to one."""
        self._steps.append((os.lstat, path, Entered(status.st_dev, status.st_ino)))

    def missed(self, path: str) -> None:
        """There is nothing, not even a link that leads nowhere."""
        self._steps.append((os.lstat, path, None))

    def lost(self) -> None:
        """What was seen here may change without being seen."""
        self._known = False


def stands(steps: Sequence[Step]) -> bool:
    """Whether everything on the way is as it was."""
    for look, path, state in steps:
        try:
            status = look(path)
        except (FileNotFoundError, NotADirectoryError):
            if state is not None:
                return False
        except OSError:
            return False
        else:
            if state is None or not state.is_of(status):
                return False
    return True


def seen(status: os.stat_result) -> Stamp:
    """The state of a file, a link or a whole folder, which changes with anything about it."""
    return Stamp.of(status)
