"""A name as a client sends it, before anybody looks whether there is such a file.  Pure."""

from __future__ import annotations

import re

LONGEST_NAME = 1024
"""Characters of a name; a TFTP request is not even that long."""

LONGEST_COMPONENT = 255
"""Octets of one component; no file system of Linux has longer ones."""

DEEPEST = 64
"""Folders between the root and a file, so many descriptors are open for a moment."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class Absent(Exception):
    """There is no such file; the text says so to a person, and how to get it where that is known."""

    looked_for: tuple[str, ...] = ()
    """The names that were looked for, in this order: what rules, aliases and machines' folders make of one."""


class Forbidden(Exception):
    """There may be something of that name, but it is not served; the text says why."""

    looked_for: tuple[str, ...] = ()
    """As of `Absent`."""


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
        longest = max(len(part.encode("utf-8", "surrogateescape")) for part in parts)
    except UnicodeEncodeError:
        raise Forbidden("no file can have such a name") from None
    if longest > LONGEST_COMPONENT or len(parts) > DEEPEST:
        raise Forbidden("the name is too long")
    return parts
