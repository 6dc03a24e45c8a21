"""From a client's name to an open file below a folder, and never to one beside it.

A name is split, squeezed and refused as text first; what is left is opened one component at a time, each relative to a
descriptor of the folder above it and never through a link that the kernel follows.  Links are followed here, by hand:
one whose target lies below the folder works, any other is `Forbidden`.  So neither ``..`` nor a link, nor somebody who
exchanges one for the other meanwhile, leads out.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

from pixelboot.library.names.components import DEEPEST, Absent, Forbidden
from pixelboot.library.names.folded import Listings
from pixelboot.library.names.trail import Trail, seen

MOST_LINKS = 40
"""Links followed on the way to one file, as many as the kernel follows."""

_TRAVERSE = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
"""How a file is opened that may turn out to be none: a FIFO does not hang, a terminal does not become ours."""

_FINAL = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EINVAL,  # A name that this file system cannot have, as EILSEQ.
        errno.EILSEQ,
        errno.ENXIO,  # No file, or one that is too large, as the next two.
        errno.ENODEV,
        errno.EOVERFLOW,
    }
)
"""Errors of the system that say something about the file, and will say it again.  Others (no descriptor is left, the
disk does not answer) say something about this moment."""


class Outside(Forbidden):
    """It is a link to something that is not below the folder."""

    def __init__(self) -> None:
        super().__init__("it is a link that leads out of the folder")


def open_below(root: str, parts: Sequence[str], trail: Trail | None = None, listings: Listings | None = None) -> int:
    """A descriptor, for reading, of the regular file with these `components` below the folder `root`.

    Given `listings`, a component that is not there is one that differs from it in the case of letters.  What was looked
    at, `trail` has then, also where there is no file.

    :raises Absent: if there is none.
    :raises Forbidden: if it is no regular file, not in the folder, or may not be opened.
    :raises OSError: if it cannot be opened now, and perhaps can be later.
    """
    what = f"the folder {root} cannot be opened"
    try:
        folders = [os.open(root, _TRAVERSE)]
    except (FileNotFoundError, NotADirectoryError) as error:
        # Not `Absent`: that the folder is gone must not change which loader machines are given.
        raise Forbidden(f"{what}: {error.strerror}") from None
    except OSError as error:
        raise refusal(error, what) from None
    try:
        return _Walk(root, folders, trail or Trail(), listings).go(parts)
    except (FileNotFoundError, NotADirectoryError):
        raise Absent("there is no such file") from None
    except OSError as error:
        raise refusal(error, "it cannot be opened") from None
    finally:
        for folder in folders:
            os.close(folder)


class _Walk:
    """The way down, one component at a time."""

    def __init__(self, root: str, folders: list[int], trail: Trail, listings: Listings | None) -> None:
        """`folders` are the descriptors of the root and of what is entered below it."""
        self._root = root
        self._folders = folders
        self._paths = [root]
        self._trail = trail
        self._listings = listings

    def go(self, parts: Sequence[str]) -> int:
        """As `open_below`."""
        ahead = list(reversed(parts))
        asked = len(ahead)  # Below this many, what lies ahead is of the client's name, else of a link's target.
        links = 0
        while ahead:
            asked = min(asked, len(ahead))
            part = ahead.pop()
            if part == "..":  # in the target of a link
                self._leave()
                continue
            path = f"{self._paths[-1]}/{part}"
            # A device is not even opened: that alone may do something.
            try:
                status = os.stat(part, dir_fd=self._folders[-1], follow_symlinks=False)
            except FileNotFoundError:
                other = self._other(part, path, asked=len(ahead) < asked)
                if other is None:
                    raise
                ahead.append(other)
                asked -= 1  # What is in a listing is not looked for again in another case.
                continue
            if stat.S_ISLNK(status.st_mode):
                links += 1
                if links > MOST_LINKS:
                    raise Forbidden("it is a link that leads nowhere")
                self._trail.saw(path, seen(status))
                ahead += reversed(self._target(part))
            elif stat.S_ISDIR(status.st_mode):
                if len(self._folders) > DEEPEST:
                    raise Forbidden("it lies too deep")
                self._trail.entered(path, status)
                self._folders.append(os.open(part, _TRAVERSE | os.O_NOFOLLOW, dir_fd=self._folders[-1]))
                self._paths.append(path)
            elif not stat.S_ISREG(status.st_mode):
                raise Forbidden("it is not a regular file")
            elif ahead:
                self._trail.saw(path, seen(status))
                raise NotADirectoryError
            else:
                descriptor = regular(os.open(part, READ | os.O_NOFOLLOW, dir_fd=self._folders[-1]))
                self._trail.saw(path, seen(os.fstat(descriptor)))
                return descriptor
        raise Forbidden("it is a folder")

    def _leave(self) -> None:
        """Up to the folder above."""
        if len(self._folders) == 1:
            raise Outside
        os.close(self._folders.pop())
        self._paths.pop()

    def _target(self, link: str) -> list[str]:
        """Where a link leads from here; from the root, if it is absolute."""
        target = os.readlink(link, dir_fd=self._folders[-1])
        steps = _steps(target)
        if target.startswith("/"):
            steps = _steps_inside(self._root, steps)
            while len(self._folders) > 1:
                self._leave()
        return steps

    def _other(self, part: str, path: str, asked: bool) -> str | None:
        """The name here that differs from `part`, if a client `asked` for it, in case alone; None if there is none."""
        folder, above = self._folders[-1], self._paths[-1]
        if self._listings is None or not asked:
            self._trail.missed(path)
            return None
        try:
            listing = self._listings.of(folder, above)
        except PermissionError:  # A folder that may be entered, but not read.
            self._trail.missed(path)
            return None
        if listing.settled:
            self._trail.saw(above, listing.stamp, os.stat if len(self._folders) == 1 else os.lstat)
        else:
            self._trail.missed(path)
            self._trail.saw(above, self._listings.until(listing))
        return listing.names.get(part.casefold())


def _steps(path: str) -> list[str]:
    return [step for step in path.split("/") if step not in ("", ".")]


def _steps_inside(root: str, steps: list[str]) -> list[str]:
    """The rest of an absolute path that begins with that of the root."""
    for path in (os.path.abspath(root), os.path.realpath(root)):
        above = _steps(path)
        if steps[: len(above)] == above:
            return steps[len(above) :]
    raise Outside


def regular(descriptor: int) -> int:
    """The descriptor, if it is of a regular file; `Forbidden`, and closed, if not."""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Forbidden("it is not a regular file")
    except BaseException:  # whatever it is, it goes on; the descriptor must not stay open
        os.close(descriptor)
        raise
    return descriptor


def refusal(problem: OSError, what: str) -> Forbidden | OSError:
    """What to raise when the system does not open something: `Forbidden` where that is final, else `problem` itself."""
    return Forbidden(f"{what}: {problem.strerror}") if problem.errno in _FINAL else problem
