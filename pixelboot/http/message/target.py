"""The target of a request: the path as segments, and the query.  Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from urllib.parse import parse_qs, unquote_to_bytes

from pixelboot.malformed import Malformed

MOST_VALUES = 100
"""Values that a query may have."""

_AUTHORITY = re.compile(r"[^/?#]+")
_LONGEST_KEPT = 512
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_BAD_CHARACTER = re.compile(r"[/\\\x00-\x1f\x7f]")


class Target:
    """What a request is for."""

    def __init__(self, path: tuple[str, ...], query: str) -> None:
        """`query` is what stands behind the question mark, as sent."""
        self.path = path
        """The segments of the path, decoded: none of them can be taken for more than a name."""
        self._query = query

    @cached_property
    def query(self) -> Mapping[str, Sequence[str]]:
        """The values of each name in the query, at least one; empty when there are too many to be meant."""
        try:
            return parse_qs(self._query, keep_blank_values=True, encoding="latin-1", max_num_fields=MOST_VALUES)
        except ValueError:
            return {}


def parse_target(target: str) -> Target:
    r"""A request target in its origin or absolute form (RFC 9112 §3.2), which are the ones that a server serves.

    `target` is read as ISO 8859-1.  Strict, so that nothing that comes after can take a segment for more than a name:
    `Malformed` are escapes that are none or do not make UTF-8, control characters, and segments that hold ``/`` or
    ``\`` or are ``.`` or ``..``.
    """
    return _kept(target) if len(target) <= _LONGEST_KEPT else _parse(target)


def _parse(target: str) -> Target:
    if not target.startswith("/"):
        scheme, separator, rest = target.partition("://")
        if not separator or scheme.lower() not in ("http", "https"):
            raise Malformed("the target is neither a path nor an http URL")
        authority = _AUTHORITY.match(rest)
        if not authority:
            raise Malformed("the target's URL has no host")
        target = rest[authority.end() :]
    path, _, query = target.partition("?")
    return Target(tuple(map(_segment, (path or "/")[1:].split("/"))), query)


# A machine asks for the same file again and again, in parts.
_kept = lru_cache(1024)(_parse)


def _segment(raw: str) -> str:
    if _BAD_ESCAPE.search(raw):
        raise Malformed("the target has a percent sign that escapes nothing")
    try:
        # The octets of the target, not its characters: an escape is an octet of UTF-8.
        segment = unquote_to_bytes(raw.encode("latin-1")).decode("utf-8")
    except ValueError:
        raise Malformed("the target is not UTF-8") from None
    if segment in (".", "..") or _BAD_CHARACTER.search(segment):
        raise Malformed("the target's path leaves its folder or has characters that no name here has")
    return segment
