"""From a client's name to an open file below a folder, and never to one beside it.

A name is split, squeezed and refused as text first; what is left is opened one component at a time, each relative to a
descriptor of the folder above it and never through a link that the kernel follows.  Links are followed here, by hand:
one whose target lies below the folder works, any other is `Forbidden`.  So neither ``..`` nor a link, nor somebody who
exchanges one for the other meanwhile, leads out.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Sequence

LONGEST_NAME = 1024
"""Characters of a name; a TFTP request is not even that long."""

LONGEST_COMPONENT = 255
"""Octets of one component; no file system of Linux has longer ones."""

MOST_LINKS = 40
"""Links followed on the way to one file, as many as the kernel follows."""

DEEPEST = 64
"""Folders between the root and a file, so many descriptors are open for a moment."""

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

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class Absent(Exception):
    """There is no such file; the text says so to a person, and how to get it where that is known."""


class Forbidden(Exception):
    """There may be something of that name, but it is not served; the text says why."""


class Outside(Forbidden):
    """It is a link to something that is not below the folder."""

    def __init__(self) -> None:
        super().__init__("it is a link that leads out of the folder")


def components(name: str) -> tuple[str, ...]:
    r"""The components of a name as a client sends it, at least one.

    ``/`` and ``\`` part them; those that are empty or ``.`` do not count, also at the beginning: ``/a//b`` is ``a/b``.

    :raises Forbidden: for what is no name of a file in the tree, whatever is there.
    """
    if len(name) > LONGEST_NAME:
        raise Forbidden("the name is too long")
    if _CONTROL.search(name):
        raise Forbidden("the name has control characters")
    parts = tuple(part for part in re.split(r"[/\\]", name) if part not in ("", "."))
    if not parts or name[-1] in "/\\":
        raise Forbidden("it is the name of a folder")
    if ".." in parts:
        raise Forbidden("the name leads out of the folder")
    if any(part.startswith(".") for part in parts):
        raise Forbidden("what begins with a dot is hidden")
    try:
        longest = max(len(os.fsencode(part)) for part in parts)
    except UnicodeEncodeError:
        raise Forbidden("no file can have such a name") from None
    if longest > LONGEST_COMPONENT or len(parts) > DEEPEST:
        raise Forbidden("the name is too long")
    return parts


def open_below(root: str, parts: Sequence[str]) -> int:
    """A descriptor, for reading, of the regular file with these `components` below the folder `root`.

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
        return _walk(root, folders, parts)
    except (FileNotFoundError, NotADirectoryError):
        raise Absent("there is no such file") from None
    except OSError as error:
        raise refusal(error, "it cannot be opened") from None
    finally:
        for folder in folders:
            os.close(folder)


def _walk(root: str, folders: list[int], parts: Sequence[str]) -> int:
    """As `open_below`; `folders` are the descriptors of the root and of what was entered below it."""
    ahead = list(reversed(parts))
    links = 0
    while ahead:
        part = ahead.pop()
        if part == "..":  # in the target of a link
            if len(folders) == 1:
                raise Outside
            os.close(folders.pop())
            continue
        # A device is not even opened: that alone may do something.
        mode = os.stat(part, dir_fd=folders[-1], follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            links += 1
            if links > MOST_LINKS:
                raise Forbidden("it is a link that leads nowhere")
            target = os.readlink(part, dir_fd=folders[-1])
            steps = _steps(target)
            if target.startswith("/"):
                steps = _steps_inside(root, steps)
                while len(folders) > 1:
                    os.close(folders.pop())
            ahead += reversed(steps)
        elif stat.S_ISDIR(mode):
            if len(folders) > DEEPEST:
                raise Forbidden("it lies too deep")
            folders.append(os.open(part, _TRAVERSE | os.O_NOFOLLOW, dir_fd=folders[-1]))
        elif not stat.S_ISREG(mode):
            raise Forbidden("it is not a regular file")
        elif ahead:
            raise NotADirectoryError
        else:
            return regular(os.open(part, READ | os.O_NOFOLLOW, dir_fd=folders[-1]))
    raise Forbidden("it is a folder")


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
