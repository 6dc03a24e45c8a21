"""Which octets a Range field chooses, and how several runs of them make one body (RFC 9110 §14, §15.3.7).  Pure.

What a field can make the server do is bounded: at most `MOST_RANGES` of its ranges are read, at most `MOST_PARTS` are
sent, and never more octets of the representation than it has.  A field that asks for more is ignored, as §14.2 allows.
Time is linear in the field, but for the sorting of `MOST_RANGES` numbers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from pixelboot.http.message.fields import RangeSpec, parse_range

MOST_RANGES = 100
"""Elements of the list in one field, empty ones counted."""

MOST_PARTS = 16
"""Parts of one body."""

PART_OVERHEAD = 80
"""Octets around each part, about (§15.3.7.2): a smaller gap between two ranges costs less to send than to leave out."""


_ORDINARY = re.compile(r"bytes=(\d{1,18})-(\d{1,18})", re.ASCII)
"""The one form in which iPXE asks for a disk, thousands of times."""


@dataclass(frozen=True, slots=True)
class Span:
    """A run of octets of what is served."""

    offset: int
    """Position of its first octet."""

    size: int
    """How many octets."""


Piece = Span | bytes
"""Something of a body: octets of what is served, or those that stand here."""


def chosen(value: str, size: int) -> tuple[Span, ...] | None:
    """What a Range field names of `size` octets, in the order in which it is sent; empty when that is nothing.

    None when the field is to be ignored although it can be read: it asks for too much, or for the last octets of
    nothing, which is satisfiable by the letter (§14.1.2) though no Content-Range can say it.

    :raises Malformed: if it cannot be read, or has another unit than bytes.
    """
    if ordinary := _ORDINARY.fullmatch(value):
        first, last = int(ordinary[1]), int(ordinary[2])
        if first <= last:
            return (Span(first, min(last + 1, size) - first),) if first < size else ()
    if value.count(",") >= MOST_RANGES:
        return None
    specs = parse_range(value)
    if len(specs) == 1:
        span = _satisfied(specs[0], size)
        return () if span is None else (span,) if span.size else None
    spans = [span for spec in specs if (span := _satisfied(spec, size)) is not None]
    if not spans:
        return ()
    # Whoever asks for everything several times gets it once, and what is left below is of use to somebody.
    if not size or sum(span.size for span in spans) > size:
        return None
    merged = _merged(spans)
    return merged if len(merged) <= MOST_PARTS else None


def content_range(span: Span, size: int) -> str:
    """The Content-Range (§14.4) of a span, which is not empty, of `size` octets."""
    return f"bytes {span.offset}-{span.offset + span.size - 1}/{size}"


def byteranges(spans: Iterable[Span], size: int, etag: str, media_type: str) -> tuple[str, tuple[Piece, ...]]:
    """The media type and the body (§14.6) that hold several spans of `size` octets of one type, with an entity tag."""
    limit = boundary(etag)
    pieces: list[Piece] = []
    start = f"--{limit}\r\nContent-Type: {media_type}\r\nContent-Range: "
    for span in spans:
        pieces += (f"{start}{content_range(span, size)}\r\n\r\n".encode(), span)
        if len(pieces) == 2:
            start = f"\r\n{start}"
    pieces.append(f"\r\n--{limit}--\r\n".encode())
    return f"multipart/byteranges; boundary={limit}", tuple(pieces)


def boundary(etag: str) -> str:
    """What stands between the parts of a representation with this entity tag: the same on every node, at any time.

    It is 128 bits of a SHA-256, so that no octets hold it by chance.  Nor can anybody make octets that do: the entity
    tag is itself a digest of the octets, so that they would have to contain a digest of themselves.  (That of a large
    loader is made of its inode and times, which can be guessed; a client that reads a part by its Content-Range, as
    all have to that look for a range within it, is not misled by that either.)
    """
    return hashlib.sha256(b"byteranges " + etag.encode()).hexdigest()[:32]


def _merged(spans: list[Span]) -> tuple[Span, ...]:
    """Spans that do not overlap, nor lie closer than `PART_OVERHEAD`; each where its first part was asked for."""
    groups: list[tuple[int, int, int]] = []  # Which was asked first, and from where to where.
    for offset, asked, size in sorted((span.offset, asked, span.size) for asked, span in enumerate(spans)):
        end = offset + size
        if groups and offset - groups[-1][2] < PART_OVERHEAD:
            first, begin, before = groups[-1]
            groups[-1] = min(first, asked), begin, max(before, end)
        else:
            groups.append((asked, offset, end))
    return tuple(Span(begin, end - begin) for _, begin, end in sorted(groups))


def _satisfied(spec: RangeSpec, size: int) -> Span | None:
    """What `spec` names of `size` octets (§14.1.2), or None when it names nothing that exists.

    The span is empty only when there are no octets of which to name the last ones.
    """
    if spec.first is None:
        length = min(spec.last or 0, size)
        return Span(size - length, length) if spec.last else None
    if spec.first >= size:
        return None
    last = size - 1 if spec.last is None else min(spec.last, size - 1)
    return Span(spec.first, last - spec.first + 1)
